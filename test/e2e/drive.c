#include "host.h"

#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define DRIVE_NAMES_MAX 256

struct driven {
    const struct host_recording *recording;
    size_t total;
    bool masked;
    unsigned long late;
};

struct drive {
    struct host *host;
    int journal_fd;
    unsigned seed;
    unsigned char *input;
    size_t input_len;
    struct driven driven[DRIVE_NAMES_MAX];
    size_t driven_count;
};

static int64_t now_ns(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
}

/* One write(2) into the page cache: whole lines survive a kill. */
static void note(struct drive *drive, char what, const struct driven *driven, unsigned long value)
{
    dprintf(drive->journal_fd, "%c %s %lld %lu\n", what, driven->recording->name,
            (long long)now_ns(), value);
}

static void stop(const struct driven *driven, const char *what, enum sealtape_status st)
{
    fprintf(stderr, "host: %s of %s answers %s\n", what, driven->recording->name,
            host_status_name(st));
    exit(3);
}

static void control_sometimes(struct drive *drive, struct driven *driven)
{
    const struct sealtape_recorder_interface *tape = drive->host->tape;
    unsigned dice = (unsigned)rand_r(&drive->seed) % 8;
    enum sealtape_status st;
    char value[32];

    if (dice == 0) {
        st = driven->masked ? tape->unmask(drive->host->recorder, driven->recording->handle)
                            : tape->mask(drive->host->recorder, driven->recording->handle);
        if (st != SEALTAPE_OK)
            stop(driven, "mask or unmask", st);
        driven->masked = !driven->masked;
        note(drive, driven->masked ? 'M' : 'U', driven, driven->total);
    } else if (dice == 1) {
        snprintf(value, sizeof(value), "%lu", ++driven->late);
        st = tape->set(drive->host->recorder, driven->recording->handle, "late", value);
        if (st != SEALTAPE_OK)
            stop(driven, "set", st);
        note(drive, 'S', driven, driven->late);
    }
}

static void feed(struct drive *drive, struct driven *driven)
{
    enum sealtape_status st;

    if (driven->total + HOST_FRAME_BYTES > drive->input_len)
        return;
    st = drive->host->tape->write(drive->host->recorder, driven->recording->handle,
            drive->input + driven->total, HOST_FRAME_BYTES, 0);
    if (st != SEALTAPE_OK)
        stop(driven, "write", st);
    driven->total += HOST_FRAME_BYTES;
    note(drive, 'W', driven, driven->total);
}

static void *drive_run(void *context)
{
    struct drive *drive = context;
    struct timespec next;

    clock_gettime(CLOCK_MONOTONIC, &next);
    for (;;) {
        for (size_t i = 0; i < drive->driven_count; i++) {
            control_sometimes(drive, &drive->driven[i]);
            feed(drive, &drive->driven[i]);
        }
        next.tv_nsec += 20000000;
        if (next.tv_nsec >= 1000000000) {
            next.tv_nsec -= 1000000000;
            next.tv_sec++;
        }
        clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &next, NULL);
    }
    return NULL;
}

static bool read_input(struct drive *drive, const char *path)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    struct stat facts;
    bool ok;

    if (fd < 0 || fstat(fd, &facts) != 0 || facts.st_size <= 0)
        return false;
    drive->input_len = (size_t)facts.st_size;
    drive->input = malloc(drive->input_len);
    ok = drive->input && read(fd, drive->input, drive->input_len) == (ssize_t)drive->input_len;
    close(fd);
    return ok;
}

bool drive_start(const struct drive_order *order)
{
    static struct drive drive;
    pthread_t thread;

    if (drive.host || order->names_count > DRIVE_NAMES_MAX || !read_input(&drive, order->input))
        return false;
    drive.seed = order->seed;
    drive.journal_fd =
            open(order->journal, O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0600);
    for (size_t i = 0; i < order->names_count; i++) {
        drive.driven[i].recording = host_find(order->host, order->names[i]);
        if (!drive.driven[i].recording)
            return false;
    }
    drive.driven_count = order->names_count;
    drive.host = order->host;
    return drive.journal_fd >= 0 && pthread_create(&thread, NULL, drive_run, &drive) == 0
           && pthread_detach(thread) == 0;
}
