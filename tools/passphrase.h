/*
 * A passphrase: from the first line of a file, or from the terminal without
 * echo.
 */
#ifndef SEALTAPE_TOOLS_PASSPHRASE_H
#define SEALTAPE_TOOLS_PASSPHRASE_H

#include "base/diag.h"

/* A key_ask function. @context: the file's path, or NULL for the terminal. */
enum sealtape_status passphrase_ask(void *context, char *ret_passphrase, struct diag *diag);

#endif
