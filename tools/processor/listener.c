#include "processor/listener.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/file.h"
#include "processor/query.h"

#define HOST_SIZE 256

/* "127.0.0.1:8080", "[::1]:8080", "localhost:8080" */
static enum sealtape_status address_split(
        const char *address, char host[HOST_SIZE], const char **ret_port)
{
    const char *colon = strrchr(address, ':');
    const char *from = address;
    const char *to = colon;
    int64_t port;

    if (!colon || number_parse(colon + 1, 0, 65535, &port) != SEALTAPE_OK)
        return SEALTAPE_E_USAGE;
    if (*from == '[') {
        from++;
        to = colon - 1;
        if (to < from || *to != ']')
            return SEALTAPE_E_USAGE;
    } else if (memchr(from, ':', (size_t)(to - from))) {
        return SEALTAPE_E_USAGE;
    }
    if (to <= from || to - from >= HOST_SIZE)
        return SEALTAPE_E_USAGE;
    memcpy(host, from, (size_t)(to - from));
    host[to - from] = '\0';
    *ret_port = colon + 1;
    return SEALTAPE_OK;
}

static int socket_listen(const struct addrinfo *where)
{
    int fd = socket(where->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    int on = 1;
    int error;

    if (fd < 0)
        return -1;
    if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) == 0
            && bind(fd, where->ai_addr, where->ai_addrlen) == 0 && listen(fd, SOMAXCONN) == 0)
        return fd;
    error = errno;
    file_close(&fd);
    errno = error;
    return -1;
}

static enum sealtape_status listener_describe(struct listener *listener, const char *scheme)
{
    union {
        struct sockaddr any;
        struct sockaddr_in v4;
        struct sockaddr_in6 v6;
    } name;
    socklen_t len = sizeof(name);
    char text[INET6_ADDRSTRLEN];

    memset(&name, 0, sizeof(name));
    if (getsockname(listener->fd, &name.any, &len))
        return SEALTAPE_E_IO;
    if (name.any.sa_family == AF_INET6) {
        if (!inet_ntop(AF_INET6, &name.v6.sin6_addr, text, sizeof(text)))
            return SEALTAPE_E_IO;
        listener->is_loopback = IN6_IS_ADDR_LOOPBACK(&name.v6.sin6_addr);
        (void)snprintf(listener->url, sizeof(listener->url), "%s://[%s]:%u", scheme, text,
                (unsigned)ntohs(name.v6.sin6_port));
        return SEALTAPE_OK;
    }
    if (!inet_ntop(AF_INET, &name.v4.sin_addr, text, sizeof(text)))
        return SEALTAPE_E_IO;
    listener->is_loopback = ntohl(name.v4.sin_addr.s_addr) >> 24 == 127;
    (void)snprintf(listener->url, sizeof(listener->url), "%s://%s:%u", scheme, text,
            (unsigned)ntohs(name.v4.sin_port));
    return SEALTAPE_OK;
}

enum sealtape_status listener_open(
        const char *address, const char *scheme, struct listener *ret_listener, struct diag *diag)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE};
    struct listener listener = {.fd = -1};
    struct addrinfo *list = NULL;
    char host[HOST_SIZE];
    const char *port;
    int error;

    if (address_split(address, host, &port) != SEALTAPE_OK)
        return diag_fail(diag, SEALTAPE_E_USAGE,
                "--listen %s: expected ADDR:PORT, IPv6 addresses in brackets", address);
    error = getaddrinfo(host, port, &hints, &list);
    if (error)
        return diag_fail(diag, SEALTAPE_E_USAGE, "--listen %s: %s", address, gai_strerror(error));
    listener.fd = socket_listen(list);
    freeaddrinfo(list);
    if (listener.fd < 0 || listener_describe(&listener, scheme) != SEALTAPE_OK) {
        error = errno;
        file_close(&listener.fd);
        return diag_fail(diag, SEALTAPE_E_IO, "cannot listen on %s: %s", address, strerror(error));
    }
    *ret_listener = listener;
    return SEALTAPE_OK;
}
