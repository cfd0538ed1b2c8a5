#include "spool/pool.h"

#include <stdlib.h>
#include <sys/mman.h>

/*
 * A stack of free chunks (Treiber); its head carries a tag that changes with
 * each pop, so that a chunk that left and came back is not mistaken for one
 * that stayed. Chunks that were never used come from `fresh`.
 */
struct pool {
    uint8_t *bytes;
    size_t size;
    uint32_t count;
    _Atomic uint32_t *links;
    _Alignas(64) _Atomic uint64_t head; /* tag << 32 | chunk */
    _Alignas(64) _Atomic uint32_t fresh;
    _Alignas(64) _Atomic uint32_t used;
};

enum sealtape_status pool_new(uint64_t bytes, struct pool **ret_pool, struct diag *diag)
{
    uint64_t count = bytes / POOL_CHUNK_SIZE;
    struct pool *pool;

    if (count == 0 || count >= POOL_NONE)
        return diag_fail(diag, SEALTAPE_E_USAGE, "a pool of %llu bytes cannot be made",
                (unsigned long long)bytes);
    pool = aligned_alloc(64, sizeof(*pool));
    if (!pool)
        return diag_fail(diag, SEALTAPE_E_MEMORY, "no memory for the pool");
    *pool = (struct pool){.count = (uint32_t)count, .size = count * POOL_CHUNK_SIZE};
    atomic_init(&pool->head, POOL_NONE);
    pool->links = calloc(count, sizeof(*pool->links));
    pool->bytes = mmap(NULL, pool->size, PROT_READ | PROT_WRITE,
            MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (!pool->links || pool->bytes == MAP_FAILED) {
        if (pool->bytes == MAP_FAILED)
            pool->bytes = NULL;
        pool_free(&pool);
        return diag_fail(diag, SEALTAPE_E_MEMORY, "no memory for a pool of %llu bytes",
                (unsigned long long)bytes);
    }
    /* Ciphertext is no secret; but a core dump need not be that large. */
    ignore(madvise(pool->bytes, pool->size, MADV_DONTDUMP));
    *ret_pool = pool;
    return SEALTAPE_OK;
}

void pool_free(struct pool **pool)
{
    if (!*pool)
        return;
    if ((*pool)->bytes)
        munmap((*pool)->bytes, (*pool)->size);
    free((*pool)->links);
    free(*pool);
    *pool = NULL;
}

static uint32_t take_fresh(struct pool *pool)
{
    uint32_t fresh = atomic_load_explicit(&pool->fresh, memory_order_relaxed);

    while (fresh < pool->count) {
        if (atomic_compare_exchange_weak_explicit(
                    &pool->fresh, &fresh, fresh + 1, memory_order_relaxed, memory_order_relaxed))
            return fresh;
    }
    return POOL_NONE;
}

static uint32_t pop(struct pool *pool)
{
    uint64_t head = atomic_load_explicit(&pool->head, memory_order_acquire);

    for (;;) {
        uint32_t chunk = (uint32_t)head;
        uint64_t next;

        if (chunk == POOL_NONE)
            return POOL_NONE;
        next = ((head >> 32) + 1) << 32
               | atomic_load_explicit(&pool->links[chunk], memory_order_relaxed);
        if (atomic_compare_exchange_weak_explicit(
                    &pool->head, &head, next, memory_order_acquire, memory_order_acquire))
            return chunk;
    }
}

uint32_t pool_take(struct pool *pool)
{
    uint32_t chunk = pop(pool);

    if (chunk == POOL_NONE)
        chunk = take_fresh(pool);
    if (chunk == POOL_NONE)
        return POOL_NONE;
    atomic_store_explicit(&pool->links[chunk], POOL_NONE, memory_order_relaxed);
    atomic_fetch_add_explicit(&pool->used, 1, memory_order_relaxed);
    return chunk;
}

void pool_give(struct pool *pool, uint32_t chunk)
{
    uint64_t head = atomic_load_explicit(&pool->head, memory_order_relaxed), with;

    do {
        atomic_store_explicit(&pool->links[chunk], (uint32_t)head, memory_order_relaxed);
        with = (head >> 32) << 32 | chunk;
    } while (!atomic_compare_exchange_weak_explicit(
            &pool->head, &head, with, memory_order_release, memory_order_relaxed));
    atomic_fetch_sub_explicit(&pool->used, 1, memory_order_relaxed);
}

uint8_t *pool_bytes(const struct pool *pool, uint32_t chunk)
{
    return pool->bytes + (size_t)chunk * POOL_CHUNK_SIZE;
}

_Atomic uint32_t *pool_link(const struct pool *pool, uint32_t chunk)
{
    return &pool->links[chunk];
}

uint32_t pool_used(const struct pool *pool)
{
    return atomic_load_explicit(&pool->used, memory_order_relaxed);
}

uint32_t pool_count(const struct pool *pool)
{
    return pool->count;
}
