#include <string.h>

#include "fuzz.h"
#include "processor/document.h"

static enum sealtape_status term_see(void *context, enum term_kind kind, const char *value)
{
    char copy[DOCUMENT_TERM_MAX + 1];

    (void)context;
    FUZZ_CHECK(kind >= TERM_CALLER && kind < TERM_KIND_END);
    FUZZ_CHECK(strlen(value) >= 1 && strlen(value) <= DOCUMENT_TERM_MAX);
    strcpy(copy, value);
    term_normalize(kind, copy);
    FUZZ_CHECK(strlen(copy) == strlen(value));
    return SEALTAPE_OK;
}

static struct document *parse(const uint8_t *bytes, size_t len)
{
    struct document *document = NULL;
    struct diag diag = {""};
    char *text = malloc(len + 1);
    enum sealtape_status st;

    FUZZ_CHECK(text);
    if (len)
        memcpy(text, bytes, len);
    text[len] = '\0';
    st = document_parse(&text, len, &document, &diag);
    FUZZ_CHECK((st == SEALTAPE_OK) == (document != NULL));
    FUZZ_CHECK((st == SEALTAPE_OK) == (text == NULL));
    FUZZ_CHECK((st == SEALTAPE_OK) == (diag.text[0] == '\0'));
    free(text);
    return document;
}

/*
 * Two documents with a NUL between them: the second is posted after the first.
 */
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    const uint8_t *middle = len ? memchr(bytes, 0, len) : NULL;
    size_t first_len = middle ? (size_t)(middle - bytes) : len;
    struct document *first = parse(bytes, first_len);
    struct document *second = middle ? parse(middle + 1, len - first_len - 1) : NULL;
    struct document *merged = NULL;
    enum document_relation relation;

    if (first) {
        FUZZ_CHECK(first->id && first->id[0]);
        FUZZ_CHECK(document_terms(first, term_see, NULL) == SEALTAPE_OK);
        /* What is posted twice is the same. */
        FUZZ_CHECK(document_merge(first, first, &relation, &merged, NULL) == SEALTAPE_OK);
        FUZZ_CHECK(relation == DOCUMENT_SAME && !merged);
    }
    if (first && second && document_merge(first, second, &relation, &merged, NULL) == SEALTAPE_OK) {
        FUZZ_CHECK((relation == DOCUMENT_JOINED) == (merged != NULL));
        FUZZ_CHECK(!merged || !strcmp(merged->id, first->id));
    }
    document_free(&merged);
    document_free(&second);
    document_free(&first);
    return 0;
}
