#include "profile/scan.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "profile/snapshot.h"

/* Files in the profile directory that are looked at. */
#define FILES_MAX 100000u

/* Largest file of roots or CRLs. */
#define TRUST_FILE_MAX (256u * 1024 * 1024)

static enum sealtape_status no_memory(struct diag *diag)
{
    return diag_fail(diag, SEALTAPE_E_MEMORY, "no memory");
}

static void free_text(char **text)
{
    free(*text);
    *text = NULL;
}

static void replace_text(char **text, const char *with)
{
    free(*text);
    *text = with ? strdup(with) : NULL;
}

/* Are roots or CRLs other bytes than before? A file that cannot be read counts as such. */
static bool trust_file_changed(struct fingerprint *fingerprint, const char *path, bool force)
{
    CLEANUP(free_text) char *bytes = NULL;
    struct diag diag;
    size_t len = 0;

    if (!path || (!force && fingerprint_holds(fingerprint, AT_FDCWD, path)))
        return false;
    if (!fingerprint_take(fingerprint, AT_FDCWD, path)
            || file_read(AT_FDCWD, path, TRUST_FILE_MAX, &bytes, &len, &diag) != SEALTAPE_OK) {
        memset(fingerprint, 0, sizeof(*fingerprint));
        return true;
    }
    return fingerprint_digest(fingerprint, bytes, len);
}

/* Returns whether anything is new: the trust, or the complaint about it. */
static bool refresh_trust(struct scan *scan, bool force)
{
    /* Both are looked at, whatever the first says. */
    bool roots = trust_file_changed(&scan->roots, scan->config->trust.roots, force);
    bool crls = trust_file_changed(&scan->crls, scan->config->trust.crls, force);
    struct trust *trust = NULL;
    struct diag diag = {""};
    enum sealtape_status st;
    bool changed = false;

    if (!roots && !crls)
        return false;
    st = trust_load(scan->config, &trust, &diag);
    if (st == SEALTAPE_OK) {
        trust_release(&scan->trust);
        scan->trust = trust;
        replace_text(&scan->trust_complaint, NULL);
        return true;
    }
    diag_prefix(&diag, "the trust is as it was: ");
    if (!scan->trust_complaint || strcmp(scan->trust_complaint, diag.text) != 0) {
        replace_text(&scan->trust_complaint, diag.text);
        changed = true;
    }
    /* A lack of memory passes without a change of the files: they are read again. */
    if (st == SEALTAPE_E_MEMORY || !scan->trust_complaint)
        memset(&scan->roots, 0, sizeof(scan->roots));
    return changed;
}

enum sealtape_status scan_init(struct scan *scan, struct diag *diag)
{
    CLEANUP(file_close) int fd = -1;
    struct diag reason = {""};
    enum sealtape_status st;

    fd = open(scan->config->profiles.directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return diag_fail(diag, SEALTAPE_E_CONFIG, "%s: cannot read the profile directory: %s",
                scan->config->profiles.directory, strerror(errno));
    ignore(trust_file_changed(&scan->roots, scan->config->trust.roots, true)); /* the first look */
    ignore(trust_file_changed(&scan->crls, scan->config->trust.crls, true));   /* likewise */
    st = trust_load(scan->config, &scan->trust, diag);
    if (st == SEALTAPE_OK)
        st = pool_new(&scan->pool, diag);
    if (st != SEALTAPE_OK)
        return st;
    if (cache_open(scan->config->profiles.cache, &scan->cache, &reason) != SEALTAPE_OK) {
        log_line(SEALTAPE_LOG_WARNING, LOG_PROFILE_CACHE_FAILED, NULL,
                "profiles will not outlive a restart after a broken edit: %s", reason.text);
        scan->cache_failed = true;
    }
    return SEALTAPE_OK;
}

void scan_clear(struct scan *scan)
{
    for (size_t i = 0; i < scan->count; i++)
        input_free(&scan->inputs[i]);
    free(scan->inputs);
    scan->inputs = NULL;
    scan->count = 0;
    profile_snapshot_release(&scan->snapshot);
    pool_free(&scan->pool);
    cache_close(&scan->cache);
    trust_release(&scan->trust);
    free_text(&scan->trust_complaint);
    free_text(&scan->directory_complaint);
    complaints_clear(&scan->merged);
    complaints_clear(&scan->complaints);
}

static void close_stream(DIR **stream)
{
    if (*stream)
        closedir(*stream);
}

static bool is_profile_file(const char *name)
{
    size_t len = strlen(name);

    return *name != '.' && len > 4
           && (strcmp(name + len - 4, ".xml") == 0 || strcmp(name + len - 4, ".cfg") == 0);
}

static int compare_inputs(const void *left, const void *right)
{
    const struct input *a = *(const struct input *const *)left;
    const struct input *b = *(const struct input *const *)right;

    return strcmp(a->name, b->name);
}

static int compare_to_name(const void *name, const void *input)
{
    return strcmp(name, (*(const struct input *const *)input)->name);
}

static struct input *find_input(const struct scan *scan, size_t count, const char *name)
{
    struct input **hit = count == 0 ? NULL
                                    : bsearch(name, scan->inputs, count, sizeof(struct input *),
                                            compare_to_name);

    return hit ? *hit : NULL;
}

static enum sealtape_status add_input(struct scan *scan, const char *name, struct diag *diag)
{
    struct input *input = NULL, **grown;
    enum sealtape_status st;

    if ((scan->count & (scan->count - 1)) == 0) {
        size_t capacity = scan->count == 0 ? 1 : scan->count * 2;

        grown = realloc(scan->inputs, capacity * sizeof(struct input *));
        if (!grown)
            return no_memory(diag);
        scan->inputs = grown;
    }
    st = input_new(name, &input, diag);
    if (st != SEALTAPE_OK)
        return st;
    input->present = true;
    scan->inputs[scan->count++] = input;
    return SEALTAPE_OK;
}

/* What stands in the directory now: marks inputs as present, adds new ones. */
static enum sealtape_status list_directory(struct scan *scan, int dirfd, struct diag *diag)
{
    CLEANUP(close_stream) DIR *stream = NULL;
    size_t known = scan->count;
    int fd;

    fd = openat(dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    stream = fd < 0 ? NULL : fdopendir(fd);
    if (!stream) {
        file_close(&fd);
        return diag_fail(diag, SEALTAPE_E_CONFIG, "cannot read: %s", strerror(errno));
    }
    for (size_t i = 0; i < known; i++)
        scan->inputs[i]->present = false;
    errno = 0;
    for (struct dirent *at = readdir(stream); at; errno = 0, at = readdir(stream)) {
        struct input *input = find_input(scan, known, at->d_name);
        enum sealtape_status st = SEALTAPE_OK;

        if (input)
            input->present = true;
        else if (is_profile_file(at->d_name) && scan->count < FILES_MAX)
            st = add_input(scan, at->d_name, diag);
        if (st != SEALTAPE_OK)
            return st;
    }
    if (errno != 0)
        return diag_fail(diag, SEALTAPE_E_CONFIG, "cannot read: %s", strerror(errno));
    if (scan->count > 1)
        qsort(scan->inputs, scan->count, sizeof(struct input *), compare_inputs);
    return SEALTAPE_OK;
}

static void say_cache_failed(struct scan *scan, enum sealtape_status st, const struct diag *diag)
{
    if (st == SEALTAPE_OK || st == SEALTAPE_E_AGAIN)
        return;
    if (!scan->cache_failed)
        log_line(SEALTAPE_LOG_WARNING, LOG_PROFILE_CACHE_FAILED, NULL,
                "profiles may not outlive a restart after a broken edit: %s", diag->text);
    scan->cache_failed = true;
}

static void remove_input(struct scan *scan, size_t index)
{
    struct diag diag = {""};

    if (scan->cache)
        say_cache_failed(scan, cache_drop(scan->cache, scan->inputs[index]->name, &diag), &diag);
    input_free(&scan->inputs[index]);
    memmove(scan->inputs + index, scan->inputs + index + 1,
            (scan->count - index - 1) * sizeof(struct input *));
    scan->count--;
}

/* A file that was good once and broken when we start: its cached text. */
static void restore(struct scan *scan, struct input *input)
{
    if (!scan->cache || !input->complaint || input->has_good
            || !input_restore(input, scan->cache, scan->pool))
        return;
    log_line(SEALTAPE_LOG_WARNING, LOG_PROFILE_FROM_CACHE, NULL,
            "%s: the text that was good last is in force, from the cache: %s", input->name,
            input->complaint);
}

/* Look at each file. Returns whether anything is new. */
static bool refresh_inputs(struct scan *scan, int dirfd, bool force, struct scan_outcome *outcome)
{
    uint64_t now = clock_monotonic_ns();
    bool changed = false;

    for (size_t i = scan->count; i-- > 0;) {
        struct input *input = scan->inputs[i];

        if (input->present) {
            changed = input->gone_ns != 0 || changed;
            input->gone_ns = 0;
            changed = input_refresh(input, dirfd, scan->pool, force) || changed;
            if (!scan->snapshot)
                restore(scan, input);
            continue;
        }
        if (input->gone_ns == 0)
            input->gone_ns = now;
        if (force || now - input->gone_ns >= scan->grace_ns) {
            remove_input(scan, i);
            changed = true;
        } else if (outcome->next_ns == 0 || outcome->next_ns > input->gone_ns + scan->grace_ns) {
            outcome->next_ns = input->gone_ns + scan->grace_ns;
        }
    }
    return changed;
}

static bool refresh_directory(struct scan *scan, bool force, struct scan_outcome *outcome)
{
    const char *path = scan->config->profiles.directory;
    CLEANUP(file_close) int fd = -1;
    struct diag diag = {""};
    bool changed;

    fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        ignore(diag_fail(&diag, SEALTAPE_E_CONFIG, "%s", strerror(errno))); /* kept below */
    scan->directory_failed = fd < 0 || list_directory(scan, fd, &diag) != SEALTAPE_OK;
    if (scan->directory_failed) {
        diag_prefix(&diag, "%s: the profiles are as they were: ", path);
        changed = !scan->directory_complaint;
        replace_text(&scan->directory_complaint, diag.text);
        return changed;
    }
    changed = scan->directory_complaint != NULL;
    replace_text(&scan->directory_complaint, NULL);
    return refresh_inputs(scan, fd, force, outcome) || changed;
}

static int keeps(void *context, const char *name)
{
    const struct scan *scan = context;

    return find_input(scan, scan->count, name) != NULL;
}

/* Texts that one run gives the cache: each waits for the disk, and somebody for the run. */
#define KEEP_AT_ONCE 64u

/* Returns whether there is more to be kept. */
static bool update_cache(struct scan *scan)
{
    enum sealtape_status st;
    struct diag diag = {""};
    size_t kept = 0;
    bool more = false;

    for (size_t i = 0; scan->cache && i < scan->count; i++) {
        if (scan->inputs[i]->pending && kept++ == KEEP_AT_ONCE) {
            more = true;
            break;
        }
        st = input_keep(scan->inputs[i], scan->cache, &diag);
        say_cache_failed(scan, st, &diag);
        if (st == SEALTAPE_E_AGAIN)
            break;
    }
    /* What was deleted while nobody watched. */
    if (scan->cache && !scan->snapshot && !scan->directory_failed)
        say_cache_failed(scan, cache_prune(scan->cache, keeps, scan, &diag), &diag);
    return more;
}

/* All complaints but those of the files with each other. */
static enum sealtape_status gather(const struct scan *scan, struct complaints *complaints)
{
    enum sealtape_status st = SEALTAPE_OK;

    if (scan->directory_complaint)
        st = complaints_add(complaints, LOG_PROFILE_BROKEN, scan->directory_complaint);
    if (st == SEALTAPE_OK && scan->trust_complaint)
        st = complaints_add(complaints, LOG_TRUST_BROKEN, scan->trust_complaint);
    for (size_t i = 0; st == SEALTAPE_OK && i < scan->count; i++) {
        const struct input *input = scan->inputs[i];

        if (input->complaint)
            st = complaints_add(complaints, input->number, input->complaint);
    }
    return st;
}

/* The first complaint about profiles, for those who do not find theirs. */
static const char *first_broken(const struct complaints *complaints)
{
    for (size_t i = 0; i < complaints->count; i++) {
        if (complaints->items[i].number != LOG_TRUST_BROKEN)
            return complaints->items[i].text;
    }
    return NULL;
}

static enum sealtape_status renew_snapshot(
        struct scan *scan, const struct complaints *complaints, struct diag *diag)
{
    CLEANUP(complaints_clear) struct complaints merged = {NULL, 0, 0};
    struct profile_snapshot *snapshot = NULL;
    enum sealtape_status st;

    st = scan_assemble(scan, first_broken(complaints), &merged, &snapshot, diag);
    if (st != SEALTAPE_OK)
        return st;
    profile_snapshot_release(&scan->snapshot);
    scan->snapshot = snapshot;
    complaints_clear(&scan->merged);
    scan->merged = merged;
    merged = (struct complaints){NULL, 0, 0};
    return SEALTAPE_OK;
}

/* Take the new complaints in the place of the old ones; log those that are new. */
static bool publish_complaints(struct scan *scan, struct complaints *complaints)
{
    bool complained = false;

    complaints_sort(complaints);
    for (size_t i = 0; i < complaints->count; i++) {
        const struct complaint *complaint = &complaints->items[i];

        if (complaints_has(&scan->complaints, complaint->text))
            continue;
        complained = true;
        log_line(SEALTAPE_LOG_ERROR, complaint->number, NULL, "%s", complaint->text);
    }
    complaints_clear(&scan->complaints);
    scan->complaints = *complaints;
    *complaints = (struct complaints){NULL, 0, 0};
    return complained;
}

enum sealtape_status scan_run(
        struct scan *scan, bool force, struct scan_outcome *ret_outcome, struct diag *diag)
{
    CLEANUP(complaints_clear) struct complaints complaints = {NULL, 0, 0};
    struct scan_outcome outcome = {false, false, 0, 0};
    enum sealtape_status st = SEALTAPE_OK;

    /* Where this run fails for want of memory, the next one has the same to do. */
    scan->stale = refresh_trust(scan, force) || scan->stale;
    scan->stale = refresh_directory(scan, force, &outcome) || scan->stale || !scan->snapshot;
    if (update_cache(scan))
        outcome.next_ns = clock_monotonic_ns();
    if (gather(scan, &complaints) != SEALTAPE_OK)
        return no_memory(diag);
    if (scan->stale) {
        st = renew_snapshot(scan, &complaints, diag);
        pool_sweep(scan->pool);
    }
    for (size_t i = 0; st == SEALTAPE_OK && i < scan->merged.count; i++)
        st = complaints_add(&complaints, scan->merged.items[i].number, scan->merged.items[i].text);
    if (st != SEALTAPE_OK)
        return st;
    outcome.changed = scan->stale;
    scan->stale = false;
    outcome.invalid = pool_check(scan->pool, scan->trust, clock_utc_ms());
    outcome.complained = publish_complaints(scan, &complaints);
    *ret_outcome = outcome;
    return SEALTAPE_OK;
}
