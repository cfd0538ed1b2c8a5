/*
 * What the subcommands of `sealtape` share: the table's row, exit codes, words
 * on stderr, JSON on stdout.
 */
#ifndef SEALTAPE_TOOLS_TOOL_H
#define SEALTAPE_TOOLS_TOOL_H

#include <jansson.h>
#include <stdint.h>

#include "base/diag.h"

enum tool_exit {
    TOOL_DONE = 0,
    TOOL_FAILED = 1, /* it failed, or found a problem */
    TOOL_USAGE = 2
};

/* One row of the table. */
struct tool {
    const char *name;
    const char *arguments; /* one line behind the name */
    const char *summary;   /* one line */
    const char *help;      /* the options, line by line */
    enum tool_exit (*run)(int argc, char **argv);
};

extern const struct tool tool_check;
extern const struct tool tool_inspect;
extern const struct tool tool_open;
extern const struct tool tool_record;
extern const struct tool tool_spool;
extern const struct tool tool_verify;

/* --help of a subcommand, on stdout. */
enum tool_exit tool_help(const struct tool *tool);

/* "sealtape NAME: words" on stderr, and how to get help; TOOL_USAGE. */
enum tool_exit tool_usage(const struct tool *tool, const char *format, ...) PRINTF_LIKE(2, 3);

/* The reason on stderr; TOOL_FAILED. */
enum tool_exit tool_fail(const struct tool *tool, const struct diag *diag);

/* A note on stderr. */
void tool_note(const struct tool *tool, const char *format, ...) PRINTF_LIKE(2, 3);

/*
 * One JSON value and a newline on stdout, flushed. @json is taken; NULL means that
 * it could not be made. With @pretty, indented.
 *
 *   SEALTAPE_E_MEMORY  @json is NULL
 *   SEALTAPE_E_IO      stdout takes no more
 */
enum sealtape_status tool_print(json_t *json, int pretty, struct diag *diag) MUST_CHECK;

/* "90s", "1500ms", "2min". SEALTAPE_E_USAGE: not a time. */
enum sealtape_status tool_time_parse(const char *text, uint64_t *ret_ms) MUST_CHECK;

/* Digits only, at most @max. SEALTAPE_E_USAGE: they are not. */
enum sealtape_status tool_number_parse(
        const char *text, uint64_t max, uint64_t *ret_number) MUST_CHECK;

/* No core dump and no ptrace by others, before a key is read. */
enum sealtape_status tool_harden(struct diag *diag) MUST_CHECK;

/* Cleanup handlers. */
void tool_json_clear(json_t **json);
void tool_chars_free(char **chars);

#endif
