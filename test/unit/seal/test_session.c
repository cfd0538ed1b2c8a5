#include <fcntl.h>
#include <gnutls/abstract.h>
#include <gnutls/gnutls.h>
#include <nettle/aes.h>
#include <nettle/cbc.h>
#include <nettle/hmac.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../unit.h"

#include "../profile/pki.h"
#include "base/hex.h"
#include "seal/session.h"

static gnutls_x509_privkey_t private_key;
static struct certificate *certificate, *elliptic;

static struct certificate *certify(gnutls_x509_privkey_t key, const char *name)
{
    struct pki_issued issued = pki_issue(&(struct pki_request){.name = name, .key = key});
    const struct certificate_source source = {
            .alias = name, .tenant = "Acme", .leaf = {issued.der.data, issued.der.size}};
    struct certificate *made = NULL;

    assert_int_equal(certificate_new(&source, &made, NULL), SEALTAPE_OK);
    pki_clear(&issued);
    return made;
}

static int set_up(void **state)
{
    gnutls_x509_privkey_t ec =
            pki_key(GNUTLS_PK_ECDSA, GNUTLS_CURVE_TO_BITS(GNUTLS_ECC_CURVE_SECP256R1));

    (void)state;
    private_key = pki_key(GNUTLS_PK_RSA, 2048);
    certificate = certify(private_key, "recording");
    elliptic = certify(ec, "elliptic");
    gnutls_x509_privkey_deinit(ec);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    certificate_release(&certificate);
    certificate_release(&elliptic);
    gnutls_x509_privkey_deinit(private_key);
    return 0;
}

/* The session key, as the holder of the private key gets it. */
static gnutls_datum_t unwrap(const struct session *session, size_t recipient)
{
    const gnutls_datum_t wrapped = {
            session->encrypted_keys[recipient], (unsigned)session->encrypted_key_lens[recipient]};
    gnutls_privkey_t key;
    gnutls_datum_t plain;

    pki(gnutls_privkey_init(&key));
    pki(gnutls_privkey_import_x509(key, private_key, 0));
    pki(gnutls_privkey_decrypt_data(key, 0, &wrapped, &plain));
    gnutls_privkey_deinit(key);
    return plain;
}

static struct session *make(unsigned key_bits, size_t count)
{
    struct certificate *certificates[ENVELOPE_RECIPIENTS_MAX];
    struct session *session = NULL;
    struct diag diag = {.text = ""};

    for (size_t i = 0; i < count; i++)
        certificates[i] = certificate;
    if (session_new(key_bits, certificates, count, &session, &diag) != SEALTAPE_OK)
        fail_msg("%s", diag.text);
    return session;
}

/* --- refusals first ------------------------------------------------------- */

static void test_none_and_too_many_recipients_are_refused(void **state)
{
    struct certificate *certificates[ENVELOPE_RECIPIENTS_MAX + 1];
    struct session *session = NULL;
    struct diag diag;

    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(certificates); i++)
        certificates[i] = certificate;
    assert_int_equal(session_new(256, certificates, 0, &session, &diag), SEALTAPE_E_LIMIT);
    assert_int_equal(session_new(256, certificates, ARRAY_COUNT(certificates), &session, &diag),
            SEALTAPE_E_LIMIT);
    assert_contains(diag.text, "65");
    assert_null(session);
    session_free(&session);
}

static void test_a_key_that_is_not_rsa_is_refused_by_name(void **state)
{
    struct certificate *certificates[] = {certificate, elliptic};
    struct session *session = NULL;
    struct diag diag;

    (void)state;
    assert_int_equal(session_new(256, certificates, 2, &session, &diag), SEALTAPE_E_CERTIFICATE);
    assert_contains(diag.text, "elliptic");
    assert_null(session);
}

/* --- what goes well ------------------------------------------------------- */

static void test_the_private_key_opens_what_the_cipher_seals(void **state)
{
    static const unsigned bits[] = {128, 192, 256};

    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(bits); i++) {
        struct session *session = make(bits[i], 3);
        uint8_t sealed[32], closing[16], iv[16];
        struct aes128_ctx aes128;
        struct aes192_ctx aes192;
        struct aes256_ctx aes256;

        cipher_update(
                session->cipher, (const uint8_t *)"thirty-two bytes of a test phrase", 32, sealed);
        cipher_closing(session->cipher, closing);
        for (size_t r = 0; r < 3; r++) {
            gnutls_datum_t key = unwrap(session, r);
            uint8_t message[32];

            assert_int_equal(key.size, bits[i] / 8);
            memcpy(message, sealed, 32);
            memcpy(iv, session->iv, 16);
            if (bits[i] == 128)
                aes128_set_decrypt_key(&aes128, key.data),
                        cbc_decrypt(&aes128, (nettle_cipher_func *)aes128_decrypt, 16, iv, 32,
                                message, message);
            if (bits[i] == 192)
                aes192_set_decrypt_key(&aes192, key.data),
                        cbc_decrypt(&aes192, (nettle_cipher_func *)aes192_decrypt, 16, iv, 32,
                                message, message);
            if (bits[i] == 256)
                aes256_set_decrypt_key(&aes256, key.data),
                        cbc_decrypt(&aes256, (nettle_cipher_func *)aes256_decrypt, 16, iv, 32,
                                message, message);
            assert_memory_equal(message, "thirty-two bytes of a test phrase", 32);
            gnutls_free(key.data);
        }
        session_free(&session);
        assert_null(session);
    }
}

static void test_the_commitment_is_the_hmac_of_label_and_iv(void **state)
{
    struct session *session = make(256, 1);
    gnutls_datum_t key = unwrap(session, 0);
    struct hmac_sha256_ctx hmac;
    uint8_t digest[32];
    char hex[65];

    (void)state;
    hmac_sha256_set_key(&hmac, key.size, key.data);
    hmac_sha256_update(&hmac, 26, (const uint8_t *)"sealtape key commitment v1");
    hmac_sha256_update(&hmac, 16, session->iv);
    hmac_sha256_digest(&hmac, 32, digest);
    hex_encode(digest, 32, hex);
    assert_string_equal(session->key_commitment, hex);
    gnutls_free(key.data);
    session_free(&session);
}

static void test_key_iv_and_wrapping_are_fresh_each_time(void **state)
{
    enum { TIMES = 20 };
    struct session *sessions[TIMES];
    gnutls_datum_t keys[TIMES];

    (void)state;
    for (int i = 0; i < TIMES; i++) {
        sessions[i] = make(256, 2);
        keys[i] = unwrap(sessions[i], 0);
        assert_memory_not_equal(
                sessions[i]->encrypted_keys[0], sessions[i]->encrypted_keys[1], 256);
        for (int j = 0; j < i; j++) {
            assert_memory_not_equal(keys[i].data, keys[j].data, 32);
            assert_memory_not_equal(sessions[i]->iv, sessions[j]->iv, 16);
        }
    }
    for (int i = 0; i < TIMES; i++) {
        gnutls_free(keys[i].data);
        session_free(&sessions[i]);
    }
}

#define MASK 0x5au

/* Places of a pattern in the heap; it is given masked, so that the search is not what is found. */
static unsigned count_in_heap(const uint8_t *masked, size_t len)
{
    FILE *maps = fopen("/proc/self/maps", "r");
    unsigned found = 0;
    char line[512];

    assert_non_null(maps);
    while (fgets(line, sizeof(line), maps)) {
        unsigned long from, to;

        if (!strstr(line, "[heap]") || sscanf(line, "%lx-%lx r", &from, &to) != 2)
            continue;
        for (const uint8_t *at = (const uint8_t *)from; at + len <= (const uint8_t *)to; at++) {
            size_t same = 0;

            while (same < len && (at[same] ^ MASK) == masked[same])
                same++;
            found += same == len;
        }
    }
    fclose(maps);
    return found;
}

/* The session key, masked; another process opens it, so that it never was in this one. */
static void unwrap_elsewhere(const struct session *session, uint8_t ret_masked[32])
{
    int ends[2], status;
    pid_t pid;

    assert_int_equal(pipe(ends), 0);
    pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        gnutls_datum_t key = unwrap(session, 0);

        for (int i = 0; i < 32; i++)
            key.data[i] ^= MASK;
        _exit(write(ends[1], key.data, 32) == 32 ? 0 : 1);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    assert_int_equal(read(ends[0], ret_masked, 32), 32);
    close(ends[0]);
    close(ends[1]);
}

static void test_the_key_is_nowhere_in_the_heap(void **state)
{
    struct session *session = make(256, 2);
    uint8_t key[32], iv[16];

    (void)state;
    unwrap_elsewhere(session, key);
    for (int i = 0; i < 16; i++)
        iv[i] = session->iv[i] ^ MASK;
#ifndef SANITIZED
    /* The search finds what is there. Sanitizers keep the heap under no such name. */
    assert_true(count_in_heap(iv, 16) >= 1);
#else
    (void)iv;
#endif
    assert_int_equal(count_in_heap(key, 32), 0);
    session_free(&session);
    assert_int_equal(count_in_heap(key, 32), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
            cmocka_unit_test(test_none_and_too_many_recipients_are_refused),
            cmocka_unit_test(test_a_key_that_is_not_rsa_is_refused_by_name),
            cmocka_unit_test(test_the_private_key_opens_what_the_cipher_seals),
            cmocka_unit_test(test_the_commitment_is_the_hmac_of_label_and_iv),
            cmocka_unit_test(test_key_iv_and_wrapping_are_fresh_each_time),
            cmocka_unit_test(test_the_key_is_nowhere_in_the_heap),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
