#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "processor/statement.h"

/* A page ends behind the document with which it passes this. */
#define PAGE_BYTES_MAX (16u * 1024 * 1024)

#define CENTER_OF_1 "(SELECT number FROM center WHERE ccid = ?1)"

/* Parameters 1 to 5 of a look-up; the terms follow by kind. */
enum list_parameter {
    LIST_CCID = 1,
    LIST_AFTER_MS,
    LIST_AFTER_NUMBER,
    LIST_TO_MS,
    LIST_LIMIT,
    LIST_TERMS
};

static void statement_finalize(sqlite3_stmt **stmt)
{
    (void)sqlite3_finalize(*stmt);
    *stmt = NULL;
}

/*
 * One term leads, in an index that is sorted as the answer is; the others are
 * looked up for each recording of it. CROSS JOIN keeps SQLite to that order.
 */
void store_list_sql(const struct query *query, char ret_sql[STORE_LIST_SQL_SIZE])
{
    /* The rarest kind first: it leads. */
    static const enum term_kind order[] = {
            TERM_CALL_UUID, TERM_CALLER, TERM_DIALED, TERM_AGENT_ID, TERM_RECIPIENT, TERM_OUTCOME};
    size_t used = 0, i;
    int leads = 0;

    ret_sql[0] = '\0';
    for (i = 0; i < ARRAY_COUNT(order); i++) {
        int kind = (int)order[i];
        int written;

        if (!query->terms[kind])
            continue;
        written = snprintf(ret_sql + used, STORE_LIST_SQL_SIZE - used,
                leads ? " AND EXISTS(SELECT 1 FROM term x WHERE x.center = " CENTER_OF_1
                        " AND x.kind = %d AND x.value = ?%d AND x.start_ms = l.start_ms"
                        " AND x.recording = l.recording)"
                      : "SELECT l.start_ms, l.recording, v.document FROM term l"
                        " CROSS JOIN recording r ON r.number = l.recording"
                        " CROSS JOIN revision v ON v.recording = r.number"
                        " AND v.revision = r.revision"
                        " WHERE l.center = " CENTER_OF_1 " AND l.kind = %d AND l.value = ?%d"
                        " AND (l.start_ms, l.recording) > (?2, ?3) AND l.start_ms < ?4",
                kind, LIST_TERMS + kind);
        used += (size_t)written;
        leads = 1;
    }
    if (leads)
        (void)snprintf(ret_sql + used, STORE_LIST_SQL_SIZE - used,
                " ORDER BY l.start_ms, l.recording LIMIT ?5");
    else
        (void)snprintf(ret_sql, STORE_LIST_SQL_SIZE,
                "SELECT l.start_ms, l.number, v.document FROM recording l"
                " CROSS JOIN revision v ON v.recording = l.number AND v.revision = l.revision"
                " WHERE l.center = " CENTER_OF_1 " AND (l.start_ms, l.number) > (?2, ?3)"
                " AND l.start_ms < ?4 ORDER BY l.start_ms, l.number LIMIT ?5");
}

static int list_bind(sqlite3_stmt *stmt, const char *ccid, const struct query *query)
{
    int64_t after_ms = query->after_ms, after_number = query->after_number;
    int kind;
    int rc;

    /* Numbers begin at 1, so (from, 0) lies before all that start then. */
    if (query->from_ms > after_ms) {
        after_ms = query->from_ms;
        after_number = 0;
    }
    rc = sqlite3_bind_text(stmt, LIST_CCID, ccid, -1, SQLITE_STATIC);
    if (rc == SQLITE_OK)
        rc = sqlite3_bind_int64(stmt, LIST_AFTER_MS, after_ms);
    if (rc == SQLITE_OK)
        rc = sqlite3_bind_int64(stmt, LIST_AFTER_NUMBER, after_number);
    if (rc == SQLITE_OK)
        rc = sqlite3_bind_int64(stmt, LIST_TO_MS, query->to_ms);
    /* One more than asked for tells whether there is a next page. */
    if (rc == SQLITE_OK)
        rc = sqlite3_bind_int(stmt, LIST_LIMIT, query->limit + 1);
    for (kind = 0; rc == SQLITE_OK && kind < TERM_KIND_END; kind++) {
        if (query->terms[kind])
            rc = sqlite3_bind_text(stmt, LIST_TERMS + kind, query->terms[kind], -1, SQLITE_STATIC);
    }
    return rc == SQLITE_OK;
}

/*
 * Write the page to a stream; SQLite's own state tells how the last step
 * ended.
 */
static int list_write(sqlite3_stmt *stmt, int limit, FILE *out)
{
    char next[QUERY_CURSOR_SIZE] = "";
    int rc = sqlite3_step(stmt);
    size_t bytes = 0;
    int count;

    (void)fputs("{\"recordings\":[", out);
    for (count = 0; rc == SQLITE_ROW && count < limit && bytes < PAGE_BYTES_MAX; count++) {
        size_t len;

        if (count)
            (void)fputc(',', out);
        len = (size_t)sqlite3_column_bytes(stmt, 2);
        (void)fwrite(sqlite3_column_text(stmt, 2), 1, len, out);
        bytes += len;
        query_cursor(sqlite3_column_int64(stmt, 0), sqlite3_column_int64(stmt, 1), next);
        rc = sqlite3_step(stmt);
    }
    if (rc == SQLITE_ROW)
        (void)fprintf(out, "],\"next\":\"%s\"}", next);
    else
        (void)fputs("],\"next\":null}", out);
    return rc;
}

enum sealtape_status store_list(struct store *store, const char *ccid, const struct query *query,
        struct page *ret_page, struct diag *diag)
{
    CLEANUP(statement_finalize) sqlite3_stmt *stmt = NULL;
    char sql[STORE_LIST_SQL_SIZE];
    struct page page = {0};
    enum sealtape_status st = SEALTAPE_OK;
    FILE *out;
    int rc;

    store_list_sql(query, sql);
    if (sqlite3_prepare_v2(store->db, sql, -1, &stmt, NULL) != SQLITE_OK
            || !list_bind(stmt, ccid, query))
        return statement_fail(store->db, "cannot look up", diag);
    out = open_memstream(&page.text, &page.text_len);
    if (!out)
        return diag_fail(diag, SEALTAPE_E_AGAIN, "no memory");
    rc = list_write(stmt, query->limit, out);
    if (rc != SQLITE_ROW && rc != SQLITE_DONE)
        st = statement_fail(store->db, "cannot look up", diag);
    if (ferror(out) && st == SEALTAPE_OK)
        st = diag_fail(diag, SEALTAPE_E_AGAIN, "no memory");
    if (fclose(out) && st == SEALTAPE_OK)
        st = diag_fail(diag, SEALTAPE_E_AGAIN, "no memory");
    if (st != SEALTAPE_OK) {
        free(page.text);
        return st;
    }
    *ret_page = page;
    return SEALTAPE_OK;
}
