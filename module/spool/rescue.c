/*
 * After a sync that failed: what Linux does with pages that it could not write
 * is to forget them and to tell so once. So nothing that failed is synced
 * again; it is written anew, to another file.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "spool/media_fields.h"

bool media_is_doubtful(struct media *media)
{
    bool doubtful;

    pthread_mutex_lock(&media->files);
    doubtful = media->copy_owed || media->revision < media->revision_wanted;
    pthread_mutex_unlock(&media->files);
    return doubtful;
}

/* Copy .bin up to @end through the digest. */
static enum sealtape_status copy_to(
        const struct media *media, int to, uint64_t end, struct digest *digest, struct diag *diag)
{
    uint8_t buffer[65536];
    enum sealtape_status st;
    size_t n = 0;

    while (digest->bytes < end) {
        uint64_t left = end - digest->bytes;
        size_t want = left < sizeof(buffer) ? (size_t)left : sizeof(buffer);

        st = file_read_at(media->bin_fd, buffer, want, digest->bytes, &n);
        if (st != SEALTAPE_OK || n != want) {
            /* Unreadable: zeros keep the offsets, and the gap says that they are none of ours. */
            memset(buffer, 0, want);
        }
        if (file_write_at(to, buffer, want, digest->bytes) != SEALTAPE_OK)
            return diag_fail(diag, SEALTAPE_E_IO, "cannot copy: %s", strerror(errno));
        st = digest_update(digest, buffer, want);
        if (st != SEALTAPE_OK)
            return diag_fail(diag, st, "no memory for digests");
    }
    return SEALTAPE_OK;
}

/* The whole copy. @ret_slot is the slot that fits it; *ret_same: the disk gave back what was
 * written. */
static enum sealtape_status copy_media(const struct media *media, int to, struct digest *digest,
        struct commit_slot *ret_slot, bool *ret_same, struct diag *diag)
{
    uint8_t now[SHA256_DIGEST_SIZE], then[SHA256_DIGEST_SIZE];
    enum sealtape_status st;

    *ret_slot = media->slot;
    st = copy_to(media, to, media->slot.offset, digest, diag);
    if (st != SEALTAPE_OK)
        return st;
    digest_now(digest, ret_slot->sha256);
    st = copy_to(media, to, media->digest.bytes, digest, diag);
    if (st == SEALTAPE_OK && media->closing_written)
        st = digest_end(digest);
    if (st != SEALTAPE_OK)
        return st;
    digest_now(digest, now);
    digest_now(&media->digest, then);
    *ret_same = memcmp(now, then, sizeof(now)) == 0;
    return SEALTAPE_OK;
}

static enum sealtape_status take_name(
        const struct media *media, const char *from_suffix, const char *suffix, struct diag *diag)
{
    char from[ENTRY_PATH_SIZE], to[ENTRY_PATH_SIZE];
    int fd = folder_fd(entry_folder(media->entry));

    entry_path(media->entry, from_suffix, from);
    entry_path(media->entry, suffix, to);
    if (renameat(fd, from, fd, to) != 0)
        return diag_fail(diag, SEALTAPE_E_IO, "%s: cannot rename: %s", from, strerror(errno));
    return SEALTAPE_OK;
}

/* Somewhere behind what was durable the bytes are not those that were written. */
static void owe_gap(struct media *media)
{
    uint64_t from = media->synced.plain_size, to = media->slot.plain_size;

    if (from >= to)
        from = 0;
    media->gap = (struct feed_mark){
            .kind = FEED_GAP, .plain_size = from, .bytes = to - from, .ns = clock_monotonic_ns()};
    media->gap_owed = true;
    /* An ended one is finished anew, by the digests as they are now. */
    atomic_store(&media->finished, false);
}

/* New .bin and .commit in place of the old ones, their bytes durable. */
static enum sealtape_status replace_files(
        struct media *media, int directory, struct digest *digest, struct diag *diag)
{
    CLEANUP(file_close) int bin = media_create_file(media, directory, ".bin.new", diag);
    CLEANUP(file_close) int commit = media_create_file(media, directory, ".commit.new", diag);
    uint8_t image[COMMIT_FILE_SIZE];
    enum sealtape_status st;
    struct commit_slot slot;
    bool same = true;

    if (bin < 0 || commit < 0)
        return SEALTAPE_E_IO;
    st = copy_media(media, bin, digest, &slot, &same, diag);
    if (st != SEALTAPE_OK)
        return st;
    commit_image(&slot, image);
    if (file_write_at(commit, image, sizeof(image), 0) != SEALTAPE_OK || fsync(bin) != 0
            || fsync(commit) != 0)
        return diag_fail(diag, SEALTAPE_E_IO, "cannot copy: %s", strerror(errno));
    st = take_name(media, ".bin.new", ".bin", diag);
    if (st == SEALTAPE_OK)
        st = take_name(media, ".commit.new", ".commit", diag);
    if (st != SEALTAPE_OK)
        return st;
    file_close(&media->bin_fd);
    file_close(&media->commit_fd);
    media->bin_fd = bin;
    media->commit_fd = commit;
    bin = commit = -1;
    /* The rest is as it was, and the writer may be reading it. */
    memcpy(media->slot.sha256, slot.sha256, sizeof(slot.sha256));
    if (!same)
        owe_gap(media);
    return SEALTAPE_OK;
}

static enum sealtape_status copy_files(struct media *media, int directory, struct diag *diag)
{
    enum sealtape_status st;
    struct digest digest;

    digest_init(&digest);
    st = replace_files(media, directory, &digest, diag);
    if (st != SEALTAPE_OK) {
        digest_clear(&digest);
        return st;
    }
    digest_clear(&media->digest);
    media->digest = digest;
    media->copy_owed = false;
    return SEALTAPE_OK;
}

/* A document whose sync fails is not synced again: the writer makes the next revision. */
static enum sealtape_status sync_document(struct media *media, int directory, struct diag *diag)
{
    CLEANUP(file_close) int fd = -1;
    char name[ENTRY_MEDIA_ID_SIZE + 32];

    if (media->revision < media->revision_wanted)
        return diag_fail(diag, SEALTAPE_E_IO, "the document is to be written again");
    if (media->revision > media->revision_synced)
        (void)snprintf(
                name, sizeof(name), "%s.json.%u", entry_media_id(media->entry), media->revision);
    else
        (void)snprintf(name, sizeof(name), "%s.json", entry_media_id(media->entry));
    fd = openat(directory, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd >= 0 && fsync(fd) == 0)
        return SEALTAPE_OK;
    media->revision_wanted = media->revision + 1;
    media->evidence_version = 0;
    atomic_store(&media->finished, false);
    return diag_fail(diag, SEALTAPE_E_IO, "%s: cannot sync: %s", name, strerror(errno));
}

static enum sealtape_status rescue(struct media *media, struct diag *diag)
{
    CLEANUP(file_close) int directory = -1;
    CLEANUP(file_close) int parent = -1;
    enum sealtape_status st = SEALTAPE_OK;

    directory = media_open_directory(media, diag);
    if (directory < 0)
        return SEALTAPE_E_IO;
    if (!media->copy_owed)
        media->copy_owed = fsync(media->bin_fd) != 0 || fsync(media->commit_fd) != 0;
    if (media->copy_owed)
        st = copy_files(media, directory, diag);
    if (st == SEALTAPE_OK)
        st = sync_document(media, directory, diag);
    if (st != SEALTAPE_OK)
        return st;
    parent = openat(directory, "..", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (parent < 0 || file_sync_dir(directory) != SEALTAPE_OK
            || file_sync_dir(parent) != SEALTAPE_OK)
        return diag_fail(diag, SEALTAPE_E_IO, "cannot sync the directory: %s", strerror(errno));
    return SEALTAPE_OK;
}

enum sealtape_status media_rescue(
        struct media *media, struct media_snapshot *ret_snapshot, struct diag *diag)
{
    enum sealtape_status st;

    pthread_mutex_lock(&media->files);
    st = rescue(media, diag);
    if (st == SEALTAPE_OK)
        *ret_snapshot = (struct media_snapshot){.slot = media->slot,
                .revision = media->revision,
                .finished = media_finished(media)};
    pthread_mutex_unlock(&media->files);
    if (st != SEALTAPE_OK)
        diag_prefix(diag, "%s: ", entry_media_id(media->entry));
    return st;
}
