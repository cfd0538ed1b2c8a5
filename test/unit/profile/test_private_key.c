#include "profile/private_key.h"

#include "material.h"

/* Labels are put together here, so that no file of the project holds a whole one. */
#define KEY(kind)                                                                                  \
    "-----BEGIN " kind "PRIVATE KEY-----\nc2VjcmV0c2VjcmV0\n-----END " kind "PRIVATE KEY-----\n"

static bool found(const char *text)
{
    return private_key_find(text, strlen(text), NULL);
}

static void labels_of_every_form_are_found(void **state)
{
    static const char *const texts[] = {
            KEY(""),
            KEY("RSA "),
            KEY("DSA "),
            KEY("EC "),
            KEY("ENCRYPTED "),
            KEY("OPENSSH "),
            KEY("ANY "),
            "---- BEGIN SSH2 ENCRYPTED PRIVATE KEY ----\nc2Vj",
            "-----BEGIN PGP PRIVATE KEY BLOCK-----\nc2Vj",
            "PuTTY-User-Key-File-2: ssh-rsa\nPrivate-Lines: 8\nc2Vj",
            "text before " KEY("RSA ") "text behind",
            "c2VjcmV0\n-----END RSA PRIVATE KEY-----",
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(texts); i++) {
        if (!found(texts[i]))
            fail_msg("not found: %s", texts[i]);
    }
}

static void mangled_labels_are_found(void **state)
{
    static const char *const texts[] = {
            "-----BEGIN\nRSA\nPRIVATE\nKEY-----",
            "-----BEGIN\\nRSA\\r\\nPRIVATE KEY-----",
            "-----BEGINRSAPRIVATEKEY-----",
            "----BEGIN RSA PRIVATE KEY----",
            "BEGIN RSA PRIVATE KEY",
            "- BEGIN PRIVATE KEY",
            "-----begin rsa private key-----",
            "-----Begin Private Key-----",
            "-----BEGIN RSA PRIVATE  KEY",
            "-----BEGIN RSA &#80;RIVATE KEY-----",
            "-----BEGIN RSA PRIVATE&#32;KEY-----",
            "-----BEGIN RSA PRIVATE&#xa;&#x4b;EY-----",
            "-----BEGIN RSA PRIVATE \\\\n KEY-----",
    };
    static const char utf16[] = "-\0B\0E\0G\0I\0N\0 \0P\0R\0I\0V\0A\0T\0E\0 \0K\0E\0Y\0-\0";

    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(texts); i++) {
        if (!found(texts[i]))
            fail_msg("not found: %s", texts[i]);
    }
    assert_true(private_key_find(utf16, sizeof(utf16), NULL));
}

static void keys_without_labels_are_found(void **state)
{
    static const char *const texts[] = {
            "MIIEpAIBAAKCAQEAsecret",
            "MIIJ\nKQIBAAKCAgEAsecret",
            "MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSj",
            "MIICdwIBADANBgkqhkiG9w0BAQEFAASCAmEwggJd",
            "MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQg",
            "MHcCAQEEIsecret",
            "MC4CAQAwBQYDK2VwBCIEI",
            "MIIFHDBOBgkqhkiG9w0BBQ0wQTApBgkqhkiG9w0BBQww",
            "b3BlbnNzaC1rZXktdjEAAAAABG5vbmU",
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(texts); i++) {
        if (!found(texts[i]))
            fail_msg("not found: %s", texts[i]);
    }
}

static void what_is_no_key_is_not_found(void **state)
{
    static const char *const names[] = {"root", "issuing", "one", "two", "three", "expired"};
    static const char *const texts[] = {
            "",
            "PRIVATE KEY",
            "we begin with a private key of the tenant",
            "at the end a private key is needed",
            "-----BEGIN PUBLIC KEY-----",
            "-----BEGIN CERTIFICATE-----",
            "BEGIN of it - PRIVATE KEY",
            "&#;&#x;&#99999999999;&",
            "\\",
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(texts); i++) {
        if (found(texts[i]))
            fail_msg("found: %s", texts[i]);
    }
    for (size_t i = 0; i < ARRAY_COUNT(names); i++) {
        char *text = material_read(names[i]);

        assert_false(found(text));
        free(text);
    }
}

static void blanking_leaves_no_byte_of_a_key(void **state)
{
    char text[] = "<a\nb='" KEY("RSA ") "' c=\"x" KEY("EC ") "\"/>\n" KEY("");
    size_t len = strlen(text);
    unsigned line = 0;

    (void)state;
    assert_true(private_key_blank(text, len, &line));
    assert_int_equal(line, 2);
    assert_int_equal(strlen(text), len);
    assert_null(strstr(text, "c2Vj"));
    assert_contains(text, "-----END EC PRIVATE KEY-----");
    assert_true(found(text));
}

static void blanking_leaves_other_texts_alone(void **state)
{
    char *text = material_read("one"), *copy = strdup(text);
    unsigned line = 7;

    (void)state;
    assert_false(private_key_blank(text, strlen(text), &line));
    assert_string_equal(text, copy);
    assert_int_equal(line, 7);
    free(text);
    free(copy);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
            cmocka_unit_test(labels_of_every_form_are_found),
            cmocka_unit_test(mangled_labels_are_found),
            cmocka_unit_test(keys_without_labels_are_found),
            cmocka_unit_test(what_is_no_key_is_not_found),
            cmocka_unit_test(blanking_leaves_no_byte_of_a_key),
            cmocka_unit_test(blanking_leaves_other_texts_alone),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
