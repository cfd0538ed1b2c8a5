#include "seal/secret.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

/*
 * One range of addresses is reserved once, and made usable from its front:
 *
 *   cell 0 | cell 1 | ... | cell made-1 | locked, not handed out yet | reserved
 *
 * So a cell's number follows from its address, and neither a header nor a link
 * stands in the locked memory. Links stand beside it, indexed by cell.
 */
#define ARENA_SIZE ((size_t)64 * 1024 * 1024)
#define ARENA_STEP ((size_t)64 * 1024)
#define CELL_MAX (ARENA_SIZE / SECRET_CELL_SIZE)

/* Freed blocks are kept for the next computation, sorted by size: 16 KiB << bucket. */
#define BLOCK_SIZE_MIN ((size_t)16 * 1024)
#define BLOCK_BUCKETS 6u
#define BLOCK_KEPT 4u

#define STACK_WIPE_SIZE ((size_t)16 * 1024)

_Static_assert(SECRET_CELL_SIZE % 64 == 0, "cells follow each other at cache lines");
_Static_assert(CELL_MAX < UINT32_MAX, "links are 32 bits");

struct cell_link {
    _Atomic uint32_t next; /* cell number + 1; 0: the last */
    _Atomic bool held;
};

/* The stack of free cells: number + 1 of its top. Pushed to from any thread,
 * popped under the mutex only, so a top cannot come back between look and
 * exchange (no ABA). */
static _Atomic uint32_t free_top;

/* Set once before the first cell is handed out, hence read without the mutex. */
static uint8_t *_Atomic arena_base;
static struct cell_link *_Atomic arena_links;

/* Guards all that follows, and popping. */
static pthread_mutex_t arena_mutex = PTHREAD_MUTEX_INITIALIZER;
static size_t arena_usable; /* bytes that are locked */
static uint32_t arena_made; /* cells that were ever handed out */
static void *kept_blocks[BLOCK_BUCKETS][BLOCK_KEPT];

void secret_wipe(void *bytes, size_t len)
{
    explicit_bzero(bytes, len);
}

__attribute__((noinline)) void secret_wipe_stack(void)
{
    uint8_t below[STACK_WIPE_SIZE];

    explicit_bzero(below, sizeof(below));
}

static enum sealtape_status lock_failed(size_t size, int error, struct diag *diag)
{
    struct rlimit limit = {0, 0};

    ignore(getrlimit(RLIMIT_MEMLOCK, &limit)); /* only words of the reason depend on it */
    if (error == ENOMEM || error == EPERM || error == EAGAIN)
        return diag_fail(diag, SEALTAPE_E_MEMORY,
                "cannot lock %zu more bytes for keys: RLIMIT_MEMLOCK is %llu bytes; raise it "
                "(LimitMEMLOCK= of the service, or memlock in /etc/security/limits.conf)",
                size, (unsigned long long)limit.rlim_cur);
    return diag_fail(
            diag, SEALTAPE_E_MEMORY, "cannot lock %zu bytes for keys: %s", size, strerror(error));
}

/* Before any key is in it: out of core dumps, empty in forked children. */
static bool hide(void *memory, size_t size)
{
    return madvise(memory, size, MADV_DONTDUMP) == 0 && madvise(memory, size, MADV_WIPEONFORK) == 0;
}

static enum sealtape_status arena_reserve(struct diag *diag)
{
    size_t links_size = CELL_MAX * sizeof(struct cell_link);
    void *base, *links;
    int error;

    base = mmap(NULL, ARENA_SIZE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (base == MAP_FAILED)
        return diag_fail(diag, SEALTAPE_E_MEMORY, "cannot reserve %zu bytes for keys: %s",
                ARENA_SIZE, strerror(errno));
    links = mmap(NULL, links_size, PROT_READ | PROT_WRITE,
            MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (links == MAP_FAILED || !hide(base, ARENA_SIZE)) {
        error = errno;
        munmap(base, ARENA_SIZE);
        if (links != MAP_FAILED)
            munmap(links, links_size);
        return diag_fail(
                diag, SEALTAPE_E_MEMORY, "cannot set up memory for keys: %s", strerror(error));
    }
    atomic_store(&arena_links, links);
    atomic_store(&arena_base, base);
    return SEALTAPE_OK;
}

static int arena_extend(size_t size)
{
    uint8_t *from = atomic_load(&arena_base) + arena_usable;
    int error;

    if (mprotect(from, size, PROT_READ | PROT_WRITE) != 0)
        return errno;
    if (mlock(from, size) != 0) {
        error = errno;
        ignore(mprotect(from, size, PROT_NONE)); /* nothing was in it */
        return error;
    }
    arena_usable += size;
    return 0;
}

static enum sealtape_status arena_grow(struct diag *diag)
{
    size_t step = ARENA_STEP;
    enum sealtape_status st;
    int error;

    if (!atomic_load(&arena_base)) {
        st = arena_reserve(diag);
        if (st != SEALTAPE_OK)
            return st;
    }
    if (arena_usable + step > ARENA_SIZE)
        return diag_fail(
                diag, SEALTAPE_E_MEMORY, "the %zu bytes for keys are all in use", ARENA_SIZE);
    error = arena_extend(step);
    if (error == 0)
        return SEALTAPE_OK;
    /* The last pages below the limit are worth having, too. */
    step = (size_t)sysconf(_SC_PAGESIZE);
    if (arena_extend(step) == 0)
        return SEALTAPE_OK;
    return lock_failed(step, error, diag);
}

static bool free_pop(uint32_t *ret_number)
{
    uint32_t top = atomic_load_explicit(&free_top, memory_order_acquire);
    uint32_t next;

    do {
        if (top == 0)
            return false;
        next = atomic_load_explicit(&atomic_load(&arena_links)[top - 1].next, memory_order_relaxed);
    } while (!atomic_compare_exchange_weak_explicit(
            &free_top, &top, next, memory_order_acquire, memory_order_acquire));
    *ret_number = top - 1;
    return true;
}

/* With the mutex held. */
static enum sealtape_status cell_take(uint32_t *ret_number, struct diag *diag)
{
    enum sealtape_status st;

    if (free_pop(ret_number))
        return SEALTAPE_OK;
    while (((size_t)arena_made + 1) * SECRET_CELL_SIZE > arena_usable) {
        st = arena_grow(diag);
        if (st != SEALTAPE_OK)
            return st;
    }
    *ret_number = arena_made++;
    return SEALTAPE_OK;
}

enum sealtape_status secret_acquire(void **ret_cell, struct diag *diag)
{
    enum sealtape_status st;
    uint32_t number = 0;

    pthread_mutex_lock(&arena_mutex);
    st = cell_take(&number, diag);
    pthread_mutex_unlock(&arena_mutex);
    if (st != SEALTAPE_OK)
        return st;
    atomic_store_explicit(&atomic_load(&arena_links)[number].held, true, memory_order_relaxed);
    *ret_cell = atomic_load(&arena_base) + (size_t)number * SECRET_CELL_SIZE;
    return SEALTAPE_OK;
}

void secret_release(void **cell)
{
    uint8_t *base = atomic_load(&arena_base);
    uint8_t *bytes = *cell;
    struct cell_link *link;
    uint32_t number, top;
    bool held;

    if (!bytes)
        return;
    *cell = NULL;
    assert(base && bytes >= base && bytes < base + ARENA_SIZE);
    assert((size_t)(bytes - base) % SECRET_CELL_SIZE == 0);
    number = (uint32_t)((size_t)(bytes - base) / SECRET_CELL_SIZE);
    link = &atomic_load(&arena_links)[number];
    held = atomic_exchange_explicit(&link->held, false, memory_order_relaxed);
    assert(held);
    (void)held;
    explicit_bzero(bytes, SECRET_CELL_SIZE);
    top = atomic_load_explicit(&free_top, memory_order_relaxed);
    do {
        atomic_store_explicit(&link->next, top, memory_order_relaxed);
    } while (!atomic_compare_exchange_weak_explicit(
            &free_top, &top, number + 1, memory_order_release, memory_order_relaxed));
}

/* BLOCK_BUCKETS: larger than all of them; such a block is never kept. */
static unsigned block_bucket(size_t size, size_t *ret_mapped)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    size_t mapped = BLOCK_SIZE_MIN;
    unsigned bucket = 0;

    while (bucket < BLOCK_BUCKETS && mapped < size) {
        mapped *= 2;
        bucket++;
    }
    if (bucket == BLOCK_BUCKETS)
        mapped = (size + page - 1) / page * page;
    *ret_mapped = mapped;
    return bucket;
}

static void *kept_take(unsigned bucket)
{
    void *block = NULL;

    if (bucket == BLOCK_BUCKETS)
        return NULL;
    pthread_mutex_lock(&arena_mutex);
    for (unsigned i = 0; i < BLOCK_KEPT && !block; i++)
        block = TAKE(kept_blocks[bucket][i]);
    pthread_mutex_unlock(&arena_mutex);
    return block;
}

static bool kept_put(unsigned bucket, void *block)
{
    bool kept = false;

    if (bucket == BLOCK_BUCKETS)
        return false;
    pthread_mutex_lock(&arena_mutex);
    for (unsigned i = 0; i < BLOCK_KEPT && !kept; i++) {
        if (!kept_blocks[bucket][i]) {
            kept_blocks[bucket][i] = block;
            kept = true;
        }
    }
    pthread_mutex_unlock(&arena_mutex);
    return kept;
}

enum sealtape_status secret_block_acquire(size_t size, void **ret_block, struct diag *diag)
{
    size_t mapped = 0;
    unsigned bucket = block_bucket(size, &mapped);
    void *block = kept_take(bucket);
    int error;

    if (block) {
        *ret_block = block;
        return SEALTAPE_OK;
    }
    block = mmap(NULL, mapped, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (block == MAP_FAILED)
        return diag_fail(diag, SEALTAPE_E_MEMORY, "cannot map %zu bytes for keys: %s", mapped,
                strerror(errno));
    if (!hide(block, mapped) || mlock(block, mapped) != 0) {
        error = errno;
        munmap(block, mapped);
        return lock_failed(mapped, error, diag);
    }
    *ret_block = block;
    return SEALTAPE_OK;
}

void secret_block_release(void **block, size_t size)
{
    void *bytes = TAKE(*block);
    size_t mapped = 0;
    unsigned bucket = block_bucket(size, &mapped);

    if (!bytes)
        return;
    explicit_bzero(bytes, size);
    if (!kept_put(bucket, bytes))
        munmap(bytes, mapped);
}

static void assert_all_given_back(const struct cell_link *links)
{
    for (uint32_t i = 0; i < arena_made; i++)
        assert(!atomic_load(&links[i].held));
    (void)links;
}

void secret_arena_close(void)
{
    void *base, *links;
    size_t mapped = BLOCK_SIZE_MIN;

    pthread_mutex_lock(&arena_mutex);
    for (unsigned bucket = 0; bucket < BLOCK_BUCKETS; bucket++, mapped *= 2) {
        for (unsigned i = 0; i < BLOCK_KEPT; i++) {
            if (kept_blocks[bucket][i])
                munmap(TAKE(kept_blocks[bucket][i]), mapped);
        }
    }
    base = atomic_exchange(&arena_base, NULL);
    links = atomic_exchange(&arena_links, NULL);
    if (base) {
        assert_all_given_back(links);
        munmap(base, ARENA_SIZE);
        munmap(links, CELL_MAX * sizeof(struct cell_link));
    }
    atomic_store(&free_top, 0);
    arena_usable = 0;
    arena_made = 0;
    pthread_mutex_unlock(&arena_mutex);
}
