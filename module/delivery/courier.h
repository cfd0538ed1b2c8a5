/*
 * Carries requests to origins: looks the name up, adds what belongs to the
 * origin (credentials, CA), sends, and tells the breaker how it went.
 */
#ifndef SEALTAPE_DELIVERY_COURIER_H
#define SEALTAPE_DELIVERY_COURIER_H

#include "delivery/account.h"
#include "delivery/http.h"
#include "delivery/origin.h"
#include "delivery/pace.h"
#include "delivery/resolver.h"

struct courier {
    struct pace pace;
    struct http *http;
    struct resolver *resolver;
    struct origin *origins;
    struct account *accounts; /* storages, then processors */
    size_t accounts_count;
    const struct config *config; /* borrowed */
    struct exchange *waiting; /* for a name, or to be told that they failed */
    /* An origin is left alone, or works again. */
    void (*turned)(void *context, struct origin *origin, bool works, const char *text);
    void *turned_context;
};

/* One request. Zero it before the first use; it may be used again from its `done`. */
struct exchange {
    struct http_call call; /* the caller's: method, url, headers, body, source, sink */
    void (*done)(void *context, const struct http_answer *answer);
    void *context;
    /* The courier's. */
    struct courier *courier;
    struct origin *origin;
    struct account *account;
    struct http_request *request;
    struct exchange *next;
    uint64_t deadline_ns;
    bool waiting, probe, failed;
    char reason[256];
};

/* @config is borrowed. [setup] */
enum sealtape_status courier_init(struct courier *courier, const struct config *config,
        const struct pace *pace, struct diag *diag) MUST_CHECK;
/* Every exchange has been cancelled before. [setup] */
void courier_clear(struct courier *courier);

/* The origin of @url, NULL where it is not a URL of ours. [transfer] */
struct origin *courier_origin(struct courier *courier, const char *url);

/* What the configuration says of @url, or NULL. [transfer] */
const struct config_destination *courier_destination(struct courier *courier, const char *url);

/*
 * Send. [transfer] `call` and what it points to stay until `done`, which
 * comes from courier_turn() or http_run(), once, whatever goes wrong.
 */
void courier_send(struct courier *courier, struct exchange *exchange);

/* Without `done`. Nothing happens where none runs. [transfer] */
void courier_cancel(struct exchange *exchange);

/* Take names that have come, end what waited too long. [transfer] */
void courier_turn(struct courier *courier);
/* When it wants its next turn, at the latest (monotonic). [transfer] */
uint64_t courier_due(const struct courier *courier);

/* Read passwords again, close breakers. [transfer] */
void courier_forgive(struct courier *courier);

#endif
