/*
 * IVR Profiles: read from the profile directory, watched, looked up by DBID.
 *
 * A snapshot is immutable: profiles, their certificates and the trust that goes
 * with them. Recordings keep the snapshot that they were opened with. What does
 * not parse leaves the last good profiles of that file in force; a cache on
 * disk keeps those across a restart.
 */
#ifndef SEALTAPE_PROFILE_PROFILE_H
#define SEALTAPE_PROFILE_PROFILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/diag.h"
#include "profile/certificate.h"
#include "profile/config.h"

/* Certificates of one profile at the most. */
#define PROFILE_CERTIFICATES_MAX 64

enum profile_envelope { PROFILE_CLASSIC, PROFILE_MODERN };
enum profile_on_refusal { PROFILE_CONTINUE, PROFILE_HANGUP };

/* `fixed,URL` or `default,URL`; url NULL: not given. */
struct profile_destination {
    char *url;
    bool fixed;
};

struct profile {
    uint32_t dbid;
    uint32_t tenant_dbid; /* 0: not given */
    char *name;
    char *tenant; /* display name where known (annex option `tenant`), else "" */
    char *ccid;   /* likewise, else "" */
    bool enabled; /* state 1; others are not used for recording */
    char *file;   /* where it was read */
    unsigned line;
    struct certificate **certificates; /* annex order; the escrow certificate last */
    size_t certificates_count;
    /* Section `recording-encryption`. */
    bool refuse_on_invalid; /* on-invalid-certificate = refuse; default skip */
    enum profile_envelope envelope;
    unsigned key_bits; /* 128, 192, 256 */
    enum profile_on_refusal on_refusal;
    uint32_t mask_max_ms; /* 0: no limit */
    /* Section `gvp.service-parameters`. */
    struct profile_destination storage;   /* recordingclient.recdest */
    struct profile_destination processor; /* recordingclient.callrec_dest */
};

struct profile_snapshot;

struct profile_snapshot *profile_snapshot_acquire(struct profile_snapshot *snapshot);
void profile_snapshot_release(struct profile_snapshot **snapshot);

/* NULL: unknown, disabled, or not in force because two files define it;
 * @diag says which of these, with file and line. [control] */
const struct profile *profile_find(const struct profile_snapshot *snapshot, uint32_t dbid,
        struct diag *diag);
const struct profile *profile_find_name(const struct profile_snapshot *snapshot,
        uint32_t tenant_dbid, const char *name, struct diag *diag);

/* All profiles in order of DBID, for `check`. [any] */
size_t profile_snapshot_count(const struct profile_snapshot *snapshot);
const struct profile *profile_snapshot_at(const struct profile_snapshot *snapshot, size_t index);
struct trust *profile_snapshot_trust(const struct profile_snapshot *snapshot);

/* The watched directory: one thread with inotify and a rescan each minute. */
struct profile_directory;

/*
 * Called after each reload that changed or refused something. @text is one line for the
 * operator; @broken: something was not taken over. From the watching thread or from the
 * caller of profile_directory_reload().
 */
typedef void profile_report(void *context, bool broken, const char *text);

/*
 * Read directory, cache and trust; start watching. [setup] @config is borrowed until close.
 *
 * A broken file is no failure: it is logged, reported, and its cached profiles are used.
 *
 *   SEALTAPE_E_CONFIG  the directory cannot be read, or the trust cannot be loaded
 */
enum sealtape_status profile_directory_open(const struct config *config, profile_report *report,
        void *context, struct profile_directory **ret_directory, struct diag *diag) MUST_CHECK;

/* Stop watching, join the thread. [setup] Snapshots that are held stay valid. */
void profile_directory_close(struct profile_directory **directory);

/* The snapshot in force, to be released. [control] */
struct profile_snapshot *profile_directory_snapshot(struct profile_directory *directory);

/* Read everything again now. [setup] SEALTAPE_E_CONFIG: something was not taken over. */
enum sealtape_status profile_directory_reload(struct profile_directory *directory,
        struct diag *diag) MUST_CHECK;

/* Every complaint of the last scan, one line each ("record.xml:12: ..."), NULL-ended,
 * malloc'ed (one free for all); for `check`. [setup] */
char **profile_directory_complaints(struct profile_directory *directory);

#endif
