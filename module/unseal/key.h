/*
 * A recipient's private key: read from PEM, and its one use.
 *
 * The recording side never links this. RSA only: PKCS#1, PKCS#8, and encrypted
 * PKCS#8.
 */
#ifndef SEALTAPE_UNSEAL_KEY_H
#define SEALTAPE_UNSEAL_KEY_H

#include <stddef.h>
#include <stdint.h>

#include "base/diag.h"

/* The largest key file that is read, bytes; certificates may stand in it too. */
#define KEY_FILE_MAX (256u * 1024)
/* The longest passphrase and its NUL. */
#define KEY_PASSPHRASE_SIZE 320

struct key;

/*
 * Asked for the passphrase of a key that is encrypted, and only then. Writes a
 * NUL-terminated text to @ret_passphrase, KEY_PASSPHRASE_SIZE bytes of locked
 * memory that are wiped afterwards.
 */
typedef enum sealtape_status key_ask(void *context, char *ret_passphrase, struct diag *diag);

struct key_source {
    const char *path;
    key_ask *ask; /* NULL: an encrypted key is refused */
    void *context;
};

/*
 * Read a private key. [setup]
 *
 * What stands in the file is never repeated in @diag.
 *
 *   SEALTAPE_E_IO     the file cannot be read
 *   SEALTAPE_E_USAGE  not an RSA private key in PEM, or the passphrase is wrong
 *   SEALTAPE_E_LIMIT  the file is too large
 */
enum sealtape_status key_load(
        const struct key_source *source, struct key **ret_key, struct diag *diag) MUST_CHECK;

void key_free(struct key **key);

/* Octets of the modulus: the length of every message to this key. [any] */
size_t key_modulus_len(const struct key *key);

/*
 * Decrypt a message whose plaintext has @len bytes (RSAES-PKCS1-v1_5). [setup]
 *
 * Takes the same time whatever is inside. Answers 1 when @ret_bytes were
 * decrypted; 0 when the message is not one for this key, and then @ret_bytes are as
 * they were. The caller must not let an attacker learn which (RFC 8017, 7.2.2).
 */
unsigned key_decrypt(const struct key *key, const uint8_t *message, size_t message_len,
        uint8_t *ret_bytes, size_t len) MUST_CHECK;

#endif
