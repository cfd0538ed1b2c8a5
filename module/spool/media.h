/*
 * A media file while it is recorded: the feed that fills it, its files, its
 * digests. The writer's; the syncer looks in through media_snapshot().
 */
#ifndef SEALTAPE_SPOOL_MEDIA_H
#define SEALTAPE_SPOOL_MEDIA_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/diag.h"
#include "spool/commit.h"
#include "spool/entry.h"
#include "spool/evidence.h"
#include "spool/feed.h"
#include "spool/folder.h"

struct media;

/*
 * A new one, nothing on disk yet. [control]
 *
 * @evidence is taken on success. @closing is the block that closes the empty
 * message. Shared by reference counts.
 */
enum sealtape_status media_new(struct folder *folder, struct memory *memory,
        struct evidence *evidence, const uint8_t closing[CIPHER_BLOCK_SIZE],
        struct media **ret_media, struct diag *diag) MUST_CHECK;
struct media *media_acquire(struct media *media);
void media_release(struct media **media);

/* Give the evidence back to whoever made it, before a media is given up. [control] */
void media_keep_evidence(struct media *media);

struct feed *media_feed(struct media *media);
struct evidence *media_evidence(struct media *media);
struct entry *media_entry(struct media *media);

/* Throw it away at its end. [control] */
void media_discard(struct media *media);

/*
 * Bring to disk what has been published: files at the first time, evidence that
 * changed, bytes, the flushed slot; at the end closing bytes and the final
 * document. [writer]
 *
 * Goes on where it failed when it is called again. *ret_changed: there is
 * something new for the syncer.
 *
 *   SEALTAPE_E_IO, SEALTAPE_E_MEMORY  nothing is lost, the rest waits in the feed
 *   SEALTAPE_E_AGAIN                  the syncer works on the files; next time
 */
enum sealtape_status media_flush(
        struct media *media, bool *ret_changed, struct diag *diag) MUST_CHECK;

/* Everything is on disk and final. [writer, syncer] */
bool media_finished(const struct media *media);

/* Age of the oldest published byte that is not flushed, ns; 0: none. [writer] */
uint64_t media_unflushed_ns(struct media *media, uint64_t now_ns);

/* Why a host is told that bytes were lost; 0 since the last time it was asked. [writer] */
uint64_t media_new_losses(struct media *media);

/* Its way through the syncer: waiting for a round (true: it was not yet), durable (true: for
 * the first time), in closed/. [writer, syncer] */
bool media_begin_wait(struct media *media);
void media_end_wait(struct media *media);
bool media_set_durable(struct media *media);
void media_set_closed(struct media *media);
bool media_is_closed(const struct media *media);

/* What a sync round makes durable. */
struct media_snapshot {
    struct commit_slot slot;
    unsigned revision; /* of the document */
    bool finished;
};

/* [syncer] false: there are no files yet. */
bool media_snapshot(struct media *media, struct media_snapshot *ret_snapshot);

/* The round with this snapshot is complete: rewrite the synced slot, give the document its
 * name. [syncer] */
enum sealtape_status media_synced(
        struct media *media, const struct media_snapshot *snapshot, struct diag *diag) MUST_CHECK;

/*
 * A sync of the round failed: find out whether this media's files are to blame,
 * and if so copy them to new ones. [syncer]
 *
 * Never syncs a file again that failed: reads it back, compares with the
 * running digest, copies to a new file. Where the disk gives back other bytes,
 * the loss is marked as a gap and the digests follow what is there; an ended
 * one is then finished anew by the writer.
 *
 *   SEALTAPE_OK     what @ret_snapshot says is durable
 *   SEALTAPE_E_IO   it is not yet; media_is_doubtful(): a later round tries again
 */
enum sealtape_status media_rescue(
        struct media *media, struct media_snapshot *ret_snapshot, struct diag *diag) MUST_CHECK;

/* Has a file of it failed to sync and no copy taken its place? Then a sync that succeeds means
 * nothing for it. [syncer] */
bool media_is_doubtful(struct media *media);

/* Bytes of .bin written so far. [any] */
uint64_t media_flushed(const struct media *media);

/* The outcome that the final document states; NULL before the end. [syncer] */
const char *media_outcome(const struct media *media);
void media_sha256(const struct media *media, char ret_hex[65]);

#endif
