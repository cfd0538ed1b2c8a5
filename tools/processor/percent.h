/*
 * Percent-encoding of paths and queries (RFC 3986, 2.1), strictly.
 */
#ifndef SEALTAPE_PROCESSOR_PERCENT_H
#define SEALTAPE_PROCESSOR_PERCENT_H

#include <stddef.h>

#include "base/status.h"

/* What a "+" stands for. */
enum percent_plus {
    PERCENT_PLUS_IS_PLUS, /* paths, and values in which a blank has no meaning */
    PERCENT_PLUS_IS_BLANK /* form-encoded values */
};

/*
 * Decode @len bytes. [any]
 *
 * @ret_text is malloc'ed, NUL-terminated UTF-8, owned by the caller.
 *
 *   SEALTAPE_E_USAGE   a "%" without two hex digits, a NUL, or no UTF-8
 *   SEALTAPE_E_MEMORY
 */
enum sealtape_status percent_decode(
        const char *text, size_t len, enum percent_plus plus, char **ret_text) MUST_CHECK;

/*
 * Encode one path segment: all but unreserved characters. [any] NULL: no
 * memory.
 */
char *percent_encode(const char *text);

#endif
