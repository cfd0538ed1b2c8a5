/*
 * The spool: the one truth between sealing and delivery. Brings together
 * folder, memory, writer, syncer, recovery, a lookout for what runs full, and an
 * adopter that looks every minute for folders whose processes have died.
 */
#ifndef SEALTAPE_SPOOL_SPOOL_H
#define SEALTAPE_SPOOL_SPOOL_H

#include <stdbool.h>
#include <stdint.h>

#include "base/diag.h"
#include "profile/config.h"
#include "spool/entry.h"
#include "spool/evidence.h"
#include "spool/media.h"

struct spool;

/* What the spool tells, from its threads; and from the caller of spool_open(). */
struct spool_listener {
    void *context;
    /* To be delivered from now on: durable, closed, or found. Borrowed. */
    void (*offer)(void *context, struct entry *entry);
    /* SEALTAPE_EVENT_DEGRADED (@bytes were lost), _SPOOLED, _DISCARDED of @media;
     * SEALTAPE_EVENT_PRESSURE of the spool itself (@media NULL). */
    void (*event)(void *context, enum sealtape_event_kind kind, struct media *media, uint64_t bytes,
            const char *text);
};

/*
 * Take a folder, recover what stands in it, start the threads. [setup]
 *
 * @config is borrowed until close.
 *
 *   SEALTAPE_E_SPOOL, SEALTAPE_E_MEMORY, SEALTAPE_E_IO
 */
enum sealtape_status spool_open(const struct config *config, const struct spool_listener *listener,
        struct spool **ret_spool, struct diag *diag) MUST_CHECK;

/* May a recording begin? [control]
 *
 *   SEALTAPE_E_SPOOL  the spool cannot be written at present
 *   SEALTAPE_E_LIMIT  quota, memory or disk is used up
 */
enum sealtape_status spool_ready(struct spool *spool, struct diag *diag) MUST_CHECK;

/*
 * Begin a media file. [control] Waits for no disk.
 *
 * @evidence is taken on success. The media is valid until its feed has
 * published `ended`; whoever produces keeps no share.
 */
enum sealtape_status spool_begin(struct spool *spool, struct evidence *evidence,
        const uint8_t closing[CIPHER_BLOCK_SIZE], struct media **ret_media,
        struct diag *diag) MUST_CHECK;

/* A media file has ended: soon to disk. [control] */
void spool_urge(struct spool *spool);

/* Call after each reservation: wakes the writer when the memory is past half. [media] */
void spool_watch_memory(struct spool *spool);

struct spool_stats {
    uint64_t spooled_bytes; /* since the start */
    uint64_t bytes;         /* that stand in the spool */
    uint64_t memory_bytes, memory_max_bytes;
    uint64_t unflushed_age_ms, unsynced_age_ms;
    uint32_t recordings; /* not yet in closed/ */
};
void spool_stats(struct spool *spool, struct spool_stats *ret_stats);

/* Bring everything published to disk, stop. [setup] Nothing is produced any more. */
void spool_close(struct spool **spool);

#endif
