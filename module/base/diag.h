/*
 * The reason of a failure, for a person: file, line, what was expected, what
 * was found, what to do.
 */
#ifndef SEALTAPE_BASE_DIAG_H
#define SEALTAPE_BASE_DIAG_H

#include "base/status.h"

#define DIAG_TEXT_MAX SEALTAPE_REASON_MAX

struct diag {
    char text[DIAG_TEXT_MAX];
};

/*
 * Set the text and return @status, so that a failing path is one line. [any]
 *
 * @diag may be NULL. Control characters become blanks: a reason is one line,
 * whatever the input held. Longer texts are cut.
 */
enum sealtape_status diag_fail(struct diag *diag, enum sealtape_status status, const char *format,
        ...) PRINTF_LIKE(3, 4);

/* Put words in front of the text that is there. [any] @diag may be NULL. */
void diag_prefix(struct diag *diag, const char *format, ...) PRINTF_LIKE(2, 3);

#endif
