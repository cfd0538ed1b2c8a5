#include <string.h>

#include "fuzz.h"
#include "processor/request.h"

static void check_query(const char *text)
{
    struct query query = {0};
    char cursor[QUERY_CURSOR_SIZE], *single = NULL;
    struct diag diag = {""};

    if (query_parse(text, &query, &diag) == SEALTAPE_OK) {
        FUZZ_CHECK(query.limit >= 1 && query.limit <= QUERY_LIMIT_MAX);
        query_cursor(query.after_ms, query.after_number, cursor);
        FUZZ_CHECK(strlen(cursor) < sizeof(cursor));
        query_clear(&query);
    } else {
        FUZZ_CHECK(diag.text[0] != '\0');
    }
    if (query_single(text, "revision", &single, &diag) == SEALTAPE_OK)
        free(single);
}

/* A request's target: the path, and the query behind a "?". */
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    struct request request = {.method = "POST"};
    struct answer answer = {0};
    struct diag diag = {""};
    char *text = malloc(len + 1);
    size_t path_len;

    FUZZ_CHECK(text);
    if (len)
        memcpy(text, bytes, len);
    text[len] = '\0';
    path_len = strcspn(text, "?");
    if (request_route(&request, text, path_len, &diag) == SEALTAPE_OK) {
        FUZZ_CHECK(request.route < ROUTE_RECORDINGS || (request.ccid && *request.ccid));
        FUZZ_CHECK(request.route < ROUTE_RECORDING || (request.id && *request.id));
        request_check(&request, &answer);
        FUZZ_CHECK((request.route == ROUTE_RECORDINGS) == (answer.status == 0));
    } else {
        FUZZ_CHECK(diag.text[0] != '\0');
    }
    if (text[path_len] == '?')
        check_query(text + path_len + 1);
    answer_clear(&answer);
    request_clear(&request);
    free(text);
    return 0;
}
