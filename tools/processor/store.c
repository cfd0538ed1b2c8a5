#include "processor/store.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "processor/statement.h"

/* The current state of the document that a change is about. */
struct current {
    int64_t number; /* 0: there is none */
    int64_t revision;
    struct document *document; /* read only where it is needed */
    char *text;
    size_t text_len;
};

static void text_free(char **text)
{
    free(*text);
    *text = NULL;
}

static void current_clear(struct current *current)
{
    document_free(&current->document);
    text_free(&current->text);
}

static int bind_text(sqlite3_stmt *stmt, int index, const char *text)
{
    return sqlite3_bind_text(stmt, index, text, -1, SQLITE_STATIC) == SQLITE_OK;
}

static int bind_number(sqlite3_stmt *stmt, int index, int64_t number)
{
    return sqlite3_bind_int64(stmt, index, number) == SQLITE_OK;
}

static enum sealtape_status column_copy(
        sqlite3_stmt *stmt, int column, char **ret_text, size_t *ret_len)
{
    const unsigned char *text = sqlite3_column_text(stmt, column);
    size_t len = (size_t)sqlite3_column_bytes(stmt, column);
    char *copy = text ? malloc(len + 1) : NULL;

    if (!copy)
        return SEALTAPE_E_MEMORY;
    memcpy(copy, text, len + 1);
    *ret_text = copy;
    *ret_len = len;
    return SEALTAPE_OK;
}

static enum sealtape_status current_find(struct store *store, const struct change *change,
        struct current *ret_current, struct diag *diag)
{
    CLEANUP(statement_reset) sqlite3_stmt *stmt = statement_ready(store, STATEMENT_FIND);
    int rc;

    if (!stmt || !bind_text(stmt, 1, change->ccid) || !bind_text(stmt, 2, change->document->id))
        return statement_fail(store->db, "cannot look up", diag);
    rc = sqlite3_step(stmt);
    if (rc == SQLITE_DONE)
        return SEALTAPE_OK;
    if (rc != SQLITE_ROW)
        return statement_fail(store->db, "cannot look up", diag);
    if (column_copy(stmt, 2, &ret_current->text, &ret_current->text_len) != SEALTAPE_OK)
        return diag_fail(diag, SEALTAPE_E_AGAIN, "no memory");
    ret_current->number = sqlite3_column_int64(stmt, 0);
    ret_current->revision = sqlite3_column_int64(stmt, 1);
    return SEALTAPE_OK;
}

static enum sealtape_status submission_seen(struct store *store, int64_t recording,
        const struct document *document, int *ret_seen, struct diag *diag)
{
    CLEANUP(statement_reset) sqlite3_stmt *stmt = statement_ready(store, STATEMENT_SEEN);
    int rc;

    if (!stmt || !bind_number(stmt, 1, recording)
            || sqlite3_bind_blob(stmt, 2, document->digest, DOCUMENT_DIGEST_SIZE, SQLITE_STATIC)
                       != SQLITE_OK)
        return statement_fail(store->db, "cannot look up", diag);
    rc = sqlite3_step(stmt);
    if (rc != SQLITE_ROW && rc != SQLITE_DONE)
        return statement_fail(store->db, "cannot look up", diag);
    *ret_seen = rc == SQLITE_ROW;
    return SEALTAPE_OK;
}

static enum sealtape_status submission_add(
        struct store *store, int64_t recording, const struct document *document, struct diag *diag)
{
    sqlite3_stmt *stmt = statement_ready(store, STATEMENT_SEEN_ADD);

    if (!stmt || !bind_number(stmt, 1, recording)
            || sqlite3_bind_blob(stmt, 2, document->digest, DOCUMENT_DIGEST_SIZE, SQLITE_STATIC)
                       != SQLITE_OK)
        return statement_fail(store->db, "cannot store", diag);
    return statement_run(store, stmt, "cannot store", diag);
}

/* Terms of one document on their way into the index. */
struct term_target {
    struct store *store;
    int64_t recording;
    struct diag *diag;
};

static enum sealtape_status term_add(void *context, enum term_kind kind, const char *value)
{
    const struct term_target *target = context;
    CLEANUP(text_free) char *copy = strdup(value);
    sqlite3_stmt *stmt = statement_ready(target->store, STATEMENT_TERM_ADD);

    if (!copy)
        return diag_fail(target->diag, SEALTAPE_E_AGAIN, "no memory");
    term_normalize(kind, copy);
    if (!stmt || !bind_number(stmt, 1, target->recording) || !bind_number(stmt, 2, kind)
            || !bind_text(stmt, 3, copy))
        return statement_fail(target->store->db, "cannot store", target->diag);
    return statement_run(target->store, stmt, "cannot store", target->diag);
}

/* The revision, and the terms of it; recording.start_ms is there already. */
static enum sealtape_status revision_add(struct store *store, int64_t recording, int64_t revision,
        const struct document *document, struct diag *diag)
{
    sqlite3_stmt *stmt = statement_ready(store, STATEMENT_REVISION_ADD);
    struct term_target target = {store, recording, diag};
    enum sealtape_status st;

    if (!stmt || !bind_number(stmt, 1, recording) || !bind_number(stmt, 2, revision)
            || !bind_number(stmt, 3, clock_utc_ms())
            || sqlite3_bind_text64(
                       stmt, 4, document->text, document->text_len, SQLITE_STATIC, SQLITE_UTF8)
                       != SQLITE_OK)
        return statement_fail(store->db, "cannot store", diag);
    st = statement_run(store, stmt, "cannot store", diag);
    if (st != SEALTAPE_OK)
        return st;
    return document_terms(document, term_add, &target);
}

static enum sealtape_status recording_add(
        struct store *store, struct change *change, struct diag *diag)
{
    sqlite3_stmt *stmt = statement_ready(store, STATEMENT_CENTER_ADD);
    enum sealtape_status st;
    int64_t number;

    if (!stmt || !bind_text(stmt, 1, change->ccid))
        return statement_fail(store->db, "cannot store", diag);
    st = statement_run(store, stmt, "cannot store", diag);
    if (st != SEALTAPE_OK)
        return st;
    stmt = statement_ready(store, STATEMENT_RECORDING_ADD);
    if (!stmt || !bind_text(stmt, 1, change->ccid) || !bind_text(stmt, 2, change->document->id)
            || !bind_number(stmt, 3, change->document->start_ms))
        return statement_fail(store->db, "cannot store", diag);
    st = statement_run(store, stmt, "cannot store", diag);
    if (st != SEALTAPE_OK)
        return st;
    number = sqlite3_last_insert_rowid(store->db);
    st = revision_add(store, number, 1, change->document, diag);
    if (st == SEALTAPE_OK)
        st = submission_add(store, number, change->document, diag);
    if (st != SEALTAPE_OK)
        return st;
    change->outcome = STORE_CREATED;
    change->revision = 1;
    return SEALTAPE_OK;
}

static enum sealtape_status recording_revise(struct store *store, const struct current *current,
        const struct document *document, struct change *change, struct diag *diag)
{
    sqlite3_stmt *stmt = statement_ready(store, STATEMENT_TERMS_DROP);
    enum sealtape_status st;

    if (!stmt || !bind_number(stmt, 1, current->number))
        return statement_fail(store->db, "cannot store", diag);
    st = statement_run(store, stmt, "cannot store", diag);
    if (st != SEALTAPE_OK)
        return st;
    stmt = statement_ready(store, STATEMENT_RECORDING_SET);
    if (!stmt || !bind_number(stmt, 1, current->number)
            || !bind_number(stmt, 2, current->revision + 1)
            || !bind_number(stmt, 3, document->start_ms))
        return statement_fail(store->db, "cannot store", diag);
    st = statement_run(store, stmt, "cannot store", diag);
    if (st == SEALTAPE_OK)
        st = revision_add(store, current->number, current->revision + 1, document, diag);
    if (st == SEALTAPE_OK)
        change->revision = current->revision + 1;
    return st;
}

static enum sealtape_status known_join(
        struct store *store, struct current *current, struct change *change, struct diag *diag)
{
    CLEANUP(document_free) struct document *merged = NULL;
    enum document_relation relation;
    enum sealtape_status st;

    change->revision = current->revision;
    st = document_parse(&current->text, current->text_len, &current->document, diag);
    if (st == SEALTAPE_E_USAGE)
        return diag_fail(diag, SEALTAPE_E_IO, "the stored document cannot be read");
    if (st == SEALTAPE_OK)
        st = document_merge(current->document, change->document, &relation, &merged, diag);
    if (st == SEALTAPE_E_LIMIT) {
        change->outcome = STORE_TOO_LARGE;
        return SEALTAPE_OK;
    }
    if (st != SEALTAPE_OK)
        return diag_fail(diag, SEALTAPE_E_AGAIN, "no memory");
    switch (relation) {
    case DOCUMENT_CONFLICT:
        change->outcome = STORE_CONFLICT;
        return SEALTAPE_OK;
    case DOCUMENT_SAME:
        change->outcome = STORE_SAME;
        return SEALTAPE_OK;
    case DOCUMENT_JOINED:
        break;
    }
    change->outcome = STORE_JOINED;
    st = recording_revise(store, current, merged, change, diag);
    if (st == SEALTAPE_OK)
        st = submission_add(store, current->number, change->document, diag);
    return st;
}

/* RFC 9110, 13.1.1: strong comparison, so a weak tag never matches. */
static int etag_matches(const char *field, int64_t revision)
{
    char tag[32];
    size_t len;

    (void)snprintf(tag, sizeof(tag), "\"%lld\"", (long long)revision);
    len = strlen(tag);
    field += strspn(field, " \t");
    if (*field == '*')
        return field[1 + strspn(field + 1, " \t")] == '\0';
    while (*field) {
        size_t item = strcspn(field, ",");

        while (item && (field[item - 1] == ' ' || field[item - 1] == '\t'))
            item--;
        if (item == len && !memcmp(field, tag, len))
            return 1;
        field += strcspn(field, ",");
        field += strspn(field, ", \t");
    }
    return 0;
}

static enum sealtape_status change_replace(struct store *store, const struct current *current,
        struct change *change, struct diag *diag)
{
    if (!current->number) {
        change->outcome = STORE_MISSING;
        return SEALTAPE_OK;
    }
    change->revision = current->revision;
    if (!etag_matches(change->if_match, current->revision)) {
        change->outcome = STORE_STALE;
        return SEALTAPE_OK;
    }
    change->outcome = STORE_REPLACED;
    return recording_revise(store, current, change->document, change, diag);
}

static enum sealtape_status change_apply(struct store *store, struct change *change)
{
    CLEANUP(current_clear) struct current current = {0};
    struct diag *diag = &change->diag;
    enum sealtape_status st;
    int seen = 0;

    st = current_find(store, change, &current, diag);
    if (st != SEALTAPE_OK)
        return st;
    if (change->if_match)
        return change_replace(store, &current, change, diag);
    if (!current.number)
        return recording_add(store, change, diag);
    st = submission_seen(store, current.number, change->document, &seen, diag);
    if (st != SEALTAPE_OK)
        return st;
    if (!seen)
        return known_join(store, &current, change, diag);
    change->outcome = STORE_SAME;
    change->revision = current.revision;
    return SEALTAPE_OK;
}

/* *ret_began stays 0 where not even the lock was to be had. */
static enum sealtape_status transaction(struct store *store, struct change *const *changes,
        size_t count, int *ret_began, struct diag *diag)
{
    enum sealtape_status st;
    size_t i;

    st = statement_run(store, statement_ready(store, STATEMENT_BEGIN), "cannot write", diag);
    if (st != SEALTAPE_OK)
        return st;
    *ret_began = 1;
    for (i = 0; st == SEALTAPE_OK && i < count; i++) {
        changes[i]->diag.text[0] = '\0';
        st = change_apply(store, changes[i]);
        if (st != SEALTAPE_OK)
            *diag = changes[i]->diag;
    }
    if (st == SEALTAPE_OK)
        st = statement_run(store, statement_ready(store, STATEMENT_COMMIT), "cannot store", diag);
    /* A full disk may have ended the transaction already. */
    if (st != SEALTAPE_OK && !sqlite3_get_autocommit(store->db))
        ignore(statement_run(store, statement_ready(store, STATEMENT_ROLLBACK), "", NULL));
    return st;
}

void store_apply(struct store *store, struct change *const *changes, size_t count)
{
    enum sealtape_status st;
    struct diag diag = {""};
    int began = 0;
    size_t i;

    st = transaction(store, changes, count, &began, &diag);
    for (i = 0; i < count; i++) {
        /* Not for the lock: to wait for it once more for each would hold up everybody. */
        if (st != SEALTAPE_OK && began && count > 1) {
            diag.text[0] = '\0';
            changes[i]->status = transaction(store, &changes[i], 1, &began, &diag);
        } else {
            changes[i]->status = st;
        }
        if (changes[i]->status != SEALTAPE_OK)
            changes[i]->diag = diag;
    }
}

enum sealtape_status store_read(struct store *store, const char *ccid, const char *id,
        int64_t revision, struct version *ret_version, struct diag *diag)
{
    CLEANUP(statement_reset)
    sqlite3_stmt *stmt = statement_ready(store, revision ? STATEMENT_READ_OLD : STATEMENT_READ);
    struct version version = {0};
    int rc;

    if (!stmt || !bind_text(stmt, 1, ccid) || !bind_text(stmt, 2, id)
            || (revision && !bind_number(stmt, 3, revision)))
        return statement_fail(store->db, "cannot read", diag);
    rc = sqlite3_step(stmt);
    if (rc != SQLITE_DONE && rc != SQLITE_ROW)
        return statement_fail(store->db, "cannot read", diag);
    if (rc == SQLITE_ROW) {
        if (column_copy(stmt, 1, &version.text, &version.text_len) != SEALTAPE_OK)
            return diag_fail(diag, SEALTAPE_E_AGAIN, "no memory");
        version.revision = sqlite3_column_int64(stmt, 0);
    }
    *ret_version = version;
    return SEALTAPE_OK;
}

static void json_clear(json_t **json)
{
    json_decref(*json);
    *json = NULL;
}

enum sealtape_status store_revisions(struct store *store, const char *ccid, const char *id,
        json_t **ret_revisions, struct diag *diag)
{
    CLEANUP(statement_reset) sqlite3_stmt *stmt = statement_ready(store, STATEMENT_REVISIONS);
    CLEANUP(json_clear) json_t *list = json_array();
    char received[TIMESTAMP_SIZE];
    json_t *answer = NULL;
    int rc;

    if (!stmt || !bind_text(stmt, 1, ccid) || !bind_text(stmt, 2, id))
        return statement_fail(store->db, "cannot read", diag);
    for (rc = sqlite3_step(stmt); rc == SQLITE_ROW; rc = sqlite3_step(stmt)) {
        timestamp_format(sqlite3_column_int64(stmt, 1), received);
        if (json_array_append_new(list,
                    json_pack("{s:I, s:s}", "revision", (json_int_t)sqlite3_column_int64(stmt, 0),
                            "receivedTime", received)))
            return diag_fail(diag, SEALTAPE_E_AGAIN, "no memory");
    }
    if (rc != SQLITE_DONE)
        return statement_fail(store->db, "cannot read", diag);
    if (json_array_size(list)) {
        answer = json_pack("{s:s, s:O}", "id", id, "revisions", list);
        if (!answer)
            return diag_fail(diag, SEALTAPE_E_AGAIN, "no memory");
    }
    *ret_revisions = answer;
    return SEALTAPE_OK;
}

enum sealtape_status store_check(struct store *store, struct diag *diag)
{
    CLEANUP(statement_reset) sqlite3_stmt *stmt = statement_ready(store, STATEMENT_CHECK);

    if (!stmt || sqlite3_step(stmt) != SQLITE_ROW)
        return statement_fail(store->db, "cannot read", diag);
    return SEALTAPE_OK;
}
