#include "delivery/queue.h"

#include <stdlib.h>
#include <string.h>

/* So far into a line is looked for something whose origin has room. */
#define QUEUE_LOOK_MAX 64

void queue_clear(struct queue *queue)
{
    while (queue->tenants) {
        struct queue_tenant *next = queue->tenants->next;

        free(queue->tenants);
        queue->tenants = next;
    }
    free(queue->heap);
    memset(queue, 0, sizeof(*queue));
}

static struct queue_tenant *tenant_find(struct queue *queue, const char *name)
{
    struct queue_tenant *tenant;

    for (tenant = queue->tenants; tenant; tenant = tenant->next) {
        if (strcmp(tenant->name, name) == 0)
            return tenant;
    }
    tenant = calloc(1, sizeof(*tenant) + strlen(name) + 1);
    if (!tenant)
        return NULL;
    memcpy(tenant->name, name, strlen(name) + 1);
    tenant->next = queue->tenants;
    queue->tenants = tenant;
    return tenant;
}

enum sealtape_status queue_admit(struct queue *queue, struct queue_item *item, const char *tenant)
{
    if (queue->items_count == queue->heap_size) {
        size_t size = queue->heap_size ? 2 * queue->heap_size : 64;
        struct queue_item **heap = realloc(queue->heap, size * sizeof(struct queue_item *));

        if (!heap)
            return SEALTAPE_E_MEMORY;
        queue->heap = heap;
        queue->heap_size = size;
    }
    item->tenant = tenant_find(queue, tenant);
    if (!item->tenant)
        return SEALTAPE_E_MEMORY;
    queue->items_count++;
    return SEALTAPE_OK;
}

void queue_dismiss(struct queue *queue, struct queue_item *item)
{
    if (!item->tenant)
        return;
    queue_take(queue, item);
    item->tenant = NULL;
    queue->items_count--;
}

static void heap_put(struct queue *queue, size_t at, struct queue_item *item)
{
    queue->heap[at] = item;
    item->heap_index = at;
}

static void heap_up(struct queue *queue, size_t at)
{
    struct queue_item *item = queue->heap[at];

    for (; at > 0 && queue->heap[(at - 1) / 2]->due_ns > item->due_ns; at = (at - 1) / 2)
        heap_put(queue, at, queue->heap[(at - 1) / 2]);
    heap_put(queue, at, item);
}

static void heap_down(struct queue *queue, size_t at)
{
    struct queue_item *item = queue->heap[at];

    for (;;) {
        size_t child = 2 * at + 1;

        if (child >= queue->heap_count)
            break;
        if (child + 1 < queue->heap_count
                && queue->heap[child + 1]->due_ns < queue->heap[child]->due_ns)
            child++;
        if (queue->heap[child]->due_ns >= item->due_ns)
            break;
        heap_put(queue, at, queue->heap[child]);
        at = child;
    }
    heap_put(queue, at, item);
}

static void heap_take(struct queue *queue, struct queue_item *item)
{
    size_t at = item->heap_index;
    struct queue_item *last = queue->heap[--queue->heap_count];

    if (last == item)
        return;
    heap_put(queue, at, last);
    heap_up(queue, at);
    heap_down(queue, last->heap_index);
}

static void line_take(struct queue_item *item)
{
    struct queue_tenant *tenant = item->tenant;

    if (item->previous)
        item->previous->next = item->next;
    else
        tenant->first = item->next;
    if (item->next)
        item->next->previous = item->previous;
    else
        tenant->last = item->previous;
    item->next = item->previous = NULL;
}

void queue_take(struct queue *queue, struct queue_item *item)
{
    if (item->place == QUEUE_READY)
        line_take(item);
    else if (item->place == QUEUE_WAITING)
        heap_take(queue, item);
    item->place = QUEUE_NOWHERE;
}

void queue_ready(struct queue *queue, struct queue_item *item)
{
    struct queue_tenant *tenant = item->tenant;

    queue_take(queue, item);
    item->previous = tenant->last;
    if (tenant->last)
        tenant->last->next = item;
    else
        tenant->first = item;
    tenant->last = item;
    item->place = QUEUE_READY;
}

void queue_wait(struct queue *queue, struct queue_item *item, uint64_t due_ns)
{
    queue_take(queue, item);
    item->due_ns = due_ns;
    heap_put(queue, queue->heap_count, item);
    queue->heap_count++;
    heap_up(queue, item->heap_index);
    item->place = QUEUE_WAITING;
}

void queue_turn(struct queue *queue, uint64_t now_ns)
{
    while (queue->heap_count > 0 && queue->heap[0]->due_ns <= now_ns)
        queue_ready(queue, queue->heap[0]);
}

uint64_t queue_due(const struct queue *queue)
{
    return queue->heap_count > 0 ? queue->heap[0]->due_ns : UINT64_MAX;
}

static bool serve_tenant(struct queue_tenant *tenant,
        bool (*start)(void *context, struct queue_item *item), void *context)
{
    struct queue_item *item = tenant->first, *next;

    for (unsigned i = 0; item && i < QUEUE_LOOK_MAX; i++, item = next) {
        next = item->next;
        if (start(context, item))
            return true;
    }
    return false;
}

void queue_serve(
        struct queue *queue, bool (*start)(void *context, struct queue_item *item), void *context)
{
    size_t tenants = 0, idle = 0;

    for (struct queue_tenant *one = queue->tenants; one; one = one->next)
        tenants++;
    while (idle < tenants) {
        queue->turn = queue->turn && queue->turn->next ? queue->turn->next : queue->tenants;
        idle = serve_tenant(queue->turn, start, context) ? 0 : idle + 1;
    }
}
