#include "unseal/verify.h"

#include <nettle/sha2.h>
#include <stdlib.h>
#include <string.h>

#include "base/hex.h"

struct verify {
    const struct metadata_media *media;
    struct sha256_ctx whole;
    struct sha256_ctx chunk;
    uint64_t chunk_used;
    uint64_t size;
    size_t chunks; /* that were completed */
    size_t bad;
    uint64_t bad_offset;
};

enum sealtape_status verify_new(const struct metadata_media *media, struct verify **ret_verify)
{
    struct verify *verify = calloc(1, sizeof(*verify));

    if (!verify)
        return SEALTAPE_E_MEMORY;
    verify->media = media;
    verify->bad_offset = METADATA_UNKNOWN;
    sha256_init(&verify->whole);
    sha256_init(&verify->chunk);
    *ret_verify = verify;
    return SEALTAPE_OK;
}

void verify_free(struct verify **verify)
{
    free(*verify);
    *verify = NULL;
}

static enum sealtape_status chunk_end(struct verify *verify, struct diag *diag)
{
    const struct metadata_media *media = verify->media;
    uint64_t offset = verify->chunks * media->chunk_size;
    uint8_t digest[SHA256_DIGEST_SIZE];
    bool fits;

    sha256_digest(&verify->chunk, sizeof(digest), digest); /* and begins anew */
    fits = verify->chunks < media->chunk_digests_count
           && memcmp(digest, media->chunk_digests[verify->chunks], sizeof(digest)) == 0;
    verify->chunks++;
    verify->chunk_used = 0;
    if (fits)
        return SEALTAPE_OK;
    verify->bad++;
    if (verify->bad_offset == METADATA_UNKNOWN)
        verify->bad_offset = offset;
    return diag_fail(diag, SEALTAPE_E_IO,
            "the content was altered: the chunk at offset %llu differs from its digest",
            (unsigned long long)offset);
}

enum sealtape_status verify_update(
        struct verify *verify, const uint8_t *bytes, size_t len, struct diag *diag)
{
    uint64_t chunk_size = verify->media->chunk_size;
    enum sealtape_status ret = SEALTAPE_OK;
    enum sealtape_status st;
    size_t part;

    sha256_update(&verify->whole, len, bytes);
    verify->size += len;
    while (chunk_size && len) {
        part = chunk_size - verify->chunk_used < len ? (size_t)(chunk_size - verify->chunk_used)
                                                     : len;
        sha256_update(&verify->chunk, part, bytes);
        verify->chunk_used += part;
        bytes += part;
        len -= part;
        st = verify->chunk_used == chunk_size ? chunk_end(verify, ret ? NULL : diag) : SEALTAPE_OK;
        ret = ret ? ret : st;
    }
    if (ret == SEALTAPE_OK && verify->media->size != METADATA_UNKNOWN
            && verify->size > verify->media->size)
        ret = diag_fail(diag, SEALTAPE_E_IO, "the content is longer than the %llu bytes stored",
                (unsigned long long)verify->media->size);
    return ret;
}

static void compare(struct verify *verify, struct verify_verdict *verdict)
{
    const struct metadata_media *media = verify->media;
    uint64_t padding = verify->size - media->plain_size;

    verdict->size = verify->size;
    verdict->size_fits = media->size == METADATA_UNKNOWN || media->size == verify->size;
    verdict->padding_fits = verify->size % 16 == 0
                            && (media->plain_size == METADATA_UNKNOWN
                                    || (verify->size > media->plain_size && padding <= 16));
    sha256_digest(&verify->whole, sizeof(verdict->sha256), verdict->sha256);
    verdict->sha256_fits = !media->has_sha256
                           || memcmp(verdict->sha256, media->sha256, sizeof(verdict->sha256)) == 0;
    verdict->chunks = verify->chunks;
    verdict->chunks_bad = verify->bad;
    verdict->bad_offset = verify->bad_offset;
    verdict->chunks_fit = verify->bad == 0 && verify->chunks == media->chunk_digests_count;
    verdict->has_digests = media->has_sha256 || media->chunk_digests_count > 0;
    verdict->good = verdict->size_fits && verdict->padding_fits && verdict->sha256_fits
                    && verdict->chunks_fit;
}

static enum sealtape_status explain(
        const struct verify *verify, const struct verify_verdict *verdict, struct diag *diag)
{
    char found[2 * METADATA_DIGEST_SIZE + 1];

    if (verdict->good)
        return SEALTAPE_OK;
    if (!verdict->size_fits)
        return diag_fail(diag, SEALTAPE_E_IO, "the content has %llu bytes, the document says %llu",
                (unsigned long long)verify->size, (unsigned long long)verify->media->size);
    if (verdict->bad_offset != METADATA_UNKNOWN)
        return diag_fail(diag, SEALTAPE_E_IO,
                "the content was altered: the chunk at offset %llu differs from its digest",
                (unsigned long long)verdict->bad_offset);
    if (!verdict->chunks_fit)
        return diag_fail(diag, SEALTAPE_E_IO, "the content has %zu chunks, the document has %zu",
                verdict->chunks, verify->media->chunk_digests_count);
    if (!verdict->padding_fits)
        return diag_fail(diag, SEALTAPE_E_IO,
                "the content's %llu bytes cannot be the recording: it was cut or the lengths do "
                "not fit together",
                (unsigned long long)verify->size);
    hex_encode(verdict->sha256, sizeof(verdict->sha256), found);
    return diag_fail(diag, SEALTAPE_E_IO, "the content was altered: its SHA-256 is %s", found);
}

enum sealtape_status verify_finish(
        struct verify *verify, struct verify_verdict *ret_verdict, struct diag *diag)
{
    struct verify_verdict verdict = {0};

    if (verify->chunk_used)
        /* Counted; what is said of it follows below. */
        ignore(chunk_end(verify, NULL));
    compare(verify, &verdict);
    if (ret_verdict)
        *ret_verdict = verdict;
    return explain(verify, &verdict, diag);
}
