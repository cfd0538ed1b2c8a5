/*
 * How long to wait before the next try: exponential, with full jitter.
 */
#ifndef SEALTAPE_DELIVERY_BACKOFF_H
#define SEALTAPE_DELIVERY_BACKOFF_H

#include <stdint.h>

/*
 * A random time up to @first_ms * 2^@failures, and never above @max_ms. [any]
 * At least an eighth of that bound, so that a failing peer is never hammered.
 */
uint64_t backoff_ms(unsigned failures, uint32_t first_ms, uint32_t max_ms);

#endif
