#include "host.h"

#include <dlfcn.h>
#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/log_number.h"

struct host {
    void *library;
    const struct sealtape_entry *entry; /* NULL: not initialised */
    const struct sealtape_recorder_interface *calls;
    struct sealtape_recorder *recorder;
    sealtape_recording recording;
    bool has_lock;
    /* Guards what follows. */
    pthread_mutex_t lock;
    pthread_cond_t changed;
    struct host_media media;
    char recording_id[HOST_TEXT_MAX]; /* "" until it is open */
};

/*
 * What concerns this recording. Certificates of all profiles are the matter of `check`;
 * what waits from earlier runs is that of `spool list`.
 */
static bool is_of_interest(struct host *host, uint32_t number, const char *recording_id)
{
    bool ours;

    if (number == LOG_CERTIFICATE_INVALID)
        return false;
    if (!recording_id)
        return true;
    pthread_mutex_lock(&host->lock);
    ours = !*host->recording_id || strcmp(host->recording_id, recording_id) == 0;
    pthread_mutex_unlock(&host->lock);
    return ours;
}

static void on_log(
        void *context, int level, uint32_t number, const char *recording_id, const char *message)
{
    /* A refusal comes back from `open` too, and is told there. */
    if (level > SEALTAPE_LOG_WARNING || number == LOG_RECORDING_REFUSED
            || !is_of_interest(context, number, recording_id))
        return;
    fprintf(stderr, "sealtape record: %s %u: %s%s%s\n",
            level == SEALTAPE_LOG_WARNING ? "warning" : "error", (unsigned)number,
            recording_id ? recording_id : "", recording_id ? ": " : "", message);
}

static void keep(char *to, size_t size, const char *text)
{
    if (text)
        (void)snprintf(to, size, "%s", text);
}

static void note_event(struct host_media *media, const struct sealtape_event *event)
{
    /* Others name what they were about: a processor, an attempt. */
    if (event->kind == SEALTAPE_EVENT_STORED)
        keep(media->url, sizeof(media->url), event->url);
    keep(media->outcome, sizeof(media->outcome), event->outcome);
    keep(media->sha256, sizeof(media->sha256), event->sha256);
    if (event->kind == SEALTAPE_EVENT_STORED)
        media->stored = true;
    else if (event->kind == SEALTAPE_EVENT_POSTED)
        media->posted = true;
    else if (event->kind == SEALTAPE_EVENT_DISCARDED)
        media->discarded = true;
    else if (event->kind == SEALTAPE_EVENT_DEGRADED)
        media->lost_bytes += event->bytes;
    else if (event->kind == SEALTAPE_EVENT_FAILED) {
        media->failed = true;
        keep(media->text, sizeof(media->text), event->text);
    }
}

/* Recordings of earlier processes are delivered too: ours is the one that was opened. */
static void on_event(void *context, const struct sealtape_event *event)
{
    struct host *host = context;

    if (event->struct_size < sizeof(*event) || !event->media_id)
        return;
    pthread_mutex_lock(&host->lock);
    if (event->kind == SEALTAPE_EVENT_OPENED && !*host->media.media_id) {
        keep(host->media.media_id, sizeof(host->media.media_id), event->media_id);
        keep(host->recording_id, sizeof(host->recording_id), event->recording_id);
    }
    if (strcmp(event->media_id, host->media.media_id) == 0)
        note_event(&host->media, event);
    pthread_cond_broadcast(&host->changed);
    pthread_mutex_unlock(&host->lock);
}

void host_stop(struct host **host)
{
    struct host *old = *host;

    if (!old)
        return;
    if (old->recorder)
        old->calls->destroy(old->recorder, 0);
    if (old->entry)
        old->entry->deinit();
    if (old->library)
        dlclose(old->library);
    if (old->has_lock) {
        pthread_cond_destroy(&old->changed);
        pthread_mutex_destroy(&old->lock);
    }
    free(old);
    *host = NULL;
}

/* Beside the program in a build directory or an installed tree, else where it was installed. */
static void find_module(char ret_path[PATH_MAX])
{
    static const char *const places[] = {"../module/sealtape.so", SEALTAPE_MODULE_RELATIVE};
    char program[PATH_MAX];
    ssize_t len = readlink("/proc/self/exe", program, sizeof(program) - 1);
    char *slash;

    program[len > 0 ? len : 0] = '\0';
    slash = strrchr(program, '/');
    for (size_t i = 0; slash && i < ARRAY_COUNT(places); i++) {
        *slash = '\0';
        if (snprintf(ret_path, PATH_MAX, "%s/%s", program, places[i]) < PATH_MAX
                && access(ret_path, R_OK) == 0)
            return;
    }
    (void)snprintf(ret_path, PATH_MAX, "%s", SEALTAPE_MODULE_INSTALLED);
}

static enum sealtape_status load(struct host *host, const char *path, struct diag *diag)
{
    const struct sealtape_entry *entry;

    /* RTLD_LOCAL and RTLD_NOW, as media servers do. */
    host->library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (!host->library)
        return diag_fail(diag, SEALTAPE_E_VERSION, "cannot load the module: %s", dlerror());
    entry = dlsym(host->library, SEALTAPE_ENTRY_SYMBOL);
    if (!entry)
        return diag_fail(diag, SEALTAPE_E_VERSION, "%s: no symbol %s: not this module", path,
                SEALTAPE_ENTRY_SYMBOL);
    if (entry->struct_size < sizeof(*entry) || entry->abi_major != SEALTAPE_ABI_MAJOR)
        return diag_fail(diag, SEALTAPE_E_VERSION, "%s: expected ABI %d, found %u of %u bytes",
                path, SEALTAPE_ABI_MAJOR, (unsigned)entry->abi_major, (unsigned)entry->struct_size);
    host->calls = entry->get_interface(SEALTAPE_RECORDER_INTERFACE);
    if (!host->calls
            || host->calls->struct_size < offsetof(struct sealtape_recorder_interface, close)
                                                  + sizeof(void (*)(void)))
        return diag_fail(diag, SEALTAPE_E_VERSION, "%s: it does not have %s", path,
                SEALTAPE_RECORDER_INTERFACE);
    host->entry = entry;
    return SEALTAPE_OK;
}

static enum sealtape_status lock_init(struct host *host)
{
    pthread_condattr_t monotonic;

    if (pthread_mutex_init(&host->lock, NULL) != 0)
        return SEALTAPE_E_MEMORY;
    if (pthread_condattr_init(&monotonic) != 0
            || pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC) != 0
            || pthread_cond_init(&host->changed, &monotonic) != 0) {
        pthread_mutex_destroy(&host->lock);
        return SEALTAPE_E_MEMORY;
    }
    pthread_condattr_destroy(&monotonic);
    host->has_lock = true;
    return SEALTAPE_OK;
}

enum sealtape_status host_start(
        const char *module, const char *config, struct host **ret_host, struct diag *diag)
{
    CLEANUP(host_stop) struct host *host = calloc(1, sizeof(*host));
    struct sealtape_host services = {
            .struct_size = sizeof(services), .context = host, .log = on_log, .event = on_event};
    char reason[SEALTAPE_REASON_MAX] = "";
    char path[PATH_MAX];
    enum sealtape_status st;

    if (!host || lock_init(host) != SEALTAPE_OK)
        return diag_fail(diag, SEALTAPE_E_MEMORY, "no memory");
    if (!module)
        find_module(path);
    st = load(host, module ? module : path, diag);
    if (st != SEALTAPE_OK)
        return st;
    st = host->entry->init(&services);
    if (st != SEALTAPE_OK) {
        host->entry = NULL;
        return diag_fail(diag, st, "the module refuses this host: %s", status_name(st));
    }
    st = host->calls->create(config, &host->recorder, reason, sizeof(reason));
    if (st != SEALTAPE_OK) {
        host->recorder = NULL;
        return diag_fail(diag, st, "%s", *reason ? reason : status_name(st));
    }
    *ret_host = TAKE(host);
    return SEALTAPE_OK;
}

enum sealtape_status host_open(
        struct host *host, const struct sealtape_param *params, size_t count, struct diag *diag)
{
    char reason[SEALTAPE_REASON_MAX] = "";
    enum sealtape_status st;

    st = host->calls->open(host->recorder, params, count, &host->recording, reason, sizeof(reason));
    if (st != SEALTAPE_OK)
        return diag_fail(diag, st, "refused: %s", *reason ? reason : status_name(st));
    return SEALTAPE_OK;
}

enum sealtape_status host_write(struct host *host, const void *bytes, size_t len, uint32_t flags)
{
    return host->calls->write(host->recorder, host->recording, bytes, len, flags);
}

enum sealtape_status host_close(struct host *host, const char *reason)
{
    return host->calls->close(host->recorder, host->recording, reason);
}

static bool has_ended(const struct host_media *media)
{
    /* What was discarded is posted too, without having been stored. */
    return media->failed || (media->posted && (media->stored || media->discarded));
}

bool host_wait(struct host *host, uint64_t wait_ms)
{
    struct timespec until;
    bool ended;
    int rc = 0;

    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += (time_t)(wait_ms / 1000);
    until.tv_nsec += (long)(wait_ms % 1000) * 1000000;
    if (until.tv_nsec >= 1000000000) {
        until.tv_sec++;
        until.tv_nsec -= 1000000000;
    }
    pthread_mutex_lock(&host->lock);
    while (!has_ended(&host->media) && rc != ETIMEDOUT)
        rc = pthread_cond_timedwait(&host->changed, &host->lock, &until);
    ended = has_ended(&host->media);
    pthread_mutex_unlock(&host->lock);
    return ended;
}

void host_media(struct host *host, struct host_media *ret_media)
{
    pthread_mutex_lock(&host->lock);
    *ret_media = host->media;
    pthread_mutex_unlock(&host->lock);
}
