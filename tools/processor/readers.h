/*
 * Stores that read, one for each thread that serves.
 */
#ifndef SEALTAPE_PROCESSOR_READERS_H
#define SEALTAPE_PROCESSOR_READERS_H

#include <pthread.h>

#include "processor/store.h"

#define READERS_COUNT 4

struct readers {
    /* Guards all that follows. */
    pthread_mutex_t mutex;
    struct store *free[READERS_COUNT];
    size_t count;
};

/* Open all of them. [setup] Failed: @readers must be cleared as well. */
enum sealtape_status readers_init(
        struct readers *readers, const char *path, struct diag *diag) MUST_CHECK;

void readers_clear(struct readers *readers);

/* Borrow one; never NULL, as no more than READERS_COUNT threads ask. [any] */
struct store *readers_acquire(struct readers *readers);

void readers_release(struct readers *readers, struct store *store);

#endif
