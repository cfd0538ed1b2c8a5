/*
 * One run of the real spool, threads and all, is written down; then the power
 * is cut at each point of it, with several choices of what the disk had kept.
 *
 *   test_powercut [STEP]   look at every STEP-th point only
 */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "../unit.h"
#include "base/clock.h"
#include "base/log.h"
#include "journal.h"
#include "reel.h"
#include "spool/recovery.h"

#define REELS 4
#define ROUNDS 40
#define DEADLINE_NS 20000000000u

static size_t step = 1;

struct watch {
    pthread_mutex_t lock;
    unsigned closed;
};

static void on_offer(void *context, struct entry *entry)
{
    (void)context;
    (void)entry;
}

static void on_event(void *context, enum sealtape_event_kind kind, struct media *media,
        uint64_t bytes, const char *text)
{
    struct watch *watch = context;

    (void)media;
    (void)bytes;
    (void)text;
    pthread_mutex_lock(&watch->lock);
    watch->closed += kind == SEALTAPE_EVENT_SPOOLED || kind == SEALTAPE_EVENT_DISCARDED;
    pthread_mutex_unlock(&watch->lock);
}

static unsigned closed(struct watch *watch)
{
    unsigned n;

    pthread_mutex_lock(&watch->lock);
    n = watch->closed;
    pthread_mutex_unlock(&watch->lock);
    return n;
}

static void pace(long ms)
{
    nanosleep(&(struct timespec){.tv_nsec = ms * 1000000}, NULL);
}

/* Media of several recordings at the pace of calls, with masks; one is thrown away. */
static void record(struct spool *spool, struct reel *reels, struct watch *watch)
{
    uint64_t until = clock_monotonic_ns() + DEADLINE_NS;
    char id[16];

    for (int r = 0; r < ROUNDS; r++) {
        for (int i = 0; i < REELS; i++) {
            if (r == 3 * i) {
                (void)snprintf(id, sizeof(id), "r%d", i);
                reel_begin(&reels[i], id, spool);
            }
            if (!reels[i].cipher)
                continue;
            assert_true(reel_write(&reels[i], 700 + 331 * (size_t)i));
            if ((r + i) % 8 == 4)
                reel_mark(&reels[i], FEED_MASK);
            if ((r + i) % 8 == 7)
                reel_mark(&reels[i], FEED_UNMASK);
            if (r == ROUNDS - 5 + i) {
                if (i == 1)
                    media_discard(reels[i].media);
                reel_end(&reels[i]);
                spool_urge(spool);
            }
        }
        pace(7);
    }
    while (closed(watch) < REELS && clock_monotonic_ns() < until)
        pace(1);
    assert_int_equal(closed(watch), REELS);
}

static void run(const char *directory, struct reel *reels)
{
    struct config config = {.instance = (char[]){"test"}, .path = (char[]){"test.xml"}};
    struct watch watch = {.lock = PTHREAD_MUTEX_INITIALIZER};
    const struct spool_listener listener = {
            .context = &watch, .offer = on_offer, .event = on_event};
    struct spool *spool = NULL;
    char path[REEL_NAME_SIZE];
    struct diag diag;

    strcpy(path, directory);
    config.spool.directory = path;
    config.spool.quota_bytes = 1 << 30;
    config.spool.memory_bytes = 4 << 20;
    config.spool.flush_ms = 10;
    config.spool.sync_ms = 40;
    journal_start(directory);
    if (spool_open(&config, &listener, &spool, &diag) != SEALTAPE_OK)
        fail_msg("%s", diag.text);
    record(spool, reels, &watch);
    for (int i = 0; i < REELS; i++)
        reel_free(&reels[i]);
    spool_close(&spool);
    journal_stop();
}

/* --- what must be there --------------------------------------------------- */

struct promise {
    bool entry;
    uint64_t plain_size;
    unsigned masks;
};

static unsigned masks_of(const uint8_t *bytes, size_t len)
{
    json_t *root = json_loadb((const char *)bytes, len, 0, NULL);
    json_t *media = json_array_get(json_object_get(root, "mediaFiles"), 0);
    unsigned masks = (unsigned)json_array_size(json_object_get(media, "masks"));

    json_decref(root);
    return masks;
}

/* The plain size in the synced slot: at 8192 + 24, little-endian. */
static uint64_t synced_size(const uint8_t *bytes, size_t len)
{
    uint64_t size = 0;

    assert_int_equal(len, COMMIT_FILE_SIZE);
    for (unsigned i = 0; i < 8; i++)
        size |= (uint64_t)bytes[8192 + 24 + i] << 8 * i;
    return size;
}

/* What the last sync covered that had returned when the power was cut. Two rounds lie between
 * a byte and the slot that counts it for a power cut. */
static struct promise promised(size_t count, const char *media_id)
{
    struct promise promise = {.entry = false};
    char name[512];
    uint8_t *bytes = NULL;
    size_t len;

    (void)snprintf(name, sizeof(name), "%s", media_id);
    promise.entry = journal_covered(count, name, &bytes, &len);
    free(bytes);
    if (!promise.entry)
        return promise;
    (void)snprintf(name, sizeof(name), "%s.commit", media_id);
    assert_true(journal_covered(count, name, &bytes, &len));
    promise.plain_size = synced_size(bytes, len);
    free(bytes);
    for (unsigned revision = 0; revision < 40; revision++) {
        (void)snprintf(name, sizeof(name), revision ? "%s.json.%u" : "%s.json", media_id, revision);
        if (!journal_covered(count, name, &bytes, &len))
            continue;
        if (masks_of(bytes, len) > promise.masks)
            promise.masks = masks_of(bytes, len);
        free(bytes);
    }
    return promise;
}

static void check(const struct reel *reel, const struct promise *promise, const char *folder,
        const char *what)
{
    struct reel_state state;
    bool found = reel_look(folder, reel->media_id, &state);

    if (!found && promise->entry)
        fail_msg("%s: %s is gone", what, reel->media_id);
    if (!found)
        return;
    if (state.problem[0] || state.altered || state.state != ENTRY_CLOSED)
        fail_msg("%s: %s: %s (in %s)", what, reel->media_id, state.problem,
                entry_state_name(state.state));
    if (strcmp(state.outcome, "discarded") == 0)
        return;
    if (state.plain_size < promise->plain_size || state.masks < promise->masks)
        fail_msg("%s: %s: %llu bytes and %u masks are left, %llu and %u were durable", what,
                reel->media_id, (unsigned long long)state.plain_size, state.masks,
                (unsigned long long)promise->plain_size, promise->masks);
}

static void cut(size_t count, unsigned keep, uint32_t seed, const struct reel *reels,
        const struct promise *promises)
{
    char directory[REEL_NAME_SIZE], what[128];

    (void)snprintf(what, sizeof(what), "cut after %zu, %u of 1000 kept, seed %u", count, keep,
            (unsigned)seed);
    reel_directory(directory);
    journal_materialize(count, keep, seed, directory);
    /* Twice: recovery itself leaves what the next one understands. */
    for (int again = 0; again < 2; again++) {
        struct recovery_result result = {0};
        struct folder *folder = NULL;
        struct diag diag;

        if (folder_open(directory, "test", &folder, &diag) != SEALTAPE_OK
                || recovery_run(folder, on_offer, NULL, &result, &diag) != SEALTAPE_OK)
            fail_msg("%s: %s", what, diag.text);
        if (result.failed || result.deferred || result.newer)
            fail_msg("%s: %u failed, %u deferred, %u newer", what, result.failed, result.deferred,
                    result.newer);
        for (int i = 0; i < REELS; i++)
            check(&reels[i], &promises[i], folder_path(folder), what);
        folder_release(&folder);
    }
    reel_remove(directory);
}

static void test_whenever_the_power_is_cut_what_was_synced_is_there(void **unused)
{
    struct reel reels[REELS];
    char directory[REEL_NAME_SIZE];

    (void)unused;
    memset(reels, 0, sizeof(reels));
    reel_directory(directory);
    run(directory, reels);
    for (size_t count = 0; count <= journal_count(); count += step) {
        static const unsigned keeps[] = {0, 1000, 150, 500, 850};
        struct promise promises[REELS];

        for (int i = 0; i < REELS; i++) {
            char id[16];

            (void)snprintf(id, sizeof(id), "r%d", i);
            reel_media_id(id, reels[i].media_id);
            promises[i] = promised(count, reels[i].media_id);
        }
        for (unsigned k = 0; k < ARRAY_COUNT(keeps); k++)
            cut(count, keeps[k], (uint32_t)(count * 8 + k + 1), reels, promises);
    }
    print_message("%zu operations\n", journal_count());
    journal_clear();
    reel_remove(directory);
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

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
            cmocka_unit_test(test_whenever_the_power_is_cut_what_was_synced_is_there),
    };

    if (argc > 1)
        step = (size_t)strtoul(argv[1], NULL, 10);
    log_to(no_log, NULL);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
