/*
 * A recording's metadata document, read by whoever opens or verifies: ours, and
 * those of Genesys Interaction Recording. The tools' one home of such reading.
 *
 * Tolerant: unknown fields are passed over, numbers may be strings and the
 * reverse, our own extra object may be absent. What is there must be well-formed.
 * Documents are foreign bytes: everything has a limit.
 */
#ifndef SEALTAPE_UNSEAL_METADATA_H
#define SEALTAPE_UNSEAL_METADATA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/diag.h"

#define METADATA_DOCUMENT_MAX (64u * 1024 * 1024)
#define METADATA_MEDIA_MAX 1024
#define METADATA_DIGEST_SIZE 32
/* Limits of chunkSize: a chunk is held in memory. */
#define METADATA_CHUNK_MIN 16u
#define METADATA_CHUNK_MAX (16u * 1024 * 1024)
/* A number that the document does not have. */
#define METADATA_UNKNOWN UINT64_MAX

/* Who can open it: belongs to the RecipientInfo of the same index. "" where unknown. */
struct metadata_recipient {
    char *alias;
    char *issuer;
    char *serial; /* decimal */
    char *sha256; /* of the certificate, hex */
};

/* One element of `mediaFiles`. Texts are never NULL; "" where the document has none. */
struct metadata_media {
    char *media_id;
    char *type;
    char *path; /* mediaDescriptor.path */
    char *outcome;
    uint64_t size; /* stored bytes */
    uint64_t plain_size;
    uint8_t *envelope; /* DER; NULL: the document has none */
    size_t envelope_len;
    struct metadata_recipient *recipients;
    size_t recipients_count;
    bool has_commitment;
    uint8_t commitment[METADATA_DIGEST_SIZE];
    bool has_sha256;
    uint8_t sha256[METADATA_DIGEST_SIZE]; /* of the stored bytes */
    uint64_t chunk_size;                  /* 0: no chunk digests */
    uint8_t (*chunk_digests)[METADATA_DIGEST_SIZE];
    size_t chunk_digests_count;
};

struct metadata {
    char *id; /* of the recording; "" where unknown */
    struct metadata_media *media;
    size_t media_count;
};

/*
 * Read a document. [any]
 *
 * @name stands in messages. A single element of `mediaFiles` is accepted in the
 * place of a whole document.
 *
 *   SEALTAPE_E_USAGE  not JSON (line and column), or a field that cannot be (its path)
 *   SEALTAPE_E_LIMIT  beyond a limit
 */
enum sealtape_status metadata_parse(const char *name, const void *bytes, size_t len,
        struct metadata **ret_metadata, struct diag *diag) MUST_CHECK;

void metadata_free(struct metadata **metadata);

/*
 * The media file that is meant: the one with @media_id, or with NULL the only one. [any]
 *
 *   SEALTAPE_E_USAGE  none, or several to choose from: @diag names them
 */
enum sealtape_status metadata_choose(const struct metadata *metadata, const char *media_id,
        const struct metadata_media **ret_media, struct diag *diag) MUST_CHECK;

/*
 * Decode the first PEM block with label PKCS7 or CMS. [any]
 *
 * Any column width, CRLF, and line ends that were escaped twice (a literal \n).
 *
 *   SEALTAPE_E_USAGE  no such block, or not base64
 */
enum sealtape_status metadata_pem_decode(
        const char *pem, uint8_t **ret_der, size_t *ret_len, struct diag *diag) MUST_CHECK;

#endif
