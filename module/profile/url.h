/*
 * The URLs of stores and processors: what of RFC 3986 is accepted from
 * configurations and profiles, and whether two have the same origin.
 */
#ifndef SEALTAPE_PROFILE_URL_H
#define SEALTAPE_PROFILE_URL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/diag.h"

#define URL_MAX 2048
#define URL_HOST_MAX 256

struct url {
    bool tls;                /* https */
    char host[URL_HOST_MAX]; /* lower case; an IPv6 address without its brackets */
    uint16_t port;           /* 80 or 443 where the URL has none */
    const char *path;        /* within the text that was parsed: "" or from its '/' or '?' */
};

/*
 * Take a URL apart. [any]
 *
 * http or https, a host of letters, digits, '.', '-' or an address, no userinfo, no
 * fragment, no blanks, no control characters, printable ASCII only.
 *
 *   SEALTAPE_E_USAGE  @diag: "expected ..., found ..."; never with what stands before an '@'
 */
enum sealtape_status url_parse(const char *text, struct url *ret_url, struct diag *diag) MUST_CHECK;

/* Scheme, host and port are the same: credentials of the one may go to the other. [any] */
bool url_same_origin(const struct url *a, const struct url *b);

/* The host is this machine by its form alone: localhost, 127.0.0.0/8, ::1. [any] */
bool url_is_loopback(const struct url *url);

/* The host is an address: there is no name to resolve. [any] */
bool url_is_address(const struct url *url);

/* A URL's text without query, fragment and userinfo, for messages; cut to fit. [any] */
void url_redact(const char *text, char *ret_text, size_t size);

#endif
