/*
 * The recording process is killed at random moments; recovery is killed before
 * each of its calls. What the kernel took is there, and valid.
 */
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "../unit.h"
#include "base/clock.h"
#include "base/log.h"
#include "fault.h"
#include "reel.h"
#include "spool/recovery.h"

#define REELS 5
#define ROUNDS 60
#define ROUNDS_NS 25000000000u
#define FLUSH_MS 20u
#define HISTORY 4096u
#define NS_PER_MS 1000000u

/* What the recording process tells; it outlives the process. */
struct witness {
    _Atomic bool ready;
    struct {
        _Atomic uint64_t flushed, flushed_ns, gap_max_ns;
        _Atomic uint32_t masks, masks_before, masks_flushed;
        _Atomic uint32_t count;
        struct {
            uint64_t ns, accepted;
        } history[HISTORY];
    } reels[REELS];
};

static struct witness *witness;

static void pace(long ns)
{
    nanosleep(&(struct timespec){.tv_nsec = ns}, NULL);
}

/* A flushed slot has been written: 116 bytes at 4096, the plain size at 24. */
static void on_pwrite(int fd, const void *bytes, size_t len, uint64_t offset)
{
    const uint8_t *slot = bytes;
    char link[64], path[512];
    uint64_t size = 0, now = clock_monotonic_ns(), last;
    const char *name;
    ssize_t n;
    int i;

    if (len != 116 || offset != 4096)
        return;
    (void)snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
    n = readlink(link, path, sizeof(path) - 1);
    path[n < 0 ? 0 : n] = '\0';
    name = strrchr(path, '/');
    if (!name || sscanf(name, "/r%d-", &i) != 1)
        return;
    for (unsigned b = 0; b < 8; b++)
        size |= (uint64_t)slot[24 + b] << 8 * b;
    last = atomic_exchange(&witness->reels[i].flushed_ns, now);
    if (last && now - last > witness->reels[i].gap_max_ns)
        witness->reels[i].gap_max_ns = now - last;
    /* A flush writes documents first: marks from before the last one are in this one's. */
    witness->reels[i].masks_flushed = witness->reels[i].masks_before;
    witness->reels[i].masks_before = witness->reels[i].masks;
    witness->reels[i].flushed = size;
}

static void on_offer(void *context, struct entry *entry)
{
    (void)context;
    (void)entry;
}

static void on_event(void *context, enum sealtape_event_kind kind, struct media *media,
        uint64_t bytes, const char *text)
{
    (void)context;
    (void)kind;
    (void)media;
    (void)bytes;
    (void)text;
}

static void tell(int i, const struct reel *reel)
{
    uint32_t n = witness->reels[i].count;

    if (n == HISTORY)
        abort();
    witness->reels[i].history[n].ns = clock_monotonic_ns();
    witness->reels[i].history[n].accepted = reel->accepted;
    witness->reels[i].count = n + 1;
}

static void step(struct reel *reels, unsigned n)
{
    char value[32];

    for (int i = 0; i < REELS; i++) {
        if (!reel_write(&reels[i], 320 + 7 * (size_t)i))
            abort();
        tell(i, &reels[i]);
        if ((n + (unsigned)i) % 16 != 9)
            continue;
        reel_mark(&reels[i], n & 16 ? FEED_UNMASK : FEED_MASK);
        witness->reels[i].masks++;
        (void)snprintf(value, sizeof(value), "%u", n);
        if (evidence_set_parameter(media_evidence(reels[i].media), "late", value, NULL)
                != SEALTAPE_OK)
            abort();
    }
}

/* Records until it is killed. */
static _Noreturn void record(char *directory)
{
    struct config config = {.instance = (char[]){"test"}, .path = (char[]){"test.xml"}};
    const struct spool_listener listener = {.offer = on_offer, .event = on_event};
    struct reel reels[REELS];
    struct spool *spool = NULL;

    config.spool.directory = directory;
    config.spool.quota_bytes = 1 << 30;
    config.spool.memory_bytes = 16 << 20;
    config.spool.flush_ms = FLUSH_MS;
    config.spool.sync_ms = 50;
    fault_on_pwrite = on_pwrite;
    if (spool_open(&config, &listener, &spool, NULL) != SEALTAPE_OK)
        abort();
    for (int i = 0; i < REELS; i++) {
        char id[16];

        (void)snprintf(id, sizeof(id), "r%d", i);
        reel_begin(&reels[i], id, spool);
    }
    for (unsigned n = 0; n < HISTORY; n++) {
        step(reels, n);
        witness->ready = true;
        pace(1000000);
    }
    abort();
}

static uint64_t record_and_kill(char *directory, long after_ns)
{
    uint64_t until = clock_monotonic_ns() + ROUNDS_NS, killed_ns;
    int status;
    pid_t pid;

    memset(witness, 0, sizeof(*witness));
    pid = fork();
    assert_true(pid >= 0);
    if (pid == 0)
        record(directory);
    while (!witness->ready && clock_monotonic_ns() < until)
        pace(100000);
    assert_true(witness->ready);
    pace(after_ns);
    killed_ns = clock_monotonic_ns();
    kill(pid, SIGKILL);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    return killed_ns;
}

static void recover(const char *directory)
{
    struct recovery_result result = {0};
    struct folder *folder = NULL;
    struct diag diag;

    if (folder_open(directory, "test", &folder, &diag) != SEALTAPE_OK
            || recovery_run(folder, on_offer, NULL, &result, &diag) != SEALTAPE_OK)
        fail_msg("%s", diag.text);
    assert_int_equal(result.failed + result.deferred + result.newer, 0);
    folder_release(&folder);
}

static bool look(const char *directory, int i, struct reel_state *ret_state)
{
    char path[128], id[16], media_id[REEL_NAME_SIZE];
    bool found;

    (void)snprintf(path, sizeof(path), "%s/test.0", directory);
    (void)snprintf(id, sizeof(id), "r%d", i);
    reel_media_id(id, media_id);
    found = reel_look(path, media_id, ret_state);
    if (found && (ret_state->problem[0] || ret_state->altered))
        fail_msg("%s: %s", media_id, ret_state->problem);
    return found;
}

/* The first byte that is missing may be as old as a flush interval, and what the writer itself
 * needed on this machine. */
static void check_age(int i, uint64_t plain_size, uint64_t killed_ns)
{
    uint64_t late = witness->reels[i].gap_max_ns, last = witness->reels[i].flushed_ns;

    if (last && last < killed_ns && killed_ns - last > late)
        late = killed_ns - last;
    for (uint32_t h = 0; last && h < witness->reels[i].count; h++) {
        uint64_t ns = witness->reels[i].history[h].ns;

        if (witness->reels[i].history[h].accepted <= plain_size || ns > killed_ns)
            continue;
        if (killed_ns - ns > late + FLUSH_MS * NS_PER_MS)
            fail_msg("recording %d lacks bytes of %llu ms; the writer's longest interval was %llu",
                    i, (unsigned long long)((killed_ns - ns) / NS_PER_MS),
                    (unsigned long long)(late / NS_PER_MS));
        return;
    }
}

static void test_a_killed_recorder_loses_at_most_the_last_flush_interval(void **unused)
{
    uint64_t until = clock_monotonic_ns() + ROUNDS_NS;
    unsigned rounds = 0, found = 0;

    (void)unused;
    srandom(7);
    for (; rounds < ROUNDS && (rounds < 5 || clock_monotonic_ns() < until); rounds++) {
        char directory[REEL_NAME_SIZE];
        uint64_t killed_ns;

        reel_directory(directory);
        killed_ns = record_and_kill(directory, random() % 120000000);
        recover(directory);
        for (int i = 0; i < REELS; i++) {
            struct reel_state state;

            if (!look(directory, i, &state)) {
                assert_int_equal(witness->reels[i].flushed, 0);
                continue;
            }
            found++;
            assert_int_equal(state.state, ENTRY_CLOSED);
            assert_string_equal(state.outcome, "interrupted");
            assert_true(state.plain_size >= witness->reels[i].flushed);
            assert_true(state.masks >= witness->reels[i].masks_flushed);
            check_age(i, state.plain_size, killed_ns);
        }
        reel_remove(directory);
    }
    assert_true(found > rounds);
    print_message("%u rounds\n", rounds);
}

static void copy_tree(const char *from, const char *to)
{
    int status;
    pid_t pid = fork();

    if (pid == 0) {
        char source[REEL_NAME_SIZE + 4];

        (void)snprintf(source, sizeof(source), "%s/.", from);
        execlp("cp", "cp", "-a", source, to, (char *)NULL);
        _exit(127);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
}

/* true: it was killed. */
static bool recover_and_die(const char *directory, unsigned after)
{
    const struct fault_plan plan = {
            .calls = FAULT_MUTATIONS, .after = after, .times = 1, .kind = FAULT_KILL};
    int status;
    pid_t pid = fork();

    if (pid == 0) {
        struct recovery_result result;
        struct folder *folder = NULL;

        fault_set(&plan);
        if (folder_open(directory, "test", &folder, NULL) != SEALTAPE_OK
                || recovery_run(folder, on_offer, NULL, &result, NULL) != SEALTAPE_OK)
            _exit(1);
        _exit(0);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    if (WIFSIGNALED(status))
        return true;
    assert_int_equal(status, 0);
    return false;
}

static void test_recovery_killed_before_each_call_comes_to_the_same_end(void **unused)
{
    char crashed[REEL_NAME_SIZE], directory[REEL_NAME_SIZE];
    struct reel_state expected[REELS];
    unsigned after = 0;
    bool died = true;

    (void)unused;
    reel_directory(crashed);
    (void)record_and_kill(crashed, 100000000);
    reel_directory(directory);
    copy_tree(crashed, directory);
    recover(directory);
    for (int i = 0; i < REELS; i++)
        assert_true(look(directory, i, &expected[i]));
    reel_remove(directory);
    for (; died; after++) {
        reel_directory(directory);
        copy_tree(crashed, directory);
        died = recover_and_die(directory, after);
        recover(directory);
        for (int i = 0; i < REELS; i++) {
            struct reel_state state;

            assert_true(look(directory, i, &state));
            assert_int_equal(state.state, ENTRY_CLOSED);
            assert_string_equal(state.outcome, "interrupted");
            assert_int_equal(state.plain_size, expected[i].plain_size);
            assert_int_equal(state.masks, expected[i].masks);
            assert_int_equal(state.spans, expected[i].spans);
            assert_int_equal(state.sequence, expected[i].sequence);
        }
        reel_remove(directory);
    }
    assert_true(after > 20);
    reel_remove(crashed);
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

int main(void)
{
    const struct CMUnitTest tests[] = {
            cmocka_unit_test(test_a_killed_recorder_loses_at_most_the_last_flush_interval),
            cmocka_unit_test(test_recovery_killed_before_each_call_comes_to_the_same_end),
    };

    witness =
            mmap(NULL, sizeof(*witness), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (witness == MAP_FAILED)
        return 1;
    log_to(no_log, NULL);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
