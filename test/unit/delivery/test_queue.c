#include "delivery/queue.h"

#include <stdlib.h>
#include <string.h>

#include "../unit.h"

#define ITEMS 200

struct scene {
    struct queue queue;
    struct queue_item items[ITEMS];
    struct queue_item *served[ITEMS];
    size_t served_count;
    const struct queue_item *refused;
    size_t asked;
};

static int setup(void **state)
{
    *state = calloc(1, sizeof(struct scene));
    return 0;
}

static int teardown(void **state)
{
    struct scene *scene = *state;

    queue_clear(&scene->queue);
    free(scene);
    return 0;
}

static bool serve(void *context, struct queue_item *item)
{
    struct scene *scene = context;

    scene->asked++;
    if (item == scene->refused)
        return false;
    queue_take(&scene->queue, item);
    scene->served[scene->served_count++] = item;
    return true;
}

static void tenants_are_served_in_turn(void **state)
{
    struct scene *scene = *state;

    for (size_t i = 0; i < 100; i++) {
        assert_int_equal(queue_admit(&scene->queue, &scene->items[i], i < 97 ? "busy" : "quiet"),
                SEALTAPE_OK);
        queue_ready(&scene->queue, &scene->items[i]);
    }
    queue_serve(&scene->queue, serve, scene);
    assert_int_equal(scene->served_count, 100);
    /* The quiet one's three are among the first six. */
    for (size_t i = 97; i < 100; i++) {
        bool early = false;

        for (size_t at = 0; at < 6; at++)
            early = early || scene->served[at] == &scene->items[i];
        assert_true(early);
    }
}

static void what_finds_no_room_stays_in_its_place(void **state)
{
    struct scene *scene = *state;

    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(queue_admit(&scene->queue, &scene->items[i], "one"), SEALTAPE_OK);
        queue_ready(&scene->queue, &scene->items[i]);
    }
    scene->refused = &scene->items[0];
    queue_serve(&scene->queue, serve, scene);
    assert_int_equal(scene->served_count, 2);
    assert_int_equal(scene->items[0].place, QUEUE_READY);
    scene->refused = NULL;
    queue_serve(&scene->queue, serve, scene);
    assert_ptr_equal(scene->served[2], &scene->items[0]);
}

static void a_long_line_without_room_costs_little(void **state)
{
    struct scene *scene = *state;

    for (size_t i = 0; i < ITEMS; i++) {
        assert_int_equal(queue_admit(&scene->queue, &scene->items[i], "one"), SEALTAPE_OK);
        queue_ready(&scene->queue, &scene->items[i]);
    }
    scene->refused = &scene->items[0];
    queue_serve(&scene->queue, serve, scene);
    assert_int_equal(scene->served_count, ITEMS - 1);
    assert_true(scene->asked <= 2 * ITEMS);
}

static void nothing_is_served_before_its_time_and_then_in_order(void **state)
{
    struct scene *scene = *state;

    for (size_t i = 0; i < ITEMS; i++) {
        assert_int_equal(queue_admit(&scene->queue, &scene->items[i], "one"), SEALTAPE_OK);
        queue_wait(&scene->queue, &scene->items[i], 1000 + i * 7919 % ITEMS);
    }
    assert_int_equal(queue_due(&scene->queue), 1000);
    queue_turn(&scene->queue, 999);
    queue_serve(&scene->queue, serve, scene);
    assert_int_equal(scene->served_count, 0);
    for (size_t i = 0; i < ITEMS; i += 3)
        queue_dismiss(&scene->queue, &scene->items[i]);
    queue_turn(&scene->queue, 5000);
    queue_serve(&scene->queue, serve, scene);
    assert_int_equal(scene->served_count, ITEMS - (ITEMS + 2) / 3);
    for (size_t i = 1; i < scene->served_count; i++)
        assert_true(scene->served[i - 1]->due_ns <= scene->served[i]->due_ns);
    assert_true(queue_due(&scene->queue) == UINT64_MAX);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
            CASE(tenants_are_served_in_turn),
            CASE(what_finds_no_room_stays_in_its_place),
            CASE(a_long_line_without_room_costs_little),
            CASE(nothing_is_served_before_its_time_and_then_in_order),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
