/*
 * A server as delivery sees it: scheme, host and port, the addresses behind
 * the name, how it has behaved lately, how much of it is in use.
 */
#ifndef SEALTAPE_DELIVERY_ORIGIN_H
#define SEALTAPE_DELIVERY_ORIGIN_H

#include <stdbool.h>
#include <stdint.h>

#include "delivery/pace.h"
#include "profile/url.h"

#define ORIGIN_NAME_SIZE (URL_HOST_MAX + 32)
#define ORIGIN_RESOLVE_SIZE (RESOLVER_TEXT_SIZE + URL_HOST_MAX + 16)

struct origin {
    struct origin *next;
    struct url url;
    char name[ORIGIN_NAME_SIZE]; /* "https://store.example:443" */

    char resolve[ORIGIN_RESOLVE_SIZE]; /* for http_call; "" until known */
    uint64_t resolved_ns;
    bool resolving;

    /* The breaker: closed, open until a time, or open with its one probe on the way. */
    bool open, probing;
    unsigned failures; /* in a row */
    unsigned trips;    /* openings since it last worked */
    uint64_t open_until_ns;

    unsigned live, uploads, posts; /* in use */

    uint64_t summary_ns;
    unsigned unsaid; /* failures since the last log line */
};

/* The one of @url in the list, made where there is none; NULL: no memory. [transfer] */
struct origin *origin_find(struct origin **list, const struct url *url);
void origin_free_all(struct origin **list);

/* May a request be made now? [transfer] False: look again at open_until_ns. */
bool origin_usable(const struct origin *origin, uint64_t now_ns);

/* A request begins. [transfer] True: it is the probe; say how it went. */
bool origin_begin(struct origin *origin);

/* It answered. [transfer] True: the breaker has closed with this. */
bool origin_worked(struct origin *origin, bool probe);

/*
 * A network failure or a 5xx. [transfer] @retry_after_ms: what it asked for, or 0.
 * True: the breaker has opened with this, after it had been closed.
 */
bool origin_failed(
        struct origin *origin, bool probe, uint64_t retry_after_ms, const struct pace *pace);

/* The probe came to nothing. [transfer] */
void origin_probe_cancelled(struct origin *origin);

/* Try again at once. [transfer] */
void origin_forgive(struct origin *origin);

/* Is it time for a log line? The first failure at once, then sums. [transfer]
 * @ret_unsaid: failures that no line has told of, this one not counted. */
bool origin_tell(struct origin *origin, const struct pace *pace, unsigned *ret_unsaid);

#endif
