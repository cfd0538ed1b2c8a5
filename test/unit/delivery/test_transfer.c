#include "delivery/transfer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../unit.h"
#include "base/clock.h"
#include "base/log.h"
#include "misbehaver.h"
#include "stage.h"

/* A misbehaving store, a misbehaving processor, and what goes there. */
struct scene {
    struct stage stage;
    struct misbehaver *store, *processor;
    struct stage_entry entry;
};

static void quiet(
        void *context, int level, uint32_t number, const char *recording_id, const char *message)
{
    (void)context;
    (void)level;
    (void)number;
    (void)recording_id;
    if (getenv("VERBOSE"))
        fprintf(stderr, "%u %s\n", number, message);
}

static int setup(void **state)
{
    struct scene *scene = calloc(1, sizeof(*scene));

    log_to(quiet, NULL);
    stage_open(&scene->stage);
    scene->store = misbehaver_start();
    scene->processor = misbehaver_start();
    stage_storage(&scene->stage, "http://127.0.0.1:%u/rec/", misbehaver_port(scene->store));
    stage_processor(&scene->stage, "http://127.0.0.1:%u/api", misbehaver_port(scene->processor));
    *state = scene;
    return 0;
}

static int teardown(void **state)
{
    struct scene *scene = *state;

    if (scene->entry.entry)
        stage_drop(&scene->entry);
    stage_close(&scene->stage);
    misbehaver_stop(&scene->store);
    misbehaver_stop(&scene->processor);
    free(scene);
    return 0;
}

static void assert_stored(struct misbehaver *store, const char *path, struct stage_entry *entry)
{
    char *bytes = NULL;
    size_t len = 0;

    assert_true(misbehaver_object(store, path, &bytes, &len));
    assert_int_equal(len, entry->len);
    assert_memory_equal(bytes, entry->bytes ? entry->bytes : "", len);
    free(bytes);
}

/* Closed, delivered whatever the faults were, and nothing else left in the store. */
static void assert_delivered(struct scene *scene, size_t len)
{
    stage_start(&scene->stage);
    stage_closed(&scene->stage, &scene->entry, "one.wav", len);
    assert_true(stage_wait_state(&scene->entry, ENTRY_POSTED));
    assert_stored(scene->store, "/rec/one.wav.bin", &scene->entry);
    assert_int_equal(stage_events(&scene->stage, SEALTAPE_EVENT_STORED), 1);
    assert_int_equal(stage_events(&scene->stage, SEALTAPE_EVENT_POSTED), 1);
}

static bool one_object(void *context)
{
    return misbehaver_objects(context) == 1;
}

static void a_closed_recording_is_stored_then_posted(void **state)
{
    struct scene *scene = *state;
    struct seen seen;
    char *body;

    assert_delivered(scene, 100000);
    assert_int_equal(misbehaver_objects(scene->store), 1);
    assert_true(misbehaver_seen(scene->store, "PUT", 0, &seen));
    assert_contains(seen.path, "/rec/one.wav.bin.");
    assert_contains(seen.path, ".part");
    assert_false(seen.chunked);
    assert_true(seen.expected);
    assert_true(misbehaver_seen(scene->store, "MOVE", 0, &seen));
    assert_string_equal(seen.overwrite, "F");
    assert_true(misbehaver_seen(scene->processor, "POST", 0, &seen));
    assert_string_equal(seen.key, "\"one.wav\"");
    assert_string_equal(seen.path, "/api");
    body = misbehaver_posted(scene->processor);
    assert_contains(body, "\"mediaId\"");
    assert_null(strstr(body, "\"spool\""));
    free(body);
    assert_int_equal(transfer_drain(scene->stage.transfer, 5000), 0);
}

static void an_empty_object_is_stored(void **state)
{
    assert_delivered(*state, 0);
}

static void a_large_object_is_stored(void **state)
{
    assert_delivered(*state, 20000000);
}

struct arrival {
    struct misbehaver *server;
    uint64_t bytes;
};

static bool arrived(void *context)
{
    struct arrival *arrival = context;

    return misbehaver_bytes(arrival->server) >= arrival->bytes;
}

static void a_running_recording_reaches_the_store_as_it_grows(void **state)
{
    struct scene *scene = *state;
    struct arrival arrival = {scene->store, 0};
    struct transfer_stats stats;
    struct seen seen;

    stage_start(&scene->stage);
    stage_record(&scene->stage, &scene->entry, "one.wav");
    transfer_offer(scene->stage.transfer, scene->entry.entry);
    for (unsigned i = 0; i < 8; i++) {
        stage_append(&scene->entry, 5000 + i);
        arrival.bytes = scene->entry.len;
        assert_true(stage_wait(arrived, &arrival));
    }
    transfer_stats(scene->stage.transfer, &stats);
    assert_int_equal(stats.live, 1);
    assert_int_equal(stats.waiting, 0);
    stage_append(&scene->entry, 16);
    stage_finish(&scene->entry);
    assert_true(stage_wait_state(&scene->entry, ENTRY_POSTED));
    assert_stored(scene->store, "/rec/one.wav.bin", &scene->entry);
    assert_int_equal(misbehaver_count(scene->store, "PUT"), 1);
    assert_true(misbehaver_seen(scene->store, "PUT", 0, &seen));
    assert_true(seen.chunked);
    assert_true(seen.expected);
}

/* A live upload meets @fault; the recording arrives after the call all the same. */
static void assert_survives_live(struct scene *scene, const struct fault *fault, size_t before)
{
    struct arrival arrival = {scene->store, before};
    struct seen seen;
    size_t puts;

    misbehaver_fault(scene->store, fault);
    stage_start(&scene->stage);
    stage_record(&scene->stage, &scene->entry, "one.wav");
    stage_append(&scene->entry, 6000);
    transfer_offer(scene->stage.transfer, scene->entry.entry);
    assert_true(stage_wait(arrived, &arrival));
    stage_append(&scene->entry, 6000);
    stage_finish(&scene->entry);
    assert_true(stage_wait_state(&scene->entry, ENTRY_POSTED));
    assert_stored(scene->store, "/rec/one.wav.bin", &scene->entry);
    assert_true(stage_wait(one_object, scene->store));
    puts = misbehaver_count(scene->store, "PUT");
    assert_true(puts >= 2);
    assert_true(misbehaver_seen(scene->store, "PUT", puts - 1, &seen));
    assert_false(seen.chunked);
}

static void an_early_507_of_a_live_upload_is_noticed(void **state)
{
    assert_survives_live(*state,
            &(struct fault){.method = "PUT", .kind = FAULT_EARLY, .status = 507, .times = 1}, 0);
}

static void an_early_401_of_a_live_upload_is_answered_at_once(void **state)
{
    struct scene *scene = *state;
    struct arrival arrival = {scene->store, 6000};

    misbehaver_fault(scene->store,
            &(struct fault){.method = "PUT", .kind = FAULT_EARLY, .status = 401, .times = 1});
    stage_start(&scene->stage);
    stage_record(&scene->stage, &scene->entry, "one.wav");
    stage_append(&scene->entry, 6000);
    transfer_offer(scene->stage.transfer, scene->entry.entry);
    /* The second try streams again: the call still runs. */
    assert_true(stage_wait(arrived, &arrival));
    stage_finish(&scene->entry);
    assert_true(stage_wait_state(&scene->entry, ENTRY_POSTED));
    assert_int_equal(misbehaver_count(scene->store, "PUT"), 2);
    assert_stored(scene->store, "/rec/one.wav.bin", &scene->entry);
}

static void an_early_503_of_a_live_upload_is_noticed(void **state)
{
    assert_survives_live(*state,
            &(struct fault){.method = "PUT", .kind = FAULT_EARLY, .status = 503, .times = 1}, 0);
}

static void an_early_201_of_a_live_upload_counts_for_nothing(void **state)
{
    assert_survives_live(*state,
            &(struct fault){.method = "PUT", .kind = FAULT_EARLY, .status = 201, .times = 1}, 0);
}

static void a_reset_in_the_middle_of_a_live_upload_is_survived(void **state)
{
    assert_survives_live(*state,
            &(struct fault){.method = "PUT", .kind = FAULT_RESET, .bytes = 3000, .times = 1}, 3000);
}

static void a_fin_in_the_middle_of_a_live_upload_is_survived(void **state)
{
    assert_survives_live(*state,
            &(struct fault){.method = "PUT", .kind = FAULT_FIN, .bytes = 6000, .times = 1}, 6000);
}

struct entered {
    struct misbehaver *server;
    const char *method;
    size_t count;
};

static bool entered(void *context)
{
    struct entered *wanted = context;

    return misbehaver_count(wanted->server, wanted->method) >= wanted->count;
}

static bool no_live(void *context)
{
    struct transfer_stats stats;

    transfer_stats(context, &stats);
    return stats.live == 0;
}

static void a_fin_is_noticed_while_the_upload_pauses(void **state)
{
    struct scene *scene = *state;
    struct arrival arrival = {scene->store, 5000};

    misbehaver_fault(scene->store,
            &(struct fault){.method = "PUT", .kind = FAULT_FIN, .bytes = 5000, .times = 1});
    stage_start(&scene->stage);
    stage_record(&scene->stage, &scene->entry, "one.wav");
    stage_append(&scene->entry, 5000);
    transfer_offer(scene->stage.transfer, scene->entry.entry);
    assert_true(stage_wait(arrived, &arrival));
    /* No byte more comes: only the connection's end can tell. */
    assert_true(stage_wait(no_live, scene->stage.transfer));
    stage_finish(&scene->entry);
    assert_true(stage_wait_state(&scene->entry, ENTRY_POSTED));
}

static void fewer_bytes_than_were_sent_are_noticed(void **state)
{
    struct scene *scene = *state;

    misbehaver_fault(scene->store,
            &(struct fault){.method = "PUT", .kind = FAULT_SHORT, .bytes = 7, .times = 1});
    assert_delivered(scene, 50000);
    assert_int_equal(misbehaver_count(scene->store, "PUT"), 2);
    assert_int_equal(misbehaver_objects(scene->store), 1);
}

static void a_wrong_length_is_not_believed(void **state)
{
    struct scene *scene = *state;

    misbehaver_fault(scene->store,
            &(struct fault){.method = "PROPFIND", .kind = FAULT_LENGTH, .bytes = 7, .times = 1});
    assert_delivered(scene, 50000);
    assert_int_equal(misbehaver_count(scene->store, "PUT"), 2);
}

static void a_store_without_propfind_is_asked_by_get(void **state)
{
    struct scene *scene = *state;

    misbehaver_fault(scene->store,
            &(struct fault){.method = "PROPFIND", .kind = FAULT_STATUS, .status = 405, .times = 9});
    assert_delivered(scene, 50000);
    assert_int_equal(misbehaver_count(scene->store, "PUT"), 1);
    assert_int_equal(misbehaver_count(scene->store, "GET"), 1);
}

static void a_lost_answer_to_a_move_stores_once(void **state)
{
    struct scene *scene = *state;

    misbehaver_fault(
            scene->store, &(struct fault){.method = "MOVE", .kind = FAULT_SILENT, .times = 1});
    assert_delivered(scene, 50000);
    assert_int_equal(misbehaver_count(scene->store, "PUT"), 1);
    assert_int_equal(misbehaver_count(scene->store, "GET"), 1);
}

static void the_same_object_under_the_final_name_is_stored(void **state)
{
    struct scene *scene = *state;

    stage_start(&scene->stage);
    stage_record(&scene->stage, &scene->entry, "one.wav");
    stage_append(&scene->entry, 3000);
    misbehaver_put(scene->store, "/rec/one.wav.bin", scene->entry.bytes, 3000);
    stage_finish(&scene->entry);
    assert_true(stage_wait_state(&scene->entry, ENTRY_POSTED));
    assert_true(stage_wait(one_object, scene->store));
}

static void another_object_under_the_final_name_fails_and_stays(void **state)
{
    struct scene *scene = *state;
    char *bytes = NULL;
    size_t len = 0;

    misbehaver_put(scene->store, "/rec/one.wav.bin", "somebody's", 10);
    stage_start(&scene->stage);
    stage_closed(&scene->stage, &scene->entry, "one.wav", 10);
    assert_true(stage_wait_state(&scene->entry, ENTRY_FAILED));
    assert_int_equal(stage_events(&scene->stage, SEALTAPE_EVENT_FAILED), 1);
    assert_true(misbehaver_object(scene->store, "/rec/one.wav.bin", &bytes, &len));
    assert_memory_equal(bytes, "somebody's", 10);
    free(bytes);
    assert_int_equal(misbehaver_count(scene->processor, "POST"), 0);
}

static void spoiled_bytes_in_the_spool_are_never_published(void **state)
{
    struct scene *scene = *state;

    stage_start(&scene->stage);
    stage_record(&scene->stage, &scene->entry, "one.wav");
    stage_append(&scene->entry, 3000);
    scene->entry.bytes[1500] ^= 1; /* the document gets another digest than the file */
    stage_finish(&scene->entry);
    assert_true(stage_wait_state(&scene->entry, ENTRY_FAILED));
    assert_false(misbehaver_object(scene->store, "/rec/one.wav.bin", NULL, NULL));
}

static void a_corrupt_document_fails(void **state)
{
    struct scene *scene = *state;

    stage_start(&scene->stage);
    scene->stage.tenant = "\", \"no\": [";
    stage_closed(&scene->stage, &scene->entry, "one.wav", 10);
    assert_true(stage_wait_state(&scene->entry, ENTRY_FAILED));
}

static void a_missing_collection_is_made(void **state)
{
    struct scene *scene = *state;
    struct seen seen;

    misbehaver_fault(scene->store,
            &(struct fault){.method = "PUT", .kind = FAULT_STATUS, .status = 409, .times = 1});
    assert_delivered(scene, 50000);
    assert_int_equal(misbehaver_count(scene->store, "MKCOL"), 1);
    assert_true(misbehaver_seen(scene->store, "MKCOL", 0, &seen));
    assert_string_equal(seen.path, "/rec/");
}

static void no_status_drops_a_recording(void **state)
{
    static const int statuses[] = {400, 401, 403, 404, 405, 409, 410, 411, 412, 413, 415, 418, 422,
            429, 500, 501, 502, 503, 504, 507, 302};
    struct scene *scene = *state;

    for (size_t i = 0; i < ARRAY_COUNT(statuses); i++) {
        misbehaver_fault(scene->store,
                &(struct fault){
                        .method = "PUT", .kind = FAULT_STATUS, .status = statuses[i], .times = 1});
        if (i % 8 == 7 || i + 1 == ARRAY_COUNT(statuses)) {
            char name[32];

            (void)snprintf(name, sizeof(name), "n%zu.wav", i);
            if (!scene->stage.transfer)
                stage_start(&scene->stage);
            if (scene->entry.entry)
                stage_drop(&scene->entry);
            stage_closed(&scene->stage, &scene->entry, name, 100);
            assert_true(stage_wait_state(&scene->entry, ENTRY_POSTED));
            misbehaver_forget_faults(scene->store);
        }
    }
    assert_true(stage_events(&scene->stage, SEALTAPE_EVENT_DELAYED) > 0);
}

static void a_store_that_never_answers_is_given_up_and_tried_again(void **state)
{
    struct scene *scene = *state;

    misbehaver_fault(
            scene->store, &(struct fault){.method = "PUT", .kind = FAULT_HANG, .times = 1});
    assert_delivered(scene, 1000);
}

static void an_endless_answer_is_cut(void **state)
{
    struct scene *scene = *state;

    misbehaver_fault(
            scene->store, &(struct fault){.method = "PROPFIND", .kind = FAULT_FLOOD, .times = 1});
    misbehaver_fault(
            scene->processor, &(struct fault){.method = "POST", .kind = FAULT_FLOOD, .times = 1});
    assert_delivered(scene, 1000);
}

static void retry_after_is_honoured(void **state)
{
    struct scene *scene = *state;
    struct seen first, second;

    misbehaver_fault(scene->store, &(struct fault){.method = "PUT",
                                           .kind = FAULT_STATUS,
                                           .status = 503,
                                           .times = 1,
                                           .retry_after = 2});
    assert_delivered(scene, 1000);
    assert_true(misbehaver_seen(scene->store, "PUT", 0, &first));
    assert_true(misbehaver_seen(scene->store, "PUT", 1, &second));
    assert_true(second.at_ns - first.at_ns >= 1900000000u);
}

static void the_processors_conflict_waits_and_is_told(void **state)
{
    struct scene *scene = *state;

    misbehaver_fault(scene->processor,
            &(struct fault){.method = "POST", .kind = FAULT_STATUS, .status = 409, .times = 2});
    assert_delivered(scene, 1000);
    assert_int_equal(stage_events(&scene->stage, SEALTAPE_EVENT_DELAYED), 1);
    assert_int_equal(misbehaver_count(scene->processor, "POST"), 3);
    assert_int_equal(misbehaver_count(scene->store, "PUT"), 1);
}

static void a_breaker_lets_one_probe_through(void **state)
{
    struct scene *scene = *state;
    struct stage_entry entries[12];
    struct entered wanted = {scene->store, "PUT", 8};
    size_t puts;

    scene->stage.pace.breaker_failures = 3;
    scene->stage.pace.uploads_max = 2;
    scene->stage.pace.backoff_first_ms = 400;
    scene->stage.pace.backoff_max_ms = 400;
    misbehaver_fault(scene->store,
            &(struct fault){.method = "PUT", .kind = FAULT_STATUS, .status = 507, .times = 8});
    stage_start(&scene->stage);
    for (size_t i = 0; i < ARRAY_COUNT(entries); i++) {
        char name[32];

        (void)snprintf(name, sizeof(name), "p%zu.wav", i);
        stage_closed(&scene->stage, &entries[i], name, 100);
    }
    assert_true(stage_wait(entered, &wanted));
    puts = misbehaver_count(scene->store, "PUT");
    /* Twelve recordings wait, and yet hardly anything but probes went out. */
    assert_true(puts <= 10);
    assert_true(stage_events(&scene->stage, SEALTAPE_EVENT_DELAYED) >= 1);
    for (size_t i = 0; i < ARRAY_COUNT(entries); i++) {
        assert_true(stage_wait_state(&entries[i], ENTRY_POSTED));
        stage_drop(&entries[i]);
    }
}

static void a_dead_first_store_gives_way_to_the_second_and_gets_back(void **state)
{
    struct scene *scene = *state;
    struct misbehaver *second = misbehaver_start();
    struct stage_entry late;
    char *body, name[64];
    bool back = false;

    scene->stage.pace.breaker_failures = 2;
    stage_storage(&scene->stage, "http://127.0.0.1:%u/other/", misbehaver_port(second));
    misbehaver_fault(scene->store,
            &(struct fault){.method = "PUT", .kind = FAULT_RESET, .bytes = 10, .times = 100000});
    stage_start(&scene->stage);
    stage_closed(&scene->stage, &scene->entry, "one.wav", 1000);
    assert_true(stage_wait_state(&scene->entry, ENTRY_POSTED));
    assert_stored(second, "/other/one.wav.bin", &scene->entry);
    body = misbehaver_posted(scene->processor);
    assert_contains(body, "other/one.wav.bin");
    assert_null(strstr(body, "rec/one.wav.bin"));
    free(body);
    misbehaver_forget_faults(scene->store);
    transfer_retry_now(scene->stage.transfer);
    /* While another request probes the first, the second goes on being used. */
    for (unsigned i = 0; i < 50 && !back; i++) {
        (void)snprintf(name, sizeof(name), "late%u.wav", i);
        stage_closed(&scene->stage, &late, name, 1000);
        assert_true(stage_wait_state(&late, ENTRY_POSTED));
        (void)snprintf(name, sizeof(name), "/rec/late%u.wav.bin", i);
        back = misbehaver_object(scene->store, name, NULL, NULL);
        stage_drop(&late);
    }
    assert_true(back);
    transfer_stop(&scene->stage.transfer);
    misbehaver_stop(&second);
}

static void a_new_password_is_read_after_a_401(void **state)
{
    struct scene *scene = *state;
    struct seen seen;
    struct stage_entry next;

    scene->stage.storages[0].username = strdup("recorder");
    scene->stage.storages[0].password_file = stage_file(&scene->stage, "secret", "old\n");
    misbehaver_ask(scene->store, "Basic cmVjb3JkZXI6b2xk");
    assert_delivered(scene, 1000);
    misbehaver_ask(scene->store, "Basic cmVjb3JkZXI6bmV3");
    free(stage_file(&scene->stage, "secret", "new\n"));
    stage_closed(&scene->stage, &next, "next.wav", 100);
    assert_true(stage_wait_state(&next, ENTRY_POSTED));
    stage_drop(&next);
    assert_true(misbehaver_seen(scene->processor, "POST", 0, &seen));
    assert_string_equal(seen.authorization, "");
    transfer_stop(&scene->stage.transfer);
    free(scene->stage.storages[0].username);
    scene->stage.storages[0].username = NULL;
}

static void credentials_never_reach_another_origin(void **state)
{
    struct scene *scene = *state;
    struct misbehaver *other = misbehaver_start();
    struct seen seen;
    char url[64];

    scene->stage.storages[0].username = strdup("recorder");
    scene->stage.storages[0].password_file = stage_file(&scene->stage, "secret", "old\n");
    stage_start(&scene->stage);
    /* The document names a store that is not configured. */
    (void)snprintf(url, sizeof(url), "http://127.0.0.1:%u/x/", misbehaver_port(other));
    scene->stage.storage = url;
    stage_closed(&scene->stage, &scene->entry, "one.wav", 100);
    assert_true(stage_wait_state(&scene->entry, ENTRY_POSTED));
    assert_true(misbehaver_seen(other, "PUT", 0, &seen));
    assert_string_equal(seen.authorization, "");
    assert_int_equal(misbehaver_count(scene->store, "PUT"), 0);
    transfer_stop(&scene->stage.transfer);
    free(scene->stage.storages[0].username);
    scene->stage.storages[0].username = NULL;
    misbehaver_stop(&other);
}

static void proxies_of_the_environment_are_passed_over(void **state)
{
    struct misbehaver *proxy = misbehaver_start();
    char url[64];

    (void)snprintf(url, sizeof(url), "http://127.0.0.1:%u", misbehaver_port(proxy));
    setenv("http_proxy", url, 1);
    setenv("all_proxy", url, 1);
    assert_delivered(*state, 100);
    unsetenv("http_proxy");
    unsetenv("all_proxy");
    assert_int_equal(misbehaver_count(proxy, "PUT") + misbehaver_count(proxy, "POST"), 0);
    misbehaver_stop(&proxy);
}

static void a_processor_that_is_down_gets_it_later(void **state)
{
    struct scene *scene = *state;

    misbehaver_fault(
            scene->processor, &(struct fault){.method = "POST", .kind = FAULT_SILENT, .times = 4});
    assert_delivered(scene, 100);
    assert_int_equal(misbehaver_count(scene->store, "PUT"), 1);
}

static void what_vanished_during_its_grace_is_stored_again(void **state)
{
    struct scene *scene = *state;

    scene->stage.config.spool.grace_ms = 300;
    misbehaver_fault(scene->store,
            &(struct fault){
                    .method = "PROPFIND", .part = "one.wav.bin", .kind = FAULT_NONE, .times = 1});
    stage_start(&scene->stage);
    stage_closed(&scene->stage, &scene->entry, "one.wav", 3000);
    assert_true(stage_wait_state(&scene->entry, ENTRY_POSTED));
    misbehaver_delete(scene->store, "/rec/one.wav.bin");
    assert_true(stage_wait_state(&scene->entry, ENTRY_GONE));
    assert_stored(scene->store, "/rec/one.wav.bin", &scene->entry);
    assert_int_equal(stage_events(&scene->stage, SEALTAPE_EVENT_STORED), 2);
    assert_int_equal(stage_events(&scene->stage, SEALTAPE_EVENT_DELAYED), 1);
}

static void a_discarded_recording_leaves_nothing_and_is_told(void **state)
{
    struct scene *scene = *state;
    struct arrival arrival = {scene->store, 5000};

    scene->stage.config.spool.grace_ms = 0;
    stage_start(&scene->stage);
    stage_record(&scene->stage, &scene->entry, "one.wav");
    stage_append(&scene->entry, 5000);
    transfer_offer(scene->stage.transfer, scene->entry.entry);
    assert_true(stage_wait(arrived, &arrival));
    entry_want_discard(scene->entry.entry);
    transfer_offer(scene->stage.transfer, scene->entry.entry);
    assert_true(stage_wait(no_live, scene->stage.transfer));
    stage_finish(&scene->entry);
    assert_true(stage_wait_state(&scene->entry, ENTRY_GONE));
    assert_int_equal(misbehaver_objects(scene->store), 0);
    assert_int_equal(misbehaver_count(scene->processor, "POST"), 1);
    assert_int_equal(stage_events(&scene->stage, SEALTAPE_EVENT_DISCARDED), 1);
    assert_int_equal(stage_events(&scene->stage, SEALTAPE_EVENT_STORED), 0);
}

struct lookups {
    pthread_mutex_t lock;
    pthread_cond_t freed;
    bool free;
};

static enum sealtape_status hanging_lookup(
        void *context, const char *host, char ret_addresses[RESOLVER_TEXT_SIZE], struct diag *diag)
{
    struct lookups *lookups = context;

    (void)diag;
    if (strcmp(host, "hangs.invalid") == 0) {
        pthread_mutex_lock(&lookups->lock);
        while (!lookups->free)
            pthread_cond_wait(&lookups->freed, &lookups->lock);
        pthread_mutex_unlock(&lookups->lock);
    }
    (void)snprintf(ret_addresses, RESOLVER_TEXT_SIZE, "127.0.0.1");
    return SEALTAPE_OK;
}

static void a_name_that_hangs_delays_nobody_else(void **state)
{
    struct lookups lookups = {PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, false};
    struct scene *scene = *state;
    char good[64], bad[64];
    struct stage_entry stuck;

    scene->stage.pace.lookup = hanging_lookup;
    scene->stage.pace.lookup_context = &lookups;
    scene->stage.pace.resolve_ms = 300;
    (void)snprintf(good, sizeof(good), "http://localhost:%u/rec/", misbehaver_port(scene->store));
    (void)snprintf(bad, sizeof(bad), "https://hangs.invalid:%u/", misbehaver_port(scene->store));
    stage_start(&scene->stage);
    scene->stage.storage = bad;
    stage_closed(&scene->stage, &stuck, "stuck.wav", 100);
    scene->stage.storage = good;
    stage_closed(&scene->stage, &scene->entry, "one.wav", 100);
    assert_true(stage_wait_state(&scene->entry, ENTRY_POSTED));
    assert_int_equal(entry_state(stuck.entry), ENTRY_CLOSED);
    pthread_mutex_lock(&lookups.lock);
    lookups.free = true;
    pthread_cond_broadcast(&lookups.freed);
    pthread_mutex_unlock(&lookups.lock);
    transfer_stop(&scene->stage.transfer);
    stage_drop(&stuck);
}

static void plain_http_beyond_loopback_is_refused(void **state)
{
    struct scene *scene = *state;
    struct transfer_stats stats;

    stage_start(&scene->stage);
    scene->stage.storage = "http://192.0.2.1/rec/";
    stage_closed(&scene->stage, &scene->entry, "one.wav", 100);
    assert_int_equal(transfer_drain(scene->stage.transfer, 300), 1);
    transfer_stats(scene->stage.transfer, &stats);
    assert_int_equal(stats.waiting, 1);
    assert_int_equal(stats.stored, 0);
}

static void leftovers_of_a_former_process_are_deleted(void **state)
{
    struct scene *scene = *state;
    char url[128];

    misbehaver_put(scene->store, "/rec/one.wav.bin.00000000.part", "stump", 5);
    stage_record(&scene->stage, &scene->entry, "one.wav");
    (void)snprintf(url, sizeof(url), "http://127.0.0.1:%u/rec/one.wav.bin.00000000.part",
            misbehaver_port(scene->store));
    assert_int_equal(entry_attempt_add(scene->entry.entry, url, NULL), SEALTAPE_OK);
    stage_start(&scene->stage);
    stage_append(&scene->entry, 100);
    stage_finish(&scene->entry);
    assert_true(stage_wait_state(&scene->entry, ENTRY_POSTED));
    assert_true(stage_wait(one_object, scene->store));
}

static void no_more_than_live_max_are_streamed(void **state)
{
    struct scene *scene = *state;
    struct arrival arrival = {scene->store, 100};
    struct stage_entry second;
    struct transfer_stats stats;

    scene->stage.storages[0].live_max = 1;
    stage_start(&scene->stage);
    stage_record(&scene->stage, &scene->entry, "one.wav");
    stage_append(&scene->entry, 100);
    transfer_offer(scene->stage.transfer, scene->entry.entry);
    assert_true(stage_wait(arrived, &arrival));
    stage_record(&scene->stage, &second, "two.wav");
    stage_append(&second, 100);
    transfer_offer(scene->stage.transfer, second.entry);
    transfer_offer(scene->stage.transfer, second.entry);
    assert_int_equal(transfer_drain(scene->stage.transfer, 5000), 0);
    transfer_stats(scene->stage.transfer, &stats);
    assert_int_equal(stats.live, 1);
    stage_finish(&second);
    assert_true(stage_wait_state(&second, ENTRY_POSTED));
    assert_int_equal(entry_state(scene->entry.entry), ENTRY_RECORDING);
    stage_drop(&second);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
            CASE(a_closed_recording_is_stored_then_posted),
            CASE(an_empty_object_is_stored),
            CASE(a_large_object_is_stored),
            CASE(a_running_recording_reaches_the_store_as_it_grows),
            CASE(an_early_507_of_a_live_upload_is_noticed),
            CASE(an_early_401_of_a_live_upload_is_answered_at_once),
            CASE(an_early_503_of_a_live_upload_is_noticed),
            CASE(an_early_201_of_a_live_upload_counts_for_nothing),
            CASE(a_reset_in_the_middle_of_a_live_upload_is_survived),
            CASE(a_fin_in_the_middle_of_a_live_upload_is_survived),
            CASE(a_fin_is_noticed_while_the_upload_pauses),
            CASE(fewer_bytes_than_were_sent_are_noticed),
            CASE(a_wrong_length_is_not_believed),
            CASE(a_store_without_propfind_is_asked_by_get),
            CASE(a_lost_answer_to_a_move_stores_once),
            CASE(the_same_object_under_the_final_name_is_stored),
            CASE(another_object_under_the_final_name_fails_and_stays),
            CASE(spoiled_bytes_in_the_spool_are_never_published),
            CASE(a_corrupt_document_fails),
            CASE(a_missing_collection_is_made),
            CASE(no_status_drops_a_recording),
            CASE(a_store_that_never_answers_is_given_up_and_tried_again),
            CASE(an_endless_answer_is_cut),
            CASE(retry_after_is_honoured),
            CASE(the_processors_conflict_waits_and_is_told),
            CASE(a_breaker_lets_one_probe_through),
            CASE(a_dead_first_store_gives_way_to_the_second_and_gets_back),
            CASE(a_new_password_is_read_after_a_401),
            CASE(credentials_never_reach_another_origin),
            CASE(proxies_of_the_environment_are_passed_over),
            CASE(a_processor_that_is_down_gets_it_later),
            CASE(what_vanished_during_its_grace_is_stored_again),
            CASE(a_discarded_recording_leaves_nothing_and_is_told),
            CASE(a_name_that_hangs_delays_nobody_else),
            CASE(plain_http_beyond_loopback_is_refused),
            CASE(leftovers_of_a_former_process_are_deleted),
            CASE(no_more_than_live_max_are_streamed),
    };

    if (argc > 1)
        cmocka_set_test_filter(argv[1]);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
