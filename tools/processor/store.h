/*
 * The processor's database: documents, their revisions, and the terms by which
 * they are found. The one home of SQLite.
 *
 * A store belongs to one thread at a time. One store writes; any number read
 * beside it. What store_apply() has answered SEALTAPE_OK for is on disk.
 *
 * Failures have two kinds:
 *
 *   SEALTAPE_E_AGAIN  not now: busy, disk full, not writable; nothing changed
 *   SEALTAPE_E_IO     the database is damaged, or SQLite does not do what it
 *                     should
 */
#ifndef SEALTAPE_PROCESSOR_STORE_H
#define SEALTAPE_PROCESSOR_STORE_H

#include "processor/document.h"
#include "processor/query.h"

struct store;

enum store_mode {
    STORE_READS,
    STORE_WRITES /* makes the database if there is none */
};

/* What became of a change. */
enum store_outcome {
    STORE_CREATED,   /* a new document, revision 1 */
    STORE_SAME,      /* known already; nothing changed */
    STORE_JOINED,    /* new media files joined it: a new revision */
    STORE_REPLACED,  /* a new revision */
    STORE_CONFLICT,  /* other content under a known mediaId; nothing changed */
    STORE_TOO_LARGE, /* the joined document would pass a limit; nothing changed */
    STORE_STALE,     /* no If-Match value names the current revision; nothing changed */
    STORE_MISSING    /* there is no such document to replace */
};

/* One document to be taken in. */
struct change {
    const char *ccid;
    const struct document *document;
    /*
     * The field If-Match (RFC 9110, 13.1.1) of a replacement; NULL: a
     * submission.
     */
    const char *if_match;

    /* Set by store_apply(): the first says whether the rest is. */
    enum sealtape_status status;
    enum store_outcome outcome;
    int64_t revision;
    struct diag diag;
};

/* A part of a look-up's answer. */
struct page {
    char *text; /* {"recordings":[...],"next":...}, owned by the caller */
    size_t text_len;
};

/* One document as it was. */
struct version {
    int64_t revision; /* 0: there is none */
    char *text;       /* owned by the caller */
    size_t text_len;
};

/*
 * Open a database. [setup]
 *
 *   SEALTAPE_E_VERSION  of a newer Sealtape, or not ours; left untouched
 *   SEALTAPE_E_AGAIN, SEALTAPE_E_IO
 */
enum sealtape_status store_open(const char *path, enum store_mode mode, struct store **ret_store,
        struct diag *diag) MUST_CHECK;

void store_close(struct store **store);

/*
 * Take in documents in one transaction, synced once. [writer]
 *
 * Where the transaction fails, each change is tried in one of its own, so that
 * one that cannot be stored does not hold up the others. Every change gets its
 * own status.
 */
void store_apply(struct store *store, struct change *const *changes, size_t count);

/* Read a document; @revision 0: the current one. [any, waits for disk] */
enum sealtape_status store_read(struct store *store, const char *ccid, const char *id,
        int64_t revision, struct version *ret_version, struct diag *diag) MUST_CHECK;

/*
 * {"id":...,"revisions":[{"revision":1,"receivedTime":...}]}; NULL: no such
 * document.
 */
enum sealtape_status store_revisions(struct store *store, const char *ccid, const char *id,
        json_t **ret_revisions, struct diag *diag) MUST_CHECK;

/*
 * One page of a look-up, in the order of startTime. [any, waits for disk]
 *
 * A page ends early when it has grown to some MiB; `next` goes on from there.
 */
enum sealtape_status store_list(struct store *store, const char *ccid, const struct query *query,
        struct page *ret_page, struct diag *diag) MUST_CHECK;

/* The SQL of a look-up, so that a test can ask for its plan. [any] */
#define STORE_LIST_SQL_SIZE 2048
void store_list_sql(const struct query *query, char ret_sql[STORE_LIST_SQL_SIZE]);

/* That the database answers. [any, waits for disk] */
enum sealtape_status store_check(struct store *store, struct diag *diag) MUST_CHECK;

#endif
