/*
 * The one bounded store of sealed bytes on their way to disk, shared by all
 * recordings: chunks of fixed size, taken and given back without a lock.
 *
 * Memory is reserved whole at the start and touched as it is used; the chunk
 * given back last is taken next, so a calm recorder stays small.
 */
#ifndef SEALTAPE_SPOOL_MEMORY_H
#define SEALTAPE_SPOOL_MEMORY_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include "base/diag.h"

#define MEMORY_CHUNK_SIZE 4096u
#define MEMORY_NONE UINT32_MAX

struct memory;

/* [setup] SEALTAPE_E_MEMORY */
enum sealtape_status memory_new(
        uint64_t bytes, struct memory **ret_pool, struct diag *diag) MUST_CHECK;
void memory_free(struct memory **memory);

/* A chunk, or MEMORY_NONE when all are out. [media] */
uint32_t memory_take(struct memory *memory);
/* [any] */
void memory_give(struct memory *memory, uint32_t chunk);

/* Its MEMORY_CHUNK_SIZE bytes. [any] */
uint8_t *memory_bytes(const struct memory *memory, uint32_t chunk);

/* A number that whoever has the chunk may use to link it to another. [any] */
_Atomic uint32_t *memory_link(const struct memory *memory, uint32_t chunk);

/* Chunks that are out, and chunks in all. [any] */
uint32_t memory_used(const struct memory *memory);
uint32_t memory_count(const struct memory *memory);

#endif
