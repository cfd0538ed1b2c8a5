/*
 * Delivery: from the spool to store and processor, in one thread.
 *
 * For each media file: PUT under a temporary name (live: chunked, tailing the
 * spool file; after the call: with Content-Length), compare the stored length,
 * MOVE with Overwrite: F, then POST the document with Idempotency-Key. Back-off
 * with full jitter, Retry-After, one circuit breaker per origin, destinations
 * in order, tenants in turn. No status code ever drops a recording.
 */
#ifndef SEALTAPE_DELIVERY_TRANSFER_H
#define SEALTAPE_DELIVERY_TRANSFER_H

#include <stddef.h>
#include <stdint.h>

#include "base/diag.h"
#include "profile/config.h"
#include "spool/entry.h"

struct transfer;

/*
 * What happened, from the transfer thread: SEALTAPE_EVENT_STORED (@url), _POSTED,
 * _FAILED, _DELAYED, _DISCARDED. @text is one line. @entry may be NULL (an origin).
 */
typedef void transfer_report(void *context, enum sealtape_event_kind kind, struct entry *entry,
        const char *url, const char *text);

/* Start the thread. [setup] @config is borrowed until stop. */
enum sealtape_status transfer_start(const struct config *config, transfer_report *report,
        void *context, struct transfer **ret_transfer, struct diag *diag) MUST_CHECK;

/* The same with other times and bounds than pace_default. [setup] @pace is copied. */
struct pace;
enum sealtape_status transfer_start_at(const struct pace *pace, const struct config *config,
        transfer_report *report, void *context, struct transfer **ret_transfer,
        struct diag *diag) MUST_CHECK;

/*
 * Take care of an entry from now on. [any but media]
 *
 * Called when its document has become durable (state recording: it may be
 * streamed live), when it has been closed, when it was adopted or its wishes
 * changed (discard). Repeats are harmless; the state is looked up in the entry.
 * A share of @entry is taken.
 */
void transfer_offer(struct transfer *transfer, struct entry *entry);

/*
 * Discard what is closed and not yet stored, by recording id or media id. [control]
 *
 *   SEALTAPE_E_STATE  there is none such
 */
enum sealtape_status transfer_discard(struct transfer *transfer, const char *id) MUST_CHECK;

struct transfer_stats {
    uint64_t stored, posted, stored_bytes;
    uint32_t waiting; /* closed or stored, not yet posted */
    uint32_t failed;
    uint32_t live; /* open live uploads */
};
void transfer_stats(struct transfer *transfer, struct transfer_stats *ret_stats);

/* Wait until nothing is closed or stored any more, or @timeout_ms. [setup] Number left. */
uint32_t transfer_drain(struct transfer *transfer, uint32_t timeout_ms);

/* Try everything that waits for a back-off now, and read passwords again. [setup] */
void transfer_retry_now(struct transfer *transfer);

/* Abort what runs (abandoned temporary objects are noted), join the thread. [setup] */
void transfer_stop(struct transfer **transfer);

#endif
