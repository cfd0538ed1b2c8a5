/*
 * One media file in the spool: its directory, its state, its document.
 *
 * The directory <folder>/<state>/<mediaId>/ holds <mediaId>.bin, .json, .commit
 * and .attempts (see FORMAT.md). A change of state is one rename. Everything
 * that delivery knows of a recording it knows from here; none of it is a key.
 */
#ifndef SEALTAPE_SPOOL_ENTRY_H
#define SEALTAPE_SPOOL_ENTRY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/diag.h"

/* "<id>-<16 hex digits>.<ext>" and its NUL; leaves room for suffixes in NAME_MAX. */
#define ENTRY_MEDIA_ID_SIZE 160

enum entry_state {
    ENTRY_RECORDING, /* .bin grows */
    ENTRY_CLOSED,    /* complete, to be stored */
    ENTRY_STORED,    /* object verified, metadata owed */
    ENTRY_POSTED,    /* acknowledged; in its grace time */
    ENTRY_FAILED,    /* beyond any retry */
    ENTRY_GONE       /* removed from disk */
};

/* "recording", "closed", ...: the name of the state's directory. [any] */
const char *entry_state_name(enum entry_state state);

/* Shared by reference counts. */
struct entry;

struct entry *entry_acquire(struct entry *entry);
void entry_release(struct entry **entry);

/*
 * For the spool itself: an entry that stands in @folder in state @state. [setup, control]
 * A share of @folder is kept. SEALTAPE_E_MEMORY; SEALTAPE_E_LIMIT: the name is too long.
 */
struct folder;
enum sealtape_status entry_new(struct folder *folder, const char *media_id,
        const char *recording_id, enum entry_state state, struct entry **ret_entry) MUST_CHECK;
struct folder *entry_folder(const struct entry *entry);
/* A file of the entry relative to the folder, "<state>/<mediaId>/<mediaId><suffix>", or the
 * directory itself where @suffix is NULL. Valid until the state changes. [writer, syncer] */
#define ENTRY_PATH_SIZE (2 * ENTRY_MEDIA_ID_SIZE + 64)
void entry_path(const struct entry *entry, const char *suffix, char ret_path[ENTRY_PATH_SIZE]);
void entry_set_readable(struct entry *entry, uint64_t bytes);
void entry_set_complete(struct entry *entry);
void entry_want_discard(struct entry *entry);
/* Rename into another state's directory. The names are durable with the next sync. */
enum sealtape_status entry_move(
        struct entry *entry, enum entry_state to, struct diag *diag) MUST_CHECK;

/* Constant for its life. [any] */
const char *entry_media_id(const struct entry *entry);
const char *entry_recording_id(const struct entry *entry);

/* [any] */
enum entry_state entry_state(const struct entry *entry);

/* Bytes of .bin that may be read now; only grows. [any] */
uint64_t entry_readable(const struct entry *entry);

/* Is .bin complete, closing bytes and all? Then entry_readable() is the object's length. [any] */
bool entry_complete(const struct entry *entry);

/* The host wants it thrown away: store nothing more; see entry_discarded(). [any] */
bool entry_discard_wanted(const struct entry *entry);

/* When the state became what it is: UTC from the directory's mtime. [any] */
int64_t entry_state_since_ms(const struct entry *entry);

/* Open .bin for reading, close-on-exec. [transfer] */
enum sealtape_status entry_open_media(
        struct entry *entry, int *ret_fd, struct diag *diag) MUST_CHECK;

/* Where a media file goes, read from its document. */
struct entry_plan {
    char **storages; /* base URLs in order of preference, each ending with '/'; none: as configured */
    size_t storages_count;
    char **processors; /* URLs in order of preference; none: as configured */
    size_t processors_count;
    char *tenant;      /* fairness: one tenant's dead store delays no other's */
    char *object_name; /* "<mediaId>.bin": the name under the base URL */
    bool has_media;    /* false: discarded or without media; nothing to store */
    uint64_t size;     /* length of the object; 0 until complete */
    char sha256[65];   /* of the object, hex; "" until complete */
    char *stored_path; /* mediaDescriptor.path: the final URL, as the document says now */
};

/* Read the plan. [transfer] Owned by the caller.
 *
 *   SEALTAPE_E_STATE  the document is corrupt or of a newer format
 */
enum sealtape_status entry_plan_load(
        struct entry *entry, struct entry_plan **ret_plan, struct diag *diag) MUST_CHECK;
void entry_plan_free(struct entry_plan **plan);

/* The bytes to POST: the document without what is the spool's own. [transfer] malloc'ed. */
enum sealtape_status entry_body(
        struct entry *entry, char **ret_json, size_t *ret_len, struct diag *diag) MUST_CHECK;

/*
 * Remember that an upload to @url (a temporary name) has begun, so that whoever
 * comes after a crash can delete what it left. [transfer]
 */
enum sealtape_status entry_attempt_add(
        struct entry *entry, const char *url, struct diag *diag) MUST_CHECK;
/* All that were added and not cleared: NULL-ended, one malloc'ed block. [transfer] */
enum sealtape_status entry_attempts(
        struct entry *entry, char ***ret_urls, struct diag *diag) MUST_CHECK;
/* The leftovers are gone. [transfer] */
enum sealtape_status entry_attempts_clear(struct entry *entry, struct diag *diag) MUST_CHECK;

/*
 * Changes of state, each one rename. [transfer] Repeating one that is done is OK.
 *
 * entry_stored: the object stands verified at @url; the document is rewritten first
 * (and synced) where it says otherwise. @storage is the base URL it went to.
 */
enum sealtape_status entry_stored(
        struct entry *entry, const char *storage, const char *url, struct diag *diag) MUST_CHECK;
enum sealtape_status entry_posted(struct entry *entry, struct diag *diag) MUST_CHECK;
/* Back from posted/ or stored/: the object vanished, store it again. */
enum sealtape_status entry_restore(struct entry *entry, struct diag *diag) MUST_CHECK;
/* Into failed/ with @reason beside it. Nothing is deleted. */
enum sealtape_status entry_fail(
        struct entry *entry, const char *reason, struct diag *diag) MUST_CHECK;
/* A closed entry becomes a document without media, outcome `discarded`, still closed. */
enum sealtape_status entry_discarded(struct entry *entry, struct diag *diag) MUST_CHECK;
/* Delete an entry: a posted one after its grace time, one that was never durable. It loses its
 * name before its files, so that a crash leaves no half of it. */
enum sealtape_status entry_remove(struct entry *entry, struct diag *diag) MUST_CHECK;
/* Delete "<state>/<mediaId>.new" or ".gone", what a crash left of making or deleting one. [setup] */
enum sealtape_status entry_remove_leftover(
        struct folder *folder, const char *path, struct diag *diag) MUST_CHECK;

#endif
