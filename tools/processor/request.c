#include "processor/request.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "processor/percent.h"

#define PREFIX "/api/contact-centers/"

static int is_method(const struct request *request, const char *method)
{
    return !strcmp(request->method, method);
}

static int part_is(const char *part, size_t len, const char *text)
{
    return strlen(text) == len && !memcmp(part, text, len);
}

static enum sealtape_status part_decode(
        const char *what, const char *part, size_t len, char **ret_text, struct diag *diag)
{
    enum sealtape_status st = percent_decode(part, len, PERCENT_PLUS_IS_PLUS, ret_text);

    if (st == SEALTAPE_E_MEMORY)
        return diag_fail(diag, st, "no memory");
    if (st != SEALTAPE_OK)
        return diag_fail(diag, st, "%s in the path: bad percent-encoding or no UTF-8", what);
    if (!**ret_text || strlen(*ret_text) > DOCUMENT_TERM_MAX)
        return diag_fail(diag, SEALTAPE_E_USAGE, "%s in the path: expected 1 to %d bytes", what,
                DOCUMENT_TERM_MAX);
    return SEALTAPE_OK;
}

enum sealtape_status request_route(
        struct request *request, const char *path, size_t len, struct diag *diag)
{
    /* ccid, "recordings", id, "revisions" */
    const char *parts[4];
    size_t lens[4];
    size_t count = 0, at = strlen(PREFIX);
    enum sealtape_status st;

    request->route = part_is(path, len, "/health") ? ROUTE_HEALTH : ROUTE_NONE;
    if (len < at || memcmp(path, PREFIX, at))
        return SEALTAPE_OK;
    /* Split before decoding: "%2F" is part of an id. */
    for (; at <= len; at += lens[count - 1] + 1) {
        const char *slash = memchr(path + at, '/', len - at);

        if (count == ARRAY_COUNT(parts))
            return SEALTAPE_OK;
        parts[count] = path + at;
        lens[count++] = slash ? (size_t)(slash - path - (ptrdiff_t)at) : len - at;
    }
    if (count < 2 || !part_is(parts[1], lens[1], "recordings")
            || (count == 4 && !part_is(parts[3], lens[3], "revisions")))
        return SEALTAPE_OK;
    st = part_decode("the contact center", parts[0], lens[0], &request->ccid, diag);
    if (st == SEALTAPE_OK && count > 2)
        st = part_decode("the id", parts[2], lens[2], &request->id, diag);
    if (st != SEALTAPE_OK)
        return st;
    request->route = count == 2 ? ROUTE_RECORDINGS : count == 3 ? ROUTE_RECORDING : ROUTE_REVISIONS;
    return SEALTAPE_OK;
}

void request_clear(struct request *request)
{
    free(request->ccid);
    free(request->id);
    free(request->body);
    memset(request, 0, sizeof(*request));
}

int request_writes(const struct request *request)
{
    return is_method(request, "POST") || is_method(request, "PUT");
}

/* "application/json", with or without "; charset=utf-8". */
static int is_json(const char *type)
{
    static const char json[] = "application/json";
    const char *charset;

    if (strncasecmp(type, json, strlen(json)))
        return 0;
    type += strlen(json);
    type += strspn(type, " \t");
    if (!*type)
        return 1;
    if (*type != ';')
        return 0;
    charset = strcasestr(type, "charset=");
    if (!charset)
        return 1;
    charset += strlen("charset=");
    charset += *charset == '"';
    return !strncasecmp(charset, "utf-8", 5);
}

static const char *allowed_methods(enum route route)
{
    switch (route) {
    case ROUTE_RECORDINGS:
        return "GET, HEAD, POST";
    case ROUTE_RECORDING:
        return "GET, HEAD, PUT";
    case ROUTE_HEALTH:
    case ROUTE_REVISIONS:
        return "GET, HEAD";
    case ROUTE_NONE:
        break;
    }
    return "";
}

/* Names that are whole items of the list: no method is part of another one. */
static int is_allowed(const struct request *request)
{
    static const char *const methods[] = {"GET", "HEAD", "POST", "PUT"};
    size_t i;

    for (i = 0; i < ARRAY_COUNT(methods); i++) {
        if (is_method(request, methods[i]))
            return strstr(allowed_methods(request->route), methods[i]) != NULL;
    }
    return 0;
}

void request_check(const struct request *request, struct answer *answer)
{
    if (request->route == ROUTE_NONE) {
        answer_error(answer, 404, "unknown path",
                "there are " PREFIX "{ccid}/recordings[/{id}[/revisions]] and /health");
        return;
    }
    if (!is_allowed(request)) {
        answer->allow = allowed_methods(request->route);
        answer_error(answer, 405, "method not allowed", "this path takes %s", answer->allow);
        return;
    }
    if (!request_writes(request))
        return;
    if (request->content_type && !is_json(request->content_type))
        answer_error(answer, 415, "wrong content type", "expected application/json in UTF-8");
    else if (request->content_encoding && strcasecmp(request->content_encoding, "identity"))
        answer_error(answer, 415, "wrong content encoding", "expected none");
    else if (is_method(request, "PUT") && !request->if_match)
        answer_error(answer, 428, "precondition required",
                "PUT needs If-Match with the ETag of the revision that it replaces");
}

static void missing(struct answer *answer)
{
    answer_error(answer, 404, "unknown recording", "no such document, or no such revision of it");
}

static void read_health(struct store *store, struct answer *answer)
{
    struct diag diag = {""};
    enum sealtape_status st = store_check(store, &diag);

    if (st != SEALTAPE_OK)
        answer_failure(answer, st, &diag);
    else
        answer_json(answer, 200, json_pack("{s:s}", "status", "ok"));
}

static void query_refuse(struct answer *answer, enum sealtape_status st, const struct diag *diag)
{
    if (st == SEALTAPE_E_USAGE)
        answer_error(answer, 400, "bad query", "%s", diag->text);
    else
        answer_failure(answer, st, diag);
}

static void read_list(const struct request *request, struct store *store, struct answer *answer)
{
    CLEANUP(query_clear) struct query query = {0};
    struct page page = {0};
    struct diag diag = {""};
    enum sealtape_status st = query_parse(request->query, &query, &diag);

    if (st == SEALTAPE_OK)
        st = store_list(store, request->ccid, &query, &page, &diag);
    if (st == SEALTAPE_OK)
        answer_text(answer, 200, page.text, page.text_len);
    else
        query_refuse(answer, st, &diag);
}

static void text_free(char **text)
{
    free(*text);
    *text = NULL;
}

static enum sealtape_status revision_parse(
        const char *query, int64_t *ret_revision, struct diag *diag)
{
    CLEANUP(text_free) char *text = NULL;
    enum sealtape_status st = query_single(query, "revision", &text, diag);

    if (st != SEALTAPE_OK)
        return st;
    if (!text)
        *ret_revision = 0;
    else if (number_parse(text, 1, INT64_MAX, ret_revision) != SEALTAPE_OK)
        return diag_fail(diag, SEALTAPE_E_USAGE, "revision: expected a number from 1");
    return SEALTAPE_OK;
}

/* RFC 9110, 13.1.2: weak comparison. */
static int is_known(const char *if_none_match, int64_t revision)
{
    char tag[32];

    if (!if_none_match)
        return 0;
    (void)snprintf(tag, sizeof(tag), "\"%lld\"", (long long)revision);
    return !strcmp(if_none_match, "*") || strstr(if_none_match, tag) != NULL;
}

static void read_document(const struct request *request, struct store *store, struct answer *answer)
{
    struct version version = {0};
    struct diag diag = {""};
    int64_t revision = 0;
    enum sealtape_status st = revision_parse(request->query, &revision, &diag);

    if (st == SEALTAPE_OK)
        st = store_read(store, request->ccid, request->id, revision, &version, &diag);
    if (st != SEALTAPE_OK) {
        query_refuse(answer, st, &diag);
        return;
    }
    if (!version.revision) {
        missing(answer);
        return;
    }
    answer->revision = version.revision;
    if (is_known(request->if_none_match, version.revision)) {
        free(version.text);
        answer_text(answer, 304, NULL, 0);
        return;
    }
    answer_text(answer, 200, version.text, version.text_len);
}

static void read_revisions(
        const struct request *request, struct store *store, struct answer *answer)
{
    struct diag diag = {""};
    json_t *revisions = NULL;
    enum sealtape_status st = store_revisions(store, request->ccid, request->id, &revisions, &diag);

    if (st != SEALTAPE_OK)
        answer_failure(answer, st, &diag);
    else if (revisions)
        answer_json(answer, 200, revisions);
    else
        missing(answer);
}

void request_read(const struct request *request, struct store *store, struct answer *answer)
{
    switch (request->route) {
    case ROUTE_HEALTH:
        read_health(store, answer);
        break;
    case ROUTE_RECORDINGS:
        read_list(request, store, answer);
        break;
    case ROUTE_RECORDING:
        read_document(request, store, answer);
        break;
    case ROUTE_REVISIONS:
        read_revisions(request, store, answer);
        break;
    case ROUTE_NONE:
        request_check(request, answer);
        break;
    }
}

void request_change(struct request *request, struct change *ret_change,
        struct document **ret_document, struct answer *answer)
{
    CLEANUP(document_free) struct document *document = NULL;
    struct diag diag = {""};
    enum sealtape_status st;

    if (!request->body_len) {
        answer_error(answer, 400, "bad document", "the body is empty");
        return;
    }
    st = document_parse(&request->body, request->body_len, &document, &diag);
    if (st == SEALTAPE_E_USAGE) {
        answer_error(answer, 400, "bad document", "%s", diag.text);
        return;
    }
    if (st != SEALTAPE_OK) {
        answer_failure(answer, st, &diag);
        return;
    }
    if (request->id && strcmp(request->id, document->id)) {
        answer_error(answer, 400, "bad document", "id: expected the id of the path");
        return;
    }
    memset(ret_change, 0, sizeof(*ret_change));
    ret_change->ccid = request->ccid;
    ret_change->document = document;
    ret_change->if_match = is_method(request, "PUT") ? request->if_match : NULL;
    *ret_document = TAKE(document);
}

static char *location(const char *ccid, const char *id)
{
    CLEANUP(text_free) char *center = percent_encode(ccid);
    CLEANUP(text_free) char *name = percent_encode(id);
    char *text = NULL;

    if (!center || !name || asprintf(&text, PREFIX "%s/recordings/%s", center, name) < 0)
        return NULL;
    return text;
}

void request_changed(
        const struct request *request, const struct change *change, struct answer *answer)
{
    if (change->status != SEALTAPE_OK) {
        answer_failure(answer, change->status, &change->diag);
        return;
    }
    switch (change->outcome) {
    case STORE_CREATED:
    case STORE_SAME:
    case STORE_JOINED:
    case STORE_REPLACED:
        answer->revision = change->revision;
        answer->location = location(request->ccid, change->document->id);
        answer_json(answer, change->outcome == STORE_CREATED ? 201 : 200,
                json_pack("{s:s, s:I}", "id", change->document->id, "revision",
                        (json_int_t)change->revision));
        break;
    case STORE_CONFLICT:
        answer->revision = change->revision;
        answer_error(answer, 409, "conflict", "%s", change->diag.text);
        break;
    case STORE_TOO_LARGE:
        answer_error(answer, 413, "too large", "%s", change->diag.text);
        break;
    case STORE_STALE:
        answer->revision = change->revision;
        answer_error(answer, 412, "precondition failed",
                "If-Match does not name the current revision, which is %lld",
                (long long)change->revision);
        break;
    case STORE_MISSING:
        missing(answer);
        break;
    }
}
