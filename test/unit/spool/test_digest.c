#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "../unit.h"
#include "fault.h"
#include "spool/digest.h"
#include "spool/document.h"

static uint8_t *audio(size_t len)
{
    uint8_t *bytes = malloc(len + 1);

    assert_non_null(bytes);
    for (size_t i = 0; i < len; i++)
        bytes[i] = (uint8_t)(i * 31 + (i >> 9));
    return bytes;
}

static void sha256(const uint8_t *bytes, size_t len, uint8_t *ret_digest)
{
    struct sha256_ctx ctx;

    sha256_init(&ctx);
    sha256_update(&ctx, len, bytes);
    sha256_digest(&ctx, SHA256_DIGEST_SIZE, ret_digest);
}

static void test_without_memory_nothing_is_taken_in(void **state)
{
    const struct fault_plan plan = {.calls = FAULT_BIT(FAULT_MEMORY), .times = 1, .error = ENOMEM};
    uint8_t *bytes = audio(3 * DOCUMENT_CHUNK_SIZE), now[32], wanted[32];
    struct digest digest;

    (void)state;
    digest_init(&digest);
    fault_set(&plan);
    assert_int_equal(digest_update(&digest, bytes, 100), SEALTAPE_E_MEMORY);
    fault_clear();
    assert_int_equal(digest.bytes, 0);
    assert_int_equal(digest_update(&digest, bytes, 100), SEALTAPE_OK);
    digest_now(&digest, now);
    sha256(bytes, 100, wanted);
    assert_memory_equal(now, wanted, 32);
    fault_set(&plan);
    assert_int_equal(
            digest_update(&digest, bytes + 100, 3 * DOCUMENT_CHUNK_SIZE - 100), SEALTAPE_E_MEMORY);
    fault_clear();
    assert_int_equal(digest.bytes, 100);
    digest_clear(&digest);
    free(bytes);
}

static void test_any_portions_give_the_digests_of_whole_and_chunks(void **state)
{
    static const size_t lengths[] = {0, 1, DOCUMENT_CHUNK_SIZE - 1, DOCUMENT_CHUNK_SIZE,
            DOCUMENT_CHUNK_SIZE + 1, 3 * DOCUMENT_CHUNK_SIZE, 3 * DOCUMENT_CHUNK_SIZE + 77};

    (void)state;
    for (size_t l = 0; l < ARRAY_COUNT(lengths); l++) {
        uint8_t *bytes = audio(lengths[l]), now[32], wanted[32];
        struct digest digest;
        size_t at = 0, n;

        digest_init(&digest);
        for (unsigned i = 0; at < lengths[l]; at += n, i++) {
            n = (i * 7919 + 13) % 70000 + 1;
            if (n > lengths[l] - at)
                n = lengths[l] - at;
            assert_int_equal(digest_update(&digest, bytes + at, n), SEALTAPE_OK);
            digest_now(&digest, now);
            sha256(bytes, at + n, wanted);
            assert_memory_equal(now, wanted, 32);
        }
        assert_int_equal(digest_end(&digest), SEALTAPE_OK);
        assert_int_equal(
                digest.chunks_count, (lengths[l] + DOCUMENT_CHUNK_SIZE - 1) / DOCUMENT_CHUNK_SIZE);
        for (size_t c = 0; c < digest.chunks_count; c++) {
            size_t begin = c * DOCUMENT_CHUNK_SIZE, left = lengths[l] - begin;

            sha256(bytes + begin, left < DOCUMENT_CHUNK_SIZE ? left : DOCUMENT_CHUNK_SIZE, wanted);
            assert_memory_equal(digest.chunks + 32 * c, wanted, 32);
        }
        digest_clear(&digest);
        assert_int_equal(digest.bytes, 0);
        free(bytes);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
            cmocka_unit_test(test_without_memory_nothing_is_taken_in),
            cmocka_unit_test(test_any_portions_give_the_digests_of_whole_and_chunks),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
