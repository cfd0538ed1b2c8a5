#include "processor/store.h"

#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../unit.h"
#include "processor/statement.h"
#include "processor_sample.h"

/* A database in a directory of its own. */
struct place {
    char directory[64];
    char path[96];
    struct store *store;
    struct store *reader;
};

static void place_open(struct place *place)
{
    struct diag diag = {""};

    if (store_open(place->path, STORE_WRITES, &place->store, &diag) != SEALTAPE_OK)
        fail_msg("%s", diag.text);
    if (store_open(place->path, STORE_READS, &place->reader, &diag) != SEALTAPE_OK)
        fail_msg("%s", diag.text);
}

static int setup(void **state)
{
    struct place *place = calloc(1, sizeof(*place));

    assert_non_null(place);
    (void)strcpy(place->directory, "/tmp/sealtape-store-XXXXXX");
    assert_non_null(mkdtemp(place->directory));
    (void)snprintf(place->path, sizeof(place->path), "%s/db", place->directory);
    place_open(place);
    *state = place;
    return 0;
}

static int teardown(void **state)
{
    static const char *const ends[] = {"", "-wal", "-shm"};
    struct place *place = *state;
    char name[128];
    size_t i;

    store_close(&place->reader);
    store_close(&place->store);
    for (i = 0; i < ARRAY_COUNT(ends); i++) {
        (void)snprintf(name, sizeof(name), "%s%s", place->path, ends[i]);
        (void)unlink(name);
    }
    (void)rmdir(place->directory);
    free(place);
    return 0;
}

/* Run SQL beside the store, as another program would. */
static void beside(const struct place *place, const char *sql)
{
    sqlite3 *db;

    assert_int_equal(sqlite3_open(place->path, &db), SQLITE_OK);
    if (sqlite3_exec(db, sql, NULL, NULL, NULL) != SQLITE_OK)
        fail_msg("%s", sqlite3_errmsg(db));
    assert_int_equal(sqlite3_close(db), SQLITE_OK);
}

static enum store_outcome put(
        struct place *place, const char *text, const char *if_match, int64_t *ret_revision)
{
    struct document *document = sample(text);
    struct change change = {.ccid = "acme", .document = document, .if_match = if_match};
    struct change *changes = &change;

    store_apply(place->store, &changes, 1);
    if (change.status != SEALTAPE_OK)
        fail_msg("%s", change.diag.text);
    *ret_revision = change.revision;
    document_free(&document);
    return change.outcome;
}

/* What a look-up answers. */
static json_t *look_up(struct place *place, const char *text)
{
    struct query query = {0};
    struct page page = {0};
    struct diag diag = {""};
    json_t *json;

    if (query_parse(text, &query, &diag) != SEALTAPE_OK)
        fail_msg("%s", diag.text);
    if (store_list(place->reader, "acme", &query, &page, &diag) != SEALTAPE_OK)
        fail_msg("%s", diag.text);
    json = json_loadb(page.text, page.text_len, 0, NULL);
    assert_non_null(json);
    free(page.text);
    query_clear(&query);
    return json;
}

static size_t found(struct place *place, const char *text)
{
    json_t *json = look_up(place, text);
    size_t count = json_array_size(json_object_get(json, "recordings"));

    json_decref(json);
    return count;
}

static void a_newer_schema_is_refused(void **state)
{
    struct place *place = *state;
    struct store *store = NULL;
    struct diag diag = {""};

    beside(place, "PRAGMA user_version = 2");
    assert_int_equal(store_open(place->path, STORE_WRITES, &store, &diag), SEALTAPE_E_VERSION);
    assert_contains(diag.text, "made by a newer sealtape-processor (schema 2");
    assert_null(store);
}

static void a_database_of_another_program_is_refused(void **state)
{
    struct place *place = *state;
    struct store *store = NULL;
    struct diag diag = {""};

    beside(place, "PRAGMA application_id = 7");
    assert_int_equal(store_open(place->path, STORE_WRITES, &store, &diag), SEALTAPE_E_VERSION);
    assert_contains(diag.text, "not a database of sealtape-processor");
}

static void a_file_that_is_no_database_is_refused(void **state)
{
    struct store *store = NULL;
    struct diag diag = {""};

    (void)state;
    assert_int_not_equal(store_open("/etc/passwd", STORE_READS, &store, &diag), SEALTAPE_OK);
    assert_contains(diag.text, "/etc/passwd: ");
    assert_int_equal(store_open("/nowhere/db", STORE_WRITES, &store, &diag), SEALTAPE_E_AGAIN);
}

static void a_full_database_takes_nothing_and_says_so(void **state)
{
    struct place *place = *state;
    struct document *large, *small = sample(SAMPLE("small", SAMPLE_MEDIA("m")));
    struct change first = {.ccid = "acme", .document = small}, second = {.ccid = "acme"};
    struct change *changes[] = {&first, &second};
    static char text[400000];
    struct version version = {0};
    struct diag diag = {""};
    int64_t revision;

    (void)put(place, SAMPLE("there", SAMPLE_MEDIA("m")), NULL, &revision);
    (void)snprintf(text, sizeof(text), "{\"id\":\"large\",\"mediaFiles\":[],\"x\":\"%*s\"}",
            (int)sizeof(text) - 100, "");
    large = sample(text);
    second.document = large;
    /* The limit belongs to the connection that writes. */
    assert_int_equal(sqlite3_exec(place->store->db, "PRAGMA max_page_count = 64", NULL, NULL, NULL),
            SQLITE_OK);
    store_apply(place->store, changes, 2);
    assert_int_equal(first.status, SEALTAPE_OK);
    assert_int_equal(first.outcome, STORE_CREATED);
    assert_int_equal(second.status, SEALTAPE_E_AGAIN);
    assert_contains(second.diag.text, "full");
    assert_int_equal(store_read(place->reader, "acme", "large", 0, &version, &diag), SEALTAPE_OK);
    assert_int_equal(version.revision, 0);
    assert_int_equal(found(place, ""), 2);
    document_free(&large);
    document_free(&small);
}

static void a_stale_or_weak_or_foreign_tag_replaces_nothing(void **state)
{
    static const char *const tags[] = {
            "", "1", "\"2\"", "W/\"1\"", "\"11\"", "\"0\", \"7\"", "\"\"", "**", ","};
    struct place *place = *state;
    int64_t revision;
    size_t i;

    assert_int_equal(put(place, SAMPLE("r", ""), "\"1\"", &revision), STORE_MISSING);
    assert_int_equal(put(place, SAMPLE("r", ""), "*", &revision), STORE_MISSING);
    (void)put(place, SAMPLE("r", ""), NULL, &revision);
    for (i = 0; i < ARRAY_COUNT(tags); i++) {
        if (put(place, SAMPLE("r", SAMPLE_MEDIA("m")), tags[i], &revision) != STORE_STALE)
            fail_msg("%s was taken", tags[i]);
        assert_int_equal(revision, 1);
    }
    assert_int_equal(
            put(place, SAMPLE("r", SAMPLE_MEDIA("m")), "\"7\" , \"1\"", &revision), STORE_REPLACED);
    assert_int_equal(put(place, SAMPLE("r", SAMPLE_MEDIA("n")), "*", &revision), STORE_REPLACED);
    assert_int_equal(revision, 3);
}

static void changes_of_one_transaction_see_each_other(void **state)
{
    static const char *const texts[] = {SAMPLE("r", SAMPLE_MEDIA("m")),
            SAMPLE("r", SAMPLE_MEDIA("m")), SAMPLE("r", SAMPLE_MEDIA("n")),
            SAMPLE("r", "{\"mediaId\":\"n\"}"), SAMPLE("s", SAMPLE_MEDIA("m"))};
    static const enum store_outcome outcomes[] = {
            STORE_CREATED, STORE_SAME, STORE_JOINED, STORE_CONFLICT, STORE_CREATED};
    struct document *documents[ARRAY_COUNT(texts)];
    struct change changes[ARRAY_COUNT(texts)] = {0}, *pointers[ARRAY_COUNT(texts)];
    struct place *place = *state;
    size_t i;

    for (i = 0; i < ARRAY_COUNT(texts); i++) {
        documents[i] = sample(texts[i]);
        changes[i].ccid = "acme";
        changes[i].document = documents[i];
        pointers[i] = &changes[i];
    }
    store_apply(place->store, pointers, ARRAY_COUNT(texts));
    for (i = 0; i < ARRAY_COUNT(texts); i++) {
        assert_int_equal(changes[i].status, SEALTAPE_OK);
        assert_int_equal(changes[i].outcome, outcomes[i]);
        document_free(&documents[i]);
    }
    assert_int_equal(changes[3].revision, 2);
    assert_int_equal(found(place, ""), 2);
}

static int busy_count(void *context, int times)
{
    int *count = context;

    (void)times;
    ++*count;
    return 0;
}

static void a_lock_held_elsewhere_is_waited_for_once_and_refuses_all(void **state)
{
    struct document *one = sample(SAMPLE("one", "")), *two = sample(SAMPLE("two", ""));
    struct change first = {.ccid = "acme", .document = one};
    struct change second = {.ccid = "acme", .document = two};
    struct change *changes[] = {&first, &second};
    struct place *place = *state;
    sqlite3 *other;
    int waits = 0;

    assert_int_equal(sqlite3_open(place->path, &other), SQLITE_OK);
    assert_int_equal(sqlite3_exec(other, "BEGIN IMMEDIATE", NULL, NULL, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_busy_handler(place->store->db, busy_count, &waits), SQLITE_OK);
    store_apply(place->store, changes, 2);
    assert_int_equal(first.status, SEALTAPE_E_AGAIN);
    assert_int_equal(second.status, SEALTAPE_E_AGAIN);
    assert_contains(second.diag.text, "locked");
    assert_int_equal(waits, 1);
    assert_int_equal(sqlite3_close(other), SQLITE_OK);
    store_apply(place->store, changes, 2);
    assert_int_equal(first.status, SEALTAPE_OK);
    assert_int_equal(second.outcome, STORE_CREATED);
    document_free(&one);
    document_free(&two);
}

static void a_conflict_changes_nothing(void **state)
{
    struct place *place = *state;
    int64_t revision;

    (void)put(place, SAMPLE("r", SAMPLE_MEDIA("m")), NULL, &revision);
    assert_int_equal(
            put(place, SAMPLE("r", SAMPLE_MEDIA("n") ",{\"mediaId\":\"m\"}"), NULL, &revision),
            STORE_CONFLICT);
    assert_int_equal(revision, 1);
    assert_int_equal(found(place, "callUUID=uuid-m"), 1);
    assert_int_equal(found(place, "callUUID=uuid-n"), 0);
}

static void the_same_again_is_recognized_after_others_have_joined_or_replaced(void **state)
{
    struct place *place = *state;
    int64_t revision;

    assert_int_equal(put(place, SAMPLE("r", SAMPLE_MEDIA("m")), NULL, &revision), STORE_CREATED);
    assert_int_equal(put(place, SAMPLE("r", SAMPLE_MEDIA("m")), NULL, &revision), STORE_SAME);
    assert_int_equal(put(place, SAMPLE("r", SAMPLE_MEDIA("n")), NULL, &revision), STORE_JOINED);
    assert_int_equal(revision, 2);
    assert_int_equal(
            put(place, SAMPLE("r", "{\"mediaId\":\"m\"}"), "\"2\"", &revision), STORE_REPLACED);
    assert_int_equal(put(place, SAMPLE("r", SAMPLE_MEDIA("m")), NULL, &revision), STORE_SAME);
    assert_int_equal(put(place, SAMPLE("r", SAMPLE_MEDIA("n")), NULL, &revision), STORE_SAME);
    assert_int_equal(revision, 3);
}

static void every_revision_stays_readable(void **state)
{
    struct place *place = *state;
    struct version version = {0};
    struct diag diag = {""};
    json_t *json = NULL;
    int64_t revision;

    (void)put(place, SAMPLE("r", SAMPLE_MEDIA("m")), NULL, &revision);
    (void)put(place, SAMPLE("r", "{\"mediaId\":\"n\"}"), "\"1\"", &revision);
    assert_int_equal(store_read(place->reader, "acme", "r", 1, &version, &diag), SEALTAPE_OK);
    assert_string_equal(version.text, SAMPLE("r", SAMPLE_MEDIA("m")));
    free(version.text);
    assert_int_equal(store_read(place->reader, "acme", "r", 3, &version, &diag), SEALTAPE_OK);
    assert_int_equal(version.revision, 0);
    assert_int_equal(store_read(place->reader, "other", "r", 0, &version, &diag), SEALTAPE_OK);
    assert_int_equal(version.revision, 0);
    assert_int_equal(store_revisions(place->reader, "acme", "r", &json, &diag), SEALTAPE_OK);
    assert_int_equal(json_array_size(json_object_get(json, "revisions")), 2);
    json_decref(json);
    /* Only the current one is found. */
    assert_int_equal(found(place, "callUUID=uuid-m"), 0);
}

static void each_filter_finds_and_leaves_out(void **state)
{
    static const char *const finds[] = {"", "caller=+14155550100", "dialed=%2B14155550199",
            "callUUID=uuid-m", "agentId=agent%201", "recipient=alias-1", "recipient=4097",
            "recipient=abcdef0123456789abcdef0123456789abcdef0123456789abcdef0123456789",
            "recipient=ABCDEF0123456789abcdef0123456789abcdef0123456789abcdef0123456789",
            "outcome=complete", "from=2026-03-02T09:15:00Z", "to=2026-03-02T09:15:00.001Z",
            "caller=+14155550100&recipient=4097&outcome=complete&to=2027-01-01T00:00:00Z"};
    static const char *const misses[] = {"caller=14155550100", "dialed=%2B14155550100",
            "callUUID=m", "agentId=agent", "recipient=409", "outcome=empty",
            "from=2026-03-02T09:15:00.001Z", "to=2026-03-02T09:15:00Z",
            "caller=+14155550100&outcome=empty", "recipient=complete"};
    struct place *place = *state;
    int64_t revision;
    size_t i;

    (void)put(place, SAMPLE("r", SAMPLE_MEDIA("m")), NULL, &revision);
    for (i = 0; i < ARRAY_COUNT(finds); i++) {
        if (found(place, finds[i]) != 1)
            fail_msg("%s did not find it", finds[i]);
    }
    for (i = 0; i < ARRAY_COUNT(misses); i++) {
        if (found(place, misses[i]) != 0)
            fail_msg("%s found it", misses[i]);
    }
}

static void a_document_without_a_start_is_found_but_in_no_bounds(void **state)
{
    struct place *place = *state;
    int64_t revision;

    (void)put(place, "{\"id\":\"r\",\"mediaFiles\":[]}", NULL, &revision);
    assert_int_equal(found(place, ""), 1);
    assert_int_equal(found(place, "to=9999-01-01T00:00:00Z"), 0);
    assert_int_equal(found(place, "from=0001-01-01T00:00:00Z"), 0);
}

static void pages_are_stable_while_documents_arrive(void **state)
{
    struct place *place = *state;
    char text[600], query[QUERY_CURSOR_SIZE + 64] = "limit=3&outcome=complete";
    size_t seen = 0, pages = 0;
    int64_t revision;
    json_t *json;
    int i;

    for (i = 0; i < 10; i++) {
        (void)snprintf(text, sizeof(text),
                "{\"id\":\"r%d\",\"startTime\":\"2026-03-02T09:%02d:00Z\",\"mediaFiles\":"
                "[{\"mediaId\":\"m\",\"sealtape\":{\"outcome\":\"complete\"}}]}",
                i, i / 2);
        (void)put(place, text, NULL, &revision);
    }
    for (;;) {
        const char *next;

        json = look_up(place, query);
        seen += json_array_size(json_object_get(json, "recordings"));
        next = json_string_value(json_object_get(json, "next"));
        if (next)
            (void)snprintf(query, sizeof(query), "limit=3&outcome=complete&after=%s", next);
        json_decref(json);
        pages++;
        if (!next)
            break;
        /*
         * Earlier than all that is to come: not seen, and nothing is seen
         * twice.
         */
        (void)snprintf(text, sizeof(text),
                "{\"id\":\"early%zu\",\"startTime\":\"2026-03-02T08:00:00Z\",\"mediaFiles\":"
                "[{\"mediaId\":\"m\",\"sealtape\":{\"outcome\":\"complete\"}}]}",
                pages);
        (void)put(place, text, NULL, &revision);
    }
    assert_int_equal(seen, 10);
    assert_int_equal(pages, 4);
}

static void no_look_up_scans_or_sorts(void **state)
{
    static char value[] = "x";
    struct place *place = *state;
    char sql[STORE_LIST_SQL_SIZE], explain[STORE_LIST_SQL_SIZE + 32];
    unsigned combination;
    sqlite3 *db;

    assert_int_equal(sqlite3_open(place->path, &db), SQLITE_OK);
    for (combination = 0; combination < 1u << TERM_OUTCOME; combination++) {
        struct query query = {0};
        sqlite3_stmt *stmt = NULL;
        int kind, steps = 0;

        for (kind = TERM_CALLER; kind <= TERM_OUTCOME; kind++)
            query.terms[kind] = combination & (1u << (kind - 1)) ? value : NULL;
        store_list_sql(&query, sql);
        (void)snprintf(explain, sizeof(explain), "EXPLAIN QUERY PLAN %s", sql);
        assert_int_equal(sqlite3_prepare_v2(db, explain, -1, &stmt, NULL), SQLITE_OK);
        for (; sqlite3_step(stmt) == SQLITE_ROW; steps++) {
            const char *detail = (const char *)sqlite3_column_text(stmt, 3);

            if (strstr(detail, "SCAN") || strstr(detail, "TEMP B-TREE"))
                fail_msg("%s: %s", detail, sql);
        }
        assert_true(steps >= 2);
        assert_int_equal(sqlite3_finalize(stmt), SQLITE_OK);
    }
    assert_int_equal(sqlite3_close(db), SQLITE_OK);
}

static void a_second_writer_takes_its_turn(void **state)
{
    struct place *place = *state;
    struct place other = *place;
    int64_t revision;

    other.store = NULL;
    other.reader = NULL;
    place_open(&other);
    assert_int_equal(put(place, SAMPLE("a", ""), NULL, &revision), STORE_CREATED);
    assert_int_equal(put(&other, SAMPLE("b", ""), NULL, &revision), STORE_CREATED);
    assert_int_equal(put(&other, SAMPLE("a", ""), NULL, &revision), STORE_SAME);
    assert_int_equal(found(place, ""), 2);
    store_close(&other.store);
    store_close(&other.reader);
}

#define STORE_TEST(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
            STORE_TEST(a_newer_schema_is_refused),
            STORE_TEST(a_database_of_another_program_is_refused),
            STORE_TEST(a_file_that_is_no_database_is_refused),
            STORE_TEST(a_full_database_takes_nothing_and_says_so),
            STORE_TEST(a_stale_or_weak_or_foreign_tag_replaces_nothing),
            STORE_TEST(changes_of_one_transaction_see_each_other),
            STORE_TEST(a_lock_held_elsewhere_is_waited_for_once_and_refuses_all),
            STORE_TEST(a_conflict_changes_nothing),
            STORE_TEST(the_same_again_is_recognized_after_others_have_joined_or_replaced),
            STORE_TEST(every_revision_stays_readable),
            STORE_TEST(each_filter_finds_and_leaves_out),
            STORE_TEST(a_document_without_a_start_is_found_but_in_no_bounds),
            STORE_TEST(pages_are_stable_while_documents_arrive),
            STORE_TEST(no_look_up_scans_or_sorts),
            STORE_TEST(a_second_writer_takes_its_turn),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
