#include "spool/document.h"

#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>
#include <nettle/base64.h>

#include "base/clock.h"
#include "base/hex.h"

struct document {
    json_t *root;
};

void document_free(struct document **document)
{
    if (!*document)
        return;
    json_decref((*document)->root);
    free(*document);
    *document = NULL;
}

/* --- making --------------------------------------------------------------- */

/* Base64 of @len bytes in lines of 64 columns between the labels of RFC 7468. */
static enum sealtape_status pem_encode(const uint8_t *der, size_t len, char **ret_pem)
{
    static const char begin[] = "-----BEGIN PKCS7-----\n", end[] = "-----END PKCS7-----\n";
    size_t lines = (len + 47) / 48, raw = BASE64_ENCODE_RAW_LENGTH(len);
    char *pem = malloc(sizeof(begin) + sizeof(end) + raw + lines + 1), *to = pem;

    if (!pem)
        return SEALTAPE_E_MEMORY;
    to = stpcpy(to, begin);
    for (size_t at = 0; at < len; at += 48) {
        size_t n = len - at < 48 ? len - at : 48;

        base64_encode_raw(to, n, der + at);
        to += BASE64_ENCODE_RAW_LENGTH(n);
        *to++ = '\n';
    }
    stpcpy(to, end);
    *ret_pem = pem;
    return SEALTAPE_OK;
}

static void sort_recipients(struct evidence *evidence, const size_t *order)
{
    struct evidence_recipient sorted[ENVELOPE_RECIPIENTS_MAX];

    for (size_t i = 0; i < evidence->recipients_count; i++)
        sorted[i] = evidence->recipients[order[i]];
    memcpy(evidence->recipients, sorted, evidence->recipients_count * sizeof(sorted[0]));
}

static enum sealtape_status make_envelope(struct evidence *evidence, struct diag *diag)
{
    struct envelope_recipient recipients[ENVELOPE_RECIPIENTS_MAX];
    size_t order[ENVELOPE_RECIPIENTS_MAX], len = 0;
    enum sealtape_status st;
    uint8_t *der = NULL;

    if (evidence->envelope_pem)
        return SEALTAPE_OK;
    for (size_t i = 0; i < evidence->recipients_count; i++) {
        const struct evidence_recipient *from = &evidence->recipients[i];
        const struct certificate_facts *facts = certificate_facts(from->certificate);

        recipients[i] = (struct envelope_recipient){
                .issuer_der = facts->issuer_der,
                .issuer_der_len = facts->issuer_der_len,
                .serial_octets = facts->serial_octets,
                .serial_octets_len = facts->serial_octets_len,
                .encrypted_key = from->encrypted_key,
                .encrypted_key_len = from->encrypted_key_len,
        };
    }
    st = envelope_encode(evidence->key_bits, evidence->iv, recipients, evidence->recipients_count,
            &der, &len, order, diag);
    if (st != SEALTAPE_OK)
        return st;
    st = pem_encode(der, len, &evidence->envelope_pem);
    free(der);
    if (st == SEALTAPE_OK)
        sort_recipients(evidence, order);
    return st;
}

static json_t *timestamp(int64_t utc_ms)
{
    char text[TIMESTAMP_SIZE];

    timestamp_format(utc_ms, text);
    return json_string(text);
}

static json_t *number_text(uint64_t number)
{
    return json_sprintf("%" PRIu64, number);
}

static int set_text(json_t *object, const char *name, const char *text)
{
    return text ? json_object_set_new(object, name, json_string(text)) : 0;
}

static json_t *strings(char *const *texts, size_t count)
{
    json_t *array = json_array();

    for (size_t i = 0; i < count; i++) {
        if (json_array_append_new(array, json_string(texts[i])) != 0) {
            json_decref(array);
            return NULL;
        }
    }
    return array;
}

static json_t *spool_member(const struct evidence *e)
{
    json_t *spool = json_object();
    int bad = 0;

    bad |= json_object_set_new(spool, "format", json_integer(DOCUMENT_FORMAT));
    bad |= json_object_set_new(
            spool, "storage", strings(e->storages, e->own_storage ? e->storages_count : 0));
    bad |= json_object_set_new(
            spool, "processor", strings(e->processors, e->own_processor ? e->processors_count : 0));
    bad |= json_object_set_new(spool, "tenant", json_sprintf("%" PRIu32, e->tenant_dbid));
    if (bad) {
        json_decref(spool);
        return NULL;
    }
    return spool;
}

static json_t *descriptor(const struct evidence *e)
{
    const char *storage = e->storages[0];
    size_t len = strlen(storage);

    /* storagePath stands without the slash, as the reference system has it. */
    return json_pack("{s:s, s:s++, s:{s:s%}}", "storage", "webDAV", "path", storage,
            e->texts[EVIDENCE_MEDIA_ID], ".bin", "data", "storagePath", storage, len - 1);
}

static json_t *parameters(const struct evidence *e)
{
    static const struct {
        enum evidence_text text;
        const char *name;
    } fixed[] = {
            {EVIDENCE_RECORDING_ID, "id"},
            {EVIDENCE_CALL_UUID, "callUuid"},
            {EVIDENCE_ANI, "ani"},
            {EVIDENCE_DNIS, "dnis"},
    };
    json_t *object = json_object();
    int bad = 0;

    for (size_t i = 0; i < e->parameters_count; i++)
        bad |= set_text(object, e->parameters[i].key, e->parameters[i].value);
    for (size_t i = 0; i < ARRAY_COUNT(fixed); i++)
        bad |= set_text(object, fixed[i].name, e->texts[fixed[i].text]);
    if (bad) {
        json_decref(object);
        return NULL;
    }
    return object;
}

static json_t *marks(const struct evidence *e)
{
    json_t *array = json_array();

    for (size_t i = 0; i < e->marks_count; i++) {
        const struct evidence_mark *mark = &e->marks[i];

        if (json_array_append_new(
                    array, json_pack("{s:o, s:s}", "time", timestamp(mark->time_utc_ms), "type",
                                   mark->kind == EVIDENCE_PAUSED ? "paused" : "resume"))
                != 0) {
            json_decref(array);
            return NULL;
        }
    }
    return array;
}

static json_t *spans(const struct evidence *e)
{
    json_t *array = json_array();

    for (size_t i = 0; i < e->spans_count; i++) {
        const struct evidence_span *span = &e->spans[i];
        json_t *item = json_object();
        int bad = json_object_set_new(item, "startMs", json_integer(span->start_ms));

        if (span->end_ms >= 0)
            bad |= json_object_set_new(item, "endMs", json_integer(span->end_ms));
        bad |= set_text(item, "kind", span->pause ? "pause" : "mask");
        if (span->pause && span->end_ms >= 0)
            bad |= json_object_set_new(item, "elapsedMs", json_integer(span->elapsed_ms));
        if (json_array_append_new(array, item) != 0 || bad) {
            json_decref(array);
            return NULL;
        }
    }
    return array;
}

static json_t *gaps(const struct evidence *e)
{
    json_t *array = json_array();

    for (size_t i = 0; i < e->gaps_count; i++) {
        const struct evidence_gap *gap = &e->gaps[i];

        if (json_array_append_new(
                    array, json_pack("{s:I, s:I, s:o}", "offset", (json_int_t)gap->offset, "bytes",
                                   (json_int_t)gap->bytes, "time", timestamp(gap->time_utc_ms)))
                != 0) {
            json_decref(array);
            return NULL;
        }
    }
    return array;
}

static json_t *recipients(const struct evidence *e)
{
    json_t *array = json_array();

    for (size_t i = 0; i < e->recipients_count; i++) {
        const struct certificate_facts *facts = certificate_facts(e->recipients[i].certificate);

        if (json_array_append_new(
                    array, json_pack("{s:s, s:s, s:s, s:s, s:o}", "alias", facts->alias, "issuer",
                                   facts->issuer, "serial", facts->serial, "sha256", facts->sha256,
                                   "notAfter", timestamp(facts->not_after_ms)))
                != 0) {
            json_decref(array);
            return NULL;
        }
    }
    return array;
}

static json_t *aliases(const struct evidence *e)
{
    json_t *array = json_array();

    for (size_t i = 0; i < e->recipients_count; i++) {
        const char *alias = certificate_facts(e->recipients[i].certificate)->alias;

        if (json_array_append_new(array, json_string(alias)) != 0) {
            json_decref(array);
            return NULL;
        }
    }
    return array;
}

static json_t *extension(const struct evidence *e, const char *epoch, uint64_t sequence)
{
    json_t *x = json_object();
    int bad = 0;

    bad |= json_object_set_new(x, "version", json_integer(1));
    bad |= set_text(x, "envelope", "classic");
    bad |= json_object_set_new(x, "cipher", json_sprintf("aes-%u-cbc", e->key_bits));
    bad |= set_text(x, "keyTransport", "rsaes-pkcs1-v1_5");
    bad |= set_text(x, "keyCommitment", e->key_commitment);
    bad |= json_object_set_new(x, "recipients", recipients(e));
    bad |= json_object_set_new(x, "profileDBID", json_integer(e->profile_dbid));
    bad |= json_object_set_new(x, "tenantDBID", json_integer(e->tenant_dbid));
    bad |= json_object_set_new(x, "gaps", gaps(e));
    bad |= json_object_set_new(x, "masked", spans(e));
    bad |= set_text(x, "instance", e->texts[EVIDENCE_INSTANCE]);
    bad |= set_text(x, "epoch", epoch);
    bad |= json_object_set_new(x, "sequence", json_integer((json_int_t)sequence));
    bad |= set_text(x, "salt", e->salt);
    if (e->close_reason)
        bad |= set_text(x, "closeReason", e->close_reason);
    if (bad) {
        json_decref(x);
        return NULL;
    }
    return x;
}

static json_t *media_file(const struct evidence *e, const char *epoch, uint64_t sequence)
{
    json_t *m = json_object();
    int bad = 0;

    bad |= json_object_set_new(m, "mediaDescriptor", descriptor(e));
    bad |= set_text(m, "mediaId", e->texts[EVIDENCE_MEDIA_ID]);
    bad |= set_text(m, "type", e->texts[EVIDENCE_TYPE]);
    bad |= json_object_set_new(m, "startTime", timestamp(e->start_utc_ms));
    bad |= set_text(m, "callUUID", e->texts[EVIDENCE_CALL_UUID]);
    bad |= set_text(m, "tenant", e->texts[EVIDENCE_TENANT]);
    bad |= set_text(m, "ivrprofile", e->texts[EVIDENCE_PROFILE]);
    bad |= json_object_set_new(m, "parameters", parameters(e));
    bad |= json_object_set_new(m, "masks", marks(e));
    bad |= set_text(m, "pkcs7", e->envelope_pem);
    bad |= json_object_set_new(m, "certAlias", aliases(e));
    bad |= json_object_set_new(m, "partitions", json_array());
    bad |= json_object_set_new(m, "accessgroups", json_array());
    bad |= json_object_set_new(m, "sealtape", extension(e, epoch, sequence));
    if (bad) {
        json_decref(m);
        return NULL;
    }
    return m;
}

static json_t *whole(const struct evidence *e, const char *epoch, uint64_t sequence)
{
    json_t *root = json_object();
    int bad = 0;

    bad |= json_object_set_new(root, "spool", spool_member(e));
    bad |= set_text(root, "id", e->texts[EVIDENCE_RECORDING_ID]);
    bad |= set_text(root, "ccid", e->texts[EVIDENCE_CCID]);
    bad |= set_text(root, "callerPhoneNumber", e->texts[EVIDENCE_ANI]);
    bad |= set_text(root, "dialedPhoneNumber", e->texts[EVIDENCE_DNIS]);
    bad |= json_object_set_new(root, "startTime", timestamp(e->start_utc_ms));
    bad |= json_object_set_new(root, "eventHistory", json_array());
    bad |= json_object_set_new(
            root, "mediaFiles", json_pack("[o]", media_file(e, epoch, sequence)));
    if (bad) {
        json_decref(root);
        return NULL;
    }
    return root;
}

static enum sealtape_status wrap(json_t *root, struct document **ret_document)
{
    struct document *document = calloc(1, sizeof(*document));

    if (!document || !root) {
        free(document);
        json_decref(root);
        return SEALTAPE_E_MEMORY;
    }
    document->root = root;
    *ret_document = document;
    return SEALTAPE_OK;
}

enum sealtape_status document_build(struct evidence *evidence, const char *epoch, uint64_t sequence,
        struct document **ret_document, struct diag *diag)
{
    enum sealtape_status st;
    json_t *root;

    st = make_envelope(evidence, diag);
    if (st != SEALTAPE_OK)
        return st;
    pthread_mutex_lock(&evidence->lock);
    root = whole(evidence, epoch, sequence);
    pthread_mutex_unlock(&evidence->lock);
    st = wrap(root, ret_document);
    if (st != SEALTAPE_OK)
        return diag_fail(diag, st, "no memory for the document");
    return SEALTAPE_OK;
}

/* --- reading -------------------------------------------------------------- */

static json_t *media_of(const struct document *document)
{
    return json_array_get(json_object_get(document->root, "mediaFiles"), 0);
}

static json_t *extension_of(const struct document *document)
{
    return json_object_get(media_of(document), "sealtape");
}

static bool well_formed(const struct document *document)
{
    json_t *spool = json_object_get(document->root, "spool");
    json_t *media = media_of(document);

    return json_is_array(json_object_get(spool, "storage"))
           && json_is_array(json_object_get(spool, "processor"))
           && json_is_string(json_object_get(spool, "tenant"))
           && json_is_string(json_object_get(document->root, "id"))
           && json_is_string(json_object_get(media, "mediaId"))
           && json_is_string(json_object_get(extension_of(document), "epoch"))
           && json_is_integer(json_object_get(extension_of(document), "sequence"));
}

enum sealtape_status document_parse(
        const char *text, size_t len, struct document **ret_document, struct diag *diag)
{
    CLEANUP(document_free) struct document *document = NULL;
    enum sealtape_status st;
    json_error_t error;
    json_int_t format;
    json_t *root;

    root = json_loadb(text, len, JSON_REJECT_DUPLICATES, &error);
    /* A lack of memory must not condemn the recording; jansson may not name it. */
    if (!root && (json_error_code(&error) == json_error_out_of_memory || error.text[0] == '\0'))
        return diag_fail(diag, SEALTAPE_E_MEMORY, "no memory for the document");
    if (!root)
        return diag_fail(diag, SEALTAPE_E_STATE, "document, line %d: %s", error.line, error.text);
    st = wrap(root, &document);
    if (st != SEALTAPE_OK)
        return diag_fail(diag, st, "no memory for the document");
    format = json_integer_value(json_object_get(json_object_get(root, "spool"), "format"));
    if (format > DOCUMENT_FORMAT)
        return diag_fail(diag, SEALTAPE_E_VERSION,
                "document of format %lld; this build reads up to %d", (long long)format,
                DOCUMENT_FORMAT);
    if (format < 1 || !well_formed(document))
        return diag_fail(
                diag, SEALTAPE_E_STATE, "document: members that the spool needs are missing");
    *ret_document = TAKE(document);
    return SEALTAPE_OK;
}

unsigned document_revision(const struct document *document)
{
    json_int_t revision = json_integer_value(
            json_object_get(json_object_get(document->root, "spool"), "revision"));

    return revision < 0 || revision > UINT_MAX ? 0 : (unsigned)revision;
}

/* --- changing ------------------------------------------------------------- */

enum sealtape_status document_set_revision(struct document *document, unsigned revision)
{
    int bad = json_object_set_new(
            json_object_get(document->root, "spool"), "revision", json_integer(revision));

    return bad ? SEALTAPE_E_MEMORY : SEALTAPE_OK;
}

static json_t *base64_text(const uint8_t *bytes, size_t len)
{
    char text[BASE64_ENCODE_RAW_LENGTH(64) + 1];

    base64_encode_raw(text, len, bytes);
    return json_stringn(text, BASE64_ENCODE_RAW_LENGTH(len));
}

static json_t *chunk_digests(const struct document_final *final)
{
    json_t *array = json_array();

    for (size_t i = 0; i < final->chunk_digests_count; i++) {
        const uint8_t *digest = final->chunk_digests + i * DOCUMENT_DIGEST_SIZE;

        if (json_array_append_new(array, base64_text(digest, DOCUMENT_DIGEST_SIZE)) != 0) {
            json_decref(array);
            return NULL;
        }
    }
    return array;
}

/* A mask that nobody ended lasts to the end of the media; one that begins behind what a crash
 * left of the media ends where it begins. */
static int end_spans(json_t *extension, uint64_t duration_ms)
{
    json_t *item;
    size_t i;
    int bad = 0;

    json_array_foreach(json_object_get(extension, "masked"), i, item)
    {
        json_int_t start = json_integer_value(json_object_get(item, "startMs"));
        json_int_t end = (json_int_t)duration_ms;

        if (!json_object_get(item, "endMs"))
            bad |= json_object_set_new(item, "endMs", json_integer(end > start ? end : start));
    }
    return bad;
}

/* Losses that a crash kept from becoming a gap. */
static int add_untold_gap(json_t *extension, const struct document_final *final)
{
    json_t *array = json_object_get(extension, "gaps"), *item;
    uint64_t told = 0;
    size_t i;

    json_array_foreach(array, i, item) told +=
            (uint64_t)json_integer_value(json_object_get(item, "bytes"));
    if (told >= final->lost_bytes)
        return 0;
    return json_array_append_new(array,
            json_pack("{s:I, s:I, s:o}", "offset", (json_int_t) final->plain_size, "bytes",
                    (json_int_t)(final->lost_bytes - told), "time", timestamp(final->stop_utc_ms)));
}

static const char *outcome_with_gaps(const json_t *extension, const char *outcome)
{
    bool whole = strcmp(outcome, "complete") == 0 || strcmp(outcome, "empty") == 0;

    return whole && json_array_size(json_object_get(extension, "gaps")) > 0 ? "degraded" : outcome;
}

enum sealtape_status document_finish(struct document *document, const struct document_final *final)
{
    json_t *media = media_of(document), *x = extension_of(document);
    char sha256[2 * DOCUMENT_DIGEST_SIZE + 1];
    int bad = 0;

    hex_encode(final->sha256, DOCUMENT_DIGEST_SIZE, sha256);
    bad |= json_object_set_new(document->root, "stopTime", timestamp(final->stop_utc_ms));
    bad |= json_object_set_new(media, "stopTime", timestamp(final->stop_utc_ms));
    bad |= json_object_set_new(media, "duration", number_text(final->duration_ms));
    bad |= json_object_set_new(media, "size", number_text(final->size));
    bad |= set_text(x, "sha256", sha256);
    bad |= json_object_set_new(x, "plainSize", json_integer((json_int_t) final->plain_size));
    bad |= json_object_set_new(x, "chunkSize", json_integer(DOCUMENT_CHUNK_SIZE));
    bad |= json_object_set_new(x, "chunkDigests", chunk_digests(final));
    bad |= json_object_set_new(x, "durationMs", json_integer((json_int_t) final->duration_ms));
    bad |= end_spans(x, final->duration_ms);
    bad |= add_untold_gap(x, final);
    bad |= set_text(x, "outcome", outcome_with_gaps(x, final->outcome));
    return bad ? SEALTAPE_E_MEMORY : SEALTAPE_OK;
}

enum sealtape_status document_discard(struct document *document, int64_t now_utc_ms)
{
    static const char *const of_media[] = {
            "mediaDescriptor", "duration", "size", "pkcs7", "certAlias"};
    static const char *const of_extension[] = {"envelope", "cipher", "keyTransport",
            "keyCommitment", "recipients", "sha256", "plainSize", "chunkSize", "chunkDigests",
            "durationMs", "gaps", "masked"};
    json_t *media = media_of(document), *x = extension_of(document);
    int bad = 0;

    for (size_t i = 0; i < ARRAY_COUNT(of_media); i++)
        ignore(json_object_del(media, of_media[i])); /* absent is as good */
    for (size_t i = 0; i < ARRAY_COUNT(of_extension); i++)
        ignore(json_object_del(x, of_extension[i]));
    if (!json_object_get(media, "stopTime")) {
        bad |= json_object_set_new(document->root, "stopTime", timestamp(now_utc_ms));
        bad |= json_object_set_new(media, "stopTime", timestamp(now_utc_ms));
    }
    bad |= set_text(x, "outcome", "discarded");
    return bad ? SEALTAPE_E_MEMORY : SEALTAPE_OK;
}

enum sealtape_status document_set_path(
        struct document *document, const char *storage, const char *url, bool *ret_changed)
{
    json_t *descriptor = json_object_get(media_of(document), "mediaDescriptor");
    const char *old = json_string_value(json_object_get(descriptor, "path"));
    size_t len = strlen(storage);
    int bad = 0;

    *ret_changed = false;
    if (!descriptor || (old && strcmp(old, url) == 0))
        return SEALTAPE_OK;
    if (len > 0 && storage[len - 1] == '/')
        len--;
    bad |= json_object_set_new(descriptor, "path", json_string(url));
    bad |= json_object_set_new(
            json_object_get(descriptor, "data"), "storagePath", json_stringn(storage, len));
    *ret_changed = true;
    return bad ? SEALTAPE_E_MEMORY : SEALTAPE_OK;
}

/* --- using ---------------------------------------------------------------- */

static enum sealtape_status dump(json_t *root, char **ret_text, size_t *ret_len)
{
    char *text = json_dumps(root, JSON_INDENT(1));

    if (!text)
        return SEALTAPE_E_MEMORY;
    *ret_text = text;
    *ret_len = strlen(text);
    return SEALTAPE_OK;
}

enum sealtape_status document_text(
        const struct document *document, char **ret_text, size_t *ret_len)
{
    return dump(document->root, ret_text, ret_len);
}

enum sealtape_status document_body(
        const struct document *document, char **ret_text, size_t *ret_len)
{
    json_t *body = json_copy(document->root);
    enum sealtape_status st;

    if (!body)
        return SEALTAPE_E_MEMORY;
    ignore(json_object_del(body, "spool")); /* absent is as good */
    st = dump(body, ret_text, ret_len);
    json_decref(body);
    return st;
}

static enum sealtape_status copy_strings(const json_t *array, char ***ret_texts, size_t *ret_count)
{
    size_t count = json_array_size(array);
    char **texts = calloc(count + 1, sizeof(*texts));

    if (!texts)
        return SEALTAPE_E_MEMORY;
    *ret_texts = texts;
    for (size_t i = 0; i < count; i++) {
        const char *text = json_string_value(json_array_get(array, i));

        texts[i] = text ? strdup(text) : NULL;
        if (!texts[i])
            return SEALTAPE_E_MEMORY;
        *ret_count = i + 1;
    }
    return SEALTAPE_OK;
}

static enum sealtape_status copy_text(const json_t *value, const char *missing, char **ret_text)
{
    const char *text = json_string_value(value);

    *ret_text = strdup(text ? text : missing);
    return *ret_text ? SEALTAPE_OK : SEALTAPE_E_MEMORY;
}

static enum sealtape_status fill_plan(const struct document *document, struct entry_plan *plan)
{
    json_t *spool = json_object_get(document->root, "spool"), *media = media_of(document);
    json_t *descriptor = json_object_get(media, "mediaDescriptor");
    const char *sha256 = document_sha256(document);
    const char *size = json_string_value(json_object_get(media, "size"));

    if (copy_strings(json_object_get(spool, "storage"), &plan->storages, &plan->storages_count)
                    != SEALTAPE_OK
            || copy_strings(json_object_get(spool, "processor"), &plan->processors,
                       &plan->processors_count)
                       != SEALTAPE_OK
            || copy_text(json_object_get(spool, "tenant"), "", &plan->tenant) != SEALTAPE_OK
            || copy_text(json_object_get(descriptor, "path"), "", &plan->stored_path)
                       != SEALTAPE_OK)
        return SEALTAPE_E_MEMORY;
    if (asprintf(&plan->object_name, "%s.bin", json_string_value(json_object_get(media, "mediaId")))
            < 0) {
        plan->object_name = NULL;
        return SEALTAPE_E_MEMORY;
    }
    plan->has_media = descriptor != NULL;
    plan->size = size ? strtoull(size, NULL, 10) : 0;
    if (sha256 && strlen(sha256) < sizeof(plan->sha256))
        strcpy(plan->sha256, sha256);
    return SEALTAPE_OK;
}

enum sealtape_status document_plan(const struct document *document, struct entry_plan **ret_plan)
{
    CLEANUP(entry_plan_free) struct entry_plan *plan = calloc(1, sizeof(*plan));
    enum sealtape_status st;

    if (!plan)
        return SEALTAPE_E_MEMORY;
    st = fill_plan(document, plan);
    if (st != SEALTAPE_OK)
        return st;
    *ret_plan = TAKE(plan);
    return SEALTAPE_OK;
}

const char *document_recording_id(const struct document *document)
{
    return json_string_value(json_object_get(document->root, "id"));
}

const char *document_outcome(const struct document *document)
{
    return json_string_value(json_object_get(extension_of(document), "outcome"));
}

const char *document_sha256(const struct document *document)
{
    return json_string_value(json_object_get(extension_of(document), "sha256"));
}

uint32_t document_tenant_dbid(const struct document *document)
{
    return (uint32_t)json_integer_value(json_object_get(extension_of(document), "tenantDBID"));
}

const char *document_epoch(const struct document *document)
{
    return json_string_value(json_object_get(extension_of(document), "epoch"));
}

uint64_t document_sequence(const struct document *document)
{
    return (uint64_t)json_integer_value(json_object_get(extension_of(document), "sequence"));
}
