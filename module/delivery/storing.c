#include "delivery/job.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/hex.h"
#include "base/log.h"
#include "base/random.h"

#define LIVE_MAX_DEFAULT 100
/* Seen once, another digest may be a torn answer; seen so often, it is another object. */
#define DIFFERS_MAX 2
#define PART_SUFFIX_BYTES 4

static void free_urls(char ***urls)
{
    free(*urls);
    *urls = NULL;
}

static void put_start(struct job *job);
static void move_start(struct job *job);

static void clear_call(struct job *job)
{
    memset(&job->exchange.call, 0, sizeof(job->exchange.call));
}

/* ---- names ----------------------------------------------------------------------------------- */

static void forget_part(struct job *job)
{
    free(TAKE(job->part_url));
    job->part_ready = false;
}

void storing_abandon(struct job *job)
{
    if (!job->part_url)
        return;
    free(job->given_up);
    job->given_up = TAKE(job->part_url);
    job->part_ready = false;
}

static bool names_make(struct job *job, const char *storage)
{
    free(job->storage);
    free(job->final_url);
    job->storage = strdup(storage);
    if (asprintf(&job->final_url, "%s%s", storage, job->plan->object_name) < 0)
        job->final_url = NULL;
    return job->storage && job->final_url;
}

static bool part_make(struct job *job)
{
    unsigned char random[PART_SUFFIX_BYTES];
    char suffix[2 * PART_SUFFIX_BYTES + 1];

    forget_part(job);
    if (random_nonce(random, sizeof(random)) != SEALTAPE_OK)
        return false;
    hex_encode(random, sizeof(random), suffix);
    if (asprintf(&job->part_url, "%s.%s.part", job->final_url, suffix) < 0)
        job->part_url = NULL;
    return job->part_url != NULL;
}

static void no_memory(struct job *job)
{
    struct diag diag;

    (void)diag_fail(&diag, SEALTAPE_E_MEMORY, "no memory or no random numbers for an upload");
    job_local_failure(job, &diag);
}

/* ---- the object stands ----------------------------------------------------------------------- */

/* Where the one attempt has become the object, there is nothing to clean up. */
static void forget_attempt(struct job *job)
{
    CLEANUP(free_urls) char **urls = NULL;

    if (entry_attempts(job->entry, &urls, NULL) != SEALTAPE_OK)
        return;
    /* What stays noted costs a DELETE and a 404. */
    if (urls[0] && !urls[1] && job->part_url && strcmp(urls[0], job->part_url) == 0)
        ignore(entry_attempts_clear(job->entry, NULL));
}

static void stored(struct job *job)
{
    struct depot *depot = job->depot;
    CLEANUP(entry_plan_free) struct entry_plan *plan = TAKE(job->plan);
    struct diag diag = {""};

    if (entry_stored(job->entry, job->storage, job->final_url, &diag) != SEALTAPE_OK) {
        job_local_failure(job, &diag);
        return;
    }
    forget_part(job);
    depot->stats.stored++;
    depot->stats.stored_bytes += plan->size;
    job->spoiled = job->differs = 0;
    log_line(SEALTAPE_LOG_INFO, LOG_DELIVERY_STORED, entry_recording_id(job->entry),
            "%s: %llu bytes stored", entry_media_id(job->entry), (unsigned long long)plan->size);
    depot->report(depot->report_context, SEALTAPE_EVENT_STORED, job->entry, job->final_url,
            "stored and verified");
    job_next(job);
}

/* ---- MOVE ------------------------------------------------------------------------------------ */

static void compared(struct job *job, enum sealtape_status status, const struct http_answer *answer)
{
    char text[300];

    if (status == SEALTAPE_OK) {
        stored(job);
        return;
    }
    if (status == SEALTAPE_E_STATE && ++job->differs >= DIFFERS_MAX) {
        job_give_up(job, "another object stands under the final name");
        return;
    }
    /* Neither the temporary nor the final object: begin again. */
    if (answer->status == 404 || answer->status == 410)
        storing_abandon(job);
    job_describe(answer, text, sizeof(text));
    job_retry(job, "GET", answer,
            status == SEALTAPE_E_STATE ? "another object stands under the final name" : text);
}

static void moved(void *context, const struct http_answer *answer)
{
    struct job *job = context;
    char text[300];

    if (job_succeeded(answer) && answer->status != 207) {
        forget_attempt(job);
        stored(job);
        return;
    }
    if (job_password_again(job, answer)) {
        move_start(job);
        return;
    }
    /* The answer to an earlier MOVE may have been lost. */
    if (answer->status == 412 || answer->status == 404) {
        checking_digest(job, job->final_url, compared);
        return;
    }
    job_describe(answer, text, sizeof(text));
    job_retry(job, "MOVE", answer, text);
}

static void move_start(struct job *job)
{
    if (entry_discard_wanted(job->entry)) {
        storing_abandon(job);
        job_next(job);
        return;
    }
    free(TAKE(job->destination));
    if (asprintf(&job->destination, "Destination: %s", job->final_url) < 0) {
        job->destination = NULL;
        no_memory(job);
        return;
    }
    clear_call(job);
    job->exchange.call.headers[0] = job->destination;
    job->exchange.call.headers[1] = "Overwrite: F";
    job_send(job, "MOVE", job->part_url, moved);
}

/* ---- what the store has ---------------------------------------------------------------------- */

static void read_back(
        struct job *job, enum sealtape_status status, const struct http_answer *answer)
{
    char text[300];

    if (status == SEALTAPE_OK) {
        job->part_ready = true;
        move_start(job);
        return;
    }
    job_describe(answer, text, sizeof(text));
    storing_abandon(job);
    job_retry(job, "GET", answer,
            status == SEALTAPE_E_STATE ? "the store gave back other bytes than it was given"
                                       : text);
}

static void length_known(struct job *job, enum sealtape_status status, uint64_t length,
        const struct http_answer *answer)
{
    const struct config_destination *destination =
            courier_destination(&job->depot->courier, job->storage);
    char text[300];

    if (status != SEALTAPE_OK) {
        job_describe(answer, text, sizeof(text));
        storing_abandon(job);
        job_retry(job, "PROPFIND", answer, text);
        return;
    }
    if (length != job->plan->size) {
        (void)snprintf(text, sizeof(text), "the store has %llu bytes of %llu, though it said 2xx",
                (unsigned long long)length, (unsigned long long)job->plan->size);
        storing_abandon(job);
        job_retry(job, "PUT", NULL, text);
        return;
    }
    if (destination && destination->verify == CONFIG_VERIFY_DIGEST) {
        checking_digest(job, job->part_url, read_back);
        return;
    }
    job->part_ready = true;
    move_start(job);
}

/* What went out is what the spool's document says. */
static bool sent_the_truth(struct job *job)
{
    uint8_t digest[SHA256_DIGEST_SIZE];
    char text[2 * SHA256_DIGEST_SIZE + 1];

    sha256_digest(&job->hash, sizeof(digest), digest);
    hex_encode(digest, sizeof(digest), text);
    if (job->hashed == job->plan->size && strcmp(text, job->plan->sha256) == 0)
        return true;
    storing_abandon(job);
    if (++job->spoiled >= DIFFERS_MAX)
        job_give_up(job, "the spooled bytes do not have the digest that they were given");
    else
        job_retry(job, "PUT", NULL, "the spooled bytes do not have their digest");
    return false;
}

static void uploaded(struct job *job)
{
    file_close(&job->media_fd);
    job->live = false;
    if (sent_the_truth(job))
        checking_length(job, job->part_url, length_known);
}

void storing_closed(struct job *job)
{
    struct diag diag = {""};

    job->live_waiting = false;
    entry_plan_free(&job->plan);
    if (entry_plan_load(job->entry, &job->plan, &diag) != SEALTAPE_OK) {
        storing_abandon(job);
        job_local_failure(job, &diag);
        return;
    }
    uploaded(job);
}

/* ---- PUT ------------------------------------------------------------------------------------- */

static enum http_read media_read(
        void *context, uint64_t offset, void *bytes, size_t size, size_t *ret_len)
{
    struct job *job = context;

    if (entry_discard_wanted(job->entry))
        return HTTP_READ_FAIL;
    if (job->live) {
        /* In this order: what is readable when it is complete is all. */
        bool complete = entry_complete(job->entry);
        uint64_t readable = entry_readable(job->entry);

        if (offset >= readable)
            return complete ? HTTP_READ_END : HTTP_READ_PAUSE;
        if (size > readable - offset)
            size = (size_t)(readable - offset);
    }
    if (file_read_at(job->media_fd, bytes, size, offset, ret_len) != SEALTAPE_OK || *ret_len == 0)
        return HTTP_READ_FAIL;
    if (offset == 0) {
        sha256_init(&job->hash);
        job->hashed = 0;
    }
    /* After a seek the same bytes pass again; only new ones count. */
    if (offset == job->hashed) {
        sha256_update(&job->hash, *ret_len, bytes);
        job->hashed += *ret_len;
    }
    job->position = offset + *ret_len;
    return HTTP_READ_MORE;
}

static void collection_made(void *context, const struct http_answer *answer)
{
    struct job *job = context;

    /* Whatever it answered: the next PUT shows whether it helped. */
    (void)answer;
    put_start(job);
}

static void collection_make(struct job *job)
{
    job->mkcol_tried = true;
    clear_call(job);
    job_send(job, "MKCOL", job->storage, collection_made);
}

static void put_failed(struct job *job, const struct http_answer *answer)
{
    int status = answer->status;
    char text[300];

    if ((status == 404 || status == 409 || status == 500) && !job->mkcol_tried) {
        storing_abandon(job);
        collection_make(job);
        return;
    }
    if (job_password_again(job, answer)) {
        put_start(job);
        return;
    }
    job_describe(answer, text, sizeof(text));
    storing_abandon(job);
    if (entry_discard_wanted(job->entry))
        job_next(job);
    else
        job_retry(job, "PUT", answer,
                answer->stopped && !status ? "the spooled bytes cannot be read" : text);
}

static void put_done(void *context, const struct http_answer *answer)
{
    struct job *job = context;

    if (!job_succeeded(answer)) {
        put_failed(job, answer);
        return;
    }
    if (job->live) {
        job->live_waiting = true;
        if (entry_state(job->entry) != ENTRY_RECORDING)
            storing_closed(job);
        return;
    }
    uploaded(job);
}

static void put_start(struct job *job)
{
    struct diag diag = {""};

    if (!part_make(job)) {
        no_memory(job);
        return;
    }
    file_close(&job->media_fd);
    if (entry_attempt_add(job->entry, job->part_url, &diag) != SEALTAPE_OK
            || entry_open_media(job->entry, &job->media_fd, &diag) != SEALTAPE_OK) {
        forget_part(job);
        job_local_failure(job, &diag);
        return;
    }
    clear_call(job);
    job->position = job->hashed = 0;
    sha256_init(&job->hash);
    job->exchange.call.headers[0] = "Content-Type: application/octet-stream";
    job->exchange.call.source = media_read;
    job->exchange.call.length = job->live ? HTTP_LENGTH_CHUNKED : job->plan->size;
    job_send(job, "PUT", job->part_url, put_done);
}

/* ---- beginnings ------------------------------------------------------------------------------ */

static void leftover_deleted(void *context, const struct http_answer *answer)
{
    struct job *job = context;

    /* If it stayed, it is still noted, and deleted after the post. */
    (void)answer;
    free(TAKE(job->given_up));
    put_start(job);
}

static const char *usable_storage(struct job *job)
{
    for (size_t i = 0; i < job->plan->storages_count; i++) {
        struct origin *origin = courier_origin(&job->depot->courier, job->plan->storages[i]);

        if (origin && origin == job->slot_origin)
            return job->plan->storages[i];
    }
    return job->plan->storages[0];
}

void storing_begin(struct job *job)
{
    const char *storage = usable_storage(job);

    if (!job->storage || strcmp(job->storage, storage) != 0) {
        /* Another store: what stands in the first one is deleted after the post. */
        forget_part(job);
        free(TAKE(job->given_up));
        job->mkcol_tried = false;
    }
    if (!names_make(job, storage)) {
        no_memory(job);
        return;
    }
    if (job->plan->sha256[0] == '\0') {
        job_give_up(job, "the document names no digest of the closed media file");
        return;
    }
    if (job->part_url && job->part_ready) {
        move_start(job);
        return;
    }
    storing_abandon(job);
    if (!job->given_up) {
        put_start(job);
        return;
    }
    clear_call(job);
    job_send(job, "DELETE", job->given_up, leftover_deleted);
}

/* The first storage that may be streamed to now, or NULL. */
static const char *live_storage(struct job *job)
{
    for (size_t i = 0; i < job->plan->storages_count; i++) {
        const char *url = job->plan->storages[i];
        const struct config_destination *destination =
                courier_destination(&job->depot->courier, url);
        struct origin *origin = courier_origin(&job->depot->courier, url);

        /* A probe must end soon; a call may not. */
        if (!origin || origin->open)
            continue;
        if (destination && destination->mode != CONFIG_LIVE)
            return NULL;
        if (origin->live >= (destination ? destination->live_max : LIVE_MAX_DEFAULT))
            return NULL;
        return url;
    }
    return NULL;
}

void storing_live(struct job *job)
{
    const char *storage;

    /* Whatever is wrong here is found, and told, after the call. */
    if (job_plan_load(job, NULL) != SEALTAPE_OK)
        return;
    storage = job->plan->has_media ? live_storage(job) : NULL;
    if (!storage || !names_make(job, storage)) {
        entry_plan_free(&job->plan);
        return;
    }
    if (!job_take_slot(job, JOB_SLOT_LIVE, courier_origin(&job->depot->courier, storage))) {
        entry_plan_free(&job->plan);
        return;
    }
    job->live = true;
    put_start(job);
}

void storing_tick(struct job *job)
{
    if (!job->live || job->live_waiting || !job->exchange.request)
        return;
    if (entry_readable(job->entry) > job->position || entry_complete(job->entry)
            || entry_discard_wanted(job->entry))
        http_resume(job->exchange.request);
}
