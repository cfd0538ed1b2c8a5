#include "profile/crl.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "../unit.h"
#include "base/file.h"

/* Made by "openssl ca -gencrl": 0x1002 for keyCompromise, 0x1003 for no reason,
 * 0x01ffffffffffffffffff superseded. */
static char *vector;
static size_t vector_len;

static int load_vector(void **state)
{
    (void)state;
    return file_read(AT_FDCWD, VECTORS "/crl-reasons.der", 65536, &vector, &vector_len, NULL);
}

static int free_vector(void **state)
{
    (void)state;
    free(vector);
    return 0;
}

static struct crl *crl_of(const char *bytes)
{
    struct crl *crl = NULL;
    struct diag diag = {""};

    if (crl_new(bytes, vector_len, &crl, &diag) != SEALTAPE_OK)
        fail_msg("%s", diag.text);
    return crl;
}

static void entries_are_found_with_date_and_reason(void **state)
{
    struct crl *crl = crl_of(vector);
    const struct crl_revoked *revoked;

    (void)state;
    assert_int_equal(crl->revoked_count, 3);
    revoked = crl_find(crl, (const uint8_t *)"\x10\x02", 2);
    assert_non_null(revoked);
    assert_int_equal(revoked->at_ms, INT64_C(1772150400000));
    assert_string_equal(crl_reason_name(revoked->reason), "keyCompromise");
    revoked = crl_find(crl, (const uint8_t *)"\x10\x03", 2);
    assert_non_null(revoked);
    assert_null(crl_reason_name(revoked->reason));
    revoked = crl_find(crl, (const uint8_t *)"\x01\xff\xff\xff\xff\xff\xff\xff\xff\xff", 10);
    assert_non_null(revoked);
    assert_string_equal(crl_reason_name(revoked->reason), "superseded");
    assert_string_equal(crl->issuer_text, "C=US,O=Example,CN=fuzz 2048");
    crl_free(&crl);
}

static void serials_that_only_look_alike_are_not_found(void **state)
{
    struct crl *crl = crl_of(vector);

    (void)state;
    assert_null(crl_find(crl, (const uint8_t *)"\x10\x01", 2));
    assert_null(crl_find(crl, (const uint8_t *)"\x10\x02\x00", 3));
    assert_null(crl_find(crl, (const uint8_t *)"\x10", 1));
    assert_null(crl_find(crl, (const uint8_t *)"", 0));
    crl_free(&crl);
}

static void every_cut_of_a_crl_is_refused(void **state)
{
    struct crl *crl = NULL;

    (void)state;
    for (size_t len = 0; len < vector_len; len++)
        assert_int_equal(crl_new(vector, len, &crl, NULL), SEALTAPE_E_CERTIFICATE);
    assert_null(crl);
}

static void a_delta_crl_is_refused(void **state)
{
    /* The extension cRLNumber (2.5.29.20) turned into an unknown one, and critical: its
     * OCTET STRING of three bytes makes room for the BOOLEAN. */
    static const uint8_t number[] = {0x06, 0x03, 0x55, 0x1d, 0x14, 0x04, 0x03, 0x02, 0x01, 0x01};
    static const uint8_t delta[] = {0x06, 0x03, 0x55, 0x1d, 0x1b, 0x01, 0x01, 0xff, 0x04, 0x00};
    char *changed = malloc(vector_len), *at;
    struct crl *crl = NULL;
    struct diag diag = {""};

    (void)state;
    assert_non_null(changed);
    memcpy(changed, vector, vector_len);
    at = memmem(changed, vector_len, number, sizeof(number));
    assert_non_null(at);
    memcpy(at, delta, sizeof(delta));
    assert_int_equal(crl_new(changed, vector_len, &crl, &diag), SEALTAPE_E_CERTIFICATE);
    assert_contains(diag.text, "not a complete one (critical extension 2.5.29.27)");
    assert_null(crl);
    free(changed);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
            cmocka_unit_test(every_cut_of_a_crl_is_refused),
            cmocka_unit_test(a_delta_crl_is_refused),
            cmocka_unit_test(serials_that_only_look_alike_are_not_found),
            cmocka_unit_test(entries_are_found_with_date_and_reason),
    };

    return cmocka_run_group_tests(tests, load_vector, free_vector);
}
