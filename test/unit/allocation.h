/*
 * Memory that fails on demand: malloc, calloc, realloc, reallocarray, strdup,
 * strndup and asprintf of the code under test, wrapped by the linker
 * (allocation_wraps in meson.build).
 *
 *   unsigned nth = 0;
 *
 *   do {
 *       allocation_fail(++nth);
 *       st = thing_new(&thing);
 *       failed = allocation_failed();
 *       ...
 *   } while (failed);
 */
#ifndef SEALTAPE_TEST_ALLOCATION_H
#define SEALTAPE_TEST_ALLOCATION_H

#include <stdbool.h>
#include <stddef.h>

/* The @nth allocation of this thread from now on fails, counted from 1. */
void allocation_fail(unsigned nth);

/* Did it come to that? None fails from now on. */
bool allocation_failed(void);

/* For libraries that take their memory from a function that they are given. */
void *allocation_malloc(size_t size);
void *allocation_realloc(void *old, size_t size);
char *allocation_strdup(const char *text);

#endif
