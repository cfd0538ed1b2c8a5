/*
 * The commit file of a media file: two slots that say how much of .bin counts.
 *
 * *flushed* is rewritten at each flush and serves a killed process; *synced* is
 * rewritten after a completed sync round with that round's values and serves a
 * power cut. FORMAT.md has the bytes.
 */
#ifndef SEALTAPE_SPOOL_COMMIT_H
#define SEALTAPE_SPOOL_COMMIT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/diag.h"

#define COMMIT_FORMAT 1
#define COMMIT_CLOSING_MAX 16
#define COMMIT_DIGEST_SIZE 32
/* Bytes of the whole file. */
#define COMMIT_FILE_SIZE 12288

enum commit_which { COMMIT_FLUSHED, COMMIT_SYNCED };

/* One slot: the first @offset bytes of .bin, digested by @sha256, hold @plain_size bytes of
 * media once @closing stands behind them. */
struct commit_slot {
    uint64_t sequence; /* grows with each rewriting */
    uint64_t offset;
    uint64_t plain_size;
    uint64_t media_ms; /* media time of those bytes */
    int64_t last_audio_utc_ms;
    uint64_t lost_bytes; /* refused since the beginning */
    bool closed;         /* .bin is complete; no closing bytes are missing */
    uint8_t closing_len;
    uint8_t closing[COMMIT_CLOSING_MAX];
    uint8_t sha256[COMMIT_DIGEST_SIZE];
};

/* The whole file with one slot in both places, for a new recording. [writer] */
void commit_image(const struct commit_slot *slot, uint8_t ret_bytes[COMMIT_FILE_SIZE]);

/* Rewrite a slot in place. [writer, syncer] SEALTAPE_E_IO: errno says why. */
enum sealtape_status commit_write(
        int fd, enum commit_which which, const struct commit_slot *slot) MUST_CHECK;

/*
 * Read a commit file. [setup]
 *
 * @ret_slots takes the valid ones, newest first; *ret_count is 0, 1 or 2.
 *
 *   SEALTAPE_E_VERSION  of a newer format, or of pages of another size
 *   SEALTAPE_E_STATE    not a commit file
 */
enum sealtape_status commit_parse(const uint8_t *bytes, size_t len, struct commit_slot ret_slots[2],
        size_t *ret_count, struct diag *diag) MUST_CHECK;

/*
 * May a sync have covered a commit file with these bytes? [setup]
 *
 * It cannot where a part was never written, or the synced slot is still the
 * first one. Whoever finds such a file has lost nothing that was promised.
 */
bool commit_was_synced(const uint8_t *bytes, size_t len);

#endif
