/*
 * Random numbers enter here and nowhere else (GnuTLS's generator).
 */
#ifndef SEALTAPE_BASE_RANDOM_H
#define SEALTAPE_BASE_RANDOM_H

#include <stddef.h>
#include <stdint.h>

#include "base/status.h"

/* Bytes for session keys, written straight to where they stay. [control]
 *
 *   SEALTAPE_E_IO  the generator failed; the bytes must not be used
 */
enum sealtape_status random_key(void *ret_bytes, size_t len) MUST_CHECK;

/* Bytes that need not be secret: IVs, salts, names, jitter. [any but media] As above. */
enum sealtape_status random_nonce(void *ret_bytes, size_t len) MUST_CHECK;

#endif
