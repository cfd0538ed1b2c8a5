#include <pthread.h>
#include <string.h>

#include "../unit.h"
#include "spool/memory.h"

#define THREADS 4
#define TURNS 20000

static void test_sizes_that_make_no_memory_are_refused(void **state)
{
    struct memory *memory = NULL;
    struct diag diag;

    (void)state;
    assert_int_equal(memory_new(0, &memory, &diag), SEALTAPE_E_USAGE);
    assert_int_equal(memory_new(MEMORY_CHUNK_SIZE - 1, &memory, &diag), SEALTAPE_E_USAGE);
    assert_int_equal(memory_new(UINT64_MAX, &memory, &diag), SEALTAPE_E_USAGE);
    assert_null(memory);
    memory_free(&memory);
}

static void test_an_empty_memory_gives_none_until_one_comes_back(void **state)
{
    struct memory *memory = NULL;
    uint32_t chunks[5];

    (void)state;
    assert_int_equal(memory_new(5 * MEMORY_CHUNK_SIZE + 100, &memory, NULL), SEALTAPE_OK);
    assert_int_equal(memory_count(memory), 5);
    for (int i = 0; i < 5; i++) {
        chunks[i] = memory_take(memory);
        assert_int_not_equal(chunks[i], MEMORY_NONE);
        memset(memory_bytes(memory, chunks[i]), i, MEMORY_CHUNK_SIZE);
    }
    assert_int_equal(memory_used(memory), 5);
    assert_int_equal(memory_take(memory), MEMORY_NONE);
    for (int i = 0; i < 5; i++) {
        assert_int_equal(memory_bytes(memory, chunks[i])[0], i);
        assert_int_equal(memory_bytes(memory, chunks[i])[MEMORY_CHUNK_SIZE - 1], i);
    }
    memory_give(memory, chunks[3]);
    assert_int_equal(memory_take(memory), chunks[3]);
    assert_int_equal(memory_take(memory), MEMORY_NONE);
    memory_free(&memory);
    assert_null(memory);
}

static void test_the_chunk_given_last_is_taken_next(void **state)
{
    struct memory *memory = NULL;
    uint32_t first, second;

    (void)state;
    assert_int_equal(memory_new(100 * MEMORY_CHUNK_SIZE, &memory, NULL), SEALTAPE_OK);
    first = memory_take(memory);
    second = memory_take(memory);
    memory_give(memory, first);
    memory_give(memory, second);
    assert_int_equal(memory_take(memory), second);
    assert_int_equal(memory_take(memory), first);
    assert_int_equal(atomic_load(memory_link(memory, first)), MEMORY_NONE);
    memory_free(&memory);
}

static void *take_and_give(void *context)
{
    struct memory *memory = context;
    uintptr_t wrong = 0;

    for (unsigned i = 0; i < TURNS; i++) {
        uint32_t one = memory_take(memory), two = memory_take(memory);

        /* Whoever has a chunk has it alone. */
        if (one != MEMORY_NONE)
            memset(memory_bytes(memory, one), 1, 64);
        if (two != MEMORY_NONE)
            memset(memory_bytes(memory, two), 2, 64);
        wrong += one != MEMORY_NONE && memory_bytes(memory, one)[63] != 1;
        wrong += two != MEMORY_NONE && memory_bytes(memory, two)[63] != 2;
        if (one != MEMORY_NONE)
            memory_give(memory, one);
        if (two != MEMORY_NONE)
            memory_give(memory, two);
    }
    return (void *)wrong;
}

static void test_threads_never_share_a_chunk_and_lose_none(void **state)
{
    struct memory *memory = NULL;
    pthread_t threads[THREADS];
    void *wrong;

    (void)state;
    assert_int_equal(memory_new(6 * MEMORY_CHUNK_SIZE, &memory, NULL), SEALTAPE_OK);
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, take_and_give, memory), 0);
    for (int i = 0; i < THREADS; i++) {
        pthread_join(threads[i], &wrong);
        assert_null(wrong);
    }
    assert_int_equal(memory_used(memory), 0);
    for (int i = 0; i < 6; i++)
        assert_int_not_equal(memory_take(memory), MEMORY_NONE);
    assert_int_equal(memory_take(memory), MEMORY_NONE);
    memory_free(&memory);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
            cmocka_unit_test(test_sizes_that_make_no_memory_are_refused),
            cmocka_unit_test(test_an_empty_memory_gives_none_until_one_comes_back),
            cmocka_unit_test(test_the_chunk_given_last_is_taken_next),
            cmocka_unit_test(test_threads_never_share_a_chunk_and_lose_none),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
