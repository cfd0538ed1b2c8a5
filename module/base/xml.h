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

struct xml;
struct xml_element;

/*
 * Parse a document. [setup]
 *
 * @name stands in messages ("record.xml:12: ..."). @ret_xml is owned by the caller.
 *
 *   SEALTAPE_E_CONFIG  not well-formed, or beyond a limit; @diag has file, line, reason
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
unsigned xml_line(const struct xml_element *element);
/* An attribute's value by local name, or NULL. The value is normalized as XML says:
 * raw newlines arrive as blanks, character references as they are. */
const char *xml_attribute(const struct xml_element *element, const char *name);
/* Attribute @index, counted from 0, for those who look at all; 0 past the end, else 1. */
int xml_attribute_at(const struct xml_element *element, size_t index, const char **ret_name,
        const char **ret_value);

#endif
