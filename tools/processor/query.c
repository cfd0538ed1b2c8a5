#include "processor/query.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "processor/percent.h"

enum parameter_type {
    PARAMETER_LIMIT,
    PARAMETER_AFTER,
    PARAMETER_FROM,
    PARAMETER_TO,
    PARAMETER_TERM
};

/*
 * A telephone number and a time may begin or go on with "+", which curl and
 * people send as it is: in those it means itself. Elsewhere forms' "+" is a
 * blank.
 */
static const struct parameter {
    const char *name;
    enum parameter_type type;
    enum term_kind kind;
    enum percent_plus plus;
} parameters[] = {
        {"limit", PARAMETER_LIMIT, TERM_KIND_END, PERCENT_PLUS_IS_PLUS},
        {"after", PARAMETER_AFTER, TERM_KIND_END, PERCENT_PLUS_IS_PLUS},
        {"from", PARAMETER_FROM, TERM_KIND_END, PERCENT_PLUS_IS_PLUS},
        {"to", PARAMETER_TO, TERM_KIND_END, PERCENT_PLUS_IS_PLUS},
        {"caller", PARAMETER_TERM, TERM_CALLER, PERCENT_PLUS_IS_PLUS},
        {"dialed", PARAMETER_TERM, TERM_DIALED, PERCENT_PLUS_IS_PLUS},
        {"callUUID", PARAMETER_TERM, TERM_CALL_UUID, PERCENT_PLUS_IS_BLANK},
        {"agentId", PARAMETER_TERM, TERM_AGENT_ID, PERCENT_PLUS_IS_BLANK},
        {"recipient", PARAMETER_TERM, TERM_RECIPIENT, PERCENT_PLUS_IS_BLANK},
        {"outcome", PARAMETER_TERM, TERM_OUTCOME, PERCENT_PLUS_IS_BLANK},
};

#define PARAMETER_NAMES                                                                            \
    "limit, after, from, to, caller, dialed, callUUID, agentId, recipient, outcome"

static void text_free(char **text)
{
    free(*text);
    *text = NULL;
}

enum sealtape_status number_parse(const char *text, int64_t min, int64_t max, int64_t *ret_number)
{
    int64_t number;
    char *end;

    if (*text < '0' || *text > '9')
        return SEALTAPE_E_USAGE;
    errno = 0;
    number = strtoll(text, &end, 10);
    if (errno || *end || number < min || number > max)
        return SEALTAPE_E_USAGE;
    *ret_number = number;
    return SEALTAPE_OK;
}

void query_cursor(int64_t start_ms, int64_t number, char ret_text[QUERY_CURSOR_SIZE])
{
    (void)snprintf(ret_text, QUERY_CURSOR_SIZE, "%" PRIx64 ".%" PRIx64, (uint64_t)start_ms,
            (uint64_t)number);
}

static enum sealtape_status cursor_parse(const char *text, struct query *query)
{
    char again[QUERY_CURSOR_SIZE];
    uint64_t start, number;

    if (sscanf(text, "%" SCNx64 ".%" SCNx64, &start, &number) != 2)
        return SEALTAPE_E_USAGE;
    /*
     * Only what query_cursor() wrote: sscanf(3) takes signs, blanks and rests.
     */
    query_cursor((int64_t)start, (int64_t)number, again);
    if (strcmp(again, text) || (int64_t)number < 1)
        return SEALTAPE_E_USAGE;
    query->after_ms = (int64_t)start;
    query->after_number = (int64_t)number;
    return SEALTAPE_OK;
}

static enum sealtape_status parameter_apply(
        const struct parameter *parameter, char **value, struct query *query, struct diag *diag)
{
    const char *expected = NULL;
    int64_t number;

    switch (parameter->type) {
    case PARAMETER_LIMIT:
        if (number_parse(*value, 1, QUERY_LIMIT_MAX, &number) != SEALTAPE_OK)
            expected = "a number from 1 to 1000";
        else
            query->limit = (int)number;
        break;
    case PARAMETER_AFTER:
        if (cursor_parse(*value, query) != SEALTAPE_OK)
            expected = "the \"next\" of an earlier page";
        break;
    case PARAMETER_FROM:
        if (moment_parse(*value, &query->from_ms) != SEALTAPE_OK)
            expected = "a time like 2026-03-02T09:15:00.000Z";
        break;
    case PARAMETER_TO:
        if (moment_parse(*value, &query->to_ms) != SEALTAPE_OK)
            expected = "a time like 2026-03-02T09:15:00.000Z";
        break;
    case PARAMETER_TERM:
        if (!**value || strlen(*value) > DOCUMENT_TERM_MAX)
            expected = "1 to 1024 bytes";
        else
            query->terms[parameter->kind] = TAKE(*value);
        break;
    }
    if (expected)
        return diag_fail(diag, SEALTAPE_E_USAGE, "%s: expected %s", parameter->name, expected);
    if (parameter->type == PARAMETER_TERM)
        term_normalize(parameter->kind, query->terms[parameter->kind]);
    return SEALTAPE_OK;
}

static const struct parameter *parameter_find(const char *name, size_t len)
{
    size_t i;

    for (i = 0; i < ARRAY_COUNT(parameters); i++) {
        if (strlen(parameters[i].name) == len && !memcmp(parameters[i].name, name, len))
            return &parameters[i];
    }
    return NULL;
}

static enum sealtape_status decode(const char *name, const char *text, size_t len,
        enum percent_plus plus, char **ret_value, struct diag *diag)
{
    enum sealtape_status st = percent_decode(text, len, plus, ret_value);

    if (st == SEALTAPE_E_USAGE)
        return diag_fail(diag, st, "%s: bad percent-encoding or no UTF-8", name);
    if (st != SEALTAPE_OK)
        return diag_fail(diag, st, "no memory");
    return SEALTAPE_OK;
}

/* One "name=value" of @len bytes. */
static enum sealtape_status pair_apply(
        const char *pair, size_t len, unsigned *seen, struct query *query, struct diag *diag)
{
    const char *equals = memchr(pair, '=', len);
    size_t name_len = equals ? (size_t)(equals - pair) : len;
    const struct parameter *parameter = parameter_find(pair, name_len);
    CLEANUP(text_free) char *value = NULL;
    enum sealtape_status st;
    unsigned bit;

    if (!parameter)
        return diag_fail(diag, SEALTAPE_E_USAGE,
                "unknown parameter in the query; there are " PARAMETER_NAMES);
    bit = 1u << (parameter - parameters);
    if (*seen & bit)
        return diag_fail(diag, SEALTAPE_E_USAGE, "%s: given twice", parameter->name);
    *seen |= bit;
    if (!equals)
        return diag_fail(diag, SEALTAPE_E_USAGE, "%s: no value", parameter->name);
    st = decode(parameter->name, equals + 1, len - name_len - 1, parameter->plus, &value, diag);
    if (st != SEALTAPE_OK)
        return st;
    return parameter_apply(parameter, &value, query, diag);
}

enum sealtape_status query_parse(const char *text, struct query *ret_query, struct diag *diag)
{
    CLEANUP(query_clear)
    struct query query = {.limit = QUERY_LIMIT_DEFAULT,
            .after_ms = DOCUMENT_NO_START,
            .from_ms = DOCUMENT_NO_START,
            .to_ms = INT64_MAX};
    unsigned seen = 0;

    while (text && *text) {
        size_t len = strcspn(text, "&");
        enum sealtape_status st;

        st = len ? pair_apply(text, len, &seen, &query, diag) : SEALTAPE_OK;
        if (st != SEALTAPE_OK)
            return st;
        text += len + (text[len] == '&');
    }
    /*
     * Nothing starts in no time: documents without one are not "before"
     * anything.
     */
    if (query.to_ms != INT64_MAX && query.from_ms == DOCUMENT_NO_START)
        query.from_ms = DOCUMENT_NO_START + 1;
    *ret_query = query;
    memset(query.terms, 0, sizeof(query.terms));
    return SEALTAPE_OK;
}

void query_clear(struct query *query)
{
    size_t i;

    for (i = 0; i < TERM_KIND_END; i++) {
        free(query->terms[i]);
        query->terms[i] = NULL;
    }
}

enum sealtape_status query_single(
        const char *text, const char *name, char **ret_value, struct diag *diag)
{
    size_t len = strlen(name);

    if (!text || !*text) {
        *ret_value = NULL;
        return SEALTAPE_OK;
    }
    if (strncmp(text, name, len) || text[len] != '=' || strchr(text, '&'))
        return diag_fail(
                diag, SEALTAPE_E_USAGE, "unknown parameter in the query; there is %s", name);
    text += len + 1;
    return decode(name, text, strlen(text), PERCENT_PLUS_IS_PLUS, ret_value, diag);
}
