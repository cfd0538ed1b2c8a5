/* The spool with its threads: writer, syncer, listener. */
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "../unit.h"
#include "base/clock.h"
#include "base/log.h"
#include "fault.h"
#include "reel.h"

#define DEADLINE_NS 20000000000u
#define NS_PER_MS 1000000u

struct stand {
    char directory[REEL_NAME_SIZE], folder[REEL_NAME_SIZE + 8];
    struct config config;
    struct spool *spool;
    char instance[8];

    /* Guards what follows. */
    pthread_mutex_t lock;
    unsigned events[32], offered;
    uint64_t lost;
};

static struct stand *stand;

static void on_offer(void *context, struct entry *entry)
{
    (void)context;
    (void)entry;
    pthread_mutex_lock(&stand->lock);
    stand->offered++;
    pthread_mutex_unlock(&stand->lock);
}

static void on_event(void *context, enum sealtape_event_kind kind, struct media *media,
        uint64_t bytes, const char *text)
{
    (void)context;
    (void)media;
    (void)text;
    pthread_mutex_lock(&stand->lock);
    stand->events[kind]++;
    if (kind == SEALTAPE_EVENT_DEGRADED)
        stand->lost += bytes;
    pthread_mutex_unlock(&stand->lock);
}

static unsigned events(enum sealtape_event_kind kind)
{
    unsigned n;

    pthread_mutex_lock(&stand->lock);
    n = stand->events[kind];
    pthread_mutex_unlock(&stand->lock);
    return n;
}

static bool wait_for(enum sealtape_event_kind kind, unsigned count)
{
    uint64_t until = clock_monotonic_ns() + DEADLINE_NS;

    while (events(kind) < count && clock_monotonic_ns() < until)
        nanosleep(&(struct timespec){.tv_nsec = NS_PER_MS}, NULL);
    return events(kind) >= count;
}

static bool wait_ready(void)
{
    uint64_t until = clock_monotonic_ns() + DEADLINE_NS;
    enum sealtape_status st;

    while ((st = spool_ready(stand->spool, NULL)) != SEALTAPE_OK && clock_monotonic_ns() < until)
        nanosleep(&(struct timespec){.tv_nsec = NS_PER_MS}, NULL);
    return st == SEALTAPE_OK;
}

/* Until at most so much memory is used. */
static bool wait_memory(uint64_t bytes)
{
    uint64_t until = clock_monotonic_ns() + DEADLINE_NS;
    struct spool_stats stats;

    do {
        spool_stats(stand->spool, &stats);
    } while (stats.memory_bytes > bytes && clock_monotonic_ns() < until);
    return stats.memory_bytes <= bytes;
}

static int set_up(void **state)
{
    const struct spool_listener listener = {.offer = on_offer, .event = on_event};
    struct diag diag;

    (void)state;
    stand = calloc(1, sizeof(*stand));
    assert_non_null(stand);
    pthread_mutex_init(&stand->lock, NULL);
    reel_directory(stand->directory);
    (void)snprintf(stand->folder, sizeof(stand->folder), "%s/test.0", stand->directory);
    strcpy(stand->instance, "test");
    stand->config.instance = stand->instance;
    stand->config.spool.directory = stand->directory;
    stand->config.spool.quota_bytes = 1 << 20;
    stand->config.spool.memory_bytes = 1 << 19;
    stand->config.spool.flush_ms = 5;
    stand->config.spool.sync_ms = 10;
    if (spool_open(&stand->config, &listener, &stand->spool, &diag) != SEALTAPE_OK)
        fail_msg("%s", diag.text);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    fault_clear();
    spool_close(&stand->spool);
    reel_remove(stand->directory);
    pthread_mutex_destroy(&stand->lock);
    free(stand);
    return 0;
}

static void end(struct reel *reel)
{
    reel_end(reel);
    reel_free(reel);
    spool_urge(stand->spool);
}

static void assert_closed(const char *id, uint64_t plain_size, const char *outcome)
{
    char media_id[REEL_NAME_SIZE];
    struct reel_state state;

    reel_media_id(id, media_id);
    assert_true(reel_look(stand->folder, media_id, &state));
    assert_string_equal(state.problem, "");
    assert_int_equal(state.state, ENTRY_CLOSED);
    assert_string_equal(state.outcome, outcome);
    assert_int_equal(state.plain_size, plain_size);
    assert_false(state.altered);
}

/* --- refusals first ------------------------------------------------------- */

static void test_a_full_disk_refuses_new_ones_and_goes_on_by_itself(void **unused)
{
    const struct fault_plan plan = {
            .calls = FAULT_BIT(FAULT_PWRITEV), .times = 1u << 30, .error = ENOSPC};
    struct reel reel;
    struct diag diag;

    (void)unused;
    reel_begin(&reel, "one", stand->spool);
    fault_set(&plan);
    assert_true(reel_write(&reel, 10000));
    assert_true(wait_for(SEALTAPE_EVENT_PRESSURE, 1));
    assert_int_equal(spool_ready(stand->spool, &diag), SEALTAPE_E_SPOOL);
    assert_contains(diag.text, "No space left");
    assert_true(reel_write(&reel, 10000));
    fault_clear();
    assert_true(wait_for(SEALTAPE_EVENT_PRESSURE, 2));
    assert_true(wait_ready());
    end(&reel);
    assert_true(wait_for(SEALTAPE_EVENT_SPOOLED, 1));
    assert_closed("one", 20000, "complete");
}

static void test_a_sync_that_fails_once_does_not_refuse_for_ever(void **unused)
{
    const struct fault_plan plan = {.calls = FAULT_BIT(FAULT_SYNCFS), .times = 1, .error = EIO};
    struct reel reel;

    (void)unused;
    reel_begin(&reel, "one", stand->spool);
    assert_true(reel_write(&reel, 10000));
    fault_set(&plan);
    end(&reel);
    assert_true(wait_for(SEALTAPE_EVENT_SPOOLED, 1));
    assert_true(wait_for(SEALTAPE_EVENT_PRESSURE, 1));
    /* No recording runs that could bring about another round. */
    assert_true(wait_ready());
    assert_closed("one", 10000, "complete");
}

static void test_syncs_that_fail_for_a_while_lose_nothing(void **unused)
{
    static const uint32_t calls[] = {FAULT_BIT(FAULT_SYNCFS),
            FAULT_BIT(FAULT_SYNCFS) | FAULT_BIT(FAULT_FSYNC),
            FAULT_BIT(FAULT_SYNCFS) | FAULT_BIT(FAULT_RENAMEAT), FAULT_MUTATIONS};
    char id[16];

    (void)unused;
    for (unsigned i = 0; i < 4 * ARRAY_COUNT(calls); i++) {
        const struct fault_plan plan = {
                .calls = calls[i / 4], .times = 1 + i % 4 * 13, .error = EIO};
        struct reel reel;

        (void)snprintf(id, sizeof(id), "n%u", i);
        reel_begin(&reel, id, stand->spool);
        assert_true(reel_write(&reel, 5000 + i));
        fault_set(&plan);
        nanosleep(&(struct timespec){.tv_nsec = 12 * NS_PER_MS}, NULL);
        assert_true(reel_write(&reel, 7000));
        reel_mark(&reel, FEED_MASK);
        end(&reel);
        if (!wait_for(SEALTAPE_EVENT_SPOOLED, i + 1))
            fail_msg("recording %u is not spooled", i);
        fault_clear();
        assert_closed(id, 12000 + i, "complete");
        assert_true(wait_ready());
    }
}

static void test_quota_and_memory_are_refused_before_running_ones_suffer(void **unused)
{
    const struct fault_plan plan = {
            .calls = FAULT_BIT(FAULT_PWRITEV), .times = 1u << 30, .error = EIO};
    struct reel reel;
    struct diag diag;
    uint64_t lost = 0;

    (void)unused;
    reel_begin(&reel, "one", stand->spool);
    for (int i = 0; i < 11; i++) {
        assert_true(wait_memory(1 << 18));
        assert_true(reel_write(&reel, 100000));
    }
    end(&reel);
    assert_true(wait_for(SEALTAPE_EVENT_SPOOLED, 1));
    assert_int_equal(spool_ready(stand->spool, &diag), SEALTAPE_E_LIMIT);
    assert_contains(diag.text, "quota");
    assert_closed("one", 1100000, "complete");
    fault_set(&plan);
    reel_begin(&reel, "two", stand->spool);
    for (int i = 0; i < 100; i++)
        lost += reel_write(&reel, 10000) ? 0 : 10000;
    assert_true(lost > 0);
    end(&reel);
    assert_true(wait_for(SEALTAPE_EVENT_DEGRADED, 1));
    fault_clear();
    assert_true(wait_for(SEALTAPE_EVENT_SPOOLED, 2));
    assert_closed("two", 1000000 - lost, "degraded");
    assert_int_equal(stand->lost, lost);
}

/* --- what goes well ------------------------------------------------------- */

static void test_closing_brings_everything_published_to_disk(void **unused)
{
    const struct spool_listener listener = {.offer = on_offer, .event = on_event};
    struct reel ended, running;
    char media_id[REEL_NAME_SIZE];
    struct reel_state state;

    (void)unused;
    for (int i = 0; i < 20; i++) {
        char one[16], two[16];

        (void)snprintf(one, sizeof(one), "ended%d", i);
        (void)snprintf(two, sizeof(two), "running%d", i);
        reel_begin(&ended, one, stand->spool);
        reel_begin(&running, two, stand->spool);
        assert_true(reel_write(&ended, 3001));
        assert_true(reel_write(&running, 3003));
        reel_end(&ended);
        reel_free(&ended);
        reel_free(&running);
        spool_close(&stand->spool);
        assert_closed(one, 3001, "complete");
        assert_int_equal(spool_open(&stand->config, &listener, &stand->spool, NULL), SEALTAPE_OK);
        reel_media_id(two, media_id);
        assert_true(reel_look(stand->folder, media_id, &state));
        assert_int_equal(state.plain_size, 3003);
        assert_string_equal(state.outcome, "interrupted");
    }
}

static void test_a_recording_is_offered_when_durable_and_when_closed(void **unused)
{
    struct spool_stats stats;
    struct reel reel;
    uint64_t until = clock_monotonic_ns() + DEADLINE_NS;
    unsigned offered = 0;

    (void)unused;
    reel_begin(&reel, "one", stand->spool);
    assert_true(reel_write(&reel, 1000));
    while (offered < 1 && clock_monotonic_ns() < until) {
        pthread_mutex_lock(&stand->lock);
        offered = stand->offered;
        pthread_mutex_unlock(&stand->lock);
    }
    assert_int_equal(offered, 1);
    spool_stats(stand->spool, &stats);
    assert_int_equal(stats.recordings, 1);
    end(&reel);
    assert_true(wait_for(SEALTAPE_EVENT_SPOOLED, 1));
    assert_true(wait_memory(0));
    spool_stats(stand->spool, &stats);
    assert_int_equal(stats.spooled_bytes, 1008);
    assert_int_equal(stats.bytes, 1008);
    assert_int_equal(stats.memory_max_bytes, 1 << 19);
}

static void test_a_discarded_one_is_told_as_such(void **unused)
{
    struct reel_state state;
    struct reel reel;
    char media_id[REEL_NAME_SIZE];

    (void)unused;
    reel_begin(&reel, "one", stand->spool);
    assert_true(reel_write(&reel, 1000));
    media_discard(reel.media);
    end(&reel);
    assert_true(wait_for(SEALTAPE_EVENT_DISCARDED, 1));
    reel_media_id("one", media_id);
    assert_true(reel_look(stand->folder, media_id, &state));
    assert_string_equal(state.outcome, "discarded");
    assert_int_equal(state.stored_size, 0);
    assert_int_equal(state.state, ENTRY_CLOSED);
}

static void no_log(
        void *context, int level, uint32_t number, const char *recording_id, const char *message)
{
    (void)context;
    (void)level;
    (void)number;
    (void)recording_id;
    (void)message;
}

#define on_a_stand(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
            on_a_stand(test_a_full_disk_refuses_new_ones_and_goes_on_by_itself),
            on_a_stand(test_a_sync_that_fails_once_does_not_refuse_for_ever),
            on_a_stand(test_syncs_that_fail_for_a_while_lose_nothing),
            on_a_stand(test_quota_and_memory_are_refused_before_running_ones_suffer),
            on_a_stand(test_closing_brings_everything_published_to_disk),
            on_a_stand(test_a_recording_is_offered_when_durable_and_when_closed),
            on_a_stand(test_a_discarded_one_is_told_as_such),
    };

    log_to(no_log, NULL);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
