/*
 * Where plaintext goes: standard output, or a file that has its name only when
 * it is whole.
 */
#ifndef SEALTAPE_TOOLS_OUTPUT_H
#define SEALTAPE_TOOLS_OUTPUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/diag.h"

struct output {
    int fd;
    const char *path; /* borrowed; "-": standard output */
    char *temporary;  /* the name it has, or would get; NULL: written straight to @path */
    bool nameless;    /* it has no name yet: it goes with the process */
};

/*
 * Open. A file gets mode 0600. What exists under @path and is no regular file (a
 * device, a pipe) is written to, not replaced.
 */
enum sealtape_status output_open(
        const char *path, struct output *ret_output, struct diag *diag) MUST_CHECK;

enum sealtape_status output_write(
        struct output *output, const uint8_t *bytes, size_t len, struct diag *diag) MUST_CHECK;

/*
 * Give the file its name. Without this output_close() leaves nothing behind; nor does
 * kill -9 where the file system knows files without a name (O_TMPFILE).
 */
enum sealtape_status output_commit(struct output *output, struct diag *diag) MUST_CHECK;

void output_close(struct output *output);

#endif
