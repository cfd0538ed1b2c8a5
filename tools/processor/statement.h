/*
 * SQLite underneath the store: opening, schema, prepared statements, and what
 * its result codes mean. Only store files include this.
 */
#ifndef SEALTAPE_PROCESSOR_STATEMENT_H
#define SEALTAPE_PROCESSOR_STATEMENT_H

#include <sqlite3.h>

#include "processor/store.h"

/* Index into the prepared statements. */
enum statement {
    STATEMENT_BEGIN,
    STATEMENT_COMMIT,
    STATEMENT_ROLLBACK,
    STATEMENT_CENTER_ADD,
    STATEMENT_FIND,
    STATEMENT_SEEN,
    STATEMENT_SEEN_ADD,
    STATEMENT_RECORDING_ADD,
    STATEMENT_RECORDING_SET,
    STATEMENT_REVISION_ADD,
    STATEMENT_TERM_ADD,
    STATEMENT_TERMS_DROP,
    STATEMENT_READ,
    STATEMENT_READ_OLD,
    STATEMENT_REVISIONS,
    STATEMENT_CHECK,
    STATEMENT_COUNT
};

struct store {
    sqlite3 *db;
    sqlite3_stmt *statements[STATEMENT_COUNT];
};

/*
 * The largest value that SQLite may have to hold: a document and its
 * bookkeeping.
 */
#define STATEMENT_VALUE_MAX ((int)(DOCUMENT_BYTES_MAX + 4096))

/* Turn SQLite's last result into a status and a reason. */
enum sealtape_status statement_fail(sqlite3 *db, const char *doing, struct diag *diag);

/* A statement, ready to be bound; NULL: it cannot be prepared. */
sqlite3_stmt *statement_ready(struct store *store, enum statement statement);

/* Run a bound statement that answers no rows, and reset it. */
enum sealtape_status statement_run(
        struct store *store, sqlite3_stmt *stmt, const char *doing, struct diag *diag) MUST_CHECK;

/*
 * A cleanup handler: leaves the statement ready for the next, and its lock
 * released.
 */
void statement_reset(sqlite3_stmt **stmt);

#endif
