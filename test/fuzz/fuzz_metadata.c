#include <string.h>

#include "fuzz.h"
#include "seal/envelope.h"
#include "unseal/metadata.h"
#include "unseal/recipient.h"
#include "unseal/verify.h"

/* What `inspect` and `verify` do with a document from anywhere. */
static void use_media(const struct metadata_media *media)
{
    static const uint8_t content[64];
    struct envelope *envelope = NULL;
    struct verify_verdict verdict;
    struct verify *verify = NULL;
    char text[300];

    FUZZ_CHECK(media->media_id && media->type && media->path && media->outcome);
    FUZZ_CHECK(media->chunk_size <= METADATA_CHUNK_MAX && media->chunk_size % 16 == 0);
    FUZZ_CHECK((media->chunk_size == 0) == (media->chunk_digests_count == 0));
    if (media->envelope
            && envelope_decode(
                       media->envelope, media->envelope_len, media->envelope_len, &envelope, NULL)
                       == SEALTAPE_OK) {
        recipient_list(envelope, media, text, sizeof(text));
        FUZZ_CHECK(strlen(text) < sizeof(text));
    }
    envelope_free(&envelope);
    FUZZ_CHECK(verify_new(media, &verify) == SEALTAPE_OK);
    for (int i = 0; i < 3; i++)
        ignore(verify_update(verify, content, sizeof(content), NULL));
    FUZZ_CHECK((verify_finish(verify, &verdict, NULL) == SEALTAPE_OK) == verdict.good);
    verify_free(&verify);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    const struct metadata_media *chosen = NULL;
    struct metadata *metadata = NULL;
    struct diag diag = {""};
    enum sealtape_status st = metadata_parse("m.json", bytes, len, &metadata, &diag);

    FUZZ_CHECK((st == SEALTAPE_OK) == (metadata != NULL));
    FUZZ_CHECK(metadata || strncmp(diag.text, "m.json", 6) == 0);
    for (size_t i = 0; metadata && i < metadata->media_count; i++)
        use_media(&metadata->media[i]);
    if (metadata)
        FUZZ_CHECK((metadata_choose(metadata, NULL, &chosen, &diag) == SEALTAPE_OK)
                   == (metadata->media_count == 1));
    metadata_free(&metadata);
    return 0;
}
