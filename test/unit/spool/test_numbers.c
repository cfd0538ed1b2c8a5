#include "spool/numbers.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../unit.h"

#define HEAD "sealtape-epoch 1\nepoch 0123456789abcdef0123456789abcdef\n"

struct refusal {
    const char *text;
    enum sealtape_status status;
    const char *why;
};

static void what_is_no_epoch_is_refused_and_changes_nothing(void **state)
{
    static const struct refusal refusals[] = {
            {"", SEALTAPE_E_SPOOL, "not a file of this project"},
            {"sealtape-epoch 0\n", SEALTAPE_E_SPOOL, "not a file of this project"},
            {"sealtape-epoch 1", SEALTAPE_E_SPOOL, "not a file of this project"},
            {"sealtape-epoch -1\n", SEALTAPE_E_SPOOL, "not a file of this project"},
            {"sealtape-epoch 99999999999\n", SEALTAPE_E_SPOOL, "not a file of this project"},
            {"sealtape-epoch 2\n", SEALTAPE_E_VERSION, "of format 2"},
            {"sealtape-epoch 1\n", SEALTAPE_E_SPOOL, "line 2: expected 32 hex digits"},
            {"sealtape-epoch 1\nepoch 0123\n", SEALTAPE_E_SPOOL, "line 2"},
            {"sealtape-epoch 1\nepoch 0123456789abcdef0123456789abcdefa\n", SEALTAPE_E_SPOOL,
                    "line 2"},
            {"sealtape-epoch 1\nepoch 0123456789abcdef0123456789abcdeg\n", SEALTAPE_E_SPOOL,
                    "line 2"},
            {"sealtape-epoch 1\nepoch 0123456789abcdef0123456789abcdef", SEALTAPE_E_SPOOL,
                    "line 2"},
            {HEAD "tenant 101\n", SEALTAPE_E_SPOOL, "line 3: expected \"tenant DBID NUMBER\""},
            {HEAD "tenant 101 1", SEALTAPE_E_SPOOL, "line 3"},
            {HEAD "tenant 101 -1\n", SEALTAPE_E_SPOOL, "line 3"},
            {HEAD "tenant 4294967296 1\n", SEALTAPE_E_SPOOL, "line 3"},
            {HEAD "tenant 101 9223372036854775808\n", SEALTAPE_E_SPOOL, "line 3"},
            {HEAD "tenant 101 18446744073709551617\n", SEALTAPE_E_SPOOL, "line 3"},
            {HEAD "tenant 101 1 \n", SEALTAPE_E_SPOOL, "line 3"},
            {HEAD "\n", SEALTAPE_E_SPOOL, "line 3"},
            {HEAD "tenant 101 1\ntenant 101 2\n", SEALTAPE_E_SPOOL,
                    "line 4: expected a tenant beyond 101, found 101"},
            {HEAD "tenant 102 1\ntenant 101 2\n", SEALTAPE_E_SPOOL, "beyond 102, found 101"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(refusals) / sizeof(refusals[0]); i++) {
        struct numbers *numbers = NULL;
        char epoch[33] = "untouched";
        struct diag diag = {""};
        uint64_t number = 0;

        assert_int_equal(numbers_new(&numbers), SEALTAPE_OK);
        assert_int_equal(numbers_see(numbers, 101, 41), SEALTAPE_OK);
        assert_int_equal(
                numbers_parse(numbers, refusals[i].text, strlen(refusals[i].text), epoch, &diag),
                refusals[i].status);
        assert_contains(diag.text, refusals[i].why);
        assert_string_equal(epoch, "untouched");
        assert_int_equal(numbers_take(numbers, 101, &number), SEALTAPE_OK);
        assert_int_equal(number, 42);
        numbers_free(&numbers);
    }
}

static void a_nul_does_not_hide_what_stands_behind_it(void **state)
{
    static const char text[] = HEAD "\0tenant 101 1\n";
    struct numbers *numbers = NULL;
    char epoch[33];

    (void)state;
    assert_int_equal(numbers_new(&numbers), SEALTAPE_OK);
    assert_int_equal(numbers_parse(numbers, text, sizeof(text) - 1, epoch, NULL), SEALTAPE_E_SPOOL);
    numbers_free(&numbers);
}

static void the_last_number_is_not_followed_by_the_first(void **state)
{
    static const char text[] = HEAD "tenant 101 9223372036854775806\n";
    struct numbers *numbers = NULL;
    uint64_t number = 0;
    char epoch[33];

    (void)state;
    assert_int_equal(numbers_new(&numbers), SEALTAPE_OK);
    assert_int_equal(numbers_parse(numbers, text, strlen(text), epoch, NULL), SEALTAPE_OK);
    assert_int_equal(numbers_take(numbers, 101, &number), SEALTAPE_OK);
    assert_int_equal(number, INT64_MAX);
    number = 7;
    assert_int_equal(numbers_take(numbers, 101, &number), SEALTAPE_E_LIMIT);
    assert_int_equal(number, 7);
    numbers_free(&numbers);
}

/* As many as may be, in a time that a start can spare. */
static void the_largest_file_is_read_back_as_it_was_written(void **state)
{
    struct numbers *numbers = NULL, *again = NULL;
    char *text = NULL, *second = NULL, epoch[33];
    size_t len = 0, second_len = 0;

    (void)state;
    assert_int_equal(numbers_new(&numbers), SEALTAPE_OK);
    assert_int_equal(numbers_new(&again), SEALTAPE_OK);
    for (uint32_t i = 0; i < NUMBERS_TENANTS_MAX; i++)
        assert_int_equal(numbers_see(numbers, i, i), SEALTAPE_OK);
    assert_int_equal(numbers_see(numbers, UINT32_MAX, 1), SEALTAPE_E_LIMIT);
    assert_int_equal(
            numbers_text(numbers, "0123456789abcdef0123456789abcdef", &text, &len), SEALTAPE_OK);
    assert_true(len <= NUMBERS_TEXT_MAX);
    assert_int_equal(numbers_parse(again, text, len, epoch, NULL), SEALTAPE_OK);
    assert_int_equal(numbers_text(again, epoch, &second, &second_len), SEALTAPE_OK);
    assert_int_equal(len, second_len);
    assert_memory_equal(text, second, len);
    free(text);
    free(second);
    numbers_free(&numbers);
    numbers_free(&again);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
            cmocka_unit_test(what_is_no_epoch_is_refused_and_changes_nothing),
            cmocka_unit_test(a_nul_does_not_hide_what_stands_behind_it),
            cmocka_unit_test(the_last_number_is_not_followed_by_the_first),
            cmocka_unit_test(the_largest_file_is_read_back_as_it_was_written),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
