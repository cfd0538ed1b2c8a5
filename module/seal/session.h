/*
 * A session key: made, committed to, wrapped for the recipients, expanded into
 * a cipher, and gone.
 */
#ifndef SEALTAPE_SEAL_SESSION_H
#define SEALTAPE_SEAL_SESSION_H

#include <stddef.h>
#include <stdint.h>

#include "base/diag.h"
#include "profile/certificate.h"
#include "seal/cipher.h"
#include "seal/envelope.h"

/* What is left of a session key outside the arena; none of it is secret. */
struct session {
    struct cipher *cipher; /* owned */
    uint8_t iv[ENVELOPE_IV_SIZE];
    char key_commitment[65];
    uint8_t *encrypted_keys[ENVELOPE_RECIPIENTS_MAX]; /* malloc'ed, in order of the certificates */
    size_t encrypted_key_lens[ENVELOPE_RECIPIENTS_MAX];
    size_t recipients_count;
};

/*
 * Make a fresh key and IV and wrap the key for each certificate. [control]
 *
 *   SEALTAPE_E_LIMIT        more than ENVELOPE_RECIPIENTS_MAX certificates
 *   SEALTAPE_E_CERTIFICATE  a public key cannot be used
 *   SEALTAPE_E_MEMORY, SEALTAPE_E_IO (no random numbers)
 */
enum sealtape_status session_new(unsigned key_bits, struct certificate *const *certificates,
        size_t count, struct session **ret_session, struct diag *diag) MUST_CHECK;

void session_free(struct session **session);

/*
 * HMAC-SHA-256(key, "sealtape key commitment v1" || IV) in hex. [any]
 *
 * @scratch is a block of the arena of 2 * SECRET_CELL_SIZE bytes; it is wiped.
 */
void session_commitment(const uint8_t *key, size_t key_len, const uint8_t iv[ENVELOPE_IV_SIZE],
        void *scratch, char ret_hex[65]);

#endif
