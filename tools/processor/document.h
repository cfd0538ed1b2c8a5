/*
 * A metadata document as the processor takes it: read, checked, merged, and
 * taken apart into the terms by which it is found.
 *
 * Reasons name members and positions, never values: telephone numbers stand in
 * the values.
 */
#ifndef SEALTAPE_PROCESSOR_DOCUMENT_H
#define SEALTAPE_PROCESSOR_DOCUMENT_H

#include <jansson.h>
#include <stddef.h>
#include <stdint.h>

#include "base/diag.h"

/* The largest body of a request, bytes. */
#define DOCUMENT_BODY_MAX (8u * 1024 * 1024)
/* The largest document that joining media files may make, bytes. */
#define DOCUMENT_BYTES_MAX (32u * 1024 * 1024)
/*
 * The longest id, bytes; a longer value of another member cannot be searched
 * for.
 */
#define DOCUMENT_TERM_MAX 1024
/* The most media files, and the most values by which one can search. */
#define DOCUMENT_MEDIA_MAX 2000
#define DOCUMENT_TERMS_MAX 20000
/* The most values and names in a body; each costs memory beside its bytes. */
#define DOCUMENT_VALUES_MAX 500000
#define DOCUMENT_VALUE_COST 96

#define DOCUMENT_DIGEST_SIZE 32
/* The start of a document that has no startTime: before the year 0. */
#define DOCUMENT_NO_START INT64_MIN

/* By what a document is found. The numbers stand in databases. */
enum term_kind {
    TERM_CALLER = 1,    /* callerPhoneNumber, parameters.ani */
    TERM_DIALED = 2,    /* dialedPhoneNumber, parameters.dnis */
    TERM_CALL_UUID = 3, /* mediaFiles[].callUUID, parameters.callUuid */
    TERM_AGENT_ID = 4,  /* parameters.agentId */
    TERM_RECIPIENT = 5, /* SHA-256, serial or alias of a recipient; certAlias[] */
    TERM_OUTCOME = 6,   /* sealtape.outcome */
    TERM_KIND_END = 7
};

struct document {
    json_t *root;
    /* The bytes as posted, or as merged; NUL-terminated. */
    char *text;
    size_t text_len;
    /* Borrowed from @root. */
    const char *id;
    int64_t start_ms;
    /* About the memory that @root takes, bytes. */
    size_t cost;
    /* SHA-256 over a form in which the order of members does not count. */
    unsigned char digest[DOCUMENT_DIGEST_SIZE];
};

/* What a posted document is to the one that is known under its id. */
enum document_relation {
    DOCUMENT_SAME,    /* it says nothing new */
    DOCUMENT_JOINED,  /* it brings media files; the merged document is made */
    DOCUMENT_CONFLICT /* it says something else about a known media file */
};

/*
 * Read and check a document. [any]
 *
 * @text is taken, and NULL afterwards, if the document is made.
 *
 *   SEALTAPE_E_USAGE  not such a document; @diag says where and why
 *   SEALTAPE_E_MEMORY
 */
enum sealtape_status document_parse(
        char **text, size_t len, struct document **ret_document, struct diag *diag) MUST_CHECK;

void document_free(struct document **document);

/*
 * Compare @posted with @current and join them. [any]
 *
 * Media files with the same mediaId must be equal. Of the outer members
 * startTime becomes the earlier, stopTime the later, eventHistory the union;
 * of any other the one that is known stays. Without a new media file a document
 * whose outer members differ is a conflict.
 *
 * @ret_merged is set for DOCUMENT_JOINED alone. @diag explains a conflict.
 *
 *   SEALTAPE_E_LIMIT  the merged document would be larger than
 *                     DOCUMENT_BYTES_MAX or have more than DOCUMENT_MEDIA_MAX
 *                     media files
 *   SEALTAPE_E_MEMORY
 */
enum sealtape_status document_merge(const struct document *current, const struct document *posted,
        enum document_relation *ret_relation, struct document **ret_merged,
        struct diag *diag) MUST_CHECK;

/*
 * Call @each for every term, some perhaps twice. [any]
 *
 * Terms longer than DOCUMENT_TERM_MAX are passed over: a document is not
 * refused for what nobody searches. Stops at the first status that is not
 * SEALTAPE_OK and returns it.
 */
enum sealtape_status document_terms(const struct document *document,
        enum sealtape_status (*each)(void *context, enum term_kind kind, const char *value),
        void *context) MUST_CHECK;

/*
 * The form in which a term is compared: SHA-256 digits in lower case, the rest
 * as it is. [any] @value changes in place.
 */
void term_normalize(enum term_kind kind, char *value);

/*
 * A time of RFC 3339 with any offset ("Z", "+01:00", also "+0100"). [any]
 *
 *   SEALTAPE_E_USAGE  not such a time
 */
enum sealtape_status moment_parse(const char *text, int64_t *ret_utc_ms) MUST_CHECK;

#endif
