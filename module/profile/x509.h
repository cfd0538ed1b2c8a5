/*
 * One X.509 certificate, taken apart once. The one home of GnuTLS's X.509: what
 * else needs it includes this header.
 */
#ifndef SEALTAPE_PROFILE_X509_H
#define SEALTAPE_PROFILE_X509_H

#include <gnutls/abstract.h>
#include <gnutls/x509.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/diag.h"

/* RFC 5280, 4.1.2.2 allows 20 octets; some CAs take more. */
#define X509_SERIAL_MAX 64
#define X509_OID_MAX 128
/* No path length in basicConstraints. */
#define X509_PATH_UNLIMITED (-1)

/* Bytes inside others that are owned elsewhere. */
struct x509_span {
    const uint8_t *bytes;
    size_t len;
};

/* What a signature is made over, with what, and its octets. */
struct x509_signed {
    struct x509_span tbs;
    gnutls_sign_algorithm_t algorithm;
    gnutls_datum_t signature; /* owned */
};

struct x509 {
    gnutls_datum_t der;               /* owned, as all datums here */
    gnutls_datum_t issuer, subject;   /* DER Names */
    gnutls_datum_t modulus, exponent; /* NULL unless RSA */
    struct x509_signed signed_part;
    gnutls_pubkey_t key;
    gnutls_pk_algorithm_t key_algorithm;
    unsigned key_bits;
    char *issuer_text, *subject_text; /* encoding order, RFC 4514 escapes, no control characters */
    char *serial_text;                /* decimal */
    uint8_t serial[X509_SERIAL_MAX];
    size_t serial_len;
    char sha256[65];
    int64_t not_before_ms, not_after_ms;
    int version;
    bool is_ca;
    int path_len;
    bool has_usage;
    unsigned usage;              /* GNUTLS_KEY_* */
    char critical[X509_OID_MAX]; /* a critical extension that is not understood, else "" */
};

/*
 * Take a certificate apart. [setup]
 *
 *   SEALTAPE_E_CERTIFICATE  not an X.509 certificate, or followed by other bytes
 */
enum sealtape_status x509_new(
        const void *der, size_t len, struct x509 **ret_x509, struct diag *diag) MUST_CHECK;

void x509_free(struct x509 **x509);

/* Do these bytes carry a signature by this key? Of whatever strength: that is policy, and not
 * left to the host's GnuTLS configuration. [control] */
bool x509_verifies(const struct x509_signed *signed_part, const struct x509 *by);

/* The first element of a SEQUENCE, which is what a certificate's or CRL's signature covers. [any]
 *
 *   SEALTAPE_E_USAGE  not a SEQUENCE that fills @len bytes */
enum sealtape_status x509_tbs(const uint8_t *der, size_t len, struct x509_span *ret_tbs) MUST_CHECK;

bool x509_same(const gnutls_datum_t *a, const gnutls_datum_t *b);

/* A name as text, see struct x509; malloc'ed, NULL without memory. [setup] */
char *x509_name_text(const gnutls_datum_t *name);

/* INTEGER content octets in decimal; malloc'ed, NULL without memory. [setup] */
char *x509_serial_text(const uint8_t *octets, size_t len);

#endif
