/*
 * AES-CBC with PKCS#7 padding (NIST SP 800-38A; RFC 5652, 6.3), one block
 * behind: the 0 to 15 bytes of an unfilled block wait beside the key.
 *
 * Lives in a cell of the arena. The padding block for the present end can be
 * had at any moment, without ending anything: it closes a recording whose
 * process dies, with no key at hand.
 */
#ifndef SEALTAPE_SEAL_CIPHER_H
#define SEALTAPE_SEAL_CIPHER_H

#include <stddef.h>
#include <stdint.h>

#include "base/diag.h"

#define CIPHER_BLOCK_SIZE 16

struct cipher;

/*
 * Set up a cipher in a new cell of the arena. [control]
 *
 * @key has @key_bits / 8 bytes (128, 192, 256); it is not kept, its schedule is.
 * @iv has CIPHER_BLOCK_SIZE bytes.
 */
enum sealtape_status cipher_new(unsigned key_bits, const uint8_t *key, const uint8_t *iv,
        struct cipher **ret_cipher, struct diag *diag) MUST_CHECK;

/* Wipe it and give the cell back. [any] */
void cipher_free(struct cipher **cipher);

/* Bytes of ciphertext that @len bytes more would make: a multiple of the block. [media] */
size_t cipher_output_size(const struct cipher *cipher, size_t len);

/* How many bytes of media fill @room bytes of output, a multiple of the block. [media] */
size_t cipher_input_size(const struct cipher *cipher, size_t room);

/* Encrypt @len bytes to exactly cipher_output_size() bytes. [media] */
void cipher_update(struct cipher *cipher, const uint8_t *bytes, size_t len, uint8_t *ret_output);

/* The block that would close the message now; the message may go on. [media] */
void cipher_closing(struct cipher *cipher, uint8_t ret_block[CIPHER_BLOCK_SIZE]);

#endif
