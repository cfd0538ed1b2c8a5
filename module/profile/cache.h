/*
 * The profile files that were good last, kept over a restart.
 *
 * One file "<name>.good" for each, mode 0600: the line
 *
 *   sealtape-profile-cache 1 <SHA-256 of the text, hex> <length>\n
 *
 * and the text. Only texts that were taken over are put here, and none that
 * holds a private key. Several processes may share the directory: writers take a lock on
 * it. A newer format is left untouched.
 */
#ifndef SEALTAPE_PROFILE_CACHE_H
#define SEALTAPE_PROFILE_CACHE_H

#include <stddef.h>

#include "base/diag.h"

struct cache;

/*
 * Open the directory; it is made, with its parents, where it is not there. [setup]
 *
 *   SEALTAPE_E_IO  @diag says why
 */
enum sealtape_status cache_open(
        const char *directory, struct cache **ret_cache, struct diag *diag) MUST_CHECK;
void cache_close(struct cache **cache);

/*
 * Keep a text, durably. [setup] A text that is there already is not written again.
 *
 *   SEALTAPE_E_AGAIN  another process writes just now
 *   SEALTAPE_E_VERSION, SEALTAPE_E_IO
 */
enum sealtape_status cache_put(struct cache *cache, const char *name, const char *text, size_t len,
        struct diag *diag) MUST_CHECK;

/*
 * The text that was kept. [setup] malloc'ed, NUL-terminated.
 *
 *   SEALTAPE_E_STATE    there is none
 *   SEALTAPE_E_VERSION  of a newer format
 *   SEALTAPE_E_IO       it cannot be read, or is damaged
 */
enum sealtape_status cache_get(struct cache *cache, const char *name, char **ret_text,
        size_t *ret_len, struct diag *diag) MUST_CHECK;

/* Forget one; one that is not there is no failure. [setup] As cache_put(). */
enum sealtape_status cache_drop(
        struct cache *cache, const char *name, struct diag *diag) MUST_CHECK;

/* Forget all whose name @keep does not want. [setup] As cache_put(). */
enum sealtape_status cache_prune(struct cache *cache, int (*keep)(void *context, const char *name),
        void *context, struct diag *diag) MUST_CHECK;

#endif
