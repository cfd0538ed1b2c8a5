#include "delivery/job.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"

static void post_send(struct job *job);

static void post_done(void *context, const struct http_answer *answer)
{
    struct job *job = context;
    struct depot *depot = job->depot;
    bool discarded = entry_state(job->entry) == ENTRY_CLOSED;
    struct diag diag = {""};
    char text[300];

    if (job_password_again(job, answer)) {
        post_send(job);
        return;
    }
    /* The status acknowledges; whether the words behind it were torn is all the same. */
    if (answer->status < 200 || answer->status >= 300) {
        job_describe(answer, text, sizeof(text));
        job_retry(job, "POST", answer, text);
        return;
    }
    if (entry_posted(job->entry, &diag) != SEALTAPE_OK) {
        job_local_failure(job, &diag);
        return;
    }
    depot->stats.posted++;
    log_line(SEALTAPE_LOG_INFO, LOG_DELIVERY_POSTED, entry_recording_id(job->entry),
            "%s: acknowledged by the processor%s", entry_media_id(job->entry),
            discarded ? " (without media)" : "");
    depot->report(depot->report_context, SEALTAPE_EVENT_POSTED, job->entry, NULL,
            "acknowledged by the processor");
    job_next(job);
}

static void post_send(struct job *job)
{
    job_send(job, "POST", job->check_url, post_done);
}

void posting_begin(struct job *job)
{
    const char *url = job->plan->processors[0];
    struct diag diag = {""};

    for (size_t i = 0; i < job->plan->processors_count; i++) {
        if (courier_origin(&job->depot->courier, job->plan->processors[i]) == job->slot_origin) {
            url = job->plan->processors[i];
            break;
        }
    }
    free(TAKE(job->bytes));
    free(TAKE(job->destination));
    if (entry_body(job->entry, &job->bytes, &job->bytes_len, &diag) != SEALTAPE_OK) {
        job_local_failure(job, &diag);
        return;
    }
    if (asprintf(&job->destination, "Idempotency-Key: \"%s\"", entry_media_id(job->entry)) < 0) {
        job->destination = NULL;
        (void)diag_fail(&diag, SEALTAPE_E_MEMORY, "no memory for a POST");
        job_local_failure(job, &diag);
        return;
    }
    memset(&job->exchange.call, 0, sizeof(job->exchange.call));
    job->exchange.call.headers[0] = "Content-Type: application/json";
    job->exchange.call.headers[1] = job->destination;
    job->exchange.call.body = job->bytes;
    job->exchange.call.body_len = job->bytes_len;
    job->check_url = url;
    post_send(job);
}
