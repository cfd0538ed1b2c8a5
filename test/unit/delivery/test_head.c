#include "delivery/head.h"

#include <string.h>

#include "../unit.h"

/* 2026-03-02T09:15:00Z, a Monday. */
#define NOW_MS INT64_C(1772442900000)

static struct head answered(int status, const char *line)
{
    struct head head = {status, 0, UINT64_MAX};

    assert_false(head_line(&head, line, strlen(line), NOW_MS));
    assert_int_equal(head.status, status);
    return head;
}

static int status_of(const char *line)
{
    struct head head = {201, 1000, 17};

    assert_true(head_line(&head, line, strlen(line), NOW_MS));
    assert_int_equal(head.retry_after_ms, 0);
    assert_int_equal(head.total, UINT64_MAX);
    return head.status;
}

static void a_delay_that_is_none_was_not_said(void **state)
{
    static const char *const values[] = {"", "-1", "+5", "0x10", "1e3", "120 s", "120, 5", "soon",
            "9999999999999999999", "Mon, 02 Mar 2026 09:16:00", "Mon, 02 Mar 2026 09:16:00 CET",
            "Mon, 02 Mrz 2026 09:16:00 GMT", "Mon, 00 Mar 2026 09:16:00 GMT",
            "Mon, 02 Mar 2026 24:16:00 GMT", "Mon, 02 Mar 2026 09-16-00 GMT",
            "Mon, 2 Mar 2026 09:16:00 GMT", "Monday, 02-Mar-26 09:16:00 GMT"};
    char line[100];

    (void)state;
    for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
        strcat(strcpy(line, "Retry-After: "), values[i]);
        assert_int_equal(answered(503, line).retry_after_ms, 0);
    }
}

static void a_delay_is_seconds_or_a_date_and_has_a_limit(void **state)
{
    (void)state;
    assert_int_equal(answered(503, "Retry-After: 120\r\n").retry_after_ms, 120000);
    assert_int_equal(answered(503, "RETRY-AFTER:0").retry_after_ms, 0);
    assert_int_equal(answered(503, "retry-after:\t 5 \t\r\n").retry_after_ms, 5000);
    assert_int_equal(answered(503, "Retry-After: 601").retry_after_ms, 600000);
    assert_int_equal(
            answered(503, "Retry-After: Mon, 02 Mar 2026 09:16:30 GMT\r\n").retry_after_ms, 90000);
    assert_int_equal(answered(503, "Retry-After: Sat, 28 Feb 2026 09:16:30 GMT").retry_after_ms, 0);
    assert_int_equal(
            answered(503, "Retry-After: Fri, 31 Dec 9999 23:59:59 GMT").retry_after_ms, 600000);
}

/* 18446744073709552 seconds are 384 milliseconds where 64 bits run over. */
static void a_delay_that_overflows_does_not_become_a_short_one(void **state)
{
    (void)state;
    assert_int_equal(answered(503, "Retry-After: 18446744073709552").retry_after_ms, 600000);
}

static void a_total_that_is_none_was_not_said(void **state)
{
    static const char *const lines[] = {"Content-Range: bytes 0-0/*", "Content-Range: bytes 0-0/",
            "Content-Range: bytes 0-0", "Content-Range: bytes 0-0/-1", "Content-Range: /5",
            "Content-Range: lines 0-0/5", "Content-Range: bytes 0-0/5x", "Content-Length: 5",
            "Content-Range: bytes 0-0/9999999999999999999", "Content-Ranges: bytes 0-0/5",
            " Content-Range: bytes 0-0/5", "Content-Range bytes 0-0/5", ""};

    (void)state;
    for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++)
        assert_int_equal(answered(206, lines[i]).total, UINT64_MAX);
    assert_int_equal(answered(200, "Content-Length: 5, 5").total, UINT64_MAX);
    assert_int_equal(answered(200, "Content-Length: -5").total, UINT64_MAX);
}

static void the_total_is_of_the_range_or_of_a_whole_answer(void **state)
{
    (void)state;
    assert_int_equal(answered(206, "Content-Range: bytes 0-0/3271744\r\n").total, 3271744);
    assert_int_equal(answered(416, "content-range: BYTES */0\r\n").total, 0);
    assert_int_equal(answered(200, "Content-Length: 3271744\r\n").total, 3271744);
}

static void a_status_line_that_is_none_is_no_answer(void **state)
{
    static const char *const lines[] = {"HTTP/1.1", "HTTP/1.1 ", "HTTP/1.1    \r\n", "HTTP/1.1 20",
            "HTTP/1.1 2000", "HTTP/1.1 99999999999", "HTTP/1.1 2x1", "HTTP/1.1 -20",
            "HTTP/1.1 100 Continue\r\n", "HTTP/1.1 103\r\n"};

    (void)state;
    for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++)
        assert_int_equal(status_of(lines[i]), 0);
    assert_int_equal(answered(201, " HTTP/1.1 500\r\n").status, 201);
}

static void a_status_line_makes_void_what_was_said_before(void **state)
{
    (void)state;
    assert_int_equal(status_of("HTTP/1.1 204 No Content\r\n"), 204);
    assert_int_equal(status_of("HTTP/1.1 503\r\n"), 503);
    assert_int_equal(status_of("HTTP/1.0 412 \r\n"), 412);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
            cmocka_unit_test(a_delay_that_is_none_was_not_said),
            cmocka_unit_test(a_delay_is_seconds_or_a_date_and_has_a_limit),
            cmocka_unit_test(a_delay_that_overflows_does_not_become_a_short_one),
            cmocka_unit_test(a_total_that_is_none_was_not_said),
            cmocka_unit_test(the_total_is_of_the_range_or_of_a_whole_answer),
            cmocka_unit_test(a_status_line_that_is_none_is_no_answer),
            cmocka_unit_test(a_status_line_makes_void_what_was_said_before),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
