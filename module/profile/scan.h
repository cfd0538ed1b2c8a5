/*
 * The profile directory as it was seen last, and how it becomes a snapshot.
 * Used by one thread at a time.
 */
#ifndef SEALTAPE_PROFILE_SCAN_H
#define SEALTAPE_PROFILE_SCAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/log_number.h"
#include "profile/cache.h"
#include "profile/input.h"
#include "profile/profile.h"

/* Something that an operator must mend. */
struct complaint {
    char *text;
    enum log_number number;
};
struct complaints {
    struct complaint *items; /* sorted by text */
    size_t count, capacity;
};

enum sealtape_status complaints_add(
        struct complaints *complaints, enum log_number number, const char *text) MUST_CHECK;
void complaints_sort(struct complaints *complaints);
bool complaints_has(const struct complaints *complaints, const char *text);
void complaints_clear(struct complaints *complaints);

struct scan {
    const struct config *config;
    uint64_t grace_ns;     /* a vanished file stays in force for so long */
    struct input **inputs; /* sorted by name */
    size_t count;
    struct pool *pool;
    struct cache *cache; /* NULL: there is none */
    bool cache_failed;   /* and that was said */
    struct trust *trust;
    struct fingerprint roots, crls;
    char *trust_complaint, *directory_complaint; /* or NULL */
    bool directory_failed;                       /* it was not listed by the last run */
    bool stale;                                  /* the snapshot is not of what was read */
    struct profile_snapshot *snapshot;
    struct complaints merged;     /* of the files with each other; as long as none changes */
    struct complaints complaints; /* of the last run, all */
};

/* What a run found. */
struct scan_outcome {
    bool changed;     /* scan->snapshot is another one */
    bool complained;  /* there are complaints that were not there before */
    uint64_t next_ns; /* CLOCK_MONOTONIC: run again then; 0: not by itself */
    size_t invalid;   /* certificates that are not valid now */
};

/*
 * Load the trust, open the cache. [setup] @scan is zeroed but for config and grace_ns;
 * cleared by the caller, also on failure.
 *
 *   SEALTAPE_E_CONFIG  the trust cannot be loaded, or the directory not be read
 */
enum sealtape_status scan_init(struct scan *scan, struct diag *diag) MUST_CHECK;
void scan_clear(struct scan *scan);

/*
 * Look at everything, take over what is good, log what is not. [setup]
 *
 * @force: read also what looks unchanged, and drop vanished files at once.
 *
 *   SEALTAPE_E_MEMORY  the snapshot before stays
 */
enum sealtape_status scan_run(struct scan *scan, bool force, struct scan_outcome *ret_outcome,
        struct diag *diag) MUST_CHECK;

/*
 * The next snapshot from what is in force of each file. [setup]
 *
 * @broken, or NULL, is told to those who ask for an unknown profile. What the files have
 * against each other is added to @merged.
 */
enum sealtape_status scan_assemble(struct scan *scan, const char *broken, struct complaints *merged,
        struct profile_snapshot **ret_snapshot, struct diag *diag) MUST_CHECK;

#endif
