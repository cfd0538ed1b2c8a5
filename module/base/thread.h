/*
 * Threads of ours, started in one way.
 */
#ifndef SEALTAPE_BASE_THREAD_H
#define SEALTAPE_BASE_THREAD_H

#include <pthread.h>

#include "base/status.h"

/*
 * Start a thread that takes no signals: those belong to the host. [any]
 *
 * The thread begins with every signal blocked, and so do the threads that it
 * starts itself. The caller's mask is as it was on return. The caller joins
 * @ret_thread; @context is borrowed until then.
 *
 *   SEALTAPE_E_MEMORY  the system has no thread for us; errno says why
 */
enum sealtape_status thread_start(
        pthread_t *ret_thread, void *(*run)(void *context), void *context) MUST_CHECK;

#endif
