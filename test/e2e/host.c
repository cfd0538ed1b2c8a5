#include "host.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

struct command {
    const char *name;
    int words_min; /* with the command itself */
    void (*run)(struct host *host, char **words, int count);
};

static void answer(enum sealtape_status status, const char *text)
{
    printf("%s%s%s\n", host_status_name(status), *text ? " " : "", text);
    fflush(stdout);
}

const char *host_status_name(enum sealtape_status status)
{
    static const char *const names[] = {"ok", "E_USAGE", "E_VERSION", "E_MEMORY", "E_CONFIG",
            "E_PROFILE", "E_CERTIFICATE", "E_SPOOL", "E_LIMIT", "E_AGAIN", "E_STATE", "E_CLOSED",
            "E_IO"};
    int index = -(int)status;

    return index >= 0 && index < (int)(sizeof(names) / sizeof(names[0])) ? names[index] : "E_?";
}

struct host_recording *host_find(struct host *host, const char *name)
{
    for (size_t i = 0; i < host->recordings_count; i++) {
        if (strcmp(host->recordings[i].name, name) == 0)
            return &host->recordings[i];
    }
    return NULL;
}

static int64_t now_ms(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

enum sealtape_status host_write(
        struct host *host, const struct host_recording *recording, const void *bytes, size_t len)
{
    const struct timespec pause = {.tv_nsec = 2000000};
    int64_t deadline = now_ms() + 60000;
    enum sealtape_status st;

    do {
        st = host->tape->write(host->recorder, recording->handle, bytes, len, SEALTAPE_WRITE_RETRY);
        if (st != SEALTAPE_E_AGAIN)
            break;
        nanosleep(&pause, NULL);
    } while (now_ms() < deadline);
    return st;
}

static void on_log(
        void *context, int level, uint32_t number, const char *recording_id, const char *message)
{
    (void)context;
    fprintf(stderr, "%d %u %s %s\n", level, number, recording_id ? recording_id : "-", message);
}

static void on_event(void *context, const struct sealtape_event *event)
{
    struct host *host = context;

    dprintf(host->events_fd, "%u\t%s\t%s\t%s\t%s\t%llu\t%s\n", event->kind,
            host_status_name((enum sealtape_status)event->status),
            event->recording_id ? event->recording_id : "-",
            event->media_id ? event->media_id : "-", event->outcome ? event->outcome : "-",
            (unsigned long long)event->bytes, event->text ? event->text : "-");
    pthread_mutex_lock(&host->lock);
    if (event->kind < HOST_EVENT_KINDS)
        host->events[event->kind]++;
    pthread_cond_broadcast(&host->arrived);
    pthread_mutex_unlock(&host->lock);
}

static void run_create(struct host *host, char **words, int count)
{
    char reason[SEALTAPE_REASON_MAX] = "";

    (void)count;
    answer(host->tape->create(words[1], &host->recorder, reason, sizeof(reason)), reason);
}

static void run_reload(struct host *host, char **words, int count)
{
    char reason[SEALTAPE_REASON_MAX] = "";

    (void)words;
    (void)count;
    answer(host->tape->reload(host->recorder, reason, sizeof(reason)), reason);
}

static void run_destroy(struct host *host, char **words, int count)
{
    (void)count;
    host->tape->destroy(host->recorder, (uint32_t)strtoul(words[1], NULL, 10));
    host->recorder = NULL;
    host->recordings_count = 0;
    answer(SEALTAPE_OK, "");
}

/* %20 and the like, in place: words of a command hold no blanks. */
static void decode(char *text)
{
    char *to = text;

    for (const char *from = text; *from; from++) {
        unsigned byte;

        if (*from == '%' && sscanf(from + 1, "%2x", &byte) == 1) {
            *to++ = (char)byte;
            from += 2;
        } else {
            *to++ = *from;
        }
    }
    *to = '\0';
}

/* open NAME key=value... */
static void run_open(struct host *host, char **words, int count)
{
    struct host_recording *made = &host->recordings[host->recordings_count];
    struct sealtape_param params[HOST_WORDS_MAX];
    char reason[SEALTAPE_REASON_MAX] = "";
    enum sealtape_status st;
    size_t given = 0;

    if (host->recordings_count == HOST_RECORDINGS_MAX) {
        answer(SEALTAPE_E_LIMIT, "the host has no room for more recordings");
        return;
    }
    for (int i = 2; i < count; i++) {
        char *value = strchr(words[i], '=');

        if (!value) {
            answer(SEALTAPE_E_USAGE, "the host expects key=value");
            return;
        }
        *value++ = '\0';
        decode(value);
        params[given].key = words[i];
        params[given++].value = value;
    }
    st = host->tape->open(host->recorder, params, given, &made->handle, reason, sizeof(reason));
    if (st == SEALTAPE_OK) {
        snprintf(made->name, sizeof(made->name), "%s", words[1]);
        host->recordings_count++;
    }
    answer(st, reason);
}

/* The recording, or NULL after the answer was given. */
static struct host_recording *named(struct host *host, const char *name)
{
    struct host_recording *found = host_find(host, name);

    if (!found)
        answer(SEALTAPE_E_STATE, "the host knows no recording of this name");
    return found;
}

/* write NAME FILE [FRAME_BYTES] */
static void run_write(struct host *host, char **words, int count)
{
    size_t frame = count > 3 ? strtoul(words[3], NULL, 10) : 320;
    struct host_recording *recording = named(host, words[1]);
    enum sealtape_status st = SEALTAPE_OK;
    static char buffer[1 << 20];
    FILE *file;
    size_t len;

    if (!recording)
        return;
    file = fopen(words[2], "rbe");
    if (!file || frame == 0 || frame > sizeof(buffer)) {
        answer(SEALTAPE_E_IO, "the host cannot read the file in such frames");
        if (file)
            fclose(file);
        return;
    }
    while (st == SEALTAPE_OK && (len = fread(buffer, 1, frame, file)) > 0)
        st = host_write(host, recording, buffer, len);
    fclose(file);
    answer(st, "");
}

/* memcpy leaves the last of what it moved in the vector registers, which a core dump has, too. */
static void wipe_registers(void)
{
#ifdef __x86_64__
    if (__builtin_cpu_supports("avx"))
        __asm__ volatile("vzeroall" ::: "memory");
#endif
}

/* Mapped, not read: a trace of the system calls must not show it. */
static const unsigned char *map_pattern(const char *path)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    void *mapped = MAP_FAILED;

    if (fd >= 0) {
        mapped = mmap(NULL, 64, PROT_READ, MAP_SHARED, fd, 0);
        close(fd);
    }
    return mapped == MAP_FAILED ? NULL : mapped;
}

/*
 * pattern NAME PATTERN_FILE BYTES: the 64 bytes of the file, again and again. The
 * host wipes its own copy after each frame, so that a core dump taken while it
 * waits shows what the module keeps.
 */
static void run_pattern(struct host *host, char **words, int count)
{
    struct host_recording *recording = named(host, words[1]);
    enum sealtape_status st = SEALTAPE_OK;
    size_t left = strtoul(words[3], NULL, 10);
    unsigned char frame[64 * 5];

    (void)count;
    if (!recording)
        return;
    while (st == SEALTAPE_OK && left > 0) {
        size_t len = left < sizeof(frame) ? left : sizeof(frame);
        const unsigned char *pattern = map_pattern(words[2]);

        if (!pattern) {
            answer(SEALTAPE_E_IO, "the host cannot read 64 bytes of pattern");
            return;
        }
        memcpy(frame, pattern, 64);
        munmap((void *)(uintptr_t)pattern, 64);
        for (size_t i = 64; i < sizeof(frame); i += 64)
            memcpy(frame + i, frame, 64);
        st = host_write(host, recording, frame, len);
        explicit_bzero(frame, sizeof(frame));
        left -= len;
    }
    wipe_registers();
    answer(st, "");
}

static void run_control(struct host *host, char **words, int count)
{
    enum sealtape_status (*control)(struct sealtape_recorder *, sealtape_recording) = NULL;
    struct host_recording *recording = named(host, words[1]);

    (void)count;
    if (!recording)
        return;
    if (strcmp(words[0], "mask") == 0)
        control = host->tape->mask;
    else if (strcmp(words[0], "unmask") == 0)
        control = host->tape->unmask;
    else if (strcmp(words[0], "pause") == 0)
        control = host->tape->pause;
    else
        control = host->tape->resume;
    answer(control(host->recorder, recording->handle), "");
}

static void run_set(struct host *host, char **words, int count)
{
    struct host_recording *recording = named(host, words[1]);

    (void)count;
    if (!recording)
        return;
    decode(words[3]);
    answer(host->tape->set(host->recorder, recording->handle, words[2], words[3]), "");
}

static void run_close(struct host *host, char **words, int count)
{
    struct host_recording *recording = named(host, words[1]);

    if (!recording)
        return;
    answer(host->tape->close(host->recorder, recording->handle, count > 2 ? words[2] : NULL), "");
}

static void run_discard(struct host *host, char **words, int count)
{
    (void)count;
    answer(host->tape->discard(host->recorder, words[1]), "");
}

static void run_find(struct host *host, char **words, int count)
{
    sealtape_recording found;

    (void)count;
    answer(host->tape->find(host->recorder, words[1], &found), "");
}

static void run_stats(struct host *host, char **words, int count)
{
    struct sealtape_stats stats = {.struct_size = sizeof(stats)};
    enum sealtape_status st = host->tape->stats(host->recorder, &stats);
    char text[512];

    (void)words;
    (void)count;
    snprintf(text, sizeof(text),
            "recording=%u undelivered=%u failed=%u opened=%llu refused=%llu stored=%llu "
            "posted=%llu accepted=%llu spooled=%llu lost=%llu memory=%llu memory_max=%llu",
            stats.recording, stats.undelivered, stats.failed, (unsigned long long)stats.opened,
            (unsigned long long)stats.refused, (unsigned long long)stats.stored,
            (unsigned long long)stats.posted, (unsigned long long)stats.accepted_bytes,
            (unsigned long long)stats.spooled_bytes, (unsigned long long)stats.lost_bytes,
            (unsigned long long)stats.memory_bytes, (unsigned long long)stats.memory_max_bytes);
    answer(st, text);
}

/* await KIND COUNT SECONDS: until that many events of the kind have come. */
static void run_await(struct host *host, char **words, int count)
{
    unsigned long kind = strtoul(words[1], NULL, 10), wanted = strtoul(words[2], NULL, 10), seen;
    struct timespec deadline;
    int waited = 0;

    (void)count;
    if (kind >= HOST_EVENT_KINDS) {
        answer(SEALTAPE_E_USAGE, "the host knows no such kind of event");
        return;
    }
    clock_gettime(CLOCK_REALTIME, &deadline);
    deadline.tv_sec += (time_t)strtoul(words[3], NULL, 10);
    pthread_mutex_lock(&host->lock);
    while (host->events[kind] < wanted && waited == 0)
        waited = pthread_cond_timedwait(&host->arrived, &host->lock, &deadline);
    seen = host->events[kind];
    pthread_mutex_unlock(&host->lock);
    answer(seen < wanted ? SEALTAPE_E_AGAIN : SEALTAPE_OK,
            seen < wanted ? "the events did not come in time" : "");
}

/* drive JOURNAL INPUT SEED NAME... */
static void run_drive(struct host *host, char **words, int count)
{
    struct drive_order order = {.host = host,
            .journal = words[1],
            .input = words[2],
            .seed = (unsigned)strtoul(words[3], NULL, 10),
            .names = words + 4,
            .names_count = (size_t)count - 4};

    if (drive_start(&order))
        answer(SEALTAPE_OK, "");
    else
        answer(SEALTAPE_E_IO, "the host cannot drive these recordings");
}

static const struct command commands[] = {
        {"create", 2, run_create},
        {"reload", 1, run_reload},
        {"destroy", 2, run_destroy},
        {"open", 2, run_open},
        {"write", 3, run_write},
        {"pattern", 4, run_pattern},
        {"mask", 2, run_control},
        {"unmask", 2, run_control},
        {"pause", 2, run_control},
        {"resume", 2, run_control},
        {"set", 4, run_set},
        {"close", 2, run_close},
        {"discard", 2, run_discard},
        {"find", 2, run_find},
        {"stats", 1, run_stats},
        {"await", 4, run_await},
        {"drive", 5, run_drive},
};

static void run_line(struct host *host, char *line)
{
    char *words[HOST_WORDS_MAX], *rest = NULL;
    int count = 0;

    for (char *word = strtok_r(line, " \n", &rest); word && count < HOST_WORDS_MAX;
            word = strtok_r(NULL, " \n", &rest))
        words[count++] = word;
    if (count == 0)
        return;
    for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
        if (strcmp(words[0], commands[i].name) != 0)
            continue;
        if (count < commands[i].words_min)
            answer(SEALTAPE_E_USAGE, "the host expects more words");
        else
            commands[i].run(host, words, count);
        return;
    }
    answer(SEALTAPE_E_USAGE, "the host knows no such command");
}

static bool load(struct host *host, const char *path)
{
    const struct sealtape_host services = {
            .struct_size = sizeof(services), .context = host, .log = on_log, .event = on_event};
    void *module = dlopen(path, RTLD_NOW | RTLD_LOCAL);

    if (!module) {
        fprintf(stderr, "host: %s\n", dlerror());
        return false;
    }
    host->entry = dlsym(module, SEALTAPE_ENTRY_SYMBOL);
    if (!host->entry || host->entry->init(&services) != SEALTAPE_OK) {
        fprintf(stderr, "host: %s does not initialise\n", path);
        return false;
    }
    host->tape = host->entry->get_interface(SEALTAPE_RECORDER_INTERFACE);
    return host->tape != NULL;
}

int main(int argc, char **argv)
{
    static struct host host = {
            .lock = PTHREAD_MUTEX_INITIALIZER, .arrived = PTHREAD_COND_INITIALIZER};
    static char line[1 << 16];

    if (argc != 3) {
        fprintf(stderr, "usage: host MODULE EVENTS < SCRIPT\n");
        return 2;
    }
    host.events_fd = open(argv[2], O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0600);
    if (host.events_fd < 0 || !load(&host, argv[1])) {
        fprintf(stderr, "host: cannot start: %s\n", strerror(errno));
        return 1;
    }
    while (fgets(line, sizeof(line), stdin) && strcmp(line, "quit\n") != 0)
        run_line(&host, line);
    if (host.recorder)
        host.tape->destroy(host.recorder, 0);
    host.entry->deinit();
    close(host.events_fd);
    return 0;
}
