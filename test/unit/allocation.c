#include "allocation.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/diag.h"

/* 0: none fails. Other threads go on undisturbed. */
static _Thread_local unsigned until_failure;
static _Thread_local bool has_failed;

void allocation_fail(unsigned nth)
{
    until_failure = nth;
    has_failed = false;
}

bool allocation_failed(void)
{
    until_failure = 0;
    return has_failed;
}

static bool fails_now(void)
{
    if (until_failure == 0 || --until_failure > 0)
        return false;
    has_failed = true;
    return true;
}

void *__real_malloc(size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_malloc(size_t size)
{
    return fails_now() ? NULL : __real_malloc(size);
}

void *__real_calloc(size_t count, size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_calloc(size_t count, size_t size)
{
    return fails_now() ? NULL : __real_calloc(count, size);
}

void *__real_realloc(void *old, size_t size);
void *__wrap_realloc(void *old, size_t size);
void *__wrap_realloc(void *old, size_t size)
{
    return fails_now() ? NULL : __real_realloc(old, size);
}

void *__real_reallocarray(void *old, size_t count, size_t size);
void *__wrap_reallocarray(void *old, size_t count, size_t size);
void *__wrap_reallocarray(void *old, size_t count, size_t size)
{
    return fails_now() ? NULL : __real_reallocarray(old, count, size);
}

char *__real_strdup(const char *text);
char *__wrap_strdup(const char *text);
char *__wrap_strdup(const char *text)
{
    return fails_now() ? NULL : __real_strdup(text);
}

char *__real_strndup(const char *text, size_t len);
char *__wrap_strndup(const char *text, size_t len);
char *__wrap_strndup(const char *text, size_t len)
{
    return fails_now() ? NULL : __real_strndup(text, len);
}

int __wrap_asprintf(char **ret_text, const char *format, ...) PRINTF_LIKE(2, 3);
int __wrap_asprintf(char **ret_text, const char *format, ...)
{
    va_list args;
    int len;

    if (fails_now()) {
        /* What glibc leaves behind is undefined. */
        *ret_text = (char *)(uintptr_t)1;
        return -1;
    }
    va_start(args, format);
    len = vasprintf(ret_text, format, args);
    va_end(args);
    return len;
}

void *allocation_malloc(size_t size)
{
    return malloc(size);
}

void *allocation_realloc(void *old, size_t size)
{
    return realloc(old, size);
}

char *allocation_strdup(const char *text)
{
    return strdup(text);
}
