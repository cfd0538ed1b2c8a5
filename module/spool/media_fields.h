/*
 * The fields of a media, for media.c and for rescue.c: nobody else.
 */
#ifndef SEALTAPE_SPOOL_MEDIA_FIELDS_H
#define SEALTAPE_SPOOL_MEDIA_FIELDS_H

#include <pthread.h>

#include "spool/digest.h"
#include "spool/media.h"

struct media {
    _Atomic unsigned shares;
    struct entry *entry;
    struct evidence *evidence;
    struct feed feed;
    _Atomic bool discard;
    _Atomic bool finished;
    _Atomic bool waiting, durable, closed;
    _Atomic uint64_t flushed;

    /* Guards the files and all that says what is in them. The writer never waits for it. */
    pthread_mutex_t files;
    int bin_fd, commit_fd;
    bool created;
    bool closing_written;
    bool emptied; /* discarded, and its document durable */
    uint64_t sequence;
    uint64_t evidence_version; /* that the document on disk shows */
    unsigned revision, revision_synced;
    unsigned revision_wanted; /* older ones may be lost: a sync of them failed */
    struct digest digest;
    struct commit_slot slot;   /* as last written to the flushed place */
    struct feed_point point;   /* that the slot describes */
    struct commit_slot synced; /* as of the last completed round */
    bool copy_owed;            /* a sync of its files failed */
    bool gap_owed;             /* `gap` is to become evidence */
    struct feed_mark gap;
    uint8_t first_closing[CIPHER_BLOCK_SIZE];
    const char *outcome;

    /* The writer's. */
    bool mark_taken; /* `mark` is out of the line, and no evidence yet */
    struct feed_mark mark;
    uint64_t paused_ns, pause_began_ns, losses_told;
    uint64_t waiting_since_ns;
};

/* The directory of its files, or -1. */
int media_open_directory(const struct media *media, struct diag *diag);
/* A new, empty file "<mediaId><suffix>", or -1. */
int media_create_file(
        const struct media *media, int directory, const char *suffix, struct diag *diag);

#endif
