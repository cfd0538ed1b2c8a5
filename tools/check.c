/* `sealtape check`: configuration, profiles and certificates, before a call finds out. */
#include <dirent.h>
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "profile/profile.h"
#include "surroundings.h"
#include "tool.h"

#define DAY_MS 86400000
#define SOON_DAYS 30

/* A certificate in its profile. */
struct holding {
    const struct profile *profile;
    const struct certificate_facts *facts;
};

struct findings {
    json_t *problems; /* exit 1 */
    json_t *warnings;
    json_t *profiles;
    int64_t now_ms;
    struct holding *holdings;
    size_t holdings_count;
};

static void findings_clear(struct findings *findings)
{
    json_decref(findings->problems);
    json_decref(findings->warnings);
    json_decref(findings->profiles);
    free(findings->holdings);
}

static void say(json_t *list, const char *format, ...) PRINTF_LIKE(2, 3);

static void say(json_t *list, const char *format, ...)
{
    struct diag text = {0};
    va_list args;

    va_start(args, format);
    (void)vsnprintf(text.text, sizeof(text.text), format, args);
    va_end(args);
    json_array_append_new(list, json_string(text.text));
}

/* Logged lines are in the complaints too, and stdout and stderr are for results. */
static void no_log(
        void *context, int level, uint32_t number, const char *recording_id, const char *message)
{
    (void)context;
    (void)level;
    (void)number;
    (void)recording_id;
    (void)message;
}

static void no_report(void *context, bool broken, const char *text)
{
    (void)context;
    (void)broken;
    (void)text;
}

static json_t *certificate_json(const struct certificate_facts *facts, int64_t now_ms)
{
    char not_before[TIMESTAMP_SIZE], not_after[TIMESTAMP_SIZE];

    timestamp_format(facts->not_before_ms, not_before);
    timestamp_format(facts->not_after_ms, not_after);
    return json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:I}", "alias", facts->alias, "subject",
            facts->subject, "issuer", facts->issuer, "serial", facts->serial, "sha256",
            facts->sha256, "notBefore", not_before, "notAfter", not_after, "daysLeft",
            (json_int_t)((facts->not_after_ms - now_ms) / DAY_MS));
}

/* A future certificate comes into force by itself: its dates are looked at in the coverage. */
static void check_certificate(struct findings *findings, const struct profile *profile,
        struct certificate *certificate, struct trust *trust, json_t *list, bool *ret_usable)
{
    const struct certificate_facts *facts = certificate_facts(certificate);
    int64_t at_ms =
            facts->not_before_ms > findings->now_ms ? facts->not_before_ms + 1 : findings->now_ms;
    json_t *json = certificate_json(facts, findings->now_ms);
    struct diag warning = {0};
    struct diag diag = {0};

    *ret_usable = certificate_check(certificate, trust, at_ms, &warning, &diag) == SEALTAPE_OK;
    json_object_set_new(json, "valid", json_boolean(*ret_usable && at_ms == findings->now_ms));
    if (!*ret_usable) {
        json_object_set_new(json, "reason", json_string(diag.text));
        say(findings->problems, "profile %" PRIu32 ": %s", profile->dbid, diag.text);
    }
    if (*warning.text)
        say(findings->warnings, "profile %" PRIu32 ": %s", profile->dbid, warning.text);
    json_array_append_new(list, json);
}

/* The latest time up to which @from_ms on a certificate is valid without a break. */
static int64_t covered_until(
        const struct holding *holdings, const bool *usable, size_t count, int64_t from_ms)
{
    int64_t until_ms = from_ms;
    bool grew = true;

    while (grew) {
        grew = false;
        for (size_t i = 0; i < count; i++) {
            if (usable[i] && holdings[i].facts->not_before_ms <= until_ms
                    && holdings[i].facts->not_after_ms > until_ms) {
                until_ms = holdings[i].facts->not_after_ms;
                grew = true;
            }
        }
    }
    return until_ms;
}

/* The next time after @from_ms at which one comes into force, or 0. */
static int64_t next_start(
        const struct holding *holdings, const bool *usable, size_t count, int64_t from_ms)
{
    int64_t next_ms = 0;

    for (size_t i = 0; i < count; i++) {
        int64_t start_ms = holdings[i].facts->not_before_ms;

        if (usable[i] && start_ms > from_ms && (next_ms == 0 || start_ms < next_ms))
            next_ms = start_ms;
    }
    return next_ms;
}

static void check_coverage(struct findings *findings, const struct profile *profile,
        const struct holding *holdings, const bool *usable)
{
    size_t count = profile->certificates_count;
    int64_t until_ms = covered_until(holdings, usable, count, findings->now_ms);
    char from[TIMESTAMP_SIZE], to[TIMESTAMP_SIZE];
    int64_t next_ms;

    if (count == 0)
        say(findings->problems,
                "profile %" PRIu32 ": it has no certificate (section recording-certificates, "
                "option certificate-1): recordings are refused",
                profile->dbid);
    else if (until_ms == findings->now_ms)
        say(findings->problems,
                "profile %" PRIu32 ": no certificate is valid now: recordings are refused",
                profile->dbid);
    while ((next_ms = next_start(holdings, usable, count, until_ms)) != 0) {
        timestamp_format(until_ms, from);
        timestamp_format(next_ms, to);
        if (until_ms != findings->now_ms)
            say(findings->problems, "profile %" PRIu32 ": no certificate is valid from %s to %s",
                    profile->dbid, from, to);
        until_ms = covered_until(holdings, usable, count, next_ms);
    }
    timestamp_format(until_ms, to);
    if (until_ms != findings->now_ms && until_ms - findings->now_ms < (int64_t)SOON_DAYS * DAY_MS)
        say(findings->warnings,
                "profile %" PRIu32 ": the last certificate expires in %d days, on %s",
                profile->dbid, (int)((until_ms - findings->now_ms) / DAY_MS), to);
}

static enum sealtape_status check_profile(
        struct findings *findings, const struct profile *profile, struct trust *trust)
{
    struct holding *mine = findings->holdings + findings->holdings_count;
    bool *usable = calloc(profile->certificates_count + 1, sizeof(*usable));
    json_t *list = json_array();

    if (!usable || !list) {
        json_decref(list);
        free(usable);
        return SEALTAPE_E_MEMORY;
    }
    for (size_t i = 0; i < profile->certificates_count; i++) {
        mine[i].profile = profile;
        mine[i].facts = certificate_facts(profile->certificates[i]);
        check_certificate(findings, profile, profile->certificates[i], trust, list, &usable[i]);
    }
    if (profile->enabled)
        check_coverage(findings, profile, mine, usable);
    if (profile->mask_max_ms)
        say(findings->warnings,
                "profile %" PRIu32 ": mask-max: this version sets no limit to a mask",
                profile->dbid);
    findings->holdings_count += profile->certificates_count;
    json_array_append_new(findings->profiles,
            json_pack("{s:I, s:I, s:s, s:s, s:I, s:b, s:o}", "dbid", (json_int_t)profile->dbid,
                    "tenantDBID", (json_int_t)profile->tenant_dbid, "name",
                    profile->name ? profile->name : "", "file", profile->file, "line",
                    (json_int_t)profile->line, "enabled", profile->enabled, "certificates", list));
    free(usable);
    return SEALTAPE_OK;
}

static bool equal(const uint8_t *a, size_t a_len, const uint8_t *b, size_t b_len)
{
    return a_len == b_len && memcmp(a, b, a_len) == 0;
}

static void check_pair(struct findings *findings, const struct holding *a, const struct holding *b)
{
    bool one_key = equal(
            a->facts->modulus, a->facts->modulus_len, b->facts->modulus, b->facts->modulus_len);
    bool one_name = equal(a->facts->issuer_der, a->facts->issuer_der_len, b->facts->issuer_der,
                            b->facts->issuer_der_len)
                    && equal(a->facts->serial_octets, a->facts->serial_octets_len,
                            b->facts->serial_octets, b->facts->serial_octets_len);

    if (one_key && a->profile->tenant_dbid != b->profile->tenant_dbid)
        say(findings->problems,
                "one key under two tenants: %s (profile %" PRIu32 ", tenant %" PRIu32
                ") and %s (profile %" PRIu32 ", tenant %" PRIu32 ")",
                a->facts->alias, a->profile->dbid, a->profile->tenant_dbid, b->facts->alias,
                b->profile->dbid, b->profile->tenant_dbid);
    if (one_name && !one_key)
        say(findings->problems,
                "two keys under one issuer and serial number: %s (profile %" PRIu32
                ") and %s (profile %" PRIu32 "): issuer %s, serial %s",
                a->facts->alias, a->profile->dbid, b->facts->alias, b->profile->dbid,
                a->facts->issuer, a->facts->serial);
}

static enum sealtape_status check_profiles(
        struct findings *findings, const struct profile_snapshot *snapshot, struct diag *diag)
{
    size_t profiles = profile_snapshot_count(snapshot);
    enum sealtape_status st = SEALTAPE_OK;
    size_t certificates = 0;

    for (size_t i = 0; i < profiles; i++)
        certificates += profile_snapshot_at(snapshot, i)->certificates_count;
    findings->holdings = calloc(certificates + 1, sizeof(*findings->holdings));
    if (!findings->holdings)
        return diag_fail(diag, SEALTAPE_E_MEMORY, "no memory");
    for (size_t i = 0; i < profiles && st == SEALTAPE_OK; i++)
        st = check_profile(
                findings, profile_snapshot_at(snapshot, i), profile_snapshot_trust(snapshot));
    if (st != SEALTAPE_OK)
        return diag_fail(diag, st, "no memory");
    if (profiles == 0)
        say(findings->problems, "there are no profiles: every recording is refused");
    for (size_t i = 0; i < findings->holdings_count; i++) {
        for (size_t j = i + 1; j < findings->holdings_count; j++)
            check_pair(findings, &findings->holdings[i], &findings->holdings[j]);
    }
    return SEALTAPE_OK;
}

static void print_list(const char *word, const json_t *list)
{
    const json_t *item;
    size_t i;

    json_array_foreach((json_t *)(uintptr_t)list, i, item)
            printf("%s: %s\n", word, json_string_value(item));
}

static void print_text(const struct findings *findings)
{
    json_t *profile, *certificate;
    size_t i, j;

    json_array_foreach(findings->profiles, i, profile)
    {
        printf("profile %" JSON_INTEGER_FORMAT " %s (%s:%" JSON_INTEGER_FORMAT ")%s\n",
                json_integer_value(json_object_get(profile, "dbid")),
                json_string_value(json_object_get(profile, "name")),
                json_string_value(json_object_get(profile, "file")),
                json_integer_value(json_object_get(profile, "line")),
                json_is_true(json_object_get(profile, "enabled")) ? "" : " disabled");
        json_array_foreach(json_object_get(profile, "certificates"), j, certificate) printf(
                "  %s: %s, %" JSON_INTEGER_FORMAT " days left (until %s)\n",
                json_string_value(json_object_get(certificate, "alias")),
                json_is_true(json_object_get(certificate, "valid")) ? "valid" : "not valid now",
                json_integer_value(json_object_get(certificate, "daysLeft")),
                json_string_value(json_object_get(certificate, "notAfter")));
    }
    print_list("warning", findings->warnings);
    print_list("problem", findings->problems);
    if (json_array_size(findings->problems) == 0)
        printf("no problems\n");
}

static enum sealtape_status print(
        const struct findings *findings, const char *config, bool json, struct diag *diag)
{
    bool good = json_array_size(findings->problems) == 0;

    if (json)
        return tool_print(json_pack("{s:s, s:b, s:O, s:O, s:O}", "config", config, "good", good,
                                  "problems", findings->problems, "warnings", findings->warnings,
                                  "profiles", findings->profiles),
                1, diag);
    print_text(findings);
    if (fflush(stdout) != 0)
        return diag_fail(diag, SEALTAPE_E_IO, "stdout: cannot write");
    return SEALTAPE_OK;
}

static void add_complaints(struct findings *findings, struct profile_directory *directory)
{
    char **complaints = profile_directory_complaints(directory);

    for (size_t i = 0; complaints && complaints[i]; i++)
        say(findings->problems, "%s", complaints[i]);
    free(complaints);
}

static void scratch_remove(char **path)
{
    struct dirent *item;
    DIR *dir = *path ? opendir(*path) : NULL;

    while (dir && (item = readdir(dir)) != NULL) {
        if (strcmp(item->d_name, ".") != 0 && strcmp(item->d_name, "..") != 0)
            unlinkat(dirfd(dir), item->d_name, 0);
    }
    if (dir)
        closedir(dir);
    if (*path)
        rmdir(*path);
    free(*path);
    *path = NULL;
}

/* The recorder's own cache is not touched: files of this user in it would be in its way. */
static enum sealtape_status use_scratch_cache(
        struct config *config, char **ret_path, struct diag *diag)
{
    const char *directory = getenv("TMPDIR");
    char *path = NULL;
    char *copy;

    if (asprintf(&path, "%s/sealtape-check-XXXXXX", directory ? directory : "/tmp") < 0)
        return diag_fail(diag, SEALTAPE_E_MEMORY, "no memory");
    if (!mkdtemp(path)) {
        diag_fail(diag, SEALTAPE_E_IO, "%s: cannot make a directory: %s", path, strerror(errno));
        free(path);
        return SEALTAPE_E_IO;
    }
    *ret_path = path;
    copy = strdup(path);
    if (!copy)
        return diag_fail(diag, SEALTAPE_E_MEMORY, "no memory");
    free(config->profiles.cache);
    config->profiles.cache = copy;
    return SEALTAPE_OK;
}

static void on_surroundings(void *context, bool problem, const char *text)
{
    struct findings *findings = context;

    say(problem ? findings->problems : findings->warnings, "%s", text);
}

static enum sealtape_status look(struct findings *findings, const char *path, struct diag *diag)
{
    CLEANUP(config_free) struct config *config = NULL;
    CLEANUP(scratch_remove) char *scratch = NULL;
    CLEANUP(profile_directory_close) struct profile_directory *directory = NULL;
    CLEANUP(profile_snapshot_release) struct profile_snapshot *snapshot = NULL;
    enum sealtape_status st;

    st = config_load(path, &config, diag);
    if (st != SEALTAPE_OK)
        return st;
    surroundings_look(config, on_surroundings, findings);
    if (st == SEALTAPE_OK)
        st = use_scratch_cache(config, &scratch, diag);
    if (st == SEALTAPE_OK)
        st = profile_directory_open(config, no_report, NULL, &directory, diag);
    if (st != SEALTAPE_OK)
        return st;
    add_complaints(findings, directory);
    snapshot = profile_directory_snapshot(directory);
    return check_profiles(findings, snapshot, diag);
}

static enum tool_exit check(const char *path, bool json)
{
    CLEANUP(findings_clear)
    struct findings findings = {.problems = json_array(),
            .warnings = json_array(),
            .profiles = json_array(),
            .now_ms = clock_utc_ms()};
    struct diag diag = {0};

    log_to(no_log, NULL);
    /* A file that cannot be read is a finding like any other. */
    if (look(&findings, path, &diag) != SEALTAPE_OK)
        say(findings.problems, "%s", diag.text);
    if (print(&findings, path, json, &diag) != SEALTAPE_OK)
        return tool_fail(&tool_check, &diag);
    return json_array_size(findings.problems) == 0 ? TOOL_DONE : TOOL_FAILED;
}

static enum tool_exit run(int argc, char **argv)
{
    static const struct option names[] = {{"config", required_argument, NULL, 'c'},
            {"json", no_argument, NULL, 'j'}, {"help", no_argument, NULL, 'h'}, {0}};
    const char *config = NULL;
    bool json = false;
    int option;

    while ((option = getopt_long(argc, argv, "c:", names, NULL)) != -1) {
        if (option == 'c')
            config = optarg;
        else if (option == 'j')
            json = true;
        else
            return option == 'h' ? tool_help(&tool_check) : tool_usage(&tool_check, "wrong option");
    }
    if (!config || optind != argc)
        return tool_usage(&tool_check, "expected -c FILE");
    return check(config, json);
}

const struct tool tool_check = {
        .name = "check",
        .arguments = "-c FILE [--json]",
        .summary = "configuration, profiles and certificates: what would go wrong, and when",
        .help = "  -c FILE  sealtape.xml\n"
                "  --json   the result as JSON\n\n"
                "Exit status 1 when there is a problem: a file that cannot be read, a certificate\n"
                "that is refused, a time without a valid one, one key under two tenants, two keys\n"
                "under one issuer and serial number, a spool, password or CA file that cannot be "
                "used.\n"
                "Run it as the recorder's user: what that one may not read is a problem.\n",
        .run = run,
};
