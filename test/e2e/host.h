/*
 * A media server for tests: opens the module as any host does and takes its
 * orders from a script on standard input, one command a line, one line of
 * answer each ("ok ...", or the name of the status and the reason).
 */
#ifndef SEALTAPE_TEST_HOST_H
#define SEALTAPE_TEST_HOST_H

#include <pthread.h>
#include <stdbool.h>

#include <sealtape/module.h>

#define HOST_RECORDINGS_MAX 4096
#define HOST_WORDS_MAX 260
#define HOST_EVENT_KINDS 16
/* 20 ms of 8 kHz, one byte a sample. */
#define HOST_FRAME_BYTES 160

/* A recording by the name that the script gave it. */
struct host_recording {
    char name[64];
    sealtape_recording handle;
};

struct host {
    const struct sealtape_entry *entry;
    const struct sealtape_recorder_interface *tape;
    struct sealtape_recorder *recorder;
    struct host_recording recordings[HOST_RECORDINGS_MAX];
    size_t recordings_count;
    int events_fd;
    pthread_mutex_t lock;
    /* Guarded by lock. */
    pthread_cond_t arrived;
    unsigned long events[HOST_EVENT_KINDS];
};

/* NULL: no recording has this name. */
struct host_recording *host_find(struct host *host, const char *name);

/* "E_PROFILE" and the like; "ok" for SEALTAPE_OK. */
const char *host_status_name(enum sealtape_status status);

/* Write all of it, offering refused bytes again until a deadline of a minute. */
enum sealtape_status host_write(
        struct host *host, const struct host_recording *recording, const void *bytes, size_t len);

/*
 * Feed recordings in real time from one media thread: a frame of @input to each
 * every 20 ms, with masks and late parameters at random moments. Every step is
 * written to @journal with its time once the module has accepted it (see
 * journal.c), so that what must survive a kill is known afterwards.
 *
 * Runs until the process ends. False: thread or files could not be made.
 */
struct drive_order {
    struct host *host;
    const char *journal;
    const char *input;
    unsigned seed;
    char **names;
    size_t names_count;
};
bool drive_start(const struct drive_order *order);

#endif
