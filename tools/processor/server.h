/*
 * HTTP: connections, bodies, answers, the log. The one home of libmicrohttpd.
 *
 * A pool of threads reads requests and answers those that only read. A request
 * that changes something is parsed there, suspended, and answered when the
 * writer's transaction is on disk.
 */
#ifndef SEALTAPE_PROCESSOR_SERVER_H
#define SEALTAPE_PROCESSOR_SERVER_H

#include "processor/access.h"

struct server_options {
    const char *listen;   /* "ADDR:PORT"; IPv6 in brackets; port 0: any free one */
    const char *database; /* file name */
    /* PEM files; both or none. */
    const char *tls_cert;
    const char *tls_key;
    struct access access;
    int is_verbose; /* a line on stderr for each request */
};

struct server;

/*
 * Open the database, listen, serve. [setup] The options are borrowed while it
 * serves.
 *
 *   SEALTAPE_E_USAGE    the address is none
 *   SEALTAPE_E_VERSION  the database is of a newer program, or not ours
 *   others              @diag says what could not be done
 */
enum sealtape_status server_start(const struct server_options *options, struct server **ret_server,
        struct diag *diag) MUST_CHECK;

/* Where it listens: "http://127.0.0.1:8080". [any] Borrowed. */
const char *server_url(const struct server *server);

/*
 * Listen no more, answer what has arrived (for some seconds at most), stop.
 * [setup]
 */
void server_stop(struct server **server);

#endif
