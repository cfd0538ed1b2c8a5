#include "unseal/metadata.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../unit.h"

/* Base64 of 32 bytes, and hex of as many. */
#define B64 "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="
#define HEX "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"
#define PEM "-----BEGIN PKCS7-----\\nMAMC\\r\\nAQU=\\n-----END PKCS7-----\\n"

static const char ours[] =
        "{\"id\": \"01K8\", \"unknown\": [1, {}], \"mediaFiles\": [{\"mediaId\": \"01K8-9f.wav\","
        "\"mediaDescriptor\": {\"storage\": \"webDAV\", \"path\": \"https://s.example/x.bin\"},"
        "\"type\": \"audio/wav\", \"size\": \"48\", \"pkcs7\": \"" PEM "\", \"certAlias\": [\"a\"],"
        "\"sealtape\": {\"version\": 1, \"keyCommitment\": \"" HEX "\", \"sha256\": \"" HEX "\","
        "\"recipients\": [{\"alias\": \"rcs_Acme\", \"issuer\": \"CN=CA\", \"serial\": \"4097\","
        "\"sha256\": \"ff\"}], \"plainSize\": 40, \"chunkSize\": 32,"
        "\"chunkDigests\": [\"" B64 "\", \"" B64 "\"], \"outcome\": \"complete\"}}]}";

static const char foreign[] =
        "{\"mediaFiles\": [{\"mediaDescriptor\": {\"path\": \"http://h/u.mp3.bin\"},"
        "\"mediaId\": \"u.mp3\", \"type\": \"audio/mp3\", \"size\": 1234, \"duration\": \"12\","
        "\"pkcs7\": \"" PEM "\", \"certAlias\": [\"one\", \"two\"], \"masks\": null}]}";

static enum sealtape_status parse(
        const char *text, struct metadata **ret_metadata, struct diag *diag)
{
    return metadata_parse("m.json", text, strlen(text), ret_metadata, diag);
}

static void our_document_is_read(void **state)
{
    CLEANUP(metadata_free) struct metadata *metadata = NULL;
    const struct metadata_media *media = NULL;
    struct diag diag = {0};

    (void)state;
    assert_int_equal(parse(ours, &metadata, &diag), SEALTAPE_OK);
    assert_string_equal(metadata->id, "01K8");
    assert_int_equal(metadata_choose(metadata, NULL, &media, &diag), SEALTAPE_OK);
    assert_string_equal(media->media_id, "01K8-9f.wav");
    assert_string_equal(media->path, "https://s.example/x.bin");
    assert_string_equal(media->outcome, "complete");
    assert_true(media->size == 48 && media->plain_size == 40 && media->chunk_size == 32);
    assert_int_equal(media->envelope_len, 5);
    assert_memory_equal(media->envelope, "\x30\x03\x02\x01\x05", 5);
    assert_true(media->has_commitment && media->has_sha256);
    assert_int_equal(media->sha256[31], 0x1f);
    assert_int_equal(media->chunk_digests_count, 2);
    assert_int_equal(media->chunk_digests[1][31], 0x1f);
    assert_int_equal(media->recipients_count, 1);
    assert_string_equal(media->recipients[0].serial, "4097");
}

static void a_foreign_document_is_read(void **state)
{
    CLEANUP(metadata_free) struct metadata *metadata = NULL;
    struct diag diag = {0};

    (void)state;
    assert_int_equal(parse(foreign, &metadata, &diag), SEALTAPE_OK);
    assert_string_equal(metadata->id, "");
    assert_true(metadata->media[0].size == 1234);
    assert_true(metadata->media[0].plain_size == METADATA_UNKNOWN);
    assert_false(metadata->media[0].has_sha256 || metadata->media[0].has_commitment);
    assert_int_equal(metadata->media[0].chunk_digests_count, 0);
    assert_int_equal(metadata->media[0].recipients_count, 2);
    assert_string_equal(metadata->media[0].recipients[1].alias, "two");
    assert_string_equal(metadata->media[0].recipients[1].issuer, "");
}

static void one_media_file_alone_is_read(void **state)
{
    CLEANUP(metadata_free) struct metadata *metadata = NULL;
    struct diag diag = {0};

    (void)state;
    assert_int_equal(
            parse("{\"mediaId\": \"m\", \"pkcs7\": \"" PEM "\"}", &metadata, &diag), SEALTAPE_OK);
    assert_int_equal(metadata->media_count, 1);
    assert_string_equal(metadata->media[0].media_id, "m");
}

static void the_media_file_must_be_clear(void **state)
{
    CLEANUP(metadata_free) struct metadata *metadata = NULL;
    CLEANUP(metadata_free) struct metadata *none = NULL;
    const struct metadata_media *media = NULL;
    struct diag diag = {0};

    (void)state;
    assert_int_equal(parse("{\"mediaFiles\": [{\"mediaId\": \"a\"}, {\"mediaId\": \"b\"}]}",
                             &metadata, &diag),
            SEALTAPE_OK);
    assert_int_equal(metadata_choose(metadata, NULL, &media, &diag), SEALTAPE_E_USAGE);
    assert_contains(diag.text, "a, b");
    assert_int_equal(metadata_choose(metadata, "c", &media, &diag), SEALTAPE_E_USAGE);
    assert_contains(diag.text, "no media file c");
    assert_null(media);
    assert_int_equal(metadata_choose(metadata, "b", &media, &diag), SEALTAPE_OK);
    assert_string_equal(media->media_id, "b");
    assert_int_equal(parse("{\"mediaFiles\": []}", &none, &diag), SEALTAPE_OK);
    assert_int_equal(metadata_choose(none, NULL, &media, &diag), SEALTAPE_E_USAGE);
}

static void a_field_that_cannot_be_is_refused_by_name(void **state)
{
    static const char *const cases[][2] = {
            {"\"size\": -1", "mediaFiles[0].size"},
            {"\"size\": \"12x\"", "mediaFiles[0].size"},
            {"\"size\": \"99999999999999999999\"", "mediaFiles[0].size"},
            {"\"size\": 1.5", "mediaFiles[0].size"},
            {"\"mediaId\": 7", "mediaFiles[0].mediaId"},
            {"\"pkcs7\": 7", "mediaFiles[0].pkcs7"},
            {"\"pkcs7\": \"MAMCAQU=\"", "mediaFiles[0].pkcs7"},
            {"\"pkcs7\": \"-----BEGIN PKCS7-----\\nMAMC\"", "mediaFiles[0].pkcs7"},
            {"\"pkcs7\": \"-----BEGIN PKCS7-----\\n!!\\n-----END PKCS7-----\"", "base64"},
            {"\"pkcs7\": \"-----BEGIN PKCS7-----\\n-----END PKCS7-----\"", "base64"},
            {"\"sealtape\": []", "mediaFiles[0].sealtape"},
            {"\"sealtape\": {\"sha256\": \"00\"}", "mediaFiles[0].sha256"},
            {"\"sealtape\": {\"sha256\": 0}", "mediaFiles[0].sha256"},
            {"\"sealtape\": {\"keyCommitment\": \"zz\"}", "keyCommitment"},
            {"\"sealtape\": {\"chunkDigests\": [\"" B64 "\"]}", "chunkSize"},
            {"\"sealtape\": {\"chunkSize\": 0, \"chunkDigests\": [\"" B64 "\"]}", "chunkSize"},
            {"\"sealtape\": {\"chunkSize\": 33, \"chunkDigests\": [\"" B64 "\"]}", "chunkSize"},
            {"\"sealtape\": {\"chunkSize\": 1073741824, \"chunkDigests\": [\"" B64 "\"]}",
                    "chunkSize"},
            {"\"sealtape\": {\"chunkSize\": 32, \"chunkDigests\": [\"AAAA\"]}", "chunkDigests"},
            {"\"sealtape\": {\"chunkSize\": 32, \"chunkDigests\": [7]}", "chunkDigests"},
            {"\"sealtape\": {\"chunkSize\": 32, \"chunkDigests\": {}}", "chunkDigests"},
            {"\"sealtape\": {\"recipients\": [{\"serial\": 7}]}", "serial"},
    };
    struct metadata *metadata = NULL;
    char text[512];

    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        struct diag diag = {0};

        (void)snprintf(text, sizeof(text), "{\"mediaFiles\": [{%s}]}", cases[i][0]);
        if (parse(text, &metadata, &diag) != SEALTAPE_E_USAGE)
            fail_msg("%s is not refused", text);
        assert_null(metadata);
        assert_contains(diag.text, cases[i][1]);
    }
}

static void what_is_no_document_is_refused(void **state)
{
    static const char *const cases[] = {"", "[]", "7", "{", "{\"mediaFiles\": {}}", "{}",
            "{\"mediaFiles\": [7]}", "{\"mediaFiles\": [], \"mediaFiles\": []}", "\xff\xfe{}",
            "{\"mediaFiles\": []} more"};
    struct metadata *metadata = NULL;
    struct diag diag = {0};

    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        if (parse(cases[i], &metadata, &diag) == SEALTAPE_OK)
            fail_msg("%s is not refused", cases[i]);
        assert_null(metadata);
        assert_contains(diag.text, "m.json");
    }
}

static void a_hostile_depth_is_refused(void **state)
{
    static char text[200001];
    struct metadata *metadata = NULL;
    struct diag diag = {0};

    (void)state;
    memset(text, '[', sizeof(text) - 1);
    assert_int_equal(parse(text, &metadata, &diag), SEALTAPE_E_USAGE);
}

static void a_pem_block_is_read_in_every_form(void **state)
{
    static const char *const cases[] = {
            "-----BEGIN PKCS7-----\nMAMCAQU=\n-----END PKCS7-----\n",
            "-----BEGIN CMS-----\r\nMAMCAQU=\r\n-----END CMS-----\r\n",
            "words\n-----BEGIN PKCS7----- MAMC AQU= -----END PKCS7-----",
            "-----BEGIN PKCS7-----\\nMAMC\\r\\nAQU=\\n-----END PKCS7-----",
            "-----BEGIN PKCS7-----\nM\nA\nM\nC\nA\nQ\nU\n=\n-----END PKCS7-----",
    };
    struct diag diag = {0};

    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        uint8_t *der = NULL;
        size_t len = 0;

        assert_int_equal(metadata_pem_decode(cases[i], &der, &len, &diag), SEALTAPE_OK);
        assert_int_equal(len, 5);
        assert_memory_equal(der, "\x30\x03\x02\x01\x05", 5);
        free(der);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
            cmocka_unit_test(our_document_is_read),
            cmocka_unit_test(a_foreign_document_is_read),
            cmocka_unit_test(one_media_file_alone_is_read),
            cmocka_unit_test(the_media_file_must_be_clear),
            cmocka_unit_test(a_field_that_cannot_be_is_refused_by_name),
            cmocka_unit_test(what_is_no_document_is_refused),
            cmocka_unit_test(a_hostile_depth_is_refused),
            cmocka_unit_test(a_pem_block_is_read_in_every_form),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
