/*
 * What an HTTP answer's header lines say that delivery acts upon. Any server, and
 * anyone between, may have written them.
 */
#ifndef SEALTAPE_DELIVERY_HEAD_H
#define SEALTAPE_DELIVERY_HEAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define HEAD_RETRY_AFTER_MAX_MS (10u * 60 * 1000)

/* What was said so far. */
struct head {
    int status;              /* the final one; 0: none yet, or a 1xx */
    uint64_t retry_after_ms; /* 0: not said; at most HEAD_RETRY_AFTER_MAX_MS */
    uint64_t total;          /* Content-Range's or Content-Length's, else UINT64_MAX */
};

/*
 * Take in one line, with or without its line end; it need not end with a NUL.
 * [transfer] Answers whether it is a status line: then all that was said is void.
 *
 * Retry-After (RFC 9110, 10.2.3) is seconds or a date of the preferred form,
 * counted from @now_utc_ms; Content-Range (14.4) gives the total; so does
 * Content-Length (8.6) of a 200. What has another form was not said.
 */
bool head_line(struct head *head, const char *line, size_t len, int64_t now_utc_ms);

#endif
