#include "spool/spool.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/log.h"
#include "base/thread.h"
#include "spool/folder.h"
#include "spool/memory.h"
#include "spool/recovery.h"
#include "spool/syncer.h"
#include "spool/writer.h"

/* Seconds between two looks for folders that nobody holds. */
#define ADOPT_INTERVAL_S 60

struct spool {
    const struct config *config;
    struct spool_listener listener;
    struct folder *folder;
    struct memory *memory;
    struct syncer *syncer;
    struct writer *writer;
    pthread_t adopter;
    bool adopting;

    /* Guards what follows. */
    pthread_mutex_t lock;
    pthread_cond_t stop;
    bool stopping;
    bool write_fails, sync_fails;
    struct diag trouble;
};

/* --- listening ------------------------------------------------------------ */

static void on_degraded(void *context, struct media *media, uint64_t bytes)
{
    struct spool *spool = context;

    log_line(SEALTAPE_LOG_ERROR, LOG_RECORDING_DEGRADED, entry_recording_id(media_entry(media)),
            "%llu bytes lost: the memory ceiling is reached", (unsigned long long)bytes);
    spool->listener.event(spool->listener.context, SEALTAPE_EVENT_DEGRADED, media, bytes,
            "the memory ceiling is reached");
}

static void on_trouble(struct spool *spool, bool *flag, bool failing, const char *text)
{
    pthread_mutex_lock(&spool->lock);
    *flag = failing;
    if (failing)
        ignore(diag_fail(&spool->trouble, SEALTAPE_E_SPOOL, "%s", text));
    pthread_mutex_unlock(&spool->lock);
    spool->listener.event(spool->listener.context, SEALTAPE_EVENT_PRESSURE, NULL, 0,
            failing ? text : "the spool can be written again");
}

static void on_write_trouble(void *context, bool failing, const char *text)
{
    struct spool *spool = context;

    on_trouble(spool, &spool->write_fails, failing, text);
}

static void on_sync_trouble(void *context, bool failing, const char *text)
{
    struct spool *spool = context;

    on_trouble(spool, &spool->sync_fails, failing, text);
}

static void on_durable(void *context, struct media *media)
{
    struct spool *spool = context;

    spool->listener.offer(spool->listener.context, media_entry(media));
}

static void on_closed(void *context, struct media *media)
{
    struct spool *spool = context;
    const char *outcome = media_outcome(media);
    bool discarded = outcome && strcmp(outcome, "discarded") == 0;

    spool->listener.event(spool->listener.context,
            discarded ? SEALTAPE_EVENT_DISCARDED : SEALTAPE_EVENT_SPOOLED, media,
            entry_readable(media_entry(media)), outcome);
    spool->listener.offer(spool->listener.context, media_entry(media));
}

/* --- adopting ------------------------------------------------------------- */

static enum sealtape_status recover(struct spool *spool, struct folder *folder, struct diag *diag)
{
    struct recovery_result result = {0};
    enum sealtape_status st;

    st = recovery_run(folder, spool->listener.offer, spool->listener.context, &result, diag);
    if (result.waiting > 0 || result.interrupted > 0 || st != SEALTAPE_OK)
        log_line(SEALTAPE_LOG_NOTICE, LOG_SPOOL_ADOPTED, NULL,
                "%s: %u recordings to deliver (%u were interrupted), %u in failed/",
                folder_path(folder), result.waiting, result.interrupted, result.failed);
    return st;
}

/* Shares of the folder are with its entries: it is unlocked when the last one is gone. */
static void adopt(struct spool *spool, const char *name)
{
    CLEANUP(folder_release) struct folder *folder = NULL;
    struct diag diag = {.text = ""};
    enum sealtape_status st;
    pid_t owner;

    st = folder_adopt(spool->config->spool.directory, name, &folder, &owner, &diag);
    if (st == SEALTAPE_E_STATE)
        return;
    if (st == SEALTAPE_OK)
        st = recover(spool, folder, &diag);
    if (st == SEALTAPE_E_VERSION)
        log_line(SEALTAPE_LOG_WARNING, LOG_SPOOL_NEWER_FORMAT, NULL, "%s; left untouched",
                diag.text);
    else if (st != SEALTAPE_OK)
        log_line(SEALTAPE_LOG_ERROR, LOG_SPOOL_ADOPTED, NULL, "%s", diag.text);
}

static void adopt_all(struct spool *spool)
{
    char **names = NULL;

    /* A directory that cannot be listed now is looked at again in a minute. */
    if (folder_list(spool->config->spool.directory, &names, NULL) != SEALTAPE_OK)
        return;
    for (size_t i = 0; names[i]; i++)
        adopt(spool, names[i]);
    free(names);
}

static void *run_adopter(void *context)
{
    struct spool *spool = context;
    struct timespec until;

    pthread_mutex_lock(&spool->lock);
    while (!spool->stopping) {
        pthread_mutex_unlock(&spool->lock);
        adopt_all(spool);
        clock_gettime(CLOCK_REALTIME, &until);
        until.tv_sec += ADOPT_INTERVAL_S;
        pthread_mutex_lock(&spool->lock);
        while (!spool->stopping
                && pthread_cond_timedwait(&spool->stop, &spool->lock, &until) != ETIMEDOUT)
            ;
    }
    pthread_mutex_unlock(&spool->lock);
    return NULL;
}

/* --- life ----------------------------------------------------------------- */

static enum sealtape_status start_threads(struct spool *spool, struct diag *diag)
{
    const struct syncer_listener syncer_listener = {.context = spool,
            .durable = on_durable,
            .closed = on_closed,
            .trouble = on_sync_trouble};
    const struct writer_listener writer_listener = {
            .context = spool, .degraded = on_degraded, .trouble = on_write_trouble};
    enum sealtape_status st;

    st = syncer_start(
            spool->config->spool.sync_ms, spool->folder, &syncer_listener, &spool->syncer, diag);
    if (st == SEALTAPE_OK)
        st = writer_start(spool->config->spool.flush_ms, spool->memory, spool->syncer,
                &writer_listener, &spool->writer, diag);
    if (st != SEALTAPE_OK)
        return st;
    st = thread_start(&spool->adopter, run_adopter, spool);
    if (st != SEALTAPE_OK)
        return diag_fail(diag, st, "cannot start a thread: %s", strerror(errno));
    spool->adopting = true;
    return SEALTAPE_OK;
}

enum sealtape_status spool_open(const struct config *config, const struct spool_listener *listener,
        struct spool **ret_spool, struct diag *diag)
{
    CLEANUP(spool_close) struct spool *spool = calloc(1, sizeof(*spool));
    enum sealtape_status st;

    if (!spool)
        return diag_fail(diag, SEALTAPE_E_MEMORY, "no memory for the spool");
    spool->config = config;
    spool->listener = *listener;
    pthread_mutex_init(&spool->lock, NULL);
    pthread_cond_init(&spool->stop, NULL);
    st = folder_check_spool(config->spool.directory, diag);
    if (st == SEALTAPE_OK)
        st = folder_open(config->spool.directory, config->instance, &spool->folder, diag);
    if (st == SEALTAPE_OK)
        st = memory_new(config->spool.memory_bytes, &spool->memory, diag);
    if (st == SEALTAPE_OK)
        st = recover(spool, spool->folder, diag);
    if (st == SEALTAPE_OK)
        st = start_threads(spool, diag);
    if (st != SEALTAPE_OK)
        return st;
    log_line(SEALTAPE_LOG_INFO, LOG_SPOOL_READY, NULL, "spool folder %s",
            folder_path(spool->folder));
    *ret_spool = TAKE(spool);
    return SEALTAPE_OK;
}

void spool_close(struct spool **spool)
{
    struct spool *s = TAKE(*spool);

    if (!s)
        return;
    pthread_mutex_lock(&s->lock);
    s->stopping = true;
    pthread_cond_signal(&s->stop);
    pthread_mutex_unlock(&s->lock);
    if (s->adopting)
        pthread_join(s->adopter, NULL);
    writer_stop(&s->writer);
    syncer_stop(&s->syncer);
    memory_free(&s->memory);
    folder_release(&s->folder);
    pthread_cond_destroy(&s->stop);
    pthread_mutex_destroy(&s->lock);
    free(s);
}

/* --- using ---------------------------------------------------------------- */

enum sealtape_status spool_ready(struct spool *spool, struct diag *diag)
{
    uint64_t bytes = folder_bytes(spool->folder);
    enum sealtape_status st = SEALTAPE_OK;

    pthread_mutex_lock(&spool->lock);
    if (spool->write_fails || spool->sync_fails)
        st = diag_fail(
                diag, SEALTAPE_E_SPOOL, "the spool cannot be written: %s", spool->trouble.text);
    pthread_mutex_unlock(&spool->lock);
    if (st != SEALTAPE_OK)
        return st;
    if (bytes >= spool->config->spool.quota_bytes)
        return diag_fail(diag, SEALTAPE_E_LIMIT,
                "the spool's quota of %llu bytes is used up: the store or the processor has not "
                "taken recordings for long",
                (unsigned long long)spool->config->spool.quota_bytes);
    if (memory_used(spool->memory) > memory_count(spool->memory) / 4 * 3)
        return diag_fail(diag, SEALTAPE_E_LIMIT,
                "three quarters of the spool's memory are used: the disk does not keep up");
    return SEALTAPE_OK;
}

enum sealtape_status spool_begin(struct spool *spool, struct evidence *evidence,
        const uint8_t closing[CIPHER_BLOCK_SIZE], struct media **ret_media, struct diag *diag)
{
    CLEANUP(media_release) struct media *media = NULL;
    enum sealtape_status st;

    st = media_new(spool->folder, spool->memory, evidence, closing, &media, diag);
    if (st != SEALTAPE_OK)
        return st;
    st = writer_add(spool->writer, media);
    if (st != SEALTAPE_OK) {
        media_keep_evidence(media);
        return diag_fail(diag, st, "too many recordings at a time");
    }
    *ret_media = media; /* valid: the writer has a share until it has ended */
    return SEALTAPE_OK;
}

void spool_urge(struct spool *spool)
{
    writer_urge(spool->writer);
}

void spool_watch_memory(struct spool *spool)
{
    if (memory_used(spool->memory) > memory_count(spool->memory) / 2)
        writer_relieve(spool->writer);
}

void spool_stats(struct spool *spool, struct spool_stats *ret_stats)
{
    struct writer_stats writer;

    writer_stats(spool->writer, &writer);
    *ret_stats = (struct spool_stats){
            .spooled_bytes = writer.spooled_bytes,
            .bytes = folder_bytes(spool->folder),
            .memory_bytes = (uint64_t)memory_used(spool->memory) * MEMORY_CHUNK_SIZE,
            .memory_max_bytes = (uint64_t)memory_count(spool->memory) * MEMORY_CHUNK_SIZE,
            .unflushed_age_ms = writer.unflushed_age_ms,
            .unsynced_age_ms = syncer_age_ms(spool->syncer),
            .recordings = writer.recordings,
    };
}
