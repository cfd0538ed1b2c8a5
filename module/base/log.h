/*
 * Log lines with numbers, handed to the host.
 *
 * A number is never reused: `log_number.h` holds the list. Whoever gives up
 * logs, once; nobody below does. Never a key, audio, credential or telephone
 * number; a recording is named by its id.
 */
#ifndef SEALTAPE_BASE_LOG_H
#define SEALTAPE_BASE_LOG_H

#include <stdint.h>

#include "base/log_number.h"
#include "base/status.h"

#define LOG_MESSAGE_MAX 1400

/* Where lines go: the host's `log`, or NULL for warnings on stderr. [setup] */
void log_to(void (*sink)(void *context, int level, uint32_t number, const char *recording_id,
                    const char *message),
        void *context);

/* One line. Not for [media]. @recording_id may be NULL. [any] */
void log_line(enum sealtape_log_level level, enum log_number number, const char *recording_id,
        const char *format, ...) PRINTF_LIKE(4, 5);

#endif
