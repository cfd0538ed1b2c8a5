/*
 * The PKCS#7 envelope that carries the session key: built and read. The one
 * home of libtasn1.
 *
 * Classic form (RFC 5652, 6): ContentInfo { envelopedData, EnvelopedData v0 {
 * SET OF KeyTransRecipientInfo v0 (issuerAndSerialNumber, rsaEncryption with
 * NULL), EncryptedContentInfo { data, aes-N-cbc with IV, encryptedContent [0]
 * absent } } }, definite-length DER.
 */
#ifndef SEALTAPE_SEAL_ENVELOPE_H
#define SEALTAPE_SEAL_ENVELOPE_H

#include <stddef.h>
#include <stdint.h>

#include "base/diag.h"

#define ENVELOPE_RECIPIENTS_MAX 64
#define ENVELOPE_KEY_MAX 32
#define ENVELOPE_IV_SIZE 16
/* The encrypted key of the largest RSA modulus, 8192 bits. */
#define ENVELOPE_ENCRYPTED_KEY_MAX 1024

/* One KeyTransRecipientInfo. All pointers are borrowed. */
struct envelope_recipient {
    const uint8_t *issuer_der; /* DER Name */
    size_t issuer_der_len;
    const uint8_t *serial_octets; /* content octets of the INTEGER */
    size_t serial_octets_len;
    const uint8_t *encrypted_key;
    size_t encrypted_key_len;
};

/*
 * Encode an envelope without content. [control, writer] Needs no key.
 *
 * @key_bits is 128, 192 or 256. DER sorts the SET OF: ret_order[i] is the index in
 * @recipients of the i-th RecipientInfo as encoded. @ret_der is malloc'ed.
 */
enum sealtape_status envelope_encode(unsigned key_bits, const uint8_t iv[ENVELOPE_IV_SIZE],
        const struct envelope_recipient *recipients, size_t count, uint8_t **ret_der,
        size_t *ret_len, size_t *ret_order, struct diag *diag) MUST_CHECK;

enum envelope_cipher { ENVELOPE_AES_128_CBC, ENVELOPE_AES_192_CBC, ENVELOPE_AES_256_CBC };

/* An envelope that was read; pointers live as long as it does. */
struct envelope {
    enum envelope_cipher cipher;
    unsigned key_bits;
    uint8_t iv[ENVELOPE_IV_SIZE];
    struct envelope_recipient *recipients; /* in encoded order */
    size_t recipients_count;
    /* Where the content stands in the bytes that were read; both 0: absent. */
    size_t content_offset;
    uint64_t content_len;
    uint8_t *der; /* the bytes up to the content, owned */
    size_t der_len;
    uint8_t *detached; /* the same envelope with its content absent, owned */
    size_t detached_len;
};

/*
 * Read an envelope, strictly: definite-length DER, nothing behind it. [any]
 *
 * @der may hold content (an archive member read whole, or only its first
 * @len bytes of @total_len: the header must be inside). @total_len is the whole
 * size; equal to @len when all is there.
 *
 *   SEALTAPE_E_USAGE  not such an envelope; @diag says what and where
 */
enum sealtape_status envelope_decode(const uint8_t *der, size_t len, uint64_t total_len,
        struct envelope **ret_envelope, struct diag *diag) MUST_CHECK;

void envelope_free(struct envelope **envelope);

/*
 * The bytes that stand before the content when @content_len stored bytes are
 * spliced in as encryptedContent ([0] IMPLICIT OCTET STRING, tag 0x80); nothing
 * stands behind it. [any] Needs no key. @ret_header is malloc'ed.
 */
enum sealtape_status envelope_splice_header(const struct envelope *envelope, uint64_t content_len,
        uint8_t **ret_header, size_t *ret_len, struct diag *diag) MUST_CHECK;

#endif
