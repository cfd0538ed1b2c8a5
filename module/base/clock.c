#include "base/clock.h"

#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

static int64_t (*_Atomic host_now)(void *context);
static void *_Atomic host_context;

void clock_set_host(int64_t (*now_utc_ms)(void *context), void *context)
{
    atomic_store(&host_context, context);
    atomic_store(&host_now, now_utc_ms);
}

int64_t clock_utc_ms(void)
{
    int64_t (*now)(void *context) = atomic_load(&host_now);
    struct timespec ts;

    if (now)
        return now(atomic_load(&host_context));
    clock_gettime(CLOCK_REALTIME, &ts);
    return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

uint64_t clock_monotonic_ns(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

/* 0000-01-01 and the last millisecond of 9999. */
#define TIMESTAMP_MIN_MS INT64_C(-62167219200000)
#define TIMESTAMP_MAX_MS INT64_C(253402300799999)

void timestamp_format(int64_t utc_ms, char ret_text[TIMESTAMP_SIZE])
{
    int64_t seconds, ms;
    struct tm tm;
    time_t t;

    if (utc_ms < TIMESTAMP_MIN_MS)
        utc_ms = TIMESTAMP_MIN_MS;
    if (utc_ms > TIMESTAMP_MAX_MS)
        utc_ms = TIMESTAMP_MAX_MS;
    seconds = utc_ms / 1000;
    ms = utc_ms % 1000;
    if (ms < 0) {
        ms += 1000;
        seconds--;
    }
    t = (time_t)seconds;
    memset(&tm, 0, sizeof(tm));
    gmtime_r(&t, &tm);
    (void)snprintf(ret_text, TIMESTAMP_SIZE, "%04u-%02u-%02uT%02u:%02u:%02u.%03uZ",
            (unsigned)(tm.tm_year + 1900) % 10000u, (unsigned)(tm.tm_mon + 1) % 100u,
            (unsigned)tm.tm_mday % 100u, (unsigned)tm.tm_hour % 100u, (unsigned)tm.tm_min % 100u,
            (unsigned)tm.tm_sec % 100u, (unsigned)ms % 1000u);
}

enum sealtape_status timestamp_parse(const char *text, int64_t *ret_utc_ms)
{
    int64_t ms = 0, scale = 100;
    const char *rest;
    struct tm tm;
    time_t t;

    memset(&tm, 0, sizeof(tm));
    rest = strptime(text, "%Y-%m-%dT%H:%M:%S", &tm);
    if (!rest)
        return SEALTAPE_E_USAGE;
    if (*rest == '.') {
        for (rest++; *rest >= '0' && *rest <= '9'; rest++) {
            ms += (*rest - '0') * scale;
            scale /= 10;
        }
    }
    if (strcmp(rest, "Z") != 0)
        return SEALTAPE_E_USAGE;
    t = timegm(&tm);
    *ret_utc_ms = (int64_t)t * 1000 + ms;
    return SEALTAPE_OK;
}
