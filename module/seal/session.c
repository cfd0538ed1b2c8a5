#include "seal/session.h"

#include <stdlib.h>
#include <string.h>

#include <nettle/hmac.h>

#include "base/hex.h"
#include "base/random.h"
#include "seal/rsa.h"
#include "seal/secret.h"

static const char commitment_label[] = "sealtape key commitment v1";

_Static_assert(sizeof(struct hmac_sha256_ctx) + SHA256_DIGEST_SIZE <= 2 * SECRET_CELL_SIZE,
        "an HMAC fits its scratch");

void session_commitment(const uint8_t *key, size_t key_len, const uint8_t iv[ENVELOPE_IV_SIZE],
        void *scratch, char ret_hex[65])
{
    struct hmac_sha256_ctx *hmac = scratch;
    uint8_t digest[SHA256_DIGEST_SIZE];

    hmac_sha256_set_key(hmac, key_len, key);
    hmac_sha256_update(hmac, sizeof(commitment_label) - 1, (const uint8_t *)commitment_label);
    hmac_sha256_update(hmac, ENVELOPE_IV_SIZE, iv);
    hmac_sha256_digest(hmac, sizeof(digest), digest);
    secret_wipe(hmac, sizeof(*hmac));
    hex_encode(digest, sizeof(digest), ret_hex);
}

void session_free(struct session **session)
{
    if (!*session)
        return;
    if ((*session)->cipher)
        cipher_free(&(*session)->cipher);
    for (size_t i = 0; i < (*session)->recipients_count; i++)
        free((*session)->encrypted_keys[i]);
    free(*session);
    *session = NULL;
}

static enum sealtape_status wrap(struct session *session, struct certificate *certificate,
        const uint8_t *key, size_t key_len, struct diag *diag)
{
    const struct certificate_facts *facts = certificate_facts(certificate);
    const struct rsa_public public = {.modulus = facts->modulus,
            .modulus_len = facts->modulus_len,
            .exponent = facts->exponent,
            .exponent_len = facts->exponent_len};
    uint8_t encrypted[ENVELOPE_ENCRYPTED_KEY_MAX];
    enum sealtape_status st;
    size_t len = 0;
    uint8_t *copy;

    if (public.modulus_len == 0)
        return diag_fail(
                diag, SEALTAPE_E_CERTIFICATE, "certificate %s: its key is not RSA", facts->alias);
    st = rsa_encrypt_key(&public, key, key_len, encrypted, &len, diag);
    if (st != SEALTAPE_OK) {
        diag_prefix(diag, "certificate %s: ", facts->alias);
        return st;
    }
    copy = malloc(len);
    if (!copy)
        return diag_fail(diag, SEALTAPE_E_MEMORY, "no memory for an encrypted key");
    memcpy(copy, encrypted, len);
    session->encrypted_keys[session->recipients_count] = copy;
    session->encrypted_key_lens[session->recipients_count] = len;
    session->recipients_count++;
    return SEALTAPE_OK;
}

/* Everything that needs the key itself; @block is memory of the arena. */
static enum sealtape_status fill(struct session *session, unsigned key_bits,
        struct certificate *const *certificates, size_t count, uint8_t *block, struct diag *diag)
{
    uint8_t *key = block, *scratch = block + SECRET_CELL_SIZE;
    size_t key_len = key_bits / 8;
    enum sealtape_status st;

    st = random_key(key, key_len);
    if (st == SEALTAPE_OK)
        st = random_nonce(session->iv, sizeof(session->iv));
    if (st != SEALTAPE_OK)
        return diag_fail(diag, st, "the random number generator failed");
    session_commitment(key, key_len, session->iv, scratch, session->key_commitment);
    for (size_t i = 0; i < count; i++) {
        st = wrap(session, certificates[i], key, key_len, diag);
        if (st != SEALTAPE_OK)
            return st;
    }
    return cipher_new(key_bits, key, session->iv, &session->cipher, diag);
}

enum sealtape_status session_new(unsigned key_bits, struct certificate *const *certificates,
        size_t count, struct session **ret_session, struct diag *diag)
{
    CLEANUP(session_free) struct session *session = NULL;
    const size_t block_size = 4 * SECRET_CELL_SIZE;
    enum sealtape_status st;
    void *block;

    if (count == 0 || count > ENVELOPE_RECIPIENTS_MAX)
        return diag_fail(diag, SEALTAPE_E_LIMIT, "%zu recipients; 1 to %d can be sealed for", count,
                ENVELOPE_RECIPIENTS_MAX);
    session = calloc(1, sizeof(*session));
    if (!session)
        return diag_fail(diag, SEALTAPE_E_MEMORY, "no memory for a session");
    st = secret_block_acquire(block_size, &block, diag);
    if (st != SEALTAPE_OK)
        return st;
    st = fill(session, key_bits, certificates, count, block, diag);
    secret_block_release(&block, block_size);
    secret_wipe_stack();
    if (st != SEALTAPE_OK)
        return st;
    *ret_session = TAKE(session);
    return SEALTAPE_OK;
}
