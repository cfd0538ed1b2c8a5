#include "delivery/origin.h"

#include <string.h>

#include "../unit.h"
#include "base/clock.h"
#include "delivery/backoff.h"

static struct pace pace;

static int setup(void **state)
{
    static struct origin *list;
    struct url url;

    pace = pace_default;
    list = NULL;
    assert_int_equal(url_parse("https://store.example/rec/", &url, NULL), SEALTAPE_OK);
    assert_non_null(origin_find(&list, &url));
    *state = &list;
    return 0;
}

static int teardown(void **state)
{
    origin_free_all(*state);
    return 0;
}

static bool usable(const struct origin *origin)
{
    return origin_usable(origin, clock_monotonic_ns());
}

static void only_failures_in_a_row_open_the_breaker(void **state)
{
    struct origin *origin = *(struct origin **)*state;

    for (unsigned i = 0; i < 3 * pace.breaker_failures; i++) {
        assert_false(origin_failed(origin, false, 0, &pace));
        assert_false(origin_worked(origin, false));
    }
    for (unsigned i = 1; i < pace.breaker_failures; i++)
        assert_false(origin_failed(origin, false, 0, &pace));
    assert_true(usable(origin));
    assert_true(origin_failed(origin, false, 0, &pace));
    assert_false(usable(origin));
}

static void an_open_breaker_lets_one_probe_through_when_it_is_time(void **state)
{
    struct origin *origin = *(struct origin **)*state;
    uint64_t first_until;

    while (!origin_failed(origin, false, 0, &pace))
        continue;
    first_until = origin->open_until_ns;
    assert_false(origin_usable(origin, first_until - 1));
    assert_true(origin_usable(origin, first_until));
    assert_true(origin_begin(origin));
    assert_false(origin_usable(origin, first_until));
    /* What was still on its way neither ends the probe nor prolongs the wait. */
    assert_false(origin_failed(origin, false, 0, &pace));
    assert_int_equal(origin->open_until_ns, first_until);
    assert_false(origin_failed(origin, true, 0, &pace));
    assert_true(origin->open);
    assert_true(origin_begin(origin));
    assert_true(origin_worked(origin, true));
    assert_true(usable(origin));
    assert_false(origin_begin(origin));
}

static void a_probe_that_is_cancelled_leaves_room_for_the_next(void **state)
{
    struct origin *origin = *(struct origin **)*state;

    while (!origin_failed(origin, false, 0, &pace))
        continue;
    assert_true(origin_begin(origin));
    origin_probe_cancelled(origin);
    assert_true(origin_usable(origin, origin->open_until_ns));
}

static void an_origins_own_wish_to_wait_is_kept(void **state)
{
    struct origin *origin = *(struct origin **)*state;

    while (!origin_failed(origin, false, 90000, &pace))
        continue;
    assert_false(origin_usable(origin, clock_monotonic_ns() + UINT64_C(89) * 1000000000));
    origin_forgive(origin);
    assert_true(usable(origin));
}

static void other_ports_and_schemes_are_other_origins(void **state)
{
    struct origin **list = *state;
    struct url url;

    assert_int_equal(url_parse("https://STORE.example:443/other", &url, NULL), SEALTAPE_OK);
    assert_ptr_equal(origin_find(list, &url), *list);
    assert_int_equal(url_parse("http://store.example:443/rec/", &url, NULL), SEALTAPE_OK);
    assert_null(origin_find(list, &url)->next->next);
    assert_int_equal(url_parse("https://store.example:444/rec/", &url, NULL), SEALTAPE_OK);
    assert_string_equal(origin_find(list, &url)->name, "https://store.example:444");
}

static void log_lines_are_summed_up(void **state)
{
    struct origin *origin = *(struct origin **)*state;
    unsigned unsaid = 42;

    assert_true(origin_tell(origin, &pace, &unsaid));
    assert_int_equal(unsaid, 0);
    for (unsigned i = 0; i < 7; i++)
        assert_false(origin_tell(origin, &pace, &unsaid));
    pace.summary_ms = 0;
    assert_true(origin_tell(origin, &pace, &unsaid));
    assert_int_equal(unsaid, 7);
}

static void back_off_grows_within_its_bounds(void **state)
{
    (void)state;
    for (unsigned failures = 0; failures < 80; failures++) {
        for (unsigned i = 0; i < 50; i++) {
            uint64_t bound = failures < 7 ? UINT64_C(500) << failures : 60000;
            uint64_t ms = backoff_ms(failures, 500, 60000);

            if (bound > 60000)
                bound = 60000;
            assert_true(ms <= bound);
            assert_true(ms >= bound / 8);
        }
    }
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
            CASE(only_failures_in_a_row_open_the_breaker),
            CASE(an_open_breaker_lets_one_probe_through_when_it_is_time),
            CASE(a_probe_that_is_cancelled_leaves_room_for_the_next),
            CASE(an_origins_own_wish_to_wait_is_kept),
            CASE(other_ports_and_schemes_are_other_origins),
            CASE(log_lines_are_summed_up),
            cmocka_unit_test(back_off_grows_within_its_bounds),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
