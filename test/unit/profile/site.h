/*
 * A profile directory with its trust and cache in a temporary folder, and the
 * directory object on it. Reports and log lines are kept and can be waited for.
 */
#ifndef SEALTAPE_TEST_PROFILE_SITE_H
#define SEALTAPE_TEST_PROFILE_SITE_H

#include <errno.h>
#include <pthread.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/log.h"
#include "material.h"
#include "profile/directory.h"

#define SITE_DEADLINE_S 20
#define SITE_TEXT_MAX (1u << 20)

struct site {
    char root[64];
    struct config *config;
    struct profile_directory *directory;
    struct profile_snapshot *snapshot; /* the one looked at last */
    struct diag diag;                  /* of the look-up or reload that was last */
    pthread_mutex_t lock;
    pthread_cond_t changed;
    unsigned reports, broken_reports;
    char log[SITE_TEXT_MAX]; /* "number text\n" */
    size_t log_len;
};

static inline void site_log(
        void *context, int level, uint32_t number, const char *recording_id, const char *message)
{
    struct site *site = context;

    (void)level;
    (void)recording_id;
    pthread_mutex_lock(&site->lock);
    if (site->log_len + strlen(message) + 20 < SITE_TEXT_MAX)
        site->log_len += (size_t)sprintf(site->log + site->log_len, "%u %s\n", number, message);
    pthread_cond_broadcast(&site->changed);
    pthread_mutex_unlock(&site->lock);
}

static inline void site_report(void *context, bool broken, const char *text)
{
    struct site *site = context;

    (void)text;
    pthread_mutex_lock(&site->lock);
    site->reports++;
    site->broken_reports += broken;
    pthread_cond_broadcast(&site->changed);
    pthread_mutex_unlock(&site->lock);
}

static inline char *site_path(const struct site *site, const char *name)
{
    return text_format("%s/%s", site->root, name);
}

/* Write a file below the site's root in one go, by rename. */
static inline void site_write_bytes(
        struct site *site, const char *name, const void *bytes, size_t len)
{
    char *path = site_path(site, name), *temporary = text_format("%s/.new", site->root);
    FILE *file = fopen(temporary, "w");

    assert_non_null(file);
    assert_int_equal(fwrite(bytes, 1, len, file), len);
    assert_int_equal(fclose(file), 0);
    assert_int_equal(rename(temporary, path), 0);
    free(path);
    free(temporary);
}

static inline void site_write(struct site *site, const char *name, const char *text)
{
    site_write_bytes(site, name, text, strlen(text));
}

static inline void site_remove(struct site *site, const char *name)
{
    char *path = site_path(site, name);

    assert_int_equal(unlink(path), 0);
    free(path);
}

/* Text of a file below the root; NULL: there is none. */
static inline char *site_read(struct site *site, const char *name)
{
    char *path = site_path(site, name), *text = NULL;
    size_t len;

    if (file_read(AT_FDCWD, path, 1u << 30, &text, &len, NULL) != SEALTAPE_OK)
        text = NULL;
    free(path);
    return text;
}

static inline void site_make(struct site *site, const char *name)
{
    char *path = site_path(site, name);

    assert_int_equal(mkdir(path, 0755), 0);
    free(path);
}

static inline struct site *site_new(void)
{
    struct site *site = calloc(1, sizeof(*site));
    char *root = material_read("root"), *path, *text;

    assert_non_null(site);
    pthread_mutex_init(&site->lock, NULL);
    pthread_cond_init(&site->changed, NULL);
    strcpy(site->root, "/tmp/sealtape-profile-XXXXXX");
    assert_non_null(mkdtemp(site->root));
    site_make(site, "profiles.d");
    site_write(site, "roots.pem", root);
    path = site_path(site, "sealtape.xml");
    text = text_format("<sealtape instance=\"test\">"
                       "<profiles directory=\"profiles.d\" cache=\"cache\"/>"
                       "<trust roots=\"roots.pem\"/><spool directory=\"spool\"/>"
                       "<storage url=\"https://store.example/\"/>"
                       "<processor url=\"https://rp.example/recordings\"/></sealtape>");
    assert_int_equal(
            config_parse(path, text, strlen(text), &site->config, &site->diag), SEALTAPE_OK);
    free(text);
    free(path);
    free(root);
    log_to(site_log, site);
    return site;
}

/* Times that a test can wait for; the rescan is out of the way. */
static const struct directory_timing site_timing = {3600 * 1000, 300, 20};

static inline enum sealtape_status site_try_open(
        struct site *site, const struct directory_timing *timing)
{
    return profile_directory_open_timed(
            site->config, timing, site_report, site, &site->directory, &site->diag);
}

static inline void site_open(struct site *site)
{
    if (site_try_open(site, &site_timing) != SEALTAPE_OK)
        fail_msg("%s", site->diag.text);
}

static inline void site_close(struct site *site)
{
    profile_snapshot_release(&site->snapshot);
    profile_directory_close(&site->directory);
}

static inline void site_free(struct site **site)
{
    char *command = text_format("rm -rf %s", (*site)->root);

    site_close(*site);
    log_to(NULL, NULL);
    config_free(&(*site)->config);
    assert_int_equal(system(command), 0);
    free(command);
    pthread_mutex_destroy(&(*site)->lock);
    pthread_cond_destroy(&(*site)->changed);
    free(*site);
    *site = NULL;
}

/* The profile in force now, or NULL with the reason in site->diag. */
static inline const struct profile *site_find(struct site *site, uint32_t dbid)
{
    profile_snapshot_release(&site->snapshot);
    site->snapshot = profile_directory_snapshot(site->directory);
    memset(&site->diag, 0, sizeof(site->diag));
    return profile_find(site->snapshot, dbid, &site->diag);
}

/* Wait until @holds, looking again after each report or log line. */
static inline void site_wait(struct site *site, bool (*holds)(struct site *site))
{
    struct timespec deadline;

    clock_gettime(CLOCK_REALTIME, &deadline);
    deadline.tv_sec += SITE_DEADLINE_S;
    for (;;) {
        unsigned seen;
        size_t logged;
        int error = 0;

        pthread_mutex_lock(&site->lock);
        seen = site->reports;
        logged = site->log_len;
        pthread_mutex_unlock(&site->lock);
        if (holds(site))
            return;
        pthread_mutex_lock(&site->lock);
        while (seen == site->reports && logged == site->log_len && error == 0)
            error = pthread_cond_timedwait(&site->changed, &site->lock, &deadline);
        pthread_mutex_unlock(&site->lock);
        if (error == ETIMEDOUT)
            fail_msg("nothing happened in time; the log is:\n%s", site->log);
    }
}

static inline bool site_logged(struct site *site, const char *text)
{
    bool found;

    pthread_mutex_lock(&site->lock);
    found = strstr(site->log, text) != NULL;
    pthread_mutex_unlock(&site->lock);
    return found;
}

/* An export with one profile whose annex has these <str_pair>s by section. */
static inline char *conf_profile(unsigned dbid, const char *name, const char *annex)
{
    return text_format("<CfgGVPIVRProfile>\n<DBID value=\"%u\"/><tenantDBID value=\"101\"/>"
                       "<name value=\"%s\"/><state value=\"1\"/>\n<userProperties>\n%s\n"
                       "</userProperties></CfgGVPIVRProfile>\n",
            dbid, name, annex);
}

/* Write "profiles.d/<file>", or a path below the root, with one ConfData profile that has the named certificate. */
static inline void site_write_profile(
        struct site *site, const char *file, unsigned dbid, const char *certificate)
{
    char *line = material_line(certificate, "&#13;&#10;"), *profile, *text, *annex, *path;
    char *chain = material_line("issuing", " ");

    annex = text_format("<list_pair key=\"recording-certificates\">\n"
                        "<str_pair key=\"certificate-1\" value=\"%s%s\"/>\n</list_pair>",
            line, chain);
    profile = conf_profile(dbid, "record", annex);
    text = text_format("<ConfData>\n%s</ConfData>\n", profile);
    path = text_format("%s%s", strchr(file, '/') ? "" : "profiles.d/", file);
    site_write(site, path, text);
    free(path);
    free(text);
    free(profile);
    free(annex);
    free(line);
    free(chain);
}

/* Does profile @dbid have just the certificate with this subject in it? */
static inline bool site_has(struct site *site, uint32_t dbid, const char *subject)
{
    const struct profile *profile = site_find(site, dbid);

    return profile && profile->certificates_count == 1
           && strstr(certificate_facts(profile->certificates[0])->subject, subject);
}

#endif
