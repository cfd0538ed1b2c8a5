/*
 * One certificate revocation list (RFC 5280, 5), taken apart once.
 */
#ifndef SEALTAPE_PROFILE_CRL_H
#define SEALTAPE_PROFILE_CRL_H

#include "profile/x509.h"

/* No nextUpdate in the list: it never becomes stale. */
#define CRL_NO_UPDATE (-1)

struct crl_revoked {
    const uint8_t *serial; /* content octets, inside the list's bytes */
    size_t serial_len;
    int64_t at_ms;
    unsigned reason; /* CRLReason (RFC 5280, 5.3.1); 0: not given */
};

struct crl {
    gnutls_datum_t der, issuer; /* owned */
    struct x509_signed signed_part;
    char *issuer_text;
    int64_t this_update_ms, next_update_ms;
    struct crl_revoked *revoked; /* sorted by serial */
    size_t revoked_count;
};

/*
 * Take a complete CRL apart. [setup] Its signature is for whoever knows the issuer's key.
 *
 *   SEALTAPE_E_CERTIFICATE  not a CRL, or one that is not complete (delta, partitioned)
 */
enum sealtape_status crl_new(
        const void *der, size_t len, struct crl **ret_crl, struct diag *diag) MUST_CHECK;

void crl_free(struct crl **crl);

/* The entry of a serial; NULL: not revoked by this list. [control] */
const struct crl_revoked *crl_find(const struct crl *crl, const uint8_t *serial, size_t serial_len);

/* "keyCompromise" and so on; NULL for what says nothing. [any] */
const char *crl_reason_name(unsigned reason);

#endif
