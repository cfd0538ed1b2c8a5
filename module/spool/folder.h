/*
 * An instance folder of the spool: <spool>/<instance>.<n>/, owned by one
 * process at a time through an fcntl lock on its file `lock`.
 *
 * It holds `epoch` and one directory for each state. FORMAT.md has the
 * layout. A POSIX lock ends with the process, so a dead owner's folder is free.
 */
#ifndef SEALTAPE_SPOOL_FOLDER_H
#define SEALTAPE_SPOOL_FOLDER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/diag.h"

/* Version of the folder's own files. */
#define FOLDER_FORMAT 1

struct folder;

/*
 * Make the spool directory ready: it exists (made with mode 0700), is a
 * directory on a local file system, and takes files. [setup]
 *
 *   SEALTAPE_E_SPOOL  @diag: what was found in its place, and what to do
 */
enum sealtape_status folder_check_spool(const char *directory, struct diag *diag) MUST_CHECK;

/*
 * Take the lowest free folder of @instance, made where it is not there. [setup]
 *
 *   SEALTAPE_E_SPOOL  none can be made or locked; or of a newer format
 */
enum sealtape_status folder_open(const char *directory, const char *instance,
        struct folder **ret_folder, struct diag *diag) MUST_CHECK;

/*
 * Take a folder by its name if nobody has it. [setup]
 *
 *   SEALTAPE_E_STATE    somebody has it; *ret_owner is the pid (0: this process)
 *   SEALTAPE_E_VERSION  of a newer format: left alone
 */
enum sealtape_status folder_adopt(const char *directory, const char *name,
        struct folder **ret_folder, pid_t *ret_owner, struct diag *diag) MUST_CHECK;

/* All names of the form <instance>.<n> in a spool directory. NULL-ended, one malloc'ed
 * block. [setup] */
enum sealtape_status folder_list(
        const char *directory, char ***ret_names, struct diag *diag) MUST_CHECK;

/* Shared; the lock goes with the last share. */
struct folder *folder_acquire(struct folder *folder);
void folder_release(struct folder **folder);

int folder_fd(const struct folder *folder);
const char *folder_name(const struct folder *folder);
const char *folder_path(const struct folder *folder);

/* Bytes of media that stand in it: counted up by whoever writes, down by whoever deletes. [any] */
void folder_count_bytes(struct folder *folder, int64_t more);
uint64_t folder_bytes(const struct folder *folder);

/* 32 hex digits, made with the folder. */
const char *folder_epoch(const struct folder *folder);

/* The next number of a tenant. [writer] */
enum sealtape_status folder_take_sequence(
        struct folder *folder, uint32_t tenant_dbid, uint64_t *ret_sequence) MUST_CHECK;
/* A number that an entry of this epoch has: the next one is beyond it. [setup] */
enum sealtape_status folder_see_sequence(
        struct folder *folder, uint32_t tenant_dbid, uint64_t sequence) MUST_CHECK;
/* Write the numbers taken so far to epoch, durably, if they changed. [syncer] */
enum sealtape_status folder_save(struct folder *folder, struct diag *diag) MUST_CHECK;

#endif
