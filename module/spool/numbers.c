#include "spool/numbers.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/hex.h"

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

enum sealtape_status numbers_parse(
        struct numbers *numbers, const char *text, size_t len, char *ret_epoch, struct diag *diag)
{
    unsigned char random[16];
    enum sealtape_status st;
    char epoch[33];
    unsigned format;
    int used = 0;

    (void)len;
    if (sscanf(text, "sealtape-epoch %u\n", &format) != 1)
        return diag_fail(diag, SEALTAPE_E_SPOOL, "epoch: not a file of this project");
    if (format > NUMBERS_FORMAT)
        return diag_fail(diag, SEALTAPE_E_VERSION, "epoch: of format %u; this build reads up to %d",
                format, NUMBERS_FORMAT);
    if (sscanf(text, "sealtape-epoch %*u\nepoch %32[0-9a-f]\n%n", epoch, &used) != 1 || used == 0
            || hex_decode(epoch, random, sizeof(random)) != SEALTAPE_OK)
        return diag_fail(diag, SEALTAPE_E_SPOOL, "epoch: line 2: expected 32 hex digits");
    for (const char *line = text + used; *line; line += used) {
        uint32_t tenant;
        uint64_t last;

        used = 0;
        if (sscanf(line, "tenant %" SCNu32 " %" SCNu64 "%n", &tenant, &last, &used) != 2
                || line[used++] != '\n')
            return diag_fail(diag, SEALTAPE_E_SPOOL, "epoch: expected \"tenant DBID NUMBER\"");
        st = numbers_see(numbers, tenant, last);
        if (st != SEALTAPE_OK)
            return diag_fail(diag, st, "epoch: too many tenants");
    }
    strcpy(ret_epoch, epoch);
    return SEALTAPE_OK;
}
