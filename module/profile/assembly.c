#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "profile/scan.h"
#include "profile/snapshot.h"

/* A profile in an export, and the file. */
struct claim {
    const struct annex *annex;
    const struct input *input;
};

struct assembly {
    struct scan *scan;
    struct complaints *complaints;
    struct claim *exports, *options; /* sorted by DBID */
    size_t exports_count, options_count;
    struct snapshot_parts parts;
    size_t profiles_capacity, refusals_capacity;
    struct diag *diag;
};

static void assembly_clear(struct assembly *assembly)
{
    free(assembly->exports);
    free(assembly->options);
    snapshot_parts_clear(&assembly->parts);
}

static enum sealtape_status no_memory(const struct assembly *assembly)
{
    return diag_fail(assembly->diag, SEALTAPE_E_MEMORY, "no memory");
}

static int compare_claims(const void *left, const void *right)
{
    const struct claim *a = left, *b = right;

    if (a->annex->dbid != b->annex->dbid)
        return a->annex->dbid < b->annex->dbid ? -1 : 1;
    return strcmp(a->input->name, b->input->name);
}

static enum sealtape_status collect(
        struct assembly *assembly, bool options, struct claim **ret_claims, size_t *ret_count)
{
    const struct scan *scan = assembly->scan;
    size_t most = 0, count = 0;
    struct claim *claims;

    for (size_t i = 0; i < scan->count; i++)
        most += scan->inputs[i]->options == options ? scan->inputs[i]->good.count : 0;
    claims = calloc(most + 1, sizeof(*claims));
    if (!claims)
        return no_memory(assembly);
    for (size_t i = 0; i < scan->count; i++) {
        const struct input *input = scan->inputs[i];

        for (size_t k = 0; input->options == options && k < input->good.count; k++)
            claims[count++] = (struct claim){input->good.items[k], input};
    }
    qsort(claims, count, sizeof(*claims), compare_claims);
    *ret_claims = claims;
    *ret_count = count;
    return SEALTAPE_OK;
}

static enum sealtape_status complain(
        struct assembly *assembly, enum log_number number, const char *text)
{
    return complaints_add(assembly->complaints, number, text) == SEALTAPE_OK ? SEALTAPE_OK
                                                                             : no_memory(assembly);
}

static enum sealtape_status refuse(struct assembly *assembly, uint32_t dbid, const char *text)
{
    struct snapshot_parts *parts = &assembly->parts;

    if (parts->refusals_count == assembly->refusals_capacity) {
        size_t capacity = assembly->refusals_capacity == 0 ? 4 : assembly->refusals_capacity * 2;
        struct snapshot_refusal *grown = realloc(parts->refusals, capacity * sizeof(*grown));

        if (!grown)
            return no_memory(assembly);
        parts->refusals = grown;
        assembly->refusals_capacity = capacity;
    }
    parts->refusals[parts->refusals_count].dbid = dbid;
    parts->refusals[parts->refusals_count].text = strdup(text);
    if (!parts->refusals[parts->refusals_count].text)
        return no_memory(assembly);
    parts->refusals_count++;
    return SEALTAPE_OK;
}

/* The profile that is in force now, or NULL. */
static struct shared_profile *before(const struct assembly *assembly, uint32_t dbid)
{
    return assembly->scan->snapshot ? snapshot_share(assembly->scan->snapshot, dbid) : NULL;
}

/* What stood alone is understood, yet not together: the one before stays. */
static enum sealtape_status keep_before(
        struct assembly *assembly, uint32_t dbid, const char *reason)
{
    CLEANUP(shared_profile_release) struct shared_profile *profile = before(assembly, dbid);
    enum sealtape_status st = complain(assembly, LOG_PROFILE_BROKEN, reason);

    if (st != SEALTAPE_OK)
        return st;
    if (!profile)
        return refuse(assembly, dbid, reason);
    assembly->parts.profiles[assembly->parts.profiles_count++] = TAKE(profile);
    return SEALTAPE_OK;
}

static enum sealtape_status add_profile(
        struct assembly *assembly, const struct annex *annex, const struct annex *overlay)
{
    struct shared_profile *profile = NULL;
    struct diag reason = {""};
    enum sealtape_status st;

    st = shared_profile_new(annex, overlay, assembly->scan->pool, &profile, &reason);
    if (st == SEALTAPE_E_MEMORY)
        return no_memory(assembly);
    if (st != SEALTAPE_OK)
        return keep_before(assembly, annex->dbid, reason.text);
    assembly->parts.profiles[assembly->parts.profiles_count++] = profile;
    return SEALTAPE_OK;
}

/* Leave out what is of vanished files while a file that is there has the same DBID. */
static size_t without_vanished(struct claim *claims, size_t count)
{
    size_t kept = 0;

    for (size_t i = 0; i < count; i++) {
        if (claims[i].input->gone_ns == 0)
            claims[kept++] = claims[i];
    }
    return kept > 0 ? kept : count;
}

/* Several files have the DBID: the one of the file in force before stays, or none. */
static enum sealtape_status settle(struct assembly *assembly, const struct claim *claims,
        size_t count, const struct annex **ret_annex)
{
    uint32_t dbid = claims[0].annex->dbid;
    CLEANUP(shared_profile_release) struct shared_profile *profile = before(assembly, dbid);
    struct diag text = {""};
    enum sealtape_status st;

    for (size_t i = 0; profile && i < count; i++) {
        if (strcmp(shared_profile_get(profile)->file, claims[i].input->name) == 0)
            *ret_annex = claims[i].annex;
    }
    ignore(diag_fail(&text, SEALTAPE_E_CONFIG,
            "profile %u stands in two files, %s:%u and %s:%u; %s%s", dbid, claims[0].input->name,
            claims[0].annex->line, claims[1].input->name, claims[1].annex->line,
            *ret_annex ? "in force stays that of " : "neither is in force",
            *ret_annex ? (*ret_annex)->file : "")); /* it is reported below */
    st = complain(assembly, LOG_PROFILE_TWICE, text.text);
    return st == SEALTAPE_OK && !*ret_annex ? refuse(assembly, dbid, text.text) : st;
}

static enum sealtape_status add_exports(struct assembly *assembly)
{
    size_t overlay = 0;

    for (size_t from = 0, to; from < assembly->exports_count; from = to) {
        struct claim *claims = &assembly->exports[from];
        uint32_t dbid = claims[0].annex->dbid;
        const struct annex *annex = NULL, *options = NULL;
        enum sealtape_status st = SEALTAPE_OK;
        size_t count;

        for (to = from + 1;
                to < assembly->exports_count && assembly->exports[to].annex->dbid == dbid;)
            to++;
        while (overlay < assembly->options_count && assembly->options[overlay].annex->dbid < dbid)
            overlay++;
        if (overlay < assembly->options_count && assembly->options[overlay].annex->dbid == dbid)
            options = assembly->options[overlay].annex;
        count = without_vanished(claims, to - from);
        if (count == 1)
            annex = claims[0].annex;
        else
            st = settle(assembly, claims, count, &annex);
        if (st == SEALTAPE_OK && annex)
            st = add_profile(assembly, annex, options);
        if (st != SEALTAPE_OK)
            return st;
    }
    return SEALTAPE_OK;
}

/* Option files without an export. */
static enum sealtape_status add_alone(struct assembly *assembly)
{
    size_t export = 0;

    for (size_t i = 0; i < assembly->options_count; i++) {
        const struct annex *annex = assembly->options[i].annex;
        enum sealtape_status st = SEALTAPE_OK;

        while (export < assembly->exports_count
                && assembly->exports[export].annex->dbid < annex->dbid)
            export ++;
        if (export == assembly->exports_count
                || assembly->exports[export].annex->dbid != annex->dbid)
            st = add_profile(assembly, annex, NULL);
        if (st != SEALTAPE_OK)
            return st;
    }
    return SEALTAPE_OK;
}

static enum sealtape_status complain_of_twins(
        struct assembly *assembly, const struct profile_snapshot *snapshot)
{
    const struct profile *one, *other;
    enum sealtape_status st;
    struct diag text;
    size_t at = 0;

    while (snapshot_next_twin(snapshot, &at, &one, &other)) {
        ignore(diag_fail(&text, SEALTAPE_E_CONFIG,
                "profiles %u (%s:%u) and %u (%s:%u) of tenant %u have the same name \"%s\"; by "
                "that name neither is found",
                one->dbid, one->file, one->line, other->dbid, other->file, other->line,
                one->tenant_dbid, one->name)); /* it is reported below */
        st = complain(assembly, LOG_PROFILE_TWICE, text.text);
        if (st != SEALTAPE_OK)
            return st;
    }
    return SEALTAPE_OK;
}

enum sealtape_status scan_assemble(struct scan *scan, const char *broken, struct complaints *merged,
        struct profile_snapshot **ret_snapshot, struct diag *diag)
{
    CLEANUP(assembly_clear)
    struct assembly assembly = {.scan = scan, .complaints = merged, .diag = diag};
    CLEANUP(profile_snapshot_release) struct profile_snapshot *snapshot = NULL;
    enum sealtape_status st;

    if (broken) {
        assembly.parts.broken = strdup(broken);
        if (!assembly.parts.broken)
            return no_memory(&assembly);
    }
    st = collect(&assembly, false, &assembly.exports, &assembly.exports_count);
    if (st == SEALTAPE_OK)
        st = collect(&assembly, true, &assembly.options, &assembly.options_count);
    if (st != SEALTAPE_OK)
        return st;
    assembly.parts.profiles = calloc(
            assembly.exports_count + assembly.options_count + 1, sizeof(struct shared_profile *));
    if (!assembly.parts.profiles)
        return no_memory(&assembly);
    st = add_exports(&assembly);
    if (st == SEALTAPE_OK)
        st = add_alone(&assembly);
    if (st == SEALTAPE_OK)
        st = snapshot_new(&assembly.parts, scan->trust, &snapshot, diag);
    if (st == SEALTAPE_OK)
        st = complain_of_twins(&assembly, snapshot);
    if (st != SEALTAPE_OK)
        return st;
    *ret_snapshot = TAKE(snapshot);
    return SEALTAPE_OK;
}
