/*
 * The writer: one thread that brings what media threads have published to the
 * spool files, every flush interval for all recordings, at once for those that
 * end and when the memory runs high.
 */
#ifndef SEALTAPE_SPOOL_WRITER_H
#define SEALTAPE_SPOOL_WRITER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/diag.h"
#include "spool/media.h"
#include "spool/memory.h"
#include "spool/syncer.h"

struct writer;

/* What the writer tells, from its thread. */
struct writer_listener {
    void *context;
    /* @bytes of @media were refused since the last time. */
    void (*degraded)(void *context, struct media *media, uint64_t bytes);
    /* Writing fails (@failing, the reason) or works again. */
    void (*trouble)(void *context, bool failing, const char *text);
};

/* [setup] @memory and @syncer outlive it. */
enum sealtape_status writer_start(uint32_t flush_ms, struct memory *memory, struct syncer *syncer,
        const struct writer_listener *listener, struct writer **ret_writer,
        struct diag *diag) MUST_CHECK;

/* Take care of a new media file; a share is taken. [control] SEALTAPE_E_LIMIT, _E_MEMORY. */
enum sealtape_status writer_add(struct writer *writer, struct media *media) MUST_CHECK;

/* It has ended: flush it now, not at the next tick. [control] */
void writer_urge(struct writer *writer);

/* The memory is past its high-water mark: flush now. [media] One system call at the most until
 * the writer has come round. */
void writer_relieve(struct writer *writer);

struct writer_stats {
    uint64_t spooled_bytes;
    uint64_t unflushed_age_ms;
    uint32_t recordings;
};
void writer_stats(struct writer *writer, struct writer_stats *ret_stats);

/* Flush what can be flushed, join the thread. [setup] */
void writer_stop(struct writer **writer);

#endif
