/*
 * Certificates out of the text that an annex option holds.
 *
 * Such texts went through attributes, consoles and editors: newlines became
 * blanks, or the two characters \n, or vanished; columns are 64, 76 or one
 * line. What white space can do is repaired. Everything else is an error.
 */
#ifndef SEALTAPE_PROFILE_PEM_H
#define SEALTAPE_PROFILE_PEM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/diag.h"

/* A leaf and its intermediates; more in one value is an error. */
#define PEM_CERTIFICATES_MAX 16

/* DER of the certificates of one value, in the order of the text. */
struct pem {
    struct pem_block {
        uint8_t *bytes;
        size_t len;
    } blocks[PEM_CERTIFICATES_MAX];
    size_t count;
};

/*
 * Read every certificate in @text. [any]
 *
 * Labels are CERTIFICATE and X509 CERTIFICATE (RFC 7468). White space and
 * literal \n, \r, \t are dropped wherever they stand; base64 is read strictly
 * (RFC 4648, 4: canonical, padded); each block must be one DER SEQUENCE of exactly its
 * length. Text around the blocks (`openssl x509 -text`) is passed over
 * unless it looks like a damaged label. @ret_pem is owned by the caller and holds
 * at least one block.
 *
 *   SEALTAPE_E_CERTIFICATE  @diag: which certificate, which character, what is wrong
 */
enum sealtape_status pem_read(
        const char *text, size_t len, struct pem **ret_pem, struct diag *diag) MUST_CHECK;

void pem_free(struct pem **pem);

/* Is @text meant to be a certificate: does it hold anything like a label or like
 * base64 of one? Such a text must pass pem_read(). [any] */
bool pem_is_meant(const char *text, size_t len);

#endif
