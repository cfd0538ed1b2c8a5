#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

void file_close(int *fd)
{
    int saved = errno;

    if (*fd >= 0)
        close(*fd);
    *fd = -1;
    errno = saved;
}

static void free_bytes(char **bytes)
{
    free(*bytes);
    *bytes = NULL;
}

enum sealtape_status file_read(int dirfd, const char *path, size_t max, char **ret_bytes,
        size_t *ret_len, struct diag *diag)
{
    CLEANUP(free_bytes) char *bytes = NULL;
    CLEANUP(file_close) int fd = -1;
    enum sealtape_status st;
    struct stat stat;
    size_t len = 0;
    char more;

    /* O_NONBLOCK: a FIFO in the place of a file must not hang us. */
    fd = openat(dirfd, path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0 || fstat(fd, &stat) != 0)
        return diag_fail(diag, SEALTAPE_E_IO, "%s: cannot read: %s", path, strerror(errno));
    if (!S_ISREG(stat.st_mode)) {
        errno = EINVAL;
        return diag_fail(diag, SEALTAPE_E_IO, "%s: not a regular file", path);
    }
    if ((uint64_t)stat.st_size > max)
        return diag_fail(diag, SEALTAPE_E_LIMIT, "%s: %lld bytes; at most %zu are read", path,
                (long long)stat.st_size, max);
    bytes = malloc((size_t)stat.st_size + 1);
    if (!bytes)
        return diag_fail(diag, SEALTAPE_E_MEMORY, "%s: no memory to read it", path);
    st = file_read_at(fd, bytes, (size_t)stat.st_size, 0, &len);
    if (st != SEALTAPE_OK)
        return diag_fail(diag, st, "%s: cannot read: %s", path, strerror(errno));
    if (pread(fd, &more, 1, (off_t)len) > 0)
        return diag_fail(diag, SEALTAPE_E_IO, "%s: grew while it was read; try again", path);
    bytes[len] = '\0';
    *ret_bytes = TAKE(bytes);
    *ret_len = len;
    return SEALTAPE_OK;
}

enum sealtape_status file_write_at(int fd, const void *bytes, size_t len, uint64_t offset)
{
    const unsigned char *from = bytes;

    while (len > 0) {
        ssize_t n = pwrite(fd, from, len, (off_t)offset);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return SEALTAPE_E_IO;
        if (n == 0) {
            errno = ENOSPC;
            return SEALTAPE_E_IO;
        }
        from += n;
        len -= (size_t)n;
        offset += (uint64_t)n;
    }
    return SEALTAPE_OK;
}

enum sealtape_status file_read_at(int fd, void *bytes, size_t len, uint64_t offset, size_t *ret_len)
{
    unsigned char *to = bytes;
    size_t done = 0;

    while (done < len) {
        ssize_t n = pread(fd, to + done, len - done, (off_t)(offset + done));

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return SEALTAPE_E_IO;
        if (n == 0)
            break;
        done += (size_t)n;
    }
    *ret_len = done;
    return SEALTAPE_OK;
}

/* Any failure after the file was made: take the temporary name away again. */
static enum sealtape_status replace_failed(
        int dirfd, const char *temporary, const char *name, const char *what, struct diag *diag)
{
    int saved = errno;

    unlinkat(dirfd, temporary, 0);
    errno = saved;
    return diag_fail(diag, SEALTAPE_E_IO, "%s: cannot %s: %s", name, what, strerror(saved));
}

enum sealtape_status file_replace(
        int dirfd, const char *name, const void *bytes, size_t len, int durable, struct diag *diag)
{
    CLEANUP(file_close) int fd = -1;
    char temporary[NAME_MAX + 1];
    int n;

    n = snprintf(temporary, sizeof(temporary), "%s.tmp", name);
    if (n < 0 || (size_t)n >= sizeof(temporary)) {
        errno = ENAMETOOLONG;
        return diag_fail(diag, SEALTAPE_E_IO, "%s: name too long", name);
    }
    fd = openat(dirfd, temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return diag_fail(diag, SEALTAPE_E_IO, "%s: cannot create: %s", name, strerror(errno));
    if (file_write_at(fd, bytes, len, 0) != SEALTAPE_OK)
        return replace_failed(dirfd, temporary, name, "write", diag);
    if (durable && fsync(fd) != 0)
        return replace_failed(dirfd, temporary, name, "sync", diag);
    if (renameat(dirfd, temporary, dirfd, name) != 0)
        return replace_failed(dirfd, temporary, name, "rename into place", diag);
    if (durable && file_sync_dir(dirfd) != SEALTAPE_OK)
        return diag_fail(
                diag, SEALTAPE_E_IO, "%s: cannot sync its directory: %s", name, strerror(errno));
    return SEALTAPE_OK;
}

enum sealtape_status file_sync_dir(int dirfd)
{
    return fsync(dirfd) == 0 ? SEALTAPE_OK : SEALTAPE_E_IO;
}
