#include "spool/attempts.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define VERSION "1 "
#define VERSION_LEN (sizeof(VERSION) - 1)
#define SUFFIX ".part"
#define SUFFIX_LEN (sizeof(SUFFIX) - 1)

/* "https://store.example/a/<media id>.<anything>.part", printable and without spaces. */
static bool is_attempt(const char *url, size_t len, const char *media_id)
{
    size_t id_len = strlen(media_id);
    const char *name;

    for (size_t i = 0; i < len; i++) {
        if ((unsigned char)url[i] <= ' ' || url[i] == 0x7f)
            return false;
    }
    name = memrchr(url, '/', len);
    if (!name || id_len == 0)
        return false;
    name++;
    len -= (size_t)(name - url);
    return len > id_len + SUFFIX_LEN && memcmp(name, media_id, id_len) == 0 && name[id_len] == '.'
           && memcmp(name + len - SUFFIX_LEN, SUFFIX, SUFFIX_LEN) == 0;
}

enum sealtape_status attempts_parse(
        const char *text, size_t len, const char *media_id, char ***ret_urls)
{
    const char *end = text + len, *newline;
    size_t lines = 0, count = 0;
    char **urls, *copy;

    for (size_t i = 0; i < len; i++)
        lines += text[i] == '\n';
    urls = malloc((lines + 1) * sizeof(*urls) + len + 1);
    if (!urls)
        return SEALTAPE_E_MEMORY;
    copy = (char *)(urls + lines + 1);
    for (; (newline = memchr(text, '\n', (size_t)(end - text))); text = newline + 1) {
        size_t line = (size_t)(newline - text);

        if (line <= VERSION_LEN || memcmp(text, VERSION, VERSION_LEN) != 0
                || !is_attempt(text + VERSION_LEN, line - VERSION_LEN, media_id))
            continue;
        line -= VERSION_LEN;
        memcpy(copy, text + VERSION_LEN, line);
        copy[line] = '\0';
        urls[count++] = copy;
        copy += line + 1;
    }
    urls[count] = NULL;
    *ret_urls = urls;
    return SEALTAPE_OK;
}
