/*
 * HTTP/1.1 requests, many at a time in one thread. The one home of libcurl.
 *
 * curl_multi_socket_action with epoll. Only http and https, no redirects, no
 * proxies from the environment, no signals, TLS verified. Names are resolved
 * in a thread of ours: libcurl's own resolver can hold up the loop for seconds.
 */
#ifndef SEALTAPE_DELIVERY_HTTP_H
#define SEALTAPE_DELIVERY_HTTP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/diag.h"
#include "profile/config.h"

/*
 * Get a whole object or a range of it, waiting for it. [setup; tools]
 *
 * Credentials and CA are those of the @destinations entry with the same origin
 * (scheme, host, port) as @url; a URL of another origin goes without. Bytes
 * are handed to @sink as they come, SEALTAPE_OK goes on, anything else stops.
 * @offset and @len choose a range; len 0: from @offset to the end; a server that
 * ignores ranges is noticed and skipped through. @ret_total is the length of the
 * whole object where the server says so, else UINT64_MAX.
 *
 *   SEALTAPE_E_IO     @diag: method, URL without query, status or network error
 *   SEALTAPE_E_USAGE  not an http(s) URL, or with userinfo
 */
typedef enum sealtape_status http_sink(void *context, const void *bytes, size_t len);

struct http_fetch {
    const char *url;
    const struct config_destination *destinations;
    size_t destinations_count;
    uint64_t offset, len;
    http_sink *sink;
    void *context;
};
enum sealtape_status http_fetch(const struct http_fetch *fetch, uint64_t *ret_total,
        struct diag *diag) MUST_CHECK;

#endif
