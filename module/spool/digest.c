#include "spool/digest.h"

#include <stdlib.h>
#include <string.h>

#include "spool/document.h"

void digest_init(struct digest *digest)
{
    memset(digest, 0, sizeof(*digest));
    sha256_init(&digest->whole);
    sha256_init(&digest->chunk);
}

void digest_clear(struct digest *digest)
{
    free(digest->chunks);
    digest_init(digest);
}

/* Room for the chunks that @len bytes more can finish, taken before anything changes. */
static enum sealtape_status make_room(struct digest *digest, size_t len)
{
    size_t need = (size_t)((digest->bytes + len) / DOCUMENT_CHUNK_SIZE) + 1;
    uint8_t *chunks;

    if (need <= digest->chunks_room)
        return SEALTAPE_OK;
    need += need / 2;
    chunks = reallocarray(digest->chunks, need, SHA256_DIGEST_SIZE);
    if (!chunks)
        return SEALTAPE_E_MEMORY;
    digest->chunks = chunks;
    digest->chunks_room = need;
    return SEALTAPE_OK;
}

static void finish_chunk(struct digest *digest)
{
    sha256_digest(&digest->chunk, SHA256_DIGEST_SIZE,
            digest->chunks + digest->chunks_count * SHA256_DIGEST_SIZE);
    digest->chunks_count++;
}

enum sealtape_status digest_update(struct digest *digest, const uint8_t *bytes, size_t len)
{
    enum sealtape_status st = make_room(digest, len);

    if (st != SEALTAPE_OK)
        return st;
    sha256_update(&digest->whole, len, bytes);
    while (len > 0) {
        size_t room = DOCUMENT_CHUNK_SIZE - (size_t)(digest->bytes % DOCUMENT_CHUNK_SIZE);
        size_t n = len < room ? len : room;

        sha256_update(&digest->chunk, n, bytes);
        digest->bytes += n;
        bytes += n;
        len -= n;
        if (digest->bytes % DOCUMENT_CHUNK_SIZE == 0)
            finish_chunk(digest);
    }
    return SEALTAPE_OK;
}

void digest_now(const struct digest *digest, uint8_t ret_sha256[SHA256_DIGEST_SIZE])
{
    struct sha256_ctx copy = digest->whole;

    sha256_digest(&copy, SHA256_DIGEST_SIZE, ret_sha256);
}

enum sealtape_status digest_end(struct digest *digest)
{
    enum sealtape_status st = make_room(digest, 0);

    if (st == SEALTAPE_OK && digest->bytes % DOCUMENT_CHUNK_SIZE != 0)
        finish_chunk(digest);
    return st;
}
