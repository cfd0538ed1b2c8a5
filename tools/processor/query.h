/*
 * What a look-up asks for: the query string of GET .../recordings.
 */
#ifndef SEALTAPE_PROCESSOR_QUERY_H
#define SEALTAPE_PROCESSOR_QUERY_H

#include "processor/document.h"

#define QUERY_LIMIT_MAX 1000
#define QUERY_LIMIT_DEFAULT 100

struct query {
    int limit;
    /* Recordings behind this place in the order (start, number). */
    int64_t after_ms;
    int64_t after_number;
    /* startTime in from <= t < to; a document without one is in no bounds. */
    int64_t from_ms;
    int64_t to_ms;
    /* By kind; NULL: any. */
    char *terms[TERM_KIND_END];
};

/* The place behind the last recording of a page, as `after` takes it. */
#define QUERY_CURSOR_SIZE 48
void query_cursor(int64_t start_ms, int64_t number, char ret_text[QUERY_CURSOR_SIZE]);

/*
 * Read a query string without its "?"; NULL and "" ask for everything. [any]
 *
 *   SEALTAPE_E_USAGE  an unknown or repeated name, or a bad value; @diag says
 *                     which
 *   SEALTAPE_E_MEMORY
 */
enum sealtape_status query_parse(
        const char *text, struct query *ret_query, struct diag *diag) MUST_CHECK;

void query_clear(struct query *query);

/*
 * The value of one parameter, percent-decoded, NULL if absent; for other
 * look-ups. *ret_value is malloc'ed. Statuses as above; any other name is
 * refused.
 */
enum sealtape_status query_single(
        const char *text, const char *name, char **ret_value, struct diag *diag) MUST_CHECK;

/* A whole number without sign, @min to @max. SEALTAPE_E_USAGE: it is not. */
enum sealtape_status number_parse(
        const char *text, int64_t min, int64_t max, int64_t *ret_number) MUST_CHECK;

#endif
