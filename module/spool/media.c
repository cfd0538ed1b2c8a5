#include "spool/media.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/hex.h"
#include "spool/digest.h"
#include "spool/document.h"
#include "spool/media_fields.h"

/* Stretches of bytes that one write takes, and bytes that one flush writes before the next
 * recording has its turn. */
#define VECTORS_MAX 64
#define NS_PER_MS 1000000u

/* --- life ----------------------------------------------------------------- */

enum sealtape_status media_new(struct folder *folder, struct memory *memory,
        struct evidence *evidence, const uint8_t closing[CIPHER_BLOCK_SIZE],
        struct media **ret_media, struct diag *diag)
{
    struct media *media = aligned_alloc(64, sizeof(*media));
    enum sealtape_status st;

    if (!media)
        return diag_fail(diag, SEALTAPE_E_MEMORY, "no memory for a recording");
    memset(media, 0, sizeof(*media));
    st = entry_new(folder, evidence->texts[EVIDENCE_MEDIA_ID],
            evidence->texts[EVIDENCE_RECORDING_ID], ENTRY_RECORDING, &media->entry);
    if (st != SEALTAPE_OK) {
        free(media);
        return diag_fail(diag, st, "no memory for a recording");
    }
    media->shares = 1;
    media->evidence = evidence;
    media->bin_fd = media->commit_fd = -1;
    pthread_mutex_init(&media->files, NULL);
    digest_init(&media->digest);
    feed_init(&media->feed, memory, closing);
    memcpy(media->first_closing, closing, CIPHER_BLOCK_SIZE);
    *ret_media = media;
    return SEALTAPE_OK;
}

struct media *media_acquire(struct media *media)
{
    atomic_fetch_add(&media->shares, 1);
    return media;
}

void media_release(struct media **media)
{
    struct media *m = TAKE(*media);

    if (!m || atomic_fetch_sub(&m->shares, 1) != 1)
        return;
    feed_clear(&m->feed);
    file_close(&m->bin_fd);
    file_close(&m->commit_fd);
    digest_clear(&m->digest);
    evidence_free(&m->evidence);
    entry_release(&m->entry);
    pthread_mutex_destroy(&m->files);
    free(m);
}

void media_keep_evidence(struct media *media)
{
    media->evidence = NULL;
}

struct feed *media_feed(struct media *media)
{
    return &media->feed;
}

struct evidence *media_evidence(struct media *media)
{
    return media->evidence;
}

struct entry *media_entry(struct media *media)
{
    return media->entry;
}

void media_discard(struct media *media)
{
    atomic_store(&media->discard, true);
    entry_want_discard(media->entry);
}

bool media_finished(const struct media *media)
{
    return atomic_load(&media->finished);
}

uint64_t media_flushed(const struct media *media)
{
    return atomic_load(&media->flushed);
}

const char *media_outcome(const struct media *media)
{
    return media->outcome;
}

void media_sha256(const struct media *media, char ret_hex[65])
{
    hex_encode(media->slot.sha256, COMMIT_DIGEST_SIZE, ret_hex);
}

/* --- time ----------------------------------------------------------------- */

/* UTC of a monotonic moment. Counted from the start: a clock that jumps during a call does not
 * change how long it was. */
static int64_t utc_of(const struct media *media, uint64_t ns)
{
    const struct evidence *e = media->evidence;

    if (ns < e->start_ns)
        return e->start_utc_ms;
    return e->start_utc_ms + (int64_t)((ns - e->start_ns) / NS_PER_MS);
}

/* Media time: from the bytes where their rate is known, else elapsed less pauses. */
static uint64_t media_ms(
        const struct media *media, uint64_t plain_size, uint64_t header_bytes, uint64_t ns)
{
    const struct evidence *e = media->evidence;

    if (e->byte_rate)
        return (plain_size - header_bytes) * 1000 / e->byte_rate;
    if (ns <= e->start_ns + media->paused_ns)
        return 0;
    return (ns - e->start_ns - media->paused_ns) / NS_PER_MS;
}

/* --- evidence ------------------------------------------------------------- */

static enum sealtape_status take_mark(struct media *media, const struct feed_mark *mark)
{
    int64_t at = (int64_t)media_ms(media, mark->plain_size, mark->header_bytes, mark->ns);
    struct evidence *evidence = media->evidence;
    uint64_t paused;

    switch (mark->kind) {
    case FEED_MASK:
        return evidence_begin_span(evidence, false, at);
    case FEED_UNMASK:
        evidence_end_span(evidence, false, at, 0);
        return SEALTAPE_OK;
    case FEED_PAUSE:
        media->pause_began_ns = mark->ns;
        return evidence_begin_span(evidence, true, at);
    case FEED_RESUME:
        paused = mark->ns - media->pause_began_ns;
        media->paused_ns += paused;
        at = (int64_t)media_ms(media, mark->plain_size, mark->header_bytes, mark->ns);
        evidence_end_span(evidence, true, at, (int64_t)(paused / NS_PER_MS));
        return SEALTAPE_OK;
    case FEED_GAP:
        return evidence_add_gap(evidence, mark->plain_size, mark->bytes, utc_of(media, mark->ns));
    }
    return SEALTAPE_OK;
}

/* A mark that found no memory stays in hand for the next time. */
static enum sealtape_status take_marks(struct media *media)
{
    enum sealtape_status st = SEALTAPE_OK;

    if (media->gap_owed) {
        st = take_mark(media, &media->gap);
        media->gap_owed = st != SEALTAPE_OK;
    }
    while (st == SEALTAPE_OK && (media->mark_taken || feed_take_mark(&media->feed, &media->mark))) {
        st = take_mark(media, &media->mark);
        media->mark_taken = st != SEALTAPE_OK;
    }
    return st;
}

/* --- files ---------------------------------------------------------------- */

int media_open_directory(const struct media *media, struct diag *diag)
{
    char path[ENTRY_PATH_SIZE];
    int fd;

    entry_path(media->entry, NULL, path);
    fd = openat(folder_fd(entry_folder(media->entry)), path,
            O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0)
        ignore(diag_fail(diag, SEALTAPE_E_IO, "%s: cannot open: %s", path, strerror(errno)));
    return fd;
}

static enum sealtape_status build_document(struct media *media, struct document **ret_document,
        uint64_t *ret_version, struct diag *diag)
{
    struct folder *folder = entry_folder(media->entry);
    enum sealtape_status st;

    if (media->sequence == 0) {
        st = folder_take_sequence(folder, media->evidence->tenant_dbid, &media->sequence);
        if (st != SEALTAPE_OK)
            return diag_fail(diag, st, "no number for another tenant");
    }
    *ret_version = evidence_version(media->evidence);
    return document_build(
            media->evidence, folder_epoch(folder), media->sequence, ret_document, diag);
}

/* Write the document as the next revision: the first under its own name, later ones as
 * .json.<n> until a sync round has made them durable. */
static enum sealtape_status write_document(struct media *media, int directory,
        struct document *document, uint64_t version, struct diag *diag)
{
    unsigned revision = media->created ? media->revision + 1 : 0;
    char name[ENTRY_MEDIA_ID_SIZE + 32];
    enum sealtape_status st;
    char *text = NULL;
    size_t len = 0;

    st = document_set_revision(document, revision);
    if (st == SEALTAPE_OK)
        st = document_text(document, &text, &len);
    if (st != SEALTAPE_OK)
        return diag_fail(diag, st, "no memory for the document");
    if (revision > 0)
        (void)snprintf(name, sizeof(name), "%s.json.%u", entry_media_id(media->entry), revision);
    else
        (void)snprintf(name, sizeof(name), "%s.json", entry_media_id(media->entry));
    st = file_replace(directory, name, text, len, 0, diag);
    free(text);
    if (st != SEALTAPE_OK)
        return st;
    media->revision = revision;
    media->evidence_version = version;
    return SEALTAPE_OK;
}

int media_create_file(
        const struct media *media, int directory, const char *suffix, struct diag *diag)
{
    char name[ENTRY_MEDIA_ID_SIZE + 16];
    int fd;

    (void)snprintf(name, sizeof(name), "%s%s", entry_media_id(media->entry), suffix);
    fd = openat(directory, name, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        ignore(diag_fail(diag, SEALTAPE_E_IO, "%s: cannot create: %s", name, strerror(errno)));
    return fd;
}

static void slot_of(
        const struct media *media, const struct feed_point *point, struct commit_slot *ret_slot)
{
    *ret_slot = (struct commit_slot){
            .sequence = media->slot.sequence + 1,
            .offset = media->digest.bytes,
            .plain_size = point->plain_size,
            .lost_bytes = point->lost_bytes,
            .media_ms = media_ms(media, point->plain_size, point->header_bytes, point->audio_ns),
            .last_audio_utc_ms = utc_of(media, point->audio_ns),
            .closing_len = CIPHER_BLOCK_SIZE,
    };
    memcpy(ret_slot->closing, point->closing, CIPHER_BLOCK_SIZE);
    digest_now(&media->digest, ret_slot->sha256);
}

/* Document, empty .bin and a commit file that closes the empty message, in a directory that
 * has not got its name yet. */
static enum sealtape_status fill_directory(struct media *media, int directory, struct diag *diag)
{
    CLEANUP(document_free) struct document *document = NULL;
    uint8_t image[COMMIT_FILE_SIZE];
    struct feed_point empty = {0};
    enum sealtape_status st;
    struct commit_slot slot;
    uint64_t version;

    st = build_document(media, &document, &version, diag);
    if (st == SEALTAPE_OK)
        st = write_document(media, directory, document, version, diag);
    if (st != SEALTAPE_OK)
        return st;
    media->commit_fd = media_create_file(media, directory, ".commit", diag);
    media->bin_fd = media_create_file(media, directory, ".bin", diag);
    if (media->commit_fd < 0 || media->bin_fd < 0)
        return SEALTAPE_E_IO;
    memcpy(empty.closing, media->first_closing, CIPHER_BLOCK_SIZE);
    slot_of(media, &empty, &slot);
    commit_image(&slot, image);
    if (file_write_at(media->commit_fd, image, sizeof(image), 0) != SEALTAPE_OK)
        return diag_fail(diag, SEALTAPE_E_IO, "commit file: cannot write: %s", strerror(errno));
    media->slot = media->synced = slot;
    return SEALTAPE_OK;
}

/* The files are made in recording/<mediaId>.new, which then gets its name: what a crash leaves
 * of it is told from a recording at once. */
static enum sealtape_status create_files(struct media *media, struct diag *diag)
{
    CLEANUP(file_close) int directory = -1;
    char path[ENTRY_PATH_SIZE], temporary[ENTRY_PATH_SIZE + 8];
    int fd = folder_fd(entry_folder(media->entry));
    enum sealtape_status st;

    entry_path(media->entry, NULL, path);
    (void)snprintf(temporary, sizeof(temporary), "%s.new", path);
    if (mkdirat(fd, temporary, 0700) != 0 && errno != EEXIST)
        return diag_fail(diag, SEALTAPE_E_IO, "%s: cannot make: %s", temporary, strerror(errno));
    directory = openat(fd, temporary, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    if (directory < 0)
        return diag_fail(diag, SEALTAPE_E_IO, "%s: cannot open: %s", temporary, strerror(errno));
    st = fill_directory(media, directory, diag);
    if (st == SEALTAPE_OK && renameat(fd, temporary, fd, path) != 0)
        st = diag_fail(diag, SEALTAPE_E_IO, "%s: cannot name it: %s", path, strerror(errno));
    if (st != SEALTAPE_OK) {
        file_close(&media->bin_fd);
        file_close(&media->commit_fd);
        media->slot = (struct commit_slot){0};
        return st;
    }
    media->created = true;
    return SEALTAPE_OK;
}

/* --- flushing ------------------------------------------------------------- */

/* Take @len written bytes out of the feed and into the digest. */
static enum sealtape_status account(struct media *media, const struct iovec *vectors, size_t len)
{
    size_t left = len;

    for (size_t i = 0; left > 0; i++) {
        size_t n = vectors[i].iov_len < left ? vectors[i].iov_len : left;
        enum sealtape_status st = digest_update(&media->digest, vectors[i].iov_base, n);

        if (st != SEALTAPE_OK) {
            feed_consume(&media->feed, len - left);
            return st;
        }
        left -= n;
    }
    feed_consume(&media->feed, len);
    return SEALTAPE_OK;
}

static enum sealtape_status write_bytes(struct media *media, uint64_t end, struct diag *diag)
{
    struct iovec vectors[VECTORS_MAX];
    enum sealtape_status st;

    while (media->digest.bytes < end) {
        int count = feed_peek(&media->feed, end, vectors, VECTORS_MAX);
        ssize_t n = pwritev(media->bin_fd, vectors, count, (off_t)media->digest.bytes);

        if (n < 0 && errno == EINTR)
            continue;
        if (n == 0)
            errno = ENOSPC;
        if (n <= 0)
            return diag_fail(diag, SEALTAPE_E_IO, "cannot write: %s", strerror(errno));
        folder_count_bytes(entry_folder(media->entry), n);
        st = account(media, vectors, (size_t)n);
        if (st != SEALTAPE_OK)
            return diag_fail(diag, st, "no memory for digests");
        atomic_store(&media->flushed, media->digest.bytes);
    }
    return SEALTAPE_OK;
}

static enum sealtape_status write_slot(
        struct media *media, const struct commit_slot *slot, struct diag *diag)
{
    if (commit_write(media->commit_fd, COMMIT_FLUSHED, slot) != SEALTAPE_OK)
        return diag_fail(diag, SEALTAPE_E_IO, "commit file: cannot write: %s", strerror(errno));
    media->slot = *slot;
    return SEALTAPE_OK;
}

static enum sealtape_status write_evidence(struct media *media, struct diag *diag)
{
    CLEANUP(document_free) struct document *document = NULL;
    CLEANUP(file_close) int directory = -1;
    enum sealtape_status st;
    uint64_t version;

    directory = media_open_directory(media, diag);
    if (directory < 0)
        return SEALTAPE_E_IO;
    st = build_document(media, &document, &version, diag);
    if (st != SEALTAPE_OK)
        return st;
    return write_document(media, directory, document, version, diag);
}

static const char *outcome_of(struct media *media, const struct feed_point *point)
{
    if (media->evidence->gaps_count > 0 || point->lost_bytes > 0)
        return "degraded";
    return point->plain_size == 0 ? "empty" : "complete";
}

static enum sealtape_status finish_document(
        struct media *media, const struct feed_point *point, struct document *document)
{
    struct commit_slot slot;
    struct document_final final;

    if (atomic_load(&media->discard))
        return document_discard(document, utc_of(media, clock_monotonic_ns()));
    slot_of(media, point, &slot);
    media->outcome = outcome_of(media, point);
    final = (struct document_final){
            .outcome = media->outcome,
            .size = media->digest.bytes,
            .plain_size = point->plain_size,
            .duration_ms = slot.media_ms,
            .stop_utc_ms = utc_of(media, clock_monotonic_ns()),
            .sha256 = slot.sha256,
            .chunk_digests = media->digest.chunks,
            .chunk_digests_count = media->digest.chunks_count,
            .lost_bytes = point->lost_bytes,
    };
    return document_finish(document, &final);
}

static enum sealtape_status write_closing(
        struct media *media, const struct feed_point *point, struct diag *diag)
{
    enum sealtape_status st;

    /* A discarded one is closed too: until its document is durable it must be a message. */
    if (media->closing_written)
        return SEALTAPE_OK;
    if (file_write_at(media->bin_fd, point->closing, CIPHER_BLOCK_SIZE, media->digest.bytes)
            != SEALTAPE_OK)
        return diag_fail(diag, SEALTAPE_E_IO, "cannot write: %s", strerror(errno));
    st = digest_update(&media->digest, point->closing, CIPHER_BLOCK_SIZE);
    if (st == SEALTAPE_OK)
        st = digest_end(&media->digest);
    if (st != SEALTAPE_OK)
        return diag_fail(diag, st, "no memory for digests");
    media->closing_written = true;
    folder_count_bytes(entry_folder(media->entry), CIPHER_BLOCK_SIZE);
    atomic_store(&media->flushed, media->digest.bytes);
    return SEALTAPE_OK;
}

/* The end: closing bytes, then the document that counts them, then the slot that says so. */
static enum sealtape_status finish(
        struct media *media, const struct feed_point *point, struct diag *diag)
{
    CLEANUP(document_free) struct document *document = NULL;
    CLEANUP(file_close) int directory = -1;
    enum sealtape_status st;
    struct commit_slot slot;
    uint64_t version;

    st = write_closing(media, point, diag);
    if (st != SEALTAPE_OK)
        return st;
    directory = media_open_directory(media, diag);
    if (directory < 0)
        return SEALTAPE_E_IO;
    st = build_document(media, &document, &version, diag);
    if (st == SEALTAPE_OK)
        st = finish_document(media, point, document);
    if (st == SEALTAPE_OK)
        st = write_document(media, directory, document, version, diag);
    if (st != SEALTAPE_OK)
        return st;
    slot_of(media, point, &slot);
    slot.closed = true;
    slot.closing_len = 0;
    st = write_slot(media, &slot, diag);
    if (st != SEALTAPE_OK)
        return st;
    media->outcome = atomic_load(&media->discard) ? "discarded" : media->outcome;
    entry_set_readable(media->entry, atomic_load(&media->discard) ? 0 : media->digest.bytes);
    entry_set_complete(media->entry);
    atomic_store(&media->finished, true);
    return SEALTAPE_OK;
}

static bool has_moved(const struct media *media, const struct feed_point *point)
{
    const struct feed_point *old = &media->point;

    return point->end != old->end || point->plain_size != old->plain_size
           || point->lost_bytes != old->lost_bytes || point->audio_ns != old->audio_ns;
}

static enum sealtape_status flush(struct media *media, bool *ret_changed, struct diag *diag)
{
    enum sealtape_status st;
    struct feed_point point;
    struct commit_slot slot;

    feed_get_point(&media->feed, &point);
    if (!media->created) {
        st = create_files(media, diag);
        if (st != SEALTAPE_OK)
            return st;
        *ret_changed = true;
    }
    st = take_marks(media);
    if (st != SEALTAPE_OK)
        return diag_fail(diag, st, "no memory for evidence");
    if (media->evidence_version != evidence_version(media->evidence) && !point.ended) {
        st = write_evidence(media, diag);
        if (st != SEALTAPE_OK)
            return st;
        *ret_changed = true;
    }
    if (has_moved(media, &point)) {
        st = write_bytes(media, point.end, diag);
        if (st != SEALTAPE_OK)
            return st;
        media->point = point;
        slot_of(media, &point, &slot);
        st = write_slot(media, &slot, diag);
        if (st != SEALTAPE_OK)
            return st;
        entry_set_readable(media->entry, media->digest.bytes);
        *ret_changed = true;
    }
    if (!point.ended)
        return SEALTAPE_OK;
    *ret_changed = true;
    return finish(media, &point, diag);
}

enum sealtape_status media_flush(struct media *media, bool *ret_changed, struct diag *diag)
{
    enum sealtape_status st;

    *ret_changed = false;
    if (media_finished(media))
        return SEALTAPE_OK;
    if (pthread_mutex_trylock(&media->files) != 0)
        return SEALTAPE_E_AGAIN;
    st = flush(media, ret_changed, diag);
    pthread_mutex_unlock(&media->files);
    if (st != SEALTAPE_OK)
        diag_prefix(diag, "%s: ", entry_media_id(media->entry));
    return st;
}

uint64_t media_unflushed_ns(struct media *media, uint64_t now_ns)
{
    struct feed_point point;

    feed_get_point(&media->feed, &point);
    if (point.plain_size == media->slot.plain_size) {
        media->waiting_since_ns = 0;
        return 0;
    }
    if (media->waiting_since_ns == 0)
        media->waiting_since_ns = now_ns;
    return now_ns - media->waiting_since_ns;
}

uint64_t media_new_losses(struct media *media)
{
    struct feed_point point;
    uint64_t news;

    feed_get_point(&media->feed, &point);
    news = point.lost_bytes - media->losses_told;
    media->losses_told = point.lost_bytes;
    return news;
}

bool media_begin_wait(struct media *media)
{
    return !atomic_exchange(&media->waiting, true);
}

void media_end_wait(struct media *media)
{
    atomic_store(&media->waiting, false);
}

bool media_set_durable(struct media *media)
{
    return !atomic_exchange(&media->durable, true);
}

void media_set_closed(struct media *media)
{
    atomic_store(&media->closed, true);
}

bool media_is_closed(const struct media *media)
{
    return atomic_load(&media->closed);
}

/* --- syncing -------------------------------------------------------------- */

bool media_snapshot(struct media *media, struct media_snapshot *ret_snapshot)
{
    bool created;

    pthread_mutex_lock(&media->files);
    created = media->created;
    *ret_snapshot = (struct media_snapshot){
            .slot = media->slot, .revision = media->revision, .finished = media_finished(media)};
    pthread_mutex_unlock(&media->files);
    return created;
}

/* Its document is durable, and says that nothing is kept. */
static enum sealtape_status empty_media(struct media *media, struct diag *diag)
{
    if (media->emptied)
        return SEALTAPE_OK;
    if (ftruncate(media->bin_fd, 0) != 0)
        return diag_fail(diag, SEALTAPE_E_IO, "%s: cannot empty: %s", entry_media_id(media->entry),
                strerror(errno));
    folder_count_bytes(entry_folder(media->entry), -(int64_t)media->digest.bytes);
    media->emptied = true;
    return SEALTAPE_OK;
}

static enum sealtape_status name_document(struct media *media, unsigned revision, struct diag *diag)
{
    char from[ENTRY_PATH_SIZE], to[ENTRY_PATH_SIZE], suffix[32];
    int fd = folder_fd(entry_folder(media->entry));

    (void)snprintf(suffix, sizeof(suffix), ".json.%u", revision);
    entry_path(media->entry, suffix, from);
    entry_path(media->entry, ".json", to);
    if (renameat(fd, from, fd, to) != 0)
        return diag_fail(diag, SEALTAPE_E_IO, "%s: cannot rename: %s", from, strerror(errno));
    for (unsigned older = media->revision_synced + 1; older < revision; older++) {
        (void)snprintf(suffix, sizeof(suffix), ".json.%u", older);
        entry_path(media->entry, suffix, from);
        /* Recovery takes the highest revision; an old one that stays is only untidy. */
        ignore(unlinkat(fd, from, 0));
    }
    media->revision_synced = revision;
    return SEALTAPE_OK;
}

enum sealtape_status media_synced(
        struct media *media, const struct media_snapshot *snapshot, struct diag *diag)
{
    enum sealtape_status st = SEALTAPE_OK;

    if (snapshot->revision > media->revision_synced)
        st = name_document(media, snapshot->revision, diag);
    if (st != SEALTAPE_OK)
        return st;
    if (commit_write(media->commit_fd, COMMIT_SYNCED, &snapshot->slot) != SEALTAPE_OK)
        return diag_fail(diag, SEALTAPE_E_IO, "%s: commit file: cannot write: %s",
                entry_media_id(media->entry), strerror(errno));
    media->synced = snapshot->slot;
    if (snapshot->finished && atomic_load(&media->discard))
        return empty_media(media, diag);
    return SEALTAPE_OK;
}
