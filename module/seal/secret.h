/*
 * Where keys live: memory that is locked, not dumped, and empty in forked
 * children.
 *
 * One arena per process, grown in steps, handed out in packed cells (the stock
 * RLIMIT_MEMLOCK is 8 MiB). A cell is wiped when it is given back.
 */
#ifndef SEALTAPE_SEAL_SECRET_H
#define SEALTAPE_SEAL_SECRET_H

#include <stddef.h>

#include "base/diag.h"

/* Bytes of a cell: an AES-256 key schedule, chaining block, partial block. */
#define SECRET_CELL_SIZE 320

/*
 * A zeroed cell of SECRET_CELL_SIZE bytes, aligned to 64. [control]
 *
 *   SEALTAPE_E_MEMORY  no memory, or RLIMIT_MEMLOCK is reached; @diag says what to raise
 */
enum sealtape_status secret_acquire(void **ret_cell, struct diag *diag) MUST_CHECK;

/* Wipe and give back; leaves NULL. [any, lock-free enough for media: no system call] */
void secret_release(void **cell);

/* A larger block for scratch of a computation on keys; wiped when given back. [control] */
enum sealtape_status secret_block_acquire(
        size_t size, void **ret_block, struct diag *diag) MUST_CHECK;
void secret_block_release(void **block, size_t size);

/* Overwrite bytes so that no compiler leaves it out. [any] */
void secret_wipe(void *bytes, size_t len);

/* Overwrite the dead stack below the caller, after calls into libraries that had keys on
 * theirs. [control] */
void secret_wipe_stack(void);

/* Unmap the arena. [setup] Every cell must have been given back. */
void secret_arena_close(void);

#endif
