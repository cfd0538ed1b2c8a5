#include "spool/syncer.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/thread.h"

/* An ended recording does not wait for the interval; but rounds keep this distance, so that
 * many that end one after another share them. */
#define SYNCER_GATHER_MS 20u
/* A failed sync tells its error once, and what was flushed while it ran is in later rounds: so
 * many of them take no success of syncfs for an answer. */
#define SYNCER_DOUBTS 3u
#define NS_PER_MS 1000000u

struct item {
    struct media *media;
    struct media_snapshot snapshot;
};

struct syncer {
    uint32_t interval_ms;
    struct folder *folder;
    struct syncer_listener listener;
    pthread_t thread;
    bool failing;       /* the thread's */
    unsigned doubts;    /* the thread's: rounds that must look at each file */
    struct item *round; /* the thread's */
    size_t round_room;

    /* Guards what follows. */
    pthread_mutex_t lock;
    pthread_cond_t changed;
    struct media **waiting;
    size_t count, room;
    uint64_t oldest_ns; /* when the first of them came */
    bool urgent, stopping;
};

static enum sealtape_status push(struct syncer *syncer, struct media *media)
{
    size_t room = syncer->room ? syncer->room * 2 : 64;
    struct media **grown;

    if (syncer->count == syncer->room) {
        grown = reallocarray(syncer->waiting, room, sizeof(*grown));
        if (!grown)
            return SEALTAPE_E_MEMORY;
        syncer->waiting = grown;
        syncer->room = room;
    }
    if (syncer->count == 0)
        syncer->oldest_ns = clock_monotonic_ns();
    syncer->waiting[syncer->count++] = media_acquire(media);
    return SEALTAPE_OK;
}

void syncer_add(struct syncer *syncer, struct media *media)
{
    bool urgent = media_finished(media);

    pthread_mutex_lock(&syncer->lock);
    /* Without memory it is not waiting, and comes again with its next change. */
    if (media_begin_wait(media) && push(syncer, media) != SEALTAPE_OK)
        media_end_wait(media);
    if (urgent && !syncer->urgent) {
        syncer->urgent = true;
        pthread_cond_signal(&syncer->changed);
    }
    pthread_mutex_unlock(&syncer->lock);
}

uint64_t syncer_age_ms(struct syncer *syncer)
{
    uint64_t age = 0;

    pthread_mutex_lock(&syncer->lock);
    if (syncer->count > 0)
        age = (clock_monotonic_ns() - syncer->oldest_ns) / NS_PER_MS;
    pthread_mutex_unlock(&syncer->lock);
    return age;
}

/* --- a round -------------------------------------------------------------- */

static enum sealtape_status take_round(struct syncer *syncer, size_t *ret_count)
{
    struct item *grown;
    size_t count;

    pthread_mutex_lock(&syncer->lock);
    count = syncer->count;
    if (count > syncer->round_room) {
        grown = reallocarray(syncer->round, count, sizeof(*grown));
        if (!grown) {
            pthread_mutex_unlock(&syncer->lock);
            return SEALTAPE_E_MEMORY;
        }
        syncer->round = grown;
        syncer->round_room = count;
    }
    for (size_t i = 0; i < count; i++)
        syncer->round[i].media = syncer->waiting[i];
    syncer->count = 0;
    syncer->urgent = false;
    pthread_mutex_unlock(&syncer->lock);
    *ret_count = count;
    return SEALTAPE_OK;
}

static void tell_trouble(struct syncer *syncer, bool failing, const char *text)
{
    if (failing == syncer->failing)
        return;
    syncer->failing = failing;
    if (failing)
        log_line(SEALTAPE_LOG_ERROR, LOG_SPOOL_SYNC_FAILED, NULL, "%s", text);
    syncer->listener.trouble(syncer->listener.context, failing, text);
}

/* One recording after the sync of its round. @synced: the round was complete; else its own
 * files are looked at. */
static enum sealtape_status complete(
        struct syncer *syncer, struct item *item, bool synced, struct diag *diag)
{
    enum sealtape_status st = SEALTAPE_OK;

    if (!synced || media_is_doubtful(item->media))
        st = media_rescue(item->media, &item->snapshot, diag);
    if (st == SEALTAPE_OK)
        st = media_synced(item->media, &item->snapshot, diag);
    if (st != SEALTAPE_OK)
        return st;
    if (media_set_durable(item->media))
        syncer->listener.durable(syncer->listener.context, item->media);
    /* What was copied meanwhile is finished anew by the writer and comes again. */
    if (!item->snapshot.finished || !media_finished(item->media) || media_is_closed(item->media))
        return SEALTAPE_OK;
    st = entry_move(media_entry(item->media), ENTRY_CLOSED, diag);
    if (st != SEALTAPE_OK)
        return st;
    media_set_closed(item->media);
    syncer->listener.closed(syncer->listener.context, item->media);
    return SEALTAPE_OK;
}

static void round_trip(struct syncer *syncer)
{
    struct diag diag = {.text = ""};
    bool synced, failed = false;
    size_t count = 0, made = 0;

    if (take_round(syncer, &count) != SEALTAPE_OK)
        return;
    /* While it fails rounds are tried without recordings too: none may begin until one works. */
    if (count == 0 && !syncer->failing)
        return;
    for (size_t i = 0; i < count; i++) {
        struct item *item = &syncer->round[made];

        item->media = syncer->round[i].media;
        media_end_wait(item->media);
        if (media_snapshot(item->media, &item->snapshot))
            made++;
        else
            media_release(&item->media);
    }
    synced = syncfs(folder_fd(syncer->folder)) == 0;
    if (!synced) {
        ignore(diag_fail(&diag, SEALTAPE_E_IO, "spool %s: sync failed: %s",
                folder_path(syncer->folder), strerror(errno)));
        failed = true;
        syncer->doubts = SYNCER_DOUBTS;
    }
    if (syncer->doubts > 0) {
        synced = false;
        syncer->doubts--;
    }
    for (size_t i = 0; i < made; i++) {
        struct item *item = &syncer->round[i];

        if (complete(syncer, item, synced, &diag) != SEALTAPE_OK) {
            failed = true;
            syncer_add(syncer, item->media);
        }
        media_release(&item->media);
    }
    if (folder_save(syncer->folder, &diag) != SEALTAPE_OK)
        failed = true;
    tell_trouble(syncer, failed, diag.text);
}

/* --- the thread ----------------------------------------------------------- */

static void deadline_after(uint32_t ms, struct timespec *ret_deadline)
{
    clock_gettime(CLOCK_MONOTONIC, ret_deadline);
    ret_deadline->tv_sec += ms / 1000;
    ret_deadline->tv_nsec += (long)(ms % 1000) * 1000000;
    if (ret_deadline->tv_nsec >= 1000000000) {
        ret_deadline->tv_sec++;
        ret_deadline->tv_nsec -= 1000000000;
    }
}

/* Sleep for an interval, or until something is urgent, but never less than the gathering
 * time. false: stop. */
static bool wait(struct syncer *syncer)
{
    struct timespec gather, interval;
    bool stopping;

    deadline_after(SYNCER_GATHER_MS, &gather);
    deadline_after(syncer->interval_ms, &interval);
    pthread_mutex_lock(&syncer->lock);
    while (!syncer->stopping
            && pthread_cond_timedwait(&syncer->changed, &syncer->lock, &gather) != ETIMEDOUT)
        ;
    while (!syncer->stopping && !syncer->urgent
            && pthread_cond_timedwait(&syncer->changed, &syncer->lock, &interval) != ETIMEDOUT)
        ;
    stopping = syncer->stopping;
    pthread_mutex_unlock(&syncer->lock);
    return !stopping;
}

static void *run(void *context)
{
    struct syncer *syncer = context;

    while (wait(syncer))
        round_trip(syncer);
    round_trip(syncer);
    return NULL;
}

/* --- life ----------------------------------------------------------------- */

static void destroy(struct syncer *syncer)
{
    for (size_t i = 0; i < syncer->count; i++)
        media_release(&syncer->waiting[i]);
    free(syncer->waiting);
    free(syncer->round);
    folder_release(&syncer->folder);
    pthread_cond_destroy(&syncer->changed);
    pthread_mutex_destroy(&syncer->lock);
    free(syncer);
}

enum sealtape_status syncer_start(uint32_t sync_ms, struct folder *folder,
        const struct syncer_listener *listener, struct syncer **ret_syncer, struct diag *diag)
{
    struct syncer *syncer = calloc(1, sizeof(*syncer));
    pthread_condattr_t attributes;
    enum sealtape_status st;
    int error;

    if (!syncer)
        return diag_fail(diag, SEALTAPE_E_MEMORY, "no memory for the syncer");
    /* Two rounds lie between a byte and the slot that counts it: see FORMAT.md. */
    syncer->interval_ms = sync_ms / 2;
    syncer->folder = folder_acquire(folder);
    syncer->listener = *listener;
    pthread_mutex_init(&syncer->lock, NULL);
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&syncer->changed, &attributes);
    pthread_condattr_destroy(&attributes);
    st = thread_start(&syncer->thread, run, syncer);
    if (st != SEALTAPE_OK) {
        error = errno;
        destroy(syncer);
        return diag_fail(diag, st, "cannot start the syncer: %s", strerror(error));
    }
    *ret_syncer = syncer;
    return SEALTAPE_OK;
}

void syncer_stop(struct syncer **syncer)
{
    struct syncer *s = TAKE(*syncer);

    if (!s)
        return;
    pthread_mutex_lock(&s->lock);
    s->stopping = true;
    pthread_cond_signal(&s->changed);
    pthread_mutex_unlock(&s->lock);
    pthread_join(s->thread, NULL);
    destroy(s);
}
