/*
 * The list of temporary names under which uploads of a media file have begun:
 *
 *   1 https://store.example/recordings/call-9f31c2d4a07be655.wav.bin.0a1b2c3d.part
 *
 * What it names gets deleted from the store. So a line counts only when it is
 * whole, its newline included, and when its last segment can be nothing but a
 * temporary name of this media file: a line that a crash has cut may name another
 * object, or the folder of all of them.
 */
#ifndef SEALTAPE_SPOOL_ATTEMPTS_H
#define SEALTAPE_SPOOL_ATTEMPTS_H

#include <stddef.h>

#include "base/diag.h"

/*
 * The URLs of a list, in its order: NULL-ended, one malloc'ed block. [any]
 *
 * Lines of other versions, empty ones and those that do not count are passed over.
 *
 *   SEALTAPE_E_MEMORY
 */
enum sealtape_status attempts_parse(
        const char *text, size_t len, const char *media_id, char ***ret_urls) MUST_CHECK;

#endif
