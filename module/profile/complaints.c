#include <stdlib.h>
#include <string.h>

#include "profile/scan.h"

/* More are counted by nobody: an operator mends the first ones first. */
#define COMPLAINTS_MAX 10000u

enum sealtape_status complaints_add(
        struct complaints *complaints, enum log_number number, const char *text)
{
    struct complaint complaint = {NULL, number};

    if (complaints->count == COMPLAINTS_MAX)
        return SEALTAPE_OK;
    if (complaints->count == complaints->capacity) {
        size_t capacity = complaints->capacity == 0 ? 4 : complaints->capacity * 2;
        struct complaint *grown = realloc(complaints->items, capacity * sizeof(*grown));

        if (!grown)
            return SEALTAPE_E_MEMORY;
        complaints->items = grown;
        complaints->capacity = capacity;
    }
    complaint.text = strdup(text);
    if (!complaint.text)
        return SEALTAPE_E_MEMORY;
    complaints->items[complaints->count++] = complaint;
    return SEALTAPE_OK;
}

static int compare(const void *left, const void *right)
{
    const struct complaint *a = left, *b = right;

    return strcmp(a->text, b->text);
}

void complaints_sort(struct complaints *complaints)
{
    if (complaints->count > 1)
        qsort(complaints->items, complaints->count, sizeof(*complaints->items), compare);
}

bool complaints_has(const struct complaints *complaints, const char *text)
{
    for (size_t from = 0, to = complaints->count; from < to;) {
        size_t middle = from + (to - from) / 2;
        int order = strcmp(text, complaints->items[middle].text);

        if (order == 0)
            return true;
        if (order > 0)
            from = middle + 1;
        else
            to = middle;
    }
    return false;
}

void complaints_clear(struct complaints *complaints)
{
    for (size_t i = 0; i < complaints->count; i++)
        free(complaints->items[i].text);
    free(complaints->items);
    memset(complaints, 0, sizeof(*complaints));
}
