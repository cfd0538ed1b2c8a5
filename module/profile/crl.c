#include "profile/crl.h"

#include <stdlib.h>
#include <string.h>

#include "base/der.h"

#define UTC_TIME 0x17
#define GENERALIZED_TIME 0x18
#define REASON_REMOVE_FROM_CRL 8u

/* CRLReason, RFC 5280, 5.3.1. */
static const char *const reasons[] = {
        [1] = "keyCompromise",
        [2] = "cACompromise",
        [3] = "affiliationChanged",
        [4] = "superseded",
        [5] = "cessationOfOperation",
        [6] = "certificateHold",
        [9] = "privilegeWithdrawn",
        [10] = "aACompromise",
};

const char *crl_reason_name(unsigned reason)
{
    return reason < ARRAY_COUNT(reasons) ? reasons[reason] : NULL;
}

static void handle_clear(gnutls_x509_crl_t *handle)
{
    if (*handle)
        gnutls_x509_crl_deinit(*handle);
    *handle = NULL;
}

static void iterator_clear(gnutls_x509_crl_iter_t *iterator)
{
    if (*iterator)
        gnutls_x509_crl_iter_deinit(*iterator);
    *iterator = NULL;
}

static int revoked_compare(const void *left, const void *right)
{
    const struct crl_revoked *a = left, *b = right;

    if (a->serial_len != b->serial_len)
        return a->serial_len < b->serial_len ? -1 : 1;
    return memcmp(a->serial, b->serial, a->serial_len);
}

const struct crl_revoked *crl_find(const struct crl *crl, const uint8_t *serial, size_t serial_len)
{
    const struct crl_revoked key = {.serial = serial, .serial_len = serial_len};

    return bsearch(&key, crl->revoked, crl->revoked_count, sizeof(key), revoked_compare);
}

/* Values that follow each other inside a SEQUENCE. */
struct values {
    const uint8_t *at;
    size_t len;
};

/* Take the next value off; its content goes to @ret_content. */
static bool values_next(struct values *values, uint8_t *ret_tag, struct values *ret_content)
{
    struct der_header header;

    if (der_read(values->at, values->len, &header) != SEALTAPE_OK
            || header.len > values->len - header.size)
        return false;
    *ret_tag = header.tag;
    *ret_content = (struct values){values->at + header.size, (size_t)header.len};
    values->at += header.size + (size_t)header.len;
    values->len -= header.size + (size_t)header.len;
    return true;
}

/* GnuTLS reads entries, but not their extensions: find the list of entries, TBSCertList of
 * RFC 5280, 5.1. Empty when there is none. */
static struct values revoked_values(const struct x509_span *tbs)
{
    struct values whole = {tbs->bytes, tbs->len}, rest, content;
    const struct values none = {NULL, 0};
    uint8_t tag = 0;
    bool dated = false;

    if (!values_next(&whole, &tag, &rest))
        return none;
    while (values_next(&rest, &tag, &content)) {
        if (tag == UTC_TIME || tag == GENERALIZED_TIME)
            dated = true;
        else if (dated)
            return tag == DER_SEQUENCE ? content : none;
    }
    return none;
}

/* Extension { id-ce-cRLReasons, [critical,] OCTET STRING { ENUMERATED } } */
static unsigned entry_reason(struct values entry)
{
    static const uint8_t oid[] = {0x06, 0x03, 0x55, 0x1d, 0x15};
    static const uint8_t value[] = {0x04, 0x03, 0x0a, 0x01};
    struct values extensions, extension, content;
    uint8_t tag = 0;

    if (!values_next(&entry, &tag, &content) || !values_next(&entry, &tag, &content)
            || !values_next(&entry, &tag, &extensions))
        return 0;
    while (values_next(&extensions, &tag, &extension)) {
        if (extension.len > sizeof(oid) + sizeof(value)
                && memcmp(extension.at, oid, sizeof(oid)) == 0
                && memcmp(extension.at + extension.len - 5, value, sizeof(value)) == 0)
            return extension.at[extension.len - 1];
    }
    return 0;
}

static int read_revoked(struct crl *crl, gnutls_x509_crl_t handle)
{
    CLEANUP(iterator_clear) gnutls_x509_crl_iter_t iterator = NULL;
    struct values entries = revoked_values(&crl->signed_part.tbs);
    int count = gnutls_x509_crl_get_crt_count(handle);

    if (count < 0)
        return count;
    crl->revoked = calloc((size_t)count + 1, sizeof(*crl->revoked));
    if (!crl->revoked)
        return GNUTLS_E_MEMORY_ERROR;
    for (int i = 0; i < count; i++) {
        struct crl_revoked *revoked = &crl->revoked[crl->revoked_count];
        unsigned char serial[X509_SERIAL_MAX];
        size_t serial_len = sizeof(serial);
        struct values entry, number;
        time_t at = 0;
        uint8_t tag = 0;
        int result;

        result = gnutls_x509_crl_iter_crt_serial(handle, &iterator, serial, &serial_len, &at);
        if (result < 0)
            return result;
        if (!values_next(&entries, &tag, &entry))
            return GNUTLS_E_ASN1_DER_ERROR;
        revoked->reason = entry_reason(entry);
        if (!values_next(&entry, &tag, &number) || number.len != serial_len
                || memcmp(number.at, serial, serial_len) != 0)
            return GNUTLS_E_ASN1_DER_ERROR;
        revoked->serial = number.at;
        revoked->serial_len = number.len;
        revoked->at_ms = (int64_t)at * 1000;
        crl->revoked_count += revoked->reason != REASON_REMOVE_FROM_CRL;
    }
    qsort(crl->revoked, crl->revoked_count, sizeof(*crl->revoked), revoked_compare);
    return 0;
}

static int read_signature(struct crl *crl, gnutls_x509_crl_t handle)
{
    struct x509_signed *signed_part = &crl->signed_part;
    int result = gnutls_x509_crl_get_signature_algorithm(handle);
    size_t size = 0;

    if (result < 0)
        return result;
    signed_part->algorithm = (gnutls_sign_algorithm_t)result;
    result = gnutls_x509_crl_get_signature(handle, NULL, &size);
    if (result != GNUTLS_E_SHORT_MEMORY_BUFFER)
        return result < 0 ? result : GNUTLS_E_ASN1_VALUE_NOT_VALID;
    signed_part->signature.data = gnutls_malloc(size);
    signed_part->signature.size = (unsigned)size;
    if (!signed_part->signature.data)
        return GNUTLS_E_MEMORY_ERROR;
    return gnutls_x509_crl_get_signature(handle, (char *)signed_part->signature.data, &size);
}

static int read_times(struct crl *crl, gnutls_x509_crl_t handle)
{
    time_t from = gnutls_x509_crl_get_this_update(handle);
    time_t to = gnutls_x509_crl_get_next_update(handle);

    if (from == (time_t)-1)
        return GNUTLS_E_ASN1_VALUE_NOT_VALID;
    crl->this_update_ms = (int64_t)from * 1000;
    crl->next_update_ms = to == (time_t)-1 ? CRL_NO_UPDATE : (int64_t)to * 1000;
    return 0;
}

static int take_apart(struct crl *crl, gnutls_x509_crl_t handle)
{
    gnutls_datum_t issuer = {NULL, 0};
    int result = gnutls_x509_crl_import(handle, &crl->der, GNUTLS_X509_FMT_DER);

    if (result == 0)
        result = read_times(crl, handle);
    if (result == 0)
        result = gnutls_x509_crl_get_raw_issuer_dn(handle, &issuer);
    if (result != 0)
        return result;
    crl->issuer = issuer;
    crl->issuer_text = x509_name_text(&crl->issuer);
    if (!crl->issuer_text)
        return GNUTLS_E_MEMORY_ERROR;
    result = read_signature(crl, handle);
    if (result == 0)
        result = read_revoked(crl, handle);
    return result;
}

/* A critical extension says that the list is not what it seems: a delta, a part. */
static enum sealtape_status check_complete(
        const struct crl *crl, gnutls_x509_crl_t handle, struct diag *diag)
{
    unsigned critical = 0;
    char oid[X509_OID_MAX];
    size_t size = sizeof(oid);

    for (unsigned i = 0; gnutls_x509_crl_get_extension_info(handle, i, oid, &size, &critical) == 0;
            i++) {
        if (critical)
            return diag_fail(diag, SEALTAPE_E_CERTIFICATE,
                    "the CRL of %s is not a complete one (critical extension %s): use the CA's "
                    "full CRL",
                    crl->issuer_text, oid);
        size = sizeof(oid);
    }
    return SEALTAPE_OK;
}

enum sealtape_status crl_new(const void *der, size_t len, struct crl **ret_crl, struct diag *diag)
{
    CLEANUP(handle_clear) gnutls_x509_crl_t handle = NULL;
    CLEANUP(crl_free) struct crl *crl = NULL;
    struct x509_span tbs;
    enum sealtape_status st;
    int result;

    if (len > UINT32_MAX || x509_tbs(der, len, &tbs) != SEALTAPE_OK)
        return diag_fail(diag, SEALTAPE_E_CERTIFICATE, "not a CRL in DER");
    crl = calloc(1, sizeof(*crl));
    if (crl)
        crl->der.data = gnutls_malloc(len);
    if (!crl || !crl->der.data || gnutls_x509_crl_init(&handle) != 0)
        return diag_fail(diag, SEALTAPE_E_MEMORY, "no memory for a CRL");
    memcpy(crl->der.data, der, len);
    crl->der.size = (unsigned)len;
    crl->signed_part.tbs = (struct x509_span){
            crl->der.data + (tbs.bytes - (const uint8_t *)der),
            tbs.len,
    };
    result = take_apart(crl, handle);
    if (result != 0)
        return diag_fail(diag, SEALTAPE_E_CERTIFICATE, "not a CRL: %s", gnutls_strerror(result));
    st = check_complete(crl, handle, diag);
    if (st != SEALTAPE_OK)
        return st;
    *ret_crl = TAKE(crl);
    return SEALTAPE_OK;
}

void crl_free(struct crl **crl)
{
    struct crl *owned = TAKE(*crl);

    if (!owned)
        return;
    gnutls_free(owned->der.data);
    gnutls_free(owned->issuer.data);
    gnutls_free(owned->signed_part.signature.data);
    free(owned->issuer_text);
    free(owned->revoked);
    free(owned);
}
