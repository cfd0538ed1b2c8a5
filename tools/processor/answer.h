/*
 * What goes back to a client: a status, a JSON body, a few fields.
 */
#ifndef SEALTAPE_PROCESSOR_ANSWER_H
#define SEALTAPE_PROCESSOR_ANSWER_H

#include <jansson.h>
#include <stddef.h>
#include <stdint.h>

#include "base/diag.h"

struct answer {
    unsigned status; /* of HTTP; 0: there is no answer yet */
    char *body;
    size_t body_len;
    int64_t revision; /* the ETag; 0: none */
    char *location;   /* NULL: none */
    const char *allow;
    int challenge; /* ask for credentials */
    int retry;     /* say when to come again */
};

/* A body that is made already; @body is taken. [any] */
void answer_text(struct answer *answer, unsigned status, char *body, size_t len);

/*
 * A body from JSON; @json is taken, NULL is answered as lack of memory. [any]
 */
void answer_json(struct answer *answer, unsigned status, json_t *json);

/*
 * {"error": @code, "reason": the text}. [any]
 *
 * Never a value from a document: telephone numbers stand in those.
 */
void answer_error(struct answer *answer, unsigned status, const char *code, const char *format, ...)
        PRINTF_LIKE(4, 5);

/*
 * The database did not do it: 503 where another try may help, else 500. [any]
 */
void answer_failure(struct answer *answer, enum sealtape_status status, const struct diag *diag);

void answer_clear(struct answer *answer);

#endif
