/*
 * The delivery of one media file, step by step. All of it runs in the transfer
 * thread; each step is one request, whose answer chooses the next.
 */
#ifndef SEALTAPE_DELIVERY_JOB_H
#define SEALTAPE_DELIVERY_JOB_H

#include <nettle/sha2.h>

#include "delivery/courier.h"
#include "delivery/listing.h"
#include "delivery/queue.h"
#include "delivery/transfer.h"
#include "spool/entry.h"

/* What all jobs share. */
struct depot {
    const struct config *config;
    struct courier courier;
    struct queue queue;
    struct job *live; /* the open live uploads */
    transfer_report *report;
    void *report_context;
    struct transfer_stats stats;
    bool finished; /* some job is over */
};

enum job_slot { JOB_SLOT_NONE, JOB_SLOT_LIVE, JOB_SLOT_UPLOAD, JOB_SLOT_POST };

struct job {
    struct queue_item item; /* first: the queue gives it back */
    struct job *hash_next;
    struct depot *depot;
    struct entry *entry;
    struct entry_plan *plan; /* while active */
    struct exchange exchange;

    bool active; /* holds a slot; a request runs or is about to */
    bool over;   /* to be freed */
    bool owed;   /* counted as waiting */
    bool backing_off;
    enum job_slot slot;
    struct origin *slot_origin;
    unsigned failures; /* in a row */
    bool cleaned;      /* posted, and no leftovers in the store */
    bool told;         /* an event has said that it is delayed */
    bool password_tried;

    /* Storing. */
    struct job *live_next, **live_link;
    bool live; /* this upload tails the spool */
    bool live_tried;
    bool live_waiting; /* uploaded; waits for the document */
    char *storage;     /* base URL of this attempt */
    char *final_url, *part_url, *destination;
    char *given_up;  /* a temporary object to be deleted before the next attempt */
    bool part_ready; /* its length stands verified */
    bool mkcol_tried;
    int media_fd;
    uint64_t position;
    struct sha256_ctx hash;
    uint64_t hashed;
    unsigned spoiled, differs;
    char *bytes; /* of a listing, or of the document */
    size_t bytes_len;

    /* Deleting: NULL-ended, one block, and what comes after the last. */
    char **doomed;
    size_t doomed_index;
    void (*after_delete)(struct job *job);
    bool delete_must;

    /* Checking: what it is for. */
    void (*length_checked)(struct job *job, enum sealtape_status status, uint64_t length,
            const struct http_answer *answer);
    void (*digest_checked)(
            struct job *job, enum sealtape_status status, const struct http_answer *answer);
    const char *check_url;
};

/* A share of @entry is taken. SEALTAPE_E_MEMORY. */
enum sealtape_status job_new(
        struct depot *depot, struct entry *entry, struct job **ret_job) MUST_CHECK;
/* Ends whatever runs. */
void job_free(struct job **job);

/* Something about its entry has changed. */
void job_look(struct job *job);

/* From the queue: begin if an origin has room. For queue_serve(). */
bool job_start(void *context, struct queue_item *item);

/* ---- for the steps --------------------------------------------------------------------------- */

/* Send `exchange`, whose url stays until @done. */
void job_send(struct job *job, const char *method, const char *url,
        void (*done)(void *context, const struct http_answer *answer));

bool job_take_slot(struct job *job, enum job_slot slot, struct origin *origin);

/*
 * Load the job's plan, with the destinations of the configuration where they follow it.
 * [transfer] As entry_plan_load(). It must not have one; has none on failure.
 */
enum sealtape_status job_plan_load(struct job *job, struct diag *diag) MUST_CHECK;

/* This step is over: give the slot back, go on with what the entry's state asks for. */
void job_next(struct job *job);

/* Try again after a back-off. @answer may be NULL; @text says what went wrong, without URL. */
void job_retry(
        struct job *job, const char *what, const struct http_answer *answer, const char *text);

/* No retry mends it. */
void job_give_up(struct job *job, const char *reason);

/* Own disk or memory failed. */
void job_local_failure(struct job *job, const struct diag *diag);

/* "status 507", or the network's words. */
void job_describe(const struct http_answer *answer, char *ret_text, size_t size);

/* Told 401 for the first time: once more at once, with a password read again. */
bool job_password_again(struct job *job, const struct http_answer *answer);

bool job_succeeded(const struct http_answer *answer);

/* storing.c */
void storing_begin(struct job *job);
void storing_live(struct job *job);
void storing_tick(struct job *job);
void storing_closed(struct job *job); /* the document of a live upload is final */
void storing_abandon(struct job *job);

/* checking.c: the length of the object at @url, by PROPFIND or a ranged GET. */
void checking_length(struct job *job, const char *url,
        void (*checked)(struct job *job, enum sealtape_status status, uint64_t length,
                const struct http_answer *answer));
/* Its digest, by reading it back. E_STATE: it is another object. */
void checking_digest(struct job *job, const char *url,
        void (*checked)(
                struct job *job, enum sealtape_status status, const struct http_answer *answer));

/* posting.c */
void posting_begin(struct job *job);

/* settling.c: leftovers, the grace time, discarded recordings. */
void settling_clean(struct job *job);
void settling_begin(struct job *job);
void settling_discard(struct job *job);
void settling_delete(struct job *job, bool must, void (*after)(struct job *job));

#endif
