/*
 * URLs of stores and processors, read strictly: http or https, no userinfo,
 * no control characters. What is not understood here never reaches the network.
 */
#ifndef SEALTAPE_DELIVERY_URL_H
#define SEALTAPE_DELIVERY_URL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/diag.h"

#define URL_MAX 4096
#define URL_HOST_SIZE 256

struct url {
    bool tls;
    char host[URL_HOST_SIZE]; /* lower case, IPv6 without brackets */
    uint16_t port;
    bool literal;     /* the host is an address */
    const char *path; /* the rest, within the text that was read; may be "" */
};

/*
 * Read a URL. [any] @ret_url borrows from @text.
 *
 *   SEALTAPE_E_USAGE  not one of ours; @diag says what is wrong, without the query
 */
enum sealtape_status url_parse(const char *text, struct url *ret_url, struct diag *diag) MUST_CHECK;

/* Scheme, host and port are the same. [any] */
bool url_same_origin(const struct url *a, const struct url *b);

/* 127.0.0.0/8, ::1 or "localhost". [any] */
bool url_loopback(const struct url *url);

/* The text without query, fragment and userinfo, for messages; cut to fit. [any] */
void url_redact(const char *text, char *ret_text, size_t size);

#endif
