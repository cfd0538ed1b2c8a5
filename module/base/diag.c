#include "base/diag.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static void one_line(char *text)
{
    for (; *text; text++) {
        if ((unsigned char)*text < 0x20 || *text == 0x7f)
            *text = ' ';
    }
}

enum sealtape_status diag_fail(
        struct diag *diag, enum sealtape_status status, const char *format, ...)
{
    va_list args;

    if (!diag)
        return status;
    va_start(args, format);
    /* A text that is cut is still the reason. */
    (void)vsnprintf(diag->text, sizeof(diag->text), format, args);
    va_end(args);
    one_line(diag->text);
    return status;
}

void diag_prefix(struct diag *diag, const char *format, ...)
{
    char old[DIAG_TEXT_MAX];
    va_list args;
    size_t used;

    if (!diag)
        return;
    memcpy(old, diag->text, sizeof(old));
    va_start(args, format);
    (void)vsnprintf(diag->text, sizeof(diag->text), format, args);
    va_end(args);
    one_line(diag->text);
    used = strlen(diag->text);
    (void)snprintf(diag->text + used, sizeof(diag->text) - used, "%s", old);
}
