/*
 * The metadata document of a recording: made from evidence, completed, read
 * back from the spool. The recording side's home of jansson.
 *
 * In the spool the document's first member is `spool`, which never leaves the
 * machine: {"format": 1, "storage": [...], "processor": [...], "tenant": "...",
 * "revision": 3}.
 */
#ifndef SEALTAPE_SPOOL_DOCUMENT_H
#define SEALTAPE_SPOOL_DOCUMENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/diag.h"
#include "spool/entry.h"
#include "spool/evidence.h"

/* The largest document that is read, bytes. */
#define DOCUMENT_MAX (16u * 1024 * 1024)

/* Version of the `spool` member. */
#define DOCUMENT_FORMAT 1

/* The stored bytes are digested in chunks of this size. */
#define DOCUMENT_CHUNK_SIZE 262144u

#define DOCUMENT_DIGEST_SIZE 32

struct document;

/* What is known of the media when a recording has ended. */
struct document_final {
    const char *outcome; /* complete, empty, interrupted, degraded */
    uint64_t size, plain_size;
    uint64_t duration_ms;
    int64_t stop_utc_ms;
    const uint8_t *sha256;        /* of the whole object */
    const uint8_t *chunk_digests; /* DOCUMENT_DIGEST_SIZE bytes each */
    size_t chunk_digests_count;
    uint64_t lost_bytes; /* refused in all; what no gap tells yet becomes one at the end */
};

/*
 * Make the document of a running recording. [writer]
 *
 * The first call encodes the envelope and orders the recipients as encoded.
 * @epoch is 32 hex digits, @sequence the number in it.
 */
enum sealtape_status document_build(struct evidence *evidence, const char *epoch, uint64_t sequence,
        struct document **ret_document, struct diag *diag) MUST_CHECK;

/*
 * Read a document as the spool has it. [any]
 *
 *   SEALTAPE_E_VERSION  of a newer format: to be left alone
 *   SEALTAPE_E_STATE    corrupt
 */
enum sealtape_status document_parse(
        const char *text, size_t len, struct document **ret_document, struct diag *diag) MUST_CHECK;

void document_free(struct document **document);

/*
 * Which rewriting it is, counted from 0: several may stand beside each other
 * after a crash, and the highest one is the newest. [writer, setup]
 */
enum sealtape_status document_set_revision(struct document *document, unsigned revision) MUST_CHECK;
unsigned document_revision(const struct document *document);

/* Complete it. Spans that are still open end with the media; `complete` with gaps is
 * `degraded`. */
enum sealtape_status document_finish(
        struct document *document, const struct document_final *final) MUST_CHECK;

/* Turn it into one without media, outcome `discarded`. */
enum sealtape_status document_discard(struct document *document, int64_t now_utc_ms) MUST_CHECK;

/* Say where the object stands; *ret_changed: it said otherwise before. */
enum sealtape_status document_set_path(struct document *document, const char *storage,
        const char *url, bool *ret_changed) MUST_CHECK;

/* Its bytes, malloc'ed and NUL-terminated: as the spool keeps it, and as it is posted. */
enum sealtape_status document_text(
        const struct document *document, char **ret_text, size_t *ret_len) MUST_CHECK;
enum sealtape_status document_body(
        const struct document *document, char **ret_text, size_t *ret_len) MUST_CHECK;

enum sealtape_status document_plan(
        const struct document *document, struct entry_plan **ret_plan) MUST_CHECK;

/* Facts, borrowed. outcome: NULL while it runs. */
const char *document_recording_id(const struct document *document);
const char *document_outcome(const struct document *document);
const char *document_sha256(const struct document *document);
uint32_t document_tenant_dbid(const struct document *document);
const char *document_epoch(const struct document *document);
uint64_t document_sequence(const struct document *document);

#endif
