#include "profile/x509.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/der.h"
#include "base/hex.h"

/* Extensions that are acted upon here, or that ask nothing of us. */
static const char *const understood[] = {
        "2.5.29.14", /* subjectKeyIdentifier */
        "2.5.29.15", /* keyUsage */
        "2.5.29.17", /* subjectAltName */
        "2.5.29.18", /* issuerAltName */
        "2.5.29.19", /* basicConstraints */
        "2.5.29.31", /* cRLDistributionPoints */
        "2.5.29.32", /* certificatePolicies: every policy is acceptable */
        "2.5.29.35", /* authorityKeyIdentifier */
        "2.5.29.37", /* extKeyUsage: not asked for */
};

static void datum_clear(gnutls_datum_t *datum)
{
    gnutls_free(datum->data);
    datum->data = NULL;
    datum->size = 0;
}

static void crt_clear(gnutls_x509_crt_t *crt)
{
    if (*crt)
        gnutls_x509_crt_deinit(*crt);
    *crt = NULL;
}

static void dn_clear(gnutls_x509_dn_t *dn)
{
    if (*dn)
        gnutls_x509_dn_deinit(*dn);
    *dn = NULL;
}

bool x509_same(const gnutls_datum_t *a, const gnutls_datum_t *b)
{
    return a->size == b->size && memcmp(a->data, b->data, a->size) == 0;
}

/* C0, DEL, and C1 as UTF-8 has it (C2 80 to C2 9F). */
static bool is_control(const unsigned char *at)
{
    return at[0] < 0x20 || at[0] == 0x7f || (at[0] == 0xc2 && at[1] >= 0x80 && at[1] < 0xa0);
}

/* RFC 4514, 2.4: any octet may stand as a backslash and two hex digits. */
static char *escape_controls(const gnutls_datum_t *text)
{
    const unsigned char *from = text->data;
    char *escaped = calloc(3, (size_t)text->size + 1), *to = escaped;

    if (!escaped)
        return NULL;
    for (unsigned i = 0; i < text->size; i++) {
        /* GnuTLS ends its texts with a NUL, so looking one further is safe. */
        unsigned octets = !is_control(from + i) ? 0 : from[i] == 0xc2 ? 2 : 1;

        if (octets == 0)
            *to++ = (char)from[i];
        for (unsigned k = 0; k < octets; k++, to += 3)
            ignore(snprintf(to, 4, "\\%02X", from[i + k]) < 0);
        i += octets == 2;
    }
    *to = '\0';
    return escaped;
}

char *x509_name_text(const gnutls_datum_t *name)
{
    CLEANUP(dn_clear) gnutls_x509_dn_t dn = NULL;
    CLEANUP(datum_clear) gnutls_datum_t text = {NULL, 0};
    char *hex;

    /* With this flag the order is that of the encoding; RFC 4514 turns it round. */
    if (gnutls_x509_dn_init(&dn) == 0 && gnutls_x509_dn_import(dn, name) == 0
            && gnutls_x509_dn_get_str2(dn, &text, GNUTLS_X509_DN_FLAG_COMPAT) == 0)
        return escape_controls(&text);
    /* A name that GnuTLS cannot write is still told from others. */
    hex = malloc(2 * (size_t)name->size + 2);
    if (!hex)
        return NULL;
    hex[0] = '#';
    hex_encode(name->data, name->size, hex + 1);
    return hex;
}

char *x509_serial_text(const uint8_t *octets, size_t len)
{
    uint8_t digits[X509_SERIAL_MAX * 3 + 2] = {0};
    bool negative = len > 0 && (octets[0] & 0x80);
    size_t count = 1, at = 0;
    char *text;

    /* Two's complement: the magnitude of a negative number is its inverse and one. */
    for (size_t i = 0; i < len && i < X509_SERIAL_MAX; i++) {
        unsigned carry = negative ? (uint8_t)~octets[i] : octets[i];

        if (negative && i == len - 1)
            carry++;
        for (size_t k = 0; k < count || carry > 0; k++) {
            carry += (unsigned)digits[k] * 256;
            digits[k] = (uint8_t)(carry % 10);
            carry /= 10;
            count = k + 1 > count ? k + 1 : count;
        }
    }
    text = malloc(count + 2);
    if (!text)
        return NULL;
    if (negative)
        text[at++] = '-';
    while (count > 0)
        text[at++] = (char)('0' + digits[--count]);
    text[at] = '\0';
    return text;
}

enum sealtape_status x509_tbs(const uint8_t *der, size_t len, struct x509_span *ret_tbs)
{
    struct der_header outer, tbs;

    if (der_read(der, len, &outer) != SEALTAPE_OK || outer.tag != DER_SEQUENCE
            || outer.len != len - outer.size)
        return SEALTAPE_E_USAGE;
    if (der_read(der + outer.size, len - outer.size, &tbs) != SEALTAPE_OK
            || tbs.len > len - outer.size - tbs.size)
        return SEALTAPE_E_USAGE;
    *ret_tbs = (struct x509_span){der + outer.size, tbs.size + (size_t)tbs.len};
    return SEALTAPE_OK;
}

bool x509_verifies(const struct x509_signed *signed_part, const struct x509 *by)
{
    const gnutls_datum_t data = {
            __extension__(unsigned char *)(uintptr_t) signed_part->tbs.bytes,
            (unsigned)signed_part->tbs.len,
    };

    return gnutls_pubkey_verify_data2(by->key, signed_part->algorithm, GNUTLS_VERIFY_ALLOW_BROKEN,
                   &data, &signed_part->signature)
           >= 0;
}

static bool is_understood(const char *oid)
{
    for (size_t i = 0; i < ARRAY_COUNT(understood); i++) {
        if (strcmp(understood[i], oid) == 0)
            return true;
    }
    return false;
}

static int read_extensions(struct x509 *x509, gnutls_x509_crt_t crt)
{
    unsigned critical = 0, ca = 0;
    char oid[X509_OID_MAX];
    int result = 0;

    for (unsigned i = 0; result == 0; i++) {
        size_t size = sizeof(oid);

        result = gnutls_x509_crt_get_extension_info(crt, i, oid, &size, &critical);
        if (result == 0 && critical && !is_understood(oid))
            memcpy(x509->critical, oid, sizeof(oid));
    }
    if (result != GNUTLS_E_REQUESTED_DATA_NOT_AVAILABLE)
        return result;
    result = gnutls_x509_crt_get_key_usage(crt, &x509->usage, &critical);
    if (result < 0 && result != GNUTLS_E_REQUESTED_DATA_NOT_AVAILABLE)
        return result;
    x509->has_usage = result >= 0;
    x509->path_len = X509_PATH_UNLIMITED;
    result = gnutls_x509_crt_get_basic_constraints(crt, &critical, &ca, &x509->path_len);
    if (result < 0 && result != GNUTLS_E_REQUESTED_DATA_NOT_AVAILABLE)
        return result;
    x509->is_ca = result >= 0 && ca;
    return 0;
}

static int read_key(struct x509 *x509, gnutls_x509_crt_t crt)
{
    int result = gnutls_x509_crt_get_pk_algorithm(crt, &x509->key_bits);

    if (result < 0)
        return result;
    x509->key_algorithm = (gnutls_pk_algorithm_t)result;
    result = gnutls_pubkey_init(&x509->key);
    if (result == 0)
        result = gnutls_pubkey_import_x509(x509->key, crt, 0);
    if (result == 0 && x509->key_algorithm == GNUTLS_PK_RSA)
        result = gnutls_x509_crt_get_pk_rsa_raw(crt, &x509->modulus, &x509->exponent);
    return result;
}

static int read_signature(struct x509 *x509, gnutls_x509_crt_t crt)
{
    struct x509_signed *signed_part = &x509->signed_part;
    size_t size = 0;
    int result = gnutls_x509_crt_get_signature_algorithm(crt);

    if (result < 0)
        return result;
    signed_part->algorithm = (gnutls_sign_algorithm_t)result;
    result = gnutls_x509_crt_get_signature(crt, NULL, &size);
    if (result != GNUTLS_E_SHORT_MEMORY_BUFFER)
        return result < 0 ? result : GNUTLS_E_ASN1_VALUE_NOT_VALID;
    signed_part->signature.data = gnutls_malloc(size);
    signed_part->signature.size = (unsigned)size;
    if (!signed_part->signature.data)
        return GNUTLS_E_MEMORY_ERROR;
    result = gnutls_x509_crt_get_signature(crt, (char *)signed_part->signature.data, &size);
    return result;
}

static int read_facts(struct x509 *x509, gnutls_x509_crt_t crt)
{
    time_t from = gnutls_x509_crt_get_activation_time(crt);
    time_t to = gnutls_x509_crt_get_expiration_time(crt);
    uint8_t digest[32];
    size_t size = sizeof(digest);
    int result;

    x509->version = gnutls_x509_crt_get_version(crt);
    if (from == (time_t)-1 || to == (time_t)-1 || x509->version < 0)
        return GNUTLS_E_ASN1_VALUE_NOT_VALID;
    x509->not_before_ms = (int64_t)from * 1000;
    x509->not_after_ms = (int64_t)to * 1000;
    result = gnutls_x509_crt_get_fingerprint(crt, GNUTLS_DIG_SHA256, digest, &size);
    hex_encode(digest, sizeof(digest), x509->sha256);
    x509->serial_len = sizeof(x509->serial);
    if (result == 0)
        result = gnutls_x509_crt_get_serial(crt, x509->serial, &x509->serial_len);
    if (result == 0)
        result = gnutls_x509_crt_get_raw_issuer_dn(crt, &x509->issuer);
    if (result == 0)
        result = gnutls_x509_crt_get_raw_dn(crt, &x509->subject);
    if (result != 0)
        return result;
    x509->issuer_text = x509_name_text(&x509->issuer);
    x509->subject_text = x509_name_text(&x509->subject);
    x509->serial_text = x509_serial_text(x509->serial, x509->serial_len);
    if (!x509->issuer_text || !x509->subject_text || !x509->serial_text)
        return GNUTLS_E_MEMORY_ERROR;
    return 0;
}

static int take_apart(struct x509 *x509)
{
    CLEANUP(crt_clear) gnutls_x509_crt_t crt = NULL;
    int result = gnutls_x509_crt_init(&crt);

    if (result == 0)
        result = gnutls_x509_crt_import(crt, &x509->der, GNUTLS_X509_FMT_DER);
    if (result == 0)
        result = read_facts(x509, crt);
    if (result == 0)
        result = read_key(x509, crt);
    if (result == 0)
        result = read_signature(x509, crt);
    if (result == 0)
        result = read_extensions(x509, crt);
    return result;
}

enum sealtape_status x509_new(
        const void *der, size_t len, struct x509 **ret_x509, struct diag *diag)
{
    CLEANUP(x509_free) struct x509 *x509 = NULL;
    struct x509_span tbs;
    int result;

    if (len > UINT32_MAX || x509_tbs(der, len, &tbs) != SEALTAPE_OK)
        return diag_fail(diag, SEALTAPE_E_CERTIFICATE, "not an X.509 certificate in DER");
    x509 = calloc(1, sizeof(*x509));
    if (x509)
        x509->der.data = gnutls_malloc(len);
    if (!x509 || !x509->der.data)
        return diag_fail(diag, SEALTAPE_E_MEMORY, "no memory for a certificate");
    memcpy(x509->der.data, der, len);
    x509->der.size = (unsigned)len;
    x509->signed_part.tbs = (struct x509_span){
            x509->der.data + (tbs.bytes - (const uint8_t *)der),
            tbs.len,
    };
    result = take_apart(x509);
    if (result == GNUTLS_E_MEMORY_ERROR)
        return diag_fail(diag, SEALTAPE_E_MEMORY, "no memory for a certificate");
    if (result != 0)
        return diag_fail(diag, SEALTAPE_E_CERTIFICATE, "not an X.509 certificate: %s",
                gnutls_strerror(result));
    *ret_x509 = TAKE(x509);
    return SEALTAPE_OK;
}

void x509_free(struct x509 **x509)
{
    struct x509 *owned = TAKE(*x509);

    if (!owned)
        return;
    if (owned->key)
        gnutls_pubkey_deinit(owned->key);
    datum_clear(&owned->der);
    datum_clear(&owned->issuer);
    datum_clear(&owned->subject);
    datum_clear(&owned->modulus);
    datum_clear(&owned->exponent);
    datum_clear(&owned->signed_part.signature);
    free(owned->issuer_text);
    free(owned->subject_text);
    free(owned->serial_text);
    free(owned);
}
