/*
 * A recording as the recording side leaves it: envelope, stored bytes and what
 * the metadata says of them. For tests of what opens it.
 */
#ifndef SEALTAPE_TEST_SEALED_H
#define SEALTAPE_TEST_SEALED_H

#include "seal/envelope.h"
#include "unseal/key.h"
#include "unseal/metadata.h"

#define VECTORS TEST_VECTORS "/unseal/"

struct sealed {
    struct envelope *envelope;
    struct metadata_media media;
    uint8_t *plain, *stored;
    size_t plain_len, stored_len;
};

struct sealed_form {
    const uint8_t *plain; /* NULL: a pattern */
    size_t plain_len;
    unsigned key_bits;
    size_t chunk_size; /* 0: no chunk digests */
    bool commitment, sha256, sizes;
    size_t key_len; /* 0: as key_bits says; else a key that is too short or long */
};

/* Seal for the key of VECTORS/pkcs1.pem. */
void sealed_make(const struct sealed_form *form, struct sealed *ret_sealed);
void sealed_clear(struct sealed *sealed);

/* A key of VECTORS, passphrase and all; fails the test when it cannot be read. */
struct key *sealed_key(const char *name);

/* A whole file of VECTORS. */
uint8_t *sealed_file(const char *name, size_t *ret_len);

#endif
