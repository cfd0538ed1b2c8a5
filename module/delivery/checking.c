#include "delivery/job.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/hex.h"

static const char propfind_body[] = "<?xml version=\"1.0\" encoding=\"utf-8\"?>"
                                    "<propfind xmlns=\"DAV:\"><prop><getcontentlength/></prop>"
                                    "</propfind>";

static void clear_call(struct job *job)
{
    memset(&job->exchange.call, 0, sizeof(job->exchange.call));
}

/* ---- length ---------------------------------------------------------------------------------- */

static void length_tell(struct job *job, enum sealtape_status status, uint64_t length,
        const struct http_answer *answer)
{
    free(TAKE(job->bytes));
    job->bytes_len = 0;
    job->length_checked(job, status, length, answer);
}

/* One byte is enough: the head of the answer has the total. */
static enum sealtape_status range_sink(void *context, const void *bytes, size_t len)
{
    struct job *job = context;

    (void)bytes;
    job->bytes_len += len;
    return job->bytes_len > 1 ? SEALTAPE_E_LIMIT : SEALTAPE_OK;
}

static void range_done(void *context, const struct http_answer *answer)
{
    struct job *job = context;
    bool told = answer->status == 206 || answer->status == 200 || answer->status == 416;

    if (told && answer->total != UINT64_MAX && (answer->complete || answer->stopped))
        length_tell(job, SEALTAPE_OK, answer->total, answer);
    else
        length_tell(job, SEALTAPE_E_IO, 0, answer);
}

static void range_start(struct job *job)
{
    clear_call(job);
    job->bytes_len = 0;
    job->exchange.call.headers[0] = "Range: bytes=0-0";
    job->exchange.call.sink = range_sink;
    job_send(job, "GET", job->check_url, range_done);
}

static enum sealtape_status listing_sink(void *context, const void *bytes, size_t len)
{
    struct job *job = context;

    if (job->bytes_len + len > LISTING_MAX)
        return SEALTAPE_E_LIMIT;
    memcpy(job->bytes + job->bytes_len, bytes, len);
    job->bytes_len += len;
    job->bytes[job->bytes_len] = '\0';
    return SEALTAPE_OK;
}

static void listing_done(void *context, const struct http_answer *answer)
{
    struct job *job = context;
    uint64_t length = 0;

    if (job_succeeded(answer)
            && listing_length(job->bytes, job->bytes_len, &length, NULL) == SEALTAPE_OK) {
        length_tell(job, SEALTAPE_OK, length, answer);
        return;
    }
    /* Nobody there, or nothing there: GET would say the same. */
    if (answer->status == 0 || answer->status == 401 || answer->status == 404
            || answer->status == 410 || answer->status == 503) {
        length_tell(job, SEALTAPE_E_IO, 0, answer);
        return;
    }
    range_start(job);
}

void checking_length(struct job *job, const char *url,
        void (*checked)(struct job *job, enum sealtape_status status, uint64_t length,
                const struct http_answer *answer))
{
    struct diag diag;

    job->length_checked = checked;
    job->check_url = url;
    free(job->bytes);
    job->bytes_len = 0;
    job->bytes = calloc(1, LISTING_MAX + 1);
    if (!job->bytes) {
        (void)diag_fail(&diag, SEALTAPE_E_MEMORY, "no memory for the answer to PROPFIND");
        job_local_failure(job, &diag);
        return;
    }
    clear_call(job);
    job->exchange.call.headers[0] = "Depth: 0";
    job->exchange.call.headers[1] = "Content-Type: application/xml; charset=utf-8";
    job->exchange.call.body = propfind_body;
    job->exchange.call.body_len = sizeof(propfind_body) - 1;
    job->exchange.call.sink = listing_sink;
    job_send(job, "PROPFIND", url, listing_done);
}

/* ---- digest ---------------------------------------------------------------------------------- */

static enum sealtape_status digest_sink(void *context, const void *bytes, size_t len)
{
    struct job *job = context;

    job->hashed += len;
    if (job->hashed > job->plan->size)
        return SEALTAPE_E_LIMIT; /* longer: another object */
    sha256_update(&job->hash, len, bytes);
    return SEALTAPE_OK;
}

static void digest_done(void *context, const struct http_answer *answer)
{
    struct job *job = context;
    uint8_t digest[SHA256_DIGEST_SIZE];
    char text[2 * SHA256_DIGEST_SIZE + 1];

    sha256_digest(&job->hash, sizeof(digest), digest);
    hex_encode(digest, sizeof(digest), text);
    if (answer->status != 200 || !(answer->complete || answer->stopped))
        job->digest_checked(job, SEALTAPE_E_IO, answer);
    else if (answer->complete && job->hashed == job->plan->size
             && strcmp(text, job->plan->sha256) == 0)
        job->digest_checked(job, SEALTAPE_OK, answer);
    else
        job->digest_checked(job, SEALTAPE_E_STATE, answer);
}

void checking_digest(struct job *job, const char *url,
        void (*checked)(
                struct job *job, enum sealtape_status status, const struct http_answer *answer))
{
    job->digest_checked = checked;
    clear_call(job);
    sha256_init(&job->hash);
    job->hashed = 0;
    job->exchange.call.sink = digest_sink;
    job_send(job, "GET", url, digest_done);
}
