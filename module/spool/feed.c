#include "spool/feed.h"

#include <string.h>

/* A point as words, for the sequence lock. */
enum { END, PLAIN, HEADER, LOST, NS, CLOSING, CLOSING_2, ENDED };

void feed_init(struct feed *feed, struct memory *memory, const uint8_t closing[CIPHER_BLOCK_SIZE])
{
    memset(feed, 0, sizeof(*feed));
    feed->memory = memory;
    feed->tail = feed->head = MEMORY_NONE;
    atomic_init(&feed->first, MEMORY_NONE);
    memcpy(feed->point.closing, closing, CIPHER_BLOCK_SIZE);
    feed_publish(feed);
}

void feed_clear(struct feed *feed)
{
    uint32_t chunk = feed->head;

    if (chunk == MEMORY_NONE)
        chunk = atomic_load(&feed->first);
    while (chunk != MEMORY_NONE) {
        uint32_t next = atomic_load(memory_link(feed->memory, chunk));

        memory_give(feed->memory, chunk);
        chunk = next;
    }
    feed->head = feed->tail = MEMORY_NONE;
    atomic_store(&feed->first, MEMORY_NONE);
}

static void give_chain(struct memory *memory, uint32_t chunk)
{
    while (chunk != MEMORY_NONE) {
        uint32_t next = atomic_load_explicit(memory_link(memory, chunk), memory_order_relaxed);

        memory_give(memory, chunk);
        chunk = next;
    }
}

/* What the tail chunk has left serves first; chunks behind it are linked to it. */
enum sealtape_status feed_reserve(struct feed *feed, size_t len)
{
    size_t room = feed->tail == MEMORY_NONE ? 0 : MEMORY_CHUNK_SIZE - feed->tail_used;
    uint32_t first = MEMORY_NONE, last = MEMORY_NONE;

    for (; room < len; room += MEMORY_CHUNK_SIZE) {
        uint32_t chunk = memory_take(feed->memory);

        if (chunk == MEMORY_NONE) {
            give_chain(feed->memory, first);
            return SEALTAPE_E_AGAIN;
        }
        if (first == MEMORY_NONE)
            first = chunk;
        else
            atomic_store_explicit(memory_link(feed->memory, last), chunk, memory_order_release);
        last = chunk;
    }
    if (first == MEMORY_NONE)
        return SEALTAPE_OK;
    if (feed->tail == MEMORY_NONE) {
        feed->tail = first;
        feed->tail_used = 0;
        atomic_store_explicit(&feed->first, first, memory_order_release);
    } else {
        atomic_store_explicit(memory_link(feed->memory, feed->tail), first, memory_order_release);
    }
    return SEALTAPE_OK;
}

uint8_t *feed_room(struct feed *feed, size_t *ret_len)
{
    if (feed->tail_used == MEMORY_CHUNK_SIZE) {
        feed->tail =
                atomic_load_explicit(memory_link(feed->memory, feed->tail), memory_order_relaxed);
        feed->tail_used = 0;
    }
    *ret_len = MEMORY_CHUNK_SIZE - feed->tail_used;
    return memory_bytes(feed->memory, feed->tail) + feed->tail_used;
}

void feed_fill(struct feed *feed, size_t len)
{
    feed->tail_used += (uint32_t)len;
    feed->point.end += len;
}

/*
 * Words are stored with release and loaded with acquire, so a reader that sees
 * a new word also sees the odd version before it and tries again. On x86 this
 * costs nothing over plain stores.
 */
void feed_publish(struct feed *feed)
{
    uint64_t version = atomic_load_explicit(&feed->version, memory_order_relaxed);
    const struct feed_point *point = &feed->point;
    uint64_t words[ARRAY_COUNT(feed->words)];

    words[END] = point->end;
    words[PLAIN] = point->plain_size;
    words[HEADER] = point->header_bytes;
    words[LOST] = point->lost_bytes;
    words[NS] = point->audio_ns;
    memcpy(&words[CLOSING], point->closing, CIPHER_BLOCK_SIZE);
    words[ENDED] = point->ended;
    atomic_store_explicit(&feed->version, version + 1, memory_order_relaxed);
    for (size_t i = 0; i < ARRAY_COUNT(words); i++)
        atomic_store_explicit(&feed->words[i], words[i], memory_order_release);
    atomic_store_explicit(&feed->version, version + 2, memory_order_release);
}

void feed_get_point(struct feed *feed, struct feed_point *ret_point)
{
    uint64_t words[ARRAY_COUNT(feed->words)], before, after;

    do {
        before = atomic_load_explicit(&feed->version, memory_order_acquire);
        for (size_t i = 0; i < ARRAY_COUNT(words); i++)
            words[i] = atomic_load_explicit(&feed->words[i], memory_order_acquire);
        after = atomic_load_explicit(&feed->version, memory_order_relaxed);
    } while (before != after || before % 2 != 0);
    *ret_point = (struct feed_point){.end = words[END],
            .plain_size = words[PLAIN],
            .header_bytes = words[HEADER],
            .lost_bytes = words[LOST],
            .audio_ns = words[NS],
            .ended = words[ENDED] != 0};
    memcpy(ret_point->closing, &words[CLOSING], CIPHER_BLOCK_SIZE);
}

bool feed_can_mark(const struct feed *feed, unsigned count)
{
    uint32_t in = atomic_load_explicit(&feed->marks_in, memory_order_relaxed);
    uint32_t out = atomic_load_explicit(&feed->marks_out, memory_order_acquire);

    return FEED_MARKS - (in - out) >= count;
}

void feed_put_mark(struct feed *feed, const struct feed_mark *mark)
{
    uint32_t in = atomic_load_explicit(&feed->marks_in, memory_order_relaxed);

    feed->marks[in % FEED_MARKS] = *mark;
    atomic_store_explicit(&feed->marks_in, in + 1, memory_order_release);
}

bool feed_take_mark(struct feed *feed, struct feed_mark *ret_mark)
{
    uint32_t out = atomic_load_explicit(&feed->marks_out, memory_order_relaxed);

    if (out == atomic_load_explicit(&feed->marks_in, memory_order_acquire))
        return false;
    *ret_mark = feed->marks[out % FEED_MARKS];
    atomic_store_explicit(&feed->marks_out, out + 1, memory_order_release);
    return true;
}

int feed_peek(struct feed *feed, uint64_t end, struct iovec *ret_vectors, int max)
{
    uint64_t left = end - feed->consumed;
    uint32_t chunk, used;
    int count = 0;

    if (feed->head == MEMORY_NONE) {
        feed->head = atomic_load_explicit(&feed->first, memory_order_acquire);
        feed->head_used = 0;
    }
    chunk = feed->head;
    used = feed->head_used;
    while (left > 0 && count < max) {
        size_t n = MEMORY_CHUNK_SIZE - used;

        if (n == 0) {
            chunk = atomic_load_explicit(memory_link(feed->memory, chunk), memory_order_acquire);
            used = 0;
            continue;
        }
        if (n > left)
            n = (size_t)left;
        ret_vectors[count].iov_base = memory_bytes(feed->memory, chunk) + used;
        ret_vectors[count++].iov_len = n;
        used += (uint32_t)n;
        left -= n;
    }
    return count;
}

void feed_consume(struct feed *feed, size_t len)
{
    feed->consumed += len;
    while (len > 0) {
        size_t n = MEMORY_CHUNK_SIZE - feed->head_used;

        if (n == 0) {
            uint32_t done = feed->head;

            feed->head =
                    atomic_load_explicit(memory_link(feed->memory, done), memory_order_acquire);
            feed->head_used = 0;
            memory_give(feed->memory, done);
            continue;
        }
        if (n > len)
            n = len;
        feed->head_used += (uint32_t)n;
        len -= n;
    }
}
