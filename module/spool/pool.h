/*
 * The one bounded store of sealed bytes on their way to disk, shared by all
 * recordings: chunks of fixed size, taken and given back without a lock.
 *
 * Memory is reserved whole at the start and touched as it is used; the chunk
 * given back last is taken next, so a calm recorder stays small.
 */
#ifndef SEALTAPE_SPOOL_POOL_H
#define SEALTAPE_SPOOL_POOL_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include "base/diag.h"

#define POOL_CHUNK_SIZE 4096u
#define POOL_NONE UINT32_MAX

struct pool;

/* [setup] SEALTAPE_E_MEMORY */
enum sealtape_status pool_new(uint64_t bytes, struct pool **ret_pool, struct diag *diag)
        MUST_CHECK;
void pool_free(struct pool **pool);

/* A chunk, or POOL_NONE when all are out. [media] */
uint32_t pool_take(struct pool *pool);
/* [any] */
void pool_give(struct pool *pool, uint32_t chunk);

/* Its POOL_CHUNK_SIZE bytes. [any] */
uint8_t *pool_bytes(const struct pool *pool, uint32_t chunk);

/* A number that whoever has the chunk may use to link it to another. [any] */
_Atomic uint32_t *pool_link(const struct pool *pool, uint32_t chunk);

/* Chunks that are out, and chunks in all. [any] */
uint32_t pool_used(const struct pool *pool);
uint32_t pool_count(const struct pool *pool);

#endif
