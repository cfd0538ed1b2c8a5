#include "output.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"

static enum sealtape_status open_temporary(struct output *output, struct diag *diag)
{
    const char *slash = strrchr(output->path, '/');
    int directory = slash ? (int)(slash - output->path) + 1 : 0;

    if (asprintf(&output->temporary, "%.*s.sealtape-XXXXXX", directory, output->path) < 0) {
        output->temporary = NULL;
        return diag_fail(diag, SEALTAPE_E_MEMORY, "no memory");
    }
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

enum sealtape_status output_commit(struct output *output, struct diag *diag)
{
    if (!output->temporary)
        return SEALTAPE_OK;
    /* A full disk may show only now (NFS, delayed allocation). */
    if (fsync(output->fd) != 0 || rename(output->temporary, output->path) != 0)
        return diag_fail(
                diag, SEALTAPE_E_IO, "%s: cannot write: %s", output->path, strerror(errno));
    free(output->temporary);
    output->temporary = NULL;
    return SEALTAPE_OK;
}

void output_close(struct output *output)
{
    if (output->temporary)
        unlink(output->temporary);
    free(output->temporary);
    output->temporary = NULL;
    if (output->fd > STDERR_FILENO)
        file_close(&output->fd);
}
