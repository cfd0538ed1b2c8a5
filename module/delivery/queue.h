/*
 * What waits to be delivered: a line for each tenant, served in turn, and a
 * heap of what must not be tried before a certain time.
 */
#ifndef SEALTAPE_DELIVERY_QUEUE_H
#define SEALTAPE_DELIVERY_QUEUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"

enum queue_place { QUEUE_NOWHERE, QUEUE_READY, QUEUE_WAITING };

/* Inside what is queued. Zero it before queue_admit(). */
struct queue_item {
    struct queue_item *next, *previous;
    struct queue_tenant *tenant;
    enum queue_place place;
    uint64_t due_ns;
    size_t heap_index;
};

struct queue_tenant {
    struct queue_tenant *next;
    struct queue_item *first, *last;
    char name[];
};

struct queue {
    struct queue_tenant *tenants, *turn;
    struct queue_item **heap;
    size_t heap_count, heap_size, items_count;
};

void queue_clear(struct queue *queue);

/* Make room for one more, so that moving it never fails. SEALTAPE_E_MEMORY. */
enum sealtape_status queue_admit(
        struct queue *queue, struct queue_item *item, const char *tenant) MUST_CHECK;
void queue_dismiss(struct queue *queue, struct queue_item *item);

/* To the end of its tenant's line; into the heap; out of both. */
void queue_ready(struct queue *queue, struct queue_item *item);
void queue_wait(struct queue *queue, struct queue_item *item, uint64_t due_ns);
void queue_take(struct queue *queue, struct queue_item *item);

/* What is due goes to its line. */
void queue_turn(struct queue *queue, uint64_t now_ns);
/* When the next will be due, UINT64_MAX: none waits. */
uint64_t queue_due(const struct queue *queue);

/*
 * Offer the lines, tenant by tenant, to @start until it takes none. It answers
 * true where it took the item (and called queue_take), or may call queue_wait.
 */
void queue_serve(
        struct queue *queue, bool (*start)(void *context, struct queue_item *item), void *context);

#endif
