/*
 * What is known of a recording while it runs, beside its bytes: who, when, for
 * whom it is sealed, what was masked, paused or lost.
 *
 * Controls add to it, the writer turns it into the metadata document. Constant
 * after evidence_new() but for what stands below the lock.
 */
#ifndef SEALTAPE_SPOOL_EVIDENCE_H
#define SEALTAPE_SPOOL_EVIDENCE_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/diag.h"
#include "profile/certificate.h"
#include "seal/envelope.h"

/* Bounds of what a host may say, bytes and numbers. */
#define EVIDENCE_KEY_MAX 128
#define EVIDENCE_VALUE_MAX 8192
#define EVIDENCE_PARAMETERS_MAX 256
#define EVIDENCE_MARKS_MAX 8192

struct evidence_parameter {
    char *key, *value;
};

struct evidence_recipient {
    struct certificate *certificate;
    uint8_t *encrypted_key;
    size_t encrypted_key_len;
};

/* A pause, mask or their end, as the control call came. */
enum evidence_mark_kind { EVIDENCE_PAUSED, EVIDENCE_RESUMED };
struct evidence_mark {
    int64_t time_utc_ms;
    enum evidence_mark_kind kind;
};

/* A span of media time that was masked or paused; end_ms -1: still is. */
struct evidence_span {
    int64_t start_ms, end_ms;
    int64_t elapsed_ms; /* wall time of a pause, for which media time stands still */
    bool pause;
};

/* Bytes that were lost. */
struct evidence_gap {
    uint64_t offset, bytes; /* of the plaintext */
    int64_t time_utc_ms;
};

/* Which parameters have their own place in the document. */
enum evidence_text {
    EVIDENCE_RECORDING_ID,
    EVIDENCE_MEDIA_ID,
    EVIDENCE_CCID,
    EVIDENCE_TENANT,
    EVIDENCE_PROFILE,
    EVIDENCE_CALL_UUID,
    EVIDENCE_ANI,
    EVIDENCE_DNIS,
    EVIDENCE_TYPE,
    EVIDENCE_INSTANCE,
    EVIDENCE_TEXTS
};

struct evidence {
    uint32_t profile_dbid, tenant_dbid;
    int64_t start_utc_ms;
    uint64_t start_ns;  /* CLOCK_MONOTONIC of the same moment */
    uint32_t byte_rate; /* 0: unknown */
    unsigned key_bits;
    uint8_t iv[ENVELOPE_IV_SIZE];
    char key_commitment[65];
    char salt[33];
    struct evidence_recipient *recipients;
    size_t recipients_count;
    char **storages; /* base URLs, each ending with '/' */
    size_t storages_count;
    char **processors;
    size_t processors_count;
    /* Chosen for this recording; else they are those of the configuration, and whoever delivers
     * takes the ones that are configured then. */
    bool own_storage, own_processor;
    char *envelope_pem; /* made once by the writer, who then orders the recipients as encoded */

    /* Guards all that follows. */
    pthread_mutex_t lock;
    char *texts[EVIDENCE_TEXTS]; /* NULL: not known */
    struct evidence_parameter *parameters;
    size_t parameters_count;
    struct evidence_mark *marks;
    size_t marks_count;
    struct evidence_span *spans;
    size_t spans_count;
    struct evidence_gap *gaps;
    size_t gaps_count;
    char *close_reason;
    uint64_t version; /* grows with each change */
};

/* Empty evidence. [control] */
enum sealtape_status evidence_new(struct evidence **ret_evidence) MUST_CHECK;
void evidence_free(struct evidence **evidence);

/* Set one of the texts. [control] Copied. SEALTAPE_E_MEMORY. */
enum sealtape_status evidence_set_text(
        struct evidence *evidence, enum evidence_text which, const char *text) MUST_CHECK;

/*
 * Set or replace a parameter. [control] Copied.
 *
 *   SEALTAPE_E_USAGE  not UTF-8, a control character in the key, or it looks like a
 *                     credential (*auth*, *password*, *secret*, *token*)
 *   SEALTAPE_E_LIMIT  one of the bounds above
 */
enum sealtape_status evidence_set_parameter(struct evidence *evidence, const char *key,
        const char *value, struct diag *diag) MUST_CHECK;

/* Is this the name of a credential? [any] Case is ignored. */
bool evidence_is_credential(const char *key);

/* Is it UTF-8 (RFC 3629) without NUL? [any] */
bool evidence_is_utf8(const char *text);

/* [control] SEALTAPE_E_LIMIT: EVIDENCE_MARKS_MAX is reached; the control must not happen. */
enum sealtape_status evidence_add_mark(
        struct evidence *evidence, enum evidence_mark_kind kind, int64_t time_utc_ms) MUST_CHECK;

/* Spans and gaps as the media thread met them. [writer] Bounded: the last one is
 * widened when there are too many. SEALTAPE_E_MEMORY: try again. */
enum sealtape_status evidence_begin_span(
        struct evidence *evidence, bool pause, int64_t at_ms) MUST_CHECK;
void evidence_end_span(struct evidence *evidence, bool pause, int64_t at_ms, int64_t elapsed_ms);
enum sealtape_status evidence_add_gap(
        struct evidence *evidence, uint64_t offset, uint64_t bytes, int64_t time_utc_ms) MUST_CHECK;

enum sealtape_status evidence_set_close_reason(
        struct evidence *evidence, const char *reason) MUST_CHECK;

/* Number of changes so far. [any] */
uint64_t evidence_version(struct evidence *evidence);

#endif
