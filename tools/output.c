#include "output.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/hex.h"
#include "base/random.h"

/* Of the temporary name: what is random in it. */
#define PLACEHOLDER 6
#define PATH_OF_DESCRIPTOR_SIZE 32

/* "DIRECTORY/" of a path, or "" for the current one. */
static int directory_len(const char *path)
{
    const char *slash = strrchr(path, '/');

    return slash ? (int)(slash - path) + 1 : 0;
}

/* What linkat() knows a nameless file by. */
static void path_of_descriptor(int fd, char ret_path[PATH_OF_DESCRIPTOR_SIZE])
{
    (void)snprintf(ret_path, PATH_OF_DESCRIPTOR_SIZE, "/proc/self/fd/%d", fd);
}

/* Without a name: what kill -9 leaves of it is nothing. -1: not here. */
static int open_nameless(const struct output *output)
{
    char self[PATH_OF_DESCRIPTOR_SIZE];
    char *directory = NULL;
    int len = directory_len(output->path);
    int fd;

    if (asprintf(&directory, "%.*s", len ? len : 1, len ? output->path : ".") < 0)
        return -1;
    fd = open(directory, O_TMPFILE | O_WRONLY | O_CLOEXEC, 0600);
    free(directory);
    if (fd < 0)
        return -1;
    /* Without /proc it would stay nameless. */
    path_of_descriptor(fd, self);
    if (access(self, F_OK) != 0)
        file_close(&fd);
    return fd;
}

static enum sealtape_status open_temporary(struct output *output, struct diag *diag)
{
    if (asprintf(&output->temporary, "%.*s.sealtape-XXXXXX", directory_len(output->path),
                output->path)
            < 0) {
        output->temporary = NULL;
        return diag_fail(diag, SEALTAPE_E_MEMORY, "no memory");
    }
    output->fd = open_nameless(output);
    output->nameless = output->fd >= 0;
    /* Some file systems do not know it: NFS, overlays on old kernels. */
    if (!output->nameless)
        output->fd = mkostemp(output->temporary, O_CLOEXEC);
    if (output->fd >= 0)
        return SEALTAPE_OK;
    free(output->temporary);
    output->temporary = NULL;
    return diag_fail(diag, SEALTAPE_E_IO, "%s: cannot write: %s", output->path, strerror(errno));
}

enum sealtape_status output_open(const char *path, struct output *ret_output, struct diag *diag)
{
    struct output output = {.fd = STDOUT_FILENO, .path = path};
    struct stat stat_now;
    enum sealtape_status st = SEALTAPE_OK;

    if (strcmp(path, "-") == 0) {
        if (isatty(STDOUT_FILENO))
            return diag_fail(diag, SEALTAPE_E_USAGE,
                    "a recording is not written to a terminal; use -o FILE or a pipe");
    } else if (stat(path, &stat_now) == 0 && !S_ISREG(stat_now.st_mode)) {
        output.fd = open(path, O_WRONLY | O_CLOEXEC | O_NOCTTY);
        if (output.fd < 0)
            return diag_fail(diag, SEALTAPE_E_IO, "%s: cannot write: %s", path, strerror(errno));
    } else {
        st = open_temporary(&output, diag);
    }
    if (st == SEALTAPE_OK)
        *ret_output = output;
    return st;
}

enum sealtape_status output_write(
        struct output *output, const uint8_t *bytes, size_t len, struct diag *diag)
{
    ssize_t put;

    while (len) {
        put = write(output->fd, bytes, len);
        if (put < 0 && errno != EINTR)
            return diag_fail(
                    diag, SEALTAPE_E_IO, "%s: cannot write: %s", output->path, strerror(errno));
        if (put > 0) {
            bytes += put;
            len -= (size_t)put;
        }
    }
    return SEALTAPE_OK;
}

/* A name that nobody has: mkostemp() does that for files alone. */
static enum sealtape_status fill_name(char *name)
{
    uint8_t number[PLACEHOLDER / 2];
    enum sealtape_status st;

    st = random_nonce(number, sizeof(number));
    if (st != SEALTAPE_OK)
        errno = EIO;
    else
        hex_encode(number, sizeof(number), strchr(name, '\0') - PLACEHOLDER);
    return st;
}

/* linkat() replaces nothing: over an existing file the way is a name of our own, and rename. */
static int give_name(struct output *output)
{
    char self[PATH_OF_DESCRIPTOR_SIZE];

    if (!output->nameless)
        return rename(output->temporary, output->path);
    path_of_descriptor(output->fd, self);
    if (linkat(AT_FDCWD, self, AT_FDCWD, output->path, AT_SYMLINK_FOLLOW) == 0)
        return 0;
    if (errno != EEXIST || fill_name(output->temporary) != SEALTAPE_OK
            || linkat(AT_FDCWD, self, AT_FDCWD, output->temporary, AT_SYMLINK_FOLLOW) != 0)
        return -1;
    output->nameless = false;
    return rename(output->temporary, output->path);
}

enum sealtape_status output_commit(struct output *output, struct diag *diag)
{
    if (!output->temporary)
        return SEALTAPE_OK;
    /* A full disk may show only now (NFS, delayed allocation). */
    if (fsync(output->fd) != 0 || give_name(output) != 0)
        return diag_fail(
                diag, SEALTAPE_E_IO, "%s: cannot write: %s", output->path, strerror(errno));
    free(output->temporary);
    output->temporary = NULL;
    return SEALTAPE_OK;
}

void output_close(struct output *output)
{
    if (output->temporary && !output->nameless)
        unlink(output->temporary);
    free(output->temporary);
    output->temporary = NULL;
    if (output->fd > STDERR_FILENO)
        file_close(&output->fd);
}
