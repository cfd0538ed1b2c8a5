/*
 * Recording certificates and the trust that they are checked against.
 *
 * RFC 5280 path validation: chain to a root through intermediates, dates, CRLs
 * where given, keyEncipherment where keyUsage is present, RSA of 2048 to 8192
 * bits. Extended key usage is not asked for; policies and name constraints are
 * not processed (the latter, where critical, are refused).
 *
 * Every certificate of the roots file is a root, self-signed or not; one that is
 * a recipient itself needs nothing above it. An issuer without a CRL in the file
 * is not checked for revocations. One whose CRLs are all past their nextUpdate,
 * or none of them signed by it, falls under `crl-stale`; a stale list still
 * revokes what it names. `weak-keys` = warn lets RSA of 1024 to 2047 bits and
 * SHA-1 pass; MD5 and less never do. The signature of a root over itself does
 * not count. Nothing depends on the host's GnuTLS configuration.
 */
#ifndef SEALTAPE_PROFILE_CERTIFICATE_H
#define SEALTAPE_PROFILE_CERTIFICATE_H

#include <stddef.h>
#include <stdint.h>

#include "base/diag.h"
#include "profile/config.h"

/* Immutable, shared by reference counts; both kinds. */
struct certificate;
struct trust;

/* What a reader of metadata or of a message wants to know; borrowed from the certificate. */
struct certificate_facts {
    const char *alias;   /* from the annex, or "rcs_<tenant>:<tenant DBID>:<issuer>:<serial>" */
    const char *issuer;  /* DN in encoding order: "C=US,O=Example,CN=Recording CA" */
    const char *subject; /* likewise */
    const char *serial;  /* decimal */
    const char *sha256;  /* of the DER, 64 hex digits */
    int64_t not_before_ms, not_after_ms;
    /* What a RecipientInfo needs: DER Name of the issuer, content octets of the
     * serial INTEGER, modulus and exponent as unsigned big-endian octets. */
    const uint8_t *issuer_der, *serial_octets, *modulus, *exponent;
    size_t issuer_der_len, serial_octets_len, modulus_len, exponent_len;
};

/*
 * Make a certificate from DER. [setup]
 *
 * @alias NULL: it is built from @tenant (name), @tenant_dbid, issuer and serial.
 * @chain: DER intermediates that came with it, copied; @chain_count may be 0.
 * A certificate that is not RSA, or too weak, is made all the same:
 * certificate_check() refuses it with its reason at each use.
 *
 *   SEALTAPE_E_CERTIFICATE  not an X.509 certificate
 */
struct certificate_der {
    const uint8_t *bytes;
    size_t len;
};
struct certificate_source {
    const char *alias;
    const char *tenant;
    uint32_t tenant_dbid;
    struct certificate_der leaf;
    const struct certificate_der *chain;
    size_t chain_count;
};
enum sealtape_status certificate_new(const struct certificate_source *source,
        struct certificate **ret_certificate, struct diag *diag) MUST_CHECK;

struct certificate *certificate_acquire(struct certificate *certificate);
void certificate_release(struct certificate **certificate);

/* Facts of a certificate, valid while it is held. [any] */
const struct certificate_facts *certificate_facts(const struct certificate *certificate);

/*
 * Load roots and CRLs. [setup]
 *
 *   SEALTAPE_E_CONFIG  file, and what was found there
 */
enum sealtape_status trust_load(
        const struct config *config, struct trust **ret_trust, struct diag *diag) MUST_CHECK;

struct trust *trust_acquire(struct trust *trust);
void trust_release(struct trust **trust);

/*
 * May this certificate be recorded to at @now_utc_ms? [control]
 *
 * The verdict on signatures is cached in the certificate for this trust; dates
 * (of the whole chain) and CRLs are looked at each time.
 *
 *   SEALTAPE_E_CERTIFICATE  @diag: "certificate ALIAS (SUBJECT, serial N): REASON", the
 *                           reason with its date: "expired on 2026-03-01T00:00:00.000Z"
 *   SEALTAPE_OK             @ret_warning, if not NULL, has a text where the policy is
 *                           warn (stale CRL, weak key), else an empty one
 */
enum sealtape_status certificate_check(struct certificate *certificate, struct trust *trust,
        int64_t now_utc_ms, struct diag *ret_warning, struct diag *diag) MUST_CHECK;

#endif
