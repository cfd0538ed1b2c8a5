#include "spool/memory.h"

#include <stdlib.h>
#include <sys/mman.h>

/*
 * A stack of free chunks (Treiber); its head carries a tag that changes with
 * each pop, so that a chunk that left and came back is not mistaken for one
 * that stayed. Chunks that were never used come from `fresh`.
 */
struct memory {
    uint8_t *bytes;
    size_t size;
    uint32_t count;
    _Atomic uint32_t *links;
    _Alignas(64) _Atomic uint64_t head; /* tag << 32 | chunk */
    _Alignas(64) _Atomic uint32_t fresh;
    _Alignas(64) _Atomic uint32_t used;
};

enum sealtape_status memory_new(uint64_t bytes, struct memory **ret_pool, struct diag *diag)
{
    uint64_t count = bytes / MEMORY_CHUNK_SIZE;
    struct memory *memory;

    if (count == 0 || count >= MEMORY_NONE)
        return diag_fail(diag, SEALTAPE_E_USAGE, "a memory of %llu bytes cannot be made",
                (unsigned long long)bytes);
    memory = aligned_alloc(64, sizeof(*memory));
    if (!memory)
        return diag_fail(diag, SEALTAPE_E_MEMORY, "no memory for the memory");
    *memory = (struct memory){.count = (uint32_t)count, .size = count * MEMORY_CHUNK_SIZE};
    atomic_init(&memory->head, MEMORY_NONE);
    memory->links = calloc(count, sizeof(*memory->links));
    memory->bytes = mmap(NULL, memory->size, PROT_READ | PROT_WRITE,
            MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (!memory->links || memory->bytes == MAP_FAILED) {
        if (memory->bytes == MAP_FAILED)
            memory->bytes = NULL;
        memory_free(&memory);
        return diag_fail(diag, SEALTAPE_E_MEMORY, "no memory for a memory of %llu bytes",
                (unsigned long long)bytes);
    }
    /* Ciphertext is no secret; but a core dump need not be that large. */
    ignore(madvise(memory->bytes, memory->size, MADV_DONTDUMP));
    *ret_pool = memory;
    return SEALTAPE_OK;
}

void memory_free(struct memory **memory)
{
    if (!*memory)
        return;
    if ((*memory)->bytes)
        munmap((*memory)->bytes, (*memory)->size);
    free((*memory)->links);
    free(*memory);
    *memory = NULL;
}

static uint32_t take_fresh(struct memory *memory)
{
    uint32_t fresh = atomic_load_explicit(&memory->fresh, memory_order_relaxed);

    while (fresh < memory->count) {
        if (atomic_compare_exchange_weak_explicit(
                    &memory->fresh, &fresh, fresh + 1, memory_order_relaxed, memory_order_relaxed))
            return fresh;
    }
    return MEMORY_NONE;
}

static uint32_t pop(struct memory *memory)
{
    uint64_t head = atomic_load_explicit(&memory->head, memory_order_acquire);

    for (;;) {
        uint32_t chunk = (uint32_t)head;
        uint64_t next;

        if (chunk == MEMORY_NONE)
            return MEMORY_NONE;
        next = ((head >> 32) + 1) << 32
               | atomic_load_explicit(&memory->links[chunk], memory_order_relaxed);
        if (atomic_compare_exchange_weak_explicit(
                    &memory->head, &head, next, memory_order_acquire, memory_order_acquire))
            return chunk;
    }
}

uint32_t memory_take(struct memory *memory)
{
    uint32_t chunk = pop(memory);

    if (chunk == MEMORY_NONE)
        chunk = take_fresh(memory);
    if (chunk == MEMORY_NONE)
        return MEMORY_NONE;
    atomic_store_explicit(&memory->links[chunk], MEMORY_NONE, memory_order_relaxed);
    atomic_fetch_add_explicit(&memory->used, 1, memory_order_relaxed);
    return chunk;
}

void memory_give(struct memory *memory, uint32_t chunk)
{
    uint64_t head = atomic_load_explicit(&memory->head, memory_order_relaxed), with;

    do {
        atomic_store_explicit(&memory->links[chunk], (uint32_t)head, memory_order_relaxed);
        with = (head >> 32) << 32 | chunk;
    } while (!atomic_compare_exchange_weak_explicit(
            &memory->head, &head, with, memory_order_release, memory_order_relaxed));
    atomic_fetch_sub_explicit(&memory->used, 1, memory_order_relaxed);
}

uint8_t *memory_bytes(const struct memory *memory, uint32_t chunk)
{
    return memory->bytes + (size_t)chunk * MEMORY_CHUNK_SIZE;
}

_Atomic uint32_t *memory_link(const struct memory *memory, uint32_t chunk)
{
    return &memory->links[chunk];
}

uint32_t memory_used(const struct memory *memory)
{
    return atomic_load_explicit(&memory->used, memory_order_relaxed);
}

uint32_t memory_count(const struct memory *memory)
{
    return memory->count;
}
