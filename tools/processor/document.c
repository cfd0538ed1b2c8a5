#include "processor/document.h"

#include <gnutls/crypto.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"

/*
 * What a member may be. A null is as good as no member where none is required.
 */
enum member_type {
    MEMBER_STRING,
    MEMBER_ID, /* 1 to DOCUMENT_TERM_MAX bytes */
    MEMBER_TIME,
    MEMBER_COUNT, /* digits, or a whole number: producers differ */
    MEMBER_OBJECT,
    MEMBER_OBJECTS,
    MEMBER_STRINGS,
    MEMBER_ARRAY
};

struct member_rule {
    const char *name;
    enum member_type type;
    int required;
};

static const struct member_rule document_rules[] = {
        {"id", MEMBER_ID, 1},
        {"mediaFiles", MEMBER_OBJECTS, 1},
        {"ccid", MEMBER_STRING, 0},
        {"region", MEMBER_STRING, 0},
        {"callerPhoneNumber", MEMBER_STRING, 0},
        {"dialedPhoneNumber", MEMBER_STRING, 0},
        {"startTime", MEMBER_TIME, 0},
        {"stopTime", MEMBER_TIME, 0},
        {"eventHistory", MEMBER_ARRAY, 0},
};

static const struct member_rule media_rules[] = {
        {"mediaId", MEMBER_ID, 1},
        {"mediaDescriptor", MEMBER_OBJECT, 0},
        {"type", MEMBER_STRING, 0},
        {"startTime", MEMBER_TIME, 0},
        {"stopTime", MEMBER_TIME, 0},
        {"duration", MEMBER_COUNT, 0},
        {"size", MEMBER_COUNT, 0},
        {"callUUID", MEMBER_STRING, 0},
        {"tenant", MEMBER_STRING, 0},
        {"ivrprofile", MEMBER_STRING, 0},
        {"parameters", MEMBER_OBJECT, 0},
        {"masks", MEMBER_OBJECTS, 0},
        {"pkcs7", MEMBER_STRING, 0},
        {"certAlias", MEMBER_STRINGS, 0},
        {"partitions", MEMBER_ARRAY, 0},
        {"accessgroups", MEMBER_ARRAY, 0},
        {"sealtape", MEMBER_OBJECT, 0},
};

static const struct member_rule seal_rules[] = {
        {"recipients", MEMBER_OBJECTS, 0},
        {"outcome", MEMBER_STRING, 0},
        {"sha256", MEMBER_STRING, 0},
};

static const struct member_rule recipient_rules[] = {
        {"alias", MEMBER_STRING, 0},
        {"issuer", MEMBER_STRING, 0},
        {"serial", MEMBER_STRING, 0},
        {"sha256", MEMBER_STRING, 0},
};

static void json_clear(json_t **json)
{
    json_decref(*json);
    *json = NULL;
}

static void text_free(char **text)
{
    free(*text);
    *text = NULL;
}

/* "dddd-dd-dd?dd:dd:dd": strptime(3) takes much more than RFC 3339 does. */
static int has_moment_shape(const char *text)
{
    static const char shape[] = "dddd-dd-ddTdd:dd:dd";
    size_t i;

    for (i = 0; shape[i]; i++) {
        if (shape[i] == 'd' ? text[i] < '0' || text[i] > '9'
                            : text[i] != shape[i] && !(shape[i] == 'T' && text[i] == 't'))
            return 0;
    }
    return 1;
}

static int two_digits(const char *text)
{
    if (text[0] < '0' || text[0] > '9' || text[1] < '0' || text[1] > '9')
        return -1;
    return (text[0] - '0') * 10 + (text[1] - '0');
}

/* "Z", "+hh:mm" or "+hhmm"; the last is what some producers write. */
static enum sealtape_status offset_parse(const char *text, int64_t *ret_ms)
{
    const char *minute_text;
    int hours, minutes;

    if (!strcmp(text, "Z") || !strcmp(text, "z")) {
        *ret_ms = 0;
        return SEALTAPE_OK;
    }
    if (text[0] != '+' && text[0] != '-')
        return SEALTAPE_E_USAGE;
    hours = two_digits(text + 1);
    if (hours < 0 || hours > 23)
        return SEALTAPE_E_USAGE;
    minute_text = text + 3 + (text[3] == ':');
    minutes = two_digits(minute_text);
    if (minutes < 0 || minutes > 59 || minute_text[2])
        return SEALTAPE_E_USAGE;
    *ret_ms = (hours * 60 + minutes) * (text[0] == '-' ? -60000 : 60000);
    return SEALTAPE_OK;
}

enum sealtape_status moment_parse(const char *text, int64_t *ret_utc_ms)
{
    char zulu[48], again[TIMESTAMP_SIZE];
    int64_t local_ms, offset_ms;
    const char *rest;
    size_t len;

    if (!has_moment_shape(text))
        return SEALTAPE_E_USAGE;
    rest = text + 19;
    if (*rest == '.') {
        len = strspn(rest + 1, "0123456789");
        if (len == 0 || len > 20)
            return SEALTAPE_E_USAGE;
        rest += 1 + len;
    }
    if (offset_parse(rest, &offset_ms) != SEALTAPE_OK)
        return SEALTAPE_E_USAGE;
    len = (size_t)(rest - text);
    memcpy(zulu, text, len);
    zulu[len] = 'Z';
    zulu[len + 1] = '\0';
    zulu[10] = 'T';
    if (timestamp_parse(zulu, &local_ms) != SEALTAPE_OK)
        return SEALTAPE_E_USAGE;
    /* The 30th of February comes back as another day; a leap second may. */
    timestamp_format(local_ms, again);
    if (memcmp(again, zulu, 19) && memcmp(zulu + 17, "60", 2))
        return SEALTAPE_E_USAGE;
    *ret_utc_ms = local_ms - offset_ms;
    return SEALTAPE_OK;
}

static int is_count(const json_t *value)
{
    const char *text = json_string_value(value);

    if (json_is_integer(value))
        return json_integer_value(value) >= 0;
    return text && *text && strspn(text, "0123456789") == strlen(text);
}

static int all_are(const json_t *array, json_type type)
{
    size_t i;

    if (!json_is_array(array))
        return 0;
    for (i = 0; i < json_array_size(array); i++) {
        if (json_typeof(json_array_get(array, i)) != type)
            return 0;
    }
    return 1;
}

/* What was expected, or NULL if the value is that. */
static const char *member_expected(const json_t *value, enum member_type type)
{
    size_t len = json_string_length(value);
    int64_t ms;

    switch (type) {
    case MEMBER_STRING:
        return json_is_string(value) ? NULL : "a string";
    case MEMBER_ID:
        return len >= 1 && len <= DOCUMENT_TERM_MAX ? NULL : "a string of 1 to 1024 bytes";
    case MEMBER_TIME:
        if (json_is_string(value) && moment_parse(json_string_value(value), &ms) == SEALTAPE_OK)
            return NULL;
        return "a time like 2026-03-02T09:15:00.000Z";
    case MEMBER_COUNT:
        return is_count(value) ? NULL : "a string of digits";
    case MEMBER_OBJECT:
        return json_is_object(value) ? NULL : "an object";
    case MEMBER_OBJECTS:
        return all_are(value, JSON_OBJECT) ? NULL : "an array of objects";
    case MEMBER_STRINGS:
        return all_are(value, JSON_STRING) ? NULL : "an array of strings";
    case MEMBER_ARRAY:
        return json_is_array(value) ? NULL : "an array";
    }
    return NULL;
}

static enum sealtape_status members_check(const json_t *object, const char *where,
        const struct member_rule *rules, size_t count, struct diag *diag)
{
    size_t i;

    for (i = 0; i < count; i++) {
        const json_t *value = json_object_get(object, rules[i].name);
        const char *expected;

        if (!rules[i].required && (!value || json_is_null(value)))
            continue;
        if (!value)
            return diag_fail(diag, SEALTAPE_E_USAGE, "%s%s is missing", where, rules[i].name);
        expected = member_expected(value, rules[i].type);
        if (expected)
            return diag_fail(
                    diag, SEALTAPE_E_USAGE, "%s%s: expected %s", where, rules[i].name, expected);
    }
    return SEALTAPE_OK;
}

static enum sealtape_status seal_check(const json_t *seal, size_t media, struct diag *diag)
{
    const json_t *recipients = json_object_get(seal, "recipients");
    enum sealtape_status st;
    char where[96];
    size_t i;

    if (!json_is_object(seal))
        return SEALTAPE_OK;
    (void)snprintf(where, sizeof(where), "mediaFiles[%zu].sealtape.", media);
    st = members_check(seal, where, seal_rules, ARRAY_COUNT(seal_rules), diag);
    for (i = 0; st == SEALTAPE_OK && i < json_array_size(recipients); i++) {
        (void)snprintf(where, sizeof(where), "mediaFiles[%zu].sealtape.recipients[%zu].", media, i);
        st = members_check(json_array_get(recipients, i), where, recipient_rules,
                ARRAY_COUNT(recipient_rules), diag);
    }
    return st;
}

static const char *media_id(const json_t *media)
{
    return json_string_value(json_object_get(media, "mediaId"));
}

static enum sealtape_status media_check(const json_t *files, struct diag *diag)
{
    CLEANUP(json_clear) json_t *seen = json_object();
    enum sealtape_status st;
    char where[64];
    size_t i;

    if (!seen)
        return SEALTAPE_E_MEMORY;
    if (json_array_size(files) > DOCUMENT_MEDIA_MAX)
        return diag_fail(
                diag, SEALTAPE_E_USAGE, "mediaFiles: more than %d items", DOCUMENT_MEDIA_MAX);
    for (i = 0; i < json_array_size(files); i++) {
        const json_t *media = json_array_get(files, i);
        const json_t *first;

        (void)snprintf(where, sizeof(where), "mediaFiles[%zu].", i);
        st = members_check(media, where, media_rules, ARRAY_COUNT(media_rules), diag);
        if (st == SEALTAPE_OK)
            st = seal_check(json_object_get(media, "sealtape"), i, diag);
        if (st != SEALTAPE_OK)
            return st;
        first = json_object_get(seen, media_id(media));
        if (first)
            return diag_fail(diag, SEALTAPE_E_USAGE,
                    "mediaFiles[%zu].mediaId: the same as that of mediaFiles[%lld]", i,
                    (long long)json_integer_value(first));
        if (json_object_set_new(seen, media_id(media), json_integer((json_int_t)i)))
            return SEALTAPE_E_MEMORY;
    }
    return SEALTAPE_OK;
}

struct term_check {
    size_t count;
    struct diag *diag;
};

static enum sealtape_status term_check(void *context, enum term_kind kind, const char *value)
{
    struct term_check *check = context;

    (void)kind;
    (void)value;
    if (++check->count > DOCUMENT_TERMS_MAX)
        return diag_fail(check->diag, SEALTAPE_E_USAGE,
                "more than %d values by which recordings are found", DOCUMENT_TERMS_MAX);
    return SEALTAPE_OK;
}

static enum sealtape_status document_check(const struct document *document, struct diag *diag)
{
    struct term_check check = {0, diag};
    enum sealtape_status st;

    if (!json_is_object(document->root))
        return diag_fail(diag, SEALTAPE_E_USAGE, "the document is not an object");
    st = members_check(document->root, "", document_rules, ARRAY_COUNT(document_rules), diag);
    if (st == SEALTAPE_OK)
        st = media_check(json_object_get(document->root, "mediaFiles"), diag);
    if (st != SEALTAPE_OK)
        return st;
    return document_terms(document, term_check, &check);
}

static enum sealtape_status document_digest(struct document *document)
{
    CLEANUP(text_free)
    char *sorted = json_dumps(document->root, JSON_COMPACT | JSON_SORT_KEYS);

    if (!sorted)
        return SEALTAPE_E_MEMORY;
    if (gnutls_hash_fast(GNUTLS_DIG_SHA256, sorted, strlen(sorted), document->digest))
        return SEALTAPE_E_MEMORY;
    return SEALTAPE_OK;
}

static enum sealtape_status document_finish(struct document *document)
{
    const char *start = json_string_value(json_object_get(document->root, "startTime"));

    document->id = json_string_value(json_object_get(document->root, "id"));
    document->start_ms = DOCUMENT_NO_START;
    /* Checked before: a time that cannot be read does not come here. */
    if (start)
        ignore(moment_parse(start, &document->start_ms));
    return document_digest(document);
}

/* jansson's text may quote the input, and telephone numbers with it. */
static enum sealtape_status syntax_fail(json_error_t *error, struct diag *diag)
{
    char *quote = strstr(error->text, " near ");

    if (quote)
        *quote = '\0';
    return diag_fail(diag, SEALTAPE_E_USAGE, "no valid JSON: line %d, column %d, position %d: %s",
            error->line, error->column, error->position, error->text);
}

/*
 * Names and values, before any memory is spent on them: eight million bytes of
 * "0," would become hundreds of millions. What is no JSON may be counted wrong.
 */
static size_t values_count(const char *text, size_t len)
{
    size_t count = 1;
    int in_string = 0;
    size_t i;

    for (i = 0; i < len; i++) {
        if (in_string && text[i] == '\\')
            i++;
        else if (text[i] == '"')
            in_string = !in_string;
        else if (!in_string && memchr(",:[{", text[i], 4))
            count++;
    }
    return count;
}

enum sealtape_status document_parse(
        char **text, size_t len, struct document **ret_document, struct diag *diag)
{
    CLEANUP(document_free) struct document *document = calloc(1, sizeof(*document));
    enum sealtape_status st;
    json_error_t error;

    if (!document)
        return diag_fail(diag, SEALTAPE_E_MEMORY, "no memory");
    document->cost = values_count(*text, len) * DOCUMENT_VALUE_COST;
    if (document->cost > (size_t)DOCUMENT_VALUES_MAX * DOCUMENT_VALUE_COST)
        return diag_fail(
                diag, SEALTAPE_E_USAGE, "more than %d names and values", DOCUMENT_VALUES_MAX);
    document->root = json_loadb(*text, len, JSON_REJECT_DUPLICATES, &error);
    if (!document->root) {
        if (json_error_code(&error) == json_error_out_of_memory)
            return diag_fail(diag, SEALTAPE_E_MEMORY, "no memory");
        return syntax_fail(&error, diag);
    }
    st = document_check(document, diag);
    if (st == SEALTAPE_OK)
        st = document_finish(document);
    if (st == SEALTAPE_E_MEMORY)
        return diag_fail(diag, st, "no memory");
    if (st != SEALTAPE_OK)
        return st;
    document->text = TAKE(*text);
    document->text_len = len;
    *ret_document = TAKE(document);
    return SEALTAPE_OK;
}

void document_free(struct document **document)
{
    if (!*document)
        return;
    json_decref((*document)->root);
    free((*document)->text);
    free(*document);
    *document = NULL;
}

struct term_walk {
    enum sealtape_status (*each)(void *context, enum term_kind kind, const char *value);
    void *context;
    enum sealtape_status status;
};

static void term_visit(
        struct term_walk *walk, enum term_kind kind, const json_t *object, const char *name)
{
    const char *value = json_string_value(name ? json_object_get(object, name) : object);

    if (walk->status == SEALTAPE_OK && value && *value && strlen(value) <= DOCUMENT_TERM_MAX)
        walk->status = walk->each(walk->context, kind, value);
}

static void media_terms(struct term_walk *walk, const json_t *media)
{
    const json_t *parameters = json_object_get(media, "parameters");
    const json_t *seal = json_object_get(media, "sealtape");
    const json_t *recipients = json_object_get(seal, "recipients");
    const json_t *aliases = json_object_get(media, "certAlias");
    size_t i;

    term_visit(walk, TERM_CALLER, parameters, "ani");
    term_visit(walk, TERM_DIALED, parameters, "dnis");
    term_visit(walk, TERM_CALL_UUID, media, "callUUID");
    term_visit(walk, TERM_CALL_UUID, parameters, "callUuid");
    term_visit(walk, TERM_AGENT_ID, parameters, "agentId");
    term_visit(walk, TERM_OUTCOME, seal, "outcome");
    for (i = 0; i < json_array_size(recipients); i++) {
        const json_t *recipient = json_array_get(recipients, i);

        term_visit(walk, TERM_RECIPIENT, recipient, "sha256");
        term_visit(walk, TERM_RECIPIENT, recipient, "serial");
        term_visit(walk, TERM_RECIPIENT, recipient, "alias");
    }
    for (i = 0; i < json_array_size(aliases); i++)
        term_visit(walk, TERM_RECIPIENT, json_array_get(aliases, i), NULL);
}

enum sealtape_status document_terms(const struct document *document,
        enum sealtape_status (*each)(void *context, enum term_kind kind, const char *value),
        void *context)
{
    struct term_walk walk = {each, context, SEALTAPE_OK};
    const json_t *files = json_object_get(document->root, "mediaFiles");
    size_t i;

    term_visit(&walk, TERM_CALLER, document->root, "callerPhoneNumber");
    term_visit(&walk, TERM_DIALED, document->root, "dialedPhoneNumber");
    for (i = 0; i < json_array_size(files); i++)
        media_terms(&walk, json_array_get(files, i));
    return walk.status;
}

void term_normalize(enum term_kind kind, char *value)
{
    if (kind != TERM_RECIPIENT || strlen(value) != 64
            || strspn(value, "0123456789abcdefABCDEF") != 64)
        return;
    for (; *value; value++) {
        if (*value >= 'A' && *value <= 'F')
            *value = (char)(*value - 'A' + 'a');
    }
}
