#include "profile/pool.h"

#include <nettle/sha2.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "profile/pem.h"

struct slot {
    uint8_t digest[SHA256_DIGEST_SIZE];
    struct certificate *certificate; /* NULL: free */
    const struct trust *checked;     /* compared only */
    uint32_t dbid;
    bool used, invalid;
};

/* Open addressing; the number of slots is a power of two, at most half are taken. */
struct pool {
    struct slot *slots;
    size_t size, count;
    struct trust *trust; /* held, so that its address is not used for another */
};

enum sealtape_status pool_new(struct pool **ret_pool, struct diag *diag)
{
    CLEANUP(pool_free) struct pool *pool = NULL;

    pool = calloc(1, sizeof(*pool));
    if (!pool)
        return diag_fail(diag, SEALTAPE_E_MEMORY, "no memory");
    pool->size = 64;
    pool->slots = calloc(pool->size, sizeof(*pool->slots));
    if (!pool->slots)
        return diag_fail(diag, SEALTAPE_E_MEMORY, "no memory");
    *ret_pool = TAKE(pool);
    return SEALTAPE_OK;
}

void pool_free(struct pool **pool)
{
    if (!*pool)
        return;
    for (size_t i = 0; (*pool)->slots && i < (*pool)->size; i++)
        certificate_release(&(*pool)->slots[i].certificate);
    trust_release(&(*pool)->trust);
    free((*pool)->slots);
    free(*pool);
    *pool = NULL;
}

/* The slot of a digest, or the free one where it belongs. */
static struct slot *find(struct slot *slots, size_t size, const uint8_t *digest)
{
    size_t at;

    memcpy(&at, digest, sizeof(at));
    for (at &= size - 1; slots[at].certificate; at = (at + 1) & (size - 1)) {
        if (memcmp(slots[at].digest, digest, SHA256_DIGEST_SIZE) == 0)
            break;
    }
    return &slots[at];
}

/* Move what is kept into a table of another size. The old table stays when there is no memory. */
static enum sealtape_status rehash(struct pool *pool, size_t size, bool only_used)
{
    struct slot *slots = calloc(size, sizeof(*slots));
    size_t count = 0;

    if (!slots)
        return SEALTAPE_E_MEMORY;
    for (size_t i = 0; i < pool->size; i++) {
        struct slot *slot = &pool->slots[i];

        if (!slot->certificate)
            continue;
        if (only_used && !slot->used) {
            certificate_release(&slot->certificate);
            continue;
        }
        *find(slots, size, slot->digest) = *slot;
        count++;
    }
    free(pool->slots);
    pool->slots = slots;
    pool->size = size;
    pool->count = count;
    return SEALTAPE_OK;
}

static void digest_key(const struct pool_key *key, uint8_t *ret_digest)
{
    struct sha256_ctx sha256;

    sha256_init(&sha256);
    sha256_update(&sha256, 1, (const uint8_t *)(key->alias ? "a" : "-"));
    if (key->alias)
        sha256_update(&sha256, strlen(key->alias) + 1, (const uint8_t *)key->alias);
    sha256_update(&sha256, strlen(key->tenant) + 1, (const uint8_t *)key->tenant);
    sha256_update(&sha256, sizeof(key->tenant_dbid), (const uint8_t *)&key->tenant_dbid);
    sha256_update(&sha256, strlen(key->text), (const uint8_t *)key->text);
    sha256_digest(&sha256, SHA256_DIGEST_SIZE, ret_digest);
}

static enum sealtape_status make(
        const struct pool_key *key, struct certificate **ret_certificate, struct diag *diag)
{
    struct certificate_der chain[PEM_CERTIFICATES_MAX];
    CLEANUP(pem_free) struct pem *pem = NULL;
    struct certificate_source source;
    enum sealtape_status st;

    st = pem_read(key->text, strlen(key->text), &pem, diag);
    if (st != SEALTAPE_OK)
        return st;
    for (size_t i = 1; i < pem->count; i++)
        chain[i - 1] = (struct certificate_der){pem->blocks[i].bytes, pem->blocks[i].len};
    source = (struct certificate_source){key->alias, key->tenant, key->tenant_dbid,
            {pem->blocks[0].bytes, pem->blocks[0].len}, chain, pem->count - 1};
    return certificate_new(&source, ret_certificate, diag);
}

enum sealtape_status pool_acquire(struct pool *pool, const struct pool_key *key,
        struct certificate **ret_certificate, struct diag *diag)
{
    uint8_t digest[SHA256_DIGEST_SIZE];
    enum sealtape_status st;
    struct slot *slot;

    if (pool->count >= pool->size / 2 && rehash(pool, pool->size * 2, false) != SEALTAPE_OK)
        return diag_fail(diag, SEALTAPE_E_MEMORY, "no memory");
    digest_key(key, digest);
    slot = find(pool->slots, pool->size, digest);
    if (!slot->certificate) {
        struct certificate *certificate = NULL;

        st = make(key, &certificate, diag);
        if (st != SEALTAPE_OK)
            return st;
        *slot = (struct slot){.certificate = certificate};
        memcpy(slot->digest, digest, sizeof(digest));
        pool->count++;
    }
    slot->used = true;
    slot->dbid = key->dbid;
    *ret_certificate = certificate_acquire(slot->certificate);
    return SEALTAPE_OK;
}

void pool_sweep(struct pool *pool)
{
    /* Without memory the old table stays: it is swept the next time. */
    ignore(rehash(pool, pool->size, true));
    for (size_t i = 0; i < pool->size; i++)
        pool->slots[i].used = false;
}

size_t pool_check(struct pool *pool, struct trust *trust, int64_t now_utc_ms)
{
    size_t invalid = 0;

    if (pool->trust != trust) {
        trust_release(&pool->trust);
        pool->trust = trust_acquire(trust);
        for (size_t i = 0; i < pool->size; i++)
            pool->slots[i].checked = NULL;
    }
    for (size_t i = 0; i < pool->size; i++) {
        struct slot *slot = &pool->slots[i];
        struct diag warning = {""}, diag = {""};
        bool was_invalid = slot->invalid, known = slot->checked == trust;

        if (!slot->certificate)
            continue;
        slot->invalid = certificate_check(slot->certificate, trust, now_utc_ms, &warning, &diag)
                        != SEALTAPE_OK;
        slot->checked = trust;
        invalid += slot->invalid;
        if (slot->invalid && (!known || !was_invalid))
            log_line(SEALTAPE_LOG_WARNING, LOG_CERTIFICATE_INVALID, NULL, "profile %u: %s",
                    slot->dbid, diag.text);
        else if (!known && warning.text[0] != '\0')
            log_line(SEALTAPE_LOG_WARNING, LOG_CERTIFICATE_INVALID, NULL, "profile %u: %s",
                    slot->dbid, warning.text);
    }
    return invalid;
}
