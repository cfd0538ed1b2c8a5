/*
 * How patient delivery is: every time and bound that tests shorten.
 */
#ifndef SEALTAPE_DELIVERY_PACE_H
#define SEALTAPE_DELIVERY_PACE_H

#include "delivery/http.h"
#include "delivery/resolver.h"

struct pace {
    struct http_timing http;
    uint32_t resolve_ms;     /* wait for a name */
    uint32_t resolve_ttl_ms; /* then it is asked for again, behind the running requests */
    uint32_t tick_ms;        /* all live uploads are woken together */
    uint32_t backoff_first_ms, backoff_max_ms;
    uint32_t slow_first_ms, slow_max_ms; /* after a 4xx, which time alone rarely mends */
    uint32_t breaker_failures;           /* in a row, until an origin is left alone */
    uint32_t uploads_max, posts_max;     /* at a time, for each origin */
    uint32_t summary_ms;                 /* between log lines about one origin's failures */
    resolver_lookup *lookup;
    void *lookup_context;
};

extern const struct pace pace_default;

#endif
