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
enum sealtape_status http_fetch(
        const struct http_fetch *fetch, uint64_t *ret_total, struct diag *diag) MUST_CHECK;

/* Everything below belongs to one thread, but for http_interrupt(). */
struct http;
struct http_request;

/* Open requests at a time. */
#define HTTP_REQUESTS_MAX 4096
/* Bytes of an answer without a sink; more of them end the request. */
#define HTTP_ANSWER_MAX (1024u * 1024)
#define HTTP_HEADERS_MAX 8
#define HTTP_LENGTH_CHUNKED UINT64_MAX

/* Times in milliseconds. */
struct http_timing {
    uint32_t connect_ms; /* TCP and TLS */
    uint32_t stall_ms;   /* no progress while bytes wait */
    uint32_t answer_ms;  /* from the end of our body to the end of the answer */
};

enum sealtape_status http_open(
        const struct http_timing *timing, struct http **ret_http, struct diag *diag) MUST_CHECK;

/* Every request must have ended or been cancelled. */
void http_close(struct http **http);

/* What a source answers: */
enum http_read {
    HTTP_READ_MORE,  /* bytes were given */
    HTTP_READ_PAUSE, /* none now; http_resume() asks again */
    HTTP_READ_END,   /* that was the whole body */
    HTTP_READ_FAIL   /* end the request */
};

/* Give up to @size bytes of the body from @offset; a retry begins again at 0. */
typedef enum http_read http_source(
        void *context, uint64_t offset, void *bytes, size_t size, size_t *ret_len);

struct http_answer {
    int status;     /* the final one; 0: none came */
    bool complete;  /* the whole answer has come, and no network error */
    bool body_sent; /* our own end of file was consumed */
    bool stopped;   /* by the source or the sink */
    bool timed_out;
    uint64_t retry_after_ms; /* 0: not said; capped */
    uint64_t total;          /* Content-Range's or Content-Length's, else UINT64_MAX */
    char error[256];         /* where not complete: a line without URL */
};

struct http_call {
    const char *method; /* kept */
    const char *url;
    const char *username, *password; /* NULL: none */
    const char *ca_file;             /* kept; NULL: the system's */
    const char *resolve;             /* "host:port:address,..." or NULL: a literal address */
    const char *headers[HTTP_HEADERS_MAX];
    /* The body: bytes (kept until done), or a source with a length, or none of both. */
    const void *body;
    size_t body_len;
    http_source *source;
    uint64_t length; /* of the source, or HTTP_LENGTH_CHUNKED */
    /* Where the bytes of a 2xx go; NULL: dropped. */
    http_sink *sink;
    /* From http_run(), once. The request is gone then. May send and cancel others. */
    void (*done)(void *context, const struct http_answer *answer);
    void *context; /* of source, sink and done */
};

/*
 * Begin a request. Strings are copied.
 *
 *   SEALTAPE_E_LIMIT   HTTP_REQUESTS_MAX run already
 *   SEALTAPE_E_MEMORY  no memory
 */
enum sealtape_status http_send(struct http *http, const struct http_call *call,
        struct http_request **ret_request) MUST_CHECK;

/* There is something to read again. Does nothing where it does not pause. */
void http_resume(struct http_request *request);

/* End it now; `done` is not called. Leaves NULL. Not from its own callbacks. */
void http_cancel(struct http_request **request);

/* The final status so far, 0: none yet; for sinks. */
int http_status(const struct http_request *request);

/* Wait for events until @until_ns (monotonic), handle them, return. */
void http_run(struct http *http, uint64_t until_ns);

/* Let http_run() return soon. [any] */
void http_interrupt(struct http *http);

#endif
