#include "unseal/key.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../unit.h"
#include "sealed.h"

static enum sealtape_status say(void *context, char *ret_passphrase, struct diag *diag)
{
    (void)diag;
    strcpy(ret_passphrase, context);
    return SEALTAPE_OK;
}

static enum sealtape_status decline(void *context, char *ret_passphrase, struct diag *diag)
{
    (void)context;
    (void)ret_passphrase;
    return diag_fail(diag, SEALTAPE_E_LIMIT, "nobody answers");
}

static enum sealtape_status load(const char *path, key_ask *ask, void *context, struct diag *diag)
{
    CLEANUP(key_free) struct key *key = NULL;
    const struct key_source source = {.path = path, .ask = ask, .context = context};
    enum sealtape_status st = key_load(&source, &key, diag);

    assert_int_equal(st == SEALTAPE_OK, key != NULL);
    return st;
}

static void each_form_of_a_key_is_read(void **state)
{
    static const char *const names[] = {
            "pkcs1.pem", "pkcs8.pem", "encrypted.pem", "encrypted-pkcs1.pem"};

    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(names); i++) {
        CLEANUP(key_free) struct key *key = sealed_key(names[i]);

        assert_int_equal(key_modulus_len(key), 256);
    }
}

static void a_wrong_passphrase_is_refused(void **state)
{
    char wrong[] = "wrong horse", empty[] = "";
    struct diag diag = {0};

    (void)state;
    assert_int_equal(load(VECTORS "encrypted.pem", say, wrong, &diag), SEALTAPE_E_USAGE);
    assert_contains(diag.text, "encrypted.pem: the passphrase is wrong");
    assert_int_equal(load(VECTORS "encrypted.pem", say, empty, &diag), SEALTAPE_E_USAGE);
    assert_int_equal(load(VECTORS "encrypted-pkcs1.pem", say, wrong, &diag), SEALTAPE_E_USAGE);
}

static void an_encrypted_key_without_a_passphrase_is_refused(void **state)
{
    struct diag diag = {0};

    (void)state;
    assert_int_equal(load(VECTORS "encrypted.pem", NULL, NULL, &diag), SEALTAPE_E_USAGE);
    assert_contains(diag.text, "give its passphrase");
    assert_int_equal(load(VECTORS "encrypted.pem", decline, NULL, &diag), SEALTAPE_E_LIMIT);
    assert_string_equal(diag.text, "nobody answers");
}

static void nobody_is_asked_for_the_passphrase_of_a_plain_key(void **state)
{
    (void)state;
    assert_int_equal(load(VECTORS "pkcs8.pem", decline, NULL, NULL), SEALTAPE_OK);
}

static void what_is_no_rsa_key_is_refused(void **state)
{
    struct diag diag = {0};

    (void)state;
    assert_int_equal(load(VECTORS "ec.pem", NULL, NULL, &diag), SEALTAPE_E_USAGE);
    assert_contains(diag.text, "expected an RSA key");
    assert_int_equal(load(VECTORS "certificate.pem", NULL, NULL, &diag), SEALTAPE_E_USAGE);
    assert_contains(diag.text, "expected a private key in PEM");
    assert_int_equal(load(VECTORS "none.pem", NULL, NULL, &diag), SEALTAPE_E_IO);
    assert_int_equal(load(VECTORS, NULL, NULL, &diag), SEALTAPE_E_IO);
}

static void a_damaged_key_is_refused_and_not_repeated(void **state)
{
    char path[] = "/tmp/sealtape-test-XXXXXX";
    static const char text[] = "-----BEGIN PRIVATE KEY-----\nMIIEsecretsecretsecret\n"
                               "-----END PRIVATE KEY-----\n";
    struct diag diag = {0};
    int fd = mkstemp(path);

    (void)state;
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, sizeof(text) - 1), sizeof(text) - 1);
    assert_int_equal(load(path, NULL, NULL, &diag), SEALTAPE_E_USAGE);
    assert_null(strstr(diag.text, "secret"));
    assert_int_equal(ftruncate(fd, KEY_FILE_MAX + 1), 0);
    assert_int_equal(load(path, NULL, NULL, &diag), SEALTAPE_E_LIMIT);
    assert_int_equal(ftruncate(fd, 0), 0);
    assert_int_equal(load(path, NULL, NULL, &diag), SEALTAPE_E_USAGE);
    close(fd);
    unlink(path);
}

static void a_message_of_another_length_decrypts_to_nothing(void **state)
{
    CLEANUP(key_free) struct key *key = sealed_key("pkcs1.pem");
    uint8_t message[2000] = {0};
    uint8_t plain[32];

    (void)state;
    memset(plain, 0x5a, sizeof(plain));
    assert_int_equal(key_decrypt(key, message, 0, plain, sizeof(plain)), 0);
    assert_int_equal(key_decrypt(key, message, 255, plain, sizeof(plain)), 0);
    assert_int_equal(key_decrypt(key, message, 257, plain, sizeof(plain)), 0);
    assert_int_equal(key_decrypt(key, message, sizeof(message), plain, sizeof(plain)), 0);
    message[200] = 1;
    assert_int_equal(key_decrypt(key, message, 256, plain, sizeof(plain)), 0);
    for (size_t i = 0; i < sizeof(plain); i++)
        assert_int_equal(plain[i], 0x5a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
            cmocka_unit_test(each_form_of_a_key_is_read),
            cmocka_unit_test(a_wrong_passphrase_is_refused),
            cmocka_unit_test(an_encrypted_key_without_a_passphrase_is_refused),
            cmocka_unit_test(nobody_is_asked_for_the_passphrase_of_a_plain_key),
            cmocka_unit_test(what_is_no_rsa_key_is_refused),
            cmocka_unit_test(a_damaged_key_is_refused_and_not_repeated),
            cmocka_unit_test(a_message_of_another_length_decrypts_to_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
