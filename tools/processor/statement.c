#include "processor/statement.h"

#include <stdlib.h>
#include <string.h>

/*
 * Schema 1. All text is UTF-8, all times milliseconds since 1970.
 *
 *   center      a contact center, by the ccid of the path
 *   recording   a document: its current revision, and the start by which it
 *               sorts
 *   revision    every document that there was; none is ever changed or removed
 *   submission  digests of what was posted, so that the same again is
 *               recognized after other media files have joined
 *   term        values of the current revision by which it is found
 */
#define SCHEMA_VERSION 1
/* "SLTP": says whose file it is. */
#define SCHEMA_APPLICATION 0x534c5450
#define SCHEMA_TEXT_OF(x) #x
#define SCHEMA_TEXT(x) SCHEMA_TEXT_OF(x)

#define BUSY_TIMEOUT_MS 5000

static const char schema[] =
        "CREATE TABLE center(number INTEGER PRIMARY KEY, ccid TEXT NOT NULL UNIQUE);"
        "CREATE TABLE recording(number INTEGER PRIMARY KEY,"
        " center INTEGER NOT NULL REFERENCES center(number), id TEXT NOT NULL,"
        " revision INTEGER NOT NULL, start_ms INTEGER NOT NULL, UNIQUE(center, id));"
        "CREATE INDEX recording_start ON recording(center, start_ms, number);"
        "CREATE TABLE revision(recording INTEGER NOT NULL REFERENCES recording(number),"
        " revision INTEGER NOT NULL, received_ms INTEGER NOT NULL, document TEXT NOT NULL,"
        " UNIQUE(recording, revision));"
        "CREATE TABLE submission(recording INTEGER NOT NULL REFERENCES recording(number),"
        " digest BLOB NOT NULL, PRIMARY KEY(recording, digest)) WITHOUT ROWID;"
        "CREATE TABLE term(center INTEGER NOT NULL, kind INTEGER NOT NULL, value TEXT NOT NULL,"
        " start_ms INTEGER NOT NULL, recording INTEGER NOT NULL REFERENCES recording(number),"
        " PRIMARY KEY(center, kind, value, start_ms, recording)) WITHOUT ROWID;"
        "CREATE INDEX term_recording ON term(recording);"
        "PRAGMA application_id = " SCHEMA_TEXT(
                SCHEMA_APPLICATION) ";"
                                    "PRAGMA user_version = " SCHEMA_TEXT(SCHEMA_VERSION) ";";

#define CENTER_OF_1 "(SELECT number FROM center WHERE ccid = ?1)"

static const char *const texts[STATEMENT_COUNT] = {
        [STATEMENT_BEGIN] = "BEGIN IMMEDIATE",
        [STATEMENT_COMMIT] = "COMMIT",
        [STATEMENT_ROLLBACK] = "ROLLBACK",
        [STATEMENT_CENTER_ADD] = "INSERT OR IGNORE INTO center(ccid) VALUES(?1)",
        [STATEMENT_FIND] = "SELECT r.number, r.revision, v.document FROM recording r"
                           " JOIN revision v ON v.recording = r.number AND v.revision = r.revision"
                           " WHERE r.center = " CENTER_OF_1 " AND r.id = ?2",
        [STATEMENT_SEEN] = "SELECT 1 FROM submission WHERE recording = ?1 AND digest = ?2",
        [STATEMENT_SEEN_ADD] = "INSERT OR IGNORE INTO submission(recording, digest) VALUES(?1, ?2)",
        [STATEMENT_RECORDING_ADD] = "INSERT INTO recording(center, id, revision, start_ms)"
                                    " VALUES(" CENTER_OF_1 ", ?2, 1, ?3)",
        [STATEMENT_RECORDING_SET] =
                "UPDATE recording SET revision = ?2, start_ms = ?3 WHERE number = ?1",
        [STATEMENT_REVISION_ADD] =
                "INSERT INTO revision(recording, revision, received_ms, document)"
                " VALUES(?1, ?2, ?3, ?4)",
        [STATEMENT_TERM_ADD] =
                "INSERT OR IGNORE INTO term(recording, center, kind, value, start_ms)"
                " SELECT number, center, ?2, ?3, start_ms FROM recording WHERE number = ?1",
        [STATEMENT_TERMS_DROP] = "DELETE FROM term WHERE recording = ?1",
        [STATEMENT_READ] = "SELECT v.revision, v.document FROM recording r"
                           " JOIN revision v ON v.recording = r.number AND v.revision = r.revision"
                           " WHERE r.center = " CENTER_OF_1 " AND r.id = ?2",
        [STATEMENT_READ_OLD] = "SELECT v.revision, v.document FROM recording r"
                               " JOIN revision v ON v.recording = r.number AND v.revision = ?3"
                               " WHERE r.center = " CENTER_OF_1 " AND r.id = ?2",
        [STATEMENT_REVISIONS] =
                "SELECT v.revision, v.received_ms FROM recording r"
                " JOIN revision v ON v.recording = r.number"
                " WHERE r.center = " CENTER_OF_1 " AND r.id = ?2 ORDER BY v.revision",
        [STATEMENT_CHECK] = "SELECT count(*) FROM center WHERE number = 1",
};

enum sealtape_status statement_fail(sqlite3 *db, const char *doing, struct diag *diag)
{
    int code = sqlite3_errcode(db) & 0xff;

    switch (code) {
    case SQLITE_NOMEM:
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
    case SQLITE_READONLY:
    case SQLITE_IOERR:
    case SQLITE_FULL:
    case SQLITE_CANTOPEN:
    case SQLITE_PERM:
        return diag_fail(diag, SEALTAPE_E_AGAIN, "%s: %s", doing, sqlite3_errmsg(db));
    default:
        return diag_fail(diag, SEALTAPE_E_IO, "%s: %s", doing, sqlite3_errmsg(db));
    }
}

static enum sealtape_status execute(
        sqlite3 *db, const char *sql, const char *doing, struct diag *diag)
{
    if (sqlite3_exec(db, sql, NULL, NULL, NULL) == SQLITE_OK)
        return SEALTAPE_OK;
    return statement_fail(db, doing, diag);
}

static void statement_finalize(sqlite3_stmt **stmt)
{
    /* It repeats the error of the last step, which was seen there. */
    (void)sqlite3_finalize(*stmt);
    *stmt = NULL;
}

static enum sealtape_status number_of(
        sqlite3 *db, const char *sql, int64_t *ret_number, struct diag *diag)
{
    CLEANUP(statement_finalize) sqlite3_stmt *stmt = NULL;

    if (sqlite3_prepare_v2(db, sql, -1, &stmt, NULL) != SQLITE_OK
            || sqlite3_step(stmt) != SQLITE_ROW)
        return statement_fail(db, "cannot read", diag);
    *ret_number = sqlite3_column_int64(stmt, 0);
    return SEALTAPE_OK;
}

/* Only an empty file, or one of ours that is not newer, may be written. */
static enum sealtape_status schema_check(sqlite3 *db, int *ret_is_empty, struct diag *diag)
{
    int64_t version = 0, application = 0, tables = 0;
    enum sealtape_status st;

    st = number_of(db, "PRAGMA user_version", &version, diag);
    if (st == SEALTAPE_OK)
        st = number_of(db, "PRAGMA application_id", &application, diag);
    if (st == SEALTAPE_OK)
        st = number_of(db, "SELECT count(*) FROM sqlite_schema", &tables, diag);
    if (st != SEALTAPE_OK)
        return st;
    *ret_is_empty = tables == 0 && version == 0 && application == 0;
    if (*ret_is_empty)
        return SEALTAPE_OK;
    if (application != SCHEMA_APPLICATION)
        return diag_fail(diag, SEALTAPE_E_VERSION, "not a database of sealtape-processor");
    if (version > SCHEMA_VERSION)
        return diag_fail(diag, SEALTAPE_E_VERSION,
                "made by a newer sealtape-processor (schema %lld, this one knows %d)",
                (long long)version, SCHEMA_VERSION);
    return SEALTAPE_OK;
}

/*
 * Two processes may start on an empty file: the check is repeated under the
 * lock.
 */
static enum sealtape_status schema_make(sqlite3 *db, struct diag *diag)
{
    enum sealtape_status st = execute(db, "BEGIN IMMEDIATE", "cannot make the schema", diag);
    int is_empty;

    if (st != SEALTAPE_OK)
        return st;
    st = schema_check(db, &is_empty, diag);
    if (st == SEALTAPE_OK && is_empty)
        st = execute(db, schema, "cannot make the schema", diag);
    if (st == SEALTAPE_OK)
        st = execute(db, "COMMIT", "cannot make the schema", diag);
    if (st != SEALTAPE_OK)
        (void)sqlite3_exec(db, "ROLLBACK", NULL, NULL, NULL);
    return st;
}

/*
 * SQLite goes on with another journal where it cannot have this one, without
 * an error.
 */
static enum sealtape_status journal_check(sqlite3 *db, struct diag *diag)
{
    CLEANUP(statement_finalize) sqlite3_stmt *stmt = NULL;

    if (sqlite3_prepare_v2(db, "PRAGMA journal_mode", -1, &stmt, NULL) != SQLITE_OK
            || sqlite3_step(stmt) != SQLITE_ROW)
        return statement_fail(db, "cannot set up", diag);
    if (strcmp((const char *)sqlite3_column_text(stmt, 0), "wal"))
        return diag_fail(diag, SEALTAPE_E_AGAIN,
                "no write-ahead log can be kept here; is it a network file system?");
    return SEALTAPE_OK;
}

static enum sealtape_status store_prepare(
        struct store *store, enum store_mode mode, struct diag *diag)
{
    enum sealtape_status st;
    int is_empty;

    (void)sqlite3_busy_timeout(store->db, BUSY_TIMEOUT_MS);
    (void)sqlite3_limit(store->db, SQLITE_LIMIT_LENGTH, STATEMENT_VALUE_MAX);
    st = schema_check(store->db, &is_empty, diag);
    if (st != SEALTAPE_OK)
        return st;
    /*
     * secure_delete overwrites what is removed; WAL with FULL syncs at each
     * commit.
     */
    st = execute(store->db,
            "PRAGMA secure_delete = ON; PRAGMA journal_mode = WAL;"
            "PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON;"
            "PRAGMA trusted_schema = OFF;",
            "cannot set up", diag);
    if (st == SEALTAPE_OK)
        st = journal_check(store->db, diag);
    if (st == SEALTAPE_OK && is_empty)
        st = schema_make(store->db, diag);
    if (st == SEALTAPE_OK && mode == STORE_READS)
        st = execute(store->db, "PRAGMA query_only = ON", "cannot set up", diag);
    /*
     * Writing nothing but the lock shows at the start whether writing works at
     * all.
     */
    if (st == SEALTAPE_OK && mode == STORE_WRITES)
        st = execute(store->db, "BEGIN IMMEDIATE; UPDATE center SET ccid = ccid WHERE 0; COMMIT",
                "cannot write", diag);
    return st;
}

enum sealtape_status store_open(
        const char *path, enum store_mode mode, struct store **ret_store, struct diag *diag)
{
    CLEANUP(store_close) struct store *store = calloc(1, sizeof(*store));
    int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX;
    enum sealtape_status st;

    if (!store)
        return diag_fail(diag, SEALTAPE_E_MEMORY, "no memory");
    if (mode == STORE_WRITES)
        flags |= SQLITE_OPEN_CREATE;
    if (sqlite3_open_v2(path, &store->db, flags, NULL) != SQLITE_OK) {
        st = statement_fail(store->db, "cannot open", diag);
        diag_prefix(diag, "%s: ", path);
        return st;
    }
    st = store_prepare(store, mode, diag);
    if (st != SEALTAPE_OK) {
        diag_prefix(diag, "%s: ", path);
        return st;
    }
    *ret_store = TAKE(store);
    return SEALTAPE_OK;
}

void store_close(struct store **store)
{
    size_t i;

    if (!*store)
        return;
    for (i = 0; i < STATEMENT_COUNT; i++)
        statement_finalize(&(*store)->statements[i]);
    /* Every statement is gone, so this cannot be refused. */
    (void)sqlite3_close((*store)->db);
    free(*store);
    *store = NULL;
}

sqlite3_stmt *statement_ready(struct store *store, enum statement statement)
{
    sqlite3_stmt **stmt = &store->statements[statement];

    if (!*stmt
            && sqlite3_prepare_v3(
                       store->db, texts[statement], -1, SQLITE_PREPARE_PERSISTENT, stmt, NULL)
                       != SQLITE_OK)
        return NULL;
    return *stmt;
}

enum sealtape_status statement_run(
        struct store *store, sqlite3_stmt *stmt, const char *doing, struct diag *diag)
{
    CLEANUP(statement_reset) sqlite3_stmt *running = stmt;

    if (running && sqlite3_step(running) == SQLITE_DONE)
        return SEALTAPE_OK;
    return statement_fail(store->db, doing, diag);
}

void statement_reset(sqlite3_stmt **stmt)
{
    if (!*stmt)
        return;
    (void)sqlite3_reset(*stmt);
    (void)sqlite3_clear_bindings(*stmt);
}
