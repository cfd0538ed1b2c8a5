#include "profile/config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/quantity.h"
#include "base/xml.h"
#include "profile/url.h"

/* The largest configuration file, bytes; the longest path in it. */
#define CONFIG_FILE_MAX (1024u * 1024)
#define CONFIG_PATH_MAX 4000u
#define INSTANCE_MAX 64u
#define INSTANCE_CHARACTERS "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-"
#define NAME_MAX_LEN 32u

#define KIB UINT64_C(1024)
#define MIB (1024 * KIB)
#define GIB (1024 * MIB)
#define TIB (1024 * GIB)
#define SECOND UINT64_C(1000)
#define DAY (24 * 3600 * SECOND)

enum kind { INSTANCE, PATH, URL, USERNAME, VARIABLE, SIZE, TIME32, TIME64, NUMBER, WORD, FLAG };

/* One attribute: where its value goes in struct config or struct config_destination. */
struct attribute {
    const char *name;
    enum kind kind;
    size_t at;
    bool required;
    uint64_t min, max;
    const char *range;        /* min and max in words */
    const char *const *words; /* of WORD: the values of its enum in order */
};

struct element {
    const char *name;
    const struct attribute *attributes;
    size_t count;
    bool required;
    bool repeats; /* a destination; else once, into the config itself */
};

static const char *const policies[] = {"warn", "refuse", NULL};
static const char *const modes[] = {"live", "after", NULL};
static const char *const verifications[] = {"length", "digest", NULL};

#define IN(member) offsetof(struct config, member)
#define OF(member) offsetof(struct config_destination, member)

static const struct attribute root_attributes[] = {
        {.name = "instance", .kind = INSTANCE, .at = IN(instance)},
};
static const struct attribute profiles_attributes[] = {
        {.name = "directory", .kind = PATH, .at = IN(profiles.directory), .required = true},
        {.name = "cache", .kind = PATH, .at = IN(profiles.cache)},
};
static const struct attribute trust_attributes[] = {
        {.name = "roots", .kind = PATH, .at = IN(trust.roots), .required = true},
        {.name = "crls", .kind = PATH, .at = IN(trust.crls)},
        {.name = "crl-stale", .kind = WORD, .at = IN(trust.crl_stale), .words = policies},
        {.name = "weak-keys", .kind = WORD, .at = IN(trust.weak_keys), .words = policies},
};
static const struct attribute spool_attributes[] = {
        {.name = "directory", .kind = PATH, .at = IN(spool.directory), .required = true},
        {.name = "quota",
                .kind = SIZE,
                .at = IN(spool.quota_bytes),
                .min = MIB,
                .max = 1024 * TIB,
                .range = "1MiB to 1024TiB"},
        {.name = "memory",
                .kind = SIZE,
                .at = IN(spool.memory_bytes),
                .min = MIB,
                .max = 64 * GIB,
                .range = "1MiB to 64GiB"},
        {.name = "flush",
                .kind = TIME32,
                .at = IN(spool.flush_ms),
                .min = 50,
                .max = 10 * SECOND,
                .range = "50ms to 10s"},
        {.name = "sync",
                .kind = TIME32,
                .at = IN(spool.sync_ms),
                .min = 100,
                .max = 60 * SECOND,
                .range = "100ms to 60s"},
        {.name = "grace",
                .kind = TIME64,
                .at = IN(spool.grace_ms),
                .min = 0,
                .max = 30 * DAY,
                .range = "0s to 30d"},
};
static const struct attribute storage_attributes[] = {
        {.name = "url", .kind = URL, .at = OF(url), .required = true},
        {.name = "username", .kind = USERNAME, .at = OF(username)},
        {.name = "password-file", .kind = PATH, .at = OF(password_file)},
        {.name = "password-env", .kind = VARIABLE, .at = OF(password_env)},
        {.name = "ca-file", .kind = PATH, .at = OF(ca_file)},
        {.name = "insecure", .kind = FLAG, .at = OF(insecure)},
        {.name = "mode", .kind = WORD, .at = OF(mode), .words = modes},
        {.name = "live-max",
                .kind = NUMBER,
                .at = OF(live_max),
                .min = 1,
                .max = 100000,
                .range = "1 to 100000"},
        {.name = "verify", .kind = WORD, .at = OF(verify), .words = verifications},
};
/* Of the same order as far as they go. */
#define PROCESSOR_ATTRIBUTES 6u
static const struct attribute metrics_attributes[] = {
        {.name = "file", .kind = PATH, .at = IN(metrics_file), .required = true},
};

static const struct element root_element = {
        "sealtape", root_attributes, ARRAY_COUNT(root_attributes), true, false};
enum { PROFILES, TRUST, SPOOL, STORAGE, PROCESSOR, METRICS, ELEMENTS };
static const struct element elements[ELEMENTS] = {
        [PROFILES] = {"profiles", profiles_attributes, ARRAY_COUNT(profiles_attributes), true,
                false},
        [TRUST] = {"trust", trust_attributes, ARRAY_COUNT(trust_attributes), true, false},
        [SPOOL] = {"spool", spool_attributes, ARRAY_COUNT(spool_attributes), true, false},
        [STORAGE] = {"storage", storage_attributes, ARRAY_COUNT(storage_attributes), true, true},
        [PROCESSOR] = {"processor", storage_attributes, PROCESSOR_ATTRIBUTES, true, true},
        [METRICS] = {"metrics", metrics_attributes, ARRAY_COUNT(metrics_attributes), false, false},
};

struct parse {
    const char *path; /* as the caller wrote it, for messages */
    char *directory;  /* of the file, absolute, ends with '/' */
    struct config *config;
    struct diag *diag;
    unsigned seen[ELEMENTS]; /* line of the first of each, 0: none yet */
};

/* One value on its way from a file to its place. */
struct value {
    const struct element *element;
    const struct attribute *attribute;
    const char *text;
    unsigned line;
    void *to;
};

static void free_text(char **text)
{
    free(*text);
    *text = NULL;
}

/* The same file and line before each message about a value. */
static enum sealtape_status wrong(
        const struct parse *parse, const struct value *value, const char *expected)
{
    return diag_fail(parse->diag, SEALTAPE_E_CONFIG, "%s:%u: %s/@%s: expected %s, found \"%.200s\"",
            parse->path, value->line, value->element->name, value->attribute->name, expected,
            value->text);
}

static enum sealtape_status no_memory(const struct parse *parse)
{
    return diag_fail(parse->diag, SEALTAPE_E_MEMORY, "%s: no memory to read it", parse->path);
}

/* Levenshtein's distance of two short names. */
static size_t distance(const char *a, const char *b)
{
    size_t row[NAME_MAX_LEN + 1], b_len = strlen(b);

    for (size_t j = 0; j <= b_len; j++)
        row[j] = j;
    for (size_t i = 0; a[i]; i++) {
        size_t diagonal = row[0];

        row[0] = i + 1;
        for (size_t j = 0; j < b_len; j++) {
            size_t least = diagonal + (a[i] != b[j]);

            diagonal = row[j + 1];
            if (row[j] + 1 < least)
                least = row[j] + 1;
            if (diagonal + 1 < least)
                least = diagonal + 1;
            row[j + 1] = least;
        }
    }
    return row[b_len];
}

/* Keeps in @best the nearest name so far; a third of the letters may differ. */
static void suggest(
        const char *found, const char *candidate, const char **best, size_t *best_distance)
{
    size_t far;

    if (strlen(found) > NAME_MAX_LEN)
        return;
    far = distance(found, candidate);
    if (far < *best_distance && far <= strlen(candidate) / 3 + 1) {
        *best = candidate;
        *best_distance = far;
    }
}

static void append(char *text, size_t size, const char *what)
{
    size_t used = strlen(text);

    /* A list that is cut still ends in a NUL. */
    (void)snprintf(text + used, size - used, "%s", what);
}

static enum sealtape_status unknown_element(
        const struct parse *parse, const char *name, unsigned line)
{
    const char *best = NULL;
    size_t best_distance = SIZE_MAX;
    char names[128] = "";

    for (size_t i = 0; i < ELEMENTS; i++) {
        append(names, sizeof(names), i == 0 ? "<" : i + 1 < ELEMENTS ? ">, <" : "> or <");
        append(names, sizeof(names), elements[i].name);
        suggest(name, elements[i].name, &best, &best_distance);
    }
    return diag_fail(parse->diag, SEALTAPE_E_CONFIG, "%s:%u: expected %s>, found <%.60s>%s%s%s",
            parse->path, line, names, name, best ? "; did you mean <" : "", best ? best : "",
            best ? ">?" : "");
}

static enum sealtape_status unknown_attribute(
        const struct parse *parse, const struct element *element, const char *name, unsigned line)
{
    const char *best = NULL;
    size_t best_distance = SIZE_MAX;
    char names[160] = "";

    for (size_t i = 0; i < element->count; i++) {
        append(names, sizeof(names), i == 0 ? "" : i + 1 < element->count ? ", " : " or ");
        append(names, sizeof(names), element->attributes[i].name);
        suggest(name, element->attributes[i].name, &best, &best_distance);
    }
    return diag_fail(parse->diag, SEALTAPE_E_CONFIG,
            "%s:%u: <%s> knows the attribute%s %s, found %.60s%s%s%s", parse->path, line,
            element->name, element->count > 1 ? "s" : "", names, name,
            best ? "; did you mean " : "", best ? best : "", best ? "?" : "");
}

static bool has_control_characters(const char *text)
{
    for (; *text; text++) {
        if ((unsigned char)*text < 0x20 || *text == 0x7f)
            return true;
    }
    return false;
}

static enum sealtape_status set_copy(
        const struct parse *parse, const struct value *value, const char *prefix)
{
    char **to = value->to;

    if (asprintf(to, "%s%s", prefix, value->text) < 0) {
        *to = NULL;
        return no_memory(parse);
    }
    return SEALTAPE_OK;
}

static enum sealtape_status set_path(const struct parse *parse, const struct value *value)
{
    enum sealtape_status st;
    char *end;

    if (!*value->text || has_control_characters(value->text)
            || strlen(value->text) > CONFIG_PATH_MAX)
        return wrong(parse, value, "a path");
    st = set_copy(parse, value, value->text[0] == '/' ? "" : parse->directory);
    if (st != SEALTAPE_OK)
        return st;
    for (end = strchr(*(char **)value->to, '\0'); end[-1] == '/' && end - 1 > *(char **)value->to;)
        *--end = '\0';
    return SEALTAPE_OK;
}

static enum sealtape_status set_url(const struct parse *parse, const struct value *value)
{
    bool storage = value->element == &elements[STORAGE];
    struct url url;
    char **to = value->to;

    if (url_parse(value->text, &url, parse->diag) != SEALTAPE_OK) {
        diag_prefix(
                parse->diag, "%s:%u: %s/@url: ", parse->path, value->line, value->element->name);
        return SEALTAPE_E_CONFIG;
    }
    if (storage && strchr(url.path, '?'))
        return diag_fail(parse->diag, SEALTAPE_E_CONFIG,
                "%s:%u: storage/@url: expected the URL of a collection, found a query behind it",
                parse->path, value->line);
    /* Names of objects are put behind it. */
    if (asprintf(to, "%s%s", value->text,
                storage && value->text[strlen(value->text) - 1] != '/' ? "/" : "")
            < 0) {
        *to = NULL;
        return no_memory(parse);
    }
    return SEALTAPE_OK;
}

static enum sealtape_status set_number(const struct parse *parse, const struct value *value)
{
    const struct attribute *attribute = value->attribute;
    enum sealtape_status st = SEALTAPE_OK;
    char expected[80];
    uint64_t number = 0;

    if (attribute->kind == SIZE)
        st = quantity_size(value->text, &number);
    else if (attribute->kind != NUMBER)
        st = quantity_time(value->text, &number);
    else if (!*value->text || strlen(value->text) > 10
             || value->text[strspn(value->text, "0123456789")])
        st = SEALTAPE_E_USAGE;
    else
        number = strtoull(value->text, NULL, 10);
    if (st != SEALTAPE_OK || number < attribute->min || number > attribute->max) {
        (void)snprintf(expected, sizeof(expected), "%s, %s",
                attribute->kind == SIZE     ? "a size in KiB, MiB, GiB or TiB"
                : attribute->kind == NUMBER ? "a number"
                                            : "a time in ms, s, min, h or d",
                attribute->range);
        return wrong(parse, value, expected);
    }
    if (attribute->kind == SIZE || attribute->kind == TIME64)
        *(uint64_t *)value->to = number;
    else
        *(uint32_t *)value->to = (uint32_t)number;
    return SEALTAPE_OK;
}

static enum sealtape_status set_word(const struct parse *parse, const struct value *value)
{
    char expected[80] = "";
    unsigned i;

    for (i = 0; value->attribute->words[i]; i++) {
        append(expected, sizeof(expected), i == 0 ? "" : " or ");
        append(expected, sizeof(expected), value->attribute->words[i]);
        if (strcmp(value->text, value->attribute->words[i]) != 0)
            continue;
        /* Whichever enum it is, it counts its words from 0 and is as large as this. */
        memcpy(value->to, &i, sizeof(i));
        return SEALTAPE_OK;
    }
    return wrong(parse, value, expected);
}

static enum sealtape_status set_flag(const struct parse *parse, const struct value *value)
{
    bool yes = strcmp(value->text, "yes") == 0;

    if (!yes && strcmp(value->text, "no") != 0)
        return wrong(parse, value, "yes or no");
    *(bool *)value->to = yes;
    return SEALTAPE_OK;
}

static bool is_instance(const char *text)
{
    size_t len = strlen(text);

    return len > 0 && len <= INSTANCE_MAX && text[0] != '.'
           && strspn(text, INSTANCE_CHARACTERS) == len;
}

static enum sealtape_status set_value(const struct parse *parse, const struct value *value)
{
    switch (value->attribute->kind) {
    case INSTANCE:
        if (!is_instance(value->text))
            return wrong(parse, value,
                    "1 to 64 letters, digits, \".\", \"_\" or \"-\", not \".\" first");
        return set_copy(parse, value, "");
    case PATH:
        return set_path(parse, value);
    case URL:
        return set_url(parse, value);
    case USERNAME:
        /* RFC 7617, 2: the first colon ends the user-id. */
        if (!*value->text || strchr(value->text, ':') || has_control_characters(value->text))
            return wrong(parse, value, "a name without \":\" and control characters");
        return set_copy(parse, value, "");
    case VARIABLE:
        if (!*value->text || (*value->text >= '0' && *value->text <= '9')
                || strpbrk(value->text, ".-")
                || strspn(value->text, INSTANCE_CHARACTERS) != strlen(value->text))
            return wrong(parse, value, "the name of an environment variable");
        return set_copy(parse, value, "");
    case SIZE:
    case TIME32:
    case TIME64:
    case NUMBER:
        return set_number(parse, value);
    case WORD:
        return set_word(parse, value);
    case FLAG:
        return set_flag(parse, value);
    }
    return wrong(parse, value, "another kind of value");
}

/* Whether an element says only what such an element may say. */
static enum sealtape_status check_element(
        const struct parse *parse, const struct element *element, const struct xml_element *xml)
{
    const char *name, *value;

    if (xml_namespace(xml))
        return diag_fail(parse->diag, SEALTAPE_E_CONFIG,
                "%s:%u: expected no namespace, found \"%.200s\"", parse->path, xml_line(xml),
                xml_namespace(xml));
    if (xml_text_line(xml))
        return diag_fail(parse->diag, SEALTAPE_E_CONFIG,
                "%s:%u: expected no text in <%s>, found some", parse->path, xml_text_line(xml),
                element->name);
    if (element != &root_element && xml_child(xml))
        return diag_fail(parse->diag, SEALTAPE_E_CONFIG,
                "%s:%u: expected no element in <%s>, found <%.60s>", parse->path,
                xml_line(xml_child(xml)), element->name, xml_name(xml_child(xml)));
    for (size_t i = 0; xml_attribute_at(xml, i, &name, &value); i++) {
        size_t known = 0;

        while (known < element->count && strcmp(element->attributes[known].name, name) != 0)
            known++;
        if (known == element->count)
            return unknown_attribute(parse, element, name, xml_attribute_line(xml, name));
    }
    return SEALTAPE_OK;
}

static enum sealtape_status read_element(const struct parse *parse, const struct element *element,
        const struct xml_element *xml, void *base)
{
    enum sealtape_status st = check_element(parse, element, xml);

    for (size_t i = 0; st == SEALTAPE_OK && i < element->count; i++) {
        const struct attribute *attribute = &element->attributes[i];
        struct value value = {.element = element,
                .attribute = attribute,
                .text = xml_attribute(xml, attribute->name),
                .line = xml_attribute_line(xml, attribute->name),
                .to = (char *)base + attribute->at};

        if (value.text)
            st = set_value(parse, &value);
        else if (attribute->required)
            st = diag_fail(parse->diag, SEALTAPE_E_CONFIG,
                    "%s:%u: expected the attribute %s in <%s>, found none", parse->path,
                    xml_line(xml), attribute->name, element->name);
    }
    return st;
}

static void destination_clear(struct config_destination *destination)
{
    free(destination->url);
    free(destination->username);
    free(destination->password_file);
    free(destination->password_env);
    free(destination->ca_file);
    *destination = (struct config_destination){0};
}

/* Credentials are whole or absent, and not sent in clear by mistake. */
static enum sealtape_status check_destination(const struct parse *parse,
        const struct element *element, const struct config_destination *destination)
{
    bool password = destination->password_file || destination->password_env;
    struct url url;
    enum sealtape_status st;

    if (destination->password_file && destination->password_env)
        return diag_fail(parse->diag, SEALTAPE_E_CONFIG,
                "%s:%u: expected password-file or password-env in <%s>, found both", parse->path,
                destination->line, element->name);
    if (password != (destination->username != NULL))
        return diag_fail(parse->diag, SEALTAPE_E_CONFIG,
                "%s:%u: expected username with password-file or password-env in <%s>, found %s "
                "alone",
                parse->path, destination->line, element->name,
                destination->username        ? "username"
                : destination->password_file ? "password-file"
                                             : "password-env");
    st = url_parse(destination->url, &url, parse->diag);
    if (st != SEALTAPE_OK)
        return st;
    if (!url.tls && !url_is_loopback(&url) && !destination->insecure)
        return diag_fail(parse->diag, SEALTAPE_E_CONFIG,
                "%s:%u: expected https to the host \"%s\", found http; use https, or "
                "insecure=\"yes\" "
                "where the network is trusted",
                parse->path, destination->line, url.host);
    return SEALTAPE_OK;
}

static enum sealtape_status read_destination(
        struct parse *parse, const struct element *element, const struct xml_element *xml)
{
    struct config *config = parse->config;
    bool storage = element == &elements[STORAGE];
    struct config_destination **list = storage ? &config->storages : &config->processors;
    size_t *count = storage ? &config->storages_count : &config->processors_count;
    struct config_destination *grown, *destination;
    enum sealtape_status st;

    if (*count == CONFIG_DESTINATIONS_MAX)
        return diag_fail(parse->diag, SEALTAPE_E_CONFIG,
                "%s:%u: expected at most %u <%s>, found more", parse->path, xml_line(xml),
                CONFIG_DESTINATIONS_MAX, element->name);
    grown = realloc(*list, (*count + 1) * sizeof(*grown));
    if (!grown)
        return no_memory(parse);
    *list = grown;
    destination = &grown[*count];
    *destination = (struct config_destination){.mode = CONFIG_LIVE,
            .live_max = 100,
            .verify = CONFIG_VERIFY_LENGTH,
            .line = xml_line(xml)};
    ++*count;
    st = read_element(parse, element, xml, destination);
    return st == SEALTAPE_OK ? check_destination(parse, element, destination) : st;
}

static enum sealtape_status read_child(struct parse *parse, const struct xml_element *xml)
{
    for (size_t i = 0; i < ELEMENTS; i++) {
        const struct element *element = &elements[i];

        if (strcmp(xml_name(xml), element->name) != 0)
            continue;
        if (parse->seen[i] && !element->repeats)
            return diag_fail(parse->diag, SEALTAPE_E_CONFIG,
                    "%s:%u: expected one <%s>, found a second; the first is in line %u",
                    parse->path, xml_line(xml), element->name, parse->seen[i]);
        if (!parse->seen[i])
            parse->seen[i] = xml_line(xml);
        if (element->repeats)
            return read_destination(parse, element, xml);
        return read_element(parse, element, xml, parse->config);
    }
    return unknown_element(parse, xml_name(xml), xml_line(xml));
}

static bool same_text(const char *a, const char *b)
{
    return a == b || (a && b && strcmp(a, b) == 0);
}

/* Credentials and CA belong to an origin: two sets for one would make it a matter of luck. */
static enum sealtape_status check_pair(const struct parse *parse,
        const struct config_destination *a, const struct config_destination *b)
{
    struct url url_a, url_b;

    if (url_parse(a->url, &url_a, parse->diag) != SEALTAPE_OK
            || url_parse(b->url, &url_b, parse->diag) != SEALTAPE_OK)
        return SEALTAPE_E_CONFIG;
    if (!url_same_origin(&url_a, &url_b)
            || (same_text(a->username, b->username) && same_text(a->password_file, b->password_file)
                    && same_text(a->password_env, b->password_env)
                    && same_text(a->ca_file, b->ca_file)))
        return SEALTAPE_OK;
    return diag_fail(parse->diag, SEALTAPE_E_CONFIG,
            "%s:%u: expected the username, password and ca-file of line %u for the same origin "
            "(%s://%s:%u), found others",
            parse->path, b->line > a->line ? b->line : a->line,
            b->line > a->line ? a->line : b->line, url_a.tls ? "https" : "http", url_a.host,
            url_a.port);
}

static const struct config_destination *destination_at(const struct config *config, size_t index)
{
    return index < config->storages_count ? &config->storages[index]
                                          : &config->processors[index - config->storages_count];
}

static enum sealtape_status check_origins(const struct parse *parse)
{
    size_t count = parse->config->storages_count + parse->config->processors_count;
    enum sealtape_status st = SEALTAPE_OK;

    for (size_t i = 0; i < count; i++) {
        for (size_t j = i + 1; j < count && st == SEALTAPE_OK; j++)
            st = check_pair(
                    parse, destination_at(parse->config, i), destination_at(parse->config, j));
    }
    return st;
}

static enum sealtape_status check_whole(const struct parse *parse, const struct xml_element *root)
{
    const struct config *config = parse->config;

    for (size_t i = 0; i < ELEMENTS; i++) {
        if (elements[i].required && !parse->seen[i])
            return diag_fail(parse->diag, SEALTAPE_E_CONFIG,
                    "%s:%u: expected the element <%s> in <sealtape>, found none", parse->path,
                    xml_line(root), elements[i].name);
    }
    if (config->spool.sync_ms < config->spool.flush_ms)
        return diag_fail(parse->diag, SEALTAPE_E_CONFIG,
                "%s:%u: spool/@sync: expected no less than flush (%ums), found %ums", parse->path,
                parse->seen[SPOOL], config->spool.flush_ms, config->spool.sync_ms);
    if (config->spool.memory_bytes > config->spool.quota_bytes)
        return diag_fail(parse->diag, SEALTAPE_E_CONFIG,
                "%s:%u: spool/@memory: expected no more than quota, found more", parse->path,
                parse->seen[SPOOL]);
    if (strcmp(config->profiles.directory, config->spool.directory) == 0
            || strcmp(config->profiles.cache, config->spool.directory) == 0
            || strcmp(config->profiles.cache, config->profiles.directory) == 0)
        return diag_fail(parse->diag, SEALTAPE_E_CONFIG,
                "%s:%u: expected three directories for profiles, cache and spool, found one twice",
                parse->path, parse->seen[PROFILES]);
    return check_origins(parse);
}

/* What depends on other values, or on the host. */
static enum sealtape_status set_defaults(const struct parse *parse)
{
    struct config *config = parse->config;
    char host[INSTANCE_MAX + 1] = "";
    const char *slash;

    if (!config->instance) {
        /* A name that is cut or has other characters is still a name. */
        if (gethostname(host, INSTANCE_MAX) != 0 || !host[0])
            strcpy(host, "localhost");
        for (char *at = host; *at; at++) {
            if (!strchr(INSTANCE_CHARACTERS, *at) || (at == host && *at == '.'))
                *at = '-';
        }
        config->instance = strdup(host);
        if (!config->instance)
            return no_memory(parse);
    }
    if (config->profiles.cache || !config->spool.directory)
        return SEALTAPE_OK;
    slash = strrchr(config->spool.directory, '/');
    if (asprintf(&config->profiles.cache, "%.*s/profile-cache",
                (int)(slash - config->spool.directory), config->spool.directory)
            < 0) {
        config->profiles.cache = NULL;
        return no_memory(parse);
    }
    return SEALTAPE_OK;
}

static enum sealtape_status read_root(struct parse *parse, const struct xml_element *root)
{
    enum sealtape_status st;

    if (strcmp(xml_name(root), root_element.name) != 0)
        return diag_fail(parse->diag, SEALTAPE_E_CONFIG,
                "%s:%u: expected <sealtape>, found <%.60s>", parse->path, xml_line(root),
                xml_name(root));
    st = read_element(parse, &root_element, root, parse->config);
    for (const struct xml_element *child = xml_child(root); child && st == SEALTAPE_OK;
            child = xml_next(child))
        st = read_child(parse, child);
    if (st == SEALTAPE_OK)
        st = set_defaults(parse);
    return st == SEALTAPE_OK ? check_whole(parse, root) : st;
}

/* The file's path, absolute; its links are not followed, so that they may be swapped. */
static enum sealtape_status find_path(const char *path, char **ret_path, struct diag *diag)
{
    CLEANUP(free_text) char *here = NULL;

    if (path[0] != '/') {
        here = getcwd(NULL, 0);
        if (!here)
            return diag_fail(diag, SEALTAPE_E_IO, "%s: the current directory is not known: %s",
                    path, strerror(errno));
    }
    if (asprintf(ret_path, "%s%s%s", here ? here : "", here ? "/" : "", path) < 0) {
        *ret_path = NULL;
        return diag_fail(diag, SEALTAPE_E_MEMORY, "%s: no memory to read it", path);
    }
    return SEALTAPE_OK;
}

enum sealtape_status config_parse(const char *path, const void *bytes, size_t len,
        struct config **ret_config, struct diag *diag)
{
    CLEANUP(config_free) struct config *config = NULL;
    CLEANUP(xml_free) struct xml *xml = NULL;
    CLEANUP(free_text) char *directory = NULL;
    struct parse parse = {.path = path, .diag = diag};
    enum sealtape_status st;

    if (len > CONFIG_FILE_MAX)
        return diag_fail(diag, SEALTAPE_E_CONFIG, "%s:1: %zu bytes; at most %u are read", path, len,
                CONFIG_FILE_MAX);
    st = xml_parse(path, bytes, len, &xml, diag);
    if (st != SEALTAPE_OK)
        return st;
    config = calloc(1, sizeof(*config));
    if (!config)
        return no_memory(&parse);
    st = find_path(path, &config->path, diag);
    if (st != SEALTAPE_OK)
        return st;
    directory = strndup(config->path, (size_t)(strrchr(config->path, '/') - config->path) + 1);
    if (!directory)
        return no_memory(&parse);
    config->trust.crl_stale = CONFIG_WARN;
    config->trust.weak_keys = CONFIG_REFUSE;
    config->spool.quota_bytes = 20 * GIB;
    config->spool.memory_bytes = 256 * MIB;
    config->spool.flush_ms = 250;
    config->spool.sync_ms = 1000;
    config->spool.grace_ms = 600 * SECOND;
    parse.directory = directory;
    parse.config = config;
    st = read_root(&parse, xml_root(xml));
    if (st != SEALTAPE_OK)
        return st;
    *ret_config = TAKE(config);
    return SEALTAPE_OK;
}

enum sealtape_status config_load(const char *path, struct config **ret_config, struct diag *diag)
{
    CLEANUP(free_text) char *bytes = NULL;
    enum sealtape_status st;
    size_t len = 0;

    st = file_read(AT_FDCWD, path, CONFIG_FILE_MAX, &bytes, &len, diag);
    if (st == SEALTAPE_E_LIMIT)
        return SEALTAPE_E_CONFIG;
    if (st != SEALTAPE_OK)
        return st;
    return config_parse(path, bytes, len, ret_config, diag);
}

void config_free(struct config **config)
{
    struct config *old = *config;

    if (!old)
        return;
    for (size_t i = 0; i < old->storages_count; i++)
        destination_clear(&old->storages[i]);
    for (size_t i = 0; i < old->processors_count; i++)
        destination_clear(&old->processors[i]);
    free(old->storages);
    free(old->processors);
    free(old->path);
    free(old->instance);
    free(old->profiles.directory);
    free(old->profiles.cache);
    free(old->trust.roots);
    free(old->trust.crls);
    free(old->spool.directory);
    free(old->metrics_file);
    free(old);
    *config = NULL;
}
