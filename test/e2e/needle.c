/*
 * Looks for secrets where they must not be.
 *
 * usage: needle (--pattern|--key) SECRET_FILE FILE...
 *
 * Every 8 bytes in a row of the secret are a needle, forwards and backwards.
 * --pattern takes the secret as repeating; --key adds the round keys that AES
 * makes of it, in both orders of bytes in a word. Each file is searched as it
 * is, and with what stands in it as hexadecimal text ("\x0a", "0a") decoded.
 * Prints each file and offset found; exit 1 then, 0 when there is none.
 */
#include <ctype.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <nettle/aes.h>

#define NEEDLE_BYTES 8
#define TABLE_SIZE 65536 /* a power of two, many times the needles */

static uint64_t table[TABLE_SIZE]; /* 0: empty */
static size_t table_count;

static size_t slot_of(uint64_t needle)
{
    size_t slot = (size_t)((needle * UINT64_C(0x9E3779B97F4A7C15)) >> 48) & (TABLE_SIZE - 1);

    while (table[slot] != 0 && table[slot] != needle)
        slot = (slot + 1) & (TABLE_SIZE - 1);
    return slot;
}

static void add_windows(const uint8_t *bytes, size_t len)
{
    for (size_t i = 0; i + NEEDLE_BYTES <= len; i++) {
        uint64_t forwards = 0, backwards = 0;

        for (size_t k = 0; k < NEEDLE_BYTES; k++) {
            forwards = forwards << 8 | bytes[i + k];
            backwards = backwards << 8 | bytes[i + NEEDLE_BYTES - 1 - k];
        }
        table[slot_of(forwards)] = forwards;
        table[slot_of(backwards)] = backwards;
        table_count += 2;
    }
}

static void add_schedule(const uint8_t *key, size_t len)
{
    uint32_t words[_AES256_ROUNDS * 4 + 4];
    uint8_t swapped[sizeof(words)];
    struct aes128_ctx aes128;
    struct aes192_ctx aes192;
    struct aes256_ctx aes256;
    size_t size;

    if (len == 16) {
        aes128_set_encrypt_key(&aes128, key);
        memcpy(words, aes128.keys, size = sizeof(aes128.keys));
    } else if (len == 24) {
        aes192_set_encrypt_key(&aes192, key);
        memcpy(words, aes192.keys, size = sizeof(aes192.keys));
    } else {
        aes256_set_encrypt_key(&aes256, key);
        memcpy(words, aes256.keys, size = sizeof(aes256.keys));
    }
    add_windows((const uint8_t *)words, size);
    for (size_t i = 0; i < size; i++)
        swapped[i] = ((const uint8_t *)words)[i / 4 * 4 + 3 - i % 4];
    add_windows(swapped, size);
}

static bool search(const char *path, const char *how, const uint8_t *bytes, size_t len)
{
    uint64_t window = 0;
    bool found = false;

    for (size_t i = 0; i < len && !found; i++) {
        window = window << 8 | bytes[i];
        if (i + 1 >= NEEDLE_BYTES && window != 0 && table[slot_of(window)] == window) {
            printf("%s: found at byte %zu%s\n", path, i + 1 - NEEDLE_BYTES, how);
            found = true;
        }
    }
    return found;
}

static uint8_t nibble(uint8_t digit)
{
    return (uint8_t)(isdigit(digit) ? digit - '0' : (tolower(digit) - 'a' + 10));
}

/* @out has room for len / 2. Skips "\x"; @shift begins at the second digit. */
static size_t decode_hex(const uint8_t *text, size_t len, bool shift, uint8_t *out)
{
    size_t count = 0, digits = shift ? 1 : 0;
    uint8_t high = 0;

    for (size_t i = 0; i < len; i++) {
        if (text[i] == '\\' && i + 1 < len && text[i + 1] == 'x') {
            i++;
        } else if (isxdigit(text[i])) {
            if (digits++ % 2 == 0)
                high = nibble(text[i]);
            else
                out[count++] = (uint8_t)(high << 4 | nibble(text[i]));
        } else {
            digits = shift ? 1 : 0;
        }
    }
    return count;
}

static uint8_t *read_file(const char *path, size_t *ret_len)
{
    FILE *file = fopen(path, "rbe");
    uint8_t *bytes = NULL, *more;
    size_t len = 0, room = 0, got;

    if (!file) {
        perror(path);
        exit(2);
    }
    do {
        if (room - len < 65536) {
            room = room * 2 + 131072;
            more = realloc(bytes, room);
            if (!more)
                exit(2);
            bytes = more;
        }
        got = fread(bytes + len, 1, room - len, file);
        len += got;
    } while (got > 0);
    fclose(file);
    *ret_len = len;
    return bytes;
}

static bool search_file(const char *path)
{
    uint8_t *bytes, *decoded;
    bool found;
    size_t len;

    bytes = read_file(path, &len);
    decoded = malloc(len / 2 + 1);
    if (!decoded)
        exit(2);
    found = search(path, "", bytes, len);
    found |= search(
            path, " of its hexadecimal text", decoded, decode_hex(bytes, len, false, decoded));
    found |= search(
            path, " of its hexadecimal text", decoded, decode_hex(bytes, len, true, decoded));
    free(decoded);
    free(bytes);
    return found;
}

int main(int argc, char **argv)
{
    bool found = false;
    uint8_t *secret, *twice;
    size_t len;

    if (argc < 4 || (strcmp(argv[1], "--pattern") != 0 && strcmp(argv[1], "--key") != 0)) {
        fprintf(stderr, "usage: needle (--pattern|--key) SECRET_FILE FILE...\n");
        return 2;
    }
    secret = read_file(argv[2], &len);
    twice = malloc(2 * len);
    if (!twice || len < 2 * (size_t)NEEDLE_BYTES || len > 4096)
        return 2;
    if (strcmp(argv[1], "--pattern") == 0) {
        memcpy(twice, secret, len);
        memcpy(twice + len, secret, len);
        add_windows(twice, len + NEEDLE_BYTES - 1);
    } else if (len == 16 || len == 24 || len == 32) {
        add_windows(secret, len);
        add_schedule(secret, len);
    } else {
        fprintf(stderr, "needle: a key has 16, 24 or 32 bytes\n");
        return 2;
    }
    for (int i = 3; i < argc; i++)
        found |= search_file(argv[i]);
    free(twice);
    free(secret);
    return found ? 1 : 0;
}
