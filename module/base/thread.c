#include "base/thread.h"

#include <errno.h>
#include <signal.h>

enum sealtape_status thread_start(pthread_t *ret_thread, void *(*run)(void *context), void *context)
{
    sigset_t all, old;
    pthread_t thread;
    int error;

    /* A mask that the thread set for itself would come too late for the first signal. */
    sigfillset(&all);
    error = pthread_sigmask(SIG_SETMASK, &all, &old);
    if (error == 0) {
        error = pthread_create(&thread, NULL, run, context);
        (void)pthread_sigmask(SIG_SETMASK, &old, NULL);
    }
    if (error != 0) {
        errno = error;
        return SEALTAPE_E_MEMORY;
    }
    *ret_thread = thread;
    return SEALTAPE_OK;
}
