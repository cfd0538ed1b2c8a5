#include "profile/url.h"

#include <arpa/inet.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define LETTERS "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
#define DIGITS "0123456789"

static enum sealtape_status read_scheme(
        const char *text, bool *ret_tls, const char **ret_rest, struct diag *diag)
{
    if (strncasecmp(text, "https://", 8) == 0) {
        *ret_tls = true;
        *ret_rest = text + 8;
        return SEALTAPE_OK;
    }
    if (strncasecmp(text, "http://", 7) == 0) {
        *ret_tls = false;
        *ret_rest = text + 7;
        return SEALTAPE_OK;
    }
    /* Not the text: without a scheme, what looks like a host may be a password. */
    return diag_fail(diag, SEALTAPE_E_USAGE,
            "expected a URL that begins with https:// or http://, found something else");
}

static enum sealtape_status read_port(
        const char *text, size_t len, uint16_t *ret_port, struct diag *diag)
{
    unsigned long port = 0;

    if (len > 0 && len <= 5 && strspn(text, DIGITS) >= len)
        port = strtoul(text, NULL, 10);
    if (port < 1 || port > 65535)
        /* Not the text: with a '/' in a password, a part of it stands here. */
        return diag_fail(diag, SEALTAPE_E_USAGE,
                "expected a port from 1 to 65535 behind the host, found something else");
    *ret_port = (uint16_t)port;
    return SEALTAPE_OK;
}

static enum sealtape_status copy_host(
        const char *text, size_t len, bool bracketed, struct url *url, struct diag *diag)
{
    struct in6_addr address;

    if (len > 0 && len < sizeof(url->host)) {
        for (size_t i = 0; i < len; i++)
            url->host[i] = (char)(text[i] >= 'A' && text[i] <= 'Z' ? text[i] + 32 : text[i]);
        url->host[len] = '\0';
        if (bracketed && inet_pton(AF_INET6, url->host, &address) == 1)
            return SEALTAPE_OK;
        if (!bracketed && strspn(url->host, LETTERS DIGITS ".-_") == len)
            return SEALTAPE_OK;
    }
    return diag_fail(diag, SEALTAPE_E_USAGE,
            "expected the name or address of a host, found \"%.*s\"", (int)(len < 80 ? len : 80),
            text);
}

/* RFC 3986, 3.2: authority = [ userinfo "@" ] host [ ":" port ] */
static enum sealtape_status read_authority(
        const char *text, size_t len, struct url *url, struct diag *diag)
{
    const char *host = text, *host_end, *end = text + len;
    bool bracketed = len > 0 && *text == '[';
    enum sealtape_status st;

    if (memchr(text, '@', len))
        return diag_fail(diag, SEALTAPE_E_USAGE,
                "expected a URL without userinfo, found an \"@\" before its path; use username and "
                "password-file");
    if (bracketed) {
        host++;
        host_end = memchr(host, ']', (size_t)(end - host));
        if (!host_end)
            return diag_fail(diag, SEALTAPE_E_USAGE, "expected \"]\" behind the address of a host");
    } else {
        host_end = memchr(host, ':', len);
        if (!host_end)
            host_end = end;
    }
    st = copy_host(host, (size_t)(host_end - host), bracketed, url, diag);
    if (st != SEALTAPE_OK)
        return st;
    host_end += bracketed;
    url->port = url->tls ? 443 : 80;
    if (host_end == end)
        return SEALTAPE_OK;
    if (*host_end != ':')
        return diag_fail(diag, SEALTAPE_E_USAGE, "expected \":\" or \"/\" behind the host");
    return read_port(host_end + 1, (size_t)(end - host_end - 1), &url->port, diag);
}

enum sealtape_status url_parse(const char *text, struct url *ret_url, struct diag *diag)
{
    struct url url = {0};
    const char *rest = NULL;
    enum sealtape_status st;

    if (strlen(text) > URL_MAX)
        return diag_fail(diag, SEALTAPE_E_USAGE, "expected a URL of at most %d bytes, found %zu",
                URL_MAX, strlen(text));
    st = read_scheme(text, &url.tls, &rest, diag);
    if (st != SEALTAPE_OK)
        return st;
    url.path = rest + strcspn(rest, "/?#\\");
    st = read_authority(rest, (size_t)(url.path - rest), &url, diag);
    if (st != SEALTAPE_OK)
        return st;
    for (const char *at = url.path; *at; at++) {
        if (*at <= ' ' || *at >= 0x7f || strchr("\"<>\\^`{|}", *at))
            return diag_fail(diag, SEALTAPE_E_USAGE,
                    "expected a URL of printable ASCII, found the byte 0x%02x in its path; write "
                    "it "
                    "as %%%02X",
                    (unsigned char)*at, (unsigned char)*at);
        if (*at == '#')
            return diag_fail(
                    diag, SEALTAPE_E_USAGE, "expected a URL without a fragment, found \"#\"");
    }
    *ret_url = url;
    return SEALTAPE_OK;
}

bool url_same_origin(const struct url *a, const struct url *b)
{
    return a->tls == b->tls && a->port == b->port && strcmp(a->host, b->host) == 0;
}

bool url_is_loopback(const struct url *url)
{
    struct in_addr v4;
    struct in6_addr v6;

    if (strcmp(url->host, "localhost") == 0)
        return true;
    /* As an address, not as a prefix: 127.example.org is somebody's host. */
    if (inet_pton(AF_INET, url->host, &v4) == 1)
        return ntohl(v4.s_addr) >> 24 == 127;
    return inet_pton(AF_INET6, url->host, &v6) == 1 && IN6_IS_ADDR_LOOPBACK(&v6);
}

bool url_is_address(const struct url *url)
{
    unsigned char address[16];

    return inet_pton(AF_INET, url->host, address) == 1
           || inet_pton(AF_INET6, url->host, address) == 1;
}

void url_redact(const char *text, char *ret_text, size_t size)
{
    size_t len = strcspn(text, "?#");
    const char *authority = strstr(text, "://");
    size_t skip = 0;

    if (authority && authority < text + len) {
        size_t span = strcspn(authority + 3, "/?#");
        const char *at = memrchr(authority + 3, '@', span);

        if (at)
            skip = (size_t)(at + 1 - text);
    }
    (void)snprintf(ret_text, size, "%.*s", (int)(len > skip ? len - skip : 0), text + skip);
}
