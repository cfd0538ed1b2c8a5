/*
 * Recordings as the host sees them: handles, states, the media path.
 *
 * A handle is a slot of the table and the slot's generation. What each call
 * does in each state is a table (recording_cell()). The word of a slot holds
 * generation, state and two flags, and changes by compare-and-swap only, so a
 * write needs no lock and a close never waits for one.
 */
#ifndef SEALTAPE_RECORDING_H
#define SEALTAPE_RECORDING_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/diag.h"
#include "seal/cipher.h"
#include "spool/spool.h"

/* Recordings at a time in one recorder. */
#define RECORDING_MAX 32768u
#define RECORDING_WRITE_MAX (1024u * 1024)

enum recording_state {
    RECORDING_DEAD, /* free, or closed: the handle is worth nothing */
    RECORDING_RUNNING,
    RECORDING_PAUSED,
    RECORDING_MASKED,
    RECORDING_PAUSED_MASKED,
    RECORDING_ENDED, /* discarded; the host has yet to close it */
    RECORDING_STATES
};

enum recording_call {
    RECORDING_WRITE,
    RECORDING_PAUSE,
    RECORDING_RESUME,
    RECORDING_MASK,
    RECORDING_UNMASK,
    RECORDING_SET,
    RECORDING_CLOSE,
    RECORDING_CALLS
};

/* What a call answers in a state, and the state that follows. */
struct recording_cell {
    enum sealtape_status status;
    enum recording_state next;
};
const struct recording_cell *recording_cell(enum recording_state state, enum recording_call call);

enum recording_format { RECORDING_OPAQUE, RECORDING_PCM16, RECORDING_ULAW, RECORDING_ALAW };

struct recording_table;

/* [setup] */
enum sealtape_status recording_table_new(
        struct spool *spool, struct recording_table **ret_table, struct diag *diag) MUST_CHECK;
/* Every recording must have been closed. [setup] */
void recording_table_free(struct recording_table **table);

/*
 * Begin: hand evidence to the spool, take a slot. [control]
 *
 * @evidence and @cipher are taken on success.
 */
enum sealtape_status recording_begin(struct recording_table *table, struct evidence *evidence,
        struct cipher **cipher, enum recording_format format, sealtape_recording *ret_recording,
        struct diag *diag) MUST_CHECK;

/* The calls of the ABI; see there. */
enum sealtape_status recording_write(struct recording_table *table, sealtape_recording recording,
        const void *bytes, size_t len, uint32_t flags) MUST_CHECK; /* [media] */
enum sealtape_status recording_control(struct recording_table *table, sealtape_recording recording,
        enum recording_call call) MUST_CHECK; /* [control] */
enum sealtape_status recording_set(struct recording_table *table, sealtape_recording recording,
        const char *key, const char *value, struct diag *diag) MUST_CHECK; /* [control] */
enum sealtape_status recording_close(struct recording_table *table, sealtape_recording recording,
        const char *reason) MUST_CHECK; /* [control] */
/* Throw a running one away; its handle answers SEALTAPE_E_CLOSED until it is closed. [control] */
enum sealtape_status recording_discard(
        struct recording_table *table, sealtape_recording recording) MUST_CHECK;

/* The newest running one whose id, call UUID or media id this is. [control]
 * SEALTAPE_E_STATE: there is none. */
enum sealtape_status recording_find(struct recording_table *table, const char *id,
        sealtape_recording *ret_recording) MUST_CHECK;

/* Close all that run. [setup] */
void recording_close_all(struct recording_table *table, const char *reason);

uint32_t recording_count(struct recording_table *table);
uint64_t recording_accepted_bytes(const struct recording_table *table);
uint64_t recording_lost_bytes(const struct recording_table *table);

#endif
