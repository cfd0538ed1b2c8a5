/*
 * Writes documents into a folder as the spool posts them, one for each
 * outcome; metadata.py holds them against the schema.
 */
#include <fcntl.h>
#include <gnutls/gnutls.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "profile/certificate.h"
#include "spool/document.h"
#include "spool/evidence.h"

#define START_MS INT64_C(1772442900000)

static void need(int works, const char *what)
{
    if (works)
        return;
    fprintf(stderr, "failed: %s\n", what);
    exit(1);
}

#define NEED(call) need((call) == SEALTAPE_OK, #call)

static struct certificate *read_certificate(const char *path)
{
    struct certificate_source source = {.tenant = "Acme", .tenant_dbid = 101};
    struct certificate *certificate = NULL;
    gnutls_datum_t pem = {NULL, 0}, der = {NULL, 0};
    size_t len = 0;
    char *bytes = NULL;

    NEED(file_read(AT_FDCWD, path, 65536, &bytes, &len, NULL));
    pem.data = (unsigned char *)bytes;
    pem.size = (unsigned)len;
    need(gnutls_pem_base64_decode2("CERTIFICATE", &pem, &der) == 0, path);
    source.leaf = (struct certificate_der){der.data, der.size};
    NEED(certificate_new(&source, &certificate, NULL));
    gnutls_free(der.data);
    free(bytes);
    return certificate;
}

static char *copy(const char *text)
{
    char *copied = strdup(text);

    need(copied != NULL, "strdup");
    return copied;
}

static struct evidence *make_evidence(const char *roots)
{
    static const char *const texts[EVIDENCE_TEXTS] = {[EVIDENCE_RECORDING_ID] = "01K8ACME0001",
            [EVIDENCE_MEDIA_ID] = "01K8ACME0001-9f31c2d4a07be655.wav",
            [EVIDENCE_CCID] = "acme",
            [EVIDENCE_TENANT] = "Z\xc3\xbcrich \"1\"",
            [EVIDENCE_PROFILE] = "record",
            [EVIDENCE_CALL_UUID] = "01K8ACME",
            [EVIDENCE_ANI] = "+14155550100",
            [EVIDENCE_TYPE] = "audio/wav",
            [EVIDENCE_INSTANCE] = "mcp-01"};
    struct evidence *e = NULL;

    NEED(evidence_new(&e));
    e->profile_dbid = 107;
    e->tenant_dbid = 101;
    e->start_utc_ms = START_MS;
    e->key_bits = 256;
    memset(e->key_commitment, 'a', sizeof(e->key_commitment) - 1);
    memset(e->salt, 'b', sizeof(e->salt) - 1);
    e->storages = calloc(1, sizeof(char *));
    e->processors = calloc(1, sizeof(char *));
    e->recipients = calloc(1, sizeof(*e->recipients));
    need(e->storages && e->processors && e->recipients, "calloc");
    e->storages[e->storages_count++] = copy("https://store.example/recordings/");
    e->processors[e->processors_count++] = copy("https://rp.example/api");
    e->recipients[0].certificate = read_certificate(roots);
    e->recipients[0].encrypted_key_len = 256;
    e->recipients[0].encrypted_key = calloc(1, 256);
    need(e->recipients[0].encrypted_key != NULL, "calloc");
    e->recipients_count = 1;
    for (unsigned i = 0; i < EVIDENCE_TEXTS; i++)
        if (texts[i])
            NEED(evidence_set_text(e, i, texts[i]));
    NEED(evidence_set_parameter(e, "agentId", "line\nbreak", NULL));
    NEED(evidence_add_mark(e, EVIDENCE_PAUSED, START_MS + 1));
    NEED(evidence_add_mark(e, EVIDENCE_RESUMED, START_MS + 2));
    NEED(evidence_begin_span(e, false, 1));
    evidence_end_span(e, false, 2, 0);
    NEED(evidence_begin_span(e, true, 3));
    evidence_end_span(e, true, 3, 5000);
    NEED(evidence_begin_span(e, false, 4));
    NEED(evidence_set_close_reason(e, "hangup"));
    return e;
}

static void write_document(const char *roots, const char *outcome, const char *folder)
{
    static const uint8_t digest[DOCUMENT_DIGEST_SIZE] = {1};
    struct document_final final = {.outcome = outcome,
            .size = 16,
            .plain_size = 8,
            .duration_ms = 5,
            .stop_utc_ms = START_MS + 5,
            .sha256 = digest,
            .chunk_digests = digest,
            .chunk_digests_count = 1};
    struct evidence *evidence = make_evidence(roots);
    struct document *document = NULL;
    char path[4096], *body = NULL;
    size_t len = 0;

    if (strcmp(outcome, "degraded") == 0 || strcmp(outcome, "interrupted") == 0)
        NEED(evidence_add_gap(evidence, 4, 2, START_MS + 3));
    NEED(document_build(evidence, "0123456789abcdef0123456789abcdef", 17, &document, NULL));
    if (strcmp(outcome, "discarded") == 0)
        NEED(document_discard(document, START_MS + 5));
    else
        NEED(document_finish(document, &final));
    NEED(document_body(document, &body, &len));
    (void)snprintf(path, sizeof(path), "%s/%s.json", folder, outcome);
    NEED(file_replace(AT_FDCWD, path, body, len, 0, NULL));
    free(body);
    document_free(&document);
    evidence_free(&evidence);
}

int main(int argc, char **argv)
{
    static const char *const outcomes[] = {
            "complete", "empty", "interrupted", "degraded", "discarded"};

    need(argc == 3, "usage: posted ROOTS FOLDER");
    for (size_t i = 0; i < ARRAY_COUNT(outcomes); i++)
        write_document(argv[1], outcomes[i], argv[2]);
    return 0;
}
