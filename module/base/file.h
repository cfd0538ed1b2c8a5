/*
 * Files: whole reads with a limit, durable replacement, directory syncs. The
 * one place that makes anything durable.
 */
#ifndef SEALTAPE_BASE_FILE_H
#define SEALTAPE_BASE_FILE_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/diag.h"

/* Close @*fd if it is one, and leave -1. A cleanup handler. [any] */
void file_close(int *fd);

/*
 * Read a whole regular file of at most @max bytes. [any, waits for disk]
 *
 * @dirfd and @path as in openat(2); symbolic links are followed.
 * @ret_bytes is malloc'ed, NUL-terminated behind its @ret_len bytes, owned by
 * the caller.
 *
 *   SEALTAPE_E_LIMIT  larger than @max
 *   SEALTAPE_E_IO     errno says why
 */
enum sealtape_status file_read(int dirfd, const char *path, size_t max, char **ret_bytes,
        size_t *ret_len, struct diag *diag) MUST_CHECK;

/* Write all bytes at an offset; EINTR and short writes are gone on with. [waits for disk]
 *
 *   SEALTAPE_E_IO  errno says why; a part may be written
 */
enum sealtape_status file_write_at(int fd, const void *bytes, size_t len, uint64_t offset)
        MUST_CHECK;

/* Read up to @len bytes at an offset; fewer only at the end of the file. [waits for disk] */
enum sealtape_status file_read_at(int fd, void *bytes, size_t len, uint64_t offset,
        size_t *ret_len) MUST_CHECK;

/*
 * Replace or make @name by way of a temporary name and a rename. [waits for disk]
 *
 * A reader sees the old bytes or the new ones. Mode 0600. Without @durable the
 * new bytes may be lost in a power cut; with it file and directory are synced.
 *
 *   SEALTAPE_E_IO  errno says why; the old file is as it was
 */
enum sealtape_status file_replace(int dirfd, const char *name, const void *bytes, size_t len,
        int durable, struct diag *diag) MUST_CHECK;

/* Sync a directory, so that the names in it are durable. [waits for disk] */
enum sealtape_status file_sync_dir(int dirfd) MUST_CHECK;

#endif
