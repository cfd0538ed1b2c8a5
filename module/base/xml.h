/*
 * XML, read whole and then walked. The one home of libxml2.
 *
 * Nothing outside the given bytes is ever read: no external entity, no DTD, no
 * network. Entity expansion, depth, size of attributes and of the document are
 * bounded. Every element and attribute knows its line. Names are local names;
 * namespaces are passed over.
 */
#ifndef SEALTAPE_BASE_XML_H
#define SEALTAPE_BASE_XML_H

#include <stddef.h>

#include "base/diag.h"

/* The largest document that is read, bytes. */
#define XML_DOCUMENT_MAX (64u * 1024 * 1024)
/* The largest value of an attribute, bytes as UTF-8. */
#define XML_VALUE_MAX (1024u * 1024)
/* Elements inside each other, elements and attributes of a document, attributes of an element. */
#define XML_DEPTH_MAX 64u
#define XML_ELEMENTS_MAX 1000000u
#define XML_ATTRIBUTES_MAX 2000000u
#define XML_ATTRIBUTES_OF_ONE_MAX 512u
/* Namespace declarations that hold at one place. */
#define XML_NAMESPACES_MAX 256u

struct xml;
struct xml_element;

/*
 * Parse a document. [setup]
 *
 * UTF-8, UTF-16, ASCII, ISO 8859 and the Windows code pages 1250 to 1258 are
 * read; other encodings, any DOCTYPE and any entity but the five of XML are
 * errors.
 *
 * @name stands in messages ("record.xml:12: ..."). @ret_xml is owned by the caller.
 *
 *   SEALTAPE_E_CONFIG  not well-formed, or beyond a limit; @diag has file, line, reason
 *   SEALTAPE_E_MEMORY  no memory
 */
enum sealtape_status xml_parse(const char *name, const void *bytes, size_t len,
        struct xml **ret_xml, struct diag *diag) MUST_CHECK;

void xml_free(struct xml **xml);

/* All that follows is borrowed from the document and lives as long. [any] */
const struct xml_element *xml_root(const struct xml *xml);
/* First child element, next sibling element; NULL at the end. */
const struct xml_element *xml_child(const struct xml_element *element);
const struct xml_element *xml_next(const struct xml_element *element);
const char *xml_name(const struct xml_element *element);
/* The line where the start tag begins, from 1. */
unsigned xml_line(const struct xml_element *element);
/* The line of the first character data that is not blank in the element itself; 0: none. */
unsigned xml_text_line(const struct xml_element *element);
/* The first namespace in which the element or one of its attributes stands, or NULL. */
const char *xml_namespace(const struct xml_element *element);
/* An attribute's value by local name, or NULL. The value is normalized as XML says:
 * raw newlines arrive as blanks, character references as they are. */
const char *xml_attribute(const struct xml_element *element, const char *name);
/* Attribute @index, counted from 0, for those who look at all; 0 past the end, else 1. */
int xml_attribute_at(const struct xml_element *element, size_t index, const char **ret_name,
        const char **ret_value);
/* The line where the attribute stands; the element's where it has no such attribute. */
unsigned xml_attribute_line(const struct xml_element *element, const char *name);

#endif
