/*
 * The socket on which the processor listens.
 */
#ifndef SEALTAPE_PROCESSOR_LISTENER_H
#define SEALTAPE_PROCESSOR_LISTENER_H

#include "base/diag.h"

#define LISTENER_URL_SIZE 96

struct listener {
    int fd;
    int is_loopback;
    /* With the real port, without a slash at the end. */
    char url[LISTENER_URL_SIZE];
};

/*
 * Listen on "ADDR:PORT". [setup]
 *
 *   SEALTAPE_E_USAGE  no such address
 *   SEALTAPE_E_IO     the system refuses it: in use, not of this machine
 */
enum sealtape_status listener_open(const char *address, const char *scheme,
        struct listener *ret_listener, struct diag *diag) MUST_CHECK;

#endif
