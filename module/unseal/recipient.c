#include "unseal/recipient.h"

#include <gnutls/gnutls.h>
#include <gnutls/x509.h>
#include <stdio.h>
#include <string.h>

static enum sealtape_status issuer_text(const struct envelope_recipient *recipient,
        char ret_text[RECIPIENT_ISSUER_SIZE], struct diag *diag)
{
    uint8_t copy[4096]; /* GnuTLS does not promise to leave its input alone */
    gnutls_datum_t der = {.data = copy, .size = (unsigned)recipient->issuer_der_len};
    gnutls_datum_t text = {0};
    gnutls_x509_dn_t dn;
    int rc;

    if (recipient->issuer_der_len > sizeof(copy))
        return diag_fail(diag, SEALTAPE_E_USAGE, "the issuer's name is too long");
    memcpy(copy, recipient->issuer_der, recipient->issuer_der_len);
    rc = gnutls_x509_dn_init(&dn);
    if (rc != 0)
        return diag_fail(diag, SEALTAPE_E_MEMORY, "no memory");
    rc = gnutls_x509_dn_import(dn, &der);
    if (rc == 0)
        rc = gnutls_x509_dn_get_str2(dn, &text, GNUTLS_X509_DN_FLAG_COMPAT);
    gnutls_x509_dn_deinit(dn);
    if (rc != 0)
        return diag_fail(
                diag, SEALTAPE_E_USAGE, "the issuer is not a name: %s", gnutls_strerror(rc));
    (void)snprintf(ret_text, RECIPIENT_ISSUER_SIZE, "%s", (const char *)text.data);
    gnutls_free(text.data);
    return SEALTAPE_OK;
}

/* Big-endian octets to decimal digits by long division. */
static enum sealtape_status serial_text(const struct envelope_recipient *recipient,
        char ret_text[RECIPIENT_SERIAL_SIZE], struct diag *diag)
{
    uint8_t octets[RECIPIENT_SERIAL_MAX];
    size_t len = recipient->serial_octets_len;
    char digits[RECIPIENT_SERIAL_SIZE];
    size_t at = sizeof(digits) - 1;
    unsigned more;

    if (len == 0 || len > sizeof(octets) || recipient->serial_octets[0] & 0x80)
        return diag_fail(
                diag, SEALTAPE_E_USAGE, "the serial number is empty, negative or too long");
    memcpy(octets, recipient->serial_octets, len);
    digits[at] = '\0';
    do {
        unsigned rest = 0;

        more = 0;
        for (size_t i = 0; i < len; i++) {
            unsigned value = rest << 8 | octets[i];

            octets[i] = (uint8_t)(value / 10);
            rest = value % 10;
            more |= octets[i];
        }
        digits[--at] = (char)('0' + rest);
    } while (more);
    memcpy(ret_text, digits + at, sizeof(digits) - at);
    return SEALTAPE_OK;
}

enum sealtape_status recipient_name(const struct envelope_recipient *recipient,
        struct recipient_name *ret_name, struct diag *diag)
{
    struct recipient_name name;
    enum sealtape_status st;

    st = issuer_text(recipient, name.issuer, diag);
    if (st == SEALTAPE_OK)
        st = serial_text(recipient, name.serial, diag);
    if (st != SEALTAPE_OK)
        return st;
    *ret_name = name;
    return SEALTAPE_OK;
}

void recipient_list(const struct envelope *envelope, const struct metadata_media *media,
        char *ret_text, size_t size)
{
    size_t used = 0;

    ret_text[0] = '\0';
    for (size_t i = 0; i < envelope->recipients_count && used < size; i++) {
        const struct metadata_recipient *known =
                media && i < media->recipients_count ? &media->recipients[i] : NULL;
        struct recipient_name name = {.issuer = "unknown", .serial = "unknown"};

        /* What has no name is shown as unknown: this only makes a message. */
        ignore(recipient_name(&envelope->recipients[i], &name, NULL));
        used += (size_t)snprintf(ret_text + used, size - used, "%s%s%sissuer %s, serial %s%s%s%s",
                i ? "; " : "", known ? known->alias : "", known ? " (" : "", name.issuer,
                name.serial, known && *known->sha256 ? ", sha256 " : "", known ? known->sha256 : "",
                known ? ")" : "");
    }
}
