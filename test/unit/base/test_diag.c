#include "base/diag.h"

#include <string.h>

#include "../unit.h"

static void a_reason_is_one_line(void **state)
{
    struct diag diag;

    (void)state;
    assert_int_equal(diag_fail(&diag, SEALTAPE_E_IO, "a\nb\tc\x7f%s", "\x1b[0m"), SEALTAPE_E_IO);
    assert_string_equal(diag.text, "a b c  [0m");
}

static void no_diag_is_fine(void **state)
{
    (void)state;
    assert_int_equal(diag_fail(NULL, SEALTAPE_E_USAGE, "x"), SEALTAPE_E_USAGE);
    diag_prefix(NULL, "x");
}

static void a_long_reason_is_cut(void **state)
{
    char text[4000];
    struct diag diag;

    (void)state;
    memset(text, 'x', sizeof(text));
    text[sizeof(text) - 1] = '\0';
    (void)diag_fail(&diag, SEALTAPE_E_IO, "%s", text);
    assert_int_equal(strlen(diag.text), DIAG_TEXT_MAX - 1);
    diag_prefix(&diag, "%s: ", "name");
    assert_int_equal(strncmp(diag.text, "name: xxx", 9), 0);
    assert_int_equal(strlen(diag.text), DIAG_TEXT_MAX - 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
            cmocka_unit_test(a_reason_is_one_line),
            cmocka_unit_test(no_diag_is_fine),
            cmocka_unit_test(a_long_reason_is_cut),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
