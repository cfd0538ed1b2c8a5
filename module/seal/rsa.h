/*
 * RSA encryption of a session key for a recipient: RSAES-PKCS1-v1_5 (RFC 8017,
 * 7.2.1), in memory of the arena only.
 *
 * GnuTLS and Nettle do this too, but leave the padded key behind in freed heap
 * memory, where a core dump shows it; so the arithmetic is GMP's mpn layer,
 * which works where it is told to.
 */
#ifndef SEALTAPE_SEAL_RSA_H
#define SEALTAPE_SEAL_RSA_H

#include <stddef.h>
#include <stdint.h>

#include "base/diag.h"

/*
 * Encrypt @key for a public key. [control]
 *
 * @modulus and @exponent: unsigned big-endian octets. @ret_encrypted takes as many
 * bytes as the modulus has octets without leading zeros (ENVELOPE_ENCRYPTED_KEY_MAX
 * at the most); *ret_len is that number.
 *
 *   SEALTAPE_E_CERTIFICATE  the modulus is even, too small or too large
 *   SEALTAPE_E_MEMORY
 */
struct rsa_public {
    const uint8_t *modulus, *exponent;
    size_t modulus_len, exponent_len;
};
enum sealtape_status rsa_encrypt_key(const struct rsa_public *public, const uint8_t *key,
        size_t key_len, uint8_t *ret_encrypted, size_t *ret_len, struct diag *diag) MUST_CHECK;

#endif
