/*
 * make_document INPUT DIRECTORY [URL]: seal a file for the key of the vectors,
 * as DIRECTORY/media.bin, DIRECTORY/ours.json (with digests) and
 * DIRECTORY/foreign.json (without our extra object). For tests of `sealtape`.
 */
#include <fcntl.h>
#include <gnutls/x509.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../unit.h"
#include "../unseal/sealed.h"
#include "base/file.h"
#include "base/hex.h"

static const char *input_path, *directory, *url;

static json_t *ours_json(const struct sealed *sealed)
{
    char sha256[65], commitment[65];
    json_t *digests = json_array();
    gnutls_datum_t text;

    hex_encode(sealed->media.sha256, 32, sha256);
    hex_encode(sealed->media.commitment, 32, commitment);
    for (size_t i = 0; i < sealed->media.chunk_digests_count; i++) {
        const gnutls_datum_t digest = {sealed->media.chunk_digests[i], 32};

        assert_int_equal(gnutls_base64_encode2(&digest, &text), 0);
        json_array_append_new(digests, json_stringn((char *)text.data, text.size));
        gnutls_free(text.data);
    }
    return json_pack("{s:i, s:s, s:s, s:s, s:I, s:I, s:o, s:[{s:s, s:s, s:s, s:s}]}", "version", 1,
            "outcome", "complete", "sha256", sha256, "keyCommitment", commitment, "plainSize",
            (json_int_t)sealed->plain_len, "chunkSize", (json_int_t)sealed->media.chunk_size,
            "chunkDigests", digests, "recipients", "alias", "rcs_Acme", "issuer", "CN=CA", "serial",
            "4097", "sha256", "ab");
}

static void dump(json_t *json, const char *name)
{
    char path[512];

    (void)snprintf(path, sizeof(path), "%s/%s", directory, name);
    assert_int_equal(json_dump_file(json, path, JSON_INDENT(2)), 0);
}

static void seal_the_input(void **state)
{
    struct sealed_form form = {.key_bits = 256,
            .chunk_size = 262144,
            .commitment = true,
            .sha256 = true,
            .sizes = true};
    struct sealed sealed;
    char *bytes = NULL;
    gnutls_datum_t pem;
    json_t *media, *document;
    char path[512], size[32];
    FILE *file;

    (void)state;
    assert_int_equal(file_read(AT_FDCWD, input_path, 1 << 28, &bytes, &form.plain_len, NULL), 0);
    form.plain = (const uint8_t *)bytes;
    sealed_make(&form, &sealed);
    (void)snprintf(path, sizeof(path), "%s/media.bin", directory);
    file = fopen(path, "w");
    assert_non_null(file);
    assert_int_equal(fwrite(sealed.stored, 1, sealed.stored_len, file), sealed.stored_len);
    assert_int_equal(fclose(file), 0);
    {
        const gnutls_datum_t der = {sealed.envelope->der, (unsigned)sealed.envelope->der_len};

        assert_int_equal(gnutls_pem_base64_encode2("PKCS7", &der, &pem), 0);
    }
    (void)snprintf(size, sizeof(size), "%zu", sealed.stored_len);
    media = json_pack("{s:s, s:s, s:s, s:{s:s, s:s}, s:s%}", "mediaId", "r-1.wav", "type",
            "audio/wav", "size", size, "mediaDescriptor", "storage", "webDAV", "path", url, "pkcs7",
            (char *)pem.data, (size_t)pem.size);
    document = json_pack("{s:s, s:[O]}", "id", "r", "mediaFiles", media);
    assert_non_null(document);
    dump(document, "foreign.json");
    json_object_set_new(media, "sealtape", ours_json(&sealed));
    dump(document, "ours.json");
    json_decref(document);
    json_decref(media);
    gnutls_free(pem.data);
    sealed_clear(&sealed);
    free(bytes);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(seal_the_input)};

    if (argc < 3)
        return 2;
    input_path = argv[1];
    directory = argv[2];
    url = argc > 3 ? argv[3] : "";
    return cmocka_run_group_tests(tests, NULL, NULL);
}
