/*
 * Time enters here and nowhere else, so that tests own it.
 */
#ifndef SEALTAPE_BASE_CLOCK_H
#define SEALTAPE_BASE_CLOCK_H

#include <stdint.h>

#include "base/status.h"

/* "2026-03-02T09:15:00.000Z" and its NUL. */
#define TIMESTAMP_SIZE 32

/* Take UTC from the host; NULL: the system's clock. [setup] */
void clock_set_host(int64_t (*now_utc_ms)(void *context), void *context);

/* Milliseconds since 1970, UTC; may jump. [any] */
int64_t clock_utc_ms(void);

/* Nanoseconds of CLOCK_MONOTONIC; for durations and deadlines. [any] */
uint64_t clock_monotonic_ns(void);

/*
 * RFC 3339 in UTC with milliseconds and Z, as metadata has it. [any]
 * Years 0 to 9999; other times are clamped to those.
 */
void timestamp_format(int64_t utc_ms, char ret_text[TIMESTAMP_SIZE]);

/*
 * Read what timestamp_format() writes; the fraction may be absent or longer. [any]
 *
 *   SEALTAPE_E_USAGE  not such a time
 */
enum sealtape_status timestamp_parse(const char *text, int64_t *ret_utc_ms) MUST_CHECK;

#endif
