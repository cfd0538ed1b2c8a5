#include "profile/trust.h"

#include <fcntl.h>
#include <gnutls/gnutls.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"

#define ROOTS_FILE_MAX ((size_t)16 * 1024 * 1024)
#define CRLS_FILE_MAX ((size_t)256 * 1024 * 1024)
#define LABEL_MAX 64u

static const char begin_mark[] = "-----BEGIN ";
static const char end_mark[] = "-----END ";
static const char dashes[] = "-----";

static _Atomic uint64_t last_id;

/* The bytes of a file, wiped when let go: an operator's mistake may have put a key there. */
struct text {
    char *bytes;
    size_t len;
};

static void text_clear(struct text *text)
{
    if (text->bytes)
        explicit_bzero(text->bytes, text->len);
    free(text->bytes);
    text->bytes = NULL;
}

/* One PEM block of a file. */
struct block {
    char label[LABEL_MAX];
    const char *from; /* at its BEGIN */
    size_t len;       /* to behind its END */
    unsigned line;
};

/* What a file of PEM blocks is read for. */
struct reader {
    const char *path;
    const char *what; /* "certificate" */
    const char *labels[2];
    enum sealtape_status (*take)(
            struct trust *trust, const void *der, size_t len, struct diag *diag);
};

static enum sealtape_status take_root(
        struct trust *trust, const void *der, size_t len, struct diag *diag)
{
    struct x509 **roots = reallocarray(trust->roots, trust->roots_count + 1, sizeof(*roots));
    enum sealtape_status st;

    if (!roots)
        return diag_fail(diag, SEALTAPE_E_MEMORY, "no memory for roots");
    trust->roots = roots;
    roots[trust->roots_count] = NULL;
    st = x509_new(der, len, &roots[trust->roots_count], diag);
    if (st == SEALTAPE_OK)
        trust->roots_count++;
    return st;
}

static enum sealtape_status take_crl(
        struct trust *trust, const void *der, size_t len, struct diag *diag)
{
    struct crl **crls = reallocarray(trust->crls, trust->crls_count + 1, sizeof(*crls));
    enum sealtape_status st;

    if (!crls)
        return diag_fail(diag, SEALTAPE_E_MEMORY, "no memory for CRLs");
    trust->crls = crls;
    crls[trust->crls_count] = NULL;
    st = crl_new(der, len, &crls[trust->crls_count], diag);
    if (st == SEALTAPE_OK)
        trust->crls_count++;
    return st;
}

/* Whatever is wrong with a file is wrong with the configuration. */
static enum sealtape_status in_file(enum sealtape_status st)
{
    return st == SEALTAPE_OK || st == SEALTAPE_E_MEMORY ? st : SEALTAPE_E_CONFIG;
}

/* The next block at or after @*at, which moves behind it. False: no more BEGIN. */
static bool block_next(const struct text *text, size_t *at, struct block *block)
{
    const char *end = text->bytes + text->len, *label, *label_end, *close;

    block->from = memmem(text->bytes + *at, text->len - *at, begin_mark, strlen(begin_mark));
    if (!block->from)
        return false;
    for (const char *c = text->bytes + *at; c < block->from; c++)
        block->line += *c == '\n';
    *at = (size_t)(block->from - text->bytes);
    block->label[0] = '\0';
    block->len = 0;
    label = block->from + strlen(begin_mark);
    label_end = memmem(label, (size_t)(end - label), dashes, strlen(dashes));
    if (!label_end || (size_t)(label_end - label) >= LABEL_MAX)
        return true;
    memcpy(block->label, label, (size_t)(label_end - label));
    block->label[label_end - label] = '\0';
    close = memmem(label_end, (size_t)(end - label_end), end_mark, strlen(end_mark));
    if (close)
        close = memmem(close + strlen(end_mark), (size_t)(end - close) - strlen(end_mark), dashes,
                strlen(dashes));
    if (close)
        block->len = (size_t)(close - block->from) + strlen(dashes);
    return true;
}

static enum sealtape_status take_block(struct trust *trust, const struct reader *reader,
        const struct block *block, struct diag *diag)
{
    gnutls_datum_t pem = {
            __extension__(unsigned char *)(uintptr_t) block->from, (unsigned)block->len};
    gnutls_datum_t der = {NULL, 0};
    enum sealtape_status st;

    if (strcmp(block->label, reader->labels[0]) != 0
            && strcmp(block->label, reader->labels[1]) != 0)
        return diag_fail(diag, SEALTAPE_E_CONFIG, "expected a %s (\"BEGIN %s\"), found \"%s\"",
                reader->what, reader->labels[0], block->label);
    if (block->len == 0 || gnutls_pem_base64_decode2(block->label, &pem, &der) != 0)
        return diag_fail(diag, SEALTAPE_E_CONFIG, "the PEM text of the %s is damaged or cut off",
                reader->what);
    st = reader->take(trust, der.data, der.size, diag);
    gnutls_free(der.data);
    return in_file(st);
}

static enum sealtape_status refuse_private_keys(
        const struct reader *reader, const struct text *text, struct diag *diag)
{
    struct block block = {.line = 1};
    size_t at = 0;

    while (block_next(text, &at, &block)) {
        if (strstr(block.label, "PRIVATE KEY"))
            return diag_fail(diag, SEALTAPE_E_CONFIG,
                    "%s:%u: a private key stands here; remove it and treat it as disclosed",
                    reader->path, block.line);
        at++;
    }
    return SEALTAPE_OK;
}

static enum sealtape_status take_blocks(struct trust *trust, const struct reader *reader,
        const struct text *text, struct diag *diag)
{
    struct block block = {.line = 1};
    enum sealtape_status st;
    size_t at = 0, count = 0;

    for (; block_next(text, &at, &block); count++) {
        st = take_block(trust, reader, &block, diag);
        if (st != SEALTAPE_OK) {
            diag_prefix(diag, "%s:%u: ", reader->path, block.line);
            return st;
        }
        for (size_t i = 0; i < block.len; i++)
            block.line += block.from[i] == '\n';
        at += block.len;
    }
    if (count == 0)
        return diag_fail(diag, SEALTAPE_E_CONFIG, "%s: expected a %s in PEM, found none",
                reader->path, reader->what);
    return SEALTAPE_OK;
}

static enum sealtape_status read_file(
        struct trust *trust, const struct reader *reader, size_t max, struct diag *diag)
{
    CLEANUP(text_clear) struct text text = {NULL, 0};
    enum sealtape_status st;

    st = file_read(AT_FDCWD, reader->path, max, &text.bytes, &text.len, diag);
    if (st != SEALTAPE_OK)
        return in_file(st);
    st = refuse_private_keys(reader, &text, diag);
    if (st != SEALTAPE_OK)
        return st;
    /* Not PEM but DER, as CAs publish CRLs: one in the file. */
    if (text.len > 0 && text.bytes[0] == 0x30) {
        st = reader->take(trust, text.bytes, text.len, diag);
        if (st != SEALTAPE_OK)
            diag_prefix(diag, "%s: ", reader->path);
        return in_file(st);
    }
    return take_blocks(trust, reader, &text, diag);
}

enum sealtape_status trust_load(
        const struct config *config, struct trust **ret_trust, struct diag *diag)
{
    const struct reader roots = {
            config->trust.roots, "certificate", {"CERTIFICATE", "X509 CERTIFICATE"}, take_root};
    const struct reader crls = {config->trust.crls, "CRL", {"X509 CRL", "CRL"}, take_crl};
    CLEANUP(trust_release) struct trust *trust = calloc(1, sizeof(*trust));
    enum sealtape_status st;

    if (!trust)
        return diag_fail(diag, SEALTAPE_E_MEMORY, "no memory for roots");
    atomic_init(&trust->references, 1);
    trust->id = atomic_fetch_add(&last_id, 1) + 1;
    trust->crl_stale = config->trust.crl_stale;
    trust->weak_keys = config->trust.weak_keys;
    st = read_file(trust, &roots, ROOTS_FILE_MAX, diag);
    if (st == SEALTAPE_OK && config->trust.crls)
        st = read_file(trust, &crls, CRLS_FILE_MAX, diag);
    if (st != SEALTAPE_OK)
        return st;
    *ret_trust = TAKE(trust);
    return SEALTAPE_OK;
}

struct trust *trust_acquire(struct trust *trust)
{
    atomic_fetch_add_explicit(&trust->references, 1, memory_order_relaxed);
    return trust;
}

void trust_release(struct trust **trust)
{
    struct trust *owned = TAKE(*trust);

    if (!owned || atomic_fetch_sub_explicit(&owned->references, 1, memory_order_acq_rel) != 1)
        return;
    for (size_t i = 0; i < owned->roots_count; i++)
        x509_free(&owned->roots[i]);
    for (size_t i = 0; i < owned->crls_count; i++)
        crl_free(&owned->crls[i]);
    free(owned->roots);
    free(owned->crls);
    free(owned);
}
