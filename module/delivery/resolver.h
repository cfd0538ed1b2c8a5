/*
 * Names to addresses, in threads of ours: getaddrinfo() can hang for longer than
 * anything in the transfer thread may wait.
 */
#ifndef SEALTAPE_DELIVERY_RESOLVER_H
#define SEALTAPE_DELIVERY_RESOLVER_H

#include <stdbool.h>
#include <stddef.h>

#include "base/diag.h"
#include "profile/url.h"

/* So many names may hang at once before the next has to wait. */
#define RESOLVER_THREADS_MAX 4
#define RESOLVER_QUEUE_MAX 64
/* "address,address": enough for 16 of them. */
#define RESOLVER_TEXT_SIZE 768

/* Look one name up; waits. @ret_addresses: comma-separated, IPv6 in brackets. */
typedef enum sealtape_status resolver_lookup(
        void *context, const char *host, char ret_addresses[RESOLVER_TEXT_SIZE], struct diag *diag);

/* The system's: getaddrinfo(). */
enum sealtape_status resolver_system(
        void *context, const char *host, char ret_addresses[RESOLVER_TEXT_SIZE], struct diag *diag);

struct resolver_answer {
    char host[URL_HOST_MAX];
    enum sealtape_status status;
    char addresses[RESOLVER_TEXT_SIZE]; /* where status is OK */
    struct diag diag;                   /* where it is not */
};

struct resolver;

/* @wake is called from a resolver thread after each answer. [setup] */
struct resolver_options {
    resolver_lookup *lookup;
    void *lookup_context;
    void (*wake)(void *context);
    void *wake_context;
};
enum sealtape_status resolver_start(
        const struct resolver_options *options, struct resolver **ret_resolver) MUST_CHECK;

/*
 * Begin to look @host up. [transfer] One answer follows for each call that is OK.
 *
 *   SEALTAPE_E_AGAIN  too many are waiting already
 */
enum sealtape_status resolver_ask(struct resolver *resolver, const char *host) MUST_CHECK;

/* Take the next answer; false: none is there. [transfer] */
bool resolver_next(struct resolver *resolver, struct resolver_answer *ret_answer);

/* Waits for look-ups that run: getaddrinfo() cannot be interrupted. [setup] */
void resolver_stop(struct resolver **resolver);

#endif
