/*
 * The thread that changes the database. What arrives while it syncs becomes
 * one transaction with one sync.
 */
#ifndef SEALTAPE_PROCESSOR_WRITER_H
#define SEALTAPE_PROCESSOR_WRITER_H

#include "processor/store.h"

struct writer;

/*
 * One change on its way. Owned by who submits it, and left alone until it is
 * done.
 */
struct job {
    struct change change;
    /* Called by the writer's thread when the change was tried. */
    void (*done)(void *context);
    void *context;
    struct job *next;
};

/*
 * Start with a store that writes. [setup] @store is taken if the start
 * succeeds.
 */
enum sealtape_status writer_start(
        struct store **store, struct writer **ret_writer, struct diag *diag) MUST_CHECK;

/*
 * Hand over a change. [any] Its number is bound by the connections, each of
 * which has one.
 *
 *   SEALTAPE_E_STATE  the writer stops; @job was not taken
 */
enum sealtape_status writer_submit(struct writer *writer, struct job *job) MUST_CHECK;

/* Take nothing more, finish what is there, end the thread. [setup] */
void writer_stop(struct writer *writer);

void writer_free(struct writer **writer);

#endif
