#include "fault.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct fault_plan plan;
static unsigned seen, hits;
void (*fault_on_pwrite)(int fd, const void *bytes, size_t len, uint64_t offset);

void fault_set(const struct fault_plan *new_plan)
{
    pthread_mutex_lock(&lock);
    plan = *new_plan;
    seen = hits = 0;
    pthread_mutex_unlock(&lock);
}

void fault_clear(void)
{
    pthread_mutex_lock(&lock);
    plan.calls = 0;
    pthread_mutex_unlock(&lock);
}

unsigned fault_seen(void)
{
    unsigned n;

    pthread_mutex_lock(&lock);
    n = seen;
    pthread_mutex_unlock(&lock);
    return n;
}

unsigned fault_hits(void)
{
    unsigned n;

    pthread_mutex_lock(&lock);
    n = hits;
    pthread_mutex_unlock(&lock);
    return n;
}

static bool ends_with(const char *text, const char *end)
{
    size_t text_len = strlen(text), end_len = strlen(end);

    return text_len >= end_len && strcmp(text + text_len - end_len, end) == 0;
}

static bool is_meant(const char *name, int fd)
{
    char link[64], path[4096];
    ssize_t n;

    if (!plan.name)
        return true;
    if (name)
        return ends_with(name, plan.name);
    (void)snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
    n = readlink(link, path, sizeof(path) - 1);
    path[n < 0 ? 0 : n] = '\0';
    return ends_with(path, plan.name);
}

/* Is it this call's turn? Then *ret_kind says how, and errno why. */
static bool strikes(enum fault_call call, const char *name, int fd, enum fault_kind *ret_kind)
{
    bool strike = false;
    int error = errno;

    pthread_mutex_lock(&lock);
    if ((plan.calls & FAULT_BIT(call)) && is_meant(name, fd)) {
        strike = seen >= plan.after && seen - plan.after < plan.times;
        seen++;
        hits += strike;
        *ret_kind = plan.kind;
        error = plan.error;
    }
    pthread_mutex_unlock(&lock);
    if (!strike)
        return false;
    if (*ret_kind == FAULT_KILL)
        kill(getpid(), SIGKILL);
    errno = error;
    return true;
}

/* As the linker names them. */
ssize_t __real_pwrite64(int fd, const void *bytes, size_t len, off_t offset);
ssize_t __wrap_pwrite64(int fd, const void *bytes, size_t len, off_t offset);
ssize_t __wrap_pwrite64(int fd, const void *bytes, size_t len, off_t offset)
{
    enum fault_kind kind;
    ssize_t n;

    if (strikes(FAULT_PWRITE, NULL, fd, &kind)) {
        if (kind != FAULT_SHORT)
            return -1;
        len = 1;
    }
    n = __real_pwrite64(fd, bytes, len, offset);
    if (n > 0 && fault_on_pwrite)
        fault_on_pwrite(fd, bytes, (size_t)n, (uint64_t)offset);
    return n;
}

ssize_t __real_pwritev64(int fd, const struct iovec *vectors, int count, off_t offset);
ssize_t __wrap_pwritev64(int fd, const struct iovec *vectors, int count, off_t offset);
ssize_t __wrap_pwritev64(int fd, const struct iovec *vectors, int count, off_t offset)
{
    enum fault_kind kind;

    if (strikes(FAULT_PWRITEV, NULL, fd, &kind)) {
        if (kind != FAULT_SHORT)
            return -1;
        return __real_pwrite64(fd, vectors[0].iov_base, 1, offset);
    }
    return __real_pwritev64(fd, vectors, count, offset);
}

ssize_t __real_pread64(int fd, void *bytes, size_t len, off_t offset);
ssize_t __wrap_pread64(int fd, void *bytes, size_t len, off_t offset);
ssize_t __wrap_pread64(int fd, void *bytes, size_t len, off_t offset)
{
    enum fault_kind kind;

    if (strikes(FAULT_PREAD, NULL, fd, &kind)) {
        if (kind != FAULT_SHORT)
            return -1;
        len = 1;
    }
    return __real_pread64(fd, bytes, len, offset);
}

int __real_fsync(int fd);
int __wrap_fsync(int fd);
int __wrap_fsync(int fd)
{
    enum fault_kind kind;

    return strikes(FAULT_FSYNC, NULL, fd, &kind) ? -1 : __real_fsync(fd);
}

int __real_syncfs(int fd);
int __wrap_syncfs(int fd);
int __wrap_syncfs(int fd)
{
    enum fault_kind kind;

    return strikes(FAULT_SYNCFS, NULL, fd, &kind) ? -1 : __real_syncfs(fd);
}

int __real_ftruncate64(int fd, off_t size);
int __wrap_ftruncate64(int fd, off_t size);
int __wrap_ftruncate64(int fd, off_t size)
{
    enum fault_kind kind;

    return strikes(FAULT_FTRUNCATE, NULL, fd, &kind) ? -1 : __real_ftruncate64(fd, size);
}

int __real_renameat(int from_fd, const char *from, int to_fd, const char *to);
int __wrap_renameat(int from_fd, const char *from, int to_fd, const char *to);
int __wrap_renameat(int from_fd, const char *from, int to_fd, const char *to)
{
    enum fault_kind kind;

    return strikes(FAULT_RENAMEAT, to, -1, &kind) ? -1 : __real_renameat(from_fd, from, to_fd, to);
}

int __real_unlinkat(int fd, const char *name, int flags);
int __wrap_unlinkat(int fd, const char *name, int flags);
int __wrap_unlinkat(int fd, const char *name, int flags)
{
    enum fault_kind kind;

    return strikes(FAULT_UNLINKAT, name, -1, &kind) ? -1 : __real_unlinkat(fd, name, flags);
}

int __real_mkdirat(int fd, const char *name, mode_t mode);
int __wrap_mkdirat(int fd, const char *name, mode_t mode);
int __wrap_mkdirat(int fd, const char *name, mode_t mode)
{
    enum fault_kind kind;

    return strikes(FAULT_MKDIRAT, name, -1, &kind) ? -1 : __real_mkdirat(fd, name, mode);
}

int __real_openat64(int fd, const char *name, int flags, ...);
int __wrap_openat64(int fd, const char *name, int flags, ...);
int __wrap_openat64(int fd, const char *name, int flags, ...)
{
    enum fault_kind kind;
    mode_t mode = 0;
    va_list list;

    if (flags & O_CREAT) {
        va_start(list, flags);
        mode = va_arg(list, mode_t);
        va_end(list);
    }
    return strikes(FAULT_OPENAT, name, -1, &kind) ? -1 : __real_openat64(fd, name, flags, mode);
}

void *__real_malloc(size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_malloc(size_t size)
{
    enum fault_kind kind;

    return strikes(FAULT_MEMORY, "", -1, &kind) ? NULL : __real_malloc(size);
}

void *__real_calloc(size_t count, size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_calloc(size_t count, size_t size)
{
    enum fault_kind kind;

    return strikes(FAULT_MEMORY, "", -1, &kind) ? NULL : __real_calloc(count, size);
}

void *__real_reallocarray(void *old, size_t count, size_t size);
void *__wrap_reallocarray(void *old, size_t count, size_t size);
void *__wrap_reallocarray(void *old, size_t count, size_t size)
{
    enum fault_kind kind;

    return strikes(FAULT_MEMORY, "", -1, &kind) ? NULL : __real_reallocarray(old, count, size);
}

void *__real_aligned_alloc(size_t alignment, size_t size);
void *__wrap_aligned_alloc(size_t alignment, size_t size);
void *__wrap_aligned_alloc(size_t alignment, size_t size)
{
    enum fault_kind kind;

    return strikes(FAULT_MEMORY, "", -1, &kind) ? NULL : __real_aligned_alloc(alignment, size);
}

char *__real_strdup(const char *text);
char *__wrap_strdup(const char *text);
char *__wrap_strdup(const char *text)
{
    enum fault_kind kind;

    return strikes(FAULT_MEMORY, "", -1, &kind) ? NULL : __real_strdup(text);
}
