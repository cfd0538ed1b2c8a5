#include "processor/query.h"

#include <stdlib.h>
#include <string.h>

#include "../unit.h"
#include "processor/percent.h"

static void a_bad_query_is_refused_by_name_and_never_shows_a_number(void **state)
{
    static const struct {
        const char *text;
        const char *reason;
    } cases[] = {
            {"limit=0", "limit: expected"},
            {"limit=1001", "limit: expected"},
            {"limit=+5", "limit: expected"},
            {"limit=5x", "limit: expected"},
            {"limit=", "limit: expected"},
            {"limit", "limit: no value"},
            {"limit=1&limit=1", "limit: given twice"},
            {"after=zz", "after: expected"},
            {"after=1.0", "after: expected"},
            {"after=0x1.2", "after: expected"},
            {"from=yesterday", "from: expected"},
            {"to=2026-03-02", "to: expected"},
            {"caller=", "caller: expected"},
            {"caller=%2", "caller: bad percent-encoding"},
            {"caller=%zz4155550100", "caller: bad percent-encoding"},
            {"caller=%00", "caller: bad percent-encoding"},
            {"caller=%ff", "caller: bad percent-encoding"},
            {"Caller=14155550100", "unknown parameter"},
            {"14155550100=1", "unknown parameter"},
            {"calle=1", "unknown parameter"},
    };
    size_t i;

    (void)state;
    for (i = 0; i < ARRAY_COUNT(cases); i++) {
        struct diag diag = {""};
        struct query query = {0};

        if (query_parse(cases[i].text, &query, &diag) != SEALTAPE_E_USAGE)
            fail_msg("%s was taken", cases[i].text);
        assert_contains(diag.text, cases[i].reason);
        assert_null(strstr(diag.text, "4155550100"));
    }
}

static void a_plus_is_itself_in_telephone_numbers_and_a_blank_elsewhere(void **state)
{
    struct query query = {0};
    struct diag diag = {""};

    (void)state;
    assert_int_equal(query_parse("caller=+1415&dialed=%2B1416&agentId=agent+1&callUUID=a%2Bb"
                                 "&from=2026-03-02T10:15:00+01:00",
                             &query, &diag),
            SEALTAPE_OK);
    assert_string_equal(query.terms[TERM_CALLER], "+1415");
    assert_string_equal(query.terms[TERM_DIALED], "+1416");
    assert_string_equal(query.terms[TERM_AGENT_ID], "agent 1");
    assert_string_equal(query.terms[TERM_CALL_UUID], "a+b");
    assert_int_equal(query.from_ms, INT64_C(1772442900000));
    query_clear(&query);
}

static void an_empty_query_has_the_defaults(void **state)
{
    struct query query = {0};
    struct diag diag = {""};

    (void)state;
    assert_int_equal(query_parse(NULL, &query, &diag), SEALTAPE_OK);
    assert_int_equal(query.limit, QUERY_LIMIT_DEFAULT);
    assert_int_equal(query_parse("", &query, &diag), SEALTAPE_OK);
    assert_null(query.terms[TERM_CALLER]);
}

static void a_cursor_comes_back(void **state)
{
    char text[QUERY_CURSOR_SIZE + 8] = "after=";
    struct query query = {0};
    struct diag diag = {""};

    (void)state;
    query_cursor(DOCUMENT_NO_START, 17, text + strlen("after="));
    assert_int_equal(query_parse(text, &query, &diag), SEALTAPE_OK);
    assert_true(query.after_ms == DOCUMENT_NO_START);
    assert_int_equal(query.after_number, 17);
}

static void an_encoded_segment_comes_back(void **state)
{
    static const char text[] = "a/b%c d+\xc3\xa9?#";
    char *encoded = percent_encode(text), *decoded = NULL;

    (void)state;
    assert_string_equal(encoded, "a%2Fb%25c%20d%2B%C3%A9%3F%23");
    assert_int_equal(
            percent_decode(encoded, strlen(encoded), PERCENT_PLUS_IS_PLUS, &decoded), SEALTAPE_OK);
    assert_string_equal(decoded, text);
    free(encoded);
    free(decoded);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
            cmocka_unit_test(a_bad_query_is_refused_by_name_and_never_shows_a_number),
            cmocka_unit_test(a_plus_is_itself_in_telephone_numbers_and_a_blank_elsewhere),
            cmocka_unit_test(an_empty_query_has_the_defaults),
            cmocka_unit_test(a_cursor_comes_back),
            cmocka_unit_test(an_encoded_segment_comes_back),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
