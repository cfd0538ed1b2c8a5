#include "profile/private_key.h"

#include <ctype.h>
#include <stdint.h>
#include <string.h>

#include "base/status.h"

/*
 * The text as it is searched: without white space, NULs (UTF-16), literal \n,
 * with character references resolved. Only its last bytes are kept.
 */
#define WINDOW_SIZE 64u
struct window {
    char last[WINDOW_SIZE];
    size_t len;
};

static void window_push(struct window *window, char c)
{
    if (window->len == WINDOW_SIZE) {
        memmove(window->last, window->last + 1, WINDOW_SIZE - 1);
        window->len--;
    }
    window->last[window->len++] = c;
}

/* "&#80;" or "&#x50;" at @at: its character and the bytes it takes; 0: none. */
static size_t reference_at(const char *text, size_t len, size_t at, char *ret_c)
{
    bool hex = at + 2 < len && (text[at + 2] == 'x' || text[at + 2] == 'X');
    size_t i = at + (hex ? 3 : 2);
    unsigned value = 0;

    if (at + 2 >= len || text[at] != '&' || text[at + 1] != '#')
        return 0;
    for (; i < len && i < at + 12 && text[i] != ';'; i++) {
        char c = text[i];

        if (c >= '0' && c <= '9')
            value = value * (hex ? 16 : 10) + (unsigned)(c - '0');
        else if (hex && isxdigit((unsigned char)c))
            value = value * 16 + (unsigned)(tolower((unsigned char)c) - 'a' + 10);
        else
            return 0;
    }
    if (i >= len || text[i] != ';' || value > 0x7f)
        return 0;
    *ret_c = (char)value;
    return i + 1 - at;
}

/* The next character that counts, from *at, which is moved behind it; 0 at the end. */
static char next_character(const char *text, size_t len, size_t *at)
{
    while (*at < len) {
        char c = text[*at];
        size_t reference = reference_at(text, len, *at, &c);

        *at += reference > 0 ? reference : 1;
        if (c == '\\') {
            size_t escape = *at;

            while (escape < len && (text[escape] == '\\' || text[escape] == '\0'))
                escape++;
            if (escape < len
                    && (text[escape] == 'n' || text[escape] == 'r' || text[escape] == 't')) {
                *at = escape + 1;
                continue;
            }
        }
        if (c != '\0' && c != ' ' && !(c >= '\t' && c <= '\r'))
            return c;
    }
    return '\0';
}

static bool ends_in(const struct window *window, const char *pattern)
{
    size_t len = strlen(pattern);
    const char *from = window->last + window->len - len;

    if (window->len < len)
        return false;
    for (size_t i = 0; i < len; i++) {
        if (pattern[i] != '?' && pattern[i] != from[i])
            return false;
    }
    return true;
}

/* Base64 of what private keys begin with; '?' is any character. */
static bool ends_in_bare_key(const struct window *window)
{
    static const char *const patterns[] = {
            "MII???IBAAKB",             /* PKCS#1 */
            "MII???IBAAKC",             /* PKCS#1 */
            "IBADANBgkqhkiG9w0BAQEF",   /* PKCS#8, RSA, long lengths */
            "AgEAMA0GCSqGSIb3DQEBAQUA", /* PKCS#8, RSA, short lengths */
            "AgEAMBMGByqGSM49AgEG",     /* PKCS#8, EC */
            "IBADATBgcqhkjOPQIB",       /* PKCS#8, EC, long lengths */
            "MHcCAQEEI",                /* SEC 1, P-256 */
            "MIGkAgEBBD",               /* SEC 1, P-384 */
            "AgEAMAUGAytlcAQi",         /* PKCS#8, Ed25519 */
            "MC4CAQAwBQYDK2VwBCIE",     /* PKCS#8, Ed25519 */
            "BgkqhkiG9w0BBQ0w",         /* PKCS#8, encrypted by PBES2 */
            "GCSqGSIb3DQEFDT",          /* PKCS#8, encrypted by PBES2 */
            "b3BlbnNzaC1rZXktdjEA",     /* OpenSSH */
    };
    char last = window->last[window->len - 1];

    for (size_t i = 0; i < ARRAY_COUNT(patterns); i++) {
        if (patterns[i][strlen(patterns[i]) - 1] == last && ends_in(window, patterns[i]))
            return true;
    }
    return false;
}

static bool word_before(const struct window *window, size_t at, const char *word, bool any_case)
{
    size_t len = strlen(word);

    if (at < len)
        return false;
    return any_case ? strncasecmp(window->last + at - len, word, len) == 0
                    : strncmp(window->last + at - len, word, len) == 0;
}

/* What stands between BEGIN and PRIVATE at the most: "SSH2 ENCRYPTED", "RSA", nothing. */
#define KIND_MAX 24u

/*
 * The window ends in PRIVATEKEY: is it a label? Upper case is enough; any case will
 * do beside a dash, so that prose in a description is none.
 */
static bool ends_in_label(const struct window *window, char next)
{
    size_t at = window->len - strlen("PRIVATEKEY");
    bool upper = strncmp(window->last + at, "PRIVATEKEY", strlen("PRIVATEKEY")) == 0;

    for (size_t kind = 0; kind <= KIND_MAX && at >= kind; kind++) {
        static const char *const words[] = {"BEGIN", "END"};

        if (kind > 0 && !isalnum((unsigned char)window->last[at - kind]))
            return false;
        for (size_t i = 0; i < ARRAY_COUNT(words); i++) {
            size_t word = at - kind;
            size_t len = strlen(words[i]);

            if (upper && word_before(window, word, words[i], false))
                return true;
            if (word_before(window, word, words[i], true)
                    && (next == '-' || (word > len && window->last[word - len - 1] == '-')))
                return true;
        }
    }
    return false;
}

bool private_key_find(const char *text, size_t len, size_t *ret_end)
{
    struct window window = {{0}, 0};
    bool found = false;
    size_t at = 0;

    while (!found && at < len) {
        char c = next_character(text, len, &at);

        if (c == '\0')
            break;
        window_push(&window, c);
        if ((c == 'Y' || c == 'y') && word_before(&window, window.len, "PRIVATEKEY", true)) {
            size_t ahead = at;

            found = ends_in_label(&window, next_character(text, len, &ahead));
        } else if (c == ':') {
            found = word_before(&window, window.len, "Private-Lines:", true);
        } else {
            found = ends_in_bare_key(&window);
        }
    }
    explicit_bzero(&window, sizeof(window));
    if (found && ret_end)
        *ret_end = at;
    return found;
}

/* Where the body that begins at @from ends: at a quote, a tag or the dashes of END. */
static size_t body_end(const char *text, size_t len, size_t from)
{
    size_t i = from;

    while (i < len && text[i] != '"' && text[i] != '\'' && text[i] != '<'
            && !(i > from && text[i - 1] == '-' && len - i >= 3 && memcmp(text + i, "END", 3) == 0))
        i++;
    while (i > from && i < len && text[i - 1] == '-')
        i--;
    return i;
}

bool private_key_blank(char *text, size_t len, unsigned *ret_line)
{
    size_t from = 0, end = 0;
    bool found = false;

    while (from < len && private_key_find(text + from, len - from, &end)) {
        size_t label_end = from + end, stop;

        while (label_end < len && text[label_end] == '-')
            label_end++;
        stop = body_end(text, len, label_end);
        if (!found && ret_line) {
            *ret_line = 1;
            for (size_t i = 0; i < label_end; i++)
                *ret_line += text[i] == '\n';
        }
        found = true;
        for (size_t i = label_end; i < stop; i++) {
            if (text[i] != '\n' && text[i] != '\r' && text[i] != '\0')
                text[i] = 'x';
        }
        from = stop;
    }
    return found;
}
