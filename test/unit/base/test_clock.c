#include "base/clock.h"

#include <string.h>

#include "../unit.h"

static void a_timestamp_reads_back(void **state)
{
    static const int64_t times[] = {0, 1, 999, -1, 1772442900000, 253402300799999, -62167219200000};
    char text[TIMESTAMP_SIZE];

    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(times); i++) {
        int64_t back = 42;

        timestamp_format(times[i], text);
        assert_int_equal(timestamp_parse(text, &back), SEALTAPE_OK);
        assert_true(back == times[i]);
    }
}

static void a_timestamp_is_rfc_3339_with_milliseconds(void **state)
{
    char text[TIMESTAMP_SIZE];

    (void)state;
    timestamp_format(1772442900007, text);
    assert_string_equal(text, "2026-03-02T09:15:00.007Z");
}

static void other_forms_are_refused(void **state)
{
    static const char *const texts[] = {"", "2026-03-02", "2026-03-02T09:15:00",
            "2026-03-02T09:15:00.000+01:00", "2026-03-02T09:15:00.000Z ", "yesterday"};
    int64_t ms = 42;

    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(texts); i++) {
        assert_int_equal(timestamp_parse(texts[i], &ms), SEALTAPE_E_USAGE);
        assert_int_equal(ms, 42);
    }
}

static int64_t fixed_time(void *context)
{
    return *(int64_t *)context;
}

static void the_hosts_clock_is_asked(void **state)
{
    int64_t now = 123456;

    (void)state;
    clock_set_host(fixed_time, &now);
    assert_int_equal(clock_utc_ms(), 123456);
    clock_set_host(NULL, NULL);
    assert_true(clock_utc_ms() > 1700000000000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
            cmocka_unit_test(a_timestamp_reads_back),
            cmocka_unit_test(a_timestamp_is_rfc_3339_with_milliseconds),
            cmocka_unit_test(other_forms_are_refused),
            cmocka_unit_test(the_hosts_clock_is_asked),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
