#include "delivery/http.h"

#include <curl/curl.h>
#include <errno.h>
#include <gnutls/gnutls.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "delivery/head.h"

#define NS_PER_MS UINT64_C(1000000)
#define EVENTS_MAX 256
#define POOL_MAX 64
#define WATCH_PERIOD_NS (250 * NS_PER_MS)
#define HEADER_BYTES_MAX (64u * 1024)
/* A stalled store must not hold a call's bytes by the megabyte in kernel sockets. */
#define SOCKET_BUFFER 32768

struct http_request {
    struct http_request *next, **link; /* of http->active, or of the pool */
    struct http *http;
    CURL *easy;
    struct curl_slist *headers;
    struct curl_slist *resolve;
    struct http_call call; /* only what is used after the start */
    struct http_answer answer;
    char error[CURL_ERROR_SIZE];
    uint64_t position; /* of the body */
    uint64_t progress_ns, sent_ns;
    size_t header_bytes, answer_bytes;
    bool paused, wake, ending; /* ending: the answer has come before the body's end */
};

struct http {
    CURLM *multi;
    int epoll, event;
    struct http_timing timing;
    struct http_request *active, *pool;
    unsigned active_count, pool_count;
    struct http_request **owners; /* by socket */
    size_t owners_count;
    uint64_t timer_ns; /* UINT64_MAX: none */
    uint64_t watch_ns;
    bool wake_any;
};

/* ---- sockets and timers ---------------------------------------------------------------------- */

static int on_socket_made(void *context, curl_socket_t fd, curlsocktype purpose)
{
    unsigned timeout_ms = 30000;
    int buffer = SOCKET_BUFFER, on = 1;

    (void)context;
    (void)purpose;
    /* Each of these is an improvement, not a condition. */
    ignore(setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &timeout_ms, sizeof(timeout_ms)));
    ignore(setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &buffer, sizeof(buffer)));
    ignore(setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on)));
    return CURL_SOCKOPT_OK;
}

static curl_socket_t on_socket_open(
        void *context, curlsocktype purpose, struct curl_sockaddr *address)
{
    (void)context;
    (void)purpose;
    return socket(
            address->family, address->socktype | SOCK_CLOEXEC | SOCK_NONBLOCK, address->protocol);
}

static bool owners_grow(struct http *http, size_t fd)
{
    size_t count = http->owners_count ? http->owners_count : 256;
    struct http_request **owners;

    if (fd < http->owners_count)
        return true;
    while (count <= fd)
        count *= 2;
    owners = realloc(http->owners, count * sizeof(struct http_request *));
    if (!owners)
        return false;
    memset(owners + http->owners_count, 0,
            (count - http->owners_count) * sizeof(struct http_request *));
    http->owners = owners;
    http->owners_count = count;
    return true;
}

static int on_socket(CURL *easy, curl_socket_t fd, int what, void *context, void *known)
{
    struct http_request *request = NULL;
    struct http *http = context;
    struct epoll_event event;

    if (what == CURL_POLL_REMOVE) {
        /* libcurl closes it next, which takes it from the set as well. */
        ignore(epoll_ctl(http->epoll, EPOLL_CTL_DEL, fd, NULL));
        if ((size_t)fd < http->owners_count)
            http->owners[fd] = NULL;
        return 0;
    }
    if (!owners_grow(http, (size_t)fd))
        return -1;
    if (curl_easy_getinfo(easy, CURLINFO_PRIVATE, &request) == CURLE_OK)
        http->owners[fd] = request;
    memset(&event, 0, sizeof(event));
    /* Without EPOLLRDHUP the end of a paused upload's connection goes unnoticed. */
    event.events = EPOLLRDHUP;
    if (what == CURL_POLL_IN || what == CURL_POLL_INOUT)
        event.events |= EPOLLIN;
    if (what == CURL_POLL_OUT || what == CURL_POLL_INOUT)
        event.events |= EPOLLOUT;
    event.data.fd = fd;
    if (epoll_ctl(http->epoll, known ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, fd, &event) != 0
            && epoll_ctl(http->epoll, known ? EPOLL_CTL_ADD : EPOLL_CTL_MOD, fd, &event) != 0)
        return -1;
    curl_multi_assign(http->multi, fd, http);
    return 0;
}

static int on_timer(CURLM *multi, long timeout_ms, void *context)
{
    struct http *http = context;

    (void)multi;
    http->timer_ns =
            timeout_ms < 0 ? UINT64_MAX : clock_monotonic_ns() + (uint64_t)timeout_ms * NS_PER_MS;
    return 0;
}

/* ---- one request ----------------------------------------------------------------------------- */

static void wake_later(struct http_request *request)
{
    request->wake = true;
    request->http->wake_any = true;
}

static size_t on_header(char *line, size_t size, size_t count, void *context)
{
    struct http_request *request = context;
    struct http_answer *answer = &request->answer;
    struct head head = {answer->status, answer->retry_after_ms, answer->total};
    size_t len = size * count;
    bool begins;

    request->progress_ns = clock_monotonic_ns();
    request->header_bytes += len;
    if (request->header_bytes > HEADER_BYTES_MAX)
        return 0;
    /* A 100 is no answer yet; whatever a former try was told is void. */
    begins = head_line(&head, line, len, clock_utc_ms());
    answer->status = head.status;
    answer->total = head.total;
    answer->retry_after_ms = head.retry_after_ms;
    if (begins && head.status && request->call.source && !answer->body_sent) {
        request->ending = true;
        wake_later(request);
    }
    return len;
}

static size_t on_read(char *to, size_t size, size_t count, void *context)
{
    struct http_request *request = context;
    const struct http_call *call = &request->call;
    size_t room = size * count, len = 0;

    if (request->ending)
        return CURL_READFUNC_ABORT;
    if (call->length != HTTP_LENGTH_CHUNKED && request->position >= call->length)
        return 0;
    if (call->length != HTTP_LENGTH_CHUNKED && room > call->length - request->position)
        room = (size_t)(call->length - request->position);
    switch (call->source(call->context, request->position, to, room, &len)) {
    case HTTP_READ_MORE:
        request->position += len;
        request->progress_ns = clock_monotonic_ns();
        break;
    case HTTP_READ_PAUSE:
        request->paused = true;
        return CURL_READFUNC_PAUSE;
    case HTTP_READ_END:
        break;
    case HTTP_READ_FAIL:
    default:
        request->answer.stopped = true;
        return CURL_READFUNC_ABORT;
    }
    if (call->length == HTTP_LENGTH_CHUNKED ? len == 0 : request->position == call->length) {
        request->answer.body_sent = true;
        request->sent_ns = clock_monotonic_ns();
    }
    return len;
}

/* A kept connection may have died: libcurl begins again on a new one, from the first byte. */
static int on_seek(void *context, curl_off_t offset, int origin)
{
    struct http_request *request = context;

    if (origin != SEEK_SET || offset < 0)
        return CURL_SEEKFUNC_FAIL;
    request->position = (uint64_t)offset;
    request->answer.body_sent = request->call.length != HTTP_LENGTH_CHUNKED
                                && request->position == request->call.length;
    return CURL_SEEKFUNC_OK;
}

static size_t on_body(char *bytes, size_t size, size_t count, void *context)
{
    struct http_request *request = context;
    size_t len = size * count;

    request->progress_ns = clock_monotonic_ns();
    if (request->call.sink && request->answer.status >= 200 && request->answer.status < 300) {
        if (request->call.sink(request->call.context, bytes, len) == SEALTAPE_OK)
            return len;
        request->answer.stopped = true;
        return CURL_WRITEFUNC_ERROR;
    }
    request->answer_bytes += len;
    return request->answer_bytes > HTTP_ANSWER_MAX ? CURL_WRITEFUNC_ERROR : len;
}

/* libcurl copies strings; a failure is always memory. */
#define SET(option, value)                                                                         \
    do {                                                                                           \
        if (curl_easy_setopt(request->easy, option, value) != CURLE_OK)                            \
            ok = false;                                                                            \
    } while (0)

static bool set_manners(struct http_request *request)
{
    const struct http_timing *timing = &request->http->timing;
    bool ok = true;

    SET(CURLOPT_PRIVATE, request);
    SET(CURLOPT_ERRORBUFFER, request->error);
    SET(CURLOPT_NOSIGNAL, 1L);
    SET(CURLOPT_PROXY, "");
    SET(CURLOPT_NOPROXY, "*");
    SET(CURLOPT_NETRC, (long)CURL_NETRC_IGNORED);
    SET(CURLOPT_PROTOCOLS_STR, "http,https");
    SET(CURLOPT_FOLLOWLOCATION, 0L);
    SET(CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    SET(CURLOPT_HTTP09_ALLOWED, 0L);
    SET(CURLOPT_PATH_AS_IS, 1L);
    SET(CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
    SET(CURLOPT_SSL_VERIFYPEER, 1L);
    SET(CURLOPT_SSL_VERIFYHOST, 2L);
    SET(CURLOPT_CONNECTTIMEOUT_MS, (long)timing->connect_ms);
    SET(CURLOPT_DNS_CACHE_TIMEOUT, -1L);
    SET(CURLOPT_SOCKOPTFUNCTION, on_socket_made);
    SET(CURLOPT_OPENSOCKETFUNCTION, on_socket_open);
    SET(CURLOPT_HEADERFUNCTION, on_header);
    SET(CURLOPT_HEADERDATA, request);
    SET(CURLOPT_WRITEFUNCTION, on_body);
    SET(CURLOPT_WRITEDATA, request);
    SET(CURLOPT_USERAGENT, "sealtape/" SEALTAPE_VERSION);
    return ok;
}

static bool header_add(struct http_request *request, const char *header)
{
    struct curl_slist *list = curl_slist_append(request->headers, header);

    if (!list)
        return false;
    request->headers = list;
    return true;
}

static bool set_body(struct http_request *request, const struct http_call *call)
{
    bool ok = true;

    if (call->source) {
        SET(CURLOPT_UPLOAD, 1L);
        SET(CURLOPT_READFUNCTION, on_read);
        SET(CURLOPT_READDATA, request);
        SET(CURLOPT_SEEKFUNCTION, on_seek);
        SET(CURLOPT_SEEKDATA, request);
        SET(CURLOPT_INFILESIZE_LARGE,
                call->length == HTTP_LENGTH_CHUNKED ? (curl_off_t)-1 : (curl_off_t)call->length);
        SET(CURLOPT_UPLOAD_BUFFERSIZE, 16384L);
        SET(CURLOPT_BUFFERSIZE, 1024L);
        request->answer.body_sent = call->length == 0;
        /* Some servers answer 401 or 404 only at the end of a body that was not announced. */
        ok = ok && header_add(request, call->length == 0 ? "Expect:" : "Expect: 100-continue");
        if (call->length == HTTP_LENGTH_CHUNKED)
            ok = ok && header_add(request, "Transfer-Encoding: chunked");
        return ok;
    }
    request->answer.body_sent = true;
    request->sent_ns = request->progress_ns;
    if (call->body) {
        SET(CURLOPT_POST, 1L);
        SET(CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)call->body_len);
        SET(CURLOPT_POSTFIELDS, call->body);
        ok = ok && header_add(request, "Expect:");
    } else if (strcmp(call->method, "GET") == 0) {
        SET(CURLOPT_HTTPGET, 1L);
    }
    SET(CURLOPT_CUSTOMREQUEST, call->method);
    return ok;
}

static bool set_call(struct http_request *request, const struct http_call *call)
{
    bool ok = true;

    SET(CURLOPT_URL, call->url);
    if (call->username) {
        SET(CURLOPT_HTTPAUTH, (long)CURLAUTH_BASIC);
        SET(CURLOPT_USERNAME, call->username);
        SET(CURLOPT_PASSWORD, call->password ? call->password : "");
    }
    if (call->ca_file) {
        /* This one file, and not the system's CAs beside it. */
        SET(CURLOPT_CAINFO, call->ca_file);
        SET(CURLOPT_CAPATH, (char *)NULL);
    }
    if (call->resolve) {
        request->resolve = curl_slist_append(NULL, call->resolve);
        ok = ok && request->resolve;
        SET(CURLOPT_RESOLVE, request->resolve);
    }
    for (size_t i = 0; i < HTTP_HEADERS_MAX && call->headers[i]; i++)
        ok = ok && header_add(request, call->headers[i]);
    ok = ok && set_body(request, call);
    SET(CURLOPT_HTTPHEADER, request->headers);
    return ok;
}
#undef SET

/* Back into the pool, which keeps buffers; connections belong to the multi handle. */
static void request_retire(struct http_request *request)
{
    struct http *http = request->http;

    curl_slist_free_all(request->headers);
    curl_slist_free_all(request->resolve);
    request->headers = request->resolve = NULL;
    if (http->pool_count >= POOL_MAX) {
        curl_easy_cleanup(request->easy);
        free(request);
        return;
    }
    /* Credentials do not outlive their request. */
    curl_easy_reset(request->easy);
    request->next = http->pool;
    http->pool = request;
    http->pool_count++;
}

static struct http_request *request_new(struct http *http)
{
    struct http_request *request = http->pool;
    CURL *easy;

    if (request) {
        http->pool = request->next;
        http->pool_count--;
        easy = request->easy;
        memset(request, 0, sizeof(*request));
        request->easy = easy;
    } else {
        request = calloc(1, sizeof(*request));
        if (!request)
            return NULL;
        request->easy = curl_easy_init();
        if (!request->easy) {
            free(request);
            return NULL;
        }
    }
    request->http = http;
    return request;
}

enum sealtape_status http_send(
        struct http *http, const struct http_call *call, struct http_request **ret_request)
{
    struct http_request *request;

    if (http->active_count >= HTTP_REQUESTS_MAX)
        return SEALTAPE_E_LIMIT;
    request = request_new(http);
    if (!request)
        return SEALTAPE_E_MEMORY;
    request->call.method = call->method;
    request->call.ca_file = call->ca_file;
    request->call.source = call->source;
    request->call.length = call->length;
    request->call.sink = call->sink;
    request->call.done = call->done;
    request->call.context = call->context;
    request->answer.total = UINT64_MAX;
    request->progress_ns = clock_monotonic_ns();
    if (!set_manners(request) || !set_call(request, call)
            || curl_multi_add_handle(http->multi, request->easy) != CURLM_OK) {
        request_retire(request);
        return SEALTAPE_E_MEMORY;
    }
    request->next = http->active;
    request->link = &http->active;
    if (http->active)
        http->active->link = &request->next;
    http->active = request;
    http->active_count++;
    *ret_request = request;
    return SEALTAPE_OK;
}

static void request_unlink(struct http_request *request)
{
    struct http *http = request->http;

    curl_multi_remove_handle(http->multi, request->easy);
    for (size_t i = 0; i < http->owners_count; i++) {
        if (http->owners[i] == request)
            http->owners[i] = NULL;
    }
    *request->link = request->next;
    if (request->next)
        request->next->link = request->link;
    request->next = NULL;
    http->active_count--;
}

void http_cancel(struct http_request **request)
{
    if (!*request)
        return;
    request_unlink(*request);
    request_retire(*request);
    *request = NULL;
}

/* libcurl says that verification failed; who runs the store needs to know of what. */
static void explain(const struct http_request *request, CURLcode code, char *ret_text, size_t size)
{
    const char *ca_file = request->call.ca_file;
    long verdict = 0;

    if (code == CURLE_PEER_FAILED_VERIFICATION)
        ignore(curl_easy_getinfo(request->easy, CURLINFO_SSL_VERIFYRESULT, &verdict));
    if (verdict & GNUTLS_CERT_EXPIRED)
        (void)snprintf(ret_text, size, "a certificate of the server has expired");
    else if (verdict & GNUTLS_CERT_NOT_ACTIVATED)
        (void)snprintf(ret_text, size, "a certificate of the server is not valid yet");
    else if (verdict & GNUTLS_CERT_SIGNER_NOT_FOUND)
        (void)snprintf(ret_text, size, "the server's certificate is of no CA in %s",
                ca_file ? ca_file : "the system's list; name its CA with ca-file");
    else
        (void)snprintf(ret_text, size, "%s",
                request->error[0] ? request->error : curl_easy_strerror(code));
}

static void request_end(struct http_request *request, CURLcode code, const char *reason)
{
    void (*done)(void *, const struct http_answer *) = request->call.done;
    struct http_answer answer = request->answer;
    void *context = request->call.context;

    /* A 2xx in front of our own end of file says nothing about the object. */
    answer.complete = code == CURLE_OK && answer.status != 0 && !request->ending;
    if (!answer.complete) {
        if (!reason && request->ending)
            reason = "the answer came before the end of the body";
        if (reason)
            (void)snprintf(answer.error, sizeof(answer.error), "%s", reason);
        else
            explain(request, code, answer.error, sizeof(answer.error));
        answer.timed_out = answer.timed_out || code == CURLE_OPERATION_TIMEDOUT;
    }
    request_unlink(request);
    request_retire(request);
    done(context, &answer);
}

int http_status(const struct http_request *request)
{
    return request->answer.status;
}

void http_resume(struct http_request *request)
{
    if (!request->paused)
        return;
    request->paused = false;
    request->progress_ns = clock_monotonic_ns();
    /* A failure here ends the transfer, and libcurl reports that in its own way. */
    ignore(curl_easy_pause(request->easy, CURLPAUSE_CONT));
}

/* ---- the loop -------------------------------------------------------------------------------- */

enum sealtape_status http_open(
        const struct http_timing *timing, struct http **ret_http, struct diag *diag)
{
    CLEANUP(http_close) struct http *http = NULL;
    struct epoll_event event;

    /* Counted by libcurl, and safe beside a host that uses libcurl itself. */
    if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
        return diag_fail(diag, SEALTAPE_E_MEMORY, "libcurl cannot be initialised");
    http = calloc(1, sizeof(*http));
    if (!http) {
        curl_global_cleanup();
        return SEALTAPE_E_MEMORY;
    }
    http->timing = *timing;
    http->timer_ns = UINT64_MAX;
    http->event = -1;
    http->epoll = epoll_create1(EPOLL_CLOEXEC);
    if (http->epoll < 0)
        return diag_fail(diag, SEALTAPE_E_IO, "cannot create an epoll: %s", strerror(errno));
    http->event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    memset(&event, 0, sizeof(event));
    event.events = EPOLLIN;
    event.data.fd = http->event;
    if (http->event < 0 || epoll_ctl(http->epoll, EPOLL_CTL_ADD, http->event, &event) != 0)
        return diag_fail(diag, SEALTAPE_E_IO, "cannot create an eventfd: %s", strerror(errno));
    http->multi = curl_multi_init();
    if (!http->multi
            || curl_multi_setopt(http->multi, CURLMOPT_SOCKETFUNCTION, on_socket) != CURLM_OK
            || curl_multi_setopt(http->multi, CURLMOPT_SOCKETDATA, http) != CURLM_OK
            || curl_multi_setopt(http->multi, CURLMOPT_TIMERFUNCTION, on_timer) != CURLM_OK
            || curl_multi_setopt(http->multi, CURLMOPT_TIMERDATA, http) != CURLM_OK
            || curl_multi_setopt(http->multi, CURLMOPT_PIPELINING, (long)CURLPIPE_NOTHING)
                       != CURLM_OK)
        return diag_fail(diag, SEALTAPE_E_MEMORY, "no memory for libcurl");
    *ret_http = TAKE(http);
    return SEALTAPE_OK;
}

void http_close(struct http **http)
{
    struct http *gone = *http;

    if (!gone)
        return;
    while (gone->active) {
        struct http_request *request = gone->active;

        http_cancel(&request);
    }
    while (gone->pool) {
        struct http_request *next = gone->pool->next;

        curl_easy_cleanup(gone->pool->easy);
        free(gone->pool);
        gone->pool = next;
    }
    if (gone->multi)
        curl_multi_cleanup(gone->multi);
    file_close(&gone->event);
    file_close(&gone->epoll);
    free(gone->owners);
    free(gone);
    curl_global_cleanup();
    *http = NULL;
}

static void socket_event(struct http *http, const struct epoll_event *event)
{
    int fd = event->data.fd, flags = 0, running;
    struct http_request *owner;

    /* libcurl may forget the socket in what follows; a request stays until it is reaped. */
    owner = (size_t)fd < http->owners_count ? http->owners[fd] : NULL;
    if (event->events & EPOLLIN)
        flags |= CURL_CSELECT_IN;
    if (event->events & EPOLLOUT)
        flags |= CURL_CSELECT_OUT;
    if (event->events & (EPOLLERR | EPOLLHUP))
        flags |= CURL_CSELECT_ERR;
    if (event->events & EPOLLRDHUP)
        flags |= CURL_CSELECT_IN;
    curl_multi_socket_action(http->multi, fd, flags, &running);
    if (!(event->events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)))
        return;
    if (owner && owner->paused) {
        owner->ending = true;
        if (!owner->answer.status)
            (void)snprintf(owner->error, sizeof(owner->error),
                    "the peer closed the connection during the upload");
        wake_later(owner);
    }
}

/* Those that must be looked at although their source has nothing. */
static void wake_flagged(struct http *http)
{
    if (!http->wake_any)
        return;
    http->wake_any = false;
    for (struct http_request *one = http->active; one; one = one->next) {
        if (one->wake) {
            one->wake = false;
            http_resume(one);
        }
    }
}

/* LOW_SPEED limits of libcurl fire during our own pauses; so we look ourselves. */
static void watch_stalls(struct http *http, uint64_t now_ns)
{
    struct http_request *one, *next;

    if (now_ns < http->watch_ns)
        return;
    http->watch_ns = now_ns + WATCH_PERIOD_NS;
    for (one = http->active; one; one = next) {
        bool sink = one->call.sink != NULL;
        uint64_t since = one->answer.body_sent && !sink ? one->sent_ns : one->progress_ns;
        uint64_t limit_ms =
                one->answer.body_sent && !sink ? http->timing.answer_ms : http->timing.stall_ms;

        next = one->next;
        if (since == 0)
            since = one->progress_ns;
        if (one->paused || now_ns < since + limit_ms * NS_PER_MS)
            continue;
        one->answer.timed_out = true;
        request_end(one, CURLE_OPERATION_TIMEDOUT,
                one->answer.body_sent ? "no answer in time" : "no progress for too long");
        /* `done` may have changed the list; the rest is looked at next time. */
        http->watch_ns = now_ns;
        return;
    }
}

static void reap(struct http *http)
{
    CURLMsg *message;
    int left;

    while ((message = curl_multi_info_read(http->multi, &left)) != NULL) {
        struct http_request *request = NULL;
        CURLcode code = message->data.result;

        if (message->msg != CURLMSG_DONE)
            continue;
        if (curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &request) == CURLE_OK
                && request)
            request_end(request, code, NULL);
    }
}

static int wait_ms(const struct http *http, uint64_t until_ns)
{
    uint64_t now = clock_monotonic_ns();

    if (http->active && http->watch_ns < until_ns)
        until_ns = http->watch_ns;
    if (http->timer_ns < until_ns)
        until_ns = http->timer_ns;
    if (http->wake_any || until_ns <= now)
        return 0;
    until_ns = (until_ns - now + NS_PER_MS - 1) / NS_PER_MS;
    return until_ns > 60000 ? 60000 : (int)until_ns;
}

void http_run(struct http *http, uint64_t until_ns)
{
    struct epoll_event events[EVENTS_MAX];
    int count, running;
    uint64_t now;

    count = epoll_wait(http->epoll, events, EVENTS_MAX, wait_ms(http, until_ns));
    for (int i = 0; i < count; i++) {
        if (events[i].data.fd == http->event) {
            uint64_t drained;

            ignore(read(http->event, &drained, sizeof(drained)) < 0);
        } else {
            socket_event(http, &events[i]);
        }
    }
    wake_flagged(http);
    now = clock_monotonic_ns();
    if (http->timer_ns <= now) {
        http->timer_ns = UINT64_MAX;
        curl_multi_socket_action(http->multi, CURL_SOCKET_TIMEOUT, 0, &running);
    }
    reap(http);
    watch_stalls(http, now);
}

void http_interrupt(struct http *http)
{
    uint64_t one = 1;

    /* A counter that is full wakes it as well. */
    ignore(write(http->event, &one, sizeof(one)) < 0);
}
