#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "delivery/account.h"
#include "delivery/http.h"
#include "delivery/pace.h"
#include "profile/url.h"

#define NS_PER_SECOND UINT64_C(1000000000)

struct fetching {
    const struct http_fetch *fetch;
    const struct account *account; /* NULL: none for its origin */
    struct http_request *request;
    uint64_t skip; /* bytes in front of what is wanted, sent by a server without ranges */
    uint64_t left; /* UINT64_MAX: to the end */
    bool looked, ended, full;
    enum sealtape_status sink_status;
    struct http_answer answer;
};

static enum sealtape_status fetch_sink(void *context, const void *bytes, size_t len)
{
    struct fetching *fetching = context;
    const unsigned char *from = bytes;

    if (!fetching->looked) {
        fetching->looked = true;
        if (http_status(fetching->request) == 200)
            fetching->skip = fetching->fetch->offset;
    }
    if (len <= fetching->skip) {
        fetching->skip -= len;
        return SEALTAPE_OK;
    }
    from += fetching->skip;
    len -= (size_t)fetching->skip;
    fetching->skip = 0;
    if (len > fetching->left)
        len = (size_t)fetching->left;
    if (len > 0)
        fetching->sink_status = fetching->fetch->sink(fetching->fetch->context, from, len);
    if (fetching->sink_status != SEALTAPE_OK)
        return fetching->sink_status;
    if (fetching->left != UINT64_MAX)
        fetching->left -= len;
    fetching->full = fetching->left == 0;
    /* The rest is of no use: end the request. */
    return fetching->full ? SEALTAPE_E_LIMIT : SEALTAPE_OK;
}

static void fetch_done(void *context, const struct http_answer *answer)
{
    struct fetching *fetching = context;

    fetching->answer = *answer;
    fetching->ended = true;
}

static enum sealtape_status fetch_judge(
        const struct fetching *fetching, uint64_t *ret_total, struct diag *diag)
{
    const struct http_answer *answer = &fetching->answer;
    char url[256], account[400] = "";

    url_redact(fetching->fetch->url, url, sizeof(url));
    if (fetching->sink_status != SEALTAPE_OK)
        return diag_fail(diag, fetching->sink_status, "GET %s: stopped", url);
    /* A range behind the end of the object: nothing is there to be had. */
    if (answer->status == 416 && answer->total != UINT64_MAX
            && fetching->fetch->offset >= answer->total) {
        *ret_total = answer->total;
        return SEALTAPE_OK;
    }
    if (answer->status == 401)
        account_describe(fetching->account, account, sizeof(account));
    if (answer->status != 200 && answer->status != 206)
        return answer->status ? diag_fail(
                       diag, SEALTAPE_E_IO, "GET %s: status %d%s", url, answer->status, account)
                              : diag_fail(diag, SEALTAPE_E_IO, "GET %s: %s", url, answer->error);
    if (!answer->complete && !fetching->full)
        return diag_fail(diag, SEALTAPE_E_IO, "GET %s: %s", url, answer->error);
    *ret_total = answer->total;
    return SEALTAPE_OK;
}

static enum sealtape_status fetch_run(struct http *http, struct fetching *fetching,
        struct http_call *call, uint64_t *ret_total, struct diag *diag)
{
    const struct http_fetch *fetch = fetching->fetch;
    enum sealtape_status st;
    char range[64];

    if (fetch->len > 0)
        (void)snprintf(range, sizeof(range), "Range: bytes=%llu-%llu",
                (unsigned long long)fetch->offset,
                (unsigned long long)(fetch->offset + fetch->len - 1));
    else
        (void)snprintf(
                range, sizeof(range), "Range: bytes=%llu-", (unsigned long long)fetch->offset);
    if (fetch->len > 0 || fetch->offset > 0)
        call->headers[0] = range;
    call->method = "GET";
    call->url = fetch->url;
    call->sink = fetch_sink;
    call->done = fetch_done;
    call->context = fetching;
    st = http_send(http, call, &fetching->request);
    if (st != SEALTAPE_OK)
        return diag_fail(diag, st, "no memory for a request");
    while (!fetching->ended)
        http_run(http, clock_monotonic_ns() + NS_PER_SECOND);
    return fetch_judge(fetching, ret_total, diag);
}

static void fetch_accounts_free(struct account **accounts)
{
    free(*accounts);
    *accounts = NULL;
}

/* Credentials and CA, where the URL's origin has any. */
static enum sealtape_status fetch_with(struct http *http, struct fetching *fetching,
        struct account *account, uint64_t *ret_total, struct diag *diag)
{
    struct http_call call;
    enum sealtape_status st;

    memset(&call, 0, sizeof(call));
    fetching->account = account;
    if (!account)
        return fetch_run(http, fetching, &call, ret_total, diag);
    st = account_password(account, &call.password, diag);
    if (st != SEALTAPE_OK) {
        diag_prefix(diag, "GET %s: the password: ", account->destination->url);
        return st;
    }
    call.username = account->destination->username;
    call.ca_file = account->destination->ca_file;
    st = fetch_run(http, fetching, &call, ret_total, diag);
    account_clear(account);
    return st;
}

enum sealtape_status http_fetch(
        const struct http_fetch *fetch, uint64_t *ret_total, struct diag *diag)
{
    CLEANUP(fetch_accounts_free) struct account *accounts = NULL;
    CLEANUP(http_close) struct http *http = NULL;
    struct account *account;
    struct fetching fetching;
    enum sealtape_status st;
    struct url url;

    st = url_parse(fetch->url, &url, diag);
    if (st != SEALTAPE_OK)
        return st;
    memset(&fetching, 0, sizeof(fetching));
    fetching.fetch = fetch;
    fetching.left = fetch->len > 0 ? fetch->len : UINT64_MAX;
    accounts = calloc(fetch->destinations_count + 1, sizeof(*accounts));
    if (!accounts)
        return diag_fail(diag, SEALTAPE_E_MEMORY, "no memory for a request");
    for (size_t i = 0; i < fetch->destinations_count; i++) {
        st = account_init(&accounts[i], &fetch->destinations[i], diag);
        if (st != SEALTAPE_OK)
            return st;
    }
    account = account_find(accounts, fetch->destinations_count, &url);
    if (!url.tls && !url_is_loopback(&url) && !(account && account->destination->insecure))
        return diag_fail(diag, SEALTAPE_E_USAGE,
                "plain http beyond loopback needs insecure=\"yes\" in the configuration");
    st = http_open(&pace_default.http, &http, diag);
    if (st != SEALTAPE_OK)
        return st;
    return fetch_with(http, &fetching, account, ret_total, diag);
}
