#include "unseal/verify.h"

#include <string.h>

#include "../unit.h"
#include "sealed.h"

static const struct sealed_form full = {.plain_len = 100,
        .key_bits = 256,
        .chunk_size = 32,
        .commitment = true,
        .sha256 = true,
        .sizes = true};

/* All bytes in pieces of 7, whatever is said meanwhile. */
static enum sealtape_status check(const struct sealed *sealed, size_t len,
        struct verify_verdict *ret_verdict, struct diag *diag)
{
    CLEANUP(verify_free) struct verify *verify = NULL;

    assert_int_equal(verify_new(&sealed->media, &verify), SEALTAPE_OK);
    for (size_t at = 0; at < len; at += 7)
        /* The verdict is what is tested. */
        ignore(verify_update(verify, sealed->stored + at, len - at < 7 ? len - at : 7, NULL));
    return verify_finish(verify, ret_verdict, diag);
}

static void what_was_stored_is_good(void **state)
{
    static const size_t sizes[] = {0, 1, 15, 16, 17, 31, 32, 96, 1000};
    struct sealed_form form = full;
    struct verify_verdict verdict;
    struct sealed sealed;
    struct diag diag = {0};

    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(sizes); i++) {
        form.plain_len = sizes[i];
        sealed_make(&form, &sealed);
        assert_int_equal(check(&sealed, sealed.stored_len, &verdict, &diag), SEALTAPE_OK);
        assert_true(verdict.good && verdict.has_digests);
        assert_int_equal(verdict.chunks, sealed.media.chunk_digests_count);
        sealed_clear(&sealed);
    }
}

static void bad_chunks_are_counted_and_the_first_is_named(void **state)
{
    struct verify_verdict verdict;
    struct sealed sealed;
    struct diag diag = {0};

    (void)state;
    sealed_make(&full, &sealed);
    sealed.stored[40] ^= 1;
    sealed.stored[111] ^= 1;
    assert_int_equal(check(&sealed, sealed.stored_len, &verdict, &diag), SEALTAPE_E_IO);
    assert_int_equal(verdict.chunks_bad, 2);
    assert_true(verdict.bad_offset == 32);
    assert_false(verdict.sha256_fits || verdict.good);
    assert_true(verdict.size_fits);
    assert_contains(diag.text, "offset 32");
    sealed_clear(&sealed);
}

static void each_other_length_is_bad(void **state)
{
    struct verify_verdict verdict;
    struct sealed sealed;
    struct diag diag = {0};

    (void)state;
    sealed_make(&full, &sealed);
    for (size_t len = 0; len < sealed.stored_len; len++) {
        assert_int_equal(check(&sealed, len, &verdict, &diag), SEALTAPE_E_IO);
        assert_false(verdict.good || verdict.size_fits);
    }
    sealed_clear(&sealed);
}

static void more_bytes_are_bad_at_once(void **state)
{
    CLEANUP(verify_free) struct verify *verify = NULL;
    struct sealed sealed;
    struct diag diag = {0};

    (void)state;
    sealed_make(&full, &sealed);
    assert_int_equal(verify_new(&sealed.media, &verify), SEALTAPE_OK);
    assert_int_equal(verify_update(verify, sealed.stored, sealed.stored_len, &diag), SEALTAPE_OK);
    assert_int_equal(verify_update(verify, sealed.stored, 1, &diag), SEALTAPE_E_IO);
    assert_contains(diag.text, "longer");
    sealed_clear(&sealed);
}

static void a_plain_size_that_padding_cannot_make_is_bad(void **state)
{
    static const uint64_t sizes[] = {0, 95, 112, 113, METADATA_UNKNOWN - 1};
    struct verify_verdict verdict;
    struct sealed sealed;
    struct diag diag = {0};

    (void)state;
    sealed_make(&full, &sealed); /* 100 bytes, stored as 112 */
    for (size_t i = 0; i < ARRAY_COUNT(sizes); i++) {
        sealed.media.plain_size = sizes[i];
        assert_int_equal(check(&sealed, sealed.stored_len, &verdict, &diag), SEALTAPE_E_IO);
        assert_false(verdict.padding_fits);
    }
    sealed_clear(&sealed);
}

static void a_missing_chunk_digest_is_bad(void **state)
{
    struct verify_verdict verdict;
    struct sealed sealed;
    struct diag diag = {0};

    (void)state;
    sealed_make(&full, &sealed);
    sealed.media.chunk_digests_count--;
    assert_int_equal(check(&sealed, sealed.stored_len, &verdict, &diag), SEALTAPE_E_IO);
    assert_false(verdict.chunks_fit);
    sealed.media.chunk_digests_count++;
    sealed.media.sha256[0] ^= 1;
    assert_int_equal(check(&sealed, sealed.stored_len, &verdict, &diag), SEALTAPE_E_IO);
    assert_false(verdict.sha256_fits);
    assert_contains(diag.text, "SHA-256");
    sealed_clear(&sealed);
}

static void lengths_alone_are_not_called_digests(void **state)
{
    struct sealed_form form = {.plain_len = 100, .key_bits = 256, .sizes = true};
    struct verify_verdict verdict;
    struct sealed sealed;

    (void)state;
    sealed_make(&form, &sealed);
    assert_int_equal(check(&sealed, sealed.stored_len, &verdict, NULL), SEALTAPE_OK);
    assert_true(verdict.good);
    assert_false(verdict.has_digests);
    assert_int_equal(check(&sealed, 111, &verdict, NULL), SEALTAPE_E_IO);
    sealed_clear(&sealed);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
            cmocka_unit_test(what_was_stored_is_good),
            cmocka_unit_test(bad_chunks_are_counted_and_the_first_is_named),
            cmocka_unit_test(each_other_length_is_bad),
            cmocka_unit_test(more_bytes_are_bad_at_once),
            cmocka_unit_test(a_plain_size_that_padding_cannot_make_is_bad),
            cmocka_unit_test(a_missing_chunk_digest_is_bad),
            cmocka_unit_test(lengths_alone_are_not_called_digests),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
