#include "profile/directory.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "base/thread.h"
#include "profile/scan.h"
#include "profile/watch.h"

struct profile_directory {
    struct directory_timing timing;
    profile_report *report;
    void *context;
    pthread_t thread;
    bool thread_runs;
    int stop_fd;
    /* Of the watching thread alone. */
    struct watch *watch; /* NULL: inotify does not work, the rescans do */
    bool watch_failed;   /* and that was said */
    /* Guards scan and next_ns; held while files are read. */
    pthread_mutex_t scanning;
    struct scan scan;
    uint64_t next_ns; /* a vanished file's time is over then; 0: none */
    /* Guards what follows; held for moments. */
    pthread_mutex_t lock;
    struct profile_snapshot *snapshot;
};

#define NS_PER_MS UINT64_C(1000000)

/* Do not put a scan off for ever while changes go on. */
#define SETTLE_TIMES_MAX 10u

static const struct directory_timing usual_timing = {60 * 1000, 2000, 50};

/* Complaints as one block, NULL-ended. */
static char **block_of(const struct complaints *complaints)
{
    size_t size = (complaints->count + 1) * sizeof(char *);
    char **block, *text;

    for (size_t i = 0; i < complaints->count; i++)
        size += strlen(complaints->items[i].text) + 1;
    block = calloc(1, size);
    if (!block)
        return NULL;
    text = (char *)(block + complaints->count + 1);
    for (size_t i = 0; i < complaints->count; i++) {
        size_t len = strlen(complaints->items[i].text) + 1;

        block[i] = memcpy(text, complaints->items[i].text, len);
        text += len;
    }
    return block;
}

/* Swap in what the scan found. Under the scanning lock. */
static void publish(struct profile_directory *directory)
{
    struct profile_snapshot *snapshot = profile_snapshot_acquire(directory->scan.snapshot);
    struct profile_snapshot *old;

    pthread_mutex_lock(&directory->lock);
    old = directory->snapshot;
    directory->snapshot = snapshot;
    pthread_mutex_unlock(&directory->lock);
    profile_snapshot_release(&old);
}

/* One line of what a scan came to, for the log and the host. */
static void describe(
        const struct scan *scan, const struct scan_outcome *outcome, struct diag *ret_text)
{
    size_t count = profile_snapshot_count(scan->snapshot);

    ignore(diag_fail(ret_text, SEALTAPE_OK, "%zu profile%s in force from %zu file%s", count,
            count == 1 ? "" : "s", scan->count, scan->count == 1 ? "" : "s"));
    if (outcome->invalid > 0)
        diag_prefix(ret_text, "%zu certificate%s not valid now; ", outcome->invalid,
                outcome->invalid == 1 ? " is" : "s are");
    if (scan->complaints.count > 1)
        diag_prefix(ret_text, "(and %zu more) ", scan->complaints.count - 1);
    if (scan->complaints.count > 0)
        diag_prefix(ret_text, "%s; ", scan->complaints.items[0].text);
}

/*
 * Scan, publish, report. Whoever calls it twice at a time waits.
 *
 *   SEALTAPE_E_CONFIG  something is not taken over
 */
static enum sealtape_status look(struct profile_directory *directory, bool force, struct diag *diag)
{
    struct scan_outcome outcome = {false, false, 0, 0};
    struct diag text = {""};
    enum sealtape_status st;
    bool broken;

    pthread_mutex_lock(&directory->scanning);
    st = scan_run(&directory->scan, force, &outcome, diag);
    if (st != SEALTAPE_OK) {
        pthread_mutex_unlock(&directory->scanning);
        return st;
    }
    publish(directory);
    directory->next_ns = outcome.next_ns;
    broken = directory->scan.complaints.count > 0;
    describe(&directory->scan, &outcome, &text);
    pthread_mutex_unlock(&directory->scanning);

    if (outcome.changed)
        log_line(SEALTAPE_LOG_NOTICE, LOG_PROFILES_LOADED, NULL, "%s", text.text);
    if (directory->report && (outcome.changed || outcome.complained))
        directory->report(directory->context, broken, text.text);
    return broken ? diag_fail(diag, SEALTAPE_E_CONFIG, "%s", text.text) : SEALTAPE_OK;
}

static enum sealtape_status add_inputs(
        struct profile_directory *directory, struct watch *watch, struct diag *diag)
{
    const struct config *config = directory->scan.config;
    enum sealtape_status st;
    char path[PATH_MAX];

    st = watch_add(watch, config->profiles.directory, true, diag);
    if (st == SEALTAPE_OK)
        st = watch_add(watch, config->trust.roots, false, diag);
    if (st == SEALTAPE_OK && config->trust.crls)
        st = watch_add(watch, config->trust.crls, false, diag);
    pthread_mutex_lock(&directory->scanning);
    for (size_t i = 0; st == SEALTAPE_OK && i < directory->scan.count; i++) {
        /* Only a link has anything to watch beyond its directory. */
        if ((size_t)snprintf(path, sizeof(path), "%s/%s", config->profiles.directory,
                    directory->scan.inputs[i]->name)
                < sizeof(path))
            st = watch_add_link(watch, path, diag);
    }
    pthread_mutex_unlock(&directory->scanning);
    return st;
}

/* Watches that are right for the links as they stand now. */
static void renew_watch(struct profile_directory *directory)
{
    struct watch *watch = NULL;
    struct diag diag = {""};
    enum sealtape_status st;

    st = watch_new(&watch, &diag);
    if (st == SEALTAPE_OK)
        st = add_inputs(directory, watch, &diag);
    if (st != SEALTAPE_OK && !directory->watch_failed)
        log_line(SEALTAPE_LOG_WARNING, LOG_WATCH_FAILED, NULL,
                "some changes are seen only every %u s: %s", directory->timing.rescan_ms / 1000,
                diag.text);
    directory->watch_failed = st != SEALTAPE_OK;
    watch_free(&directory->watch);
    directory->watch = watch;
}

/* Wait until @deadline_ns or an event. False: stop. */
static bool wait_for(struct profile_directory *directory, uint64_t deadline_ns, bool *ret_event)
{
    struct pollfd fds[2] = {{directory->stop_fd, POLLIN, 0},
            {directory->watch ? watch_fd(directory->watch) : -1, POLLIN, 0}};
    uint64_t now = clock_monotonic_ns();
    uint64_t ms = deadline_ns > now ? (deadline_ns - now + NS_PER_MS - 1) / NS_PER_MS : 0;

    *ret_event = false;
    if (poll(fds, 2, ms > 60000 ? 60000 : (int)ms) <= 0)
        return true;
    if (fds[0].revents != 0)
        return false;
    *ret_event = watch_take(directory->watch);
    return true;
}

static uint64_t sooner(uint64_t a, uint64_t b)
{
    return b != 0 && b < a ? b : a;
}

/* The next time to look by itself. */
static uint64_t next_look(struct profile_directory *directory)
{
    uint64_t next = clock_monotonic_ns() + directory->timing.rescan_ms * NS_PER_MS;

    pthread_mutex_lock(&directory->scanning);
    next = sooner(next, directory->next_ns);
    pthread_mutex_unlock(&directory->scanning);
    return next;
}

/* Wait for a change to be over, or for the next look. False: stop. */
static bool wait_for_change(struct profile_directory *directory)
{
    uint64_t settle_ns = directory->timing.settle_ms * NS_PER_MS;
    uint64_t deadline = next_look(directory), last = 0;
    bool event = false;

    for (;;) {
        if (!wait_for(directory, deadline, &event))
            return false;
        if (event) {
            uint64_t now = clock_monotonic_ns();

            last = last == 0 ? now + SETTLE_TIMES_MAX * settle_ns : last;
            deadline = sooner(sooner(now + settle_ns, last), deadline);
        }
        if (clock_monotonic_ns() >= deadline)
            return true;
    }
}

static void *watch_thread(void *context)
{
    struct profile_directory *directory = context;
    struct diag diag;

    pthread_setname_np(pthread_self(), "sealtape-watch");
    do {
        /* First the watches, then the look: nothing is missed in between. */
        renew_watch(directory);
        /* Complaints are logged and reported; without memory the next look comes. */
        ignore(look(directory, false, &diag));
    } while (wait_for_change(directory));
    return NULL;
}

enum sealtape_status profile_directory_open_timed(const struct config *config,
        const struct directory_timing *timing, profile_report *report, void *context,
        struct profile_directory **ret_directory, struct diag *diag)
{
    CLEANUP(profile_directory_close) struct profile_directory *directory = NULL;
    struct diag complaint;
    enum sealtape_status st;

    directory = calloc(1, sizeof(*directory));
    if (!directory)
        return diag_fail(diag, SEALTAPE_E_MEMORY, "no memory");
    directory->stop_fd = -1;
    pthread_mutex_init(&directory->scanning, NULL);
    pthread_mutex_init(&directory->lock, NULL);
    directory->timing = *timing;
    directory->report = report;
    directory->context = context;
    directory->scan.config = config;
    directory->scan.grace_ns = timing->grace_ms * NS_PER_MS;
    directory->stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (directory->stop_fd < 0)
        return diag_fail(diag, SEALTAPE_E_IO, "eventfd: %s", strerror(errno));
    st = scan_init(&directory->scan, diag);
    if (st != SEALTAPE_OK)
        return st;
    st = look(directory, false, &complaint);
    /* A broken file is no failure of the directory. */
    if (st != SEALTAPE_OK && st != SEALTAPE_E_CONFIG)
        return diag_fail(diag, st, "%s", complaint.text);
    st = thread_start(&directory->thread, watch_thread, directory);
    if (st != SEALTAPE_OK)
        return diag_fail(diag, st, "cannot start a thread: %s", strerror(errno));
    directory->thread_runs = true;
    *ret_directory = TAKE(directory);
    return SEALTAPE_OK;
}

enum sealtape_status profile_directory_open(const struct config *config, profile_report *report,
        void *context, struct profile_directory **ret_directory, struct diag *diag)
{
    return profile_directory_open_timed(
            config, &usual_timing, report, context, ret_directory, diag);
}

void profile_directory_close(struct profile_directory **directory)
{
    struct profile_directory *closing = *directory;
    const uint64_t one = 1;

    *directory = NULL;
    if (!closing)
        return;
    if (closing->thread_runs) {
        /* An eventfd at 0 takes 1. */
        ignore(write(closing->stop_fd, &one, sizeof(one)) < 0);
        pthread_join(closing->thread, NULL);
    }
    file_close(&closing->stop_fd);
    watch_free(&closing->watch);
    scan_clear(&closing->scan);
    profile_snapshot_release(&closing->snapshot);
    pthread_mutex_destroy(&closing->scanning);
    pthread_mutex_destroy(&closing->lock);
    free(closing);
}

struct profile_snapshot *profile_directory_snapshot(struct profile_directory *directory)
{
    struct profile_snapshot *snapshot;

    pthread_mutex_lock(&directory->lock);
    snapshot = profile_snapshot_acquire(directory->snapshot);
    pthread_mutex_unlock(&directory->lock);
    return snapshot;
}

enum sealtape_status profile_directory_reload(
        struct profile_directory *directory, struct diag *diag)
{
    return look(directory, true, diag);
}

char **profile_directory_complaints(struct profile_directory *directory)
{
    char **copy;

    pthread_mutex_lock(&directory->scanning);
    copy = block_of(&directory->scan.complaints);
    pthread_mutex_unlock(&directory->scanning);
    return copy;
}
