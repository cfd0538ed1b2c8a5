/*
 * Stored bytes back to the recording: streaming, in constant memory, each
 * chunk verified before its plaintext is released.
 */
#ifndef SEALTAPE_UNSEAL_UNSEAL_H
#define SEALTAPE_UNSEAL_UNSEAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "seal/envelope.h"
#include "unseal/key.h"
#include "unseal/metadata.h"

/* The last bytes of the content that unseal_tail() wants. */
#define UNSEAL_TAIL_SIZE 32

/* Plaintext as it comes; SEALTAPE_OK goes on, anything else stops. */
typedef enum sealtape_status unseal_sink(
        void *context, const uint8_t *bytes, size_t len, struct diag *diag);

/* All pointers are borrowed for the life of the unseal. */
struct unseal_plan {
    const struct envelope *envelope;
    const struct metadata_media *media; /* what is unknown in it is not verified */
    const struct key *key;
    bool repair_header; /* put true sizes into a WAV header, where they can be known */
    unseal_sink *sink;
    void *context;
};

struct unseal;

/*
 * Decrypt the session key and check its commitment. [setup]
 *
 * Without a commitment a key that fits no recipient is not noticed here: the
 * content is gone through all the same, nothing is released, and
 * unseal_finish() answers as it does to damaged padding, so that nobody learns
 * from time or words which of the two it was (RFC 8017, 7.2.2).
 *
 *   SEALTAPE_E_USAGE   the commitment does not fit: @diag says whose key is needed
 *   SEALTAPE_E_MEMORY
 */
enum sealtape_status unseal_new(
        const struct unseal_plan *plan, struct unseal **ret_unseal, struct diag *diag) MUST_CHECK;

void unseal_free(struct unseal **unseal);

/*
 * Learn the plain size from the end of the content, for the header, where the
 * metadata does not have it. [setup] Before the first update. @tail: the last
 * UNSEAL_TAIL_SIZE bytes, or all 16 of a content of 16. What does not fit is passed
 * over here: unseal_finish() finds it.
 */
void unseal_tail(struct unseal *unseal, const uint8_t *tail, size_t len, uint64_t content_len);

/*
 * The next stored bytes, any number of them. [setup]
 *
 *   SEALTAPE_E_IO  the chunk differs from its digest; nothing of it was released
 *   what the sink answered
 */
enum sealtape_status unseal_update(
        struct unseal *unseal, const uint8_t *bytes, size_t len, struct diag *diag) MUST_CHECK;

/*
 * No more bytes: verify the whole, release the last chunk without its padding. [setup]
 *
 *   SEALTAPE_E_IO     cut short, or altered; the last chunk was not released
 *   SEALTAPE_E_USAGE  the key does not fit, or the padding is damaged
 */
enum sealtape_status unseal_finish(struct unseal *unseal, struct diag *diag) MUST_CHECK;

#endif
