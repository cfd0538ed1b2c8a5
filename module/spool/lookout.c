#include "spool/lookout.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/log.h"
#include "base/thread.h"

#define LOOK_MS 500
#define RESERVE_MAX (UINT64_C(1) << 30)
#define LATENESS_SLACK_MS 250

enum level { WELL, PRESSED, FULL };

struct lookout {
    struct lookout_source source;
    pthread_t thread;

    /* Guards what follows. */
    pthread_mutex_t lock;
    pthread_cond_t stop;
    bool stopping;
    enum level levels[LOOKOUT_GAUGES];
};

static const char *const names[LOOKOUT_GAUGES] = {
        [LOOKOUT_MEMORY] = "memory",
        [LOOKOUT_QUOTA] = "quota",
        [LOOKOUT_DISK] = "disk",
        [LOOKOUT_LATENESS] = "flushing",
};

static const char *const refusals[LOOKOUT_GAUGES] = {
        [LOOKOUT_MEMORY] = "three quarters of the spool's memory are used: the disk does not keep "
                           "up; running recordings have the rest",
        [LOOKOUT_QUOTA] = "the spool's quota is used up: the store or the processor has not taken "
                          "recordings for long; see sealtape spool list",
        [LOOKOUT_DISK] = "the spool's disk is almost full; running recordings have the rest: make "
                         "room, or let what waits be delivered",
};

/* --- levels ----------------------------------------------------------------- */

static enum level disk_level(const struct lookout_reading *reading)
{
    uint64_t left = reading->all - reading->used, reserve = reading->all / 50;

    if (reserve > RESERVE_MAX)
        reserve = RESERVE_MAX;
    if (left <= reserve)
        return FULL;
    return left <= 2 * reserve ? PRESSED : WELL;
}

static enum level level_of(const struct lookout *lookout, enum lookout_gauge gauge,
        const struct lookout_reading *reading)
{
    uint64_t used = reading->used, all = reading->all;

    switch (gauge) {
    case LOOKOUT_MEMORY:
        return used > all / 4 * 3 ? FULL : used > all / 2 ? PRESSED : WELL;
    case LOOKOUT_QUOTA:
        return used >= all ? FULL : used >= all / 5 * 4 ? PRESSED : WELL;
    case LOOKOUT_DISK:
        return all ? disk_level(reading) : WELL;
    case LOOKOUT_LATENESS:
        /* Late bytes refuse nobody: memory does, when they become many. */
        return used > 2 * (uint64_t)lookout->source.flush_ms + LATENESS_SLACK_MS ? PRESSED : WELL;
    case LOOKOUT_GAUGES:
        break;
    }
    return WELL;
}

static void tell(const struct lookout *lookout, enum lookout_gauge gauge, enum level level,
        const struct lookout_reading *reading)
{
    enum log_number number = gauge == LOOKOUT_LATENESS ? LOG_SPOOL_LATE : LOG_SPOOL_PRESSURE;
    char text[256];

    if (level == WELL)
        (void)snprintf(text, sizeof(text), "spool: %s is well again", names[gauge]);
    else if (gauge == LOOKOUT_LATENESS)
        (void)snprintf(text, sizeof(text),
                "spool: flushing is late: the oldest bytes wait for %llu ms; they are in memory",
                (unsigned long long)reading->used);
    else
        (void)snprintf(text, sizeof(text), "spool: %s: %llu of %llu MiB are used%s", names[gauge],
                (unsigned long long)(reading->used >> 20), (unsigned long long)(reading->all >> 20),
                level == FULL ? "; new recordings are refused" : "");
    log_line(level == FULL      ? SEALTAPE_LOG_ERROR
             : level == PRESSED ? SEALTAPE_LOG_WARNING
                                : SEALTAPE_LOG_NOTICE,
            number, NULL, "%s", text);
    lookout->source.tell(lookout->source.context, level != WELL, text);
}

static void look(struct lookout *lookout)
{
    for (int g = 0; g < LOOKOUT_GAUGES; g++) {
        enum lookout_gauge gauge = (enum lookout_gauge)g;
        struct lookout_reading reading = {0};
        enum level level, before;

        lookout->source.read(lookout->source.context, gauge, &reading);
        level = level_of(lookout, gauge, &reading);
        pthread_mutex_lock(&lookout->lock);
        before = lookout->levels[gauge];
        lookout->levels[gauge] = level;
        pthread_mutex_unlock(&lookout->lock);
        if (level != before)
            tell(lookout, gauge, level, &reading);
    }
}

/* Memory and quota as they are now; the disk as it was at the last look. */
static enum level level_now(struct lookout *lookout, enum lookout_gauge gauge)
{
    struct lookout_reading reading = {0};
    enum level level;

    if (gauge == LOOKOUT_MEMORY || gauge == LOOKOUT_QUOTA) {
        lookout->source.read(lookout->source.context, gauge, &reading);
        return level_of(lookout, gauge, &reading);
    }
    pthread_mutex_lock(&lookout->lock);
    level = lookout->levels[gauge];
    pthread_mutex_unlock(&lookout->lock);
    return level;
}

enum sealtape_status lookout_ready(struct lookout *lookout, struct diag *diag)
{
    for (int g = 0; g < LOOKOUT_GAUGES; g++) {
        if (level_now(lookout, (enum lookout_gauge)g) == FULL)
            return diag_fail(diag, SEALTAPE_E_LIMIT, "%s", refusals[g]);
    }
    return SEALTAPE_OK;
}

/* --- life ------------------------------------------------------------------- */

static void *run(void *context)
{
    struct lookout *lookout = context;
    struct timespec until;
    bool stopping = false;

    while (!stopping) {
        look(lookout);
        clock_gettime(CLOCK_MONOTONIC, &until);
        until.tv_nsec += LOOK_MS * 1000000L;
        until.tv_sec += until.tv_nsec / 1000000000;
        until.tv_nsec %= 1000000000;
        pthread_mutex_lock(&lookout->lock);
        while (!lookout->stopping
                && pthread_cond_timedwait(&lookout->stop, &lookout->lock, &until) != ETIMEDOUT)
            ;
        stopping = lookout->stopping;
        pthread_mutex_unlock(&lookout->lock);
    }
    return NULL;
}

static void destroy(struct lookout *lookout)
{
    pthread_cond_destroy(&lookout->stop);
    pthread_mutex_destroy(&lookout->lock);
    free(lookout);
}

enum sealtape_status lookout_start(
        const struct lookout_source *source, struct lookout **ret_lookout, struct diag *diag)
{
    struct lookout *lookout = calloc(1, sizeof(*lookout));
    pthread_condattr_t attributes;

    if (!lookout)
        return diag_fail(diag, SEALTAPE_E_MEMORY, "no memory for the lookout");
    lookout->source = *source;
    pthread_mutex_init(&lookout->lock, NULL);
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&lookout->stop, &attributes);
    pthread_condattr_destroy(&attributes);
    /* The first answer is not given blindly. */
    look(lookout);
    if (thread_start(&lookout->thread, run, lookout) != SEALTAPE_OK) {
        int error = errno;

        destroy(lookout);
        return diag_fail(diag, SEALTAPE_E_MEMORY, "cannot start the lookout: %s", strerror(error));
    }
    *ret_lookout = lookout;
    return SEALTAPE_OK;
}

void lookout_stop(struct lookout **lookout)
{
    struct lookout *l = TAKE(*lookout);

    if (!l)
        return;
    pthread_mutex_lock(&l->lock);
    l->stopping = true;
    pthread_cond_signal(&l->stop);
    pthread_mutex_unlock(&l->lock);
    pthread_join(l->thread, NULL);
    destroy(l);
}
