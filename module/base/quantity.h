/*
 * Sizes and times as people write them: digits and a unit, nothing between.
 */
#ifndef SEALTAPE_BASE_QUANTITY_H
#define SEALTAPE_BASE_QUANTITY_H

#include <stdint.h>

#include "base/status.h"

/*
 * "64KiB", "256MiB", "20GiB", "2TiB"; the unit is never left out. [any]
 *
 *   SEALTAPE_E_USAGE  not such a size, or more than 64 bits of bytes
 */
enum sealtape_status quantity_size(const char *text, uint64_t *ret_bytes) MUST_CHECK;

/* "250ms", "1s", "10min", "2h", "7d"; likewise, in milliseconds. [any] */
enum sealtape_status quantity_time(const char *text, uint64_t *ret_ms) MUST_CHECK;

#endif
