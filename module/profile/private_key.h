/*
 * The search for private keys in texts that must hold none.
 *
 * Found are labels of any form (PKCS#1, PKCS#8, encrypted, EC, OpenSSH, PGP,
 * PuTTY), also mangled, in UTF-16 or written with character references, and
 * the base64 of the usual forms without any label. Nothing found is printed.
 */
#ifndef SEALTAPE_PROFILE_PRIVATE_KEY_H
#define SEALTAPE_PROFILE_PRIVATE_KEY_H

#include <stdbool.h>
#include <stddef.h>

/* What an operator is told, behind "profile N, FILE:LINE: ". */
#define PRIVATE_KEY_REASON "a private key stands here; remove it and treat it as disclosed"

/* Does a private key stand in @text? [any] @ret_end, if not NULL: where its label ends. */
bool private_key_find(const char *text, size_t len, size_t *ret_end);

/*
 * Overwrite the bodies of private keys, so that nobody after this copies them. [any]
 *
 * Labels and newlines stay, so a text with labels is still found to hold a key.
 * Returns whether there was one; @ret_line, if not NULL, is the line of the first.
 */
bool private_key_blank(char *text, size_t len, unsigned *ret_line);

#endif
