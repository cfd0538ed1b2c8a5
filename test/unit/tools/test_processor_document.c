#include "processor/document.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../unit.h"
#include "processor_sample.h"

static const struct refusal {
    const char *text;
    const char *reason;
} refusals[] = {
        {"{\"id\":\"+14155550100", "line 1, column 19, position 19"},
        {"{\n\"id\": +14155550100}", "line 2, column 7"},
        {"{\"id\":\"a\",\"id\":\"b\",\"mediaFiles\":[]}", "duplicate object key"},
        {"\xff", "no valid JSON"},
        {"{\"id\":\"a\\u0000b\",\"mediaFiles\":[]}", "no valid JSON"},
        {"[]", "the document is not an object"},
        {"{}", "id is missing"},
        {"{\"id\":\"\",\"mediaFiles\":[]}", "id: expected a string of 1 to 1024 bytes"},
        {"{\"id\":7,\"mediaFiles\":[]}", "id: expected a string"},
        {"{\"id\":null,\"mediaFiles\":[]}", "id: expected a string"},
        {"{\"id\":\"a\"}", "mediaFiles is missing"},
        {"{\"id\":\"a\",\"mediaFiles\":{}}", "mediaFiles: expected an array of objects"},
        {"{\"id\":\"a\",\"mediaFiles\":[7]}", "mediaFiles: expected an array of objects"},
        {"{\"id\":\"a\",\"mediaFiles\":[{}]}", "mediaFiles[0].mediaId is missing"},
        {"{\"id\":\"a\",\"mediaFiles\":[],\"callerPhoneNumber\":14155550100}",
                "callerPhoneNumber: expected a string"},
        {"{\"id\":\"a\",\"mediaFiles\":[],\"startTime\":\"+14155550100\"}",
                "startTime: expected a time"},
        {"{\"id\":\"a\",\"mediaFiles\":[],\"eventHistory\":\"\"}",
                "eventHistory: expected an array"},
        {"{\"id\":\"a\",\"mediaFiles\":[{\"mediaId\":\"m\",\"size\":\"1e3\"}]}",
                "mediaFiles[0].size: expected a string of digits"},
        {"{\"id\":\"a\",\"mediaFiles\":[{\"mediaId\":\"m\",\"certAlias\":[1]}]}",
                "mediaFiles[0].certAlias: expected an array of strings"},
        {"{\"id\":\"a\",\"mediaFiles\":[{\"mediaId\":\"m\",\"sealtape\":{\"recipients\":"
         "[{},{\"serial\":4097}]}}]}",
                "mediaFiles[0].sealtape.recipients[1].serial: expected a string"},
        {"{\"id\":\"a\",\"mediaFiles\":[{\"mediaId\":\"m\"},{\"mediaId\":\"n\"},"
         "{\"mediaId\":\"m\"}]}",
                "mediaFiles[2].mediaId: the same as that of mediaFiles[0]"},
};

static void a_refused_document_says_where_and_never_shows_a_number(void **state)
{
    size_t i;

    (void)state;
    for (i = 0; i < ARRAY_COUNT(refusals); i++) {
        struct document *document = NULL;
        char *text = strdup(refusals[i].text);
        struct diag diag = {""};

        assert_non_null(text);
        assert_int_equal(document_parse(&text, strlen(text), &document, &diag), SEALTAPE_E_USAGE);
        assert_non_null(text);
        assert_null(document);
        assert_contains(diag.text, refusals[i].reason);
        assert_null(strstr(diag.text, "4155550100"));
        free(text);
    }
}

static void too_many_values_are_refused_before_they_are_read(void **state)
{
    size_t len = 2 * (DOCUMENT_VALUES_MAX + 1);
    char *text = malloc(len + 1);
    struct document *document = NULL;
    struct diag diag = {""};
    size_t i;

    (void)state;
    assert_non_null(text);
    for (i = 0; i < len; i++)
        text[i] = i % 2 ? ',' : '0';
    text[len] = '\0';
    assert_int_equal(document_parse(&text, len, &document, &diag), SEALTAPE_E_USAGE);
    assert_string_equal(diag.text, "more than 500000 names and values");
    free(text);
}

static enum sealtape_status term_count(void *context, enum term_kind kind, const char *value)
{
    size_t *count = context;

    (void)kind;
    (void)value;
    ++*count;
    return SEALTAPE_OK;
}

static void a_value_too_long_for_the_index_is_kept_and_not_indexed(void **state)
{
    static const char format[] = "{\"id\":\"a\",\"mediaFiles\":[],\"callerPhoneNumber\":\"%s\"}";
    char value[DOCUMENT_TERM_MAX + 2], text[DOCUMENT_TERM_MAX + 100];
    struct document *document;
    size_t count = 0;

    (void)state;
    memset(value, '7', sizeof(value));
    value[sizeof(value) - 1] = '\0';
    (void)snprintf(text, sizeof(text), format, value);
    document = sample(text);
    assert_int_equal(document_terms(document, term_count, &count), SEALTAPE_OK);
    assert_int_equal(count, 0);
    document_free(&document);
    (void)snprintf(text, sizeof(text), format, value + 1);
    document = sample(text);
    assert_int_equal(document_terms(document, term_count, &count), SEALTAPE_OK);
    assert_int_equal(count, 1);
    document_free(&document);
}

static void the_digest_does_not_depend_on_the_order_of_members(void **state)
{
    struct document *one = sample("{\"id\":\"a\",\"mediaFiles\":[],\"x\":{\"b\":1,\"c\":2}}");
    struct document *two =
            sample("{ \"x\":{\"c\":2,\"b\":1}, \"mediaFiles\":[], \"id\":\"\\u0061\"}");
    struct document *other = sample("{\"id\":\"a\",\"mediaFiles\":[],\"x\":{\"b\":2,\"c\":1}}");

    (void)state;
    assert_memory_equal(one->digest, two->digest, DOCUMENT_DIGEST_SIZE);
    assert_memory_not_equal(one->digest, other->digest, DOCUMENT_DIGEST_SIZE);
    document_free(&one);
    document_free(&two);
    document_free(&other);
}

/* Merge two texts; the merged document's text, or NULL, is the caller's. */
static enum document_relation relation(
        const char *current, const char *posted, char **ret_text, struct diag *diag)
{
    struct document *known = sample(current);
    struct document *news = sample(posted);
    struct document *merged = NULL;
    enum document_relation result;

    assert_int_equal(document_merge(known, news, &result, &merged, diag), SEALTAPE_OK);
    *ret_text = merged ? strdup(merged->text) : NULL;
    document_free(&known);
    document_free(&news);
    document_free(&merged);
    return result;
}

static void other_content_under_a_known_media_id_is_a_conflict(void **state)
{
    struct diag diag = {""};
    char *text;

    (void)state;
    assert_int_equal(relation(SAMPLE("r", SAMPLE_MEDIA("m")),
                             SAMPLE("r", SAMPLE_MEDIA("n") ",{\"mediaId\":\"m\"}"), &text, &diag),
            DOCUMENT_CONFLICT);
    assert_null(text);
    assert_string_equal(diag.text, "mediaFiles[1]: its mediaId is known with other content");
}

static void other_outer_members_without_new_media_are_a_conflict(void **state)
{
    struct diag diag = {""};
    char *text;

    (void)state;
    assert_int_equal(relation("{\"id\":\"r\",\"region\":\"a\",\"mediaFiles\":[]}",
                             "{\"id\":\"r\",\"region\":\"b\",\"mediaFiles\":[]}", &text, &diag),
            DOCUMENT_CONFLICT);
    assert_int_equal(relation("{\"id\":\"r\",\"mediaFiles\":[]}",
                             "{\"id\":\"r\",\"region\":\"b\",\"mediaFiles\":[]}", &text, &diag),
            DOCUMENT_CONFLICT);
    assert_null(text);
}

static void a_part_of_what_is_known_is_the_same(void **state)
{
    struct diag diag = {""};
    char *text;

    (void)state;
    assert_int_equal(relation(SAMPLE("r", SAMPLE_MEDIA("m") "," SAMPLE_MEDIA("n")),
                             SAMPLE("r", SAMPLE_MEDIA("n")), &text, &diag),
            DOCUMENT_SAME);
    assert_null(text);
}

static void a_new_media_file_joins_and_the_span_grows(void **state)
{
    struct diag diag = {""};
    char *text;

    (void)state;
    assert_int_equal(relation("{\"id\":\"r\",\"startTime\":\"2026-03-02T09:15:00Z\","
                              "\"stopTime\":\"2026-03-02T09:18:00Z\",\"eventHistory\":[1],"
                              "\"region\":\"a\",\"mediaFiles\":[{\"mediaId\":\"m\"}]}",
                             "{\"id\":\"r\",\"startTime\":\"2026-03-02T10:14:00+01:00\","
                             "\"stopTime\":\"2026-03-02T09:17:00Z\",\"eventHistory\":[2,1],"
                             "\"region\":\"b\",\"more\":1,\"mediaFiles\":[{\"mediaId\":\"n\"}]}",
                             &text, &diag),
            DOCUMENT_JOINED);
    assert_string_equal(text,
            "{\"id\":\"r\",\"startTime\":\"2026-03-02T10:14:00+01:00\","
            "\"stopTime\":\"2026-03-02T09:18:00Z\",\"eventHistory\":[1,2],\"region\":\"a\","
            "\"mediaFiles\":[{\"mediaId\":\"m\"},{\"mediaId\":\"n\"}],\"more\":1}");
    free(text);
}

static void a_time_that_is_none_is_refused(void **state)
{
    static const char *const texts[] = {"", "2026", "2026-03-02", "2026-03-02T09:15:00",
            "2026-03-02 09:15:00Z", "2026-3-2T09:15:00Z", "2026-02-30T09:15:00Z",
            "2026-03-02T24:15:00Z", "2026-03-02T09:15:00.Z", "2026-03-02T09:15:00+1:00",
            "2026-03-02T09:15:00+01:60", "2026-03-02T09:15:00Zulu", " 2026-03-02T09:15:00Z",
            "2026-03-02T09:15:00.000000000000000000000Z", "+14155550100"};
    int64_t ms = 7;
    size_t i;

    (void)state;
    for (i = 0; i < ARRAY_COUNT(texts); i++) {
        if (moment_parse(texts[i], &ms) != SEALTAPE_E_USAGE)
            fail_msg("%s was taken", texts[i]);
    }
    assert_int_equal(ms, 7);
}

static void a_time_is_read_with_any_offset(void **state)
{
    static const char *const texts[] = {"2026-03-02T09:15:00.250Z", "2026-03-02t09:15:00.25z",
            "2026-03-02T10:15:00.250+01:00", "2026-03-02T03:45:00.2509-0530"};
    int64_t ms;
    size_t i;

    (void)state;
    for (i = 0; i < ARRAY_COUNT(texts); i++) {
        assert_int_equal(moment_parse(texts[i], &ms), SEALTAPE_OK);
        assert_int_equal(ms, INT64_C(1772442900250));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
            cmocka_unit_test(a_refused_document_says_where_and_never_shows_a_number),
            cmocka_unit_test(too_many_values_are_refused_before_they_are_read),
            cmocka_unit_test(a_value_too_long_for_the_index_is_kept_and_not_indexed),
            cmocka_unit_test(the_digest_does_not_depend_on_the_order_of_members),
            cmocka_unit_test(other_content_under_a_known_media_id_is_a_conflict),
            cmocka_unit_test(other_outer_members_without_new_media_are_a_conflict),
            cmocka_unit_test(a_part_of_what_is_known_is_the_same),
            cmocka_unit_test(a_new_media_file_joins_and_the_span_grows),
            cmocka_unit_test(a_time_that_is_none_is_refused),
            cmocka_unit_test(a_time_is_read_with_any_offset),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
