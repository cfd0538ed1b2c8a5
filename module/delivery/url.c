#include "delivery/url.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

static bool host_character(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '.' || c == '-' || c == '_';
}

/* The host in front of @end; returns what follows it, or NULL. */
static const char *host_read(const char *text, const char *end, struct url *url)
{
    bool bracketed = text < end && *text == '[';
    unsigned char address[16];
    size_t used = 0;

    if (bracketed)
        text++;
    for (; text < end && (bracketed ? *text != ']' : *text != ':'); text++) {
        char c = *text;

        if (c >= 'A' && c <= 'Z')
            c = (char)(c - 'A' + 'a');
        if (!host_character(c) && !(bracketed && c == ':'))
            return NULL;
        if (used + 1 >= sizeof(url->host))
            return NULL;
        url->host[used++] = c;
    }
    url->host[used] = '\0';
    if (used == 0)
        return NULL;
    if (!bracketed) {
        url->literal = inet_pton(AF_INET, url->host, address) == 1;
        return text;
    }
    url->literal = true;
    if (text == end || inet_pton(AF_INET6, url->host, address) != 1)
        return NULL;
    return text + 1;
}

static bool port_read(const char *text, const char *end, struct url *url)
{
    unsigned long port = 0;

    if (text == end) {
        url->port = url->tls ? 443 : 80;
        return true;
    }
    if (*text != ':' || text + 1 == end || end - text > 6)
        return false;
    for (text++; text < end; text++) {
        if (*text < '0' || *text > '9')
            return false;
        port = port * 10 + (unsigned long)(*text - '0');
    }
    if (port == 0 || port > 65535)
        return false;
    url->port = (uint16_t)port;
    return true;
}

enum sealtape_status url_parse(const char *text, struct url *ret_url, struct diag *diag)
{
    const char *authority, *end, *rest;
    char shown[256];
    struct url url;

    memset(&url, 0, sizeof(url));
    url_redact(text, shown, sizeof(shown));
    if (strlen(text) > URL_MAX)
        return diag_fail(diag, SEALTAPE_E_USAGE, "%s...: URL longer than %d bytes", shown, URL_MAX);
    for (const char *c = text; *c; c++) {
        if ((unsigned char)*c <= 0x20 || (unsigned char)*c >= 0x7f || *c == '\\')
            return diag_fail(diag, SEALTAPE_E_USAGE,
                    "%s: blanks, control characters, backslashes and non-ASCII must be escaped "
                    "in a URL",
                    shown);
    }
    if (strncasecmp(text, "https://", 8) == 0)
        url.tls = true;
    else if (strncasecmp(text, "http://", 7) != 0)
        return diag_fail(diag, SEALTAPE_E_USAGE, "%s: expected an http or https URL", shown);
    authority = text + (url.tls ? 8 : 7);
    end = authority + strcspn(authority, "/?#");
    if (memchr(authority, '@', (size_t)(end - authority)))
        return diag_fail(diag, SEALTAPE_E_USAGE,
                "%s: a URL with user name or password is refused; configure them", shown);
    rest = host_read(authority, end, &url);
    if (!rest || !port_read(rest, end, &url))
        return diag_fail(diag, SEALTAPE_E_USAGE, "%s: host or port is malformed", shown);
    url.path = end;
    *ret_url = url;
    return SEALTAPE_OK;
}

bool url_same_origin(const struct url *a, const struct url *b)
{
    return a->tls == b->tls && a->port == b->port && strcmp(a->host, b->host) == 0;
}

bool url_loopback(const struct url *url)
{
    struct in_addr v4;

    if (strcmp(url->host, "localhost") == 0 || strcmp(url->host, "::1") == 0)
        return true;
    return inet_pton(AF_INET, url->host, &v4) == 1 && (ntohl(v4.s_addr) >> 24) == 127;
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
