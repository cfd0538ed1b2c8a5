#include "spool/numbers.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/hex.h"

#define EPOCH_LEN 32

struct number {
    uint32_t tenant_dbid;
    uint64_t last;
};

/* Sorted by tenant. */
struct numbers {
    struct number *items;
    size_t count, room;
};

enum sealtape_status numbers_new(struct numbers **ret_numbers)
{
    *ret_numbers = calloc(1, sizeof(**ret_numbers));
    return *ret_numbers ? SEALTAPE_OK : SEALTAPE_E_MEMORY;
}

void numbers_free(struct numbers **numbers)
{
    if (!*numbers)
        return;
    free((*numbers)->items);
    free(*numbers);
    *numbers = NULL;
}

/* Where the tenant is, or belongs. */
static size_t position(const struct numbers *numbers, uint32_t tenant_dbid)
{
    size_t low = 0, high = numbers->count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (numbers->items[middle].tenant_dbid < tenant_dbid)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static enum sealtape_status grow(struct numbers *numbers)
{
    size_t room = numbers->room ? numbers->room * 2 : 8;
    struct number *items;

    if (numbers->count >= NUMBERS_TENANTS_MAX)
        return SEALTAPE_E_LIMIT;
    if (numbers->count < numbers->room)
        return SEALTAPE_OK;
    items = reallocarray(numbers->items, room, sizeof(*items));
    if (!items)
        return SEALTAPE_E_MEMORY;
    numbers->items = items;
    numbers->room = room;
    return SEALTAPE_OK;
}

static enum sealtape_status find(
        struct numbers *numbers, uint32_t tenant_dbid, struct number **ret_number)
{
    size_t at = position(numbers, tenant_dbid);
    enum sealtape_status st;

    if (at == numbers->count || numbers->items[at].tenant_dbid != tenant_dbid) {
        st = grow(numbers);
        if (st != SEALTAPE_OK)
            return st;
        memmove(numbers->items + at + 1, numbers->items + at,
                (numbers->count - at) * sizeof(numbers->items[0]));
        numbers->items[at] = (struct number){.tenant_dbid = tenant_dbid};
        numbers->count++;
    }
    *ret_number = &numbers->items[at];
    return SEALTAPE_OK;
}

enum sealtape_status numbers_take(
        struct numbers *numbers, uint32_t tenant_dbid, uint64_t *ret_number)
{
    enum sealtape_status st;
    struct number *number;

    st = find(numbers, tenant_dbid, &number);
    if (st != SEALTAPE_OK)
        return st;
    if (number->last >= NUMBERS_LAST_MAX)
        return SEALTAPE_E_LIMIT;
    *ret_number = ++number->last;
    return SEALTAPE_OK;
}

enum sealtape_status numbers_see(struct numbers *numbers, uint32_t tenant_dbid, uint64_t seen)
{
    enum sealtape_status st;
    struct number *number;

    st = find(numbers, tenant_dbid, &number);
    if (st != SEALTAPE_OK)
        return st;
    if (number->last < seen)
        number->last = seen;
    return SEALTAPE_OK;
}

enum sealtape_status numbers_text(
        const struct numbers *numbers, const char *epoch, char **ret_text, size_t *ret_len)
{
    FILE *out = open_memstream(ret_text, ret_len);

    if (!out)
        return SEALTAPE_E_MEMORY;
    fprintf(out, "sealtape-epoch %d\nepoch %s\n", NUMBERS_FORMAT, epoch);
    for (size_t i = 0; i < numbers->count; i++)
        fprintf(out, "tenant %" PRIu32 " %" PRIu64 "\n", numbers->items[i].tenant_dbid,
                numbers->items[i].last);
    return fclose(out) == 0 ? SEALTAPE_OK : SEALTAPE_E_MEMORY;
}

/* What is left of a text. */
struct reading {
    const char *at, *end;
};

static bool read_word(struct reading *reading, const char *word)
{
    size_t len = strlen(word);

    if ((size_t)(reading->end - reading->at) < len || memcmp(reading->at, word, len) != 0)
        return false;
    reading->at += len;
    return true;
}

/* Decimal digits and the byte behind them. */
static bool read_number(struct reading *reading, uint64_t max, char behind, uint64_t *ret_number)
{
    const char *begin = reading->at;
    uint64_t number = 0;

    for (; reading->at < reading->end && *reading->at >= '0' && *reading->at <= '9';
            reading->at++) {
        uint64_t digit = (uint64_t)(*reading->at - '0');

        if (number > (max - digit) / 10)
            return false;
        number = number * 10 + digit;
    }
    if (reading->at == begin || reading->at == reading->end || *reading->at != behind)
        return false;
    reading->at++;
    *ret_number = number;
    return true;
}

static enum sealtape_status read_head(struct reading *reading, char *ret_epoch, struct diag *diag)
{
    unsigned char random[EPOCH_LEN / 2];
    uint64_t format;

    if (!read_word(reading, "sealtape-epoch ") || !read_number(reading, UINT32_MAX, '\n', &format)
            || format == 0)
        return diag_fail(diag, SEALTAPE_E_SPOOL, "epoch: not a file of this project");
    if (format > NUMBERS_FORMAT)
        return diag_fail(diag, SEALTAPE_E_VERSION, "epoch: of format %u; this build reads up to %d",
                (unsigned)format, NUMBERS_FORMAT);
    if (read_word(reading, "epoch ") && reading->end - reading->at > EPOCH_LEN) {
        memcpy(ret_epoch, reading->at, EPOCH_LEN);
        ret_epoch[EPOCH_LEN] = '\0';
        reading->at += EPOCH_LEN;
        if (hex_decode(ret_epoch, random, sizeof(random)) == SEALTAPE_OK
                && read_word(reading, "\n"))
            return SEALTAPE_OK;
    }
    return diag_fail(diag, SEALTAPE_E_SPOOL, "epoch: line 2: expected 32 hex digits");
}

/* The lines are sorted as they were written; so each goes to the end of the table. */
static enum sealtape_status read_tenants(
        struct reading *reading, struct numbers *numbers, struct diag *diag)
{
    uint64_t tenant = 0, before = 0, last = 0;
    enum sealtape_status st;

    for (unsigned line = 3; reading->at < reading->end; line++, before = tenant) {
        if (!read_word(reading, "tenant ") || !read_number(reading, UINT32_MAX, ' ', &tenant)
                || !read_number(reading, NUMBERS_LAST_MAX, '\n', &last))
            return diag_fail(diag, SEALTAPE_E_SPOOL,
                    "epoch: line %u: expected \"tenant DBID NUMBER\"", line);
        if (line > 3 && tenant <= before)
            return diag_fail(diag, SEALTAPE_E_SPOOL,
                    "epoch: line %u: expected a tenant beyond %llu, found %llu", line,
                    (unsigned long long)before, (unsigned long long)tenant);
        st = numbers_see(numbers, (uint32_t)tenant, last);
        if (st != SEALTAPE_OK)
            return diag_fail(diag, st,
                    st == SEALTAPE_E_LIMIT ? "epoch: too many tenants" : "epoch: no memory");
    }
    return SEALTAPE_OK;
}

enum sealtape_status numbers_parse(
        struct numbers *numbers, const char *text, size_t len, char *ret_epoch, struct diag *diag)
{
    struct reading reading = {text, text + len};
    CLEANUP(numbers_free) struct numbers *read = NULL;
    enum sealtape_status st;
    struct numbers old;
    char epoch[EPOCH_LEN + 1];

    st = numbers_new(&read);
    if (st != SEALTAPE_OK)
        return diag_fail(diag, st, "epoch: no memory");
    st = read_head(&reading, epoch, diag);
    if (st == SEALTAPE_OK)
        st = read_tenants(&reading, read, diag);
    if (st != SEALTAPE_OK)
        return st;
    old = *numbers;
    *numbers = *read;
    *read = old;
    memcpy(ret_epoch, epoch, sizeof(epoch));
    return SEALTAPE_OK;
}
