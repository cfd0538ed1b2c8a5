#include "sealed.h"

#include <fcntl.h>
#include <gnutls/x509.h>
#include <nettle/aes.h>
#include <nettle/cbc.h>
#include <nettle/hmac.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../unit.h"
#include "base/file.h"
#include "seal/rsa.h"

#define LABEL "sealtape key commitment v1"

static void free_chars(char **chars)
{
    free(*chars);
    *chars = NULL;
}

static enum sealtape_status ask(void *context, char *ret_passphrase, struct diag *diag)
{
    (void)context;
    (void)diag;
    strcpy(ret_passphrase, "correct horse");
    return SEALTAPE_OK;
}

struct key *sealed_key(const char *name)
{
    struct key_source source = {.ask = ask};
    struct key *key = NULL;
    struct diag diag = {0};
    char path[512];

    (void)snprintf(path, sizeof(path), VECTORS "%s", name);
    source.path = path;
    if (key_load(&source, &key, &diag) != SEALTAPE_OK)
        fail_msg("%s", diag.text);
    return key;
}

uint8_t *sealed_file(const char *name, size_t *ret_len)
{
    struct diag diag = {0};
    char path[512];
    char *bytes = NULL;

    (void)snprintf(path, sizeof(path), VECTORS "%s", name);
    if (file_read(AT_FDCWD, path, 1 << 20, &bytes, ret_len, &diag) != SEALTAPE_OK)
        fail_msg("%s", diag.text);
    return (uint8_t *)bytes;
}

/* The session key for the recipient, in the envelope's own form. */
static void make_envelope(const struct sealed_form *form, const uint8_t *key, size_t key_len,
        const uint8_t *iv, struct sealed *sealed)
{
    CLEANUP(free_chars) char *pem = NULL;
    static const uint8_t issuer[] = {
            0x30, 0x0d, 0x31, 0x0b, 0x30, 0x09, 0x06, 0x03, 0x55, 0x04, 0x03, 0x0c, 0x02, 'C', 'A'};
    static const uint8_t serial[] = {0x10, 0x01};
    uint8_t encrypted[ENVELOPE_ENCRYPTED_KEY_MAX];
    struct envelope_recipient recipient = {
            issuer, sizeof(issuer), serial, sizeof(serial), encrypted, 0};
    gnutls_datum_t text, n, e, rest[4];
    gnutls_x509_privkey_t x509;
    struct rsa_public public;
    uint8_t *der = NULL;
    struct diag diag = {0};
    size_t len, order;

    pem = (char *)sealed_file("pkcs1.pem", &len);
    text = (gnutls_datum_t){(uint8_t *)pem, (unsigned)len};
    assert_int_equal(gnutls_x509_privkey_init(&x509), 0);
    assert_int_equal(gnutls_x509_privkey_import(x509, &text, GNUTLS_X509_FMT_PEM), 0);
    assert_int_equal(gnutls_x509_privkey_export_rsa_raw(
                             x509, &n, &e, &rest[0], &rest[1], &rest[2], &rest[3]),
            0);
    public = (struct rsa_public){
            .modulus = n.data, .modulus_len = n.size, .exponent = e.data, .exponent_len = e.size};
    assert_int_equal(
            rsa_encrypt_key(&public, key, key_len, encrypted, &recipient.encrypted_key_len, &diag),
            SEALTAPE_OK);
    gnutls_free(n.data);
    gnutls_free(e.data);
    for (size_t i = 0; i < 4; i++)
        gnutls_free(rest[i].data);
    gnutls_x509_privkey_deinit(x509);
    assert_int_equal(envelope_encode(form->key_bits, iv, &recipient, 1, &der, &len, &order, &diag),
            SEALTAPE_OK);
    assert_int_equal(envelope_decode(der, len, len, &sealed->envelope, &diag), SEALTAPE_OK);
    free(der);
}

static void encrypt(unsigned key_bits, const uint8_t *key, const uint8_t *iv, struct sealed *sealed)
{
    uint8_t chain[16];
    size_t padding = 16 - sealed->plain_len % 16;

    sealed->stored_len = sealed->plain_len + padding;
    sealed->stored = malloc(sealed->stored_len);
    assert_non_null(sealed->stored);
    memcpy(sealed->stored, sealed->plain, sealed->plain_len);
    memset(sealed->stored + sealed->plain_len, (int)padding, padding);
    memcpy(chain, iv, 16);
    if (key_bits == 128) {
        struct aes128_ctx aes;

        aes128_set_encrypt_key(&aes, key);
        cbc_encrypt(&aes, (nettle_cipher_func *)aes128_encrypt, 16, chain, sealed->stored_len,
                sealed->stored, sealed->stored);
    } else if (key_bits == 192) {
        struct aes192_ctx aes;

        aes192_set_encrypt_key(&aes, key);
        cbc_encrypt(&aes, (nettle_cipher_func *)aes192_encrypt, 16, chain, sealed->stored_len,
                sealed->stored, sealed->stored);
    } else {
        struct aes256_ctx aes;

        aes256_set_encrypt_key(&aes, key);
        cbc_encrypt(&aes, (nettle_cipher_func *)aes256_encrypt, 16, chain, sealed->stored_len,
                sealed->stored, sealed->stored);
    }
}

static void digest(const uint8_t *bytes, size_t len, uint8_t *ret_digest)
{
    struct sha256_ctx sha256;

    sha256_init(&sha256);
    sha256_update(&sha256, len, bytes);
    sha256_digest(&sha256, 32, ret_digest);
}

static void describe(const struct sealed_form *form, const uint8_t *key, const uint8_t *iv,
        struct sealed *sealed)
{
    struct metadata_media *media = &sealed->media;
    struct hmac_sha256_ctx hmac;
    size_t count = 0;

    *media = (struct metadata_media){.size = METADATA_UNKNOWN, .plain_size = METADATA_UNKNOWN};
    if (form->sizes) {
        media->size = sealed->stored_len;
        media->plain_size = sealed->plain_len;
    }
    if (form->sha256)
        digest(sealed->stored, sealed->stored_len, media->sha256);
    media->has_sha256 = form->sha256;
    if (form->commitment) {
        hmac_sha256_set_key(&hmac, form->key_bits / 8, key);
        hmac_sha256_update(&hmac, strlen(LABEL), (const uint8_t *)LABEL);
        hmac_sha256_update(&hmac, 16, iv);
        hmac_sha256_digest(&hmac, 32, media->commitment);
    }
    media->has_commitment = form->commitment;
    if (!form->chunk_size)
        return;
    media->chunk_size = form->chunk_size;
    media->chunk_digests = calloc(sealed->stored_len / form->chunk_size + 1, 32);
    assert_non_null(media->chunk_digests);
    for (size_t at = 0; at < sealed->stored_len; at += form->chunk_size)
        digest(sealed->stored + at,
                sealed->stored_len - at < form->chunk_size ? sealed->stored_len - at
                                                           : form->chunk_size,
                media->chunk_digests[count++]);
    media->chunk_digests_count = count;
}

void sealed_make(const struct sealed_form *form, struct sealed *ret_sealed)
{
    uint8_t key[48], iv[16];

    *ret_sealed = (struct sealed){.plain_len = form->plain_len};
    for (size_t i = 0; i < sizeof(key); i++)
        key[i] = (uint8_t)(7 * i + 1);
    for (size_t i = 0; i < sizeof(iv); i++)
        iv[i] = (uint8_t)(0xa0 + i);
    ret_sealed->plain = malloc(form->plain_len + 1);
    assert_non_null(ret_sealed->plain);
    for (size_t i = 0; i < form->plain_len; i++)
        ret_sealed->plain[i] = form->plain ? form->plain[i] : (uint8_t)(i * 31 + i / 251);
    make_envelope(form, key, form->key_len ? form->key_len : form->key_bits / 8, iv, ret_sealed);
    encrypt(form->key_bits, key, iv, ret_sealed);
    describe(form, key, iv, ret_sealed);
}

void sealed_clear(struct sealed *sealed)
{
    envelope_free(&sealed->envelope);
    free(sealed->media.chunk_digests);
    free(sealed->stored);
    free(sealed->plain);
    *sealed = (struct sealed){0};
}
