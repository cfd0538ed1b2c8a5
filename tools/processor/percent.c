#include "processor/percent.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "base/hex.h"

static void text_free(char **text)
{
    free(*text);
    *text = NULL;
}

static int is_utf8(const char *text, size_t len)
{
    json_t *string = json_stringn(text, len);
    int valid = string != NULL;

    json_decref(string);
    return valid;
}

enum sealtape_status percent_decode(
        const char *text, size_t len, enum percent_plus plus, char **ret_text)
{
    CLEANUP(text_free) char *decoded = malloc(len + 1);
    size_t used = 0;
    size_t at;

    if (!decoded)
        return SEALTAPE_E_MEMORY;
    for (at = 0; at < len; at++) {
        char c = text[at];

        if (c == '%') {
            char digits[3];

            if (len - at < 3)
                return SEALTAPE_E_USAGE;
            memcpy(digits, text + at + 1, 2);
            digits[2] = '\0';
            if (hex_decode(digits, &c, 1) != SEALTAPE_OK)
                return SEALTAPE_E_USAGE;
            at += 2;
        } else if (c == '+' && plus == PERCENT_PLUS_IS_BLANK) {
            c = ' ';
        }
        if (c == '\0')
            return SEALTAPE_E_USAGE;
        decoded[used++] = c;
    }
    decoded[used] = '\0';
    if (!is_utf8(decoded, used))
        return SEALTAPE_E_USAGE;
    *ret_text = TAKE(decoded);
    return SEALTAPE_OK;
}

static int is_unreserved(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-'
           || c == '.' || c == '_' || c == '~';
}

char *percent_encode(const char *text)
{
    static const char digits[] = "0123456789ABCDEF";
    char *encoded = malloc(3 * strlen(text) + 1);
    char *to = encoded;

    if (!encoded)
        return NULL;
    for (; *text; text++) {
        unsigned char byte = (unsigned char)*text;

        if (is_unreserved(*text)) {
            *to++ = *text;
            continue;
        }
        *to++ = '%';
        *to++ = digits[byte >> 4];
        *to++ = digits[byte & 15];
    }
    *to = '\0';
    return encoded;
}
