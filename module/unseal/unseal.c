#include "unseal/unseal.h"

#include <assert.h>
#include <nettle/aes.h>
#include <nettle/cbc.h>
#include <nettle/hmac.h>
#include <nettle/memops.h>
#include <nettle/nettle-meta.h>
#include <stdlib.h>
#include <string.h>

#include "base/random.h"
#include "seal/secret.h"
#include "unseal/recipient.h"
#include "unseal/verify.h"
#include "unseal/wav.h"

#define BLOCK AES_BLOCK_SIZE
#define CHUNK_SIZE (256u * 1024)
#define COMMITMENT_LABEL "sealtape key commitment v1"

/* One cell of locked memory. */
struct unseal_secret {
    uint8_t key[ENVELOPE_KEY_MAX];
    uint8_t candidate[ENVELOPE_KEY_MAX];
    struct aes256_ctx schedule; /* the largest of the three */
};
_Static_assert(sizeof(struct unseal_secret) <= SECRET_CELL_SIZE, "fits a cell");

struct unseal {
    struct unseal_plan plan;
    const struct nettle_cipher *cipher;
    struct verify *verify;
    void *cell;
    unsigned key_fits; /* 0: nothing may be released, and the end fails */
    bool released;     /* the first chunk has gone out */
    uint64_t plain_size;
    uint64_t plain_used;
    uint64_t stored_used;
    uint8_t chain[BLOCK];
    uint8_t *chunk; /* CBC works in place: ciphertext, then plaintext */
    size_t chunk_size;
    size_t chunk_used;
};

static struct unseal_secret *secret_of(struct unseal *unseal)
{
    return unseal->cell;
}

void unseal_free(struct unseal **unseal)
{
    struct unseal *old = *unseal;

    if (!old)
        return;
    if (old->chunk)
        secret_wipe(old->chunk, old->chunk_size);
    free(old->chunk);
    verify_free(&old->verify);
    if (old->cell)
        secret_release(&old->cell);
    free(old);
    *unseal = NULL;
}

static const struct nettle_cipher *cipher_of(const struct envelope *envelope)
{
    switch (envelope->cipher) {
    case ENVELOPE_AES_128_CBC:
        return &nettle_aes128;
    case ENVELOPE_AES_192_CBC:
        return &nettle_aes192;
    case ENVELOPE_AES_256_CBC:
        return &nettle_aes256;
    }
    return NULL;
}

/* The one answer to everything that fails behind the RSA step. */
static enum sealtape_status not_opened(const struct unseal *unseal, struct diag *diag)
{
    char needed[700];

    recipient_list(unseal->plan.envelope, unseal->plan.media, needed, sizeof(needed));
    return diag_fail(diag, SEALTAPE_E_USAGE,
            "it cannot be opened: the key fits no recipient, or the message was altered; the "
            "private key of one of these certificates is needed: %s",
            needed);
}

static unsigned commitment_fits(const struct unseal *unseal, const uint8_t *key)
{
    const struct metadata_media *media = unseal->plan.media;
    uint8_t digest[SHA256_DIGEST_SIZE];
    void *scratch = NULL;
    unsigned fits;

    /* The HMAC context holds what is derived from the key. */
    if (secret_block_acquire(sizeof(struct hmac_sha256_ctx), &scratch, NULL) != SEALTAPE_OK)
        return 0;
    hmac_sha256_set_key(scratch, unseal->cipher->key_size, key);
    hmac_sha256_update(scratch, strlen(COMMITMENT_LABEL), (const uint8_t *)COMMITMENT_LABEL);
    hmac_sha256_update(scratch, ENVELOPE_IV_SIZE, unseal->plan.envelope->iv);
    hmac_sha256_digest(scratch, sizeof(digest), digest);
    fits = (unsigned)memeql_sec(digest, media->commitment, sizeof(digest));
    secret_block_release(&scratch, sizeof(struct hmac_sha256_ctx));
    return fits;
}

/* Every recipient is tried, whether one before has fitted or not. */
static enum sealtape_status find_session_key(struct unseal *unseal, struct diag *diag)
{
    const struct envelope *envelope = unseal->plan.envelope;
    struct unseal_secret *secret = secret_of(unseal);
    unsigned fits;

    if (random_key(secret->key, sizeof(secret->key)) != SEALTAPE_OK
            || random_key(secret->candidate, sizeof(secret->candidate)) != SEALTAPE_OK)
        return diag_fail(diag, SEALTAPE_E_IO, "no random numbers");
    for (size_t i = 0; i < envelope->recipients_count; i++) {
        const struct envelope_recipient *recipient = &envelope->recipients[i];

        fits = key_decrypt(unseal->plan.key, recipient->encrypted_key, recipient->encrypted_key_len,
                secret->candidate, unseal->cipher->key_size);
        if (unseal->plan.media->has_commitment)
            fits &= commitment_fits(unseal, secret->candidate);
        cnd_memcpy((int)fits, secret->key, secret->candidate, sizeof(secret->key));
        unseal->key_fits |= fits;
    }
    secret_wipe(secret->candidate, sizeof(secret->candidate));
    unseal->cipher->set_decrypt_key(&secret->schedule, secret->key);
    if (unseal->plan.media->has_commitment && !unseal->key_fits)
        return not_opened(unseal, diag);
    return SEALTAPE_OK;
}

enum sealtape_status unseal_new(
        const struct unseal_plan *plan, struct unseal **ret_unseal, struct diag *diag)
{
    CLEANUP(unseal_free) struct unseal *unseal = calloc(1, sizeof(*unseal));
    enum sealtape_status st;

    if (!unseal)
        return diag_fail(diag, SEALTAPE_E_MEMORY, "no memory");
    unseal->plan = *plan;
    unseal->cipher = cipher_of(plan->envelope);
    unseal->plain_size = plan->media->plain_size;
    unseal->chunk_size = plan->media->chunk_size ? plan->media->chunk_size : CHUNK_SIZE;
    unseal->chunk = malloc(unseal->chunk_size);
    if (!unseal->chunk || verify_new(plan->media, &unseal->verify) != SEALTAPE_OK)
        return diag_fail(diag, SEALTAPE_E_MEMORY, "no memory");
    memcpy(unseal->chain, plan->envelope->iv, sizeof(unseal->chain));
    st = secret_acquire(&unseal->cell, diag);
    if (st == SEALTAPE_OK)
        st = find_session_key(unseal, diag);
    secret_wipe_stack();
    if (st != SEALTAPE_OK)
        return st;
    *ret_unseal = TAKE(unseal);
    return SEALTAPE_OK;
}

/* PKCS#7: 1 to 16 bytes of that value (RFC 5652, 6.3); 0 when they are not. */
static unsigned padding_of(const uint8_t block[BLOCK])
{
    unsigned padding = block[BLOCK - 1];
    unsigned wrong = padding == 0 || padding > BLOCK;

    for (unsigned i = 0; i < BLOCK; i++)
        wrong |= (unsigned)(BLOCK - i <= padding) & (unsigned)(block[i] != padding);
    return wrong ? 0 : padding;
}

void unseal_tail(struct unseal *unseal, const uint8_t *tail, size_t len, uint64_t content_len)
{
    uint8_t block[BLOCK];
    uint8_t chain[BLOCK];
    unsigned padding;

    if (unseal->plain_size != METADATA_UNKNOWN || content_len % BLOCK || len < BLOCK || len % BLOCK
            || (len == BLOCK && content_len != BLOCK))
        return;
    memcpy(chain, len == BLOCK ? unseal->chain : tail + len - 2 * BLOCK, BLOCK);
    cbc_decrypt(&secret_of(unseal)->schedule, unseal->cipher->decrypt, BLOCK, chain, BLOCK, block,
            tail + len - BLOCK);
    padding = padding_of(block);
    if (padding && unseal->key_fits)
        unseal->plain_size = content_len - padding;
    secret_wipe(block, sizeof(block));
}

static void decrypt_chunk(struct unseal *unseal)
{
    cbc_decrypt(&secret_of(unseal)->schedule, unseal->cipher->decrypt, BLOCK, unseal->chain,
            unseal->chunk_used, unseal->chunk, unseal->chunk);
}

static enum sealtape_status release(struct unseal *unseal, size_t len, struct diag *diag)
{
    if (!unseal->released && unseal->plan.repair_header && unseal->plain_size != METADATA_UNKNOWN)
        /* Changed or not: both are what was asked for. */
        ignore(wav_repair(unseal->chunk, len, unseal->plain_size));
    unseal->released = true;
    unseal->plain_used += len;
    unseal->chunk_used = 0;
    if (!unseal->key_fits || len == 0)
        return SEALTAPE_OK;
    return unseal->plan.sink(unseal->plan.context, unseal->chunk, len, diag);
}

/* A byte behind this one cannot belong to it. */
static bool is_complete(const struct unseal *unseal)
{
    const struct metadata_media *media = unseal->plan.media;

    return unseal->stored_used == media->size
           || (media->chunk_digests_count
                   && unseal->stored_used >= media->chunk_digests_count * media->chunk_size);
}

enum sealtape_status unseal_update(
        struct unseal *unseal, const uint8_t *bytes, size_t len, struct diag *diag)
{
    enum sealtape_status st;
    size_t part;

    while (len) {
        if (is_complete(unseal))
            return diag_fail(diag, SEALTAPE_E_IO,
                    "the content is longer than the %llu bytes stored",
                    (unsigned long long)unseal->stored_used);
        /* A full chunk waits for the byte behind it: the last one has the padding. */
        if (unseal->chunk_used == unseal->chunk_size) {
            decrypt_chunk(unseal);
            st = release(unseal, unseal->chunk_size, diag);
            if (st != SEALTAPE_OK)
                return st;
        }
        part = unseal->chunk_size - unseal->chunk_used;
        part = part < len ? part : len;
        memcpy(unseal->chunk + unseal->chunk_used, bytes, part);
        unseal->chunk_used += part;
        unseal->stored_used += part;
        bytes += part;
        len -= part;
        st = verify_update(unseal->verify, unseal->chunk + unseal->chunk_used - part, part, diag);
        if (st != SEALTAPE_OK)
            return st;
    }
    return SEALTAPE_OK;
}

enum sealtape_status unseal_finish(struct unseal *unseal, struct diag *diag)
{
    enum sealtape_status st;
    uint64_t plain;
    unsigned padding;

    st = verify_finish(unseal->verify, NULL, diag);
    if (st != SEALTAPE_OK)
        return st;
    if (unseal->chunk_used == 0 || unseal->chunk_used % BLOCK)
        return diag_fail(diag, SEALTAPE_E_IO, "the content was cut: it does not end with a block");
    decrypt_chunk(unseal);
    padding = padding_of(unseal->chunk + unseal->chunk_used - BLOCK);
    plain = unseal->plain_used + unseal->chunk_used - padding;
    if (!unseal->key_fits || padding == 0
            || (unseal->plain_size != METADATA_UNKNOWN && plain != unseal->plain_size))
        return not_opened(unseal, diag);
    return release(unseal, unseal->chunk_used - padding, diag);
}
