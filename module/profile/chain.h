/*
 * Which ways lead from a certificate to a root (RFC 5280, 6), as far as that
 * does not depend on the time: names, signatures, CA rights, path lengths,
 * strength. Dates and revocations are for certificate.c, at each use.
 */
#ifndef SEALTAPE_PROFILE_CHAIN_H
#define SEALTAPE_PROFILE_CHAIN_H

#include "profile/crl.h"
#include "profile/trust.h"
#include "profile/x509.h"

/* The leaf, intermediates, the root. */
#define CHAIN_DEPTH_MAX 8
#define CHAIN_PATHS_MAX 4
#define CHAIN_REASON_MAX 768

struct chain_path {
    const struct x509 *links[CHAIN_DEPTH_MAX]; /* the leaf first, a root last */
    size_t count;
    /* What is known of revocations by the issuer of each link but the last. */
    struct {
        const struct crl *newest; /* signed by that issuer; NULL: none */
        bool unverified;          /* there are CRLs in its name, none that it has signed */
    } crls[CHAIN_DEPTH_MAX];
    char weak[CHAIN_REASON_MAX]; /* what the policy `warn` lets pass, else "" */
};

/* Pointers are into the certificate's own chain and into the trust. */
struct chain {
    struct chain_path paths[CHAIN_PATHS_MAX];
    size_t count;                  /* 0: no way to a root */
    char reason[CHAIN_REASON_MAX]; /* why not, where count is 0 */
};

/* What leads up from a leaf. */
struct chain_source {
    const struct x509 *leaf;
    struct x509 *const *intermediates;
    size_t intermediates_count;
    const struct trust *trust;
};

/* Look for every way. [control] */
void chain_build(struct chain *ret_chain, const struct chain_source *source);

#endif
