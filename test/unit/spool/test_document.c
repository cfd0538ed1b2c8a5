#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../unit.h"
#include "reel.h"
#include "spool/document.h"

#define EPOCH "0123456789abcdef0123456789abcdef"

static struct evidence *evidence;

static int set_up(void **state)
{
    (void)state;
    evidence = reel_evidence("one");
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    evidence_free(&evidence);
    return 0;
}

static struct document *build(void)
{
    struct document *document = NULL;
    struct diag diag;

    if (document_build(evidence, EPOCH, 17, &document, &diag) != SEALTAPE_OK)
        fail_msg("%s", diag.text);
    return document;
}

static json_t *parsed(const struct document *document, bool body)
{
    char *text = NULL;
    size_t len;
    json_t *root;

    assert_int_equal(
            body ? document_body(document, &text, &len) : document_text(document, &text, &len),
            SEALTAPE_OK);
    root = json_loadb(text, len, JSON_REJECT_DUPLICATES, NULL);
    assert_non_null(root);
    free(text);
    return root;
}

static json_t *media_of(json_t *root)
{
    return json_array_get(json_object_get(root, "mediaFiles"), 0);
}

static void finish(struct document *document, const char *outcome, uint64_t lost)
{
    const struct document_final final = {.outcome = outcome,
            .size = 1008,
            .plain_size = 1000,
            .duration_ms = 62,
            .stop_utc_ms = 1772442864480,
            .sha256 = (const uint8_t *)"0123456789abcdef0123456789abcdef",
            .chunk_digests = (const uint8_t *)"0123456789abcdef0123456789abcdef",
            .chunk_digests_count = 1,
            .lost_bytes = lost};

    assert_int_equal(document_finish(document, &final), SEALTAPE_OK);
}

static void refuse(const char *text, enum sealtape_status wanted)
{
    struct document *document = NULL;
    struct diag diag;

    assert_int_equal(document_parse(text, strlen(text), &document, &diag), wanted);
    assert_contains(diag.text, "document");
    assert_null(document);
}

static void test_what_is_no_document_is_refused(void **state)
{
    struct document *document = build();
    char *text = NULL;
    size_t len;

    (void)state;
    refuse("", SEALTAPE_E_STATE);
    refuse("[]", SEALTAPE_E_STATE);
    refuse("{}", SEALTAPE_E_STATE);
    refuse("{\"spool\": {\"format\": 0}}", SEALTAPE_E_STATE);
    refuse("{\"spool\": {\"format\": 1}}", SEALTAPE_E_STATE);
    refuse("{\"spool\": {\"format\": 2}}", SEALTAPE_E_VERSION);
    refuse("{\"spool\": {\"format\": 1}, \"spool\": {}}", SEALTAPE_E_STATE);
    assert_int_equal(document_text(document, &text, &len), SEALTAPE_OK);
    document_free(&document);
    for (size_t n = 0; n < len; n++) {
        assert_int_equal(document_parse(text, n, &document, NULL), SEALTAPE_E_STATE);
        assert_null(document);
    }
    free(text);
}

static void test_hostile_keys_and_values_stay_keys_and_values(void **state)
{
    static const char *const texts[] = {"\"}],\"outcome\":\"complete\"", "\\", "\\u0000",
            "</script>", "M\xc3\xbcller \xe2\x82\xac \xf0\x9f\x98\x80", "a\tb\r\nc",
            "'; drop table", "%s%n"};
    struct document *document;
    json_t *root, *parameters;
    char key[32];

    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(texts); i++) {
        (void)snprintf(key, sizeof(key), "p%zu\",\"x", i);
        assert_int_equal(evidence_set_parameter(evidence, key, texts[i], NULL), SEALTAPE_OK);
    }
    assert_int_equal(evidence_set_parameter(evidence, "spool", "mine", NULL), SEALTAPE_OK);
    assert_int_equal(evidence_set_parameter(evidence, "id", "forged", NULL), SEALTAPE_OK);
    document = build();
    root = parsed(document, true);
    parameters = json_object_get(media_of(root), "parameters");
    for (size_t i = 0; i < ARRAY_COUNT(texts); i++) {
        (void)snprintf(key, sizeof(key), "p%zu\",\"x", i);
        assert_string_equal(json_string_value(json_object_get(parameters, key)), texts[i]);
    }
    assert_string_equal(json_string_value(json_object_get(parameters, "spool")), "mine");
    assert_string_equal(json_string_value(json_object_get(parameters, "id")), "one");
    assert_null(json_object_get(json_object_get(media_of(root), "sealtape"), "outcome"));
    json_decref(root);
    document_free(&document);
}

static void test_the_body_tells_nothing_of_the_spool(void **state)
{
    struct document *document = build();
    json_t *body = parsed(document, true), *kept = parsed(document, false);

    (void)state;
    assert_null(json_object_get(body, "spool"));
    assert_non_null(json_object_get(kept, "spool"));
    json_decref(body);
    json_decref(kept);
    document_free(&document);
}

static void test_spans_still_open_end_with_the_media_and_never_before_they_begin(void **state)
{
    struct document *document;
    json_t *root, *masked;

    (void)state;
    assert_int_equal(evidence_begin_span(evidence, false, 50), SEALTAPE_OK);
    assert_int_equal(evidence_begin_span(evidence, true, 90), SEALTAPE_OK);
    document = build();
    finish(document, "interrupted", 0);
    root = parsed(document, true);
    masked = json_object_get(json_object_get(media_of(root), "sealtape"), "masked");
    assert_int_equal(json_integer_value(json_object_get(json_array_get(masked, 0), "endMs")), 62);
    assert_int_equal(json_integer_value(json_object_get(json_array_get(masked, 1), "endMs")), 90);
    json_decref(root);
    document_free(&document);
}

static void test_losses_that_no_gap_tells_become_one(void **state)
{
    struct document *document;
    json_t *root, *gaps;

    (void)state;
    assert_int_equal(evidence_add_gap(evidence, 500, 30, 0), SEALTAPE_OK);
    document = build();
    finish(document, "interrupted", 100);
    root = parsed(document, true);
    gaps = json_object_get(json_object_get(media_of(root), "sealtape"), "gaps");
    assert_int_equal(json_array_size(gaps), 2);
    assert_int_equal(json_integer_value(json_object_get(json_array_get(gaps, 1), "bytes")), 70);
    assert_int_equal(json_integer_value(json_object_get(json_array_get(gaps, 1), "offset")), 1000);
    assert_string_equal(document_outcome(document), "interrupted");
    json_decref(root);
    document_free(&document);
}

static void test_with_gaps_nothing_is_complete(void **state)
{
    struct document *document;

    (void)state;
    assert_int_equal(evidence_add_gap(evidence, 500, 30, 0), SEALTAPE_OK);
    document = build();
    finish(document, "complete", 30);
    assert_string_equal(document_outcome(document), "degraded");
    document_free(&document);
}

static void test_a_discarded_one_says_nothing_of_media(void **state)
{
    static const char *const media_members[] = {
            "mediaDescriptor", "duration", "size", "pkcs7", "certAlias"};
    struct document *document = build();
    struct entry_plan *plan = NULL;
    json_t *root;

    (void)state;
    finish(document, "complete", 0);
    assert_int_equal(document_discard(document, 1), SEALTAPE_OK);
    root = parsed(document, true);
    for (size_t i = 0; i < ARRAY_COUNT(media_members); i++)
        assert_null(json_object_get(media_of(root), media_members[i]));
    assert_null(json_object_get(json_object_get(media_of(root), "sealtape"), "keyCommitment"));
    assert_string_equal(document_outcome(document), "discarded");
    assert_int_equal(document_sequence(document), 17);
    assert_int_equal(document_plan(document, &plan), SEALTAPE_OK);
    assert_false(plan->has_media);
    entry_plan_free(&plan);
    json_decref(root);
    document_free(&document);
}

static void test_facts_and_plan_survive_text_and_parsing(void **state)
{
    struct document *document = build(), *again = NULL;
    struct entry_plan *plan = NULL;
    char *text = NULL;
    bool changed;
    size_t len;

    (void)state;
    finish(document, "complete", 0);
    assert_int_equal(document_set_revision(document, 9), SEALTAPE_OK);
    assert_int_equal(
            document_set_path(document, "https://b.example/", "https://b.example/x", &changed),
            SEALTAPE_OK);
    assert_true(changed);
    assert_int_equal(
            document_set_path(document, "https://b.example/", "https://b.example/x", &changed),
            SEALTAPE_OK);
    assert_false(changed);
    assert_int_equal(document_text(document, &text, &len), SEALTAPE_OK);
    document_free(&document);
    assert_int_equal(document_parse(text, len, &again, NULL), SEALTAPE_OK);
    free(text);
    assert_int_equal(document_revision(again), 9);
    assert_int_equal(document_tenant_dbid(again), 101);
    assert_int_equal(document_sequence(again), 17);
    assert_string_equal(document_epoch(again), EPOCH);
    assert_string_equal(document_recording_id(again), "one");
    assert_string_equal(document_outcome(again), "complete");
    assert_int_equal(document_plan(again, &plan), SEALTAPE_OK);
    assert_true(plan->has_media);
    assert_int_equal(plan->size, 1008);
    assert_int_equal(plan->storages_count, 1);
    assert_string_equal(plan->storages[0], "https://store.example/recordings/");
    assert_string_equal(plan->stored_path, "https://b.example/x");
    assert_string_equal(plan->object_name, "one-0123456789abcdef.wav.bin");
    assert_string_equal(plan->tenant, "101");
    assert_string_equal(plan->sha256, document_sha256(again));
    entry_plan_free(&plan);
    document_free(&again);
}

#define with_evidence(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
            with_evidence(test_what_is_no_document_is_refused),
            with_evidence(test_hostile_keys_and_values_stay_keys_and_values),
            with_evidence(test_the_body_tells_nothing_of_the_spool),
            with_evidence(test_spans_still_open_end_with_the_media_and_never_before_they_begin),
            with_evidence(test_losses_that_no_gap_tells_become_one),
            with_evidence(test_with_gaps_nothing_is_complete),
            with_evidence(test_a_discarded_one_says_nothing_of_media),
            with_evidence(test_facts_and_plan_survive_text_and_parsing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
