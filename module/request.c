#include "request.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/hex.h"
#include "base/random.h"
#include "spool/entry.h"

/* Characters of an id that a media file's name keeps. */
#define MEDIA_ID_KEPT 96

static const struct {
    const char *name;
    enum recording_format format;
    uint32_t sample_bytes;
} formats[] = {
        {"opaque", RECORDING_OPAQUE, 0},
        {"pcm16", RECORDING_PCM16, 2},
        {"ulaw", RECORDING_ULAW, 1},
        {"alaw", RECORDING_ALAW, 1},
};

static enum sealtape_status read_format(
        const char *value, enum recording_format *ret_format, struct diag *diag)
{
    for (size_t i = 0; i < ARRAY_COUNT(formats); i++) {
        if (strcmp(value, formats[i].name) == 0) {
            *ret_format = formats[i].format;
            return SEALTAPE_OK;
        }
    }
    return diag_fail(diag, SEALTAPE_E_USAGE,
            "parameter format: expected pcm16, ulaw, alaw or opaque, found \"%.64s\"", value);
}

static enum sealtape_status read_number(
        const char *key, const char *value, uint32_t *ret_number, struct diag *diag)
{
    unsigned long long number;
    char *end;

    errno = 0;
    number = strtoull(value, &end, 10);
    if (value[0] < '0' || value[0] > '9' || *end || errno || number == 0 || number > UINT32_MAX)
        return diag_fail(diag, SEALTAPE_E_USAGE,
                "parameter %s: expected a number from 1 to 4294967295, found \"%.64s\"", key,
                value);
    *ret_number = (uint32_t)number;
    return SEALTAPE_OK;
}

static enum sealtape_status read_text(
        const char *key, const char *value, const char **ret_text, struct diag *diag)
{
    if (strlen(value) > EVIDENCE_VALUE_MAX)
        return diag_fail(diag, SEALTAPE_E_LIMIT, "parameter %s has %zu bytes; at most %d are kept",
                key, strlen(value), EVIDENCE_VALUE_MAX);
    if (!evidence_is_utf8(value))
        return diag_fail(diag, SEALTAPE_E_USAGE, "parameter %s is not UTF-8", key);
    *ret_text = value[0] ? value : NULL;
    return SEALTAPE_OK;
}

/* Where a parameter of the interface goes; *ret_known false: it is none of them. */
static enum sealtape_status read_own(struct request *request, const char *key, const char *value,
        bool *ret_known, struct diag *diag)
{
    const struct {
        const char *key;
        uint32_t *number;
        const char **text;
    } own[] = {
            {"dbid", &request->dbid, &request->dbid_text},
            {"tenant-dbid", &request->tenant_dbid, &request->tenant_dbid_text},
            {"rate", &request->rate, NULL},
            {"channels", &request->channels, NULL},
            {"byte-rate", &request->byte_rate, NULL},
            {"profile", NULL, &request->profile},
            {"id", NULL, &request->id},
            {"call-uuid", NULL, &request->call_uuid},
            {"ani", NULL, &request->ani},
            {"dnis", NULL, &request->dnis},
            {"type", NULL, &request->type},
            {"ccid", NULL, &request->ccid},
            {"tenant", NULL, &request->tenant},
            {"storage", NULL, &request->storage},
            {"processor", NULL, &request->processor},
    };
    enum sealtape_status st = SEALTAPE_OK;

    *ret_known = true;
    if (strcmp(key, "format") == 0)
        return read_format(value, &request->format, diag);
    for (size_t i = 0; i < ARRAY_COUNT(own); i++) {
        if (strcmp(key, own[i].key) != 0)
            continue;
        if (own[i].number)
            st = read_number(key, value, own[i].number, diag);
        if (st == SEALTAPE_OK && own[i].text)
            st = read_text(key, value, own[i].text, diag);
        return st;
    }
    *ret_known = false;
    return SEALTAPE_OK;
}

static enum sealtape_status read_one(struct request *request, const struct sealtape_param *param,
        struct evidence *evidence, struct diag *diag)
{
    enum sealtape_status st;
    bool known;

    if (!param->key || !param->value)
        return diag_fail(diag, SEALTAPE_E_USAGE, "a parameter without key or value");
    st = read_own(request, param->key, param->value, &known, diag);
    if (st != SEALTAPE_OK || known)
        return st;
    /* A host hands over all that it has: credentials among it are left behind, not an error. */
    if (evidence_is_credential(param->key))
        return SEALTAPE_OK;
    return evidence_set_parameter(evidence, param->key, param->value, diag);
}

static void derive_byte_rate(struct request *request)
{
    uint64_t rate = (uint64_t)request->rate * request->channels;

    for (size_t i = 0; i < ARRAY_COUNT(formats); i++) {
        if (formats[i].format == request->format)
            rate *= formats[i].sample_bytes;
    }
    if (request->byte_rate == 0 && rate <= UINT32_MAX)
        request->byte_rate = (uint32_t)rate;
}

enum sealtape_status request_read(const struct sealtape_param *params, size_t count,
        struct evidence *evidence, struct request *ret_request, struct diag *diag)
{
    struct request request = {.format = RECORDING_OPAQUE, .channels = 1};
    enum sealtape_status st;

    if (count > REQUEST_PARAMS_MAX)
        return diag_fail(diag, SEALTAPE_E_LIMIT, "%zu parameters; at most %u are taken", count,
                REQUEST_PARAMS_MAX);
    for (size_t i = 0; i < count; i++) {
        st = read_one(&request, &params[i], evidence, diag);
        if (st != SEALTAPE_OK)
            return st;
    }
    if (!request.dbid_text && !(request.tenant_dbid_text && request.profile))
        return diag_fail(diag, SEALTAPE_E_USAGE,
                "which profile? expected parameter dbid, or tenant-dbid and profile");
    if (request.id && strlen(request.id) > REQUEST_ID_MAX)
        return diag_fail(diag, SEALTAPE_E_LIMIT, "parameter id has %zu bytes; at most %u are taken",
                strlen(request.id), REQUEST_ID_MAX);
    derive_byte_rate(&request);
    *ret_request = request;
    return SEALTAPE_OK;
}

static const char *extension_of(const char *type)
{
    static const struct {
        const char *type, *extension;
    } table[] = {
            {"audio/wav", "wav"},
            {"audio/mp3", "mp3"},
            {"audio/mpeg", "mp3"},
            {"audio/ogg", "ogg"},
            {"video/mp4", "mp4"},
            {"video/x-matroska", "mkv"},
    };

    for (size_t i = 0; i < ARRAY_COUNT(table); i++) {
        if (strcmp(type, table[i].type) == 0)
            return table[i].extension;
    }
    return "bin";
}

enum sealtape_status request_media_id(const char *id, const char *type, char *ret_name)
{
    static const char kept[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-";
    char name[MEDIA_ID_KEPT + 1], random_hex[17];
    unsigned char random[8];
    size_t len = 0;

    if (random_nonce(random, sizeof(random)) != SEALTAPE_OK)
        return SEALTAPE_E_IO;
    hex_encode(random, sizeof(random), random_hex);
    for (; id[len] && len < MEDIA_ID_KEPT; len++)
        name[len] = strchr(kept, id[len]) ? id[len] : '_';
    name[len] = '\0';
    /* Neither a hidden file nor an option of somebody's command. */
    if (name[0] == '.' || name[0] == '-')
        name[0] = '_';
    (void)snprintf(ret_name, ENTRY_MEDIA_ID_SIZE, "%s-%s.%s", name, random_hex, extension_of(type));
    return SEALTAPE_OK;
}
