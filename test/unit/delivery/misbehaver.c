#include "misbehaver.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"

#define OBJECTS_MAX 64
#define FAULTS_MAX 16
#define SEEN_MAX 512
#define CONNECTIONS_MAX 256
#define HEAD_MAX 16384

struct object {
    char path[512];
    char *bytes;
    size_t len;
};

struct misbehaver {
    int listener;
    uint16_t port;
    pthread_t thread;
    _Atomic bool stopping;
    _Atomic uint64_t bytes;

    /* Guards everything below. */
    pthread_mutex_t lock;
    struct object objects[OBJECTS_MAX];
    struct fault faults[FAULTS_MAX];
    struct seen seen[SEEN_MAX];
    size_t seen_count;
    pthread_t threads[CONNECTIONS_MAX];
    int sockets[CONNECTIONS_MAX];
    size_t threads_count;
    char authorization[128];
    char *posted;
};

struct connection {
    struct misbehaver *server;
    int fd;
    size_t slot;
    char buffer[HEAD_MAX + 1];
    size_t used;
};

/* ---- bytes of a connection ------------------------------------------------------------------- */

static bool fill(struct connection *c)
{
    ssize_t n;

    if (c->used == HEAD_MAX)
        return false;
    n = recv(c->fd, c->buffer + c->used, HEAD_MAX - c->used, 0);
    if (n <= 0)
        return false;
    c->used += (size_t)n;
    c->buffer[c->used] = '\0';
    return true;
}

static void consume(struct connection *c, size_t len)
{
    memmove(c->buffer, c->buffer + len, c->used - len);
    c->used -= len;
    c->buffer[c->used] = '\0';
}

static void say(struct connection *c, const char *text, size_t len)
{
    while (len > 0) {
        ssize_t n = send(c->fd, text, len, MSG_NOSIGNAL);

        if (n <= 0)
            return;
        text += n;
        len -= (size_t)n;
    }
}

struct body {
    char *bytes;
    size_t len, size;
    uint64_t limit; /* stop there */
    bool whole;
};

static bool body_take(struct connection *c, struct body *body, size_t len, bool count)
{
    while (len > 0) {
        size_t n;

        if (c->used == 0 && !fill(c))
            return false;
        n = c->used < len ? c->used : len;
        if (body->len + n + 1 > body->size) {
            body->size = 2 * (body->len + n + 1);
            body->bytes = realloc(body->bytes, body->size);
        }
        memcpy(body->bytes + body->len, c->buffer, n);
        body->len += n;
        body->bytes[body->len] = '\0';
        if (count)
            atomic_fetch_add(&c->server->bytes, n);
        consume(c, n);
        len -= n;
        if (body->len >= body->limit)
            return false;
    }
    return true;
}

static bool line_take(struct connection *c, char *line, size_t size)
{
    char *end;

    while (!(end = strstr(c->buffer, "\r\n"))) {
        if (!fill(c))
            return false;
    }
    (void)snprintf(line, size, "%.*s", (int)(end - c->buffer), c->buffer);
    consume(c, (size_t)(end - c->buffer) + 2);
    return true;
}

static void body_read(
        struct connection *c, struct body *body, const struct seen *seen, size_t content_length)
{
    bool put = strcmp(seen->method, "PUT") == 0;
    char line[64];

    if (!seen->chunked) {
        body->whole = body_take(c, body, content_length, put);
        return;
    }
    for (;;) {
        size_t len;

        if (!line_take(c, line, sizeof(line)))
            return;
        len = strtoul(line, NULL, 16);
        if (!body_take(c, body, len, put) || !line_take(c, line, sizeof(line)))
            return;
        if (len == 0)
            break;
    }
    body->whole = true;
}

/* ---- objects --------------------------------------------------------------------------------- */

static struct object *object_find(struct misbehaver *server, const char *path)
{
    for (size_t i = 0; i < OBJECTS_MAX; i++) {
        if (server->objects[i].bytes && strcmp(server->objects[i].path, path) == 0)
            return &server->objects[i];
    }
    return NULL;
}

static void object_drop(struct object *object)
{
    if (!object)
        return;
    free(object->bytes);
    memset(object, 0, sizeof(*object));
}

static void object_put(struct misbehaver *server, const char *path, const char *bytes, size_t len)
{
    struct object *object = object_find(server, path);

    object_drop(object);
    for (size_t i = 0; !object && i < OBJECTS_MAX; i++) {
        if (!server->objects[i].bytes)
            object = &server->objects[i];
    }
    if (!object)
        abort();
    (void)snprintf(object->path, sizeof(object->path), "%s", path);
    object->bytes = malloc(len + 1);
    if (len > 0)
        memcpy(object->bytes, bytes, len);
    object->len = len;
}

/* ---- requests -------------------------------------------------------------------------------- */

static void header_value(const char *head, const char *name, char *value, size_t size)
{
    const char *at = strcasestr(head, name);

    value[0] = '\0';
    if (!at)
        return;
    at += strlen(name);
    at += strspn(at, " ");
    (void)snprintf(value, size, "%.*s", (int)strcspn(at, "\r\n"), at);
}

static struct fault fault_take(struct misbehaver *server, const struct seen *seen)
{
    struct fault none = {0}, found;

    pthread_mutex_lock(&server->lock);
    for (size_t i = 0; i < FAULTS_MAX; i++) {
        struct fault *one = &server->faults[i];

        if (one->times == 0 || strcmp(one->method, seen->method) != 0)
            continue;
        if (one->part && !strstr(seen->path, one->part))
            continue;
        one->times--;
        found = *one;
        pthread_mutex_unlock(&server->lock);
        return found;
    }
    pthread_mutex_unlock(&server->lock);
    return none;
}

static void note(struct misbehaver *server, const struct seen *seen)
{
    pthread_mutex_lock(&server->lock);
    if (server->seen_count < SEEN_MAX)
        server->seen[server->seen_count++] = *seen;
    pthread_mutex_unlock(&server->lock);
}

static const char *path_of(const char *url)
{
    const char *authority = strstr(url, "://");
    const char *path = authority ? strchr(authority + 3, '/') : url;

    return path ? path : "/";
}

/* What a good server does. @answer takes the body of the answer. */
static int obey(struct misbehaver *server, const struct seen *seen, const struct body *body,
        const char *destination, const struct fault *fault, struct body *answer)
{
    struct object *object = object_find(server, seen->path), *target;
    int status = 405;

    if (strcmp(seen->method, "PUT") == 0) {
        size_t less = fault->kind == FAULT_SHORT ? (size_t)fault->bytes : 0;

        object_put(server, seen->path, body->bytes, body->len > less ? body->len - less : 0);
        return 201;
    }
    if (strcmp(seen->method, "POST") == 0) {
        free(server->posted);
        server->posted = strdup(body->bytes ? body->bytes : "");
        return 201;
    }
    if (strcmp(seen->method, "MKCOL") == 0)
        return 201;
    if (!object)
        return 404;
    if (strcmp(seen->method, "DELETE") == 0) {
        object_drop(object);
        status = 204;
    } else if (strcmp(seen->method, "MOVE") == 0) {
        target = object_find(server, path_of(destination));
        if (target)
            return 412;
        (void)snprintf(object->path, sizeof(object->path), "%s", path_of(destination));
        status = 201;
    } else if (strcmp(seen->method, "GET") == 0) {
        answer->bytes = malloc(object->len + 1);
        memcpy(answer->bytes, object->bytes, object->len);
        answer->len = object->len;
        status = 200;
    } else if (strcmp(seen->method, "PROPFIND") == 0) {
        uint64_t len = fault->kind == FAULT_LENGTH ? fault->bytes : object->len;
        int n = asprintf(&answer->bytes,
                "<?xml version=\"1.0\"?><D:multistatus xmlns:D=\"DAV:\"><D:response><D:href>%s"
                "</D:href><D:propstat><D:prop><D:getcontentlength>%llu</D:getcontentlength>"
                "</D:prop><D:status>HTTP/1.1 200 OK</D:status></D:propstat></D:response>"
                "</D:multistatus>",
                seen->path, (unsigned long long)len);

        answer->len = n > 0 ? (size_t)n : 0;
        status = 207;
    }
    return status;
}

static void respond(struct connection *c, int status, int retry_after, const struct body *answer)
{
    char head[512], retry[64] = "";
    int n;

    if (retry_after > 0)
        (void)snprintf(retry, sizeof(retry), "Retry-After: %d\r\n", retry_after);
    n = snprintf(head, sizeof(head), "HTTP/1.1 %d Status\r\n%sContent-Length: %zu\r\n\r\n", status,
            retry, answer ? answer->len : 0);
    say(c, head, (size_t)n);
    if (answer && answer->len > 0)
        say(c, answer->bytes, answer->len);
}

static void hang(struct connection *c)
{
    char byte;

    while (!c->server->stopping && recv(c->fd, &byte, 1, 0) > 0)
        continue;
}

static void reset(struct connection *c)
{
    struct linger linger = {1, 0};

    setsockopt(c->fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
}

static void flood(struct connection *c)
{
    static const char head[] = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
    char chunk[1024 + 7];

    say(c, head, sizeof(head) - 1);
    memcpy(chunk, "400\r\n", 5);
    memset(chunk + 5, 'x', 1024);
    memcpy(chunk + 5 + 1024, "\r\n", 2);
    while (!c->server->stopping && send(c->fd, chunk, sizeof(chunk), MSG_NOSIGNAL) > 0)
        continue;
}

/* Before the body. False: the connection is over. */
static bool misbehave_early(struct connection *c, const struct fault *fault, struct seen *seen)
{
    if (fault->kind != FAULT_EARLY)
        return true;
    seen->status = fault->status;
    note(c->server, seen);
    respond(c, fault->status, fault->retry_after, NULL);
    hang(c);
    return false;
}

/* After it. False: the connection is over. */
static bool finish(struct connection *c, const struct fault *fault, struct seen *seen,
        const struct body *body, const char *destination)
{
    struct misbehaver *server = c->server;
    struct body answer = {0};
    bool authorized;

    pthread_mutex_lock(&server->lock);
    authorized =
            !server->authorization[0] || strcmp(server->authorization, seen->authorization) == 0;
    if (!authorized)
        seen->status = 401;
    else if (fault->kind == FAULT_STATUS)
        seen->status = fault->status;
    else
        seen->status = obey(server, seen, body, destination, fault, &answer);
    pthread_mutex_unlock(&server->lock);
    note(server, seen);
    if (fault->kind == FAULT_FLOOD)
        flood(c);
    else if (fault->kind == FAULT_HANG)
        hang(c);
    else if (fault->kind != FAULT_SILENT)
        respond(c, seen->status, fault->retry_after, &answer);
    free(answer.bytes);
    return fault->kind != FAULT_FLOOD && fault->kind != FAULT_HANG && fault->kind != FAULT_SILENT;
}

static bool serve_one(struct connection *c)
{
    char value[512], destination[512], head[HEAD_MAX + 1];
    struct body body = {.limit = UINT64_MAX};
    struct seen seen = {.at_ns = clock_monotonic_ns()};
    struct fault fault;
    size_t length;
    char *end;
    bool more;

    while (!(end = strstr(c->buffer, "\r\n\r\n"))) {
        if (!fill(c))
            return false;
    }
    memcpy(head, c->buffer, (size_t)(end + 4 - c->buffer));
    head[end + 4 - c->buffer] = '\0';
    consume(c, (size_t)(end + 4 - c->buffer));
    if (sscanf(head, "%15s %511s", seen.method, seen.path) != 2)
        return false;
    header_value(head, "\r\nAuthorization:", seen.authorization, sizeof(seen.authorization));
    header_value(head, "\r\nIdempotency-Key:", seen.key, sizeof(seen.key));
    header_value(head, "\r\nHost:", seen.host, sizeof(seen.host));
    header_value(head, "\r\nOverwrite:", seen.overwrite, sizeof(seen.overwrite));
    header_value(head, "\r\nDestination:", destination, sizeof(destination));
    header_value(head, "\r\nTransfer-Encoding:", value, sizeof(value));
    seen.chunked = strcasecmp(value, "chunked") == 0;
    header_value(head, "\r\nExpect:", value, sizeof(value));
    seen.expected = strcasecmp(value, "100-continue") == 0;
    header_value(head, "\r\nContent-Length:", value, sizeof(value));
    length = strtoul(value, NULL, 10);
    fault = fault_take(c->server, &seen);
    if (!misbehave_early(c, &fault, &seen))
        return false;
    if (seen.expected)
        say(c, "HTTP/1.1 100 Continue\r\n\r\n", 25);
    if (fault.kind == FAULT_RESET || fault.kind == FAULT_FIN)
        body.limit = fault.bytes;
    body_read(c, &body, &seen, length);
    seen.body_len = body.len;
    if (fault.kind == FAULT_RESET)
        reset(c);
    more = body.whole && finish(c, &fault, &seen, &body, destination);
    if (!body.whole)
        note(c->server, &seen);
    free(body.bytes);
    return more;
}

static void *connection_run(void *argument)
{
    struct connection *c = argument;

    while (!c->server->stopping && serve_one(c))
        continue;
    pthread_mutex_lock(&c->server->lock);
    close(c->fd);
    c->server->sockets[c->slot] = -1;
    pthread_mutex_unlock(&c->server->lock);
    free(c);
    return NULL;
}

static void *listener_run(void *argument)
{
    struct misbehaver *server = argument;

    while (!server->stopping) {
        struct pollfd poller = {.fd = server->listener, .events = POLLIN};
        struct connection *c;
        int fd;

        if (poll(&poller, 1, 50) <= 0)
            continue;
        fd = accept4(server->listener, NULL, NULL, SOCK_CLOEXEC);
        if (fd < 0)
            continue;
        c = calloc(1, sizeof(*c));
        c->server = server;
        c->fd = fd;
        pthread_mutex_lock(&server->lock);
        if (server->threads_count == CONNECTIONS_MAX)
            abort();
        c->slot = server->threads_count++;
        server->sockets[c->slot] = fd;
        pthread_create(&server->threads[c->slot], NULL, connection_run, c);
        pthread_mutex_unlock(&server->lock);
    }
    return NULL;
}

struct misbehaver *misbehaver_start(void)
{
    struct misbehaver *server = calloc(1, sizeof(*server));
    struct sockaddr_in address = {.sin_family = AF_INET};
    socklen_t len = sizeof(address);

    pthread_mutex_init(&server->lock, NULL);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    server->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (bind(server->listener, (struct sockaddr *)&address, sizeof(address)) != 0
            || listen(server->listener, 128) != 0
            || getsockname(server->listener, (struct sockaddr *)&address, &len) != 0)
        abort();
    server->port = ntohs(address.sin_port);
    pthread_create(&server->thread, NULL, listener_run, server);
    return server;
}

void misbehaver_stop(struct misbehaver **server)
{
    struct misbehaver *gone = *server;

    if (!gone)
        return;
    gone->stopping = true;
    pthread_join(gone->thread, NULL);
    pthread_mutex_lock(&gone->lock);
    for (size_t i = 0; i < gone->threads_count; i++) {
        if (gone->sockets[i] >= 0)
            shutdown(gone->sockets[i], SHUT_RDWR);
    }
    pthread_mutex_unlock(&gone->lock);
    for (size_t i = 0; i < gone->threads_count; i++)
        pthread_join(gone->threads[i], NULL);
    for (size_t i = 0; i < OBJECTS_MAX; i++)
        object_drop(&gone->objects[i]);
    close(gone->listener);
    free(gone->posted);
    pthread_mutex_destroy(&gone->lock);
    free(gone);
    *server = NULL;
}

uint16_t misbehaver_port(const struct misbehaver *server)
{
    return server->port;
}

void misbehaver_fault(struct misbehaver *server, const struct fault *fault)
{
    pthread_mutex_lock(&server->lock);
    for (size_t i = 0; i < FAULTS_MAX; i++) {
        if (server->faults[i].times == 0) {
            server->faults[i] = *fault;
            pthread_mutex_unlock(&server->lock);
            return;
        }
    }
    abort();
}

void misbehaver_forget_faults(struct misbehaver *server)
{
    pthread_mutex_lock(&server->lock);
    memset(server->faults, 0, sizeof(server->faults));
    pthread_mutex_unlock(&server->lock);
}

void misbehaver_ask(struct misbehaver *server, const char *authorization)
{
    pthread_mutex_lock(&server->lock);
    (void)snprintf(server->authorization, sizeof(server->authorization), "%s",
            authorization ? authorization : "");
    pthread_mutex_unlock(&server->lock);
}

bool misbehaver_object(
        struct misbehaver *server, const char *path, char **ret_bytes, size_t *ret_len)
{
    struct object *object;
    bool found;

    pthread_mutex_lock(&server->lock);
    object = object_find(server, path);
    found = object != NULL;
    if (found && ret_len)
        *ret_len = object->len;
    if (found && ret_bytes) {
        *ret_bytes = malloc(object->len + 1);
        memcpy(*ret_bytes, object->bytes, object->len);
    }
    pthread_mutex_unlock(&server->lock);
    return found;
}

void misbehaver_put(struct misbehaver *server, const char *path, const void *bytes, size_t len)
{
    pthread_mutex_lock(&server->lock);
    object_put(server, path, bytes, len);
    pthread_mutex_unlock(&server->lock);
}

void misbehaver_delete(struct misbehaver *server, const char *path)
{
    pthread_mutex_lock(&server->lock);
    object_drop(object_find(server, path));
    pthread_mutex_unlock(&server->lock);
}

size_t misbehaver_objects(struct misbehaver *server)
{
    size_t count = 0;

    pthread_mutex_lock(&server->lock);
    for (size_t i = 0; i < OBJECTS_MAX; i++)
        count += server->objects[i].bytes != NULL;
    pthread_mutex_unlock(&server->lock);
    return count;
}

char *misbehaver_posted(struct misbehaver *server)
{
    char *copy;

    pthread_mutex_lock(&server->lock);
    copy = strdup(server->posted ? server->posted : "");
    pthread_mutex_unlock(&server->lock);
    return copy;
}

size_t misbehaver_count(struct misbehaver *server, const char *method)
{
    size_t count = 0;

    pthread_mutex_lock(&server->lock);
    for (size_t i = 0; i < server->seen_count; i++)
        count += strcmp(server->seen[i].method, method) == 0;
    pthread_mutex_unlock(&server->lock);
    return count;
}

bool misbehaver_seen(
        struct misbehaver *server, const char *method, size_t index, struct seen *ret_seen)
{
    bool found = false;

    pthread_mutex_lock(&server->lock);
    for (size_t i = 0; i < server->seen_count && !found; i++) {
        if (strcmp(server->seen[i].method, method) == 0 && index-- == 0) {
            *ret_seen = server->seen[i];
            found = true;
        }
    }
    pthread_mutex_unlock(&server->lock);
    return found;
}

uint64_t misbehaver_bytes(struct misbehaver *server)
{
    return atomic_load(&server->bytes);
}
