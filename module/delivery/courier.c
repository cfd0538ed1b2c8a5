#include "delivery/courier.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"

#define NS_PER_MS UINT64_C(1000000)

static void wake(void *context)
{
    http_interrupt(context);
}

enum sealtape_status courier_init(struct courier *courier, const struct config *config,
        const struct pace *pace, struct diag *diag)
{
    size_t count = config->storages_count + config->processors_count;
    struct resolver_options options;
    enum sealtape_status st;

    courier->pace = *pace;
    courier->config = config;
    courier->accounts = calloc(count ? count : 1, sizeof(*courier->accounts));
    if (!courier->accounts)
        return SEALTAPE_E_MEMORY;
    for (size_t i = 0; i < count; i++) {
        st = account_init(&courier->accounts[i],
                i < config->storages_count ? &config->storages[i]
                                           : &config->processors[i - config->storages_count],
                diag);
        if (st != SEALTAPE_OK)
            return st;
        courier->accounts_count++;
    }
    st = http_open(&pace->http, &courier->http, diag);
    if (st != SEALTAPE_OK)
        return st;
    options = (struct resolver_options){pace->lookup, pace->lookup_context, wake, courier->http};
    return resolver_start(&options, &courier->resolver);
}

void courier_clear(struct courier *courier)
{
    resolver_stop(&courier->resolver);
    http_close(&courier->http);
    for (size_t i = 0; i < courier->accounts_count; i++)
        account_clear(&courier->accounts[i]);
    free(courier->accounts);
    courier->accounts = NULL;
    courier->accounts_count = 0;
    origin_free_all(&courier->origins);
}

struct origin *courier_origin(struct courier *courier, const char *url)
{
    struct url parts;

    if (url_parse(url, &parts, NULL) != SEALTAPE_OK)
        return NULL;
    return origin_find(&courier->origins, &parts);
}

const struct config_destination *courier_destination(struct courier *courier, const char *url)
{
    struct account *account;
    struct url parts;

    if (url_parse(url, &parts, NULL) != SEALTAPE_OK)
        return NULL;
    account = account_find(courier->accounts, courier->accounts_count, &parts);
    return account ? account->destination : NULL;
}

static void wait_in_line(struct exchange *exchange, uint64_t deadline_ns)
{
    exchange->waiting = true;
    exchange->deadline_ns = deadline_ns;
    exchange->next = exchange->courier->waiting;
    exchange->courier->waiting = exchange;
}

/* Told in the next turn: `done` never comes out of courier_send(). */
static void fail_later(struct exchange *exchange, const char *reason)
{
    exchange->failed = true;
    (void)snprintf(exchange->reason, sizeof(exchange->reason), "%s", reason);
    wait_in_line(exchange, 0);
}

static void on_done(void *context, const struct http_answer *answer)
{
    struct exchange *exchange = context;
    struct courier *courier = exchange->courier;
    struct origin *origin = exchange->origin;
    bool turned, works, neutral;

    exchange->request = NULL;
    if (answer->status == 401 && exchange->account)
        account_distrust(exchange->account);
    works = answer->status != 0 && answer->status < 500 && !answer->timed_out;
    /*
     * What our own side stopped says nothing about the server, and a store that
     * deletes may yet be unable to take anything.
     */
    neutral = (answer->stopped && answer->status < 500)
              || (works && strcmp(exchange->call.method, "DELETE") == 0);
    if (neutral) {
        if (exchange->probe)
            origin_probe_cancelled(origin);
        turned = false;
    } else if (works) {
        turned = origin_worked(origin, exchange->probe);
    } else {
        turned = origin_failed(origin, exchange->probe, answer->retry_after_ms, &courier->pace);
        /* Addresses change: ask again before the next try. */
        if (answer->status == 0)
            origin->resolved_ns = 0;
    }
    exchange->probe = false;
    if (turned && courier->turned)
        courier->turned(courier->turned_context, origin, works, answer->error);
    exchange->done(exchange->context, answer);
}

static void on_failure(struct exchange *exchange, const char *reason)
{
    struct http_answer answer;

    memset(&answer, 0, sizeof(answer));
    answer.total = UINT64_MAX;
    (void)snprintf(answer.error, sizeof(answer.error), "%s", reason);
    if (exchange->origin) {
        on_done(exchange, &answer);
        return;
    }
    exchange->done(exchange->context, &answer);
}

static enum http_read source(
        void *context, uint64_t offset, void *bytes, size_t size, size_t *ret_len)
{
    struct exchange *exchange = context;

    return exchange->call.source(exchange->context, offset, bytes, size, ret_len);
}

static enum sealtape_status sink(void *context, const void *bytes, size_t len)
{
    struct exchange *exchange = context;

    return exchange->call.sink(exchange->context, bytes, len);
}

static void depart(struct exchange *exchange)
{
    struct http_call call = exchange->call;
    const char *password = NULL;
    enum sealtape_status st;
    struct diag diag = {""};

    if (exchange->account) {
        st = account_password(exchange->account, &password, &diag);
        if (st != SEALTAPE_OK) {
            fail_later(exchange, diag.text);
            return;
        }
        call.username = exchange->account->destination->username;
        call.password = password;
        call.ca_file = exchange->account->destination->ca_file;
    }
    if (exchange->origin->resolve[0])
        call.resolve = exchange->origin->resolve;
    call.source = exchange->call.source ? source : NULL;
    call.sink = exchange->call.sink ? sink : NULL;
    call.done = on_done;
    call.context = exchange;
    st = http_send(exchange->courier->http, &call, &exchange->request);
    if (st != SEALTAPE_OK)
        fail_later(exchange, "too many requests at a time, or no memory");
}

static void ask(struct courier *courier, struct origin *origin)
{
    if (origin->resolving)
        return;
    origin->resolving = resolver_ask(courier->resolver, origin->url.host) == SEALTAPE_OK;
}

void courier_send(struct courier *courier, struct exchange *exchange)
{
    uint64_t now = clock_monotonic_ns();
    struct diag diag = {""};
    struct url url;

    exchange->courier = courier;
    exchange->origin = NULL;
    exchange->account = NULL;
    exchange->failed = false;
    if (url_parse(exchange->call.url, &url, &diag) != SEALTAPE_OK) {
        fail_later(exchange, diag.text);
        return;
    }
    exchange->origin = origin_find(&courier->origins, &url);
    if (!exchange->origin) {
        fail_later(exchange, "no memory");
        return;
    }
    exchange->probe = origin_begin(exchange->origin);
    exchange->account = account_find(courier->accounts, courier->accounts_count, &url);
    if (!url.tls && !url_is_loopback(&url)
            && !(exchange->account && exchange->account->destination->insecure)) {
        fail_later(exchange, "plain http beyond loopback needs insecure=\"yes\"");
        return;
    }
    if (url_is_address(&url)) {
        depart(exchange);
        return;
    }
    if (!exchange->origin->resolve[0]) {
        ask(courier, exchange->origin);
        wait_in_line(exchange, now + courier->pace.resolve_ms * NS_PER_MS);
        return;
    }
    /* Old addresses serve until new ones have come: a dead resolver stops nothing. */
    if (now > exchange->origin->resolved_ns + courier->pace.resolve_ttl_ms * NS_PER_MS)
        ask(courier, exchange->origin);
    depart(exchange);
}

static void leave_line(struct exchange *exchange)
{
    struct exchange **link = &exchange->courier->waiting;

    while (*link && *link != exchange)
        link = &(*link)->next;
    if (*link)
        *link = exchange->next;
    exchange->waiting = false;
    exchange->next = NULL;
}

void courier_cancel(struct exchange *exchange)
{
    if (exchange->waiting)
        leave_line(exchange);
    http_cancel(&exchange->request);
    if (exchange->probe && exchange->origin)
        origin_probe_cancelled(exchange->origin);
    exchange->probe = false;
}

static void name_came(struct courier *courier, const struct resolver_answer *answer)
{
    for (struct origin *origin = courier->origins; origin; origin = origin->next) {
        if (!origin->resolving || strcmp(origin->url.host, answer->host) != 0)
            continue;
        origin->resolving = false;
        if (answer->status != SEALTAPE_OK)
            continue;
        origin->resolved_ns = clock_monotonic_ns();
        (void)snprintf(origin->resolve, sizeof(origin->resolve), "%s:%u:%s", origin->url.host,
                origin->url.port, answer->addresses);
    }
    for (struct exchange *one = courier->waiting; one; one = one->next) {
        if (one->failed || !one->origin || strcmp(one->origin->url.host, answer->host) != 0)
            continue;
        one->deadline_ns = 0;
        if (answer->status != SEALTAPE_OK) {
            one->failed = true;
            (void)snprintf(one->reason, sizeof(one->reason), "%.250s", answer->diag.text);
        }
    }
}

/* The next that has something to be told; each `done` may change the line. */
static struct exchange *due(struct courier *courier, uint64_t now_ns)
{
    for (struct exchange *one = courier->waiting; one; one = one->next) {
        if (one->deadline_ns <= now_ns)
            return one;
    }
    return NULL;
}

void courier_turn(struct courier *courier)
{
    uint64_t now = clock_monotonic_ns();
    struct resolver_answer answer;
    struct exchange *exchange;

    while (resolver_next(courier->resolver, &answer))
        name_came(courier, &answer);
    /* A `done` that sends again and fails again comes in the next turn: bounded work. */
    for (unsigned i = 0; i < 1024 && (exchange = due(courier, now)) != NULL; i++) {
        leave_line(exchange);
        if (exchange->failed)
            on_failure(exchange, exchange->reason);
        else if (exchange->origin->resolve[0])
            depart(exchange);
        else
            on_failure(exchange, "the name was not resolved in time");
    }
}

uint64_t courier_due(const struct courier *courier)
{
    uint64_t due_ns = UINT64_MAX;

    for (const struct exchange *one = courier->waiting; one; one = one->next) {
        if (one->deadline_ns < due_ns)
            due_ns = one->deadline_ns;
    }
    return due_ns;
}

void courier_forgive(struct courier *courier)
{
    for (struct origin *origin = courier->origins; origin; origin = origin->next)
        origin_forgive(origin);
    for (size_t i = 0; i < courier->accounts_count; i++)
        account_distrust(&courier->accounts[i]);
}
