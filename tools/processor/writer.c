#include "processor/writer.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

/* How many changes share a transaction, and how many bytes of documents. */
#define BATCH_COUNT_MAX 256
#define BATCH_BYTES_MAX (32u * 1024 * 1024)

struct writer {
    pthread_t thread;
    struct store *store; /* the thread's alone */

    /* Guards all that follows. */
    pthread_mutex_t mutex;
    pthread_cond_t wake;
    struct job *first;
    struct job **last;
    int stops;
    int runs;
};

/* Wait for work and take some; 0: the end. */
static size_t batch_take(struct writer *writer, struct job *jobs[BATCH_COUNT_MAX])
{
    size_t count = 0, bytes = 0;

    pthread_mutex_lock(&writer->mutex);
    while (!writer->first && !writer->stops)
        pthread_cond_wait(&writer->wake, &writer->mutex);
    while (writer->first && count < BATCH_COUNT_MAX && bytes < BATCH_BYTES_MAX) {
        struct job *job = writer->first;

        bytes += job->change.document->text_len;
        writer->first = job->next;
        jobs[count++] = job;
    }
    if (!writer->first)
        writer->last = &writer->first;
    pthread_mutex_unlock(&writer->mutex);
    return count;
}

static void *writer_run(void *context)
{
    struct writer *writer = context;
    struct change *changes[BATCH_COUNT_MAX];
    struct job *jobs[BATCH_COUNT_MAX];
    size_t count, i;

    while ((count = batch_take(writer, jobs)) > 0) {
        for (i = 0; i < count; i++)
            changes[i] = &jobs[i]->change;
        store_apply(writer->store, changes, count);
        /* Once done, a job may be gone. */
        for (i = 0; i < count; i++)
            jobs[i]->done(jobs[i]->context);
    }
    return NULL;
}

enum sealtape_status writer_start(
        struct store **store, struct writer **ret_writer, struct diag *diag)
{
    struct writer *writer = calloc(1, sizeof(*writer));
    int error;

    if (!writer)
        return diag_fail(diag, SEALTAPE_E_MEMORY, "no memory");
    pthread_mutex_init(&writer->mutex, NULL);
    pthread_cond_init(&writer->wake, NULL);
    writer->last = &writer->first;
    writer->store = *store;
    error = pthread_create(&writer->thread, NULL, writer_run, writer);
    if (error) {
        writer->store = NULL;
        writer_free(&writer);
        return diag_fail(diag, SEALTAPE_E_MEMORY, "cannot start a thread: %s", strerror(error));
    }
    writer->runs = 1;
    *store = NULL;
    *ret_writer = writer;
    return SEALTAPE_OK;
}

enum sealtape_status writer_submit(struct writer *writer, struct job *job)
{
    enum sealtape_status st = SEALTAPE_OK;

    job->next = NULL;
    pthread_mutex_lock(&writer->mutex);
    if (writer->stops) {
        st = SEALTAPE_E_STATE;
    } else {
        *writer->last = job;
        writer->last = &job->next;
        pthread_cond_signal(&writer->wake);
    }
    pthread_mutex_unlock(&writer->mutex);
    return st;
}

void writer_stop(struct writer *writer)
{
    if (!writer->runs)
        return;
    pthread_mutex_lock(&writer->mutex);
    writer->stops = 1;
    pthread_cond_signal(&writer->wake);
    pthread_mutex_unlock(&writer->mutex);
    (void)pthread_join(writer->thread, NULL);
    writer->runs = 0;
}

void writer_free(struct writer **writer)
{
    if (!*writer)
        return;
    writer_stop(*writer);
    store_close(&(*writer)->store);
    pthread_cond_destroy(&(*writer)->wake);
    pthread_mutex_destroy(&(*writer)->mutex);
    free(*writer);
    *writer = NULL;
}
