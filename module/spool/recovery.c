#include "spool/recovery.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/hex.h"
#include "base/log.h"
#include "spool/commit.h"
#include "spool/digest.h"
#include "spool/document.h"

struct recovery {
    struct folder *folder;
    void (*offer)(void *context, struct entry *entry);
    void *context;
    struct recovery_result result;
};

/* One entry while it is recovered. */
struct patient {
    struct entry *entry;
    int directory;
    int bin_fd;
    struct document *document;
    unsigned revisions; /* the highest .json.<n> that is there */
    struct commit_slot slots[2];
    size_t slots_count;
    bool was_synced; /* by its commit file a round may have covered it */
    struct digest digest;
};

static void patient_clear(struct patient *patient)
{
    document_free(&patient->document);
    file_close(&patient->bin_fd);
    file_close(&patient->directory);
    digest_clear(&patient->digest);
}

static void name_of(const struct patient *patient, const char *suffix, char *ret_name, size_t size)
{
    (void)snprintf(ret_name, size, "%s%s", entry_media_id(patient->entry), suffix);
}

/* --- reading -------------------------------------------------------------- */

static bool ends_with(const char *text, const char *end)
{
    size_t text_len = strlen(text), end_len = strlen(end);

    return text_len > end_len && strcmp(text + text_len - end_len, end) == 0;
}

/* Find the highest revision; with @tidy delete what a crash left of files in the making. */
static enum sealtape_status survey(struct patient *patient, bool tidy, struct diag *diag)
{
    size_t len = strlen(entry_media_id(patient->entry));
    int fd = dup(patient->directory);
    DIR *stream = fd < 0 ? NULL : fdopendir(fd);
    struct dirent *item;
    unsigned revision;
    int end;

    if (!stream) {
        file_close(&fd);
        return diag_fail(diag, SEALTAPE_E_IO, "cannot list: %s", strerror(errno));
    }
    rewinddir(stream);
    while ((item = readdir(stream))) {
        if (strncmp(item->d_name, entry_media_id(patient->entry), len) != 0)
            continue;
        if (tidy && (ends_with(item->d_name, ".tmp") || ends_with(item->d_name, ".new"))) {
            ignore(unlinkat(patient->directory, item->d_name, 0)); /* untidy, no more */
            continue;
        }
        end = 0;
        if (sscanf(item->d_name + len, ".json.%u%n", &revision, &end) == 1
                && item->d_name[len + (size_t)end] == '\0' && revision > patient->revisions)
            patient->revisions = revision;
    }
    closedir(stream);
    return SEALTAPE_OK;
}

/* SEALTAPE_E_STATE: it is not there, or no document. SEALTAPE_E_IO: it may be, another time. */
static enum sealtape_status read_document(const struct patient *patient, const char *name,
        struct document **ret_document, struct diag *diag)
{
    enum sealtape_status st;
    char *text = NULL;
    size_t len = 0;

    st = file_read(patient->directory, name, DOCUMENT_MAX, &text, &len, diag);
    if (st == SEALTAPE_E_LIMIT || (st == SEALTAPE_E_IO && errno == ENOENT))
        return SEALTAPE_E_STATE;
    if (st != SEALTAPE_OK)
        return st;
    st = document_parse(text, len, ret_document, diag);
    free(text);
    return st;
}

/* The newest revision that is whole; a power cut may have torn those that no round covered.
 * The one with the plain name may be newer than a numbered one that was to be deleted. */
static enum sealtape_status find_document(struct patient *patient, struct diag *diag)
{
    CLEANUP(document_free) struct document *named = NULL;
    char name[ENTRY_MEDIA_ID_SIZE + 32];
    enum sealtape_status st;

    name_of(patient, ".json", name, sizeof(name));
    st = read_document(patient, name, &named, diag);
    if (st != SEALTAPE_OK && st != SEALTAPE_E_STATE)
        return st;
    for (unsigned revision = patient->revisions; revision > 0; revision--) {
        (void)snprintf(name, sizeof(name), "%s.json.%u", entry_media_id(patient->entry), revision);
        if (named && document_revision(named) >= revision)
            break;
        st = read_document(patient, name, &patient->document, diag);
        if (st != SEALTAPE_E_STATE)
            return st;
    }
    if (!named)
        return SEALTAPE_E_STATE;
    patient->document = TAKE(named);
    return SEALTAPE_OK;
}

static enum sealtape_status read_slots(struct patient *patient, struct diag *diag)
{
    char name[ENTRY_MEDIA_ID_SIZE + 16];
    enum sealtape_status st;
    char *bytes = NULL;
    size_t len = 0;

    name_of(patient, ".commit", name, sizeof(name));
    st = file_read(patient->directory, name, 16 * COMMIT_FILE_SIZE, &bytes, &len, diag);
    if (st == SEALTAPE_E_LIMIT || (st == SEALTAPE_E_IO && errno == ENOENT))
        return SEALTAPE_E_STATE;
    if (st != SEALTAPE_OK)
        return st;
    patient->was_synced = commit_was_synced((const uint8_t *)bytes, len);
    st = commit_parse((const uint8_t *)bytes, len, patient->slots, &patient->slots_count, diag);
    free(bytes);
    return st;
}

static enum sealtape_status digest_to(struct patient *patient, uint64_t end, struct diag *diag)
{
    uint8_t buffer[65536];
    enum sealtape_status st;
    size_t n;

    while (patient->digest.bytes < end) {
        uint64_t left = end - patient->digest.bytes;
        size_t want = left < sizeof(buffer) ? (size_t)left : sizeof(buffer);

        st = file_read_at(patient->bin_fd, buffer, want, patient->digest.bytes, &n);
        if (st != SEALTAPE_OK)
            return diag_fail(diag, st, ".bin: cannot read: %s", strerror(errno));
        if (n == 0)
            return diag_fail(diag, SEALTAPE_E_STATE, ".bin ends at %llu",
                    (unsigned long long)patient->digest.bytes);
        st = digest_update(&patient->digest, buffer, n);
        if (st != SEALTAPE_OK)
            return diag_fail(diag, st, "no memory for digests");
    }
    return SEALTAPE_OK;
}

/* The newest slot whose bytes are there; the digest then stands at its end. */
static enum sealtape_status choose_slot(
        struct patient *patient, struct commit_slot *ret_slot, struct diag *diag)
{
    uint8_t now[SHA256_DIGEST_SIZE];
    enum sealtape_status st;

    for (size_t i = 0; i < patient->slots_count; i++) {
        digest_clear(&patient->digest);
        st = digest_to(patient, patient->slots[i].offset, diag);
        if (st == SEALTAPE_E_MEMORY || st == SEALTAPE_E_IO)
            return st;
        if (st != SEALTAPE_OK)
            continue;
        digest_now(&patient->digest, now);
        if (memcmp(now, patient->slots[i].sha256, sizeof(now)) == 0) {
            *ret_slot = patient->slots[i];
            return SEALTAPE_OK;
        }
    }
    return diag_fail(diag, SEALTAPE_E_STATE,
            "no slot of the commit file fits the bytes of .bin: the disk has changed them");
}

/* --- closing -------------------------------------------------------------- */

static enum sealtape_status close_media(
        struct patient *patient, const struct commit_slot *slot, struct diag *diag)
{
    enum sealtape_status st;

    if (ftruncate(patient->bin_fd, (off_t)slot->offset) != 0
            || file_write_at(patient->bin_fd, slot->closing, slot->closing_len, slot->offset)
                       != SEALTAPE_OK)
        return diag_fail(diag, SEALTAPE_E_IO, ".bin: cannot close: %s", strerror(errno));
    st = digest_update(&patient->digest, slot->closing, slot->closing_len);
    if (st == SEALTAPE_OK)
        st = digest_end(&patient->digest);
    if (st != SEALTAPE_OK)
        return diag_fail(diag, st, "no memory for digests");
    return SEALTAPE_OK;
}

/* A document that was finished before the crash stands if it counts the very same bytes. */
static bool is_finished(const struct patient *patient, const uint8_t *sha256)
{
    const char *stated = document_sha256(patient->document);
    char hex[2 * SHA256_DIGEST_SIZE + 1];

    hex_encode(sha256, SHA256_DIGEST_SIZE, hex);
    return document_outcome(patient->document) && stated && strcmp(stated, hex) == 0;
}

static enum sealtape_status finish_document(struct patient *patient, const struct commit_slot *slot,
        bool *ret_interrupted, struct diag *diag)
{
    uint8_t sha256[SHA256_DIGEST_SIZE];
    struct document_final final;
    enum sealtape_status st;

    digest_now(&patient->digest, sha256);
    *ret_interrupted = false;
    if (is_finished(patient, sha256))
        return SEALTAPE_OK;
    *ret_interrupted = !slot->closed;
    final = (struct document_final){
            .outcome = "interrupted",
            .size = patient->digest.bytes,
            .plain_size = slot->plain_size,
            .duration_ms = slot->media_ms,
            .stop_utc_ms = slot->last_audio_utc_ms,
            .sha256 = sha256,
            .chunk_digests = patient->digest.chunks,
            .chunk_digests_count = patient->digest.chunks_count,
            .lost_bytes = slot->lost_bytes,
    };
    if (slot->closed)
        final.outcome = slot->lost_bytes ? "degraded" : slot->plain_size ? "complete" : "empty";
    st = document_finish(patient->document, &final);
    if (st != SEALTAPE_OK)
        return diag_fail(diag, st, "no memory for the document");
    return SEALTAPE_OK;
}

static unsigned newest_revision(const struct patient *patient)
{
    unsigned revision = document_revision(patient->document);

    return revision > patient->revisions ? revision : patient->revisions;
}

/* Document and slot as a closed recording has them, all of it durable. */
static enum sealtape_status save(
        struct patient *patient, struct commit_slot *slot, struct diag *diag)
{
    CLEANUP(file_close) int commit_fd = -1;
    char name[ENTRY_MEDIA_ID_SIZE + 32];
    enum sealtape_status st;
    char *text = NULL;
    size_t len = 0;

    if (patient->bin_fd >= 0 && fsync(patient->bin_fd) != 0)
        return diag_fail(diag, SEALTAPE_E_IO, ".bin: cannot sync: %s", strerror(errno));
    st = document_set_revision(patient->document, newest_revision(patient) + 1);
    if (st == SEALTAPE_OK)
        st = document_text(patient->document, &text, &len);
    if (st != SEALTAPE_OK)
        return diag_fail(diag, st, "no memory for the document");
    name_of(patient, ".json", name, sizeof(name));
    st = file_replace(patient->directory, name, text, len, 1, diag);
    free(text);
    for (unsigned r = 1; st == SEALTAPE_OK && r <= patient->revisions; r++) {
        (void)snprintf(name, sizeof(name), "%s.json.%u", entry_media_id(patient->entry), r);
        ignore(unlinkat(patient->directory, name, 0)); /* superseded */
    }
    if (st != SEALTAPE_OK || !slot)
        return st;
    slot->closed = true;
    slot->offset = patient->digest.bytes;
    slot->closing_len = 0;
    slot->sequence++;
    digest_now(&patient->digest, slot->sha256);
    name_of(patient, ".commit", name, sizeof(name));
    commit_fd = openat(patient->directory, name, O_WRONLY | O_CLOEXEC | O_NOFOLLOW);
    if (commit_fd < 0 || commit_write(commit_fd, COMMIT_FLUSHED, slot) != SEALTAPE_OK)
        return diag_fail(diag, SEALTAPE_E_IO, "%s: cannot write: %s", name, strerror(errno));
    return SEALTAPE_OK;
}

static enum sealtape_status open_files(struct patient *patient, const char *path, struct diag *diag)
{
    char name[ENTRY_MEDIA_ID_SIZE + 16];

    patient->directory = openat(folder_fd(entry_folder(patient->entry)), path,
            O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    if (patient->directory < 0)
        return diag_fail(diag, SEALTAPE_E_IO, "cannot open: %s", strerror(errno));
    name_of(patient, ".bin", name, sizeof(name));
    patient->bin_fd = openat(patient->directory, name, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
    if (patient->bin_fd < 0 && errno != ENOENT)
        return diag_fail(diag, SEALTAPE_E_IO, "%s: cannot open: %s", name, strerror(errno));
    return survey(patient, false, diag);
}

/* What is kept of a discarded one is its document. */
static enum sealtape_status discard(struct patient *patient, struct diag *diag)
{
    enum sealtape_status st = save(patient, NULL, diag);

    if (st == SEALTAPE_OK && patient->bin_fd >= 0 && ftruncate(patient->bin_fd, 0) != 0)
        st = diag_fail(diag, SEALTAPE_E_IO, ".bin: cannot empty: %s", strerror(errno));
    return st;
}

static enum sealtape_status heal(struct patient *patient, bool *ret_interrupted, struct diag *diag)
{
    struct commit_slot slot;
    enum sealtape_status st;
    const char *outcome;

    outcome = document_outcome(patient->document);
    if (outcome && strcmp(outcome, "discarded") == 0)
        return discard(patient, diag);
    if (patient->bin_fd < 0)
        return diag_fail(diag, SEALTAPE_E_STATE, ".bin is missing");
    st = choose_slot(patient, &slot, diag);
    if (st == SEALTAPE_OK)
        st = close_media(patient, &slot, diag);
    if (st == SEALTAPE_OK)
        st = finish_document(patient, &slot, ret_interrupted, diag);
    if (st == SEALTAPE_OK)
        st = save(patient, &slot, diag);
    return st;
}

/* --- states --------------------------------------------------------------- */

static void give_up(struct recovery *recovery, struct entry *entry, const struct diag *why)
{
    struct diag diag;

    log_line(SEALTAPE_LOG_ERROR, LOG_SPOOL_ENTRY_CORRUPT, entry_media_id(entry),
            "%s; it stands in %s/failed/", why->text, folder_path(recovery->folder));
    recovery->result.failed++;
    if (entry_fail(entry, why->text, &diag) != SEALTAPE_OK)
        log_line(SEALTAPE_LOG_ERROR, LOG_SPOOL_ENTRY_CORRUPT, entry_media_id(entry), "%s",
                diag.text);
}

/* The disk may be full, descriptors may be short: no reason to give up what stands there. */
static void defer(struct recovery *recovery, const struct entry *entry, const struct diag *why)
{
    recovery->result.deferred++;
    log_line(SEALTAPE_LOG_ERROR, LOG_SPOOL_DEFERRED, entry_media_id(entry),
            "%s; it stays where it is, and is tried again by the next process", why->text);
}

static void leave(struct recovery *recovery, const struct entry *entry, const struct diag *why)
{
    recovery->result.newer++;
    log_line(SEALTAPE_LOG_WARNING, LOG_SPOOL_NEWER_FORMAT, entry_media_id(entry),
            "%s; left untouched for a newer build", why->text);
}

static void offer(struct recovery *recovery, struct entry *entry, uint64_t size)
{
    entry_set_readable(entry, size);
    entry_set_complete(entry);
    recovery->result.bytes += size;
    folder_count_bytes(recovery->folder, (int64_t)size);
    if (entry_state(entry) == ENTRY_POSTED)
        recovery->result.posted++;
    else
        recovery->result.waiting++;
    recovery->offer(recovery->context, entry);
}

static enum sealtape_status see_number(struct recovery *recovery, const struct document *document)
{
    const char *epoch = document_epoch(document);

    if (!epoch || strcmp(epoch, folder_epoch(recovery->folder)) != 0)
        return SEALTAPE_OK;
    return folder_see_sequence(
            recovery->folder, document_tenant_dbid(document), document_sequence(document));
}

static enum sealtape_status recover_recording(
        struct recovery *recovery, struct patient *patient, const char *path, struct diag *diag)
{
    struct diag commit_diag = {.text = ""};
    enum sealtape_status st, commit_st;
    bool interrupted = false;

    st = open_files(patient, path, diag);
    if (st != SEALTAPE_OK)
        return st;
    commit_st = read_slots(patient, &commit_diag);
    if (commit_st != SEALTAPE_OK && commit_st != SEALTAPE_E_STATE)
        return diag_fail(diag, commit_st, "%s", commit_diag.text);
    st = find_document(patient, diag);
    if (st == SEALTAPE_OK)
        st = see_number(recovery, patient->document);
    if (st == SEALTAPE_OK)
        st = heal(patient, &interrupted, diag);
    /* Half of a recording that no round has covered: a power cut left it, nothing was promised. */
    if (st == SEALTAPE_E_STATE && !patient->was_synced) {
        log_line(SEALTAPE_LOG_WARNING, LOG_SPOOL_NEVER_DURABLE, entry_media_id(patient->entry),
                "began less than a sync interval before the power went; removed: %s", diag->text);
        return entry_remove(patient->entry, diag);
    }
    if (st == SEALTAPE_OK)
        st = survey(patient, true, diag);
    if (st == SEALTAPE_OK)
        st = entry_move(patient->entry, ENTRY_CLOSED, diag);
    if (st == SEALTAPE_OK && interrupted) {
        recovery->result.interrupted++;
        log_line(SEALTAPE_LOG_NOTICE, LOG_SPOOL_RECOVERED, entry_recording_id(patient->entry),
                "interrupted; %llu bytes of media are whole",
                (unsigned long long)patient->slots[0].plain_size);
    }
    return st;
}

/* An entry that was closed before: its document must be readable. A power cut may have kept the
 * change of state and not the names of the documents that it followed. */
static enum sealtape_status look_at(
        struct recovery *recovery, struct patient *patient, const char *path, struct diag *diag)
{
    struct diag commit_diag = {.text = ""};
    enum sealtape_status st;
    bool interrupted = false;

    st = open_files(patient, path, diag);
    if (st == SEALTAPE_OK)
        st = find_document(patient, diag);
    if (st == SEALTAPE_OK)
        st = see_number(recovery, patient->document);
    if (st != SEALTAPE_OK)
        return st;
    if (!document_outcome(patient->document)) {
        st = read_slots(patient, &commit_diag);
        if (st != SEALTAPE_OK)
            return diag_fail(diag, st, "%s", commit_diag.text);
        return heal(patient, &interrupted, diag);
    }
    return patient->revisions > 0 ? save(patient, NULL, diag) : SEALTAPE_OK;
}

static enum sealtape_status recover_entry(
        struct recovery *recovery, enum entry_state state, const char *media_id, struct diag *diag)
{
    CLEANUP(patient_clear) struct patient patient = {.directory = -1, .bin_fd = -1};
    CLEANUP(entry_release) struct entry *entry = NULL;
    char path[ENTRY_PATH_SIZE];
    enum sealtape_status st;
    struct stat stat;

    st = entry_new(recovery->folder, media_id, media_id, state, &entry);
    if (st == SEALTAPE_E_LIMIT)
        return SEALTAPE_OK; /* no name of ours */
    if (st != SEALTAPE_OK)
        return diag_fail(diag, st, "no memory to recover %s", media_id);
    digest_init(&patient.digest);
    patient.entry = entry;
    entry_path(entry, NULL, path);
    st = state == ENTRY_RECORDING ? recover_recording(recovery, &patient, path, diag)
                                  : look_at(recovery, &patient, path, diag);
    if (st == SEALTAPE_E_VERSION) {
        leave(recovery, entry, diag);
        return SEALTAPE_OK;
    }
    if (st == SEALTAPE_E_MEMORY)
        return st;
    if (st == SEALTAPE_E_IO) {
        defer(recovery, entry, diag);
        return SEALTAPE_OK;
    }
    if (st != SEALTAPE_OK) {
        give_up(recovery, entry, diag);
        return SEALTAPE_OK;
    }
    if (entry_state(entry) == ENTRY_GONE)
        return SEALTAPE_OK;
    entry_release(&entry);
    st = entry_new(recovery->folder, media_id, document_recording_id(patient.document),
            state == ENTRY_RECORDING ? ENTRY_CLOSED : state, &entry);
    if (st != SEALTAPE_OK)
        return diag_fail(diag, st, "no memory to recover %s", media_id);
    offer(recovery, entry,
            patient.bin_fd >= 0 && fstat(patient.bin_fd, &stat) == 0 ? (uint64_t)stat.st_size : 0);
    return SEALTAPE_OK;
}

/* <mediaId>.new was made by nobody who counted it, <mediaId>.gone was being deleted. */
static void remove_leftover(struct recovery *recovery, enum entry_state state, const char *name)
{
    char path[NAME_MAX + 32];

    (void)snprintf(path, sizeof(path), "%s/%s", entry_state_name(state), name);
    ignore(entry_remove_leftover(recovery->folder, path, NULL)); /* untidy, no more */
}

static enum sealtape_status recover_state(
        struct recovery *recovery, enum entry_state state, struct diag *diag)
{
    enum sealtape_status st = SEALTAPE_OK;
    struct dirent **found = NULL;
    int count;

    count = scandirat(
            folder_fd(recovery->folder), entry_state_name(state), &found, NULL, alphasort);
    if (count < 0)
        return diag_fail(diag, SEALTAPE_E_IO, "spool %s/%s: cannot list: %s",
                folder_path(recovery->folder), entry_state_name(state), strerror(errno));
    for (int i = 0; i < count; i++) {
        const char *name = found[i]->d_name;

        if (name[0] == '.')
            ; /* itself and its parent */
        else if (state == ENTRY_FAILED)
            recovery->result.failed++;
        else if (ends_with(name, ".new") || ends_with(name, ".gone"))
            remove_leftover(recovery, state, name);
        else if (st == SEALTAPE_OK)
            st = recover_entry(recovery, state, name, diag);
        free(found[i]);
    }
    free(found);
    return st;
}

enum sealtape_status recovery_run(struct folder *folder,
        void (*offer_entry)(void *context, struct entry *entry), void *context,
        struct recovery_result *ret_result, struct diag *diag)
{
    struct recovery recovery = {.folder = folder, .offer = offer_entry, .context = context};
    enum sealtape_status st = SEALTAPE_OK;
    struct diag own = {.text = ""};

    /* Reasons are written down even where the caller wants none. */
    if (!diag)
        diag = &own;
    /* Failed ones first: what fails in this run is not counted twice. Posted before closed, so
     * that numbers of all of them are known before anything is taken. */
    for (int s = ENTRY_FAILED; s >= ENTRY_RECORDING && st == SEALTAPE_OK; s--)
        st = recover_state(&recovery, (enum entry_state)s, diag);
    *ret_result = recovery.result;
    return st;
}
