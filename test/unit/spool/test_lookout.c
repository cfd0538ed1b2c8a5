/* The lookout: it tells before trouble, refuses at the limit, and says when all is well. */
#include "spool/lookout.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "../unit.h"

static struct {
    /* Guards what follows. */
    pthread_mutex_t lock;
    pthread_cond_t told;
    struct lookout_reading readings[LOOKOUT_GAUGES];
    char text[256];
    bool pressed;
    unsigned times;
} scene = {.lock = PTHREAD_MUTEX_INITIALIZER, .told = PTHREAD_COND_INITIALIZER};

static void on_read(void *context, enum lookout_gauge gauge, struct lookout_reading *ret_reading)
{
    (void)context;
    pthread_mutex_lock(&scene.lock);
    *ret_reading = scene.readings[gauge];
    pthread_mutex_unlock(&scene.lock);
}

static void on_tell(void *context, bool pressed, const char *text)
{
    (void)context;
    pthread_mutex_lock(&scene.lock);
    scene.pressed = pressed;
    (void)snprintf(scene.text, sizeof(scene.text), "%s", text);
    scene.times++;
    pthread_cond_broadcast(&scene.told);
    pthread_mutex_unlock(&scene.lock);
}

static struct lookout *start(void)
{
    const struct lookout_source source = {.read = on_read, .tell = on_tell, .flush_ms = 250};
    struct lookout *lookout = NULL;

    assert_int_equal(lookout_start(&source, &lookout, NULL), SEALTAPE_OK);
    return lookout;
}

static void clear(void)
{
    static const struct lookout_reading well[LOOKOUT_GAUGES] = {
            [LOOKOUT_MEMORY] = {0, 1000},
            [LOOKOUT_QUOTA] = {0, 1000},
            [LOOKOUT_DISK] = {0, 1000},
            [LOOKOUT_LATENESS] = {0, 0},
    };

    pthread_mutex_lock(&scene.lock);
    memcpy(scene.readings, well, sizeof(well));
    scene.text[0] = '\0';
    scene.times = 0;
    pthread_mutex_unlock(&scene.lock);
}

/* Change a reading and wait until that was told of. */
static void change(enum lookout_gauge gauge, uint64_t used)
{
    struct timespec until;
    unsigned before;

    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += 20;
    pthread_mutex_lock(&scene.lock);
    before = scene.times;
    scene.readings[gauge].used = used;
    while (scene.times == before)
        assert_int_equal(pthread_cond_timedwait(&scene.told, &scene.lock, &until), 0);
    pthread_mutex_unlock(&scene.lock);
}

static void each_gauge_is_told_of_before_it_refuses(void **state)
{
    static const struct {
        enum lookout_gauge gauge;
        uint64_t pressed, full;
        const char *name;
    } table[] = {
            {LOOKOUT_MEMORY, 501, 751, "memory"},
            {LOOKOUT_QUOTA, 800, 1000, "quota"},
            {LOOKOUT_DISK, 960, 980, "disk"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(table); i++) {
        struct lookout *lookout;
        struct diag diag;

        clear();
        lookout = start();
        assert_int_equal(lookout_ready(lookout, &diag), SEALTAPE_OK);
        change(table[i].gauge, table[i].pressed);
        assert_true(scene.pressed);
        assert_contains(scene.text, table[i].name);
        assert_int_equal(lookout_ready(lookout, &diag), SEALTAPE_OK);
        change(table[i].gauge, table[i].full);
        assert_contains(scene.text, "refused");
        assert_int_equal(lookout_ready(lookout, &diag), SEALTAPE_E_LIMIT);
        assert_contains(diag.text, table[i].name);
        change(table[i].gauge, 0);
        assert_false(scene.pressed);
        assert_contains(scene.text, "well again");
        assert_int_equal(lookout_ready(lookout, &diag), SEALTAPE_OK);
        lookout_stop(&lookout);
    }
}

static void late_bytes_are_told_of_and_refuse_nobody(void **state)
{
    struct lookout *lookout;

    (void)state;
    clear();
    lookout = start();
    change(LOOKOUT_LATENESS, 751);
    assert_true(scene.pressed);
    assert_contains(scene.text, "751 ms");
    assert_int_equal(lookout_ready(lookout, NULL), SEALTAPE_OK);
    change(LOOKOUT_LATENESS, 750);
    assert_false(scene.pressed);
    lookout_stop(&lookout);
}

static void what_is_full_at_the_start_refuses_at_once(void **state)
{
    struct lookout *lookout;

    (void)state;
    clear();
    scene.readings[LOOKOUT_DISK].used = 1000;
    lookout = start();
    assert_int_equal(lookout_ready(lookout, NULL), SEALTAPE_E_LIMIT);
    lookout_stop(&lookout);
}

static void a_disk_that_cannot_be_asked_refuses_nobody(void **state)
{
    struct lookout *lookout;

    (void)state;
    clear();
    scene.readings[LOOKOUT_DISK] = (struct lookout_reading){0, 0};
    lookout = start();
    assert_int_equal(lookout_ready(lookout, NULL), SEALTAPE_OK);
    assert_int_equal(scene.times, 0);
    lookout_stop(&lookout);
    lookout_stop(&lookout);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
            cmocka_unit_test(each_gauge_is_told_of_before_it_refuses),
            cmocka_unit_test(late_bytes_are_told_of_and_refuse_nobody),
            cmocka_unit_test(what_is_full_at_the_start_refuses_at_once),
            cmocka_unit_test(a_disk_that_cannot_be_asked_refuses_nobody),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
