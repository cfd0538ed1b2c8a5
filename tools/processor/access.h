/*
 * Who may come in: one name and password, by Basic authentication (RFC 7617).
 */
#ifndef SEALTAPE_PROCESSOR_ACCESS_H
#define SEALTAPE_PROCESSOR_ACCESS_H

#include "base/diag.h"

struct access {
    int is_open; /* nobody is asked */
    /* SHA-256 of "name:password", so that neither stays in memory. */
    unsigned char digest[32];
};

/*
 * Read the password from the first line of a file. [setup]
 *
 *   SEALTAPE_E_USAGE  a ":" in the name, or an empty password
 *   SEALTAPE_E_IO     the file cannot be read
 */
enum sealtape_status access_load(const char *username, const char *password_file,
        struct access *ret_access, struct diag *diag) MUST_CHECK;

/*
 * Whether the field Authorization lets in; NULL: there is none. [any] The
 * comparison takes the same time whatever differs.
 */
int access_allows(const struct access *access, const char *authorization);

#endif
