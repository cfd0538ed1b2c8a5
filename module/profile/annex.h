/*
 * The annex of a profile: options in sections, each with its line.
 *
 * And the profile as it stands in a file, before anything in it has been
 * understood: one form for ConfData, CfgData and option files.
 */
#ifndef SEALTAPE_PROFILE_ANNEX_H
#define SEALTAPE_PROFILE_ANNEX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/diag.h"

/* Options of one profile at the most, and bytes of a value. */
#define ANNEX_OPTIONS_MAX 4096u
#define ANNEX_VALUE_MAX (256u * 1024)

/* Largest file that is read, and profiles in all files together. */
#define ANNEX_FILE_MAX (64u * 1024 * 1024)
#define ANNEX_PROFILES_MAX 200000u

struct annex_option {
    char *section, *key, *value;
    unsigned line;
};

/* A profile as a file has it. */
struct annex {
    uint32_t dbid;
    uint32_t tenant_dbid; /* 0: not given */
    char *name;           /* NULL: not given */
    bool enabled;
    bool has_state;
    char *file; /* name in the profile directory */
    unsigned line;
    struct annex_option *options; /* in the order of the file */
    size_t options_count;
};

/* An empty annex. @file is copied. [any] SEALTAPE_E_MEMORY */
enum sealtape_status annex_new(
        const char *file, unsigned line, struct annex **ret_annex, struct diag *diag) MUST_CHECK;
void annex_free(struct annex **annex);

/* An option before it is copied; the value need not end in a NUL. */
struct annex_text {
    const char *section, *key, *value;
    size_t value_len;
    unsigned line;
};

/*
 * Add an option; all is copied. [any]
 *
 *   SEALTAPE_E_CONFIG  too long, too many, control characters in a name, or a value that
 *                      holds a private key (not copied; @diag names profile, file and line)
 */
enum sealtape_status annex_add(
        struct annex *annex, const struct annex_text *option, struct diag *diag) MUST_CHECK;

/* No option stands twice in one section. [any] SEALTAPE_E_CONFIG names both lines. */
enum sealtape_status annex_check(const struct annex *annex, struct diag *diag) MUST_CHECK;

/* Decimal, 1 to 4294967295, no sign, no leading zero. [any] SEALTAPE_E_USAGE: it is not. */
enum sealtape_status annex_number(const char *text, uint32_t *ret_number) MUST_CHECK;

/* The annexes of one file. */
struct annex_list {
    struct annex **items;
    size_t count, capacity;
};

/* @annex is taken, also on failure. [any] SEALTAPE_E_MEMORY, SEALTAPE_E_CONFIG: too many */
enum sealtape_status annex_list_add(
        struct annex_list *list, struct annex **annex, struct diag *diag) MUST_CHECK;
/* No DBID stands twice; sorts by DBID. [any] SEALTAPE_E_CONFIG names both lines. */
enum sealtape_status annex_list_check(struct annex_list *list, struct diag *diag) MUST_CHECK;
void annex_list_clear(struct annex_list *list);

/*
 * Read an export in ConfData or CfgData form. [setup]
 *
 * @file is for messages. Objects that are no IVR Profile are passed over, but a private key
 * anywhere is refused. @ret_list is cleared by the caller, also on failure.
 *
 *   SEALTAPE_E_CONFIG  "record.xml:12: what was expected, what was found"
 */
enum sealtape_status annex_read_export(const char *file, const char *bytes, size_t len,
        struct annex_list *ret_list, struct diag *diag) MUST_CHECK;

/*
 * Read an option file "<dbid>.cfg": [section], key=value; lines that begin with ';' or
 * '#' are comments. [setup]
 *
 * Section `profile` may give name, tenant-dbid and state. A value that begins
 * a PEM block goes on up to its END label. As annex_read_export().
 */
enum sealtape_status annex_read_options(const char *file, const char *bytes, size_t len,
        struct annex_list *ret_list, struct diag *diag) MUST_CHECK;

#endif
