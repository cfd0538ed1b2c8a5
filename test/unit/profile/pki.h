/*
 * A small CA for tests: certificates and CRLs of every good and bad kind, made
 * with GnuTLS in memory.
 */
#ifndef SEALTAPE_TEST_PKI_H
#define SEALTAPE_TEST_PKI_H

#include <gnutls/gnutls.h>
#include <gnutls/x509-ext.h>
#include <gnutls/x509.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

/* 2026-03-01T00:00:00Z, the day on which tests take place. */
#define PKI_NOW 1772323200
#define PKI_NOW_MS (PKI_NOW * INT64_C(1000))
#define PKI_DAY (24 * 60 * 60)

#define PKI_USAGE_NONE 0u
#define PKI_USAGE_DEFAULT (GNUTLS_KEY_KEY_ENCIPHERMENT | GNUTLS_KEY_DIGITAL_SIGNATURE)
#define PKI_USAGE_CA (GNUTLS_KEY_KEY_CERT_SIGN | GNUTLS_KEY_CRL_SIGN)

/* Zeros mean: valid a year around PKI_NOW, SHA-256, serial 1, no keyUsage. */
struct pki_request {
    const char *organization, *name; /* C=US,O=organization,CN=name */
    gnutls_x509_privkey_t key;
    const struct pki_issued *issuer; /* NULL: self-signed */
    time_t from, to;
    bool ca;
    int path_len; /* counted from 1; 0: without */
    unsigned usage;
    gnutls_digest_algorithm_t digest;
    const char *serial;
    size_t serial_len;
    unsigned version; /* 0: 3 */
    const char *critical_oid;
};

struct pki_issued {
    gnutls_x509_crt_t crt;
    gnutls_x509_privkey_t key; /* borrowed */
    gnutls_datum_t der;
};

#define pki(call) assert_true((call) >= 0)

static inline gnutls_x509_privkey_t pki_key(gnutls_pk_algorithm_t algorithm, unsigned bits)
{
    gnutls_x509_privkey_t key;

    pki(gnutls_x509_privkey_init(&key));
    pki(gnutls_x509_privkey_generate(key, algorithm, bits, 0));
    return key;
}

static inline void pki_name(gnutls_x509_crt_t crt, const struct pki_request *request)
{
    pki(gnutls_x509_crt_set_dn_by_oid(crt, GNUTLS_OID_X520_COUNTRY_NAME, 0, "US", 2));
    if (request->organization)
        pki(gnutls_x509_crt_set_dn_by_oid(crt, GNUTLS_OID_X520_ORGANIZATION_NAME, 0,
                request->organization, (unsigned)strlen(request->organization)));
    pki(gnutls_x509_crt_set_dn_by_oid(
            crt, GNUTLS_OID_X520_COMMON_NAME, 0, request->name, (unsigned)strlen(request->name)));
}

static inline struct pki_issued pki_issue(const struct pki_request *request)
{
    struct pki_issued issued = {.key = request->key};
    const char *serial = request->serial ? request->serial : "\x01";
    size_t serial_len = request->serial ? request->serial_len : 1;
    time_t from = request->from ? request->from : PKI_NOW - 180 * PKI_DAY;
    time_t to = request->to ? request->to : PKI_NOW + 180 * PKI_DAY;
    gnutls_digest_algorithm_t digest = request->digest ? request->digest : GNUTLS_DIG_SHA256;

    pki(gnutls_x509_crt_init(&issued.crt));
    pki(gnutls_x509_crt_set_version(issued.crt, request->version ? request->version : 3));
    pki_name(issued.crt, request);
    pki(gnutls_x509_crt_set_key(issued.crt, request->key));
    pki(gnutls_x509_crt_set_serial(issued.crt, serial, serial_len));
    pki(gnutls_x509_crt_set_activation_time(issued.crt, from));
    pki(gnutls_x509_crt_set_expiration_time(issued.crt, to));
    if (request->ca)
        pki(gnutls_x509_crt_set_basic_constraints(issued.crt, 1, request->path_len - 1));
    if (request->usage)
        pki(gnutls_x509_crt_set_key_usage(issued.crt, request->usage));
    if (request->critical_oid)
        pki(gnutls_x509_crt_set_extension_by_oid(
                issued.crt, request->critical_oid, "\x05\x00", 2, 1));
    pki(gnutls_x509_crt_sign2(issued.crt, request->issuer ? request->issuer->crt : issued.crt,
            request->issuer ? request->issuer->key : request->key, digest, 0));
    pki(gnutls_x509_crt_export2(issued.crt, GNUTLS_X509_FMT_DER, &issued.der));
    return issued;
}

static inline void pki_clear(struct pki_issued *issued)
{
    if (issued->crt)
        gnutls_x509_crt_deinit(issued->crt);
    gnutls_free(issued->der.data);
    memset(issued, 0, sizeof(*issued));
}

/* Append PEM to a text that the caller frees. */
static inline void pki_pem(char **text, const char *label, const gnutls_datum_t *der)
{
    size_t used = *text ? strlen(*text) : 0;
    gnutls_datum_t pem;

    pki(gnutls_pem_base64_encode2(label, der, &pem));
    *text = realloc(*text, used + pem.size + 1);
    assert_non_null(*text);
    memcpy(*text + used, pem.data, pem.size);
    (*text)[used + pem.size] = '\0';
    gnutls_free(pem.data);
}

struct pki_revocation {
    const struct pki_issued *issuer;
    time_t this_update, next_update; /* 0: yesterday, tomorrow */
    const char *serial;              /* NULL: nothing is revoked */
    size_t serial_len;
    gnutls_digest_algorithm_t digest;
};

static inline gnutls_datum_t pki_crl(const struct pki_revocation *revocation)
{
    time_t this_update = revocation->this_update ? revocation->this_update : PKI_NOW - PKI_DAY;
    time_t next_update = revocation->next_update ? revocation->next_update : PKI_NOW + PKI_DAY;
    gnutls_digest_algorithm_t digest = revocation->digest ? revocation->digest : GNUTLS_DIG_SHA256;
    gnutls_x509_crl_t crl;
    gnutls_datum_t der;

    pki(gnutls_x509_crl_init(&crl));
    pki(gnutls_x509_crl_set_version(crl, 2));
    pki(gnutls_x509_crl_set_this_update(crl, this_update));
    pki(gnutls_x509_crl_set_next_update(crl, next_update));
    if (revocation->serial)
        pki(gnutls_x509_crl_set_crt_serial(
                crl, revocation->serial, revocation->serial_len, PKI_NOW - 2 * PKI_DAY));
    pki(gnutls_x509_crl_sign2(crl, revocation->issuer->crt, revocation->issuer->key, digest, 0));
    pki(gnutls_x509_crl_export2(crl, GNUTLS_X509_FMT_DER, &der));
    gnutls_x509_crl_deinit(crl);
    return der;
}

#endif
