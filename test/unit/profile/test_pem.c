#include "profile/pem.h"

#include "material.h"

static char *one, *issuing;
static struct pem *plain;

static int set_up(void **state)
{
    (void)state;
    one = material_read("one");
    issuing = material_read("issuing");
    return pem_read(one, strlen(one), &plain, NULL) == SEALTAPE_OK ? 0 : -1;
}

static int tear_down(void **state)
{
    (void)state;
    pem_free(&plain);
    free(one);
    free(issuing);
    return 0;
}

/* The text gives the certificate that the file gives. */
static void assert_same(const char *text)
{
    struct pem *pem = NULL;
    struct diag diag = {""};

    if (pem_read(text, strlen(text), &pem, &diag) != SEALTAPE_OK)
        fail_msg("%s", diag.text);
    assert_int_equal(pem->count, 1);
    assert_int_equal(pem->blocks[0].len, plain->blocks[0].len);
    assert_memory_equal(pem->blocks[0].bytes, plain->blocks[0].bytes, plain->blocks[0].len);
    pem_free(&pem);
}

static void assert_refused(const char *text, const char *reason)
{
    struct pem *pem = NULL;
    struct diag diag = {""};

    if (pem_read(text, strlen(text), &pem, &diag) != SEALTAPE_E_CERTIFICATE)
        fail_msg("accepted: %s", text);
    assert_null(pem);
    assert_contains(diag.text, reason);
}

static void newlines_that_became_something_else_are_repaired(void **state)
{
    static const char *const newlines[] = {"\n", "\r\n", "\r", " ", "", "\\n", "\\r\\n", "\\\\n",
            "\t", "\n\n", " \\n", "  \r\n  ", "\\r\\n\r\n"};

    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(newlines); i++) {
        char *text = text_replace(one, "\n", newlines[i]);

        assert_same(text);
        free(text);
    }
}

/* The base64 of the file in lines of @columns, with or without the last newline. */
static char *in_columns(size_t columns, int last_newline)
{
    char *flat = text_replace(one, "\n", ""), *text = calloc(1, 2 * strlen(one) + 10);
    const char *body = flat + strlen("-----BEGIN CERTIFICATE-----");
    size_t len = strlen(body) - strlen("-----END CERTIFICATE-----"), at;

    at = (size_t)sprintf(text, "-----BEGIN CERTIFICATE-----\n");
    for (size_t i = 0; i < len; i++) {
        text[at++] = body[i];
        if ((i + 1) % columns == 0 || i + 1 == len)
            text[at++] = '\n';
    }
    sprintf(text + at, "-----END CERTIFICATE-----%s", last_newline ? "\n" : "");
    free(flat);
    return text;
}

static void any_number_of_columns_is_read(void **state)
{
    static const size_t columns[] = {1, 3, 60, 64, 65, 76, 1000, 100000};

    (void)state;
    for (size_t i = 0; i < 2 * ARRAY_COUNT(columns); i++) {
        char *text = in_columns(columns[i / 2], i % 2);

        assert_same(text);
        free(text);
    }
}

static void white_space_in_labels_and_around_is_repaired(void **state)
{
    char *blank = text_replace(one, " CERTIFICATE", "CERTIFICATE");
    char *wide = text_replace(one, " CERTIFICATE", "\n  CERTIFICATE");
    char *old = text_replace(one, " CERTIFICATE", " X509 CERTIFICATE");
    char *around = text_format("  \r\n%s\n\n  ", one);
    char *described = text_format("Certificate:\n    Data:\n        Version: 3 (0x2)\n%s", one);

    (void)state;
    assert_same(blank);
    assert_same(wide);
    assert_same(old);
    assert_same(around);
    assert_same(described);
    free(blank);
    free(wide);
    free(old);
    free(around);
    free(described);
}

static void several_certificates_come_in_their_order(void **state)
{
    static const char *const between[] = {"", "\n", " ", "\\n", "\n\nsubject=Recording CA\n"};

    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(between); i++) {
        char *text = text_format("%s%s%s", one, between[i], issuing);
        struct pem *pem = NULL;

        assert_int_equal(pem_read(text, strlen(text), &pem, NULL), SEALTAPE_OK);
        assert_int_equal(pem->count, 2);
        assert_memory_equal(pem->blocks[0].bytes, plain->blocks[0].bytes, plain->blocks[0].len);
        assert_int_not_equal(pem->blocks[1].len, 0);
        pem_free(&pem);
        free(text);
    }
}

static void too_many_certificates_are_refused(void **state)
{
    char *text = calloc(PEM_CERTIFICATES_MAX + 1, strlen(one) + 1);

    (void)state;
    for (int i = 0; i <= PEM_CERTIFICATES_MAX; i++)
        strcat(text, one);
    assert_refused(text, "more than 16 certificates");
    free(text);
}

/* A text with the certificate mangled in one place, and what is said. */
struct mangling {
    const char *from, *to, *reason;
};

static void damaged_labels_are_refused(void **state)
{
    static const struct mangling manglings[] = {
            {"-----BEGIN", "----BEGIN", "damaged label"},
            {"-----BEGIN", "------BEGIN", "five dashes"},
            {"-----BEGIN", "BEGIN", "damaged label"},
            {"-----BEGIN", "", "damaged label"},
            {"-----BEGIN", "-----begin", "damaged label"},
            {"-----BEGIN",
                    "\xe2\x80\x94\xe2\x80\x94"
                    "BEGIN",
                    "damaged label"},
            {"-----BEGIN CERTIFICATE-----", "", "damaged label"},
            {"-----BEGIN CERTIFICATE-----", "-----BEGIN CERTIFICATE----", "five dashes"},
            {"-----BEGIN CERTIFICATE-----", "-----BEGIN CERTIFICATE------", "does not match"},
            {"-----BEGIN CERTIFICATE-----", "-----BEGIN CERTIFICATE", "five dashes"},
            {"-----BEGIN CERTIFICATE-----", "-----BEGIN CERTIFCATE-----", "not that of"},
            {"-----BEGIN CERTIFICATE-----", "-----BEGIN-----", "not that of"},
            {"-----BEGIN CERTIFICATE-----", "-----BEGIN PUBLIC KEY-----", "not that of"},
            {"-----BEGIN CERTIFICATE-----", "-----BEGIN PKCS7-----", "not that of"},
            {"-----BEGIN CERTIFICATE-----", "-----BEGIN CERTIFICATE REQUEST-----", "not that of"},
            {"-----BEGIN CERTIFICATE-----", "-----BEGIN TRUSTED CERTIFICATE-----", "TRUSTED"},
            {"-----BEGIN CERTIFICATE-----", "-----BEGIN X509 CERTIFICATE-----", "does not match"},
            {"-----END CERTIFICATE-----", "", "no -----END"},
            {"-----END CERTIFICATE-----", "-----END", "does not match"},
            {"-----END CERTIFICATE-----", "-----END CERTIFICATE----", "does not match"},
            {"-----END CERTIFICATE-----", "----END CERTIFICATE-----", "does not match"},
            {"-----END CERTIFICATE-----", "-----END CERTIFICATE REQUEST-----", "does not match"},
            {"-----END CERTIFICATE-----", "-----BEGIN CERTIFICATE-----", "does not match"},
            {"-----END CERTIFICATE-----", "-----END CERTIFICATE------", ""},
            {"-----END CERTIFICATE-----", "-----END CERTIFICATE----- -----END CERTIFICATE-----",
                    "damaged label"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(manglings); i++) {
        char *text = text_replace(one, manglings[i].from, manglings[i].to);

        if (i == 23)
            assert_same(text); /* a dash behind the last label hides nothing */
        else
            assert_refused(text, manglings[i].reason);
        free(text);
    }
}

static void what_is_not_base64_is_refused_with_its_place(void **state)
{
    static const char wrong[] = "!#$%&()*,.:;<>?@[]^_`{|}~\"'-=";
    size_t at = strlen("-----BEGIN CERTIFICATE-----\n") + 100;

    (void)state;
    for (size_t i = 0; i < strlen(wrong); i++) {
        char *text = strdup(one);
        char place[64];

        text[at] = wrong[i];
        (void)snprintf(place, sizeof(place), "character %zu", at + 1);
        assert_refused(text, place);
        free(text);
    }
}

/* Taking @count characters away at any of many places is never taken for a certificate. */
static void missing_characters_are_refused(void **state)
{
    size_t begin = strlen("-----BEGIN CERTIFICATE-----\n");
    size_t end = strlen(one) - strlen("-----END CERTIFICATE-----\n");

    (void)state;
    for (size_t count = 1; count <= 65; count = count == 1 ? 4 : count == 4 ? 65 : 66) {
        for (size_t at = begin; at + count < end; at += 37) {
            char *text = strdup(one);
            struct pem *pem = NULL;

            memmove(text + at, text + at + count, strlen(text + at + count) + 1);
            if (count > 1 || one[at] != '\n')
                assert_int_equal(pem_read(text, strlen(text), &pem, NULL), SEALTAPE_E_CERTIFICATE);
            pem_free(&pem);
            free(text);
        }
    }
}

static void a_text_cut_anywhere_is_refused(void **state)
{
    /* Without the final newline and up to four of the last dashes there is nothing to find. */
    size_t most = strlen(one) - 2;

    (void)state;
    for (size_t len = 0; len <= most; len += 11) {
        struct pem *pem = NULL;

        assert_int_equal(pem_read(one, len, &pem, NULL), SEALTAPE_E_CERTIFICATE);
        assert_null(pem);
    }
}

static void no_label_at_all_is_refused(void **state)
{
    char *flat = text_replace(one, "\n", "");

    (void)state;
    assert_refused("", "no -----BEGIN CERTIFICATE-----");
    assert_refused("certificate", "no -----BEGIN CERTIFICATE-----");
    flat[strlen(flat) - strlen("-----END CERTIFICATE-----")] = '\0';
    assert_refused(flat + strlen("-----BEGIN CERTIFICATE-----"), "base64 alone is not read");
    free(flat);
}

static void what_the_base64_holds_must_be_one_sequence(void **state)
{
    static const struct {
        const char *body, *reason;
    } bodies[] = {
            {"", "nothing stands between"},
            {"====", ""},
            {"AAAA", "does not begin"},
            {"MAA=", NULL}, /* an empty SEQUENCE has the form; it is no certificate later */
            {"MAB=", "stray bits"},
            {"MAA", "multiple of 4"},
            {"MA==", "does not begin"},
            {"MIAAAA==", "does not begin"},
            {"MIEBAA==", "does not begin"},
            {"MAEAAA==", "too much"},
            {"MAIA", "a part is missing"},
            {"MA=A", "is not base64"},
            {"=MAA", "is not base64"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(bodies); i++) {
        char *text = text_format(
                "-----BEGIN CERTIFICATE-----\n%s\n-----END CERTIFICATE-----\n", bodies[i].body);
        struct pem *pem = NULL;

        if (bodies[i].reason) {
            assert_refused(text, bodies[i].reason);
        } else {
            assert_int_equal(pem_read(text, strlen(text), &pem, NULL), SEALTAPE_OK);
            pem_free(&pem);
        }
        free(text);
    }
}

static void a_second_certificate_is_never_lost_silently(void **state)
{
    static const struct mangling manglings[] = {
            {"-----BEGIN", "----BEGIN", "damaged label"},
            {"-----END", "----END", "does not match"},
            {"MII", "MI", "certificate 2"},
            {"-----BEGIN CERTIFICATE-----", "", "damaged label"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(manglings); i++) {
        char *second = text_replace(issuing, manglings[i].from, manglings[i].to);
        char *text = text_format("%s%s", one, second);

        assert_refused(text, manglings[i].reason);
        free(second);
        free(text);
    }
}

static void what_is_meant_as_a_certificate_is_told_from_other_values(void **state)
{
    (void)state;
    assert_true(pem_is_meant(one, strlen(one)));
    assert_true(pem_is_meant("BEGIN something", 15));
    assert_true(pem_is_meant(one + 28, 600));
    assert_false(pem_is_meant("", 0));
    assert_false(pem_is_meant("yes", 3));
    assert_false(pem_is_meant("MIIC", 4));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
            cmocka_unit_test(newlines_that_became_something_else_are_repaired),
            cmocka_unit_test(any_number_of_columns_is_read),
            cmocka_unit_test(white_space_in_labels_and_around_is_repaired),
            cmocka_unit_test(several_certificates_come_in_their_order),
            cmocka_unit_test(too_many_certificates_are_refused),
            cmocka_unit_test(damaged_labels_are_refused),
            cmocka_unit_test(what_is_not_base64_is_refused_with_its_place),
            cmocka_unit_test(missing_characters_are_refused),
            cmocka_unit_test(a_text_cut_anywhere_is_refused),
            cmocka_unit_test(no_label_at_all_is_refused),
            cmocka_unit_test(what_the_base64_holds_must_be_one_sequence),
            cmocka_unit_test(a_second_certificate_is_never_lost_silently),
            cmocka_unit_test(what_is_meant_as_a_certificate_is_told_from_other_values),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
