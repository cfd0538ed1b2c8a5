#include <stdbool.h>
#include <string.h>

#include "fuzz.h"
#include "seal/envelope.h"

static bool is_inside(const struct envelope *envelope, const uint8_t *bytes, size_t len)
{
    return bytes >= envelope->detached && len > 0
           && len <= envelope->detached_len - (size_t)(bytes - envelope->detached);
}

/* What was read can be written again, and is then the same. */
static void check_again(const struct envelope *envelope)
{
    struct envelope *again = NULL;
    uint8_t *header = NULL;
    size_t len = 0;

    FUZZ_CHECK(envelope_splice_header(envelope, UINT64_C(1) << 40, &header, &len, NULL)
               == SEALTAPE_OK);
    FUZZ_CHECK(
            envelope_decode(header, len, len + (UINT64_C(1) << 40), &again, NULL) == SEALTAPE_OK);
    FUZZ_CHECK(again->content_offset == len && again->content_len == UINT64_C(1) << 40);
    FUZZ_CHECK(again->detached_len == envelope->detached_len);
    FUZZ_CHECK(memcmp(again->detached, envelope->detached, again->detached_len) == 0);
    FUZZ_CHECK(again->recipients_count == envelope->recipients_count);
    envelope_free(&again);
    free(header);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    struct envelope *envelope = NULL;
    struct diag diag = {""};
    enum sealtape_status st = envelope_decode(bytes, len, len, &envelope, &diag);

    FUZZ_CHECK((st == SEALTAPE_OK) == (envelope != NULL));
    FUZZ_CHECK(st == SEALTAPE_OK || diag.text[0]);
    if (!envelope)
        return 0;
    FUZZ_CHECK(envelope->recipients_count >= 1
               && envelope->recipients_count <= ENVELOPE_RECIPIENTS_MAX);
    FUZZ_CHECK(envelope->der_len <= len && memcmp(envelope->der, bytes, envelope->der_len) == 0);
    FUZZ_CHECK(envelope->der_len + envelope->content_len == len);
    for (size_t i = 0; i < envelope->recipients_count; i++) {
        const struct envelope_recipient *recipient = &envelope->recipients[i];

        FUZZ_CHECK(is_inside(envelope, recipient->issuer_der, recipient->issuer_der_len));
        FUZZ_CHECK(is_inside(envelope, recipient->serial_octets, recipient->serial_octets_len));
        FUZZ_CHECK(is_inside(envelope, recipient->encrypted_key, recipient->encrypted_key_len));
    }
    check_again(envelope);
    envelope_free(&envelope);
    return 0;
}
