/*
 * Roots and CRLs as the files give them. certificate.c applies the rules.
 */
#ifndef SEALTAPE_PROFILE_TRUST_H
#define SEALTAPE_PROFILE_TRUST_H

#include "profile/certificate.h"
#include "profile/crl.h"
#include "profile/x509.h"

struct trust {
    _Atomic unsigned references;
    uint64_t id; /* no two trusts of a process have the same; never 0 */
    enum config_policy crl_stale, weak_keys;
    struct x509 **roots;
    size_t roots_count;
    struct crl **crls;
    size_t crls_count;
};

#endif
