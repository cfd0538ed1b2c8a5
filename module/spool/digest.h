/*
 * SHA-256 of a growing object, and of each of its chunks (FIPS 180-4).
 */
#ifndef SEALTAPE_SPOOL_DIGEST_H
#define SEALTAPE_SPOOL_DIGEST_H

#include <stddef.h>
#include <stdint.h>

#include <nettle/sha2.h>

#include "base/diag.h"

struct digest {
    struct sha256_ctx whole, chunk;
    uint64_t bytes;
    uint8_t *chunks; /* finished ones, SHA256_DIGEST_SIZE each */
    size_t chunks_count, chunks_room;
};

void digest_init(struct digest *digest);
void digest_clear(struct digest *digest);

/* [writer] SEALTAPE_E_MEMORY: nothing was taken in. */
enum sealtape_status digest_update(
        struct digest *digest, const uint8_t *bytes, size_t len) MUST_CHECK;

/* Of all bytes so far; more may follow. */
void digest_now(const struct digest *digest, uint8_t ret_sha256[SHA256_DIGEST_SIZE]);

/* Finish the last chunk, if it has bytes. No more may follow. */
enum sealtape_status digest_end(struct digest *digest) MUST_CHECK;

#endif
