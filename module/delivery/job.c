#include "delivery/job.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "delivery/backoff.h"

#define NS_PER_MS UINT64_C(1000000)
/* While another request probes an origin. */
#define PROBE_WAIT_MS 250

static void set_owed(struct job *job)
{
    enum entry_state state = entry_state(job->entry);
    bool owed = !job->over && (state == ENTRY_CLOSED || state == ENTRY_STORED);

    if (owed && !job->owed)
        job->depot->stats.waiting++;
    if (!owed && job->owed)
        job->depot->stats.waiting--;
    job->owed = owed;
}

enum sealtape_status job_new(struct depot *depot, struct entry *entry, struct job **ret_job)
{
    struct job *job = calloc(1, sizeof(*job));

    if (!job)
        return SEALTAPE_E_MEMORY;
    job->depot = depot;
    job->entry = entry_acquire(entry);
    job->media_fd = -1;
    *ret_job = job;
    return SEALTAPE_OK;
}

/* What belongs to being active. */
static void put_down(struct job *job)
{
    courier_cancel(&job->exchange);
    if (job->slot == JOB_SLOT_LIVE) {
        job->slot_origin->live--;
        job->depot->stats.live--;
        *job->live_link = job->live_next;
        if (job->live_next)
            job->live_next->live_link = job->live_link;
    } else if (job->slot == JOB_SLOT_UPLOAD) {
        job->slot_origin->uploads--;
    } else if (job->slot == JOB_SLOT_POST) {
        job->slot_origin->posts--;
    }
    job->slot = JOB_SLOT_NONE;
    job->live = job->live_waiting = false;
    job->active = false;
    file_close(&job->media_fd);
    free(job->bytes);
    job->bytes = NULL;
    job->bytes_len = 0;
    free(job->doomed);
    job->doomed = NULL;
    entry_plan_free(&job->plan);
}

void job_free(struct job **job)
{
    struct job *gone = *job;

    if (!gone)
        return;
    put_down(gone);
    gone->over = true;
    set_owed(gone);
    queue_dismiss(&gone->depot->queue, &gone->item);
    free(gone->storage);
    free(gone->final_url);
    free(gone->part_url);
    free(gone->destination);
    free(gone->given_up);
    entry_release(&gone->entry);
    free(gone);
    *job = NULL;
}

static void finish(struct job *job)
{
    put_down(job);
    queue_take(&job->depot->queue, &job->item);
    job->over = true;
    job->depot->finished = true;
    set_owed(job);
}

void job_give_up(struct job *job, const char *reason)
{
    struct diag diag = {""};

    if (entry_fail(job->entry, reason, &diag) != SEALTAPE_OK) {
        job_local_failure(job, &diag);
        return;
    }
    job->depot->stats.failed++;
    log_line(SEALTAPE_LOG_ERROR, LOG_DELIVERY_FAILED, entry_recording_id(job->entry),
            "%s: %s; kept in failed/", entry_media_id(job->entry), reason);
    job->depot->report(job->depot->report_context, SEALTAPE_EVENT_FAILED, job->entry, NULL, reason);
    finish(job);
}

static enum sealtape_status add_configured(char ***urls, size_t *count,
        const struct config_destination *destinations, size_t destinations_count)
{
    char **all;

    if (*count > 0)
        return SEALTAPE_OK;
    all = reallocarray(*urls, destinations_count + 1, sizeof(*all));
    if (!all)
        return SEALTAPE_E_MEMORY;
    *urls = all;
    for (; *count < destinations_count; (*count)++) {
        all[*count] = strdup(destinations[*count].url);
        if (!all[*count])
            return SEALTAPE_E_MEMORY;
    }
    return SEALTAPE_OK;
}

/* A recording without destinations of its own goes where the configuration says today, not where
 * it said when the call was recorded. */
enum sealtape_status job_plan_load(struct job *job, struct diag *diag)
{
    const struct config *config = job->depot->courier.config;
    enum sealtape_status st;

    st = entry_plan_load(job->entry, &job->plan, diag);
    if (st != SEALTAPE_OK)
        return st;
    st = add_configured(&job->plan->storages, &job->plan->storages_count, config->storages,
            config->storages_count);
    if (st == SEALTAPE_OK)
        st = add_configured(&job->plan->processors, &job->plan->processors_count,
                config->processors, config->processors_count);
    if (st == SEALTAPE_OK)
        return SEALTAPE_OK;
    entry_plan_free(&job->plan);
    return diag_fail(diag, st, "no memory for the destinations");
}

/* The plan, where it is not there; false: the job has been dealt with. */
static bool load_plan(struct job *job)
{
    struct diag diag = {""};
    enum sealtape_status st;

    if (job->plan)
        return true;
    st = job_plan_load(job, &diag);
    if (st == SEALTAPE_OK)
        return true;
    if (st == SEALTAPE_E_STATE) {
        job_give_up(job, diag.text);
    } else if (st == SEALTAPE_E_VERSION) {
        log_line(SEALTAPE_LOG_WARNING, LOG_SPOOL_NEWER_FORMAT, entry_recording_id(job->entry),
                "%s; left alone", diag.text);
        finish(job);
    } else {
        job_local_failure(job, &diag);
    }
    return false;
}

/* A place in a tenant's line. Until the plan can be read, in the line of nobody. */
static bool admitted(struct job *job)
{
    CLEANUP(entry_plan_free) struct entry_plan *plan = NULL;
    const char *tenant = "";

    if (job->item.tenant)
        return true;
    if (entry_plan_load(job->entry, &plan, NULL) == SEALTAPE_OK && plan->tenant)
        tenant = plan->tenant;
    return queue_admit(&job->depot->queue, &job->item, tenant) == SEALTAPE_OK;
}

static uint64_t grace_end_ns(const struct job *job)
{
    int64_t end_ms = entry_state_since_ms(job->entry) + (int64_t)job->depot->config->spool.grace_ms;
    int64_t left_ms = end_ms - clock_utc_ms();

    /* A clock that jumped must not keep it for years, nor let it go at once. */
    if (left_ms > (int64_t)job->depot->config->spool.grace_ms)
        left_ms = (int64_t)job->depot->config->spool.grace_ms;
    return clock_monotonic_ns() + (left_ms > 0 ? (uint64_t)left_ms * NS_PER_MS : 0);
}

static void look_recording(struct job *job)
{
    bool discard = entry_discard_wanted(job->entry);

    if (discard && job->live) {
        storing_abandon(job);
        put_down(job);
        return;
    }
    if (job->active || job->live_tried || discard)
        return;
    /* One chance: what finds no room now goes after the call. */
    job->live_tried = true;
    storing_live(job);
}

static void look_closed(struct job *job)
{
    if (job->live && entry_discard_wanted(job->entry)) {
        storing_abandon(job);
        put_down(job);
    }
    if (job->live_waiting)
        storing_closed(job);
    else if (job->live)
        storing_tick(job);
    else if (!job->active && job->item.place == QUEUE_NOWHERE)
        queue_ready(&job->depot->queue, &job->item);
}

void job_look(struct job *job)
{
    if (job->over)
        return;
    if (!admitted(job))
        return; /* no memory: it is offered again, or adopted after a restart */
    set_owed(job);
    switch (entry_state(job->entry)) {
    case ENTRY_RECORDING:
        look_recording(job);
        break;
    case ENTRY_CLOSED:
        look_closed(job);
        break;
    case ENTRY_STORED:
    case ENTRY_POSTED:
        if (!job->active && job->item.place == QUEUE_NOWHERE)
            queue_ready(&job->depot->queue, &job->item);
        break;
    case ENTRY_FAILED:
    case ENTRY_GONE:
        finish(job);
        break;
    }
}

/* The first URL whose origin may be used; NULL: none now, *ret_due_ns says when. */
static const char *choose(struct job *job, char **urls, size_t count, uint64_t *ret_due_ns)
{
    /* Where the document names nobody, its correction is looked for now and then. */
    uint64_t now = clock_monotonic_ns(), due = now + 60000 * NS_PER_MS;
    const char *probe = NULL;
    bool found = false;

    for (size_t i = 0; i < count; i++) {
        struct origin *origin = courier_origin(&job->depot->courier, urls[i]);
        uint64_t then = now + PROBE_WAIT_MS * NS_PER_MS;

        /* What is no URL of ours fails in the courier, with the reason. */
        if (!origin || !origin->open)
            return urls[i];
        if (origin_usable(origin, now)) {
            /* Who has failed before goes where it works, and lets others probe. */
            if (job->failures == 0)
                return urls[i];
            probe = probe ? probe : urls[i];
        }
        if (origin->open_until_ns > then)
            then = origin->open_until_ns;
        if (then < due || !found)
            due = then;
        found = true;
    }
    *ret_due_ns = due;
    return probe;
}

bool job_take_slot(struct job *job, enum job_slot slot, struct origin *origin)
{
    struct depot *depot = job->depot;

    if (slot == JOB_SLOT_UPLOAD && origin->uploads >= depot->courier.pace.uploads_max)
        return false;
    if (slot == JOB_SLOT_POST && origin->posts >= depot->courier.pace.posts_max)
        return false;
    queue_take(&depot->queue, &job->item);
    job->active = true;
    job->backing_off = false;
    job->slot = slot;
    job->slot_origin = origin;
    if (slot == JOB_SLOT_UPLOAD) {
        origin->uploads++;
    } else if (slot == JOB_SLOT_POST) {
        origin->posts++;
    } else if (slot == JOB_SLOT_LIVE) {
        origin->live++;
        depot->stats.live++;
        job->live_next = depot->live;
        job->live_link = &depot->live;
        if (depot->live)
            depot->live->live_link = &job->live_next;
        depot->live = job;
    }
    return true;
}

static bool start_at(
        struct job *job, const char *url, enum job_slot slot, void (*begin)(struct job *job))
{
    struct origin *origin = courier_origin(&job->depot->courier, url);
    struct diag diag;

    if (!origin) {
        if (url_parse(url, &(struct url){0}, &diag) == SEALTAPE_OK)
            (void)diag_fail(&diag, SEALTAPE_E_MEMORY, "no memory");
        job_local_failure(job, &diag);
        return true;
    }
    /* The plan is kept: it will be asked for again soon. */
    if (!job_take_slot(job, slot, origin))
        return false;
    begin(job);
    return true;
}

static bool start_closed(struct job *job)
{
    bool discard = entry_discard_wanted(job->entry) && job->plan->has_media;
    bool media = job->plan->has_media;
    const char *url;
    uint64_t due_ns;

    url = media ? choose(job, job->plan->storages, job->plan->storages_count, &due_ns)
                : choose(job, job->plan->processors, job->plan->processors_count, &due_ns);
    if (!url) {
        queue_wait(&job->depot->queue, &job->item, due_ns);
        entry_plan_free(&job->plan);
        return false;
    }
    if (!media)
        return start_at(job, url, JOB_SLOT_POST, posting_begin);
    return start_at(job, url, JOB_SLOT_UPLOAD, discard ? settling_discard : storing_begin);
}

static bool start_stored(struct job *job)
{
    const char *url;
    uint64_t due_ns;

    url = choose(job, job->plan->processors, job->plan->processors_count, &due_ns);
    if (!url) {
        queue_wait(&job->depot->queue, &job->item, due_ns);
        entry_plan_free(&job->plan);
        return false;
    }
    return start_at(job, url, JOB_SLOT_POST, posting_begin);
}

static bool start_posted(struct job *job)
{
    uint64_t due_ns = grace_end_ns(job);
    bool clean = !job->cleaned;
    const char *url;

    if (!clean && due_ns > clock_monotonic_ns() + NS_PER_MS) {
        queue_wait(&job->depot->queue, &job->item, due_ns);
        entry_plan_free(&job->plan);
        return false;
    }
    if (!job->plan->has_media || !job->plan->stored_path || !job->plan->stored_path[0]) {
        if (due_ns > clock_monotonic_ns() + NS_PER_MS) {
            job->cleaned = true;
            queue_wait(&job->depot->queue, &job->item, due_ns);
            return false;
        }
        queue_take(&job->depot->queue, &job->item);
        job->active = true;
        settling_begin(job);
        return true;
    }
    url = choose(job, &job->plan->stored_path, 1, &due_ns);
    if (!url) {
        queue_wait(&job->depot->queue, &job->item, due_ns);
        entry_plan_free(&job->plan);
        return false;
    }
    return start_at(job, url, JOB_SLOT_UPLOAD, clean ? settling_clean : settling_begin);
}

bool job_start(void *context, struct queue_item *item)
{
    struct job *job = (struct job *)(void *)item;

    (void)context;
    set_owed(job);
    if (!load_plan(job))
        return true;
    switch (entry_state(job->entry)) {
    case ENTRY_CLOSED:
        return start_closed(job);
    case ENTRY_STORED:
        return start_stored(job);
    case ENTRY_POSTED:
        return start_posted(job);
    case ENTRY_RECORDING:
        queue_take(&job->depot->queue, &job->item);
        entry_plan_free(&job->plan);
        return true;
    case ENTRY_FAILED:
    case ENTRY_GONE:
        finish(job);
        return true;
    }
    return false;
}

void job_next(struct job *job)
{
    put_down(job);
    job->failures = 0;
    job->told = false;
    job->password_tried = false;
    job_look(job);
}

void job_send(struct job *job, const char *method, const char *url,
        void (*done)(void *context, const struct http_answer *answer))
{
    job->exchange.call.method = method;
    job->exchange.call.url = url;
    job->exchange.done = done;
    job->exchange.context = job;
    courier_send(&job->depot->courier, &job->exchange);
}

bool job_succeeded(const struct http_answer *answer)
{
    return answer->complete && answer->body_sent && answer->status >= 200 && answer->status < 300;
}

void job_describe(const struct http_answer *answer, char *ret_text, size_t size)
{
    if (!answer)
        (void)snprintf(ret_text, size, "failed");
    else if (answer->status >= 300 || (answer->status && answer->complete))
        (void)snprintf(ret_text, size, "status %d", answer->status);
    else if (answer->status)
        (void)snprintf(ret_text, size, "status %d, but %s", answer->status, answer->error);
    else
        (void)snprintf(ret_text, size, "%s", answer->error);
}

bool job_password_again(struct job *job, const struct http_answer *answer)
{
    if (answer->status != 401 || job->password_tried)
        return false;
    job->password_tried = true;
    return true;
}

/* Refusals that time alone rarely mends; 408, 425 and 429 ask for nothing but time. */
static bool slow(const struct http_answer *answer)
{
    return answer && answer->status >= 300 && answer->status < 500 && answer->status != 408
           && answer->status != 425 && answer->status != 429;
}

static void wait_again(struct job *job, const struct http_answer *answer)
{
    const struct pace *pace = &job->depot->courier.pace;
    uint64_t ms;

    ms = slow(answer) ? backoff_ms(job->failures, pace->slow_first_ms, pace->slow_max_ms)
                      : backoff_ms(job->failures, pace->backoff_first_ms, pace->backoff_max_ms);
    if (answer && answer->retry_after_ms > ms)
        ms = answer->retry_after_ms;
    if (job->failures < 32)
        job->failures++;
    put_down(job);
    job->password_tried = false;
    /* What failed live goes on when the call has ended. */
    if (entry_state(job->entry) == ENTRY_RECORDING || !job->item.tenant)
        return;
    job->backing_off = true;
    queue_wait(&job->depot->queue, &job->item, clock_monotonic_ns() + ms * NS_PER_MS);
}

void job_retry(
        struct job *job, const char *what, const struct http_answer *answer, const char *text)
{
    struct origin *origin = job->exchange.origin ? job->exchange.origin : job->slot_origin;
    char reason[1200], url[256] = "", more[64] = "", account[400] = "";
    unsigned unsaid = 0;

    if (job->exchange.call.url)
        url_redact(job->exchange.call.url, url, sizeof(url));
    if (answer && answer->status == 401)
        account_describe(job->exchange.account, account, sizeof(account));
    (void)snprintf(
            reason, sizeof(reason), "%s %s: %s%s; tried again later", what, url, text, account);
    if (!origin || origin_tell(origin, &job->depot->courier.pace, &unsaid)) {
        if (unsaid > 0)
            (void)snprintf(
                    more, sizeof(more), " (and %u failures since the last such line)", unsaid);
        log_line(SEALTAPE_LOG_WARNING, LOG_DELIVERY_RETRY, entry_recording_id(job->entry), "%s%s",
                reason, more);
    }
    if (!job->told && slow(answer)) {
        job->told = true;
        job->depot->report(
                job->depot->report_context, SEALTAPE_EVENT_DELAYED, job->entry, url, reason);
    }
    wait_again(job, answer);
}

void job_local_failure(struct job *job, const struct diag *diag)
{
    log_line(SEALTAPE_LOG_ERROR, LOG_DELIVERY_RETRY, entry_recording_id(job->entry),
            "%s; tried again later", diag->text);
    if (!job->told) {
        job->told = true;
        job->depot->report(
                job->depot->report_context, SEALTAPE_EVENT_DELAYED, job->entry, NULL, diag->text);
    }
    wait_again(job, NULL);
}
