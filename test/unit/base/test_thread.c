#include "base/thread.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "../unit.h"

static int fails; /* pthread_create() answers this when it is not 0 */

int __real_pthread_create(
        pthread_t *thread, const pthread_attr_t *attributes, void *(*run)(void *), void *context);
int __wrap_pthread_create(
        pthread_t *thread, const pthread_attr_t *attributes, void *(*run)(void *), void *context);

int __wrap_pthread_create(
        pthread_t *thread, const pthread_attr_t *attributes, void *(*run)(void *), void *context)
{
    return fails ? fails : __real_pthread_create(thread, attributes, run, context);
}

static void *own_mask(void *context)
{
    return pthread_sigmask(SIG_SETMASK, NULL, context) == 0 ? context : NULL;
}

static void no_thread_means_a_reason_and_nothing_changed(void **state)
{
    pthread_t thread = pthread_self();
    sigset_t before, after;

    (void)state;
    assert_int_equal(pthread_sigmask(SIG_SETMASK, NULL, &before), 0);
    fails = EAGAIN;
    errno = 0;
    assert_int_equal(thread_start(&thread, own_mask, NULL), SEALTAPE_E_MEMORY);
    assert_int_equal(errno, EAGAIN);
    fails = 0;
    assert_true(pthread_equal(thread, pthread_self()));
    assert_int_equal(pthread_sigmask(SIG_SETMASK, NULL, &after), 0);
    for (int signal = 1; signal < NSIG; signal++)
        assert_int_equal(sigismember(&after, signal), sigismember(&before, signal));
}

static void a_thread_begins_with_every_signal_blocked(void **state)
{
    sigset_t all, before, after, inside;
    pthread_t thread;
    void *done;

    (void)state;
    sigfillset(&all);
    sigemptyset(&inside);
    assert_int_equal(pthread_sigmask(SIG_SETMASK, NULL, &before), 0);
    assert_int_equal(thread_start(&thread, own_mask, &inside), SEALTAPE_OK);
    assert_int_equal(pthread_join(thread, &done), 0);
    assert_ptr_equal(done, &inside);
    assert_int_equal(pthread_sigmask(SIG_SETMASK, NULL, &after), 0);
    for (int signal = 1; signal < NSIG; signal++) {
        /* Never to be blocked: nobody can catch these either. */
        if (signal != SIGKILL && signal != SIGSTOP)
            assert_int_equal(sigismember(&inside, signal), sigismember(&all, signal));
        assert_int_equal(sigismember(&after, signal), sigismember(&before, signal));
    }
}

static void *start_another(void *context)
{
    pthread_t thread;
    void *done;

    if (thread_start(&thread, own_mask, context) != SEALTAPE_OK)
        return NULL;
    return pthread_join(thread, &done) == 0 ? done : NULL;
}

static void a_thread_of_a_thread_takes_no_signals_either(void **state)
{
    sigset_t inside;
    pthread_t thread;
    void *done;

    (void)state;
    sigemptyset(&inside);
    assert_int_equal(thread_start(&thread, start_another, &inside), SEALTAPE_OK);
    assert_int_equal(pthread_join(thread, &done), 0);
    assert_ptr_equal(done, &inside);
    assert_true(sigismember(&inside, SIGUSR1));
    assert_true(sigismember(&inside, SIGTERM));
}

static pthread_mutex_t held = PTHREAD_MUTEX_INITIALIZER;
static volatile sig_atomic_t caught;

static void catch (int signal)
{
    (void)signal;
    caught++;
}

static void *wait_for_release(void *context)
{
    pthread_mutex_lock(&held);
    pthread_mutex_unlock(&held);
    return context;
}

static void a_signal_to_the_process_never_lands_on_a_thread(void **state)
{
    const struct sigaction action = {.sa_handler = catch};
    const struct timespec deadline = {.tv_sec = 10};
    struct sigaction old_action;
    sigset_t usr1, old;
    pthread_t thread;

    (void)state;
    sigemptyset(&usr1);
    sigaddset(&usr1, SIGUSR1);
    assert_int_equal(sigaction(SIGUSR1, &action, &old_action), 0);
    pthread_mutex_lock(&held);
    assert_int_equal(thread_start(&thread, wait_for_release, NULL), SEALTAPE_OK);
    /* Blocked here, it would go to any thread that takes it, and wake that one up. */
    assert_int_equal(pthread_sigmask(SIG_BLOCK, &usr1, &old), 0);
    for (int i = 0; i < 100; i++) {
        assert_int_equal(kill(getpid(), SIGUSR1), 0);
        assert_int_equal(sigtimedwait(&usr1, NULL, &deadline), SIGUSR1);
    }
    assert_int_equal(caught, 0);
    pthread_mutex_unlock(&held);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_int_equal(pthread_sigmask(SIG_SETMASK, &old, NULL), 0);
    assert_int_equal(sigaction(SIGUSR1, &old_action, NULL), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
            cmocka_unit_test(no_thread_means_a_reason_and_nothing_changed),
            cmocka_unit_test(a_thread_begins_with_every_signal_blocked),
            cmocka_unit_test(a_thread_of_a_thread_takes_no_signals_either),
            cmocka_unit_test(a_signal_to_the_process_never_lands_on_a_thread),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
