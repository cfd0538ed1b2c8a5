/*
 * Sealed bytes of one recording on their way from a media thread to the writer:
 * one producer, one consumer, no lock.
 *
 * The producer reserves room, fills it and publishes a point: where the message
 * ends now and how it would be closed there. The consumer takes a consistent
 * point and the bytes up to it. Beside them runs a short line of marks: where a
 * mask, a pause or a gap began.
 */
#ifndef SEALTAPE_SPOOL_QUEUE_H
#define SEALTAPE_SPOOL_QUEUE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "base/diag.h"
#include "seal/cipher.h"
#include "spool/pool.h"

#define QUEUE_MARKS 64u

/* The end of the message as of one publication. */
struct queue_point {
    uint64_t end;          /* bytes of ciphertext since the beginning */
    uint64_t plain_size;   /* bytes of media that they and the closing block hold */
    uint64_t header_bytes; /* of these, bytes of a container's header */
    uint64_t lost_bytes;   /* bytes that were refused since the beginning */
    uint64_t audio_ns;     /* CLOCK_MONOTONIC of the last write; 0: none yet */
    uint8_t closing[CIPHER_BLOCK_SIZE];
    bool ended; /* there will be no more */
};

enum queue_mark_kind {
    QUEUE_MASK,
    QUEUE_UNMASK,
    QUEUE_PAUSE,
    QUEUE_RESUME,
    QUEUE_GAP
};

struct queue_mark {
    enum queue_mark_kind kind;
    uint64_t plain_size, header_bytes, ns;
    uint64_t bytes; /* of a gap */
};

/* Embedded in what is queued for. Fields are the queue's own. */
struct queue {
    struct pool *pool;

    /* The producer's. */
    _Alignas(64) struct queue_point point;
    uint32_t tail, tail_used;

    /* Between them: a sequence lock over the point, and the line of marks. */
    _Alignas(64) _Atomic uint64_t version;
    _Atomic uint64_t words[8];
    _Atomic uint32_t first;
    _Atomic uint32_t marks_in, marks_out;
    struct queue_mark marks[QUEUE_MARKS];

    /* The consumer's. */
    _Alignas(64) uint32_t head;
    uint32_t head_used;
    uint64_t consumed;
};

/* An empty queue whose message would be closed by @closing. [control] */
void queue_init(struct queue *queue, struct pool *pool,
        const uint8_t closing[CIPHER_BLOCK_SIZE]);
/* Give all chunks back. Nobody produces or consumes any more. [any] */
void queue_clear(struct queue *queue);

/*
 * Make room for @len bytes more. [media]
 *
 *   SEALTAPE_E_AGAIN  the pool is empty; nothing changed
 */
enum sealtape_status queue_reserve(struct queue *queue, size_t len) MUST_CHECK;
/* The next stretch of reserved room, and that @len bytes of it are filled. [media] */
uint8_t *queue_room(struct queue *queue, size_t *ret_len);
void queue_fill(struct queue *queue, size_t len);
/* Publish queue->point, which the producer has brought up to date. [media] */
void queue_publish(struct queue *queue);
/* Place for @count more marks? [media] */
bool queue_can_mark(const struct queue *queue, unsigned count);
void queue_put_mark(struct queue *queue, const struct queue_mark *mark);

/* The last published point. [writer] */
void queue_get_point(struct queue *queue, struct queue_point *ret_point);
/* Up to @max stretches of bytes up to the offset @end. [writer] Number of stretches. */
int queue_peek(struct queue *queue, uint64_t end, struct iovec *ret_vectors, int max);
/* The first @len bytes are done with; whole chunks go back to the pool. [writer] */
void queue_consume(struct queue *queue, size_t len);
/* The oldest mark, removed; false: none. [writer] */
bool queue_take_mark(struct queue *queue, struct queue_mark *ret_mark);

#endif
