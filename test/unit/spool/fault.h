/*
 * Faults of the machine, put between the spool and the C library by the linker
 * (--wrap): the n-th call of some kinds fails, writes a part, or kills.
 */
#ifndef SEALTAPE_TEST_FAULT_H
#define SEALTAPE_TEST_FAULT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum fault_call {
    FAULT_PWRITE,
    FAULT_PWRITEV,
    FAULT_FSYNC,
    FAULT_SYNCFS,
    FAULT_RENAMEAT,
    FAULT_OPENAT,
    FAULT_MKDIRAT,
    FAULT_UNLINKAT,
    FAULT_FTRUNCATE,
    FAULT_PREAD,
    FAULT_MEMORY, /* malloc, calloc, reallocarray, aligned_alloc, strdup */
    FAULT_CALLS
};

#define FAULT_BIT(call) (1u << (call))
#define FAULT_WRITES (FAULT_BIT(FAULT_PWRITE) | FAULT_BIT(FAULT_PWRITEV))
#define FAULT_MUTATIONS                                                                            \
    (FAULT_WRITES | FAULT_BIT(FAULT_FSYNC) | FAULT_BIT(FAULT_SYNCFS) | FAULT_BIT(FAULT_RENAMEAT)   \
            | FAULT_BIT(FAULT_OPENAT) | FAULT_BIT(FAULT_MKDIRAT) | FAULT_BIT(FAULT_UNLINKAT)       \
            | FAULT_BIT(FAULT_FTRUNCATE))

enum fault_kind {
    FAULT_ERROR, /* fails with the error */
    FAULT_SHORT, /* writes one byte only */
    FAULT_KILL   /* the process kills itself before the call */
};

struct fault_plan {
    uint32_t calls; /* bits: which calls count */
    unsigned after; /* so many of them pass first */
    unsigned times; /* so many then fail */
    enum fault_kind kind;
    int error;
    const char *name; /* only calls whose path ends so; NULL: all. Descriptors by their path. */
};

/* Called after each pwrite that succeeded. Set before threads start. */
extern void (*fault_on_pwrite)(int fd, const void *bytes, size_t len, uint64_t offset);

void fault_set(const struct fault_plan *plan);
void fault_clear(void);
/* Calls that counted since fault_set(), and how many of them were hit. */
unsigned fault_seen(void);
unsigned fault_hits(void);

#endif
