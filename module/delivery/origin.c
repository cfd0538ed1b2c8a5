#include "delivery/origin.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "delivery/backoff.h"

#define NS_PER_MS UINT64_C(1000000)

struct origin *origin_find(struct origin **list, const struct url *url)
{
    bool six = strchr(url->host, ':') != NULL;
    struct origin *origin;

    for (origin = *list; origin; origin = origin->next) {
        if (url_same_origin(&origin->url, url))
            return origin;
    }
    origin = calloc(1, sizeof(*origin));
    if (!origin)
        return NULL;
    origin->url = *url;
    origin->url.path = "";
    (void)snprintf(origin->name, sizeof(origin->name), "%s://%s%s%s:%u",
            url->tls ? "https" : "http", six ? "[" : "", url->host, six ? "]" : "", url->port);
    origin->next = *list;
    *list = origin;
    return origin;
}

void origin_free_all(struct origin **list)
{
    while (*list) {
        struct origin *next = (*list)->next;

        free(*list);
        *list = next;
    }
}

bool origin_usable(const struct origin *origin, uint64_t now_ns)
{
    return !origin->open || (!origin->probing && now_ns >= origin->open_until_ns);
}

bool origin_begin(struct origin *origin)
{
    if (!origin->open)
        return false;
    origin->probing = true;
    return true;
}

bool origin_worked(struct origin *origin, bool probe)
{
    bool closed = origin->open;

    if (probe)
        origin->probing = false;
    origin->failures = 0;
    origin->trips = 0;
    origin->open = false;
    return closed;
}

bool origin_failed(
        struct origin *origin, bool probe, uint64_t retry_after_ms, const struct pace *pace)
{
    uint64_t wait_ms;
    bool opened;

    if (probe)
        origin->probing = false;
    /* What was on its way when the breaker opened adds nothing. */
    if (origin->open && !probe)
        return false;
    origin->failures++;
    if (!origin->open && origin->failures < pace->breaker_failures)
        return false;
    opened = !origin->open;
    origin->open = true;
    wait_ms = backoff_ms(origin->trips, pace->backoff_first_ms, pace->backoff_max_ms);
    if (origin->trips < 32)
        origin->trips++;
    if (wait_ms < retry_after_ms)
        wait_ms = retry_after_ms;
    origin->open_until_ns = clock_monotonic_ns() + wait_ms * NS_PER_MS;
    return opened;
}

void origin_probe_cancelled(struct origin *origin)
{
    origin->probing = false;
}

void origin_forgive(struct origin *origin)
{
    origin->open_until_ns = 0;
    origin->trips = 0;
    origin->summary_ns = 0;
}

bool origin_tell(struct origin *origin, const struct pace *pace, unsigned *ret_unsaid)
{
    uint64_t now = clock_monotonic_ns();

    if (origin->summary_ns && now < origin->summary_ns + pace->summary_ms * NS_PER_MS) {
        origin->unsaid++;
        return false;
    }
    *ret_unsaid = origin->unsaid;
    origin->unsaid = 0;
    origin->summary_ns = now;
    return true;
}
