/*
 * The lookout: one thread that sees trouble coming. Twice a second it looks at
 * memory, quota, free disk and the writer's lateness, tells when one passes its
 * watermark and when it is well again, and says whether a new recording may
 * begin: those are refused before running ones suffer.
 *
 *                told of at                 new recordings are refused at
 *   memory       half of it                 three quarters
 *   quota        80 %                       100 %
 *   disk         twice the reserve is left  the reserve is left: 2 %, 1 GiB at the most
 *   lateness     bytes wait for two flush intervals and a quarter of a second
 */
#ifndef SEALTAPE_SPOOL_LOOKOUT_H
#define SEALTAPE_SPOOL_LOOKOUT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/diag.h"

enum lookout_gauge {
    LOOKOUT_MEMORY,
    LOOKOUT_QUOTA,
    LOOKOUT_DISK,
    LOOKOUT_LATENESS,
    LOOKOUT_GAUGES
};

/* A reading: how much there is, and how much of it is used up. */
struct lookout_reading {
    uint64_t used, all;
};

struct lookout_source {
    void *context;
    /* [lookout] for the disk, which may wait; [lookout, control] for the others. */
    void (*read)(void *context, enum lookout_gauge gauge, struct lookout_reading *ret_reading);
    /* A watermark was passed (@pressed) or things are well again; one line. [lookout] */
    void (*tell)(void *context, bool pressed, const char *text);
    uint32_t flush_ms;
};

struct lookout;

/* [setup] @source is copied. */
enum sealtape_status lookout_start(const struct lookout_source *source,
        struct lookout **ret_lookout, struct diag *diag) MUST_CHECK;

/* May a recording begin? [control]
 *
 *   SEALTAPE_E_LIMIT  one of the gauges is at its limit; @diag says which
 */
enum sealtape_status lookout_ready(struct lookout *lookout, struct diag *diag) MUST_CHECK;

/* Join the thread. [setup] */
void lookout_stop(struct lookout **lookout);

#endif
