/*
 * Certificates by the text they were read from, so that a reload makes only
 * those that are new. Used by one thread at a time.
 */
#ifndef SEALTAPE_PROFILE_POOL_H
#define SEALTAPE_PROFILE_POOL_H

#include <stddef.h>
#include <stdint.h>

#include "base/diag.h"
#include "profile/certificate.h"

struct pool;

enum sealtape_status pool_new(struct pool **ret_pool, struct diag *diag) MUST_CHECK;
void pool_free(struct pool **pool);

/* What decides a certificate. */
struct pool_key {
    const char *alias; /* NULL: built */
    const char *tenant;
    uint32_t tenant_dbid;
    const char *text; /* the option's value */
    uint32_t dbid;    /* of a profile that uses it, for messages */
};

/*
 * The certificate of a text, from the pool or made now. [setup] To be released.
 *
 *   SEALTAPE_E_CERTIFICATE  @diag says what is wrong with the text
 */
enum sealtape_status pool_acquire(struct pool *pool, const struct pool_key *key,
        struct certificate **ret_certificate, struct diag *diag) MUST_CHECK;

/* Forget what was not asked for since the last sweep. [setup] */
void pool_sweep(struct pool *pool);

/*
 * Check all against @trust, and log what is invalid and was not so, or not known, before: a
 * certificate that expires is told when it does. [setup] Returns how many are invalid.
 */
size_t pool_check(struct pool *pool, struct trust *trust, int64_t now_utc_ms);

#endif
