#include "spool/entry.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "spool/attempts.h"
#include "spool/document.h"
#include "spool/folder.h"

/* Bytes of the list of attempts, some thousands of them. */
#define ATTEMPTS_MAX (1024u * 1024)

struct entry {
    _Atomic unsigned shares;
    struct folder *folder;
    char media_id[ENTRY_MEDIA_ID_SIZE];
    char *recording_id;
    _Atomic int state;
    _Atomic uint64_t readable;
    _Atomic bool complete;
    _Atomic bool discard;

    /* Guards the directory's place: no file is opened while it moves. */
    pthread_mutex_t lock;
};

const char *entry_state_name(enum entry_state state)
{
    switch (state) {
    case ENTRY_RECORDING:
        return "recording";
    case ENTRY_CLOSED:
        return "closed";
    case ENTRY_STORED:
        return "stored";
    case ENTRY_POSTED:
        return "posted";
    case ENTRY_FAILED:
        return "failed";
    case ENTRY_GONE:
        return "gone";
    }
    return "unknown";
}

enum sealtape_status entry_new(struct folder *folder, const char *media_id,
        const char *recording_id, enum entry_state state, struct entry **ret_entry)
{
    struct entry *entry;

    if (strlen(media_id) >= ENTRY_MEDIA_ID_SIZE)
        return SEALTAPE_E_LIMIT;
    entry = calloc(1, sizeof(*entry));
    if (!entry)
        return SEALTAPE_E_MEMORY;
    entry->recording_id = strdup(recording_id);
    if (!entry->recording_id) {
        free(entry);
        return SEALTAPE_E_MEMORY;
    }
    entry->shares = 1;
    entry->folder = folder_acquire(folder);
    strcpy(entry->media_id, media_id);
    entry->state = state;
    pthread_mutex_init(&entry->lock, NULL);
    *ret_entry = entry;
    return SEALTAPE_OK;
}

struct entry *entry_acquire(struct entry *entry)
{
    atomic_fetch_add(&entry->shares, 1);
    return entry;
}

void entry_release(struct entry **entry)
{
    struct entry *e = TAKE(*entry);

    if (!e || atomic_fetch_sub(&e->shares, 1) != 1)
        return;
    folder_release(&e->folder);
    pthread_mutex_destroy(&e->lock);
    free(e->recording_id);
    free(e);
}

struct folder *entry_folder(const struct entry *entry)
{
    return entry->folder;
}

const char *entry_media_id(const struct entry *entry)
{
    return entry->media_id;
}

const char *entry_recording_id(const struct entry *entry)
{
    return entry->recording_id;
}

enum entry_state entry_state(const struct entry *entry)
{
    return (enum entry_state)atomic_load(&entry->state);
}

uint64_t entry_readable(const struct entry *entry)
{
    return atomic_load_explicit(&entry->readable, memory_order_acquire);
}

void entry_set_readable(struct entry *entry, uint64_t bytes)
{
    atomic_store_explicit(&entry->readable, bytes, memory_order_release);
}

bool entry_complete(const struct entry *entry)
{
    return atomic_load(&entry->complete);
}

void entry_set_complete(struct entry *entry)
{
    atomic_store(&entry->complete, true);
}

bool entry_discard_wanted(const struct entry *entry)
{
    return atomic_load(&entry->discard);
}

void entry_want_discard(struct entry *entry)
{
    atomic_store(&entry->discard, true);
}

static void state_path(const struct entry *entry, enum entry_state state, const char *suffix,
        char ret_path[ENTRY_PATH_SIZE])
{
    if (suffix)
        (void)snprintf(ret_path, ENTRY_PATH_SIZE, "%s/%s/%s%s", entry_state_name(state),
                entry->media_id, entry->media_id, suffix);
    else
        (void)snprintf(
                ret_path, ENTRY_PATH_SIZE, "%s/%s", entry_state_name(state), entry->media_id);
}

void entry_path(const struct entry *entry, const char *suffix, char ret_path[ENTRY_PATH_SIZE])
{
    state_path(entry, entry_state(entry), suffix, ret_path);
}

int64_t entry_state_since_ms(const struct entry *entry)
{
    char path[ENTRY_PATH_SIZE];
    struct stat st;

    entry_path(entry, NULL, path);
    if (fstatat(folder_fd(entry->folder), path, &st, 0) != 0)
        return clock_utc_ms();
    return (int64_t)st.st_mtim.tv_sec * 1000 + st.st_mtim.tv_nsec / 1000000;
}

enum sealtape_status entry_open_media(struct entry *entry, int *ret_fd, struct diag *diag)
{
    char path[ENTRY_PATH_SIZE];
    int fd, error;

    pthread_mutex_lock(&entry->lock);
    entry_path(entry, ".bin", path);
    fd = openat(folder_fd(entry->folder), path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    error = errno;
    pthread_mutex_unlock(&entry->lock);
    if (fd < 0)
        return diag_fail(diag, SEALTAPE_E_IO, "spool %s/%s: cannot open: %s",
                folder_path(entry->folder), path, strerror(error));
    *ret_fd = fd;
    return SEALTAPE_OK;
}

/* --- document ------------------------------------------------------------- */

static enum sealtape_status load_document(
        struct entry *entry, struct document **ret_document, struct diag *diag)
{
    char path[ENTRY_PATH_SIZE];
    enum sealtape_status st;
    char *text = NULL;
    size_t len = 0;

    pthread_mutex_lock(&entry->lock);
    entry_path(entry, ".json", path);
    st = file_read(folder_fd(entry->folder), path, DOCUMENT_MAX, &text, &len, diag);
    pthread_mutex_unlock(&entry->lock);
    if (st != SEALTAPE_OK)
        return st;
    st = document_parse(text, len, ret_document, diag);
    free(text);
    if (st != SEALTAPE_OK)
        diag_prefix(diag, "spool %s/%s: ", folder_path(entry->folder), path);
    return st;
}

static enum sealtape_status save_document(
        struct entry *entry, const struct document *document, struct diag *diag)
{
    CLEANUP(file_close) int directory = -1;
    char path[ENTRY_PATH_SIZE], name[ENTRY_MEDIA_ID_SIZE + 8];
    enum sealtape_status st;
    char *text = NULL;
    size_t len = 0;

    st = document_text(document, &text, &len);
    if (st != SEALTAPE_OK)
        return diag_fail(diag, st, "no memory for the document");
    entry_path(entry, NULL, path);
    (void)snprintf(name, sizeof(name), "%s.json", entry->media_id);
    directory = openat(folder_fd(entry->folder), path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (directory < 0)
        st = diag_fail(diag, SEALTAPE_E_IO, "spool %s: cannot open: %s", path, strerror(errno));
    else
        st = file_replace(directory, name, text, len, 1, diag);
    free(text);
    return st;
}

void entry_plan_free(struct entry_plan **plan)
{
    struct entry_plan *p = *plan;

    if (!p)
        return;
    for (size_t i = 0; i < p->storages_count; i++)
        free(p->storages[i]);
    for (size_t i = 0; i < p->processors_count; i++)
        free(p->processors[i]);
    free(p->storages);
    free(p->processors);
    free(p->tenant);
    free(p->object_name);
    free(p->stored_path);
    free(p);
    *plan = NULL;
}

enum sealtape_status entry_plan_load(
        struct entry *entry, struct entry_plan **ret_plan, struct diag *diag)
{
    CLEANUP(document_free) struct document *document = NULL;
    enum sealtape_status st;

    st = load_document(entry, &document, diag);
    if (st != SEALTAPE_OK)
        return st;
    st = document_plan(document, ret_plan);
    if (st != SEALTAPE_OK)
        return diag_fail(diag, st, "no memory to plan the delivery of %s", entry->media_id);
    return SEALTAPE_OK;
}

enum sealtape_status entry_body(
        struct entry *entry, char **ret_json, size_t *ret_len, struct diag *diag)
{
    CLEANUP(document_free) struct document *document = NULL;
    enum sealtape_status st;

    st = load_document(entry, &document, diag);
    if (st != SEALTAPE_OK)
        return st;
    st = document_body(document, ret_json, ret_len);
    if (st != SEALTAPE_OK)
        return diag_fail(diag, st, "no memory for the document of %s", entry->media_id);
    return SEALTAPE_OK;
}

/* --- attempts ------------------------------------------------------------- */

enum sealtape_status entry_attempt_add(struct entry *entry, const char *url, struct diag *diag)
{
    CLEANUP(file_close) int fd = -1;
    char path[ENTRY_PATH_SIZE];
    struct stat file;
    int error = 0;

    pthread_mutex_lock(&entry->lock);
    entry_path(entry, ".attempts", path);
    fd = openat(folder_fd(entry->folder), path,
            O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        error = errno;
    pthread_mutex_unlock(&entry->lock);
    if (fd < 0)
        return diag_fail(diag, SEALTAPE_E_IO, "spool %s: cannot open: %s", path, strerror(error));
    /*
     * After weeks without a store: each attempt begins by deleting what the one
     * before has left. A list that nobody can read would hold up the entry for good.
     */
    if (fstat(fd, &file) != 0
            || ((uint64_t)file.st_size + strlen(url) + 4 > ATTEMPTS_MAX && ftruncate(fd, 0) != 0))
        return diag_fail(diag, SEALTAPE_E_IO, "spool %s: cannot cut: %s", path, strerror(errno));
    /* What a crash has left of another line must not become a part of this one. */
    if (dprintf(fd, "\n1 %s\n", url) < 0)
        return diag_fail(diag, SEALTAPE_E_IO, "spool %s: cannot write: %s", path, strerror(errno));
    return SEALTAPE_OK;
}

enum sealtape_status entry_attempts(struct entry *entry, char ***ret_urls, struct diag *diag)
{
    char path[ENTRY_PATH_SIZE];
    enum sealtape_status st;
    char *text = NULL;
    size_t len = 0;

    pthread_mutex_lock(&entry->lock);
    entry_path(entry, ".attempts", path);
    st = file_read(folder_fd(entry->folder), path, ATTEMPTS_MAX, &text, &len, diag);
    pthread_mutex_unlock(&entry->lock);
    if (st == SEALTAPE_E_IO && errno == ENOENT)
        st = SEALTAPE_OK; /* none yet */
    if (st != SEALTAPE_OK)
        return st;
    st = attempts_parse(text ? text : "", len, entry->media_id, ret_urls);
    free(text);
    if (st != SEALTAPE_OK)
        return diag_fail(diag, st, "no memory for the attempts of %s", entry->media_id);
    return SEALTAPE_OK;
}

enum sealtape_status entry_attempts_clear(struct entry *entry, struct diag *diag)
{
    char path[ENTRY_PATH_SIZE];
    int error = 0;

    pthread_mutex_lock(&entry->lock);
    entry_path(entry, ".attempts", path);
    if (unlinkat(folder_fd(entry->folder), path, 0) != 0 && errno != ENOENT)
        error = errno;
    pthread_mutex_unlock(&entry->lock);
    if (error)
        return diag_fail(diag, SEALTAPE_E_IO, "spool %s: cannot delete: %s", path, strerror(error));
    return SEALTAPE_OK;
}

/* --- states --------------------------------------------------------------- */

enum sealtape_status entry_move(struct entry *entry, enum entry_state to, struct diag *diag)
{
    char from_path[ENTRY_PATH_SIZE], to_path[ENTRY_PATH_SIZE];
    int fd = folder_fd(entry->folder), error = 0;

    if (entry_state(entry) == to)
        return SEALTAPE_OK;
    pthread_mutex_lock(&entry->lock);
    entry_path(entry, NULL, from_path);
    state_path(entry, to, NULL, to_path);
    /* The time of the change; without it the grace time merely starts later. */
    ignore(utimensat(fd, from_path, NULL, AT_SYMLINK_NOFOLLOW));
    if (renameat(fd, from_path, fd, to_path) == 0)
        atomic_store(&entry->state, to);
    else
        error = errno;
    pthread_mutex_unlock(&entry->lock);
    if (error)
        return diag_fail(diag, SEALTAPE_E_IO, "spool %s: cannot move %s to %s: %s",
                folder_path(entry->folder), from_path, to_path, strerror(error));
    return SEALTAPE_OK;
}

enum sealtape_status entry_stored(
        struct entry *entry, const char *storage, const char *url, struct diag *diag)
{
    CLEANUP(document_free) struct document *document = NULL;
    enum sealtape_status st;
    bool changed = false;

    st = load_document(entry, &document, diag);
    if (st != SEALTAPE_OK)
        return st;
    st = document_set_path(document, storage, url, &changed);
    if (st == SEALTAPE_OK && changed)
        st = save_document(entry, document, diag);
    if (st != SEALTAPE_OK)
        return st;
    return entry_move(entry, ENTRY_STORED, diag);
}

enum sealtape_status entry_posted(struct entry *entry, struct diag *diag)
{
    return entry_move(entry, ENTRY_POSTED, diag);
}

enum sealtape_status entry_restore(struct entry *entry, struct diag *diag)
{
    return entry_move(entry, ENTRY_CLOSED, diag);
}

enum sealtape_status entry_fail(struct entry *entry, const char *reason, struct diag *diag)
{
    CLEANUP(file_close) int fd = -1;
    char path[ENTRY_PATH_SIZE], now[TIMESTAMP_SIZE];

    entry_path(entry, ".reason", path);
    fd = openat(folder_fd(entry->folder), path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    timestamp_format(clock_utc_ms(), now);
    if (fd < 0 || dprintf(fd, "1 %s %s\n", now, reason) < 0)
        return diag_fail(diag, SEALTAPE_E_IO, "spool %s: cannot write: %s", path, strerror(errno));
    return entry_move(entry, ENTRY_FAILED, diag);
}

enum sealtape_status entry_discarded(struct entry *entry, struct diag *diag)
{
    CLEANUP(document_free) struct document *document = NULL;
    char path[ENTRY_PATH_SIZE];
    enum sealtape_status st;

    st = load_document(entry, &document, diag);
    if (st != SEALTAPE_OK)
        return st;
    st = document_discard(document, clock_utc_ms());
    if (st == SEALTAPE_OK)
        st = save_document(entry, document, diag);
    if (st != SEALTAPE_OK)
        return st;
    entry_path(entry, ".bin", path);
    if (unlinkat(folder_fd(entry->folder), path, 0) != 0 && errno != ENOENT)
        return diag_fail(diag, SEALTAPE_E_IO, "spool %s: cannot delete: %s", path, strerror(errno));
    return SEALTAPE_OK;
}

static enum sealtape_status remove_files(int directory)
{
    struct dirent *item;
    DIR *stream;

    stream = fdopendir(directory);
    if (!stream) {
        file_close(&directory);
        return SEALTAPE_E_IO;
    }
    while ((item = readdir(stream))) {
        if (item->d_name[0] == '.' && (item->d_name[1] == '\0' || strcmp(item->d_name, "..") == 0))
            continue;
        if (unlinkat(dirfd(stream), item->d_name, 0) != 0) {
            closedir(stream);
            return SEALTAPE_E_IO;
        }
    }
    closedir(stream);
    return SEALTAPE_OK;
}

enum sealtape_status entry_remove_leftover(
        struct folder *folder, const char *path, struct diag *diag)
{
    int directory =
            openat(folder_fd(folder), path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);

    if (directory < 0 || remove_files(directory) != SEALTAPE_OK
            || unlinkat(folder_fd(folder), path, AT_REMOVEDIR) != 0)
        return diag_fail(diag, SEALTAPE_E_IO, "spool %s/%s: cannot delete: %s", folder_path(folder),
                path, strerror(errno));
    return SEALTAPE_OK;
}

enum sealtape_status entry_remove(struct entry *entry, struct diag *diag)
{
    char path[ENTRY_PATH_SIZE], gone[ENTRY_PATH_SIZE + 8];
    int fd = folder_fd(entry->folder), error = 0;
    enum sealtape_status st;

    pthread_mutex_lock(&entry->lock);
    entry_path(entry, NULL, path);
    (void)snprintf(gone, sizeof(gone), "%s.gone", path);
    /* ENOENT: it lost its name before, and perhaps its files too. */
    if (renameat(fd, path, fd, gone) != 0)
        error = errno;
    pthread_mutex_unlock(&entry->lock);
    if (error && error != ENOENT)
        return diag_fail(diag, SEALTAPE_E_IO, "spool %s/%s: cannot delete: %s",
                folder_path(entry->folder), path, strerror(error));
    st = entry_remove_leftover(entry->folder, gone, diag);
    if (st != SEALTAPE_OK && !(error == ENOENT && errno == ENOENT))
        return st;
    folder_count_bytes(entry->folder, -(int64_t)entry_readable(entry));
    atomic_store(&entry->state, ENTRY_GONE);
    return SEALTAPE_OK;
}
