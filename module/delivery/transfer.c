#include "delivery/transfer.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/thread.h"
#include "delivery/job.h"

#define NS_PER_MS UINT64_C(1000000)
#define BUCKETS 4096
/* Without anything to do the thread still looks around now and then. */
#define IDLE_NS (30000 * NS_PER_MS)

struct offer {
    struct offer *next;
    struct entry *entry;
};

struct transfer {
    pthread_t thread;
    struct depot depot; /* the thread's own, but for http_interrupt() */
    uint64_t tick_ns;

    /* Guards everything below; the thread alone changes @jobs and reads them without. */
    pthread_mutex_t lock;
    struct job *jobs[BUCKETS];
    pthread_cond_t settled;
    struct offer *offers, **last_offer;
    size_t offers_count; /* not yet looked at by the thread */
    struct transfer_stats stats;
    bool stopping, retry_now;
};

static struct job **job_link(struct transfer *transfer, struct entry *entry)
{
    uint64_t hash = (uint64_t)(uintptr_t)entry * UINT64_C(0x9e3779b97f4a7c15);
    struct job **link = &transfer->jobs[hash >> 52];

    while (*link && (*link)->entry != entry)
        link = &(*link)->hash_next;
    return link;
}

static void take_offer(struct transfer *transfer, struct entry *entry)
{
    struct job **link = job_link(transfer, entry);
    enum sealtape_status st = SEALTAPE_OK;

    pthread_mutex_lock(&transfer->lock);
    if (!*link)
        st = job_new(&transfer->depot, entry, link);
    pthread_mutex_unlock(&transfer->lock);
    if (st != SEALTAPE_OK) {
        log_line(SEALTAPE_LOG_ERROR, LOG_DELIVERY_RETRY, entry_recording_id(entry),
                "no memory; it stays in the spool until the next start");
        return;
    }
    /* A wish may have come while it backs off. */
    if ((*link)->backing_off && entry_discard_wanted(entry))
        queue_ready(&transfer->depot.queue, &(*link)->item);
    job_look(*link);
}

static void take_offers(struct transfer *transfer)
{
    struct offer *offers;

    pthread_mutex_lock(&transfer->lock);
    offers = transfer->offers;
    transfer->offers = NULL;
    transfer->last_offer = &transfer->offers;
    pthread_mutex_unlock(&transfer->lock);
    while (offers) {
        struct offer *next = offers->next;

        take_offer(transfer, offers->entry);
        entry_release(&offers->entry);
        free(offers);
        offers = next;
    }
}

static void free_finished(struct transfer *transfer)
{
    if (!transfer->depot.finished)
        return;
    transfer->depot.finished = false;
    pthread_mutex_lock(&transfer->lock);
    for (size_t i = 0; i < BUCKETS; i++) {
        struct job **link = &transfer->jobs[i];

        while (*link) {
            struct job *job = *link;

            if (!job->over) {
                link = &job->hash_next;
                continue;
            }
            *link = job->hash_next;
            job_free(&job);
        }
    }
    pthread_mutex_unlock(&transfer->lock);
}

static void retry_all(struct transfer *transfer)
{
    courier_forgive(&transfer->depot.courier);
    for (size_t i = 0; i < BUCKETS; i++) {
        for (struct job *job = transfer->jobs[i]; job; job = job->hash_next) {
            if (!job->active && job->item.place == QUEUE_WAITING)
                queue_ready(&transfer->depot.queue, &job->item);
        }
    }
}

static void tick_live(struct transfer *transfer, uint64_t now)
{
    struct job *job, *next;

    if (now < transfer->tick_ns)
        return;
    transfer->tick_ns = now + transfer->depot.courier.pace.tick_ms * NS_PER_MS;
    for (job = transfer->depot.live; job; job = next) {
        next = job->live_next;
        storing_tick(job);
    }
}

/* Tell the others how it stands. Returns false: stop. */
static bool publish(struct transfer *transfer, size_t offers_taken, bool *ret_retry)
{
    bool go_on;

    pthread_mutex_lock(&transfer->lock);
    transfer->offers_count -= offers_taken;
    transfer->stats = transfer->depot.stats;
    *ret_retry = transfer->retry_now;
    transfer->retry_now = false;
    go_on = !transfer->stopping;
    pthread_cond_broadcast(&transfer->settled);
    pthread_mutex_unlock(&transfer->lock);
    return go_on;
}

static size_t offers_pending(struct transfer *transfer)
{
    size_t count;

    pthread_mutex_lock(&transfer->lock);
    count = transfer->offers_count;
    pthread_mutex_unlock(&transfer->lock);
    return count;
}

static uint64_t next_due(struct transfer *transfer)
{
    struct depot *depot = &transfer->depot;
    uint64_t due = clock_monotonic_ns() + IDLE_NS;

    if (queue_due(&depot->queue) < due)
        due = queue_due(&depot->queue);
    if (courier_due(&depot->courier) < due)
        due = courier_due(&depot->courier);
    if (depot->live && transfer->tick_ns < due)
        due = transfer->tick_ns;
    return due;
}

static void *transfer_run(void *argument)
{
    struct transfer *transfer = argument;
    struct depot *depot = &transfer->depot;
    bool retry = false;
    size_t taken;

    for (;;) {
        taken = offers_pending(transfer);
        take_offers(transfer);
        courier_turn(&depot->courier);
        queue_turn(&depot->queue, clock_monotonic_ns());
        queue_serve(&depot->queue, job_start, depot);
        tick_live(transfer, clock_monotonic_ns());
        free_finished(transfer);
        if (!publish(transfer, taken, &retry))
            break;
        if (retry)
            retry_all(transfer);
        else
            http_run(depot->courier.http, next_due(transfer));
    }
    return NULL;
}

static void origin_turned(void *context, struct origin *origin, bool works, const char *text)
{
    struct depot *depot = context;
    char line[512];

    if (works) {
        log_line(SEALTAPE_LOG_NOTICE, LOG_DELIVERY_ORIGIN_UP, NULL, "%s works again", origin->name);
        return;
    }
    (void)snprintf(line, sizeof(line), "%s does not work (%s); what is for it waits", origin->name,
            text[0] ? text : "5xx");
    log_line(SEALTAPE_LOG_ERROR, LOG_DELIVERY_ORIGIN_DOWN, NULL, "%s", line);
    depot->report(depot->report_context, SEALTAPE_EVENT_DELAYED, NULL, origin->name, line);
}

static void transfer_free(struct transfer **transfer)
{
    struct transfer *gone = *transfer;

    if (!gone)
        return;
    for (size_t i = 0; i < BUCKETS; i++) {
        while (gone->jobs[i]) {
            struct job *job = gone->jobs[i];

            gone->jobs[i] = job->hash_next;
            job_free(&job);
        }
    }
    queue_clear(&gone->depot.queue);
    courier_clear(&gone->depot.courier);
    while (gone->offers) {
        struct offer *next = gone->offers->next;

        entry_release(&gone->offers->entry);
        free(gone->offers);
        gone->offers = next;
    }
    pthread_cond_destroy(&gone->settled);
    pthread_mutex_destroy(&gone->lock);
    free(gone);
    *transfer = NULL;
}

static void report_nothing(void *context, enum sealtape_event_kind kind, struct entry *entry,
        const char *url, const char *text)
{
    (void)context;
    (void)kind;
    (void)entry;
    (void)url;
    (void)text;
}

enum sealtape_status transfer_start_at(const struct pace *pace, const struct config *config,
        transfer_report *report, void *context, struct transfer **ret_transfer, struct diag *diag)
{
    CLEANUP(transfer_free) struct transfer *transfer = calloc(1, sizeof(*transfer));
    pthread_condattr_t attributes;
    enum sealtape_status st;

    if (!transfer)
        return diag_fail(diag, SEALTAPE_E_MEMORY, "no memory for the transfer");
    transfer->last_offer = &transfer->offers;
    pthread_mutex_init(&transfer->lock, NULL);
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&transfer->settled, &attributes);
    pthread_condattr_destroy(&attributes);
    transfer->depot.config = config;
    transfer->depot.report = report ? report : report_nothing;
    transfer->depot.report_context = context;
    transfer->depot.courier.turned = origin_turned;
    transfer->depot.courier.turned_context = &transfer->depot;
    st = courier_init(&transfer->depot.courier, config, pace, diag);
    if (st != SEALTAPE_OK)
        return st;
    st = thread_start(&transfer->thread, transfer_run, transfer);
    if (st != SEALTAPE_OK)
        return diag_fail(diag, st, "cannot start the transfer thread: %s", strerror(errno));
    *ret_transfer = TAKE(transfer);
    return SEALTAPE_OK;
}

enum sealtape_status transfer_start(const struct config *config, transfer_report *report,
        void *context, struct transfer **ret_transfer, struct diag *diag)
{
    return transfer_start_at(&pace_default, config, report, context, ret_transfer, diag);
}

void transfer_offer(struct transfer *transfer, struct entry *entry)
{
    struct offer *offer = calloc(1, sizeof(*offer));

    if (!offer) {
        log_line(SEALTAPE_LOG_ERROR, LOG_DELIVERY_RETRY, entry_recording_id(entry),
                "no memory; it stays in the spool until the next start");
        return;
    }
    offer->entry = entry_acquire(entry);
    pthread_mutex_lock(&transfer->lock);
    *transfer->last_offer = offer;
    transfer->last_offer = &offer->next;
    transfer->offers_count++;
    pthread_mutex_unlock(&transfer->lock);
    http_interrupt(transfer->depot.courier.http);
}

static bool is_discardable(const struct entry *entry, const char *id)
{
    return entry_state(entry) == ENTRY_CLOSED && !entry_discard_wanted(entry)
           && (strcmp(entry_recording_id(entry), id) == 0
                   || strcmp(entry_media_id(entry), id) == 0);
}

/* With the lock: what is on its way to the thread, or with it. */
static struct entry *find_discardable(struct transfer *transfer, const char *id)
{
    for (struct offer *offer = transfer->offers; offer; offer = offer->next) {
        if (is_discardable(offer->entry, id))
            return entry_acquire(offer->entry);
    }
    for (size_t i = 0; i < BUCKETS; i++) {
        for (struct job *job = transfer->jobs[i]; job; job = job->hash_next) {
            if (is_discardable(job->entry, id))
                return entry_acquire(job->entry);
        }
    }
    return NULL;
}

enum sealtape_status transfer_discard(struct transfer *transfer, const char *id)
{
    CLEANUP(entry_release) struct entry *entry = NULL;

    pthread_mutex_lock(&transfer->lock);
    entry = find_discardable(transfer, id);
    pthread_mutex_unlock(&transfer->lock);
    if (!entry)
        return SEALTAPE_E_STATE;
    entry_want_discard(entry);
    transfer_offer(transfer, entry);
    return SEALTAPE_OK;
}

void transfer_stats(struct transfer *transfer, struct transfer_stats *ret_stats)
{
    pthread_mutex_lock(&transfer->lock);
    *ret_stats = transfer->stats;
    pthread_mutex_unlock(&transfer->lock);
}

uint32_t transfer_drain(struct transfer *transfer, uint32_t timeout_ms)
{
    uint64_t deadline = clock_monotonic_ns() + timeout_ms * NS_PER_MS;
    struct timespec until = {
            .tv_sec = (time_t)(deadline / 1000000000u), .tv_nsec = (long)(deadline % 1000000000u)};
    uint32_t left;

    pthread_mutex_lock(&transfer->lock);
    while (transfer->stats.waiting > 0 || transfer->offers_count > 0) {
        if (pthread_cond_timedwait(&transfer->settled, &transfer->lock, &until) == ETIMEDOUT)
            break;
    }
    left = transfer->stats.waiting + (uint32_t)transfer->offers_count;
    pthread_mutex_unlock(&transfer->lock);
    return left;
}

void transfer_retry_now(struct transfer *transfer)
{
    pthread_mutex_lock(&transfer->lock);
    transfer->retry_now = true;
    pthread_mutex_unlock(&transfer->lock);
    http_interrupt(transfer->depot.courier.http);
}

void transfer_stop(struct transfer **transfer)
{
    struct transfer *gone = *transfer;

    if (!gone)
        return;
    pthread_mutex_lock(&gone->lock);
    gone->stopping = true;
    pthread_mutex_unlock(&gone->lock);
    http_interrupt(gone->depot.courier.http);
    pthread_join(gone->thread, NULL);
    transfer_free(transfer);
}
