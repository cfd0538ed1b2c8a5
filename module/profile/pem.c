#include "profile/pem.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

/* The text without white space, and where each byte of it stood. */
struct folded {
    char *text;
    size_t len;
    const char *raw;
    size_t raw_len;
};

static void folded_clear(struct folded *folded)
{
    if (folded->text)
        explicit_bzero(folded->text, folded->len);
    free(folded->text);
    folded->text = NULL;
}

static bool is_blank(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

/* Bytes of white space at @at, real or as the characters \n \r \t, or 0. */
static size_t blank_at(const char *raw, size_t len, size_t at)
{
    size_t end = at;

    if (is_blank(raw[at]))
        return 1;
    while (end < len && raw[end] == '\\')
        end++;
    if (end == at || end == len)
        return 0;
    return raw[end] == 'n' || raw[end] == 'r' || raw[end] == 't' ? end + 1 - at : 0;
}

static enum sealtape_status fold(
        const char *raw, size_t len, struct folded *folded, struct diag *diag)
{
    folded->raw = raw;
    folded->raw_len = len;
    folded->len = 0;
    folded->text = malloc(len + 1);
    if (!folded->text)
        return diag_fail(diag, SEALTAPE_E_MEMORY, "no memory");
    for (size_t at = 0; at < len;) {
        size_t blank = blank_at(raw, len, at);

        if (blank > 0) {
            at += blank;
            continue;
        }
        folded->text[folded->len++] = raw[at++];
    }
    folded->text[folded->len] = '\0';
    return SEALTAPE_OK;
}

/* The character of the value, counted from 1, that became folded byte @index. */
static size_t character(const struct folded *folded, size_t index)
{
    size_t at = 0;

    for (;;) {
        size_t blank = at < folded->raw_len ? blank_at(folded->raw, folded->raw_len, at) : 0;

        if (blank > 0) {
            at += blank;
            continue;
        }
        if (index == 0 || at >= folded->raw_len)
            return at + 1;
        index--;
        at++;
    }
}

static bool stands_at(const struct folded *folded, size_t at, const char *word)
{
    size_t len = strlen(word);

    return at <= folded->len && len <= folded->len - at
           && memcmp(folded->text + at, word, len) == 0;
}

/* Index of @word in [@from, @to), or @to. */
static size_t find(const struct folded *folded, size_t from, size_t to, const char *word)
{
    size_t len = strlen(word);
    const char *hit;

    if (from >= to || to - from < len)
        return to;
    hit = memmem(folded->text + from, to - from, word, len);
    return hit ? (size_t)(hit - folded->text) : to;
}

static int base64_value(char c)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    if (c == '+')
        return 62;
    return c == '/' ? 63 : -1;
}

/* Base64 characters of @body without its padding; the padding must be right. */
static enum sealtape_status base64_check(const struct folded *folded, size_t from, size_t to,
        size_t number, size_t *ret_digits, struct diag *diag)
{
    size_t digits = to - from, padding;

    while (digits > 0 && to - from - digits < 2 && folded->text[from + digits - 1] == '=')
        digits--;
    for (size_t i = 0; i < digits; i++) {
        if (base64_value(folded->text[from + i]) < 0)
            return diag_fail(diag, SEALTAPE_E_CERTIFICATE,
                    "certificate %zu: byte 0x%02X at character %zu is not base64", number,
                    (unsigned char)folded->text[from + i], character(folded, from + i));
    }
    padding = to - from - digits;
    if (digits == 0)
        return diag_fail(diag, SEALTAPE_E_CERTIFICATE,
                "certificate %zu: nothing stands between its labels", number);
    if ((to - from) % 4 != 0)
        return diag_fail(diag, SEALTAPE_E_CERTIFICATE,
                "certificate %zu: %zu base64 characters up to character %zu, not a multiple of 4: "
                "some are missing",
                number, to - from, character(folded, to - 1));
    if (padding > 0
            && (base64_value(folded->text[from + digits - 1]) & (padding == 1 ? 3 : 15)) != 0)
        return diag_fail(diag, SEALTAPE_E_CERTIFICATE,
                "certificate %zu: the base64 ends in stray bits at character %zu", number,
                character(folded, from + digits - 1));
    *ret_digits = digits;
    return SEALTAPE_OK;
}

static size_t base64_decode(const char *text, size_t digits, uint8_t *ret_bytes)
{
    uint32_t bits = 0;
    unsigned held = 0;
    size_t len = 0;

    for (size_t i = 0; i < digits; i++) {
        bits = bits << 6 | (uint32_t)base64_value(text[i]);
        held += 6;
        if (held >= 8) {
            held -= 8;
            ret_bytes[len++] = (uint8_t)(bits >> held);
        }
    }
    return len;
}

/* Whole size of the DER value at @bytes by its header; 0: no SEQUENCE in DER. X.690, 10.1 */
static uint64_t der_size(const uint8_t *bytes, size_t len)
{
    uint64_t size = 0;
    unsigned count;

    if (len < 2 || bytes[0] != 0x30 || bytes[1] == 0x80)
        return 0;
    if (bytes[1] < 0x80)
        return 2u + bytes[1];
    count = bytes[1] & 0x7fu;
    if (count > 4 || len < 2u + count || bytes[2] == 0)
        return 0;
    for (unsigned i = 0; i < count; i++)
        size = size << 8 | bytes[2 + i];
    return size < 0x80 ? 0 : size + 2 + count;
}

static enum sealtape_status add_block(
        struct pem *pem, const struct folded *folded, size_t from, size_t to, struct diag *diag)
{
    struct pem_block *block = &pem->blocks[pem->count];
    size_t number = pem->count + 1, digits = 0;
    enum sealtape_status st;
    uint64_t size;

    st = base64_check(folded, from, to, number, &digits, diag);
    if (st != SEALTAPE_OK)
        return st;
    block->bytes = malloc(digits);
    if (!block->bytes)
        return diag_fail(diag, SEALTAPE_E_MEMORY, "no memory");
    pem->count++;
    block->len = base64_decode(folded->text + from, digits, block->bytes);
    size = der_size(block->bytes, block->len);
    if (size == 0)
        return diag_fail(diag, SEALTAPE_E_CERTIFICATE,
                "certificate %zu: what its base64 holds does not begin as a certificate does",
                number);
    if (size != block->len)
        return diag_fail(diag, SEALTAPE_E_CERTIFICATE,
                "certificate %zu: %zu bytes, but its header says %llu: %s", number, block->len,
                (unsigned long long)size,
                size > block->len ? "a part is missing" : "something is too much");
    return SEALTAPE_OK;
}

/* Text outside of blocks must not be a damaged label: a certificate would vanish silently. */
static enum sealtape_status check_outside(
        const struct folded *folded, size_t from, size_t to, struct diag *diag)
{
    static const char *const signs[] = {"--", "CERTIFICATE", "BEGIN"};

    for (size_t i = 0; i < ARRAY_COUNT(signs); i++) {
        size_t at = find(folded, from, to, signs[i]);

        if (at < to)
            return diag_fail(diag, SEALTAPE_E_CERTIFICATE,
                    "a damaged label near character %zu; it must read -----BEGIN CERTIFICATE----- "
                    "or -----END CERTIFICATE-----",
                    character(folded, at));
    }
    return SEALTAPE_OK;
}

#define DASHES "-----"
#define DASHES_LEN 5u
#define LABEL_MAX 40u

/* The word of the label that begins at @at ("-----BEGIN"), and the end of it all. What stands
 * before @floor belongs to the block before. */
static enum sealtape_status read_label(const struct folded *folded, size_t floor, size_t at,
        char ret_word[LABEL_MAX + 1], size_t *ret_end, struct diag *diag)
{
    size_t from = at + strlen(DASHES "BEGIN"), end = from;

    while (end < folded->len && end - from < LABEL_MAX && isalnum((unsigned char)folded->text[end]))
        end++;
    if (!stands_at(folded, end, DASHES) || (at > floor && folded->text[at - 1] == '-'))
        return diag_fail(diag, SEALTAPE_E_CERTIFICATE,
                "the BEGIN label at character %zu needs five dashes on each side",
                character(folded, at));
    memcpy(ret_word, folded->text + from, end - from);
    ret_word[end - from] = '\0';
    *ret_end = end + DASHES_LEN;
    if (strcmp(ret_word, "CERTIFICATE") == 0 || strcmp(ret_word, "X509CERTIFICATE") == 0)
        return SEALTAPE_OK;
    if (strcmp(ret_word, "TRUSTEDCERTIFICATE") == 0)
        return diag_fail(diag, SEALTAPE_E_CERTIFICATE,
                "a TRUSTED CERTIFICATE at character %zu; write it with `openssl x509` alone",
                character(folded, at));
    return diag_fail(diag, SEALTAPE_E_CERTIFICATE,
            "the label at character %zu is not that of a certificate", character(folded, at));
}

/* One block whose BEGIN stands at @at; *end_before is moved behind its END. */
static enum sealtape_status read_block(
        struct pem *pem, const struct folded *folded, size_t at, size_t *end_before, struct diag *diag)
{
    char word[LABEL_MAX + 1];
    enum sealtape_status st;
    size_t body = 0, end;

    if (pem->count == PEM_CERTIFICATES_MAX)
        return diag_fail(diag, SEALTAPE_E_CERTIFICATE, "more than %d certificates in one value",
                PEM_CERTIFICATES_MAX);
    st = read_label(folded, *end_before, at, word, &body, diag);
    if (st != SEALTAPE_OK)
        return st;
    end = find(folded, body, folded->len, "-");
    if (end == folded->len)
        return diag_fail(diag, SEALTAPE_E_CERTIFICATE,
                "certificate %zu: no -----END CERTIFICATE----- label", pem->count + 1);
    if (!stands_at(folded, end, DASHES "END")
            || !stands_at(folded, end + strlen(DASHES "END"), word)
            || !stands_at(folded, end + strlen(DASHES "END") + strlen(word), DASHES))
        return diag_fail(diag, SEALTAPE_E_CERTIFICATE,
                "certificate %zu: the END label at character %zu does not match its BEGIN",
                pem->count + 1, character(folded, end));
    *end_before = end + strlen(DASHES "END") + strlen(word) + DASHES_LEN;
    return add_block(pem, folded, body, end, diag);
}

enum sealtape_status pem_read(const char *text, size_t len, struct pem **ret_pem, struct diag *diag)
{
    CLEANUP(folded_clear) struct folded folded = {NULL, 0, NULL, 0};
    CLEANUP(pem_free) struct pem *pem = NULL;
    enum sealtape_status st;
    size_t at = 0;

    pem = calloc(1, sizeof(*pem));
    if (!pem)
        return diag_fail(diag, SEALTAPE_E_MEMORY, "no memory");
    st = fold(text, len, &folded, diag);
    if (st != SEALTAPE_OK)
        return st;
    while (at < folded.len) {
        size_t begin = find(&folded, at, folded.len, DASHES "BEGIN");

        st = check_outside(&folded, at, begin, diag);
        if (st == SEALTAPE_OK && begin < folded.len)
            st = read_block(pem, &folded, begin, &at, diag);
        else
            at = folded.len;
        if (st != SEALTAPE_OK)
            return st;
    }
    if (pem->count == 0)
        return diag_fail(diag, SEALTAPE_E_CERTIFICATE, "no -----BEGIN CERTIFICATE----- label%s",
                stands_at(&folded, 0, "MII") ? ": base64 alone is not read" : "");
    *ret_pem = TAKE(pem);
    return SEALTAPE_OK;
}

void pem_free(struct pem **pem)
{
    if (!*pem)
        return;
    for (size_t i = 0; i < (*pem)->count; i++) {
        /* What a wrong label hid might have been a key. */
        explicit_bzero((*pem)->blocks[i].bytes, (*pem)->blocks[i].len);
        free((*pem)->blocks[i].bytes);
    }
    free(*pem);
    *pem = NULL;
}

bool pem_is_meant(const char *text, size_t len)
{
    static const char *const signs[] = {DASHES, "BEGIN", "CERTIFICATE"};

    for (size_t i = 0; i < ARRAY_COUNT(signs); i++) {
        if (memmem(text, len, signs[i], strlen(signs[i])))
            return true;
    }
    while (len > 0 && is_blank(*text)) {
        text++;
        len--;
    }
    return len >= 64 && memcmp(text, "MII", 3) == 0;
}
