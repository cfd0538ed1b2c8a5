#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../unit.h"
#include "fault.h"
#include "spool/evidence.h"

static struct evidence *evidence;

static int set_up(void **state)
{
    (void)state;
    return evidence_new(&evidence);
}

static int tear_down(void **state)
{
    (void)state;
    evidence_free(&evidence);
    evidence_free(&evidence);
    return 0;
}

static void refuse(const char *key, const char *value, enum sealtape_status wanted, const char *why)
{
    uint64_t version = evidence_version(evidence);
    struct diag diag;

    assert_int_equal(evidence_set_parameter(evidence, key, value, &diag), wanted);
    assert_contains(diag.text, why);
    assert_int_equal(evidence->parameters_count, 0);
    assert_int_equal(evidence_version(evidence), version);
}

static void test_credentials_are_refused_whatever_their_case(void **state)
{
    static const char *const keys[] = {"auth", "AUTHORIZATION", "httpPassword", "PASSWORD",
            "client-secret", "xToken", "tokenizer", "Proxy-Auth"};

    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(keys); i++) {
        assert_true(evidence_is_credential(keys[i]));
        refuse(keys[i], "x", SEALTAPE_E_USAGE, "credential");
    }
    assert_false(evidence_is_credential("agentId"));
    assert_false(evidence_is_credential("passwd"));
    assert_false(evidence_is_credential(""));
}

static void test_what_is_not_utf8_is_refused(void **state)
{
    static const char *const texts[] = {"\xff", "a\x80", "\xc0\xaf", "\xc1\xbf", "\xe0\x80\x80",
            "\xed\xa0\x80", "\xf0\x80\x80\x80", "\xf4\x90\x80\x80", "\xf5\x80\x80\x80", "\xc3",
            "\xe2\x82", "\xf0\x9f\x98", "\xfe\xff"};

    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(texts); i++) {
        assert_false(evidence_is_utf8(texts[i]));
        refuse(texts[i], "value", SEALTAPE_E_USAGE, "UTF-8");
        refuse("key", texts[i], SEALTAPE_E_USAGE, "UTF-8");
    }
    assert_true(evidence_is_utf8("M\xc3\xbcller \xe2\x82\xac \xf0\x9f\x98\x80 \xed\x9f\xbf"));
    assert_true(evidence_is_utf8(""));
}

static void test_names_with_control_characters_and_none_are_refused(void **state)
{
    (void)state;
    refuse("", "x", SEALTAPE_E_USAGE, "without a name");
    refuse("a\nb", "x", SEALTAPE_E_USAGE, "control");
    refuse("a\x7f", "x", SEALTAPE_E_USAGE, "control");
    refuse("\x01", "x", SEALTAPE_E_USAGE, "control");
}

static void test_each_bound_holds_to_the_byte(void **state)
{
    char *value = malloc(EVIDENCE_VALUE_MAX + 2), key[EVIDENCE_KEY_MAX + 2];
    struct diag diag;

    (void)state;
    assert_non_null(value);
    memset(value, 'v', EVIDENCE_VALUE_MAX + 1);
    value[EVIDENCE_VALUE_MAX + 1] = '\0';
    memset(key, 'k', EVIDENCE_KEY_MAX + 1);
    key[EVIDENCE_KEY_MAX + 1] = '\0';
    refuse("key", value, SEALTAPE_E_LIMIT, "8193");
    refuse(key, "value", SEALTAPE_E_LIMIT, "129");
    value[EVIDENCE_VALUE_MAX] = key[EVIDENCE_KEY_MAX] = '\0';
    assert_int_equal(evidence_set_parameter(evidence, key, value, NULL), SEALTAPE_OK);
    for (int i = 1; i < EVIDENCE_PARAMETERS_MAX; i++) {
        (void)snprintf(key, sizeof(key), "p%d", i);
        assert_int_equal(evidence_set_parameter(evidence, key, "1", NULL), SEALTAPE_OK);
    }
    assert_int_equal(evidence_set_parameter(evidence, "another", "1", &diag), SEALTAPE_E_LIMIT);
    assert_contains(diag.text, "one too many");
    assert_int_equal(evidence_set_parameter(evidence, "p7", "2", NULL), SEALTAPE_OK);
    assert_int_equal(evidence->parameters_count, EVIDENCE_PARAMETERS_MAX);
    free(value);
}

static void test_one_mark_too_many_is_refused_and_spans_and_gaps_are_widened(void **state)
{
    uint64_t bytes = 0;

    (void)state;
    for (int i = 0; i < EVIDENCE_MARKS_MAX; i++) {
        assert_int_equal(evidence_add_mark(evidence, EVIDENCE_PAUSED, i), SEALTAPE_OK);
        assert_int_equal(evidence_begin_span(evidence, false, i), SEALTAPE_OK);
        evidence_end_span(evidence, false, i + 1, 0);
    }
    assert_int_equal(evidence_add_mark(evidence, EVIDENCE_RESUMED, 1), SEALTAPE_E_LIMIT);
    assert_int_equal(evidence->marks_count, EVIDENCE_MARKS_MAX);
    assert_int_equal(evidence_begin_span(evidence, false, 99999), SEALTAPE_OK);
    assert_int_equal(evidence->spans_count, EVIDENCE_MARKS_MAX);
    assert_int_equal(evidence->spans[EVIDENCE_MARKS_MAX - 1].end_ms, -1);
    evidence_end_span(evidence, false, 100000, 0);
    assert_int_equal(evidence->spans[EVIDENCE_MARKS_MAX - 1].end_ms, 100000);
    for (uint64_t i = 0; i < EVIDENCE_MARKS_MAX + 10; i++)
        assert_int_equal(evidence_add_gap(evidence, i, 3, 0), SEALTAPE_OK);
    assert_int_equal(evidence->gaps_count, EVIDENCE_MARKS_MAX);
    for (size_t i = 0; i < evidence->gaps_count; i++)
        bytes += evidence->gaps[i].bytes;
    assert_int_equal(bytes, 3 * (EVIDENCE_MARKS_MAX + 10));
}

static void test_without_memory_nothing_changes(void **state)
{
    const struct fault_plan plan = {.calls = FAULT_BIT(FAULT_MEMORY), .times = 1, .error = ENOMEM};
    uint64_t version = evidence_version(evidence);

    (void)state;
    fault_set(&plan);
    assert_int_equal(evidence_set_text(evidence, EVIDENCE_ANI, "1"), SEALTAPE_E_MEMORY);
    fault_set(&plan);
    assert_int_equal(evidence_set_parameter(evidence, "k", "v", NULL), SEALTAPE_E_MEMORY);
    fault_set(&plan);
    assert_int_equal(evidence_add_mark(evidence, EVIDENCE_PAUSED, 1), SEALTAPE_E_MEMORY);
    fault_set(&plan);
    assert_int_equal(evidence_begin_span(evidence, true, 1), SEALTAPE_E_MEMORY);
    fault_set(&plan);
    assert_int_equal(evidence_add_gap(evidence, 1, 1, 1), SEALTAPE_E_MEMORY);
    fault_set(&plan);
    assert_int_equal(evidence_set_close_reason(evidence, "x"), SEALTAPE_E_MEMORY);
    fault_clear();
    assert_int_equal(evidence_version(evidence), version);
    assert_int_equal(evidence->parameters_count + evidence->marks_count + evidence->spans_count
                             + evidence->gaps_count,
            0);
}

static void test_each_change_is_counted_and_the_last_value_stands(void **state)
{
    uint64_t version = evidence_version(evidence);

    (void)state;
    assert_int_equal(evidence_set_parameter(evidence, "agentId", "a", NULL), SEALTAPE_OK);
    assert_int_equal(evidence_set_parameter(evidence, "agentId", "b", NULL), SEALTAPE_OK);
    assert_int_equal(evidence_set_text(evidence, EVIDENCE_ANI, "1"), SEALTAPE_OK);
    assert_int_equal(evidence_set_text(evidence, EVIDENCE_ANI, "2"), SEALTAPE_OK);
    assert_int_equal(evidence_set_close_reason(evidence, "hung up"), SEALTAPE_OK);
    assert_int_equal(evidence_version(evidence), version + 5);
    assert_int_equal(evidence->parameters_count, 1);
    assert_string_equal(evidence->parameters[0].value, "b");
    assert_string_equal(evidence->texts[EVIDENCE_ANI], "2");
}

static void test_an_end_closes_the_open_span_of_its_kind(void **state)
{
    (void)state;
    assert_int_equal(evidence_begin_span(evidence, false, 10), SEALTAPE_OK);
    assert_int_equal(evidence_begin_span(evidence, true, 20), SEALTAPE_OK);
    evidence_end_span(evidence, false, 30, 0);
    assert_int_equal(evidence->spans[0].end_ms, 30);
    assert_int_equal(evidence->spans[1].end_ms, -1);
    evidence_end_span(evidence, true, 20, 500);
    assert_int_equal(evidence->spans[1].elapsed_ms, 500);
    assert_int_equal(evidence_add_gap(evidence, 100, 5, 1), SEALTAPE_OK);
    assert_int_equal(evidence_add_gap(evidence, 100, 6, 2), SEALTAPE_OK);
    assert_int_equal(evidence->gaps_count, 1);
    assert_int_equal(evidence->gaps[0].bytes, 11);
}

#define with_evidence(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
            with_evidence(test_credentials_are_refused_whatever_their_case),
            with_evidence(test_what_is_not_utf8_is_refused),
            with_evidence(test_names_with_control_characters_and_none_are_refused),
            with_evidence(test_each_bound_holds_to_the_byte),
            with_evidence(test_one_mark_too_many_is_refused_and_spans_and_gaps_are_widened),
            with_evidence(test_without_memory_nothing_changes),
            with_evidence(test_each_change_is_counted_and_the_last_value_stands),
            with_evidence(test_an_end_closes_the_open_span_of_its_kind),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
