/*
 * Tags and lengths of DER (X.690, 10): read strictly, written shortest. Only
 * what libtasn1 does not do: values whose content is not at hand, because it is
 * many GiB of ciphertext in a file.
 */
#ifndef SEALTAPE_BASE_DER_H
#define SEALTAPE_BASE_DER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/diag.h"

#define DER_INTEGER 0x02
#define DER_OCTET_STRING 0x04
#define DER_SEQUENCE 0x30
#define DER_SET 0x31
#define DER_CONTEXT_0 0x80
#define DER_CONTEXT_0_CONSTRUCTED 0xa0
/* Tag octet and a length of nine. */
#define DER_HEADER_MAX 10

/* Identifier and length octets of one value; tags are of one octet. */
struct der_header {
    uint8_t tag;
    size_t size; /* octets of the header itself */
    uint64_t len;
};

/*
 * Read the header that stands at @bytes, of which @len are at hand. [any]
 *
 *   SEALTAPE_E_USAGE  cut off, indefinite, not the shortest form, or a tag of many octets
 */
enum sealtape_status der_read(
        const uint8_t *bytes, size_t len, struct der_header *ret_header) MUST_CHECK;

/* Write a header; returns its size. @to NULL: only the size. [any] */
size_t der_put(uint8_t *to, uint8_t tag, uint64_t len);

/* Definite, shortest, nested within bounds, to the last byte? [any] All @len bytes are one
 * value after another. */
bool der_is_strict(const uint8_t *bytes, size_t len);

#endif
