/*
 * The other implementation that the seal is tested against: the openssl
 * program, in a temporary directory of the test.
 */
#ifndef SEALTAPE_TEST_OPENSSL_H
#define SEALTAPE_TEST_OPENSSL_H

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"

/* Make one, work in it, and leave it for good at the end; group set-up and tear-down. */
static inline int temporary_enter(void **state)
{
    static char directory[] = "/tmp/sealtape-seal-XXXXXX";

    (void)state;
    return mkdtemp(directory) && chdir(directory) == 0 ? 0 : -1;
}

static inline int temporary_leave(void **state)
{
    char directory[256];
    DIR *entries = opendir(".");
    struct dirent *entry;

    (void)state;
    if (!entries || !getcwd(directory, sizeof(directory)))
        return -1;
    while ((entry = readdir(entries)))
        unlinkat(dirfd(entries), entry->d_name, 0);
    closedir(entries);
    return chdir("/") == 0 ? rmdir(directory) : -1;
}

/* Run a shell command in the temporary directory; its exit status. */
static inline int run(const char *format, ...) PRINTF_LIKE(1, 2);
static inline int run(const char *format, ...)
{
    char command[2048];
    va_list args;

    va_start(args, format);
    ignore(vsnprintf(command, sizeof(command), format, args) < 0);
    va_end(args);
    return system(command);
}

static inline void store(const char *name, const void *bytes, size_t len)
{
    assert_int_equal(file_replace(AT_FDCWD, name, bytes, len, 0, NULL), SEALTAPE_OK);
}

/* The caller frees; a missing file fails the test. */
static inline char *load(const char *name, size_t *ret_len)
{
    char *bytes = NULL;

    assert_int_equal(
            file_read(AT_FDCWD, name, 64u * 1024 * 1024, &bytes, ret_len, NULL), SEALTAPE_OK);
    return bytes;
}

#endif
