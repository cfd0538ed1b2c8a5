#include "delivery/job.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"

static void delete_next(struct job *job);

static void clear_call(struct job *job)
{
    memset(&job->exchange.call, 0, sizeof(job->exchange.call));
}

/* ---- deleting -------------------------------------------------------------------------------- */

/* A store that is neither configured any more nor this recording's own: nobody will mend it. */
static bool is_abandoned(struct job *job, const char *url)
{
    struct origin *origin = courier_origin(&job->depot->courier, url);

    if (courier_destination(&job->depot->courier, url))
        return false;
    for (size_t i = 0; i < job->plan->storages_count; i++) {
        if (courier_origin(&job->depot->courier, job->plan->storages[i]) == origin)
            return false;
    }
    return true;
}

static void delete_done(void *context, const struct http_answer *answer)
{
    struct job *job = context;
    bool gone = job_succeeded(answer) || answer->status == 404 || answer->status == 410;
    char text[300], url[256];

    if (!gone && job_password_again(job, answer)) {
        delete_next(job);
        return;
    }
    /* A store that forbids it keeps a stump of ciphertext; that must not hold up the rest. */
    if (!gone && (job->delete_must || answer->status < 400 || answer->status >= 500)
            && !is_abandoned(job, job->doomed[job->doomed_index])) {
        job_describe(answer, text, sizeof(text));
        job_retry(job, "DELETE", answer, text);
        return;
    }
    if (!gone) {
        url_redact(job->doomed[job->doomed_index], url, sizeof(url));
        job_describe(answer, text, sizeof(text));
        log_line(SEALTAPE_LOG_WARNING, LOG_DELIVERY_CLEANUP, entry_recording_id(job->entry),
                "DELETE %s: %s; an abandoned upload may stay there", url, text);
    }
    job->doomed_index++;
    delete_next(job);
}

static void delete_next(struct job *job)
{
    struct diag diag = {""};

    if (job->doomed[job->doomed_index]) {
        clear_call(job);
        job_send(job, "DELETE", job->doomed[job->doomed_index], delete_done);
        return;
    }
    free(TAKE(job->doomed));
    if (entry_attempts_clear(job->entry, &diag) != SEALTAPE_OK) {
        job_local_failure(job, &diag);
        return;
    }
    job->after_delete(job);
}

void settling_delete(struct job *job, bool must, void (*after)(struct job *job))
{
    struct diag diag = {""};

    free(TAKE(job->doomed));
    job->doomed_index = 0;
    job->delete_must = must;
    job->after_delete = after;
    if (entry_attempts(job->entry, &job->doomed, &diag) != SEALTAPE_OK) {
        job_local_failure(job, &diag);
        return;
    }
    free(TAKE(job->given_up));
    if (job->doomed[0]) {
        delete_next(job);
        return;
    }
    free(TAKE(job->doomed));
    after(job);
}

/* ---- after the post -------------------------------------------------------------------------- */

static void remove_entry(struct job *job)
{
    struct diag diag = {""};

    if (entry_remove(job->entry, &diag) != SEALTAPE_OK)
        job_local_failure(job, &diag);
    else
        job_next(job);
}

static void vanished(struct job *job, const char *what)
{
    struct depot *depot = job->depot;
    struct diag diag = {""};
    char url[256], text[400];

    url_redact(job->plan->stored_path, url, sizeof(url));
    if (entry_restore(job->entry, &diag) != SEALTAPE_OK) {
        job_local_failure(job, &diag);
        return;
    }
    (void)snprintf(text, sizeof(text), "%s %s; it is stored again from the spool", url, what);
    log_line(SEALTAPE_LOG_ERROR, LOG_DELIVERY_VANISHED, entry_recording_id(job->entry), "%s", text);
    depot->report(depot->report_context, SEALTAPE_EVENT_DELAYED, job->entry, url, text);
    free(TAKE(job->storage));
    job_next(job);
}

static void length_known(struct job *job, enum sealtape_status status, uint64_t length,
        const struct http_answer *answer)
{
    char text[300];

    if (status == SEALTAPE_OK && length == job->plan->size)
        remove_entry(job);
    else if (status == SEALTAPE_OK)
        vanished(job, "has changed its length in the store");
    else if (answer->status == 404 || answer->status == 410)
        vanished(job, "has vanished from the store");
    else {
        job_describe(answer, text, sizeof(text));
        job_retry(job, "PROPFIND", answer, text);
    }
}

static void check_again(struct job *job)
{
    if (!job->plan->has_media)
        remove_entry(job);
    else
        checking_length(job, job->plan->stored_path, length_known);
}

static void cleaned(struct job *job)
{
    job->cleaned = true;
    job_next(job);
}

void settling_clean(struct job *job)
{
    settling_delete(job, false, cleaned);
}

void settling_begin(struct job *job)
{
    check_again(job);
}

/* ---- discarded ------------------------------------------------------------------------------- */

static void discarded(struct job *job)
{
    struct depot *depot = job->depot;
    struct diag diag = {""};

    if (entry_discarded(job->entry, &diag) != SEALTAPE_OK) {
        job_local_failure(job, &diag);
        return;
    }
    depot->report(depot->report_context, SEALTAPE_EVENT_DISCARDED, job->entry, NULL,
            "discarded; nothing of it stands in the store");
    job_next(job);
}

static void final_deleted(void *context, const struct http_answer *answer)
{
    struct job *job = context;
    char text[300];

    if (job_succeeded(answer) || answer->status == 404 || answer->status == 410) {
        discarded(job);
        return;
    }
    job_describe(answer, text, sizeof(text));
    job_retry(job, "DELETE", answer, text);
}

/* The answer to a MOVE may have been lost: then it stands under the final name. */
static void delete_final(struct job *job)
{
    clear_call(job);
    job_send(job, "DELETE", job->plan->stored_path, final_deleted);
}

void settling_discard(struct job *job)
{
    settling_delete(job, true,
            job->plan->stored_path && job->plan->stored_path[0] ? delete_final : discarded);
}
