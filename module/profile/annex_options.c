#include <stdlib.h>
#include <string.h>

#include "profile/annex.h"

/* A piece of the text: a line, or what remains of it. */
struct piece {
    const char *text;
    size_t len;
};

struct reader {
    const char *file;
    struct piece rest;
    unsigned line; /* of the last line taken */
    struct annex *annex;
    char section[256]; /* "": before the first one */
};

static bool take_line(struct reader *reader, struct piece *ret_line)
{
    const char *end;

    if (reader->rest.len == 0)
        return false;
    end = memchr(reader->rest.text, '\n', reader->rest.len);
    ret_line->text = reader->rest.text;
    ret_line->len = end ? (size_t)(end - reader->rest.text) : reader->rest.len;
    reader->rest.text += ret_line->len + (end != NULL);
    reader->rest.len -= ret_line->len + (end != NULL);
    reader->line++;
    return true;
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\v' || c == '\f';
}

static struct piece trim(struct piece piece)
{
    while (piece.len > 0 && is_blank(*piece.text)) {
        piece.text++;
        piece.len--;
    }
    while (piece.len > 0 && is_blank(piece.text[piece.len - 1]))
        piece.len--;
    return piece;
}

static bool piece_is(struct piece piece, const char *word)
{
    return piece.len == strlen(word) && memcmp(piece.text, word, piece.len) == 0;
}

static size_t count(struct piece piece, const char *word)
{
    size_t number = 0;

    for (size_t at = 0; at < piece.len;) {
        const char *hit = memmem(piece.text + at, piece.len - at, word, strlen(word));

        if (!hit)
            break;
        number++;
        at = (size_t)(hit - piece.text) + strlen(word);
    }
    return number;
}

static long labels_open(struct piece piece)
{
    return (long)count(piece, "-----BEGIN") - (long)count(piece, "-----END");
}

/* Does the next line begin a PEM block? It belongs to the value above it. */
static bool block_follows(const struct reader *reader)
{
    struct reader ahead = *reader;
    struct piece line;

    if (!take_line(&ahead, &line))
        return false;
    line = trim(line);
    return line.len >= 10 && memcmp(line.text, "-----BEGIN", 10) == 0;
}

/* A PEM block pasted with its newlines: the value goes on up to the END label. */
static enum sealtape_status take_blocks(
        struct reader *reader, struct piece *value, struct diag *diag)
{
    unsigned begin = reader->line;
    long open = labels_open(*value);
    struct piece line;

    /* annex_add() refuses what is too long. */
    while (value->len <= ANNEX_VALUE_MAX && (open > 0 || block_follows(reader))) {
        if (!take_line(reader, &line) || (line.len > 0 && line.text[0] == '['))
            return diag_fail(diag, SEALTAPE_E_CONFIG,
                    "%s:%u: the PEM block that begins here has no END label", reader->file, begin);
        open += labels_open(line);
        value->len = (size_t)(line.text + line.len - value->text);
    }
    return SEALTAPE_OK;
}

static enum sealtape_status read_identity(
        struct reader *reader, struct piece key, struct piece value, struct diag *diag)
{
    struct annex *annex = reader->annex;
    char text[256];

    if (value.len >= sizeof(text))
        return diag_fail(diag, SEALTAPE_E_CONFIG, "%s:%u: longer than %zu bytes", reader->file,
                reader->line, sizeof(text) - 1);
    memcpy(text, value.text, value.len);
    text[value.len] = '\0';
    if (piece_is(key, "name")) {
        if (annex->name || value.len == 0)
            return diag_fail(diag, SEALTAPE_E_CONFIG, "%s:%u: expected one name, not empty",
                    reader->file, reader->line);
        annex->name = strdup(text);
        return annex->name ? SEALTAPE_OK
                           : diag_fail(diag, SEALTAPE_E_MEMORY, "%s: no memory", reader->file);
    }
    if (piece_is(key, "tenant-dbid")) {
        if (annex_number(text, &annex->tenant_dbid) != SEALTAPE_OK)
            return diag_fail(diag, SEALTAPE_E_CONFIG,
                    "%s:%u: tenant-dbid: expected a number from 1", reader->file, reader->line);
        return SEALTAPE_OK;
    }
    if (piece_is(key, "state")) {
        annex->has_state = true;
        annex->enabled = piece_is(value, "1") || piece_is(value, "CFGEnabled");
        return SEALTAPE_OK;
    }
    return diag_fail(diag, SEALTAPE_E_CONFIG,
            "%s:%u: expected name, tenant-dbid or state in section profile", reader->file,
            reader->line);
}

static enum sealtape_status read_section(
        struct reader *reader, struct piece line, struct diag *diag)
{
    struct piece name;

    if (line.len < 2 || line.text[line.len - 1] != ']')
        return diag_fail(
                diag, SEALTAPE_E_CONFIG, "%s:%u: expected [section]", reader->file, reader->line);
    name = trim((struct piece){line.text + 1, line.len - 2});
    if (name.len == 0 || name.len >= sizeof(reader->section))
        return diag_fail(diag, SEALTAPE_E_CONFIG, "%s:%u: a section's name has 1 to %zu bytes",
                reader->file, reader->line, sizeof(reader->section) - 1);
    memcpy(reader->section, name.text, name.len);
    reader->section[name.len] = '\0';
    return SEALTAPE_OK;
}

static enum sealtape_status read_option(struct reader *reader, struct piece line, struct diag *diag)
{
    const char *equals = memchr(line.text, '=', line.len);
    struct piece key, value;
    unsigned at = reader->line;
    enum sealtape_status st;
    char name[257];

    if (!equals)
        return diag_fail(diag, SEALTAPE_E_CONFIG, "%s:%u: expected [section] or key=value",
                reader->file, at);
    key = trim((struct piece){line.text, (size_t)(equals - line.text)});
    value = trim((struct piece){equals + 1, (size_t)(line.text + line.len - equals - 1)});
    st = take_blocks(reader, &value, diag);
    if (st != SEALTAPE_OK)
        return st;
    if (reader->section[0] == '\0')
        return diag_fail(diag, SEALTAPE_E_CONFIG, "%s:%u: an option before the first [section]",
                reader->file, at);
    if (strcmp(reader->section, "profile") == 0)
        return read_identity(reader, key, value, diag);
    if (key.len >= sizeof(name))
        key.len = sizeof(name) - 1; /* annex_add() refuses it */
    memcpy(name, key.text, key.len);
    name[key.len] = '\0';
    return annex_add(reader->annex,
            &(struct annex_text){reader->section, name, value.text, value.len, at}, diag);
}

/* RFC 3629: well-formed, no overlong forms, no surrogates; the offset of the first fault. */
static size_t utf8_fault(const char *text, size_t len)
{
    const unsigned char *s = (const unsigned char *)text;

    for (size_t i = 0; i < len;) {
        unsigned follow = s[i] < 0x80 ? 0 : s[i] < 0xe0 ? 1 : s[i] < 0xf0 ? 2 : 3;
        unsigned second = i + 1 < len ? s[i + 1] : 0;

        if (s[i] == 0 || (s[i] >= 0x80 && s[i] < 0xc2) || s[i] > 0xf4)
            return i;
        if ((s[i] == 0xe0 && second < 0xa0) || (s[i] == 0xed && second > 0x9f)
                || (s[i] == 0xf0 && second < 0x90) || (s[i] == 0xf4 && second > 0x8f))
            return i;
        for (unsigned k = 1; k <= follow; k++) {
            if (i + k >= len || (s[i + k] & 0xc0) != 0x80)
                return i;
        }
        i += follow + 1;
    }
    return len;
}

static enum sealtape_status check_text(
        const char *file, const char *bytes, size_t len, struct diag *diag)
{
    size_t fault = utf8_fault(bytes, len);
    unsigned line = 1;

    if (fault == len)
        return SEALTAPE_OK;
    for (size_t i = 0; i < fault; i++)
        line += bytes[i] == '\n';
    return diag_fail(diag, SEALTAPE_E_CONFIG, "%s:%u: not UTF-8 text", file, line);
}

/* "107.cfg": the DBID in the name. */
static enum sealtape_status dbid_of(const char *file, uint32_t *ret_dbid, struct diag *diag)
{
    const char *dot = strrchr(file, '.');
    size_t len = dot ? (size_t)(dot - file) : strlen(file);
    char text[16];

    if (len < sizeof(text)) {
        memcpy(text, file, len);
        text[len] = '\0';
        if (annex_number(text, ret_dbid) == SEALTAPE_OK)
            return SEALTAPE_OK;
    }
    return diag_fail(diag, SEALTAPE_E_CONFIG,
            "%s:1: an option file is named by the profile's DBID, such as 107.cfg", file);
}

static enum sealtape_status read_lines(struct reader *reader, struct diag *diag)
{
    struct piece line;

    while (take_line(reader, &line)) {
        enum sealtape_status st = SEALTAPE_OK;

        line = trim(line);
        if (line.len == 0 || *line.text == ';' || *line.text == '#')
            continue;
        st = *line.text == '[' ? read_section(reader, line, diag) : read_option(reader, line, diag);
        if (st != SEALTAPE_OK)
            return st;
    }
    return annex_check(reader->annex, diag);
}

enum sealtape_status annex_read_options(const char *file, const char *bytes, size_t len,
        struct annex_list *ret_list, struct diag *diag)
{
    CLEANUP(annex_free) struct annex *annex = NULL;
    struct reader reader = {file, {bytes, len}, 0, NULL, ""};
    enum sealtape_status st;

    st = annex_new(file, 1, &annex, diag);
    if (st == SEALTAPE_OK)
        st = dbid_of(file, &annex->dbid, diag);
    if (st == SEALTAPE_OK)
        st = check_text(file, bytes, len, diag);
    if (st != SEALTAPE_OK)
        return st;
    if (len >= 3 && memcmp(bytes, "\xef\xbb\xbf", 3) == 0)
        reader.rest = (struct piece){bytes + 3, len - 3};
    reader.annex = annex;
    st = read_lines(&reader, diag);
    return st == SEALTAPE_OK ? annex_list_add(ret_list, &annex, diag) : st;
}
