/*
 * Sealed bytes of one recording on their way from a media thread to the writer:
 * one producer, one consumer, no lock.
 *
 * The producer reserves room, fills it and publishes a point: where the message
 * ends now and how it would be closed there. The consumer takes a consistent
 * point and the bytes up to it. Beside them runs a short line of marks: where a
 * mask, a pause or a gap began.
 */
#ifndef SEALTAPE_SPOOL_FEED_H
#define SEALTAPE_SPOOL_FEED_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "base/diag.h"
#include "seal/cipher.h"
#include "spool/memory.h"

#define FEED_MARKS 64u

/* The end of the message as of one publication. */
struct feed_point {
    uint64_t end;          /* bytes of ciphertext since the beginning */
    uint64_t plain_size;   /* bytes of media that they and the closing block hold */
    uint64_t header_bytes; /* of these, bytes of a container's header */
    uint64_t lost_bytes;   /* bytes that were refused since the beginning */
    uint64_t audio_ns;     /* CLOCK_MONOTONIC of the last write; 0: none yet */
    uint8_t closing[CIPHER_BLOCK_SIZE];
    bool ended; /* there will be no more */
};

enum feed_mark_kind { FEED_MASK, FEED_UNMASK, FEED_PAUSE, FEED_RESUME, FEED_GAP };

struct feed_mark {
    enum feed_mark_kind kind;
    uint64_t plain_size, header_bytes, ns;
    uint64_t bytes; /* of a gap */
};

/* Embedded in what is queued for. Fields are the feed's own. */
struct feed {
    struct memory *memory;

    /* The producer's. */
    _Alignas(64) struct feed_point point;
    uint32_t tail, tail_used;

    /* Between them: a sequence lock over the point, and the line of marks. */
    _Alignas(64) _Atomic uint64_t version;
    _Atomic uint64_t words[8];
    _Atomic uint32_t first;
    _Atomic uint32_t marks_in, marks_out;
    struct feed_mark marks[FEED_MARKS];

    /* The consumer's. */
    _Alignas(64) uint32_t head;
    uint32_t head_used;
    uint64_t consumed;
};

/* An empty feed whose message would be closed by @closing. [control] */
void feed_init(struct feed *feed, struct memory *memory, const uint8_t closing[CIPHER_BLOCK_SIZE]);
/* Give all chunks back. Nobody produces or consumes any more. [any] */
void feed_clear(struct feed *feed);

/*
 * Make room for @len bytes more. [media]
 *
 *   SEALTAPE_E_AGAIN  the memory is empty; nothing changed
 */
enum sealtape_status feed_reserve(struct feed *feed, size_t len) MUST_CHECK;
/* The next stretch of reserved room, and that @len bytes of it are filled. [media] */
uint8_t *feed_room(struct feed *feed, size_t *ret_len);
void feed_fill(struct feed *feed, size_t len);
/* Publish feed->point, which the producer has brought up to date. [media] */
void feed_publish(struct feed *feed);
/* Place for @count more marks? [media] */
bool feed_can_mark(const struct feed *feed, unsigned count);
void feed_put_mark(struct feed *feed, const struct feed_mark *mark);

/* The last published point. [writer] */
void feed_get_point(struct feed *feed, struct feed_point *ret_point);
/* Up to @max stretches of bytes up to the offset @end. [writer] Number of stretches. */
int feed_peek(struct feed *feed, uint64_t end, struct iovec *ret_vectors, int max);
/* The first @len bytes are done with; whole chunks go back to the memory. [writer] */
void feed_consume(struct feed *feed, size_t len);
/* The oldest mark, removed; false: none. [writer] */
bool feed_take_mark(struct feed *feed, struct feed_mark *ret_mark);

#endif
