/*
 * The syncer: one thread that makes durable what the writer has flushed, one
 * round at a time for all recordings (syncfs), every half sync interval, and
 * soon after a recording has ended.
 *
 * After a complete round it rewrites the synced slots, gives documents their
 * names, and moves ended recordings to closed/.
 */
#ifndef SEALTAPE_SPOOL_SYNCER_H
#define SEALTAPE_SPOOL_SYNCER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/diag.h"
#include "spool/folder.h"
#include "spool/media.h"

struct syncer;

/* What the syncer tells, from its thread. */
struct syncer_listener {
    void *context;
    /* The document is durable: the recording may be streamed. */
    void (*durable)(void *context, struct media *media);
    /* It stands in closed/. */
    void (*closed)(void *context, struct media *media);
    /* A round failed (@failing, the reason) or completes again. */
    void (*trouble)(void *context, bool failing, const char *text);
};

/* [setup] @folder is shared. */
enum sealtape_status syncer_start(uint32_t sync_ms, struct folder *folder,
        const struct syncer_listener *listener, struct syncer **ret_syncer,
        struct diag *diag) MUST_CHECK;

/* There is something new in @media; a share is taken until the round is done. [writer] */
void syncer_add(struct syncer *syncer, struct media *media);

/* Milliseconds since the oldest flushed byte that no round has covered; 0: none. [any] */
uint64_t syncer_age_ms(struct syncer *syncer);

/* One more round, then join. [setup] */
void syncer_stop(struct syncer **syncer);

#endif
