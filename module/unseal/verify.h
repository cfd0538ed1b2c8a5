/*
 * Stored bytes against what their metadata says: length, SHA-256 of the whole
 * and of each chunk. Needs no key.
 *
 * Shows that the bytes are those of the document. That the document itself is
 * unchanged is not shown by digests.
 */
#ifndef SEALTAPE_UNSEAL_VERIFY_H
#define SEALTAPE_UNSEAL_VERIFY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "unseal/metadata.h"

struct verify;

/* What was found. Booleans are true, too, where the document has nothing to compare. */
struct verify_verdict {
    uint64_t size; /* bytes seen */
    bool size_fits;
    bool padding_fits; /* whole blocks, 1 to 16 bytes more than plainSize */
    bool sha256_fits;
    size_t chunks;       /* digests compared */
    size_t chunks_bad;   /* of these */
    uint64_t bad_offset; /* stored offset of the first bad chunk, else METADATA_UNKNOWN */
    bool chunks_fit;     /* as many as the length asks for, none bad */
    bool has_digests;    /* false: nothing but lengths could be compared */
    bool good;           /* all of it */
    uint8_t sha256[METADATA_DIGEST_SIZE];
};

/*
 * Begin. [any] @media is borrowed for its life.
 *
 *   SEALTAPE_E_MEMORY
 */
enum sealtape_status verify_new(
        const struct metadata_media *media, struct verify **ret_verify) MUST_CHECK;
void verify_free(struct verify **verify);

/*
 * The next bytes, any number of them. [any]
 *
 *   SEALTAPE_E_IO  a chunk that they complete differs from its digest, or there are more
 *                  bytes than there should be; one may go on, to count the bad ones
 */
enum sealtape_status verify_update(
        struct verify *verify, const uint8_t *bytes, size_t len, struct diag *diag) MUST_CHECK;

/*
 * No more bytes. [any] @ret_verdict is always filled, and may be NULL.
 *
 *   SEALTAPE_E_IO  not good; @diag has the first thing that does not fit
 */
enum sealtape_status verify_finish(
        struct verify *verify, struct verify_verdict *ret_verdict, struct diag *diag) MUST_CHECK;

#endif
