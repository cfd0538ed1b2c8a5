/*
 * The clockwork of the watched directory, for tests that own it.
 */
#ifndef SEALTAPE_PROFILE_DIRECTORY_H
#define SEALTAPE_PROFILE_DIRECTORY_H

#include "profile/profile.h"

struct directory_timing {
    uint32_t rescan_ms; /* look at everything so often, whatever inotify says */
    uint32_t grace_ms;  /* a vanished file stays in force for so long */
    uint32_t settle_ms; /* wait for so long after a change for the next one */
};

/* profile_directory_open() with other times. [setup] */
enum sealtape_status profile_directory_open_timed(const struct config *config,
        const struct directory_timing *timing, profile_report *report, void *context,
        struct profile_directory **ret_directory, struct diag *diag) MUST_CHECK;

#endif
