#include "spool/evidence.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/clock.h"

static void lock(struct evidence *evidence)
{
    pthread_mutex_lock(&evidence->lock);
}

static void unlock_changed(struct evidence *evidence)
{
    evidence->version++;
    pthread_mutex_unlock(&evidence->lock);
}

enum sealtape_status evidence_new(struct evidence **ret_evidence)
{
    struct evidence *evidence = calloc(1, sizeof(*evidence));

    if (!evidence)
        return SEALTAPE_E_MEMORY;
    pthread_mutex_init(&evidence->lock, NULL);
    evidence->version = 1;
    *ret_evidence = evidence;
    return SEALTAPE_OK;
}

static void free_texts(char **texts, size_t count)
{
    for (size_t i = 0; texts && i < count; i++)
        free(texts[i]);
    free(texts);
}

void evidence_free(struct evidence **evidence)
{
    struct evidence *e = *evidence;

    if (!e)
        return;
    for (size_t i = 0; i < e->recipients_count; i++) {
        certificate_release(&e->recipients[i].certificate);
        free(e->recipients[i].encrypted_key);
    }
    free(e->recipients);
    free(e->envelope_pem);
    free_texts(e->storages, e->storages_count);
    free_texts(e->processors, e->processors_count);
    for (size_t i = 0; i < EVIDENCE_TEXTS; i++)
        free(e->texts[i]);
    for (size_t i = 0; i < e->parameters_count; i++) {
        free(e->parameters[i].key);
        free(e->parameters[i].value);
    }
    free(e->parameters);
    free(e->marks);
    free(e->spans);
    free(e->gaps);
    free(e->close_reason);
    pthread_mutex_destroy(&e->lock);
    free(e);
    *evidence = NULL;
}

enum sealtape_status evidence_set_text(
        struct evidence *evidence, enum evidence_text which, const char *text)
{
    char *copy = strdup(text);

    if (!copy)
        return SEALTAPE_E_MEMORY;
    lock(evidence);
    free(evidence->texts[which]);
    evidence->texts[which] = copy;
    unlock_changed(evidence);
    return SEALTAPE_OK;
}

bool evidence_is_credential(const char *key)
{
    static const char *const words[] = {"auth", "password", "secret", "token"};

    for (size_t i = 0; i < ARRAY_COUNT(words); i++) {
        if (strcasestr(key, words[i]))
            return true;
    }
    return false;
}

/* RFC 3629, 4: the shortest form only, no surrogates, at most U+10FFFF. */
static size_t utf8_length(const unsigned char *s)
{
    if (s[0] < 0x80)
        return 1;
    if (s[0] >= 0xc2 && s[0] <= 0xdf)
        return (s[1] & 0xc0) == 0x80 ? 2 : 0;
    if (s[0] >= 0xe0 && s[0] <= 0xef) {
        unsigned char low = s[0] == 0xe0 ? 0xa0 : 0x80, high = s[0] == 0xed ? 0x9f : 0xbf;

        return s[1] >= low && s[1] <= high && (s[2] & 0xc0) == 0x80 ? 3 : 0;
    }
    if (s[0] >= 0xf0 && s[0] <= 0xf4) {
        unsigned char low = s[0] == 0xf0 ? 0x90 : 0x80, high = s[0] == 0xf4 ? 0x8f : 0xbf;

        return s[1] >= low && s[1] <= high && (s[2] & 0xc0) == 0x80 && (s[3] & 0xc0) == 0x80 ? 4
                                                                                             : 0;
    }
    return 0;
}

bool evidence_is_utf8(const char *text)
{
    const unsigned char *s = (const unsigned char *)text;

    while (*s) {
        size_t n = utf8_length(s);

        if (n == 0)
            return false;
        s += n;
    }
    return true;
}

static enum sealtape_status check_parameter(const char *key, const char *value, struct diag *diag)
{
    size_t key_len = strlen(key), value_len = strlen(value);

    if (key_len == 0)
        return diag_fail(diag, SEALTAPE_E_USAGE, "a parameter without a name");
    if (key_len > EVIDENCE_KEY_MAX)
        return diag_fail(diag, SEALTAPE_E_LIMIT,
                "a parameter's name has %zu bytes; at most %d are kept", key_len, EVIDENCE_KEY_MAX);
    if (!evidence_is_utf8(key))
        return diag_fail(diag, SEALTAPE_E_USAGE, "a parameter's name is not UTF-8");
    for (const char *c = key; *c; c++) {
        if ((unsigned char)*c < 0x20 || *c == 0x7f)
            return diag_fail(diag, SEALTAPE_E_USAGE, "a parameter's name has a control character");
    }
    if (evidence_is_credential(key))
        return diag_fail(diag, SEALTAPE_E_USAGE,
                "parameter %s looks like a credential; those are never forwarded", key);
    if (value_len > EVIDENCE_VALUE_MAX)
        return diag_fail(diag, SEALTAPE_E_LIMIT, "parameter %s has %zu bytes; at most %d are kept",
                key, value_len, EVIDENCE_VALUE_MAX);
    if (!evidence_is_utf8(value))
        return diag_fail(diag, SEALTAPE_E_USAGE, "parameter %s is not UTF-8", key);
    return SEALTAPE_OK;
}

static enum sealtape_status put_parameter(struct evidence *e, char **key, char **value)
{
    struct evidence_parameter *grown;

    for (size_t i = 0; i < e->parameters_count; i++) {
        if (strcmp(e->parameters[i].key, *key) == 0) {
            free(e->parameters[i].value);
            e->parameters[i].value = TAKE(*value);
            return SEALTAPE_OK;
        }
    }
    if (e->parameters_count == EVIDENCE_PARAMETERS_MAX)
        return SEALTAPE_E_LIMIT;
    grown = reallocarray(e->parameters, e->parameters_count + 1, sizeof(*grown));
    if (!grown)
        return SEALTAPE_E_MEMORY;
    e->parameters = grown;
    grown[e->parameters_count].key = TAKE(*key);
    grown[e->parameters_count].value = TAKE(*value);
    e->parameters_count++;
    return SEALTAPE_OK;
}

static void free_text(char **text)
{
    free(*text);
    *text = NULL;
}

enum sealtape_status evidence_set_parameter(
        struct evidence *evidence, const char *key, const char *value, struct diag *diag)
{
    CLEANUP(free_text) char *key_copy = NULL;
    CLEANUP(free_text) char *value_copy = NULL;
    enum sealtape_status st;

    st = check_parameter(key, value, diag);
    if (st != SEALTAPE_OK)
        return st;
    key_copy = strdup(key);
    value_copy = strdup(value);
    if (!key_copy || !value_copy)
        return diag_fail(diag, SEALTAPE_E_MEMORY, "no memory for parameter %s", key);
    lock(evidence);
    st = put_parameter(evidence, &key_copy, &value_copy);
    unlock_changed(evidence);
    if (st != SEALTAPE_OK)
        return diag_fail(diag, st, "parameter %s is one too many; at most %d are kept", key,
                EVIDENCE_PARAMETERS_MAX);
    return SEALTAPE_OK;
}

enum sealtape_status evidence_add_mark(
        struct evidence *evidence, enum evidence_mark_kind kind, int64_t time_utc_ms)
{
    struct evidence_mark *grown = NULL;

    lock(evidence);
    if (evidence->marks_count == EVIDENCE_MARKS_MAX) {
        pthread_mutex_unlock(&evidence->lock);
        return SEALTAPE_E_LIMIT;
    }
    grown = reallocarray(evidence->marks, evidence->marks_count + 1, sizeof(*grown));
    if (!grown) {
        pthread_mutex_unlock(&evidence->lock);
        return SEALTAPE_E_MEMORY;
    }
    evidence->marks = grown;
    grown[evidence->marks_count++] =
            (struct evidence_mark){.time_utc_ms = time_utc_ms, .kind = kind};
    unlock_changed(evidence);
    return SEALTAPE_OK;
}

enum sealtape_status evidence_begin_span(struct evidence *evidence, bool pause, int64_t at_ms)
{
    struct evidence_span *grown;

    lock(evidence);
    if (evidence->spans_count == EVIDENCE_MARKS_MAX) {
        /* Say too much rather than too little: the last span goes on. */
        evidence->spans[evidence->spans_count - 1].end_ms = -1;
        unlock_changed(evidence);
        return SEALTAPE_OK;
    }
    grown = reallocarray(evidence->spans, evidence->spans_count + 1, sizeof(*grown));
    if (!grown) {
        pthread_mutex_unlock(&evidence->lock);
        return SEALTAPE_E_MEMORY;
    }
    evidence->spans = grown;
    grown[evidence->spans_count++] =
            (struct evidence_span){.start_ms = at_ms, .end_ms = -1, .pause = pause};
    unlock_changed(evidence);
    return SEALTAPE_OK;
}

void evidence_end_span(struct evidence *evidence, bool pause, int64_t at_ms, int64_t elapsed_ms)
{
    lock(evidence);
    for (size_t i = evidence->spans_count; i-- > 0;) {
        struct evidence_span *span = &evidence->spans[i];

        if (span->pause == pause && span->end_ms < 0) {
            span->end_ms = at_ms;
            span->elapsed_ms = elapsed_ms;
            break;
        }
    }
    unlock_changed(evidence);
}

enum sealtape_status evidence_add_gap(
        struct evidence *evidence, uint64_t offset, uint64_t bytes, int64_t time_utc_ms)
{
    struct evidence_gap *last, *grown;

    lock(evidence);
    last = evidence->gaps_count ? &evidence->gaps[evidence->gaps_count - 1] : NULL;
    if (last && (last->offset == offset || evidence->gaps_count == EVIDENCE_MARKS_MAX)) {
        last->bytes += bytes;
        unlock_changed(evidence);
        return SEALTAPE_OK;
    }
    grown = reallocarray(evidence->gaps, evidence->gaps_count + 1, sizeof(*grown));
    if (!grown) {
        pthread_mutex_unlock(&evidence->lock);
        return SEALTAPE_E_MEMORY;
    }
    evidence->gaps = grown;
    grown[evidence->gaps_count++] =
            (struct evidence_gap){.offset = offset, .bytes = bytes, .time_utc_ms = time_utc_ms};
    unlock_changed(evidence);
    return SEALTAPE_OK;
}

enum sealtape_status evidence_set_close_reason(struct evidence *evidence, const char *reason)
{
    char *copy = strdup(reason);

    if (!copy)
        return SEALTAPE_E_MEMORY;
    lock(evidence);
    free(evidence->close_reason);
    evidence->close_reason = copy;
    unlock_changed(evidence);
    return SEALTAPE_OK;
}

uint64_t evidence_version(struct evidence *evidence)
{
    uint64_t version;

    lock(evidence);
    version = evidence->version;
    pthread_mutex_unlock(&evidence->lock);
    return version;
}
