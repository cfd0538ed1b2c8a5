#include "spool/queue.h"

#include <string.h>

/* A point as words, for the sequence lock. */
enum { END, PLAIN, HEADER, LOST, NS, CLOSING, CLOSING_2, ENDED };

void queue_init(struct queue *queue, struct pool *pool, const uint8_t closing[CIPHER_BLOCK_SIZE])
{
    memset(queue, 0, sizeof(*queue));
    queue->pool = pool;
    queue->tail = queue->head = POOL_NONE;
    atomic_init(&queue->first, POOL_NONE);
    memcpy(queue->point.closing, closing, CIPHER_BLOCK_SIZE);
    queue_publish(queue);
}

void queue_clear(struct queue *queue)
{
    uint32_t chunk = queue->head;

    if (chunk == POOL_NONE)
        chunk = atomic_load(&queue->first);
    while (chunk != POOL_NONE) {
        uint32_t next = atomic_load(pool_link(queue->pool, chunk));

        pool_give(queue->pool, chunk);
        chunk = next;
    }
    queue->head = queue->tail = POOL_NONE;
    atomic_store(&queue->first, POOL_NONE);
}

static void give_chain(struct pool *pool, uint32_t chunk)
{
    while (chunk != POOL_NONE) {
        uint32_t next = atomic_load_explicit(pool_link(pool, chunk), memory_order_relaxed);

        pool_give(pool, chunk);
        chunk = next;
    }
}

/* What the tail chunk has left serves first; chunks behind it are linked to it. */
enum sealtape_status queue_reserve(struct queue *queue, size_t len)
{
    size_t room = queue->tail == POOL_NONE ? 0 : POOL_CHUNK_SIZE - queue->tail_used;
    uint32_t first = POOL_NONE, last = POOL_NONE;

    for (; room < len; room += POOL_CHUNK_SIZE) {
        uint32_t chunk = pool_take(queue->pool);

        if (chunk == POOL_NONE) {
            give_chain(queue->pool, first);
            return SEALTAPE_E_AGAIN;
        }
        if (first == POOL_NONE)
            first = chunk;
        else
            atomic_store_explicit(pool_link(queue->pool, last), chunk, memory_order_release);
        last = chunk;
    }
    if (first == POOL_NONE)
        return SEALTAPE_OK;
    if (queue->tail == POOL_NONE) {
        queue->tail = first;
        queue->tail_used = 0;
        atomic_store_explicit(&queue->first, first, memory_order_release);
    } else {
        atomic_store_explicit(pool_link(queue->pool, queue->tail), first, memory_order_release);
    }
    return SEALTAPE_OK;
}

uint8_t *queue_room(struct queue *queue, size_t *ret_len)
{
    if (queue->tail_used == POOL_CHUNK_SIZE) {
        queue->tail =
                atomic_load_explicit(pool_link(queue->pool, queue->tail), memory_order_relaxed);
        queue->tail_used = 0;
    }
    *ret_len = POOL_CHUNK_SIZE - queue->tail_used;
    return pool_bytes(queue->pool, queue->tail) + queue->tail_used;
}

void queue_fill(struct queue *queue, size_t len)
{
    queue->tail_used += (uint32_t)len;
    queue->point.end += len;
}

/*
 * Words are stored with release and loaded with acquire, so a reader that sees
 * a new word also sees the odd version before it and tries again. On x86 this
 * costs nothing over plain stores.
 */
void queue_publish(struct queue *queue)
{
    uint64_t version = atomic_load_explicit(&queue->version, memory_order_relaxed);
    const struct queue_point *point = &queue->point;
    uint64_t words[ARRAY_COUNT(queue->words)];

    words[END] = point->end;
    words[PLAIN] = point->plain_size;
    words[HEADER] = point->header_bytes;
    words[LOST] = point->lost_bytes;
    words[NS] = point->audio_ns;
    memcpy(&words[CLOSING], point->closing, CIPHER_BLOCK_SIZE);
    words[ENDED] = point->ended;
    atomic_store_explicit(&queue->version, version + 1, memory_order_relaxed);
    for (size_t i = 0; i < ARRAY_COUNT(words); i++)
        atomic_store_explicit(&queue->words[i], words[i], memory_order_release);
    atomic_store_explicit(&queue->version, version + 2, memory_order_release);
}

void queue_get_point(struct queue *queue, struct queue_point *ret_point)
{
    uint64_t words[ARRAY_COUNT(queue->words)], before, after;

    do {
        before = atomic_load_explicit(&queue->version, memory_order_acquire);
        for (size_t i = 0; i < ARRAY_COUNT(words); i++)
            words[i] = atomic_load_explicit(&queue->words[i], memory_order_acquire);
        after = atomic_load_explicit(&queue->version, memory_order_relaxed);
    } while (before != after || before % 2 != 0);
    *ret_point = (struct queue_point){.end = words[END],
            .plain_size = words[PLAIN],
            .header_bytes = words[HEADER],
            .lost_bytes = words[LOST],
            .audio_ns = words[NS],
            .ended = words[ENDED] != 0};
    memcpy(ret_point->closing, &words[CLOSING], CIPHER_BLOCK_SIZE);
}

bool queue_can_mark(const struct queue *queue, unsigned count)
{
    uint32_t in = atomic_load_explicit(&queue->marks_in, memory_order_relaxed);
    uint32_t out = atomic_load_explicit(&queue->marks_out, memory_order_acquire);

    return QUEUE_MARKS - (in - out) >= count;
}

void queue_put_mark(struct queue *queue, const struct queue_mark *mark)
{
    uint32_t in = atomic_load_explicit(&queue->marks_in, memory_order_relaxed);

    queue->marks[in % QUEUE_MARKS] = *mark;
    atomic_store_explicit(&queue->marks_in, in + 1, memory_order_release);
}

bool queue_take_mark(struct queue *queue, struct queue_mark *ret_mark)
{
    uint32_t out = atomic_load_explicit(&queue->marks_out, memory_order_relaxed);

    if (out == atomic_load_explicit(&queue->marks_in, memory_order_acquire))
        return false;
    *ret_mark = queue->marks[out % QUEUE_MARKS];
    atomic_store_explicit(&queue->marks_out, out + 1, memory_order_release);
    return true;
}

int queue_peek(struct queue *queue, uint64_t end, struct iovec *ret_vectors, int max)
{
    uint64_t left = end - queue->consumed;
    uint32_t chunk, used;
    int count = 0;

    if (queue->head == POOL_NONE) {
        queue->head = atomic_load_explicit(&queue->first, memory_order_acquire);
        queue->head_used = 0;
    }
    chunk = queue->head;
    used = queue->head_used;
    while (left > 0 && count < max) {
        size_t n = POOL_CHUNK_SIZE - used;

        if (n == 0) {
            chunk = atomic_load_explicit(pool_link(queue->pool, chunk), memory_order_acquire);
            used = 0;
            continue;
        }
        if (n > left)
            n = (size_t)left;
        ret_vectors[count].iov_base = pool_bytes(queue->pool, chunk) + used;
        ret_vectors[count++].iov_len = n;
        used += (uint32_t)n;
        left -= n;
    }
    return count;
}

void queue_consume(struct queue *queue, size_t len)
{
    queue->consumed += len;
    while (len > 0) {
        size_t n = POOL_CHUNK_SIZE - queue->head_used;

        if (n == 0) {
            uint32_t done = queue->head;

            queue->head = atomic_load_explicit(pool_link(queue->pool, done), memory_order_acquire);
            queue->head_used = 0;
            pool_give(queue->pool, done);
            continue;
        }
        if (n > len)
            n = len;
        queue->head_used += (uint32_t)n;
        len -= n;
    }
}
