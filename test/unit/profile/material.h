/*
 * Certificates for the tests of this folder, made by OpenSSL: root.pem signs
 * issuing.pem, that signs one, two, three (valid until 2120) and expired;
 * other.pem is a root of somebody else.
 */
#ifndef SEALTAPE_TEST_PROFILE_MATERIAL_H
#define SEALTAPE_TEST_PROFILE_MATERIAL_H

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../unit.h"
#include "base/file.h"

/* Text of "<name>.pem", malloc'ed. */
static inline char *material_read(const char *name)
{
    char path[4096], *text = NULL;
    size_t len = 0;

    (void)snprintf(path, sizeof(path), "%s/%s.pem", MATERIAL, name);
    assert_int_equal(file_read(AT_FDCWD, path, 1u << 20, &text, &len, NULL), SEALTAPE_OK);
    return text;
}

/* @text with every @from replaced, malloc'ed. */
static inline char *text_replace(const char *text, const char *from, const char *to)
{
    size_t size = strlen(text) * (strlen(to) + 1) + 1, len = 0;
    char *result = calloc(1, size);

    assert_non_null(result);
    while (*text) {
        if (strncmp(text, from, strlen(from)) == 0) {
            memcpy(result + len, to, strlen(to));
            len += strlen(to);
            text += strlen(from);
        } else {
            result[len++] = *text++;
        }
    }
    return result;
}

/* "<name>.pem" as an XML attribute or an option file has it: newlines become @newline. */
static inline char *material_line(const char *name, const char *newline)
{
    char *text = material_read(name), *line = text_replace(text, "\n", newline);

    free(text);
    return line;
}

/* sprintf() into malloc'ed memory. */
#define text_format(...)                                                                           \
    __extension__({                                                                                \
        char *text_made_ = NULL;                                                                   \
        assert_true(asprintf(&text_made_, __VA_ARGS__) >= 0);                                      \
        text_made_;                                                                                \
    })

#endif
