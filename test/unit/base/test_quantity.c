#include "base/quantity.h"

#include "../unit.h"

static void sizes_and_times_have_units(void **state)
{
    uint64_t value;

    (void)state;
    assert_int_equal(quantity_size("20GiB", &value), SEALTAPE_OK);
    assert_int_equal(value, UINT64_C(20) << 30);
    assert_int_equal(quantity_size("0KiB", &value), SEALTAPE_OK);
    assert_int_equal(value, 0);
    assert_int_equal(quantity_size("16777215TiB", &value), SEALTAPE_OK);
    assert_int_equal(quantity_time("250ms", &value), SEALTAPE_OK);
    assert_int_equal(value, 250);
    assert_int_equal(quantity_time("10min", &value), SEALTAPE_OK);
    assert_int_equal(value, 600000);
    assert_int_equal(quantity_time("7d", &value), SEALTAPE_OK);
    assert_int_equal(value, 604800000);
}

static void anything_else_is_refused_and_changes_nothing(void **state)
{
    static const char *const sizes[] = {"", "20", "GiB", "-1GiB", "+1GiB", "1.5GiB", "1 GiB",
            " 1GiB", "1GiB ", "1gib", "1GB", "1s", "0x1KiB", "16777216TiB",
            "18446744073709551616KiB", "99999999999999999999999999999KiB"};
    static const char *const times[] = {
            "", "1", "s", "1S", "1m", "1 s", "1sec", "1KiB", "18446744073709551615s"};
    uint64_t value = 7;

    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(sizes); i++)
        assert_int_equal(quantity_size(sizes[i], &value), SEALTAPE_E_USAGE);
    for (size_t i = 0; i < ARRAY_COUNT(times); i++)
        assert_int_equal(quantity_time(times[i], &value), SEALTAPE_E_USAGE);
    assert_int_equal(value, 7);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
            cmocka_unit_test(sizes_and_times_have_units),
            cmocka_unit_test(anything_else_is_refused_and_changes_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
