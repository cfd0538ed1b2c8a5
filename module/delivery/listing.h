/*
 * A store's answer to PROPFIND (RFC 4918, 9.1), as far as it matters here.
 */
#ifndef SEALTAPE_DELIVERY_LISTING_H
#define SEALTAPE_DELIVERY_LISTING_H

#include <stddef.h>
#include <stdint.h>

#include "base/diag.h"

#define LISTING_MAX 65536

/*
 * The one getcontentlength of a multistatus document. [transfer]
 *
 * A NUL stands behind the @len bytes.
 *
 *   SEALTAPE_E_CONFIG  not well-formed
 *   SEALTAPE_E_STATE   it names no length, or several that differ
 */
enum sealtape_status listing_length(
        const char *bytes, size_t len, uint64_t *ret_length, struct diag *diag) MUST_CHECK;

#endif
