/*
 * A request without its transport: where it goes, whether it may be, what is
 * read for it or changed by it.
 */
#ifndef SEALTAPE_PROCESSOR_REQUEST_H
#define SEALTAPE_PROCESSOR_REQUEST_H

#include "processor/answer.h"
#include "processor/store.h"

enum route {
    ROUTE_NONE,
    ROUTE_HEALTH,     /* /health */
    ROUTE_RECORDINGS, /* /api/contact-centers/{ccid}/recordings */
    ROUTE_RECORDING,  /* .../recordings/{id} */
    ROUTE_REVISIONS   /* .../recordings/{id}/revisions */
};

struct request {
    /* Borrowed: as they came. Fields are NULL where absent. */
    const char *method;
    const char *query;
    const char *content_type;
    const char *content_encoding;
    const char *if_match;
    const char *if_none_match;

    enum route route;
    char *ccid;
    char *id;
    char *body;
    size_t body_len;
};

/*
 * Set route, ccid and id from a raw path. [any]
 *
 *   SEALTAPE_E_USAGE  bad percent-encoding, an empty, or an overlong part;
 *                     @diag says
 */
enum sealtape_status request_route(
        struct request *request, const char *path, size_t len, struct diag *diag) MUST_CHECK;

void request_clear(struct request *request);

/* Whether it changes something, and so has a body. [any] */
int request_writes(const struct request *request);

/*
 * Refuse what path, method and fields show to be wrong; else leave @answer
 * empty. [any]
 */
void request_check(const struct request *request, struct answer *answer);

/* Answer a request that reads. [any, waits for disk] */
void request_read(const struct request *request, struct store *store, struct answer *answer);

/*
 * Make the change that a request asks for. [any]
 *
 * @ret_document is NULL where @answer refuses it; the change borrows from both.
 */
void request_change(struct request *request, struct change *ret_change,
        struct document **ret_document, struct answer *answer);

/* Answer a request whose change was tried. [any] */
void request_changed(
        const struct request *request, const struct change *change, struct answer *answer);

#endif
