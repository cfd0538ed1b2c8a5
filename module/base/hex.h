/*
 * Bytes as lower-case hex digits and back.
 */
#ifndef SEALTAPE_BASE_HEX_H
#define SEALTAPE_BASE_HEX_H

#include <stddef.h>

#include "base/status.h"

/* @ret_text takes 2 * @len digits and a NUL. [any] */
void hex_encode(const void *bytes, size_t len, char *ret_text);

/* Exactly 2 * @len digits of either case. [any] SEALTAPE_E_USAGE: they are not. */
enum sealtape_status hex_decode(const char *text, void *ret_bytes, size_t len) MUST_CHECK;

#endif
