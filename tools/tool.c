#include "tool.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>

void tool_json_clear(json_t **json)
{
    json_decref(*json);
    *json = NULL;
}

void tool_chars_free(char **chars)
{
    free(*chars);
    *chars = NULL;
}

enum tool_exit tool_help(const struct tool *tool)
{
    printf("usage: sealtape %s %s\n\n%s\n\n%s", tool->name, tool->arguments, tool->summary,
            tool->help);
    return fflush(stdout) == 0 ? TOOL_DONE : TOOL_FAILED;
}

enum tool_exit tool_usage(const struct tool *tool, const char *format, ...)
{
    struct diag words = {0};
    va_list args;

    va_start(args, format);
    (void)vsnprintf(words.text, sizeof(words.text), format, args);
    va_end(args);
    fprintf(stderr, "sealtape %s: %s\nusage: sealtape %s %s\n", tool->name, words.text, tool->name,
            tool->arguments);
    return TOOL_USAGE;
}

enum tool_exit tool_fail(const struct tool *tool, const struct diag *diag)
{
    fprintf(stderr, "sealtape %s: %s\n", tool->name, diag->text);
    return TOOL_FAILED;
}

void tool_note(const struct tool *tool, const char *format, ...)
{
    va_list args;

    fprintf(stderr, "sealtape %s: ", tool->name);
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    fputc('\n', stderr);
}

enum sealtape_status tool_print(json_t *json, int pretty, struct diag *diag)
{
    CLEANUP(tool_json_clear) json_t *owned = json;

    if (!owned)
        return diag_fail(diag, SEALTAPE_E_MEMORY, "no memory for the result");
    if (json_dumpf(owned, stdout, pretty ? JSON_INDENT(2) : JSON_COMPACT) != 0
            || putchar('\n') == EOF || fflush(stdout) != 0)
        return diag_fail(diag, SEALTAPE_E_IO, "stdout: cannot write: %s", strerror(errno));
    return SEALTAPE_OK;
}

enum sealtape_status tool_number_parse(const char *text, uint64_t max, uint64_t *ret_number)
{
    size_t len = strlen(text);
    uint64_t number = 0;

    if (len == 0 || len > 18 || strspn(text, "0123456789") != len)
        return SEALTAPE_E_USAGE;
    for (; *text; text++)
        number = number * 10 + (uint64_t)(*text - '0');
    if (number > max)
        return SEALTAPE_E_USAGE;
    *ret_number = number;
    return SEALTAPE_OK;
}

enum sealtape_status tool_time_parse(const char *text, uint64_t *ret_ms)
{
    static const struct {
        const char *name;
        uint64_t ms;
    } units[] = {{"ms", 1}, {"s", 1000}, {"min", 60000}, {"h", 3600000}, {"d", 86400000}};
    size_t digits = strspn(text, "0123456789");
    char number[10];
    uint64_t count;

    if (digits == 0 || digits >= sizeof(number))
        return SEALTAPE_E_USAGE;
    memcpy(number, text, digits);
    number[digits] = '\0';
    for (size_t i = 0; i < ARRAY_COUNT(units); i++) {
        if (strcmp(text + digits, units[i].name) != 0)
            continue;
        if (tool_number_parse(number, UINT64_MAX, &count) != SEALTAPE_OK)
            return SEALTAPE_E_USAGE;
        *ret_ms = count * units[i].ms;
        return SEALTAPE_OK;
    }
    return SEALTAPE_E_USAGE;
}

enum sealtape_status tool_harden(struct diag *diag)
{
    const struct rlimit none = {0, 0};

    if (setrlimit(RLIMIT_CORE, &none) != 0 || prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0)
        return diag_fail(diag, SEALTAPE_E_IO, "cannot switch core dumps off: %s", strerror(errno));
    return SEALTAPE_OK;
}
