#include "unseal/metadata.h"

#include <errno.h>
#include <jansson.h>
#include <nettle/base64.h>
#include <stdlib.h>
#include <string.h>

#include "base/hex.h"

#define RECIPIENTS_MAX 64

/* Where a field stands, for messages. */
struct place {
    const char *name;
    size_t index;
    struct diag *diag;
};

static void json_clear(json_t **json)
{
    json_decref(*json);
    *json = NULL;
}

static void bytes_free(uint8_t **bytes)
{
    free(*bytes);
    *bytes = NULL;
}

static void chars_free(char **chars)
{
    free(*chars);
    *chars = NULL;
}

static void recipient_clear(struct metadata_recipient *recipient)
{
    free(recipient->alias);
    free(recipient->issuer);
    free(recipient->serial);
    free(recipient->sha256);
}

static void media_clear(struct metadata_media *media)
{
    for (size_t i = 0; i < media->recipients_count; i++)
        recipient_clear(&media->recipients[i]);
    free(media->recipients);
    free(media->chunk_digests);
    free(media->envelope);
    free(media->outcome);
    free(media->path);
    free(media->type);
    free(media->media_id);
}

void metadata_free(struct metadata **metadata)
{
    if (!*metadata)
        return;
    for (size_t i = 0; i < (*metadata)->media_count; i++)
        media_clear(&(*metadata)->media[i]);
    free((*metadata)->media);
    free((*metadata)->id);
    free(*metadata);
    *metadata = NULL;
}

static enum sealtape_status wrong(
        const struct place *place, const char *field, const char *expected)
{
    return diag_fail(place->diag, SEALTAPE_E_USAGE, "%s: mediaFiles[%zu].%s: expected %s",
            place->name, place->index, field, expected);
}

static enum sealtape_status no_memory(const struct place *place)
{
    return diag_fail(place->diag, SEALTAPE_E_MEMORY, "%s: no memory", place->name);
}

/* A field that is absent or null is "". */
static enum sealtape_status read_text(
        const struct place *place, const json_t *object, const char *field, char **ret_text)
{
    const json_t *value = json_object_get(object, field);
    char *text;

    if (value && !json_is_string(value) && !json_is_null(value))
        return wrong(place, field, "a string");
    text = strdup(json_is_string(value) ? json_string_value(value) : "");
    if (!text)
        return no_memory(place);
    *ret_text = text;
    return SEALTAPE_OK;
}

/* Numbers come as numbers and as strings; absent, null and "" are unknown. */
static enum sealtape_status read_number(
        const struct place *place, const json_t *object, const char *field, uint64_t *ret_number)
{
    const json_t *value = json_object_get(object, field);
    const char *text = json_string_value(value);
    uint64_t number = 0;

    if (!value || json_is_null(value) || (text && !*text)) {
        *ret_number = METADATA_UNKNOWN;
        return SEALTAPE_OK;
    }
    if (json_is_integer(value) && json_integer_value(value) >= 0) {
        *ret_number = (uint64_t)json_integer_value(value);
        return SEALTAPE_OK;
    }
    if (!text || strlen(text) > 18 || strspn(text, "0123456789") != strlen(text))
        return wrong(place, field, "a number of bytes");
    for (; *text; text++)
        number = number * 10 + (uint64_t)(*text - '0');
    *ret_number = number;
    return SEALTAPE_OK;
}

static enum sealtape_status read_hex_digest(const struct place *place, const json_t *object,
        const char *field, uint8_t ret_digest[METADATA_DIGEST_SIZE], bool *ret_has)
{
    const json_t *value = json_object_get(object, field);
    const char *text = json_string_value(value);

    if (!value || json_is_null(value) || (text && !*text)) {
        *ret_has = false;
        return SEALTAPE_OK;
    }
    if (!text || hex_decode(text, ret_digest, METADATA_DIGEST_SIZE) != SEALTAPE_OK)
        return wrong(place, field, "64 hex digits");
    *ret_has = true;
    return SEALTAPE_OK;
}

static int base64_decode(const char *text, size_t len, uint8_t *ret_bytes, size_t *ret_len)
{
    struct base64_decode_ctx base64;

    base64_decode_init(&base64);
    *ret_len = BASE64_DECODE_LENGTH(len);
    return base64_decode_update(&base64, ret_len, ret_bytes, len, text)
           && base64_decode_final(&base64);
}

static enum sealtape_status read_chunk_digests(
        const struct place *place, const json_t *ours, struct metadata_media *media)
{
    const json_t *list = json_object_get(ours, "chunkDigests");
    uint64_t chunk_size = METADATA_UNKNOWN;
    uint8_t digest[BASE64_DECODE_LENGTH(64)];
    size_t count = json_array_size(list);
    const char *text;
    enum sealtape_status st;
    size_t len;

    st = read_number(place, ours, "chunkSize", &chunk_size);
    if (st != SEALTAPE_OK)
        return st;
    if (list && !json_is_array(list))
        return wrong(place, "sealtape.chunkDigests", "an array");
    if (count == 0)
        return SEALTAPE_OK;
    if (chunk_size < METADATA_CHUNK_MIN || chunk_size > METADATA_CHUNK_MAX || chunk_size % 16)
        return wrong(place, "sealtape.chunkSize", "a multiple of 16 up to 16777216");
    media->chunk_digests = calloc(count, METADATA_DIGEST_SIZE);
    if (!media->chunk_digests)
        return no_memory(place);
    for (size_t i = 0; i < count; i++) {
        text = json_string_value(json_array_get(list, i));
        if (!text || strlen(text) > 64 || !base64_decode(text, strlen(text), digest, &len)
                || len != METADATA_DIGEST_SIZE)
            return wrong(place, "sealtape.chunkDigests", "SHA-256 digests in base64");
        memcpy(media->chunk_digests[i], digest, METADATA_DIGEST_SIZE);
    }
    media->chunk_digests_count = count;
    media->chunk_size = chunk_size;
    return SEALTAPE_OK;
}

static enum sealtape_status read_recipient(const struct place *place, const json_t *item,
        const char *alias, struct metadata_recipient *recipient)
{
    enum sealtape_status st;

    st = read_text(place, item, "issuer", &recipient->issuer);
    if (st == SEALTAPE_OK)
        st = read_text(place, item, "serial", &recipient->serial);
    if (st == SEALTAPE_OK)
        st = read_text(place, item, "sha256", &recipient->sha256);
    if (st != SEALTAPE_OK)
        return st;
    if (!alias)
        return read_text(place, item, "alias", &recipient->alias);
    recipient->alias = strdup(alias);
    return recipient->alias ? SEALTAPE_OK : no_memory(place);
}

/* `recipients` of ours, or at least the aliases that every document has. */
static enum sealtape_status read_recipients(const struct place *place, const json_t *item,
        const json_t *ours, struct metadata_media *media)
{
    const json_t *list = json_object_get(ours, "recipients");
    const json_t *aliases = json_object_get(item, "certAlias");
    size_t count = json_is_array(list) ? json_array_size(list) : json_array_size(aliases);
    enum sealtape_status st;
    const char *alias;

    if (count == 0)
        return SEALTAPE_OK;
    if (count > RECIPIENTS_MAX)
        return wrong(place, "sealtape.recipients", "64 at most");
    media->recipients = calloc(count, sizeof(*media->recipients));
    if (!media->recipients)
        return no_memory(place);
    media->recipients_count = count;
    for (size_t i = 0; i < count; i++) {
        alias = json_is_array(list) ? NULL : json_string_value(json_array_get(aliases, i));
        st = read_recipient(place, json_array_get(list, i), alias, &media->recipients[i]);
        if (st != SEALTAPE_OK)
            return st;
    }
    return SEALTAPE_OK;
}

static enum sealtape_status read_ours(
        const struct place *place, const json_t *item, struct metadata_media *media)
{
    const json_t *ours = json_object_get(item, "sealtape");
    enum sealtape_status st;

    if (ours && !json_is_object(ours))
        return wrong(place, "sealtape", "an object");
    st = read_text(place, ours, "outcome", &media->outcome);
    if (st == SEALTAPE_OK)
        st = read_number(place, ours, "plainSize", &media->plain_size);
    if (st == SEALTAPE_OK)
        st = read_hex_digest(
                place, ours, "keyCommitment", media->commitment, &media->has_commitment);
    if (st == SEALTAPE_OK)
        st = read_hex_digest(place, ours, "sha256", media->sha256, &media->has_sha256);
    if (st == SEALTAPE_OK)
        st = read_chunk_digests(place, ours, media);
    if (st == SEALTAPE_OK)
        st = read_recipients(place, item, ours, media);
    return st;
}

static enum sealtape_status read_envelope(
        const struct place *place, const json_t *item, struct metadata_media *media)
{
    const json_t *value = json_object_get(item, "pkcs7");
    const char *pem = json_string_value(value);
    enum sealtape_status st;

    if (!value || json_is_null(value) || (pem && !*pem))
        return SEALTAPE_OK;
    if (!pem)
        return wrong(place, "pkcs7", "a string");
    st = metadata_pem_decode(pem, &media->envelope, &media->envelope_len, place->diag);
    if (st != SEALTAPE_OK)
        diag_prefix(place->diag, "%s: mediaFiles[%zu].pkcs7: ", place->name, place->index);
    return st;
}

static enum sealtape_status read_media(
        const struct place *place, const json_t *item, struct metadata_media *media)
{
    enum sealtape_status st;

    if (!json_is_object(item))
        return diag_fail(place->diag, SEALTAPE_E_USAGE, "%s: mediaFiles[%zu]: expected an object",
                place->name, place->index);
    st = read_text(place, item, "mediaId", &media->media_id);
    if (st == SEALTAPE_OK)
        st = read_text(place, item, "type", &media->type);
    if (st == SEALTAPE_OK)
        st = read_text(place, json_object_get(item, "mediaDescriptor"), "path", &media->path);
    if (st == SEALTAPE_OK)
        st = read_number(place, item, "size", &media->size);
    if (st == SEALTAPE_OK)
        st = read_envelope(place, item, media);
    if (st == SEALTAPE_OK)
        st = read_ours(place, item, media);
    return st;
}

static enum sealtape_status read_document(
        const char *name, json_t *document, struct metadata *metadata, struct diag *diag)
{
    struct place place = {.name = name, .diag = diag};
    const json_t *list = json_object_get(document, "mediaFiles");
    size_t count = json_array_size(list);
    enum sealtape_status st;

    st = read_text(&place, document, "id", &metadata->id);
    if (st != SEALTAPE_OK)
        return st;
    if (!list && json_object_get(document, "pkcs7"))
        count = 1;
    else if (!json_is_array(list))
        return diag_fail(diag, SEALTAPE_E_USAGE,
                "%s: not a recording's metadata: expected an array mediaFiles", name);
    if (count > METADATA_MEDIA_MAX)
        return diag_fail(diag, SEALTAPE_E_LIMIT, "%s: %zu media files; at most %d are read", name,
                count, METADATA_MEDIA_MAX);
    metadata->media = calloc(count ? count : 1, sizeof(*metadata->media));
    if (!metadata->media)
        return no_memory(&place);
    metadata->media_count = count;
    for (size_t i = 0; i < count; i++) {
        place.index = i;
        st = read_media(&place, list ? json_array_get(list, i) : document, &metadata->media[i]);
        if (st != SEALTAPE_OK)
            return st;
    }
    return SEALTAPE_OK;
}

enum sealtape_status metadata_parse(const char *name, const void *bytes, size_t len,
        struct metadata **ret_metadata, struct diag *diag)
{
    CLEANUP(metadata_free) struct metadata *metadata = NULL;
    CLEANUP(json_clear) json_t *document = NULL;
    enum sealtape_status st;
    json_error_t error;

    if (len > METADATA_DOCUMENT_MAX)
        return diag_fail(diag, SEALTAPE_E_LIMIT, "%s: %zu bytes; at most %u are read", name, len,
                METADATA_DOCUMENT_MAX);
    document = json_loadb(bytes, len, JSON_REJECT_DUPLICATES, &error);
    if (!document && (json_error_code(&error) == json_error_out_of_memory || error.text[0] == '\0'))
        return diag_fail(diag, SEALTAPE_E_MEMORY, "%s: no memory", name);
    if (!document)
        return diag_fail(diag, SEALTAPE_E_USAGE, "%s:%d:%d: not JSON: %s", name, error.line,
                error.column, error.text);
    metadata = calloc(1, sizeof(*metadata));
    if (!metadata)
        return diag_fail(diag, SEALTAPE_E_MEMORY, "%s: no memory", name);
    st = read_document(name, document, metadata, diag);
    if (st != SEALTAPE_OK)
        return st;
    *ret_metadata = TAKE(metadata);
    return SEALTAPE_OK;
}

enum sealtape_status metadata_choose(const struct metadata *metadata, const char *media_id,
        const struct metadata_media **ret_media, struct diag *diag)
{
    char names[512] = "";
    size_t used = 0;

    for (size_t i = 0; i < metadata->media_count; i++) {
        const char *name = metadata->media[i].media_id;

        if (media_id ? strcmp(name, media_id) == 0 : metadata->media_count == 1) {
            *ret_media = &metadata->media[i];
            return SEALTAPE_OK;
        }
        if (used + strlen(name) + 3 < sizeof(names))
            used += (size_t)sprintf(names + used, "%s%s", used ? ", " : "", name);
    }
    if (metadata->media_count == 0)
        return diag_fail(diag, SEALTAPE_E_USAGE, "the document has no media files");
    if (!media_id)
        return diag_fail(diag, SEALTAPE_E_USAGE, "the document has %zu media files, choose one: %s",
                metadata->media_count, names);
    return diag_fail(diag, SEALTAPE_E_USAGE, "no media file %s; there are: %s", media_id, names);
}

/* The start of the base64 text, or NULL; *ret_end is where it ends. */
static const char *pem_body(const char *pem, const char **ret_end)
{
    static const char *const labels[][2] = {
            {"-----BEGIN PKCS7-----", "-----END PKCS7-----"},
            {"-----BEGIN CMS-----", "-----END CMS-----"},
    };
    const char *begin;

    for (size_t i = 0; i < ARRAY_COUNT(labels); i++) {
        begin = strstr(pem, labels[i][0]);
        if (!begin)
            continue;
        begin += strlen(labels[i][0]);
        *ret_end = strstr(begin, labels[i][1]);
        return *ret_end ? begin : NULL;
    }
    return NULL;
}

enum sealtape_status metadata_pem_decode(
        const char *pem, uint8_t **ret_der, size_t *ret_len, struct diag *diag)
{
    CLEANUP(bytes_free) uint8_t *der = NULL;
    CLEANUP(chars_free) char *text = NULL;
    const char *end = NULL;
    const char *begin = pem_body(pem, &end);
    size_t used = 0;
    size_t len;

    if (!begin)
        return diag_fail(diag, SEALTAPE_E_USAGE,
                "expected a PEM block with label PKCS7 or CMS, found none that is whole");
    text = malloc((size_t)(end - begin) + 1);
    der = malloc(BASE64_DECODE_LENGTH((size_t)(end - begin)) + 1);
    if (!text || !der)
        return diag_fail(diag, SEALTAPE_E_MEMORY, "no memory");
    for (const char *at = begin; at < end; at++) {
        if (at[0] == '\\' && (at[1] == 'n' || at[1] == 'r'))
            at++;
        else
            text[used++] = *at;
    }
    if (!base64_decode(text, used, der, &len) || len == 0)
        return diag_fail(diag, SEALTAPE_E_USAGE, "the PEM block is not base64");
    *ret_der = TAKE(der);
    *ret_len = len;
    return SEALTAPE_OK;
}
