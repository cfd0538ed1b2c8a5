#include "profile/snapshot.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

/* By value, so that a search touches few cache lines. */
struct by_dbid {
    uint32_t dbid;
    struct shared_profile *profile;
};

struct profile_snapshot {
    atomic_uint refs;
    struct by_dbid *dbids;        /* sorted */
    const struct profile **names; /* sorted by tenant DBID and name */
    size_t count;
    struct snapshot_refusal *refusals; /* sorted by DBID */
    size_t refusals_count;
    char *broken;
    struct trust *trust;
};

void snapshot_parts_clear(struct snapshot_parts *parts)
{
    for (size_t i = 0; i < parts->profiles_count; i++)
        shared_profile_release(&parts->profiles[i]);
    for (size_t i = 0; i < parts->refusals_count; i++)
        free(parts->refusals[i].text);
    free(parts->profiles);
    free(parts->refusals);
    free(parts->broken);
    memset(parts, 0, sizeof(*parts));
}

static int compare_dbids(const void *left, const void *right)
{
    const struct by_dbid *a = left, *b = right;

    return (a->dbid > b->dbid) - (a->dbid < b->dbid);
}

static int compare_refusals(const void *left, const void *right)
{
    const struct snapshot_refusal *a = left, *b = right;

    return (a->dbid > b->dbid) - (a->dbid < b->dbid);
}

static int compare_name(uint32_t tenant_dbid, const char *name, const struct profile *profile)
{
    if (tenant_dbid != profile->tenant_dbid)
        return tenant_dbid < profile->tenant_dbid ? -1 : 1;
    return strcmp(name, profile->name);
}

static int compare_names(const void *left, const void *right)
{
    const struct profile *a = *(const struct profile *const *)left;
    const struct profile *b = *(const struct profile *const *)right;
    int order = compare_name(a->tenant_dbid, a->name, b);

    if (order == 0)
        order = (int)b->enabled - (int)a->enabled;
    return order != 0 ? order : (a->dbid > b->dbid) - (a->dbid < b->dbid);
}

enum sealtape_status snapshot_new(struct snapshot_parts *parts, struct trust *trust,
        struct profile_snapshot **ret_snapshot, struct diag *diag)
{
    CLEANUP(snapshot_parts_clear) struct snapshot_parts taken = *parts;
    CLEANUP(profile_snapshot_release) struct profile_snapshot *snapshot = NULL;

    memset(parts, 0, sizeof(*parts));
    snapshot = calloc(1, sizeof(*snapshot));
    if (!snapshot)
        return diag_fail(diag, SEALTAPE_E_MEMORY, "no memory");
    atomic_init(&snapshot->refs, 1);
    snapshot->trust = trust_acquire(trust);
    snapshot->dbids = calloc(taken.profiles_count + 1, sizeof(*snapshot->dbids));
    snapshot->names = calloc(taken.profiles_count + 1, sizeof(struct profile *));
    if (!snapshot->dbids || !snapshot->names)
        return diag_fail(diag, SEALTAPE_E_MEMORY, "no memory");

    for (size_t i = 0; i < taken.profiles_count; i++) {
        snapshot->names[i] = shared_profile_get(taken.profiles[i]);
        snapshot->dbids[i].dbid = snapshot->names[i]->dbid;
        snapshot->dbids[i].profile = TAKE(taken.profiles[i]);
        snapshot->count = i + 1;
    }
    qsort(snapshot->dbids, snapshot->count, sizeof(*snapshot->dbids), compare_dbids);
    qsort(snapshot->names, snapshot->count, sizeof(struct profile *), compare_names);
    snapshot->broken = TAKE(taken.broken);
    snapshot->refusals = TAKE(taken.refusals);
    snapshot->refusals_count = taken.refusals_count;
    taken.refusals_count = 0;
    if (snapshot->refusals_count > 1)
        qsort(snapshot->refusals, snapshot->refusals_count, sizeof(*snapshot->refusals),
                compare_refusals);
    *ret_snapshot = TAKE(snapshot);
    return SEALTAPE_OK;
}

struct profile_snapshot *profile_snapshot_acquire(struct profile_snapshot *snapshot)
{
    atomic_fetch_add_explicit(&snapshot->refs, 1, memory_order_relaxed);
    return snapshot;
}

void profile_snapshot_release(struct profile_snapshot **snapshot)
{
    struct profile_snapshot *last = *snapshot;

    *snapshot = NULL;
    if (!last || atomic_fetch_sub_explicit(&last->refs, 1, memory_order_acq_rel) != 1)
        return;
    for (size_t i = 0; i < last->count; i++)
        shared_profile_release(&last->dbids[i].profile);
    for (size_t i = 0; i < last->refusals_count; i++)
        free(last->refusals[i].text);
    trust_release(&last->trust);
    free(last->dbids);
    free(last->names);
    free(last->refusals);
    free(last->broken);
    free(last);
}

static const struct by_dbid *search(const struct profile_snapshot *snapshot, uint32_t dbid)
{
    const struct by_dbid key = {dbid, NULL};

    return bsearch(&key, snapshot->dbids, snapshot->count, sizeof(key), compare_dbids);
}

struct shared_profile *snapshot_share(const struct profile_snapshot *snapshot, uint32_t dbid)
{
    const struct by_dbid *hit = search(snapshot, dbid);

    return hit ? shared_profile_acquire(hit->profile) : NULL;
}

static void explain_unknown(const struct profile_snapshot *snapshot, struct diag *diag)
{
    if (snapshot->broken)
        diag_prefix(diag, "not all files are in force (%s): ", snapshot->broken);
}

const struct profile *profile_find(
        const struct profile_snapshot *snapshot, uint32_t dbid, struct diag *diag)
{
    const struct snapshot_refusal key = {dbid, NULL}, *refusal;
    const struct by_dbid *hit = search(snapshot, dbid);
    const struct profile *profile;

    if (hit) {
        profile = shared_profile_get(hit->profile);
        if (profile->enabled)
            return profile;
        ignore(diag_fail(diag, SEALTAPE_E_PROFILE, "profile %u (%s:%u) is disabled", dbid,
                profile->file, profile->line)); /* the NULL says it */
        return NULL;
    }
    refusal = snapshot->refusals_count == 0
                      ? NULL
                      : bsearch(&key, snapshot->refusals, snapshot->refusals_count, sizeof(key),
                              compare_refusals);
    if (refusal) {
        ignore(diag_fail(diag, SEALTAPE_E_PROFILE, "profile %u is not in force: %s", dbid,
                refusal->text)); /* the NULL says it */
        return NULL;
    }
    ignore(diag_fail(diag, SEALTAPE_E_PROFILE, "profile %u is unknown", dbid));
    explain_unknown(snapshot, diag);
    return NULL;
}

/* First index in names that is not less. */
static size_t lower_name(
        const struct profile_snapshot *snapshot, uint32_t tenant_dbid, const char *name)
{
    size_t from = 0, to = snapshot->count;

    while (from < to) {
        size_t middle = from + (to - from) / 2;

        if (compare_name(tenant_dbid, name, snapshot->names[middle]) > 0)
            from = middle + 1;
        else
            to = middle;
    }
    return from;
}

const struct profile *profile_find_name(const struct profile_snapshot *snapshot,
        uint32_t tenant_dbid, const char *name, struct diag *diag)
{
    const struct profile *found = NULL, *disabled = NULL;

    for (size_t i = lower_name(snapshot, tenant_dbid, name); i < snapshot->count; i++) {
        const struct profile *profile = snapshot->names[i];

        if (compare_name(tenant_dbid, name, profile) != 0)
            break;
        if (!profile->enabled) {
            disabled = profile;
        } else if (found) {
            ignore(diag_fail(diag, SEALTAPE_E_PROFILE,
                    "two profiles of tenant %u have the name \"%s\": %u (%s:%u) and %u (%s:%u)",
                    tenant_dbid, name, found->dbid, found->file, found->line, profile->dbid,
                    profile->file, profile->line)); /* the NULL says it */
            return NULL;
        } else {
            found = profile;
        }
    }
    if (found)
        return found;
    if (disabled) {
        ignore(diag_fail(diag, SEALTAPE_E_PROFILE,
                "profile \"%s\" of tenant %u (%u, %s:%u) is disabled", name, tenant_dbid,
                disabled->dbid, disabled->file, disabled->line)); /* the NULL says it */
        return NULL;
    }
    ignore(diag_fail(diag, SEALTAPE_E_PROFILE, "profile \"%s\" of tenant %u is unknown", name,
            tenant_dbid)); /* the NULL says it */
    explain_unknown(snapshot, diag);
    return NULL;
}

int snapshot_next_twin(const struct profile_snapshot *snapshot, size_t *at,
        const struct profile **ret_one, const struct profile **ret_other)
{
    for (size_t i = *at; i + 1 < snapshot->count; i++) {
        const struct profile *one = snapshot->names[i], *other = snapshot->names[i + 1];

        if (!one->enabled || !other->enabled
                || compare_name(one->tenant_dbid, one->name, other) != 0)
            continue;
        *at = i + 1;
        *ret_one = one;
        *ret_other = other;
        return 1;
    }
    return 0;
}

size_t profile_snapshot_count(const struct profile_snapshot *snapshot)
{
    return snapshot->count;
}

const struct profile *profile_snapshot_at(const struct profile_snapshot *snapshot, size_t index)
{
    return shared_profile_get(snapshot->dbids[index].profile);
}

struct trust *profile_snapshot_trust(const struct profile_snapshot *snapshot)
{
    return snapshot->trust;
}
