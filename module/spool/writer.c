#include "spool/writer.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "base/thread.h"

/* Recordings that one recorder carries. */
#define WRITER_MEDIA_MAX 65536u
#define NS_PER_MS 1000000u
/* How long the last flush waits for the syncer to let go of files. */
#define WRITER_LAST_MS 10000u

struct writer {
    uint32_t flush_ms;
    struct memory *memory;
    struct syncer *syncer;
    struct writer_listener listener;
    pthread_t thread;
    int wake_fd;
    _Atomic bool relieved;
    _Atomic bool stopping;
    _Atomic uint64_t spooled_bytes, unflushed_age_ms;

    /* The thread's. */
    struct media **media;
    size_t count, room;
    bool failing;

    /* Guards what follows. */
    pthread_mutex_t lock;
    struct media **incoming;
    size_t incoming_count, incoming_room;
    size_t total; /* here and in the thread's list */
    bool urged;
};

static void wake(struct writer *writer)
{
    uint64_t one = 1;

    /* A full counter is as good a wake-up. */
    ignore(write(writer->wake_fd, &one, sizeof(one)) < 0);
}

static enum sealtape_status grow(struct media ***list, size_t *room, size_t need)
{
    size_t more = *room ? *room * 2 : 64;
    struct media **grown;

    if (need <= *room)
        return SEALTAPE_OK;
    while (more < need)
        more *= 2;
    grown = reallocarray(*list, more, sizeof(**list));
    if (!grown)
        return SEALTAPE_E_MEMORY;
    *list = grown;
    *room = more;
    return SEALTAPE_OK;
}

enum sealtape_status writer_add(struct writer *writer, struct media *media)
{
    enum sealtape_status st = SEALTAPE_OK;

    pthread_mutex_lock(&writer->lock);
    if (writer->total >= WRITER_MEDIA_MAX)
        st = SEALTAPE_E_LIMIT;
    if (st == SEALTAPE_OK)
        st = grow(&writer->incoming, &writer->incoming_room, writer->incoming_count + 1);
    if (st == SEALTAPE_OK) {
        writer->incoming[writer->incoming_count++] = media_acquire(media);
        writer->total++;
    }
    pthread_mutex_unlock(&writer->lock);
    return st;
}

void writer_urge(struct writer *writer)
{
    bool already;

    pthread_mutex_lock(&writer->lock);
    already = writer->urged;
    writer->urged = true;
    pthread_mutex_unlock(&writer->lock);
    if (!already)
        wake(writer);
}

void writer_relieve(struct writer *writer)
{
    if (!atomic_exchange_explicit(&writer->relieved, true, memory_order_relaxed))
        wake(writer);
}

/* --- the thread ----------------------------------------------------------- */

/* What cannot be taken over for want of memory comes with the next tick. */
static void take_incoming(struct writer *writer)
{
    pthread_mutex_lock(&writer->lock);
    if (grow(&writer->media, &writer->room, writer->count + writer->incoming_count)
            == SEALTAPE_OK) {
        for (size_t i = 0; i < writer->incoming_count; i++)
            writer->media[writer->count++] = writer->incoming[i];
        writer->incoming_count = 0;
    }
    pthread_mutex_unlock(&writer->lock);
}

static void tell_trouble(struct writer *writer, bool failing, const char *text)
{
    if (failing == writer->failing)
        return;
    writer->failing = failing;
    if (failing)
        log_line(SEALTAPE_LOG_ERROR, LOG_SPOOL_WRITE_FAILED, NULL,
                "%s; recordings wait in memory, new ones are refused until it works", text);
    else
        log_line(SEALTAPE_LOG_NOTICE, LOG_SPOOL_WRITE_WORKS_AGAIN, NULL,
                "the spool can be written again");
    writer->listener.trouble(writer->listener.context, failing, text);
}

static void tell_losses(struct writer *writer, struct media *media)
{
    uint64_t bytes = media_new_losses(media);

    if (bytes > 0)
        writer->listener.degraded(writer->listener.context, media, bytes);
}

/* One recording's turn. SEALTAPE_E_AGAIN: it had none, the syncer is at its files. */
static enum sealtape_status flush_one(struct writer *writer, struct media *media)
{
    uint64_t before = media_flushed(media);
    enum sealtape_status st;
    struct diag diag = {.text = ""};
    bool changed = false;

    st = media_flush(media, &changed, &diag);
    atomic_fetch_add(&writer->spooled_bytes, media_flushed(media) - before);
    tell_losses(writer, media);
    if (changed)
        syncer_add(writer->syncer, media);
    if (st != SEALTAPE_OK && st != SEALTAPE_E_AGAIN)
        tell_trouble(writer, true, diag.text);
    return st;
}

static void drop_finished(struct writer *writer)
{
    size_t kept = 0, dropped = 0;

    for (size_t i = 0; i < writer->count; i++) {
        /* A finished one that the syncer had to copy is finished anew: it keeps its place till
         * it stands in closed/. */
        if (media_is_closed(writer->media[i])) {
            media_release(&writer->media[i]);
            dropped++;
        } else {
            writer->media[kept++] = writer->media[i];
        }
    }
    writer->count = kept;
    if (dropped == 0)
        return;
    pthread_mutex_lock(&writer->lock);
    writer->total -= dropped;
    pthread_mutex_unlock(&writer->lock);
}

static bool has_ended(struct media *media)
{
    struct feed_point point;

    if (media_finished(media))
        return false;
    feed_get_point(media_feed(media), &point);
    return point.ended;
}

/* @all: every recording; else those that have ended. How many had no turn. */
static size_t flush_all(struct writer *writer, bool all)
{
    uint64_t now = clock_monotonic_ns(), oldest = 0;
    bool failed = false, tried = false;
    size_t missed = 0;

    take_incoming(writer);
    for (size_t i = 0; i < writer->count; i++) {
        struct media *media = writer->media[i];
        enum sealtape_status st;
        uint64_t age;

        if (!all && !has_ended(media))
            continue;
        tried = true;
        st = flush_one(writer, media);
        missed += st == SEALTAPE_E_AGAIN;
        failed |= st != SEALTAPE_OK && st != SEALTAPE_E_AGAIN;
        age = media_unflushed_ns(media, now);
        if (age > oldest)
            oldest = age;
    }
    if (all)
        atomic_store(&writer->unflushed_age_ms, oldest / NS_PER_MS);
    if (tried && !failed && missed == 0)
        tell_trouble(writer, false, "");
    drop_finished(writer);
    return missed;
}

/* Sleep until the next tick or a wake-up. */
static void wait(const struct writer *writer, uint64_t until_ns)
{
    struct pollfd poll_fd = {.fd = writer->wake_fd, .events = POLLIN};
    uint64_t now = clock_monotonic_ns(), count;
    struct timespec left = {0};

    if (until_ns > now) {
        left.tv_sec = (time_t)((until_ns - now) / 1000000000u);
        left.tv_nsec = (long)((until_ns - now) % 1000000000u);
    }
    if (ppoll(&poll_fd, 1, &left, NULL) > 0)
        ignore(read(writer->wake_fd, &count, sizeof(count)) < 0);
}

static void *run(void *context)
{
    struct writer *writer = context;
    uint64_t interval = (uint64_t)writer->flush_ms * NS_PER_MS;
    uint64_t next = clock_monotonic_ns() + interval;

    while (!atomic_load(&writer->stopping)) {
        bool all, urged;

        wait(writer, next);
        pthread_mutex_lock(&writer->lock);
        urged = writer->urged;
        writer->urged = false;
        pthread_mutex_unlock(&writer->lock);
        all = atomic_exchange(&writer->relieved, false) || clock_monotonic_ns() >= next;
        if (all || urged)
            (void)flush_all(writer, all);
        if (clock_monotonic_ns() >= next)
            next = clock_monotonic_ns() + interval;
    }
    /* The last time: whoever had no turn gets it when the syncer has done with the files. */
    next = clock_monotonic_ns() + WRITER_LAST_MS * NS_PER_MS;
    while (flush_all(writer, true) > 0 && clock_monotonic_ns() < next)
        sched_yield();
    return NULL;
}

/* --- life ----------------------------------------------------------------- */

static void destroy(struct writer *writer)
{
    for (size_t i = 0; i < writer->count; i++)
        media_release(&writer->media[i]);
    for (size_t i = 0; i < writer->incoming_count; i++)
        media_release(&writer->incoming[i]);
    free(writer->media);
    free(writer->incoming);
    file_close(&writer->wake_fd);
    pthread_mutex_destroy(&writer->lock);
    free(writer);
}

enum sealtape_status writer_start(uint32_t flush_ms, struct memory *memory, struct syncer *syncer,
        const struct writer_listener *listener, struct writer **ret_writer, struct diag *diag)
{
    struct writer *writer = calloc(1, sizeof(*writer));
    enum sealtape_status st;
    int error;

    if (!writer)
        return diag_fail(diag, SEALTAPE_E_MEMORY, "no memory for the writer");
    writer->flush_ms = flush_ms;
    writer->memory = memory;
    writer->syncer = syncer;
    writer->listener = *listener;
    pthread_mutex_init(&writer->lock, NULL);
    writer->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    st = writer->wake_fd < 0 ? SEALTAPE_E_MEMORY : thread_start(&writer->thread, run, writer);
    if (st != SEALTAPE_OK) {
        error = errno;
        destroy(writer);
        return diag_fail(diag, st, "cannot start the writer: %s", strerror(error));
    }
    *ret_writer = writer;
    return SEALTAPE_OK;
}

void writer_stats(struct writer *writer, struct writer_stats *ret_stats)
{
    ret_stats->spooled_bytes = atomic_load(&writer->spooled_bytes);
    ret_stats->unflushed_age_ms = atomic_load(&writer->unflushed_age_ms);
    pthread_mutex_lock(&writer->lock);
    ret_stats->recordings = (uint32_t)writer->total;
    pthread_mutex_unlock(&writer->lock);
}

void writer_stop(struct writer **writer)
{
    struct writer *w = TAKE(*writer);

    if (!w)
        return;
    atomic_store(&w->stopping, true);
    wake(w);
    pthread_join(w->thread, NULL);
    destroy(w);
}
