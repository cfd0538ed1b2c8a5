#include "processor/server.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <gnutls/gnutls.h>
#include <microhttpd.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <time.h>

#include "base/clock.h"
#include "base/file.h"
#include "processor/listener.h"
#include "processor/readers.h"
#include "processor/request.h"
#include "processor/writer.h"

/* With the database below the usual limit of 1024 descriptors. */
#define CONNECTIONS_MAX 900
#define IDLE_SECONDS 60
#define STOP_SECONDS 5
#define RETRY_SECONDS "5"
/*
 * Bodies and parsed documents of all requests together; beyond that the answer
 * is 503.
 */
#define BODIES_BYTES_MAX (256u * 1024 * 1024)
/*
 * Of a body that is refused anyway so much is read, so that the answer is
 * seen.
 */
#define DISCARD_BYTES_MAX (8u * DOCUMENT_BODY_MAX)
#define PEM_BYTES_MAX (1024u * 1024)
#define TLS_PRIORITIES "SECURE128:-VERS-ALL:+VERS-TLS1.3:+VERS-TLS1.2"

struct server {
    const struct server_options *options;
    struct listener listener;
    struct MHD_Daemon *daemon;
    struct readers readers;
    struct writer *writer;
    char *tls_cert;
    char *tls_key;
    atomic_size_t bodies_bytes;
    atomic_int stops; /* answers end their connections */

    /* Guards all that follows. */
    pthread_mutex_t mutex;
    pthread_cond_t idle;
    size_t exchanges;
};

/* One request and its answer. */
struct exchange {
    struct server *server;
    struct MHD_Connection *connection;
    uint64_t began_ns;
    char *target; /* path and query as they came */
    size_t path_len;
    struct request request;
    struct answer answer;
    struct document *document;
    struct job job;
    size_t body_size; /* room in request.body */
    size_t charged;   /* its part of bodies_bytes */
    size_t received;
    int is_open;   /* the fields were looked at */
    int is_queued; /* the writer has it, or had it */
};

static const char *field(struct MHD_Connection *connection, const char *name)
{
    return MHD_lookup_connection_value(connection, MHD_HEADER_KIND, name);
}

/*
 * The first that libmicrohttpd tells of a request; the raw target exists only
 * here.
 */
static void *exchange_new(void *context, const char *target, struct MHD_Connection *connection)
{
    struct server *server = context;
    struct exchange *exchange = calloc(1, sizeof(*exchange));

    if (!exchange)
        return NULL;
    exchange->target = strdup(target);
    if (!exchange->target) {
        free(exchange);
        return NULL;
    }
    exchange->server = server;
    exchange->connection = connection;
    exchange->began_ns = clock_monotonic_ns();
    exchange->path_len = strcspn(target, "?");
    pthread_mutex_lock(&server->mutex);
    server->exchanges++;
    pthread_mutex_unlock(&server->mutex);
    return exchange;
}

/*
 * Raw bytes in a path could write anything to the terminal that shows the log.
 */
static int is_printable(const char *text, size_t len)
{
    size_t i;

    for (i = 0; i < len; i++) {
        if (text[i] <= ' ' || text[i] > '~')
            return 0;
    }
    return 1;
}

/* One line per request: never the query, nor a path that is none of ours. */
static void exchange_log(const struct exchange *exchange)
{
    const struct answer *answer = &exchange->answer;
    uint64_t ms = (clock_monotonic_ns() - exchange->began_ns) / 1000000u;
    int is_ours = exchange->is_open && exchange->request.route != ROUTE_NONE
                  && is_printable(exchange->target, exchange->path_len);
    json_t *id = NULL;
    char *text = NULL;

    if (!exchange->server->options->is_verbose && answer->status < 500)
        return;
    if (exchange->document)
        id = json_string(exchange->document->id);
    /* Quoted and escaped, so that an id cannot end the line. */
    if (id)
        text = json_dumps(id, JSON_ENCODE_ANY | JSON_ENSURE_ASCII);
    (void)fprintf(stderr, "sealtape-processor: %.16s %.*s id=%s %u %llu ms%s%.*s\n",
            exchange->is_open && answer->status != 405 ? exchange->request.method : "-",
            is_ours ? (int)exchange->path_len : 1, is_ours ? exchange->target : "-",
            text ? text : "-", answer->status, (unsigned long long)ms,
            answer->status >= 500 ? " " : "", answer->status >= 500 ? (int)answer->body_len : 0,
            answer->body ? answer->body : "");
    free(text);
    json_decref(id);
}

static void exchange_free(void *context, struct MHD_Connection *connection, void **con_cls,
        enum MHD_RequestTerminationCode code)
{
    struct exchange *exchange = *con_cls;
    struct server *server = context;

    (void)connection;
    (void)code;
    if (!exchange)
        return;
    exchange_log(exchange);
    atomic_fetch_sub(&server->bodies_bytes, exchange->charged);
    document_free(&exchange->document);
    request_clear(&exchange->request);
    answer_clear(&exchange->answer);
    free(exchange->target);
    free(exchange);
    *con_cls = NULL;
    pthread_mutex_lock(&server->mutex);
    server->exchanges--;
    if (!server->exchanges)
        pthread_cond_signal(&server->idle);
    pthread_mutex_unlock(&server->mutex);
}

/*
 * A name or a password that differs and one that is missing look the same from
 * outside.
 */
static int exchange_admit(struct exchange *exchange)
{
    if (exchange->request.route == ROUTE_HEALTH
            || access_allows(&exchange->server->options->access,
                    field(exchange->connection, MHD_HTTP_HEADER_AUTHORIZATION)))
        return 1;
    exchange->answer.challenge = 1;
    answer_error(&exchange->answer, 401, "unauthorized",
            "a name and a password are needed (Basic authentication)");
    return 0;
}

static void body_too_large(struct exchange *exchange)
{
    answer_error(&exchange->answer, 413, "too large", "the body is larger than %u bytes",
            DOCUMENT_BODY_MAX);
}

/* Everything that can be said before the body has arrived. */
static void exchange_open(struct exchange *exchange, const char *method)
{
    struct request *request = &exchange->request;
    struct MHD_Connection *connection = exchange->connection;
    const char *length = field(connection, MHD_HTTP_HEADER_CONTENT_LENGTH);
    struct diag diag = {""};
    enum sealtape_status st;

    exchange->is_open = 1;
    request->method = method;
    request->query = exchange->target[exchange->path_len] == '?'
                             ? exchange->target + exchange->path_len + 1
                             : NULL;
    request->content_type = field(connection, MHD_HTTP_HEADER_CONTENT_TYPE);
    request->content_encoding = field(connection, MHD_HTTP_HEADER_CONTENT_ENCODING);
    request->if_match = field(connection, MHD_HTTP_HEADER_IF_MATCH);
    request->if_none_match = field(connection, MHD_HTTP_HEADER_IF_NONE_MATCH);
    st = request_route(request, exchange->target, exchange->path_len, &diag);
    if (!exchange_admit(exchange))
        return;
    if (st == SEALTAPE_E_USAGE)
        answer_error(&exchange->answer, 400, "bad path", "%s", diag.text);
    else if (st != SEALTAPE_OK)
        answer_failure(&exchange->answer, st, &diag);
    else
        request_check(request, &exchange->answer);
    if (!exchange->answer.status && length && strtoull(length, NULL, 10) > DOCUMENT_BODY_MAX)
        body_too_large(exchange);
}

/*
 * Take a part of what all requests may use together; given back with the
 * exchange.
 */
static int exchange_charge(struct exchange *exchange, size_t bytes)
{
    struct server *server = exchange->server;

    if (atomic_fetch_add(&server->bodies_bytes, bytes) + bytes <= BODIES_BYTES_MAX) {
        exchange->charged += bytes;
        return 1;
    }
    atomic_fetch_sub(&server->bodies_bytes, bytes);
    answer_error(&exchange->answer, 503, "unavailable", "too much at once");
    exchange->answer.retry = 1;
    return 0;
}

/* Room for the body; doubled, so that its length need not be known. */
static int body_reserve(struct exchange *exchange, size_t needed)
{
    size_t size = exchange->body_size ? exchange->body_size : 16384;
    char *body;

    while (size < needed)
        size *= 2;
    if (size == exchange->body_size)
        return 1;
    if (!exchange_charge(exchange, size - exchange->body_size))
        return 0;
    body = realloc(exchange->request.body, size);
    if (!body) {
        answer_error(&exchange->answer, 503, "unavailable", "no memory");
        exchange->answer.retry = 1;
        return 0;
    }
    exchange->request.body = body;
    exchange->body_size = size;
    return 1;
}

static enum MHD_Result exchange_receive(struct exchange *exchange, const char *bytes, size_t len)
{
    struct request *request = &exchange->request;

    exchange->received += len;
    if (exchange->received > DISCARD_BYTES_MAX)
        return MHD_NO;
    if (exchange->answer.status)
        return MHD_YES;
    if (request->body_len + len > DOCUMENT_BODY_MAX) {
        body_too_large(exchange);
        return MHD_YES;
    }
    if (!body_reserve(exchange, request->body_len + len + 1))
        return MHD_YES;
    memcpy(request->body + request->body_len, bytes, len);
    request->body_len += len;
    request->body[request->body_len] = '\0';
    return MHD_YES;
}

static void exchange_changed(void *context)
{
    struct exchange *exchange = context;

    MHD_resume_connection(exchange->connection);
}

/* The request is whole: answer it, or leave it to the writer. */
static void exchange_work(struct exchange *exchange)
{
    struct server *server = exchange->server;
    struct request *request = &exchange->request;
    struct store *store;

    if (!request_writes(request)) {
        store = readers_acquire(&server->readers);
        request_read(request, store, &exchange->answer);
        readers_release(&server->readers, store);
        return;
    }
    request_change(request, &exchange->job.change, &exchange->document, &exchange->answer);
    if (!exchange->document || !exchange_charge(exchange, exchange->document->cost))
        return;
    exchange->job.done = exchange_changed;
    exchange->job.context = exchange;
    exchange->is_queued = 1;
    /* First, as the writer may be done before the next line is. */
    MHD_suspend_connection(exchange->connection);
    if (writer_submit(server->writer, &exchange->job) == SEALTAPE_OK)
        return;
    answer_error(&exchange->answer, 503, "unavailable", "the processor is being stopped");
    exchange->answer.retry = 1;
    MHD_resume_connection(exchange->connection);
}

static int header_add(struct MHD_Response *response, const char *name, const char *value)
{
    return MHD_add_response_header(response, name, value) == MHD_YES;
}

static int headers_add(struct MHD_Response *response, const struct answer *answer, int is_last)
{
    char etag[32];

    (void)snprintf(etag, sizeof(etag), "\"%lld\"", (long long)answer->revision);
    return (!answer->body || header_add(response, MHD_HTTP_HEADER_CONTENT_TYPE, "application/json"))
           && header_add(response, MHD_HTTP_HEADER_CACHE_CONTROL, "private, no-cache")
           && (!answer->revision || header_add(response, MHD_HTTP_HEADER_ETAG, etag))
           && (!answer->location
                   || header_add(response, MHD_HTTP_HEADER_LOCATION, answer->location))
           && (!answer->allow || header_add(response, MHD_HTTP_HEADER_ALLOW, answer->allow))
           && (!is_last || header_add(response, MHD_HTTP_HEADER_CONNECTION, "close"))
           && (!answer->retry || header_add(response, MHD_HTTP_HEADER_RETRY_AFTER, RETRY_SECONDS))
           && (!answer->challenge
                   || header_add(response, MHD_HTTP_HEADER_WWW_AUTHENTICATE,
                           "Basic realm=\"sealtape-processor\", charset=\"UTF-8\""));
}

static enum MHD_Result exchange_send(struct exchange *exchange)
{
    struct answer *answer = &exchange->answer;
    /* The exchange, and the body with it, outlives the sending. */
    struct MHD_Response *response =
            MHD_create_response_from_buffer(answer->body_len, answer->body, MHD_RESPMEM_PERSISTENT);
    enum MHD_Result result = MHD_NO;

    if (!response)
        return MHD_NO;
    if (headers_add(response, answer, atomic_load(&exchange->server->stops)))
        result = MHD_queue_response(exchange->connection, answer->status, response);
    MHD_destroy_response(response);
    return result;
}

static int waits_for_continue(struct MHD_Connection *connection)
{
    const char *expect = field(connection, MHD_HTTP_HEADER_EXPECT);

    return expect && !strcasecmp(expect, "100-continue");
}

static enum MHD_Result exchange_handle(void *context, struct MHD_Connection *connection,
        const char *url, const char *method, const char *version, const char *bytes, size_t *len,
        void **con_cls)
{
    struct exchange *exchange = *con_cls;

    (void)context;
    (void)url;
    (void)version;
    if (!exchange)
        return MHD_NO;
    if (!exchange->is_open) {
        exchange_open(exchange, method);
        if (exchange->answer.status && waits_for_continue(connection))
            return exchange_send(exchange);
        return MHD_YES;
    }
    if (*len) {
        size_t taken = *len;

        *len = 0;
        return exchange_receive(exchange, bytes, taken);
    }
    if (!exchange->answer.status && !exchange->is_queued) {
        exchange_work(exchange);
        if (exchange->is_queued)
            return MHD_YES;
    } else if (!exchange->answer.status) {
        request_changed(&exchange->request, &exchange->job.change, &exchange->answer);
    }
    return exchange_send(exchange);
}

/* Paths and queries are decoded by us, after they were taken apart. */
static size_t leave_encoded(void *context, struct MHD_Connection *connection, char *text)
{
    (void)context;
    (void)connection;
    return strlen(text);
}

static enum sealtape_status tls_check(
        const char *cert, const char *key, const struct server_options *options, struct diag *diag)
{
    gnutls_certificate_credentials_t credentials;
    gnutls_datum_t cert_pem = {(unsigned char *)(uintptr_t)cert, (unsigned)strlen(cert)};
    gnutls_datum_t key_pem = {(unsigned char *)(uintptr_t)key, (unsigned)strlen(key)};
    int rc = gnutls_certificate_allocate_credentials(&credentials);

    if (rc == GNUTLS_E_SUCCESS) {
        rc = gnutls_certificate_set_x509_key_mem(
                credentials, &cert_pem, &key_pem, GNUTLS_X509_FMT_PEM);
        gnutls_certificate_free_credentials(credentials);
    }
    if (rc < 0)
        return diag_fail(diag, SEALTAPE_E_CONFIG, "%s, %s: no certificate with its key: %s",
                options->tls_cert, options->tls_key, gnutls_strerror(rc));
    return SEALTAPE_OK;
}

static enum sealtape_status tls_load(struct server *server, struct diag *diag)
{
    const struct server_options *options = server->options;
    enum sealtape_status st;
    size_t len;

    if (!options->tls_cert)
        return SEALTAPE_OK;
    if (MHD_is_feature_supported(MHD_FEATURE_TLS) != MHD_YES)
        return diag_fail(diag, SEALTAPE_E_CONFIG, "this libmicrohttpd has no TLS");
    st = file_read(AT_FDCWD, options->tls_cert, PEM_BYTES_MAX, &server->tls_cert, &len, diag);
    if (st == SEALTAPE_OK)
        st = file_read(AT_FDCWD, options->tls_key, PEM_BYTES_MAX, &server->tls_key, &len, diag);
    if (st == SEALTAPE_OK)
        st = tls_check(server->tls_cert, server->tls_key, options, diag);
    return st;
}

static enum sealtape_status daemon_start(struct server *server, struct diag *diag)
{
    /* poll, not epoll: with its edge-triggered epoll, libmicrohttpd 0.9.75 now and then leaves a
     * resumed connection unanswered until something else wakes its thread. */
    unsigned flags = MHD_USE_POLL_INTERNAL_THREAD | MHD_ALLOW_SUSPEND_RESUME;
    struct MHD_OptionItem tls[] = {
            {MHD_OPTION_HTTPS_MEM_CERT, 0, server->tls_cert},
            {MHD_OPTION_HTTPS_MEM_KEY, 0, server->tls_key},
            {MHD_OPTION_HTTPS_PRIORITIES, 0, (void *)(uintptr_t)TLS_PRIORITIES},
            {MHD_OPTION_END, 0, NULL},
    };
    struct MHD_OptionItem none = {MHD_OPTION_END, 0, NULL};

    if (server->tls_cert)
        flags |= MHD_USE_TLS;
    server->daemon = MHD_start_daemon(flags, 0, NULL, NULL, exchange_handle, server,
            MHD_OPTION_LISTEN_SOCKET, server->listener.fd, MHD_OPTION_URI_LOG_CALLBACK,
            exchange_new, server, MHD_OPTION_NOTIFY_COMPLETED, exchange_free, server,
            MHD_OPTION_UNESCAPE_CALLBACK, leave_encoded, server, MHD_OPTION_THREAD_POOL_SIZE,
            (unsigned)READERS_COUNT, MHD_OPTION_CONNECTION_LIMIT, (unsigned)CONNECTIONS_MAX,
            MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)IDLE_SECONDS, MHD_OPTION_ARRAY,
            server->tls_cert ? tls : &none, MHD_OPTION_END);
    if (!server->daemon)
        return diag_fail(
                diag, SEALTAPE_E_IO, "cannot start the HTTP server on %s", server->listener.url);
    return SEALTAPE_OK;
}

static enum sealtape_status server_prepare(struct server *server, struct diag *diag)
{
    const struct server_options *options = server->options;
    CLEANUP(store_close) struct store *store = NULL;
    enum sealtape_status st = tls_load(server, diag);

    if (st == SEALTAPE_OK)
        st = store_open(options->database, STORE_WRITES, &store, diag);
    if (st == SEALTAPE_OK)
        st = readers_init(&server->readers, options->database, diag);
    if (st == SEALTAPE_OK)
        st = writer_start(&store, &server->writer, diag);
    if (st == SEALTAPE_OK)
        st = listener_open(
                options->listen, options->tls_cert ? "https" : "http", &server->listener, diag);
    if (st == SEALTAPE_OK)
        st = daemon_start(server, diag);
    return st;
}

enum sealtape_status server_start(
        const struct server_options *options, struct server **ret_server, struct diag *diag)
{
    CLEANUP(server_stop) struct server *server = calloc(1, sizeof(*server));
    enum sealtape_status st;

    if (!server)
        return diag_fail(diag, SEALTAPE_E_MEMORY, "no memory");
    server->options = options;
    server->listener.fd = -1;
    pthread_mutex_init(&server->mutex, NULL);
    pthread_cond_init(&server->idle, NULL);
    st = server_prepare(server, diag);
    if (st != SEALTAPE_OK)
        return st;
    if (!server->listener.is_loopback && (!options->tls_cert || options->access.is_open))
        (void)fprintf(stderr, "sealtape-processor: warning: %s is beyond loopback without %s\n",
                server->listener.url, options->tls_cert ? "a password" : "TLS");
    *ret_server = TAKE(server);
    return SEALTAPE_OK;
}

const char *server_url(const struct server *server)
{
    return server->listener.url;
}

/*
 * Let those finish whose requests have begun; a client that stalls is not
 * waited for.
 */
static void exchanges_finish(struct server *server)
{
    struct timespec until;

    (void)clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += STOP_SECONDS;
    pthread_mutex_lock(&server->mutex);
    while (server->exchanges) {
        if (pthread_cond_timedwait(&server->idle, &server->mutex, &until) == ETIMEDOUT)
            break;
    }
    pthread_mutex_unlock(&server->mutex);
}

void server_stop(struct server **server)
{
    struct server *it = *server;

    if (!it)
        return;
    if (it->daemon) {
        (void)MHD_quiesce_daemon(it->daemon);
        /* Who comes now is refused at once, not left waiting in the queue. */
        (void)shutdown(it->listener.fd, SHUT_RDWR);
        atomic_store(&it->stops, 1);
        exchanges_finish(it);
    }
    /*
     * Nothing is suspended any more when the writer has stopped, as the daemon
     * demands.
     */
    if (it->writer)
        writer_stop(it->writer);
    if (it->daemon)
        MHD_stop_daemon(it->daemon);
    file_close(&it->listener.fd);
    writer_free(&it->writer);
    readers_clear(&it->readers);
    if (it->tls_key)
        gnutls_memset(it->tls_key, 0, strlen(it->tls_key));
    free(it->tls_key);
    free(it->tls_cert);
    pthread_cond_destroy(&it->idle);
    pthread_mutex_destroy(&it->mutex);
    free(it);
    *server = NULL;
}
