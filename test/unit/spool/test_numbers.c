#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../unit.h"
#include "spool/numbers.h"

#define EPOCH "0123456789abcdef0123456789abcdef"

static enum sealtape_status parse(const char *text, struct diag *diag)
{
    struct numbers *numbers = NULL;
    enum sealtape_status st;
    char epoch[33] = "untouched";

    assert_int_equal(numbers_new(&numbers), SEALTAPE_OK);
    st = numbers_parse(numbers, text, strlen(text), epoch, diag);
    assert_string_equal(epoch, st == SEALTAPE_OK ? EPOCH : "untouched");
    numbers_free(&numbers);
    assert_null(numbers);
    return st;
}

static void test_what_is_no_epoch_file_is_refused(void **state)
{
    static const char *const texts[] = {"", "sealtape", "sealtape-epoch x\n", "\n\n",
            "sealtape-epoch 1\n", "sealtape-epoch 1\nepoch \n", "sealtape-epoch 1\nepoch 0123\n",
            "sealtape-epoch 1\nepoch 0123456789ABCDEF0123456789ABCDEF\n",
            "sealtape-epoch 1\nepoch " EPOCH "\nnobody\n",
            "sealtape-epoch 1\nepoch " EPOCH "\ntenant 1\n",
            "sealtape-epoch 1\nepoch " EPOCH "\ntenant 1 2 3\n",
            "sealtape-epoch 1\nepoch " EPOCH "\ntenant 1 2"};
    struct diag diag;

    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(texts); i++) {
        assert_int_equal(parse(texts[i], &diag), SEALTAPE_E_SPOOL);
        assert_contains(diag.text, "epoch");
    }
}

static void test_a_newer_format_is_told_apart(void **state)
{
    struct diag diag;

    (void)state;
    assert_int_equal(parse("sealtape-epoch 2\nwhatever\n", &diag), SEALTAPE_E_VERSION);
    assert_contains(diag.text, "format 2");
}

static void test_tenants_beyond_the_bound_are_refused(void **state)
{
    struct numbers *numbers = NULL;
    uint64_t number;

    (void)state;
    assert_int_equal(numbers_new(&numbers), SEALTAPE_OK);
    for (uint32_t tenant = 0; tenant < NUMBERS_TENANTS_MAX; tenant++)
        assert_int_equal(numbers_take(numbers, tenant, &number), SEALTAPE_OK);
    number = 77;
    assert_int_equal(numbers_take(numbers, NUMBERS_TENANTS_MAX, &number), SEALTAPE_E_LIMIT);
    assert_int_equal(number, 77);
    assert_int_equal(numbers_take(numbers, 5, &number), SEALTAPE_OK);
    assert_int_equal(number, 2);
    numbers_free(&numbers);
    numbers_free(&numbers);
}

static void test_numbers_count_from_one_for_each_tenant_and_go_beyond_what_was_seen(void **state)
{
    struct numbers *numbers = NULL;
    uint64_t number;

    (void)state;
    assert_int_equal(numbers_new(&numbers), SEALTAPE_OK);
    for (uint64_t i = 1; i <= 3; i++) {
        for (uint32_t tenant = 30; tenant > 0; tenant -= 10) {
            assert_int_equal(numbers_take(numbers, tenant, &number), SEALTAPE_OK);
            assert_int_equal(number, i);
        }
    }
    assert_int_equal(numbers_see(numbers, 10, 100), SEALTAPE_OK);
    assert_int_equal(numbers_see(numbers, 10, 50), SEALTAPE_OK);
    assert_int_equal(numbers_take(numbers, 10, &number), SEALTAPE_OK);
    assert_int_equal(number, 101);
    numbers_free(&numbers);
}

static void test_the_text_gives_the_same_numbers_back(void **state)
{
    struct numbers *numbers = NULL, *again = NULL;
    char *text = NULL, epoch[33];
    struct diag diag;
    uint64_t number;
    size_t len;

    (void)state;
    assert_int_equal(numbers_new(&numbers), SEALTAPE_OK);
    assert_int_equal(numbers_see(numbers, UINT32_MAX, 17), SEALTAPE_OK);
    assert_int_equal(numbers_see(numbers, 101, 5), SEALTAPE_OK);
    assert_int_equal(numbers_text(numbers, EPOCH, &text, &len), SEALTAPE_OK);
    assert_string_equal(
            text, "sealtape-epoch 1\nepoch " EPOCH "\ntenant 101 5\ntenant 4294967295 17\n");
    assert_int_equal(len, strlen(text));
    assert_int_equal(numbers_new(&again), SEALTAPE_OK);
    assert_int_equal(numbers_parse(again, text, len, epoch, &diag), SEALTAPE_OK);
    assert_string_equal(epoch, EPOCH);
    assert_int_equal(numbers_take(again, 101, &number), SEALTAPE_OK);
    assert_int_equal(number, 6);
    free(text);
    numbers_free(&numbers);
    numbers_free(&again);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
            cmocka_unit_test(test_what_is_no_epoch_file_is_refused),
            cmocka_unit_test(test_a_newer_format_is_told_apart),
            cmocka_unit_test(test_tenants_beyond_the_bound_are_refused),
            cmocka_unit_test(
                    test_numbers_count_from_one_for_each_tenant_and_go_beyond_what_was_seen),
            cmocka_unit_test(test_the_text_gives_the_same_numbers_back),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
