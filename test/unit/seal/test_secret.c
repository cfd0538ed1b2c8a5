#include "seal/secret.h"

#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../unit.h"

/* Their run-time libraries turn mlock() into nothing. */
#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define WITHOUT_MLOCK 1
#endif
#endif
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define WITHOUT_MLOCK 1
#endif
#ifndef WITHOUT_MLOCK
#define WITHOUT_MLOCK 0
#endif

static void *cell_new(void)
{
    void *cell = NULL;
    struct diag diag;

    assert_int_equal(secret_acquire(&cell, &diag), SEALTAPE_OK);
    return cell;
}

static int close_arena(void **state)
{
    (void)state;
    secret_arena_close();
    return 0;
}

/* Exit status of a child that ran @body; 128 + signal when one ended it. */
static int in_child(void (*body)(void *context), void *context)
{
    int status = 0;
    pid_t pid = fork();

    assert_true(pid >= 0);
    if (pid == 0) {
        body(context);
        _exit(0);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

static void no_core(void)
{
    const struct rlimit none = {0, 0};

    if (setrlimit(RLIMIT_CORE, &none) != 0 || !freopen("/dev/null", "w", stderr))
        _exit(99);
}

static void release_twice(void *context)
{
    void *cell = cell_new(), *again = cell;

    (void)context;
    no_core();
    secret_release(&cell);
    secret_release(&again);
}

static void release_inside(void *context)
{
    uint8_t *cell = cell_new();
    void *inside = cell + 1;

    (void)context;
    no_core();
    secret_release(&inside);
}

static void release_foreign(void *context)
{
    void *foreign = context;

    no_core();
    secret_release(&foreign);
}

static void a_release_that_is_not_of_a_held_cell_aborts(void **state)
{
    char foreign[SECRET_CELL_SIZE];

    (void)state;
    assert_int_equal(in_child(release_twice, NULL), 128 + SIGABRT);
    assert_int_equal(in_child(release_inside, NULL), 128 + SIGABRT);
    assert_int_equal(in_child(release_foreign, foreign), 128 + SIGABRT);
}

static void close_early(void *context)
{
    (void)context;
    no_core();
    ignore(cell_new() == NULL); /* held on purpose */
    secret_arena_close();
}

static void the_arena_is_not_closed_under_a_held_cell(void **state)
{
    (void)state;
    assert_int_equal(in_child(close_early, NULL), 128 + SIGABRT);
}

/* As a service account without CAP_IPC_LOCK. */
static void exhaust(void *context)
{
    const struct rlimit limit = {*(const rlim_t *)context, *(const rlim_t *)context};
    struct diag diag = {""};
    void *cell = NULL, *block = NULL, *untouched;
    unsigned made = 0;

    if (setrlimit(RLIMIT_MEMLOCK, &limit) != 0 || setgid(65534) != 0 || setuid(65534) != 0)
        _exit(90);
    while (secret_acquire(&cell, &diag) == SEALTAPE_OK) {
        made++;
        if (made > limit.rlim_cur / SECRET_CELL_SIZE)
            _exit(91);
    }
    /* All that the limit allows was used. */
    if (made < limit.rlim_cur / SECRET_CELL_SIZE)
        _exit(92);
    if (!strstr(diag.text, "RLIMIT_MEMLOCK") || !strstr(diag.text, "LimitMEMLOCK"))
        _exit(93);
    untouched = cell;
    if (secret_acquire(&cell, NULL) != SEALTAPE_E_MEMORY || cell != untouched)
        _exit(94);
    diag.text[0] = '\0';
    if (secret_block_acquire(100000, &block, &diag) != SEALTAPE_E_MEMORY || block
            || !strstr(diag.text, "RLIMIT_MEMLOCK"))
        _exit(95);
    /* A cell that is given back can be had again. */
    if (made > 0) {
        secret_release(&cell);
        if (secret_acquire(&cell, &diag) != SEALTAPE_OK)
            _exit(96);
    }
}

static void an_exhausted_lock_limit_says_what_to_raise(void **state)
{
    rlim_t limits[] = {0, 4096, 65536, 65536 + 8192, 1024 * 1024};

    (void)state;
    if (geteuid() != 0 || WITHOUT_MLOCK)
        skip();
    secret_arena_close();
    for (size_t i = 0; i < ARRAY_COUNT(limits); i++)
        assert_int_equal(in_child(exhaust, &limits[i]), 0);
}

static bool is_zero(const void *bytes, size_t len)
{
    const uint8_t *octets = bytes;

    for (size_t i = 0; i < len; i++) {
        if (octets[i] != 0)
            return false;
    }
    return true;
}

static void look_from_child(void *context)
{
    if (!is_zero(context, SECRET_CELL_SIZE))
        _exit(1);
}

static void a_forked_child_reads_zeros(void **state)
{
    void *cell = cell_new(), *block = NULL;

    (void)state;
    assert_int_equal(secret_block_acquire(5000, &block, NULL), SEALTAPE_OK);
    memset(cell, 0x5a, SECRET_CELL_SIZE);
    memset(block, 0x5a, 5000);
    assert_int_equal(in_child(look_from_child, cell), 0);
    assert_int_equal(in_child(look_from_child, block), 0);
    secret_release(&cell);
    secret_block_release(&block, 5000);
}

/* The mapping of @address has all of the flags, as "/proc/self/smaps" names them. */
static void assert_flags(const void *address, const char *const *flags)
{
    FILE *maps = fopen("/proc/self/smaps", "re");
    bool inside = false, found = false;
    unsigned long from, to;
    char line[512];

    assert_non_null(maps);
    while (fgets(line, sizeof(line), maps)) {
        if (sscanf(line, "%lx-%lx ", &from, &to) == 2)
            inside = from <= (uintptr_t)address && (uintptr_t)address < to;
        if (!inside || strncmp(line, "VmFlags:", 8) != 0)
            continue;
        found = true;
        for (size_t i = 0; flags[i]; i++)
            assert_contains(line, flags[i]);
    }
    fclose(maps);
    assert_true(found);
}

static void keys_are_locked_and_neither_dumped_nor_forked(void **state)
{
    static const char *const flags[] = {" dd", " wf", WITHOUT_MLOCK ? NULL : " lo", NULL};
    void *cell = cell_new(), *block = NULL;

    (void)state;
    assert_int_equal(secret_block_acquire(1000, &block, NULL), SEALTAPE_OK);
    assert_flags(cell, flags);
    assert_flags((uint8_t *)cell + SECRET_CELL_SIZE - 1, flags);
    assert_flags(block, flags);
    secret_release(&cell);
    secret_block_release(&block, 1000);
}

static void a_cell_is_aligned_zeroed_and_wiped_when_given_back(void **state)
{
    void *cell = cell_new(), *seen = cell;

    (void)state;
    assert_int_equal((uintptr_t)cell % 64, 0);
    assert_true(is_zero(cell, SECRET_CELL_SIZE));
    memset(cell, 0xa5, SECRET_CELL_SIZE);
    secret_release(&cell);
    assert_null(cell);
    assert_true(is_zero(seen, SECRET_CELL_SIZE));
    secret_release(&cell);
    cell = cell_new();
    assert_ptr_equal(cell, seen);
    secret_release(&cell);
}

static void a_block_is_zeroed_and_wiped_when_given_back(void **state)
{
    static const size_t sizes[] = {1, 16384, 16385, 600000, 5000000};

    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(sizes); i++) {
        for (int again = 0; again < 2; again++) {
            void *block = NULL;

            assert_int_equal(secret_block_acquire(sizes[i], &block, NULL), SEALTAPE_OK);
            assert_true(is_zero(block, sizes[i]));
            memset(block, 0xa5, sizes[i]);
            secret_block_release(&block, sizes[i]);
            assert_null(block);
        }
    }
}

static void cells_do_not_overlap_while_the_arena_grows(void **state)
{
    enum { COUNT = 2000 };
    static void *cells[COUNT];

    (void)state;
    for (unsigned i = 0; i < COUNT; i++) {
        cells[i] = cell_new();
        memset(cells[i], (int)(i % 251), SECRET_CELL_SIZE);
    }
    for (unsigned i = 0; i < COUNT; i++) {
        const uint8_t *bytes = cells[i];

        for (unsigned k = 0; k < SECRET_CELL_SIZE; k++)
            assert_int_equal(bytes[k], i % 251);
        secret_release(&cells[i]);
    }
}

enum { THREADS = 4, ROUNDS = 500000, HELD = 8 };

/* NULL when every cell was this thread's alone. */
static void *churn(void *context)
{
    void *cells[HELD] = {NULL};
    unsigned char mark = *(unsigned char *)context;

    for (unsigned round = 0; round < ROUNDS; round++) {
        void **cell = &cells[round % HELD];

        if (*cell && *(volatile unsigned char *)*cell != mark)
            return context;
        secret_release(cell);
        if (secret_acquire(cell, NULL) != SEALTAPE_OK || !is_zero(*cell, 64))
            return context;
        *(volatile unsigned char *)*cell = mark;
    }
    for (unsigned i = 0; i < HELD; i++)
        secret_release(&cells[i]);
    return NULL;
}

static void four_threads_never_share_a_cell(void **state)
{
    unsigned char marks[THREADS];
    pthread_t threads[THREADS];
    void *failed = NULL;

    (void)state;
    for (unsigned i = 0; i < THREADS; i++) {
        marks[i] = (unsigned char)(i + 1);
        assert_int_equal(pthread_create(&threads[i], NULL, churn, &marks[i]), 0);
    }
    for (unsigned i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_join(threads[i], &failed), 0);
        assert_null(failed);
    }
}

static void the_arena_can_be_closed_and_used_again(void **state)
{
    (void)state;
    for (int i = 0; i < 3; i++) {
        void *cell = cell_new();

        secret_release(&cell);
        secret_arena_close();
    }
    secret_arena_close();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
            cmocka_unit_test(a_release_that_is_not_of_a_held_cell_aborts),
            cmocka_unit_test(the_arena_is_not_closed_under_a_held_cell),
            cmocka_unit_test(an_exhausted_lock_limit_says_what_to_raise),
            cmocka_unit_test(a_forked_child_reads_zeros),
            cmocka_unit_test(keys_are_locked_and_neither_dumped_nor_forked),
            cmocka_unit_test(a_cell_is_aligned_zeroed_and_wiped_when_given_back),
            cmocka_unit_test(a_block_is_zeroed_and_wiped_when_given_back),
            cmocka_unit_test(cells_do_not_overlap_while_the_arena_grows),
            cmocka_unit_test(four_threads_never_share_a_cell),
            cmocka_unit_test(the_arena_can_be_closed_and_used_again),
    };

    return cmocka_run_group_tests(tests, NULL, close_arena);
}
