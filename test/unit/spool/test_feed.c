#include <pthread.h>
#include <sched.h>
#include <string.h>

#include "../unit.h"
#include "base/clock.h"
#include "spool/feed.h"

#define TOTAL (4u << 20)

static const uint8_t first_closing[CIPHER_BLOCK_SIZE] = "closes emptiness";

static uint8_t byte_at(uint64_t offset)
{
    return (uint8_t)(offset * 7 + (offset >> 11));
}

/* The closing bytes of a point follow from where it is, so that a torn one shows. */
static void closing_at(uint64_t end, uint8_t closing[CIPHER_BLOCK_SIZE])
{
    for (unsigned i = 0; i < CIPHER_BLOCK_SIZE; i++)
        closing[i] = (uint8_t)(end >> (i % 8) * 8) ^ (uint8_t)i;
}

static enum sealtape_status put(struct feed *feed, size_t len)
{
    enum sealtape_status st = feed_reserve(feed, len);

    while (st == SEALTAPE_OK && len > 0) {
        size_t room;
        uint8_t *to = feed_room(feed, &room);

        if (room > len)
            room = len;
        for (size_t i = 0; i < room; i++)
            to[i] = byte_at(feed->point.end + i);
        feed_fill(feed, room);
        len -= room;
    }
    if (st != SEALTAPE_OK)
        return st;
    feed->point.plain_size = feed->point.end + 3;
    feed->point.lost_bytes = feed->point.end * 2;
    feed->point.audio_ns = ~feed->point.end;
    closing_at(feed->point.end, feed->point.closing);
    feed_publish(feed);
    return SEALTAPE_OK;
}

/* Take what is published, all or as much as @most; check it. */
static bool take(struct feed *feed, size_t most)
{
    uint8_t closing[CIPHER_BLOCK_SIZE];
    struct feed_point point;
    struct iovec vectors[3];
    bool good;
    int count;

    feed_get_point(feed, &point);
    closing_at(point.end, closing);
    good = point.end == 0
           || (point.plain_size == point.end + 3 && point.lost_bytes == point.end * 2
                   && point.audio_ns == ~point.end && memcmp(closing, point.closing, 16) == 0);
    count = feed_peek(feed, point.end, vectors, 3);
    for (int i = 0; i < count; i++) {
        size_t n = vectors[i].iov_len < most ? vectors[i].iov_len : most;

        for (size_t b = 0; b < n; b++)
            good &= ((uint8_t *)vectors[i].iov_base)[b] == byte_at(feed->consumed + b);
        feed_consume(feed, n);
        if (n < vectors[i].iov_len)
            break;
    }
    return good;
}

static void test_exhausted_memory_refuses_and_changes_nothing(void **state)
{
    struct memory *memory = NULL;
    struct feed_point before;
    struct feed feed;

    (void)state;
    assert_int_equal(memory_new(4 * MEMORY_CHUNK_SIZE, &memory, NULL), SEALTAPE_OK);
    feed_init(&feed, memory, first_closing);
    assert_int_equal(put(&feed, 3 * MEMORY_CHUNK_SIZE - 16), SEALTAPE_OK);
    before = feed.point;
    assert_int_equal(feed_reserve(&feed, 2 * MEMORY_CHUNK_SIZE), SEALTAPE_E_AGAIN);
    assert_int_equal(memory_used(memory), 3);
    assert_memory_equal(&feed.point, &before, sizeof(before));
    /* What fits is taken all the same, and room that is freed is room again. */
    assert_int_equal(put(&feed, MEMORY_CHUNK_SIZE + 16), SEALTAPE_OK);
    assert_int_equal(feed_reserve(&feed, 1), SEALTAPE_E_AGAIN);
    assert_int_equal(feed_reserve(&feed, 0), SEALTAPE_OK);
    while (feed.consumed < feed.point.end)
        assert_true(take(&feed, 5000));
    assert_int_equal(put(&feed, 2 * MEMORY_CHUNK_SIZE), SEALTAPE_OK);
    feed_clear(&feed);
    assert_int_equal(memory_used(memory), 0);
    memory_free(&memory);
}

static void test_a_full_line_takes_no_more_marks(void **state)
{
    struct feed_mark mark = {.kind = FEED_GAP}, taken;
    struct memory *memory = NULL;
    struct feed feed;

    (void)state;
    assert_int_equal(memory_new(MEMORY_CHUNK_SIZE, &memory, NULL), SEALTAPE_OK);
    feed_init(&feed, memory, first_closing);
    assert_false(feed_take_mark(&feed, &taken));
    for (unsigned i = 0; i < FEED_MARKS; i++) {
        assert_true(feed_can_mark(&feed, FEED_MARKS - i));
        assert_false(feed_can_mark(&feed, FEED_MARKS - i + 1));
        mark.bytes = i;
        feed_put_mark(&feed, &mark);
    }
    assert_false(feed_can_mark(&feed, 1));
    for (unsigned i = 0; i < 3 * FEED_MARKS; i++) {
        assert_true(feed_take_mark(&feed, &taken));
        assert_int_equal(taken.bytes, i);
        assert_true(feed_can_mark(&feed, 1));
        mark.bytes = FEED_MARKS + i;
        feed_put_mark(&feed, &mark);
    }
    feed_clear(&feed);
    memory_free(&memory);
}

static void test_an_empty_feed_closes_the_empty_message(void **state)
{
    struct memory *memory = NULL;
    struct feed_point point;
    struct iovec vector;
    struct feed feed;

    (void)state;
    assert_int_equal(memory_new(MEMORY_CHUNK_SIZE, &memory, NULL), SEALTAPE_OK);
    feed_init(&feed, memory, first_closing);
    feed_get_point(&feed, &point);
    assert_int_equal(point.end, 0);
    assert_false(point.ended);
    assert_memory_equal(point.closing, first_closing, CIPHER_BLOCK_SIZE);
    assert_int_equal(feed_peek(&feed, 0, &vector, 1), 0);
    assert_int_equal(memory_used(memory), 0);
    feed_clear(&feed);
    memory_free(&memory);
}

static void *produce(void *context)
{
    struct feed *feed = context;
    unsigned i = 0;

    while (feed->point.end < TOTAL) {
        size_t len = (i++ * 2654435761u >> 8) % 9000;

        if (len > TOTAL - feed->point.end)
            len = (size_t)(TOTAL - feed->point.end);
        if (put(feed, len) != SEALTAPE_OK)
            sched_yield();
        if (i % 3 == 0 && feed_can_mark(feed, 1))
            feed_put_mark(feed, &(struct feed_mark){.kind = FEED_GAP, .bytes = feed->point.end});
    }
    feed->point.ended = true;
    feed_publish(feed);
    return NULL;
}

static void test_producer_and_consumer_agree_on_bytes_points_and_marks(void **state)
{
    uint64_t until = clock_monotonic_ns() + 60000000000u, last = 0;
    struct memory *memory = NULL;
    struct feed_mark mark;
    struct feed_point point;
    pthread_t producer;
    struct feed feed;

    (void)state;
    assert_int_equal(memory_new(8 * MEMORY_CHUNK_SIZE, &memory, NULL), SEALTAPE_OK);
    feed_init(&feed, memory, first_closing);
    assert_int_equal(pthread_create(&producer, NULL, produce, &feed), 0);
    do {
        assert_true(take(&feed, 3000));
        while (feed_take_mark(&feed, &mark)) {
            assert_true(mark.bytes >= last);
            last = mark.bytes;
        }
        feed_get_point(&feed, &point);
    } while ((!point.ended || feed.consumed < point.end) && clock_monotonic_ns() < until);
    assert_int_equal(feed.consumed, TOTAL);
    pthread_join(producer, NULL);
    feed_clear(&feed);
    assert_int_equal(memory_used(memory), 0);
    memory_free(&memory);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
            cmocka_unit_test(test_exhausted_memory_refuses_and_changes_nothing),
            cmocka_unit_test(test_a_full_line_takes_no_more_marks),
            cmocka_unit_test(test_an_empty_feed_closes_the_empty_message),
            cmocka_unit_test(test_producer_and_consumer_agree_on_bytes_points_and_marks),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
