/*
 * What is in force: profiles by DBID and by name, and the trust.
 */
#ifndef SEALTAPE_PROFILE_SNAPSHOT_H
#define SEALTAPE_PROFILE_SNAPSHOT_H

#include "profile/annex.h"
#include "profile/pool.h"
#include "profile/profile.h"

/* A profile that several snapshots share. */
struct shared_profile;

/*
 * Understand an annex. [setup] Only certificates that are no certificates are errors;
 * whether they are valid is looked at when they are used.
 *
 * @overlay may be NULL; option by option it goes before @annex. @ret_profile is
 * to be released.
 *
 *   SEALTAPE_E_CONFIG  "record.xml:12: what was expected, what was found"
 */
enum sealtape_status shared_profile_new(const struct annex *annex, const struct annex *overlay,
        struct pool *pool, struct shared_profile **ret_profile, struct diag *diag) MUST_CHECK;

struct shared_profile *shared_profile_acquire(struct shared_profile *profile);
void shared_profile_release(struct shared_profile **profile);
const struct profile *shared_profile_get(const struct shared_profile *profile);

/* What a snapshot is made of; profiles, refusals and texts are taken by snapshot_new(). */
struct snapshot_parts {
    struct shared_profile **profiles;
    size_t profiles_count;
    struct snapshot_refusal {
        uint32_t dbid;
        char *text; /* why no profile has this DBID */
    } * refusals;
    size_t refusals_count;
    char *broken; /* a file that is not in force as it stands, or NULL */
};

void snapshot_parts_clear(struct snapshot_parts *parts);

/* @parts is left empty in either case; @trust is shared. [setup] SEALTAPE_E_MEMORY */
enum sealtape_status snapshot_new(struct snapshot_parts *parts, struct trust *trust,
        struct profile_snapshot **ret_snapshot, struct diag *diag) MUST_CHECK;

/* The profile in force, to be released, or NULL. [any] */
struct shared_profile *snapshot_share(const struct profile_snapshot *snapshot, uint32_t dbid);

/* Pairs of profiles that share tenant and name: the next after *at, or 0 when there
 * is none. Start with *at = 0. [any] */
int snapshot_next_twin(const struct profile_snapshot *snapshot, size_t *at,
        const struct profile **ret_one, const struct profile **ret_other);

#endif
