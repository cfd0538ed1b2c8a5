/* What the readers of documents and stored bytes do when any one allocation fails. */
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "../allocation.h"
#include "../unit.h"
#include "sealed.h"
#include "unseal/metadata.h"
#include "unseal/unseal.h"
#include "unseal/verify.h"

/* Base64 of 32 bytes, and hex of as many. */
#define B64 "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="
#define HEX "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"

static const char document[] =
        "{\"id\": \"01K8\", \"mediaFiles\": [{\"mediaId\": \"01K8-9f.wav\", \"type\": "
        "\"audio/wav\","
        "\"mediaDescriptor\": {\"path\": \"https://s.example/x.bin\"}, \"size\": \"48\","
        "\"pkcs7\": \"-----BEGIN PKCS7-----\\nMAMCAQU=\\n-----END PKCS7-----\\n\","
        "\"certAlias\": [\"a\"], \"sealtape\": {\"keyCommitment\": \"" HEX "\", \"sha256\": \"" HEX
        "\", \"recipients\": [{\"alias\": \"rcs_Acme\", \"issuer\": \"CN=CA\"}],"
        "\"chunkSize\": 32, \"chunkDigests\": [\"" B64 "\", \"" B64 "\"]}},"
        "{\"mediaId\": \"two\", \"certAlias\": [\"one\", \"two\"]}]}";

static void a_reader_of_json_without_memory_does_no_harm(void **state)
{
    json_malloc_t usual_malloc;
    json_free_t usual_free;
    unsigned nth = 0;
    bool failed;

    (void)state;
    json_get_alloc_funcs(&usual_malloc, &usual_free);
    json_set_alloc_funcs(allocation_malloc, free);
    do {
        struct metadata *metadata = NULL;
        struct diag diag = {""};
        enum sealtape_status st;

        allocation_fail(++nth);
        st = metadata_parse("m.json", document, strlen(document), &metadata, &diag);
        failed = allocation_failed();
        /* jansson finds fault with the text where it could not copy a string, or nothing. */
        assert_true(failed || st == SEALTAPE_OK);
        assert_int_equal(metadata != NULL, st == SEALTAPE_OK);
        assert_true(metadata || strncmp(diag.text, "m.json:", 7) == 0);
        metadata_free(&metadata);
    } while (failed);
    json_set_alloc_funcs(usual_malloc, usual_free);
    assert_true(nth > 100);
}

static void a_document_is_read_whole_or_not_at_all(void **state)
{
    unsigned nth = 0;
    bool failed;

    (void)state;
    do {
        struct metadata *metadata = NULL;
        struct diag diag = {""};
        enum sealtape_status st;

        allocation_fail(++nth);
        st = metadata_parse("m.json", document, strlen(document), &metadata, &diag);
        failed = allocation_failed();
        if (st != (failed ? SEALTAPE_E_MEMORY : SEALTAPE_OK))
            fail_msg("allocation %u: status %d, %s", nth, st, diag.text);
        assert_int_equal(metadata != NULL, !failed);
        if (failed)
            assert_contains(diag.text, "no memory");
        metadata_free(&metadata);
    } while (failed);
    assert_true(nth > 15);
}

struct output {
    size_t len;
};

static enum sealtape_status count_bytes(
        void *context, const uint8_t *bytes, size_t len, struct diag *diag)
{
    struct output *output = context;

    (void)bytes;
    (void)diag;
    output->len += len;
    return SEALTAPE_OK;
}

static enum sealtape_status unseal_all(const struct sealed *sealed, const struct key *key,
        struct output *output, struct diag *diag)
{
    CLEANUP(unseal_free) struct unseal *unseal = NULL;
    const struct unseal_plan plan = {.envelope = sealed->envelope,
            .media = &sealed->media,
            .key = key,
            .sink = count_bytes,
            .context = output};
    enum sealtape_status st;

    st = unseal_new(&plan, &unseal, diag);
    if (st == SEALTAPE_OK)
        st = unseal_update(unseal, sealed->stored, sealed->stored_len, diag);
    return st == SEALTAPE_OK ? unseal_finish(unseal, diag) : st;
}

static void a_recording_is_opened_or_nothing_of_it_is_released(void **state)
{
    static const struct sealed_form form = {.plain_len = 100,
            .key_bits = 256,
            .chunk_size = 32,
            .commitment = true,
            .sha256 = true,
            .sizes = true};
    struct key *key = sealed_key("pkcs1.pem");
    struct sealed sealed;
    unsigned nth = 0;
    bool failed;

    (void)state;
    sealed_make(&form, &sealed);
    do {
        struct output output = {0};
        struct diag diag = {""};
        enum sealtape_status st;

        allocation_fail(++nth);
        st = unseal_all(&sealed, key, &output, &diag);
        failed = allocation_failed();
        assert_int_equal(st, failed ? SEALTAPE_E_MEMORY : SEALTAPE_OK);
        assert_int_equal(output.len, failed ? 0 : 100);
        if (failed)
            assert_contains(diag.text, "no memory");
    } while (failed);
    assert_true(nth > 2);
    sealed_clear(&sealed);
    key_free(&key);
}

static void a_verdict_is_not_given_without_memory(void **state)
{
    const struct metadata_media media = {.size = METADATA_UNKNOWN, .plain_size = METADATA_UNKNOWN};
    struct verify *verify = NULL;

    (void)state;
    allocation_fail(1);
    assert_int_equal(verify_new(&media, &verify), SEALTAPE_E_MEMORY);
    assert_true(allocation_failed());
    assert_null(verify);
}

static void a_key_is_loaded_or_nothing_is_given_back(void **state)
{
    static const char *const paths[] = {VECTORS "pkcs1.pem", VECTORS "pkcs8.pem"};

    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(paths); i++) {
        const struct key_source source = {.path = paths[i]};
        unsigned nth = 0;
        bool failed;

        do {
            struct key *key = NULL;
            struct diag diag = {""};
            enum sealtape_status st;

            allocation_fail(++nth);
            st = key_load(&source, &key, &diag);
            failed = allocation_failed();
            assert_int_equal(st == SEALTAPE_OK, !failed);
            assert_int_equal(key != NULL, !failed);
            if (failed)
                assert_contains(diag.text, "no memory");
            key_free(&key);
        } while (failed);
        assert_true(nth > 1);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
            cmocka_unit_test(a_document_is_read_whole_or_not_at_all),
            cmocka_unit_test(a_reader_of_json_without_memory_does_no_harm),
            cmocka_unit_test(a_recording_is_opened_or_nothing_of_it_is_released),
            cmocka_unit_test(a_verdict_is_not_given_without_memory),
            cmocka_unit_test(a_key_is_loaded_or_nothing_is_given_back),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
