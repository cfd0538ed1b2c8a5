/*
 * Host and module of different ages, forks, unloading: what the interface
 * promises beyond a single call. Built twice: with the present header, and
 * with the one saved at release 1.0 (SEALTAPE_SAVED_HEADER).
 *
 * usage: abi MODULE CONFIG DBID
 */
#include <dirent.h>
#include <dlfcn.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#ifdef SEALTAPE_SAVED_HEADER
#include "../vectors/module-1.0.h"
#else
#include <sealtape/module.h>
#endif

static const char *module_path, *config_path, *dbid;

struct loaded {
    void *module;
    const struct sealtape_entry *entry;
    const struct sealtape_recorder_interface *tape;
};

static struct loaded load(void)
{
    struct loaded loaded = {.module = dlopen(module_path, RTLD_NOW | RTLD_LOCAL)};

    if (!loaded.module)
        fail_msg("%s", dlerror());
    loaded.entry = dlsym(loaded.module, SEALTAPE_ENTRY_SYMBOL);
    assert_non_null(loaded.entry);
    loaded.tape = loaded.entry->get_interface(SEALTAPE_RECORDER_INTERFACE);
    assert_non_null(loaded.tape);
    return loaded;
}

static void unload(struct loaded *loaded)
{
    assert_int_equal(dlclose(loaded->module), 0);
}

static struct sealtape_recorder *create(const struct loaded *loaded)
{
    struct sealtape_recorder *recorder = NULL;
    char why[SEALTAPE_REASON_MAX] = "";

    if (loaded->tape->create(config_path, &recorder, why, sizeof(why)) != SEALTAPE_OK)
        fail_msg("%s", why);
    return recorder;
}

static sealtape_recording open_one(const struct loaded *loaded, struct sealtape_recorder *recorder)
{
    const struct sealtape_param params[] = {{"dbid", dbid}, {"id", "abi"}};
    char why[SEALTAPE_REASON_MAX] = "";
    sealtape_recording recording = 0;

    if (loaded->tape->open(recorder, params, 2, &recording, why, sizeof(why)) != SEALTAPE_OK)
        fail_msg("%s", why);
    assert_int_not_equal(recording, 0);
    return recording;
}

static void the_module_tells_its_version_and_sizes(void **state)
{
    struct loaded loaded = load();

    (void)state;
    assert_int_equal(loaded.entry->abi_major, SEALTAPE_ABI_MAJOR);
    assert_true(loaded.entry->abi_minor >= SEALTAPE_ABI_MINOR);
    assert_true(loaded.entry->struct_size >= sizeof(struct sealtape_entry));
    assert_true(loaded.tape->struct_size >= sizeof(struct sealtape_recorder_interface));
    assert_non_null(loaded.entry->version);
    unload(&loaded);
}

static void an_interface_that_it_does_not_have_is_null(void **state)
{
    struct loaded loaded = load();

    (void)state;
    assert_null(loaded.entry->get_interface("sealtape.recorder/2"));
    assert_null(loaded.entry->get_interface(""));
    assert_null(loaded.entry->get_interface(NULL));
    unload(&loaded);
}

static void create_before_init_is_refused(void **state)
{
    struct sealtape_recorder *recorder = NULL;
    char why[SEALTAPE_REASON_MAX] = "";
    struct loaded loaded = load();

    (void)state;
    assert_int_equal(
            loaded.tape->create(config_path, &recorder, why, sizeof(why)), SEALTAPE_E_STATE);
    assert_null(recorder);
    unload(&loaded);
}

static void a_host_struct_without_a_size_is_refused(void **state)
{
    const struct sealtape_host host = {.struct_size = 0};
    struct loaded loaded = load();

    (void)state;
    assert_int_equal(loaded.entry->init(&host), SEALTAPE_E_VERSION);
    unload(&loaded);
}

static int64_t never_asked(void *context)
{
    (void)context;
    abort();
}

static void an_older_host_is_not_asked_for_what_it_did_not_have(void **state)
{
    const struct sealtape_host host = {
            .struct_size = offsetof(struct sealtape_host, now_utc_ms), .now_utc_ms = never_asked};
    struct sealtape_recorder *recorder;
    struct loaded loaded = load();

    (void)state;
    assert_int_equal(loaded.entry->init(&host), SEALTAPE_OK);
    recorder = create(&loaded);
    loaded.tape->close(recorder, open_one(&loaded, recorder), NULL);
    loaded.tape->destroy(recorder, 0);
    loaded.entry->deinit();
    unload(&loaded);
}

static void a_newer_host_loads_this_module(void **state)
{
    struct {
        struct sealtape_host known;
        void (*unknown[8])(void);
    } newer = {.known.struct_size = sizeof(newer)};
    struct sealtape_recorder *recorder;
    struct loaded loaded = load();

    (void)state;
    memset(newer.unknown, 0x5A, sizeof(newer.unknown));
    assert_int_equal(loaded.entry->init(&newer.known), SEALTAPE_OK);
    recorder = create(&loaded);
    loaded.tape->close(recorder, open_one(&loaded, recorder), NULL);
    loaded.tape->destroy(recorder, 0);
    loaded.entry->deinit();
    unload(&loaded);
}

static void stats_leave_fields_beyond_the_callers_size_alone(void **state)
{
    struct sealtape_stats stats;
    struct sealtape_recorder *recorder;
    struct loaded loaded = load();

    (void)state;
    assert_int_equal(loaded.entry->init(NULL), SEALTAPE_OK);
    recorder = create(&loaded);
    memset(&stats, 0x5A, sizeof(stats));
    stats.struct_size = offsetof(struct sealtape_stats, stored);
    assert_int_equal(loaded.tape->stats(recorder, &stats), SEALTAPE_OK);
    assert_int_equal(stats.recording, 0);
    assert_true(stats.stored == UINT64_C(0x5A5A5A5A5A5A5A5A));
    assert_true(stats.unflushed_age_ms == UINT64_C(0x5A5A5A5A5A5A5A5A));
    loaded.tape->destroy(recorder, 0);
    loaded.entry->deinit();
    unload(&loaded);
}

static void dead_and_unknown_handles_answer_state(void **state)
{
    struct sealtape_recorder *recorder;
    struct loaded loaded = load();
    sealtape_recording dead;

    (void)state;
    assert_int_equal(loaded.entry->init(NULL), SEALTAPE_OK);
    recorder = create(&loaded);
    dead = open_one(&loaded, recorder);
    assert_int_equal(loaded.tape->close(recorder, dead, NULL), SEALTAPE_OK);
    for (int i = 0; i < 3; i++) {
        const sealtape_recording handles[] = {dead, 0, UINT64_MAX};

        assert_int_equal(loaded.tape->write(recorder, handles[i], "x", 1, 0), SEALTAPE_E_STATE);
        assert_int_equal(loaded.tape->mask(recorder, handles[i]), SEALTAPE_E_STATE);
        assert_int_equal(loaded.tape->unmask(recorder, handles[i]), SEALTAPE_E_STATE);
        assert_int_equal(loaded.tape->pause(recorder, handles[i]), SEALTAPE_E_STATE);
        assert_int_equal(loaded.tape->resume(recorder, handles[i]), SEALTAPE_E_STATE);
        assert_int_equal(loaded.tape->set(recorder, handles[i], "a", "b"), SEALTAPE_E_STATE);
        assert_int_equal(loaded.tape->close(recorder, handles[i], NULL), SEALTAPE_E_STATE);
    }
    loaded.tape->destroy(recorder, 0);
    loaded.entry->deinit();
    unload(&loaded);
}

/* 0 when every call of the child was inert; else the number of the first that was not. */
static int child_calls(const struct loaded *loaded, struct sealtape_recorder *recorder,
        sealtape_recording recording)
{
    const struct sealtape_param params[] = {{"dbid", dbid}};
    struct sealtape_stats stats = {.struct_size = sizeof(stats)};
    const struct sealtape_recorder_interface *tape = loaded->tape;
    struct sealtape_recorder *other;
    sealtape_recording ret;
    const enum sealtape_status answers[] = {
            tape->write(recorder, recording, "x", 1, 0),
            tape->open(recorder, params, 1, &ret, NULL, 0),
            tape->mask(recorder, recording),
            tape->unmask(recorder, recording),
            tape->pause(recorder, recording),
            tape->resume(recorder, recording),
            tape->set(recorder, recording, "a", "b"),
            tape->find(recorder, "abi", &ret),
            tape->discard(recorder, "abi"),
            tape->stats(recorder, &stats),
            tape->reload(recorder, NULL, 0),
            tape->create(config_path, &other, NULL, 0),
            tape->close(recorder, recording, NULL),
    };

    for (int i = 0; i < (int)(sizeof(answers) / sizeof(answers[0])); i++) {
        if (answers[i] != SEALTAPE_E_STATE)
            return i + 1;
    }
    tape->destroy(recorder, 1000);
    return 0;
}

static void a_forked_child_finds_the_module_inert(void **state)
{
    struct sealtape_recorder *recorder;
    struct loaded loaded = load();
    sealtape_recording recording;
    int status = -1;
    pid_t child;

    (void)state;
    assert_int_equal(loaded.entry->init(NULL), SEALTAPE_OK);
    recorder = create(&loaded);
    recording = open_one(&loaded, recorder);
    child = fork();
    if (child == 0)
        _exit(child_calls(&loaded, recorder, recording));
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);

    /* The parent has noticed nothing. */
    assert_int_equal(loaded.tape->write(recorder, recording, "x", 1, 0), SEALTAPE_OK);
    assert_int_equal(loaded.tape->close(recorder, recording, NULL), SEALTAPE_OK);
    loaded.tape->destroy(recorder, 0);
    loaded.entry->deinit();
    unload(&loaded);
}

static int entries_of(const char *path)
{
    DIR *directory = opendir(path);
    int count = 0;

    assert_non_null(directory);
    while (readdir(directory))
        count++;
    closedir(directory);
    return count;
}

/* The signals that a thread of this process blocks, one bit each. */
static uint64_t blocked_signals(const char *tid)
{
    char path[300], line[200];
    uint64_t mask = 0;
    FILE *file;

    (void)snprintf(path, sizeof(path), "/proc/self/task/%s/status", tid);
    file = fopen(path, "re");
    assert_non_null(file);
    while (fgets(line, sizeof(line), file)) {
        if (strncmp(line, "SigBlk:", 7) == 0)
            mask = strtoull(line + 7, NULL, 16);
    }
    (void)fclose(file);
    return mask;
}

static void assert_other_threads_block(const int *signals, size_t count, int others_min)
{
    DIR *directory = opendir("/proc/self/task");
    struct dirent *entry;
    int others = 0;

    assert_non_null(directory);
    while ((entry = readdir(directory))) {
        uint64_t mask;

        if (entry->d_name[0] == '.' || atoi(entry->d_name) == getpid())
            continue;
        others++;
        mask = blocked_signals(entry->d_name);
        for (size_t i = 0; i < count; i++) {
            if (!(mask >> (signals[i] - 1) & 1))
                fail_msg("a thread takes signal %d", signals[i]);
        }
    }
    closedir(directory);
    assert_true(others >= others_min);
}

static volatile sig_atomic_t caught;

static void catch (int signal)
{
    (void)signal;
    caught++;
}

static void a_signal_of_the_host_never_lands_on_a_thread_of_the_module(void **state)
{
    static const int hosts[] = {
            SIGHUP, SIGINT, SIGUSR1, SIGUSR2, SIGTERM, SIGCHLD, SIGALRM, SIGPIPE, SIGPROF, SIGSEGV};
    const struct sigaction action = {.sa_handler = catch};
    const struct timespec deadline = {.tv_sec = 10};
    struct sealtape_recorder *recorder;
    struct loaded loaded = load();
    sealtape_recording recording;
    sigset_t usr1;

    (void)state;
    assert_int_equal(loaded.entry->init(NULL), SEALTAPE_OK);
    sigemptyset(&usr1);
    sigaddset(&usr1, SIGUSR1);
    assert_int_equal(sigaction(SIGUSR1, &action, NULL), 0);
    recorder = create(&loaded);
    recording = open_one(&loaded, recorder);
    /* The writer, the syncer, the transfer and the watch of the profiles at least. */
    assert_other_threads_block(hosts, sizeof(hosts) / sizeof(hosts[0]), 4);
    /* Blocked here, it goes to whatever thread takes it. */
    assert_int_equal(sigprocmask(SIG_BLOCK, &usr1, NULL), 0);
    for (int i = 0; i < 100; i++) {
        assert_int_equal(loaded.tape->write(recorder, recording, "x", 1, 0), SEALTAPE_OK);
        assert_int_equal(kill(getpid(), SIGUSR1), 0);
        assert_int_equal(sigtimedwait(&usr1, NULL, &deadline), SIGUSR1);
    }
    assert_int_equal(caught, 0);
    assert_int_equal(sigprocmask(SIG_UNBLOCK, &usr1, NULL), 0);
    assert_int_equal(signal(SIGUSR1, SIG_DFL) == SIG_ERR, 0);
    loaded.tape->destroy(recorder, 0);
    loaded.entry->deinit();
    unload(&loaded);
}

static void load_and_unload(void)
{
    struct sealtape_recorder *recorder;
    struct loaded loaded = load();
    sealtape_recording recording;

    assert_int_equal(loaded.entry->init(NULL), SEALTAPE_OK);
    assert_int_equal(loaded.entry->init(NULL), SEALTAPE_OK);
    recorder = create(&loaded);
    recording = open_one(&loaded, recorder);
    assert_int_equal(loaded.tape->write(recorder, recording, "x", 1, 0), SEALTAPE_OK);
    loaded.tape->destroy(recorder, 0);
    loaded.entry->deinit();
    loaded.entry->deinit();
    unload(&loaded);
}

static void unloading_leaves_no_thread_and_no_descriptor(void **state)
{
    int threads, descriptors;

    (void)state;
    /* What the C library and its kin open once for all is there after the first. */
    load_and_unload();
    threads = entries_of("/proc/self/task");
    descriptors = entries_of("/proc/self/fd");
    for (int i = 0; i < 5; i++)
        load_and_unload();
    assert_int_equal(entries_of("/proc/self/task"), threads);
    assert_int_equal(entries_of("/proc/self/fd"), descriptors);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
            cmocka_unit_test(create_before_init_is_refused),
            cmocka_unit_test(a_host_struct_without_a_size_is_refused),
            cmocka_unit_test(an_interface_that_it_does_not_have_is_null),
            cmocka_unit_test(the_module_tells_its_version_and_sizes),
            cmocka_unit_test(an_older_host_is_not_asked_for_what_it_did_not_have),
            cmocka_unit_test(a_newer_host_loads_this_module),
            cmocka_unit_test(stats_leave_fields_beyond_the_callers_size_alone),
            cmocka_unit_test(dead_and_unknown_handles_answer_state),
            cmocka_unit_test(a_forked_child_finds_the_module_inert),
            cmocka_unit_test(a_signal_of_the_host_never_lands_on_a_thread_of_the_module),
            cmocka_unit_test(unloading_leaves_no_thread_and_no_descriptor),
    };

    if (argc != 4) {
        fprintf(stderr, "usage: abi MODULE CONFIG DBID\n");
        return 2;
    }
    module_path = argv[1];
    config_path = argv[2];
    dbid = argv[3];
    return cmocka_run_group_tests(tests, NULL, NULL);
}
