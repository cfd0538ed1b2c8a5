#include "processor/readers.h"

#include <assert.h>
#include <string.h>

enum sealtape_status readers_init(struct readers *readers, const char *path, struct diag *diag)
{
    enum sealtape_status st;

    memset(readers, 0, sizeof(*readers));
    pthread_mutex_init(&readers->mutex, NULL);
    while (readers->count < READERS_COUNT) {
        st = store_open(path, STORE_READS, &readers->free[readers->count], diag);
        if (st != SEALTAPE_OK)
            return st;
        readers->count++;
    }
    return SEALTAPE_OK;
}

void readers_clear(struct readers *readers)
{
    while (readers->count > 0)
        store_close(&readers->free[--readers->count]);
    pthread_mutex_destroy(&readers->mutex);
}

struct store *readers_acquire(struct readers *readers)
{
    struct store *store;

    pthread_mutex_lock(&readers->mutex);
    assert(readers->count > 0);
    store = readers->free[--readers->count];
    pthread_mutex_unlock(&readers->mutex);
    return store;
}

void readers_release(struct readers *readers, struct store *store)
{
    pthread_mutex_lock(&readers->mutex);
    readers->free[readers->count++] = store;
    pthread_mutex_unlock(&readers->mutex);
}
