/*
 * Where stored bytes come from: a file, a part of one, standard input, or a
 * store.
 */
#ifndef SEALTAPE_TOOLS_CONTENT_H
#define SEALTAPE_TOOLS_CONTENT_H

#include <stddef.h>
#include <stdint.h>

#include "base/diag.h"
#include "profile/config.h"

#define CONTENT_UNKNOWN UINT64_MAX

/* Either @path or @url. All is borrowed. */
struct content {
    const char *path; /* "-": standard input */
    uint64_t offset;  /* in the file */
    uint64_t size;    /* CONTENT_UNKNOWN: to its end */
    const char *url;
    const struct config *config; /* for credentials and CAs; may be NULL */
};

/* The next bytes; SEALTAPE_OK goes on, anything else stops. */
typedef enum sealtape_status content_sink(
        void *context, const uint8_t *bytes, size_t len, struct diag *diag);

/* Hand over all bytes in order. What the sink answers is passed on, with its @diag. */
enum sealtape_status content_stream(const struct content *content, content_sink *sink,
        void *context, struct diag *diag) MUST_CHECK;

/*
 * Read the last @max bytes, or all where there are fewer.
 *
 *   SEALTAPE_E_STATE  not without reading all of it: standard input, a store that does
 *                     not tell the length
 */
enum sealtape_status content_tail(const struct content *content, uint8_t *ret_bytes, size_t max,
        size_t *ret_len, uint64_t *ret_size, struct diag *diag) MUST_CHECK;

#endif
