#include "base/xml.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <libxml/parser.h>
#include <libxml/parserInternals.h>

/*
 * The tree is built here from SAX callbacks, not by libxml2: its nodes keep 16
 * bits of line number, and limits can be held while the document is read.
 */

#define ARENA_BLOCK_SIZE (64u * 1024)

struct xml_value {
    const char *name; /* in the dictionary */
    const char *text;
    unsigned line;
    bool prefixed;
};

struct xml_element {
    const char *name;
    const char *namespace;
    struct xml_element *parent, *child, *last_child, *next;
    struct xml_value *values;
    unsigned count;
    unsigned line, text_line;
};

struct arena_block {
    struct arena_block *next;
    _Alignas(max_align_t) unsigned char bytes[];
};

struct xml {
    xmlDictPtr dict; /* owns the names */
    struct arena_block *blocks;
    size_t block_used, block_size; /* of the first block */
    struct xml_element *root;
};

struct reading {
    xmlParserCtxtPtr context;
    struct xml *xml;
    const char *name;
    struct diag *diag;
    enum sealtape_status status; /* the first failure */
    struct xml_element *current;
    size_t depth, elements, attributes, namespaces;
};

static void *arena_take(struct xml *xml, size_t size)
{
    const size_t align = _Alignof(max_align_t);
    struct arena_block *block;
    void *taken;

    size = (size + align - 1) / align * align;
    if (!xml->blocks || xml->block_size - xml->block_used < size) {
        xml->block_size = size > ARENA_BLOCK_SIZE ? size : ARENA_BLOCK_SIZE;
        block = malloc(sizeof(*block) + xml->block_size);
        if (!block) {
            /* The next try must not take from a block that is not there. */
            xml->block_size = xml->block_used;
            return NULL;
        }
        block->next = xml->blocks;
        xml->blocks = block;
        xml->block_used = 0;
    }
    taken = xml->blocks->bytes + xml->block_used;
    xml->block_used += size;
    return taken;
}

void xml_free(struct xml **xml)
{
    struct arena_block *block;

    if (!*xml)
        return;
    while ((block = (*xml)->blocks) != NULL) {
        (*xml)->blocks = block->next;
        free(block);
    }
    if ((*xml)->dict)
        xmlDictFree((*xml)->dict);
    free(*xml);
    *xml = NULL;
}

/* Keep the first reason and stop reading. */
static void PRINTF_LIKE(4, 5) refuse(struct reading *reading, enum sealtape_status status,
        unsigned line, const char *format, ...)
{
    char text[DIAG_TEXT_MAX];
    va_list args;

    if (reading->status == SEALTAPE_OK) {
        va_start(args, format);
        (void)vsnprintf(text, sizeof(text), format, args);
        va_end(args);
        reading->status = diag_fail(reading->diag, status, "%s:%u: %s", reading->name, line, text);
    }
    xmlStopParser(reading->context);
}

static unsigned line_now(const struct reading *reading)
{
    int line = reading->context->input ? reading->context->input->line : 0;

    return line > 0 ? (unsigned)line : 1;
}

static unsigned newlines(const xmlChar *from, const xmlChar *to)
{
    unsigned count = 0;

    for (; from < to; from++)
        count += *from == '\n';
    return count;
}

/*
 * Encodings that keep ASCII as it is, and UTF-16: check_bytes() understands
 * these, and a converter of exotic ones is one parser of foreign bytes less.
 */
static bool encoding_is_read(const char *encoding)
{
    static const char *const names[] = {"UTF-8", "UTF8", "UTF-16", "UTF-16LE", "UTF-16BE",
            "US-ASCII", "ASCII", "ISO-LATIN-1", "LATIN1"};
    static const char *const families[] = {"ISO-8859-", "WINDOWS-125", "CP125"};

    for (size_t i = 0; i < ARRAY_COUNT(names); i++) {
        if (strcasecmp(encoding, names[i]) == 0)
            return true;
    }
    for (size_t i = 0; i < ARRAY_COUNT(families); i++) {
        if (strncasecmp(encoding, families[i], strlen(families[i])) == 0)
            return true;
    }
    return false;
}

static void on_document(void *user)
{
    struct reading *reading = user;
    const char *encoding = (const char *)reading->context->encoding;

    /* libxml2 keeps the name here or there, by the kind of the encoding. */
    if (!encoding && reading->context->input)
        encoding = (const char *)reading->context->input->encoding;
    if (encoding && !encoding_is_read(encoding))
        refuse(reading, SEALTAPE_E_CONFIG, 1,
                "expected the encoding UTF-8, UTF-16, ISO-8859 or Windows-125x, found \"%.40s\"",
                encoding);
}

static void on_doctype(
        void *user, const xmlChar *name, const xmlChar *external, const xmlChar *system)
{
    struct reading *reading = user;

    (void)name;
    (void)external;
    (void)system;
    refuse(reading, SEALTAPE_E_CONFIG, line_now(reading),
            "a DOCTYPE is not allowed; remove it, and its entities");
}

/*
 * Lines of the tag that was just read and of its attributes. A tag cannot hold
 * a '<' but its first, so the text before the cursor is enough to find them.
 */
static void find_lines(struct reading *reading, struct xml_element *element)
{
    const xmlParserInput *input = reading->context->input;
    const xmlChar *at = input->cur, *const end = input->cur;
    unsigned count = 0, line;

    element->line = line_now(reading);
    for (unsigned i = 0; i < element->count; i++)
        element->values[i].line = element->line;
    while (at > input->base && *at != '<')
        at--;
    if (*at != '<')
        return;
    line = element->line - newlines(at, end);
    element->line = line;
    while (at < end && count < element->count) {
        const xmlChar *equals = memchr(at, '=', (size_t)(end - at));
        const xmlChar *name, *open, *close;

        if (!equals)
            return;
        for (name = equals; name > at && strchr(" \t\r\n", name[-1]); name--)
            ;
        while (name > at && !strchr(" \t\r\n", name[-1]))
            name--;
        for (open = equals + 1; open < end && *open != '"' && *open != '\''; open++)
            ;
        close = open + 1 < end ? memchr(open + 1, *open, (size_t)(end - open - 1)) : NULL;
        if (!close)
            return;
        line += newlines(at, name);
        if (strncmp((const char *)name, "xmlns=", 6) != 0
                && strncmp((const char *)name, "xmlns:", 6) != 0)
            element->values[count++].line = line;
        line += newlines(name, close);
        at = close;
    }
}

/* libxml2 hands over five pointers an attribute: name, prefix, namespace, value, its end. */
static bool copy_attributes(
        struct reading *reading, struct xml_element *element, const xmlChar **attributes)
{
    for (unsigned i = 0; i < element->count; i++, attributes += 5) {
        struct xml_value *value = &element->values[i];
        size_t len = (size_t)(attributes[4] - attributes[3]);
        char *text;

        value->name = (const char *)attributes[0];
        value->prefixed = attributes[1] != NULL;
        if (value->prefixed && !element->namespace)
            element->namespace = (const char *)attributes[2];
        if (len > XML_VALUE_MAX) {
            refuse(reading, SEALTAPE_E_CONFIG, line_now(reading),
                    "attribute %.60s has %zu bytes; at most %u are read", value->name, len,
                    XML_VALUE_MAX);
            return false;
        }
        text = arena_take(reading->xml, len + 1);
        if (!text) {
            refuse(reading, SEALTAPE_E_MEMORY, line_now(reading), "no memory");
            return false;
        }
        memcpy(text, attributes[3], len);
        text[len] = '\0';
        value->text = text;
    }
    return true;
}

static bool within_limits(struct reading *reading, unsigned attributes, unsigned namespaces)
{
    const struct {
        const char *what;
        size_t is, max;
    } limits[] = {
            {"elements inside each other", ++reading->depth, XML_DEPTH_MAX},
            {"elements", ++reading->elements, XML_ELEMENTS_MAX},
            {"attributes", reading->attributes += attributes, XML_ATTRIBUTES_MAX},
            {"namespace declarations", reading->namespaces += namespaces, XML_NAMESPACES_MAX},
    };

    for (size_t i = 0; i < ARRAY_COUNT(limits); i++) {
        if (limits[i].is <= limits[i].max)
            continue;
        refuse(reading, SEALTAPE_E_CONFIG, line_now(reading), "more than %zu %s", limits[i].max,
                limits[i].what);
        return false;
    }
    return true;
}

static void on_element(void *user, const xmlChar *name, const xmlChar *prefix, const xmlChar *uri,
        int namespaces_count, const xmlChar **namespaces, int count, int defaulted,
        const xmlChar **attributes)
{
    struct reading *reading = user;
    struct xml_element *element;

    (void)prefix;
    (void)namespaces;
    (void)defaulted;
    if (!within_limits(reading, (unsigned)count, (unsigned)namespaces_count))
        return;
    element = arena_take(reading->xml, sizeof(*element));
    if (element) {
        *element = (struct xml_element){.name = (const char *)name,
                .namespace = (const char *)uri,
                .parent = reading->current,
                .count = (unsigned)count};
        element->values = arena_take(reading->xml, (unsigned)count * sizeof(struct xml_value));
    }
    if (!element || !element->values) {
        refuse(reading, SEALTAPE_E_MEMORY, line_now(reading), "no memory");
        return;
    }
    if (!copy_attributes(reading, element, attributes))
        return;
    find_lines(reading, element);
    if (!element->parent)
        reading->xml->root = element;
    else if (!element->parent->child)
        element->parent->child = element;
    else
        element->parent->last_child->next = element;
    if (element->parent)
        element->parent->last_child = element;
    reading->current = element;
}

static void on_element_end(
        void *user, const xmlChar *name, const xmlChar *prefix, const xmlChar *uri)
{
    struct reading *reading = user;

    (void)name;
    (void)prefix;
    (void)uri;
    if (!reading->current)
        return;
    reading->current = reading->current->parent;
    reading->depth--;
    reading->namespaces = (size_t)reading->context->nsNr / 2;
}

static void on_text(void *user, const xmlChar *text, int len)
{
    struct reading *reading = user;
    struct xml_element *element = reading->current;

    if (!element || element->text_line)
        return;
    for (int i = 0; i < len; i++) {
        unsigned after, now;

        if (strchr(" \t\r\n", text[i]) && text[i])
            continue;
        now = line_now(reading);
        after = newlines(text + i, text + len);
        element->text_line = now > after ? now - after : 1;
        return;
    }
}

static void on_error(void *user, xmlErrorPtr error)
{
    struct reading *reading = user;
    const char *message = error->message ? error->message : "not well-formed";

    if (error->level < XML_ERR_ERROR || reading->status != SEALTAPE_OK)
        return;
    /* What follows the first line is a copy of the input. */
    reading->status = diag_fail(reading->diag,
            error->code == XML_ERR_NO_MEMORY ? SEALTAPE_E_MEMORY : SEALTAPE_E_CONFIG,
            "%s:%d: not well-formed XML: %.*s", reading->name, error->line > 0 ? error->line : 1,
            (int)strcspn(message, "\n"), message);
}

/* The code units of a document, of one byte or of two. */
struct units {
    const unsigned char *bytes;
    size_t count, width, low; /* low: where in a unit its low byte stands */
};

static unsigned unit_at(const struct units *units, size_t index)
{
    const unsigned char *unit = units->bytes + index * units->width;

    if (units->width == 1)
        return unit[0];
    return (unsigned)unit[units->low] | (unsigned)unit[1 - units->low] << 8;
}

static bool find_units(const unsigned char *bytes, size_t len, struct units *ret_units)
{
    static const unsigned char refused[][4] = {{0, 0, 0, '<'}, {'<', 0, 0, 0}, {0, '<', 0, 0},
            {0, 0, '<', 0}, {0x4c, 0x6f, 0xa7, 0x94}, {0, 0, 0xfe, 0xff}, {0xff, 0xfe, 0, 0}};
    bool big, little;

    for (size_t i = 0; i < ARRAY_COUNT(refused) && len >= 4; i++) {
        if (memcmp(bytes, refused[i], 4) == 0)
            return false;
    }
    little = len >= 2 && ((bytes[0] == 0xff && bytes[1] == 0xfe) || (bytes[0] && !bytes[1]));
    big = len >= 2 && ((bytes[0] == 0xfe && bytes[1] == 0xff) || (!bytes[0] && bytes[1]));
    *ret_units = (struct units){bytes, len, 1, 0};
    if (little || big)
        *ret_units = (struct units){bytes, len / 2, 2, big};
    return true;
}

/*
 * What libxml2 does badly, before it sees the document: NULs, which it takes
 * for an end, and tags with very many attributes, which it compares each with
 * each. No '<' can stand within a tag, whatever else is wrong with it.
 */
static enum sealtape_status check_bytes(
        const char *name, const void *bytes, size_t len, struct diag *diag)
{
    struct units units;
    unsigned line = 1, attributes = 0;
    bool equals = false;

    if (!find_units(bytes, len, &units))
        return diag_fail(diag, SEALTAPE_E_CONFIG,
                "%s:1: expected the encoding UTF-8 or UTF-16, found UCS-4 or EBCDIC", name);
    for (size_t i = 0; i < units.count; i++) {
        unsigned unit = unit_at(&units, i);

        line += unit == '\n';
        if (unit == 0)
            return diag_fail(diag, SEALTAPE_E_CONFIG, "%s:%u: a NUL stands here", name, line);
        if (unit == '<')
            attributes = 0;
        if ((unit == '"' || unit == '\'') && equals && ++attributes > XML_ATTRIBUTES_OF_ONE_MAX)
            return diag_fail(diag, SEALTAPE_E_CONFIG, "%s:%u: more than %u attributes in one tag",
                    name, line, XML_ATTRIBUTES_OF_ONE_MAX);
        if (unit != ' ' && unit != '\t' && unit != '\r' && unit != '\n')
            equals = unit == '=';
    }
    return SEALTAPE_OK;
}

static void free_context(xmlParserCtxtPtr *context)
{
    /* No document is ever built; ours is elsewhere. */
    if (*context)
        xmlFreeParserCtxt(*context);
    *context = NULL;
}

/* Nothing of libxml2's global state is used: a host may have its own handlers there. */
static void set_handlers(xmlParserCtxtPtr context, struct reading *reading)
{
    memset(context->sax, 0, sizeof(*context->sax));
    context->sax->initialized = XML_SAX2_MAGIC;
    context->sax->startDocument = on_document;
    context->sax->internalSubset = on_doctype;
    context->sax->startElementNs = on_element;
    context->sax->endElementNs = on_element_end;
    context->sax->characters = on_text;
    context->sax->cdataBlock = on_text;
    context->sax->serror = on_error;
    context->userData = reading;
    /* Huge: limits of ours stand instead, and libxml2's end at 10 MB of look-ahead. */
    (void)xmlCtxtUseOptions(context, XML_PARSE_NONET | XML_PARSE_BIG_LINES | XML_PARSE_HUGE);
}

enum sealtape_status xml_parse(
        const char *name, const void *bytes, size_t len, struct xml **ret_xml, struct diag *diag)
{
    CLEANUP(xml_free) struct xml *xml = NULL;
    CLEANUP(free_context) xmlParserCtxtPtr context = NULL;
    struct reading reading = {.name = name, .diag = diag};
    enum sealtape_status st;

    if (len == 0)
        return diag_fail(diag, SEALTAPE_E_CONFIG, "%s:1: the file is empty", name);
    if (len > XML_DOCUMENT_MAX)
        return diag_fail(diag, SEALTAPE_E_CONFIG, "%s:1: %zu bytes; at most %u are read", name, len,
                XML_DOCUMENT_MAX);
    st = check_bytes(name, bytes, len, diag);
    if (st != SEALTAPE_OK)
        return st;

    xmlInitParser();
    xml = calloc(1, sizeof(*xml));
    context = xml ? xmlCreateMemoryParserCtxt(bytes, (int)len) : NULL;
    if (!context)
        return diag_fail(diag, SEALTAPE_E_MEMORY, "%s: no memory to read it", name);
    reading.context = context;
    reading.xml = xml;
    set_handlers(context, &reading);
    xml->dict = context->dict;
    xmlDictReference(xml->dict);
    (void)xmlParseDocument(context);
    if (reading.status != SEALTAPE_OK)
        return reading.status;
    if (!context->wellFormed || !xml->root)
        return diag_fail(
                diag, SEALTAPE_E_CONFIG, "%s:%u: not well-formed XML", name, line_now(&reading));
    *ret_xml = TAKE(xml);
    return SEALTAPE_OK;
}

const struct xml_element *xml_root(const struct xml *xml)
{
    return xml->root;
}

const struct xml_element *xml_child(const struct xml_element *element)
{
    return element->child;
}

const struct xml_element *xml_next(const struct xml_element *element)
{
    return element->next;
}

const char *xml_name(const struct xml_element *element)
{
    return element->name;
}

unsigned xml_line(const struct xml_element *element)
{
    return element->line;
}

unsigned xml_text_line(const struct xml_element *element)
{
    return element->text_line;
}

const char *xml_namespace(const struct xml_element *element)
{
    return element->namespace;
}

/* One without a prefix goes before one with. */
static const struct xml_value *find_value(const struct xml_element *element, const char *name)
{
    const struct xml_value *found = NULL;

    for (unsigned i = 0; i < element->count; i++) {
        const struct xml_value *value = &element->values[i];

        if (strcmp(value->name, name) == 0 && (!found || (found->prefixed && !value->prefixed)))
            found = value;
    }
    return found;
}

const char *xml_attribute(const struct xml_element *element, const char *name)
{
    const struct xml_value *value = find_value(element, name);

    return value ? value->text : NULL;
}

unsigned xml_attribute_line(const struct xml_element *element, const char *name)
{
    const struct xml_value *value = find_value(element, name);

    return value ? value->line : element->line;
}

int xml_attribute_at(const struct xml_element *element, size_t index, const char **ret_name,
        const char **ret_value)
{
    if (index >= element->count)
        return 0;
    *ret_name = element->values[index].name;
    *ret_value = element->values[index].text;
    return 1;
}
