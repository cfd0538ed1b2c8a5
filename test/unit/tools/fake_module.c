/*
 * A module for tests of `sealtape record`: the ABI, and behind it files beside
 * the configuration. The configuration's first word says how it behaves:
 *
 *   deliver  all is well           refuse   open answers E_PROFILE
 *   busy     E_AGAIN now and then  stay     nothing is ever delivered
 *   fail     beyond any retry      closed   closes by itself behind 1000 bytes
 *   broken   create answers E_CONFIG
 */
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include <sealtape/module.h>

#define HANDLE 0x100000001u

struct sealtape_recorder {
    char path[512];
    char mode[16];
    FILE *media, *calls;
    bool open, has_thread;
    unsigned writes;
    size_t bytes;
    pthread_t thread;
};

static struct sealtape_host services;
static struct sealtape_recorder the_recorder;

static FILE *beside(const char *suffix)
{
    char path[600];

    (void)snprintf(path, sizeof(path), "%s.%s", the_recorder.path, suffix);
    return fopen(path, "w");
}

static void tell(uint32_t kind, const char *media_id, const char *text)
{
    const struct sealtape_event event = {.struct_size = sizeof(event),
            .kind = kind,
            .recording_id = "r",
            .media_id = media_id,
            .url = "https://store.example/r-1.wav.bin",
            .outcome = "complete",
            .sha256 = "00ff",
            .text = text};

    services.event(services.context, &event);
}

static enum sealtape_status fake_init(const struct sealtape_host *host)
{
    if (host->struct_size < sizeof(*host))
        return SEALTAPE_E_VERSION;
    services = *host;
    return SEALTAPE_OK;
}

static void fake_deinit(void)
{
    memset(&services, 0, sizeof(services));
}

static enum sealtape_status fake_create(const char *config_path,
        struct sealtape_recorder **ret_recorder, char *reason, size_t reason_size)
{
    FILE *config = fopen(config_path, "r");

    (void)snprintf(the_recorder.path, sizeof(the_recorder.path), "%s", config_path);
    if (!config || fscanf(config, "%15s", the_recorder.mode) != 1
            || strcmp(the_recorder.mode, "broken") == 0) {
        (void)snprintf(reason, reason_size, "%s:1: expected a mode", config_path);
        if (config)
            fclose(config);
        return SEALTAPE_E_CONFIG;
    }
    fclose(config);
    the_recorder.calls = beside("calls");
    if (the_recorder.calls)
        setvbuf(the_recorder.calls, NULL, _IOLBF, 0); /* a test looks meanwhile */
    the_recorder.media = beside("media");
    *ret_recorder = &the_recorder;
    return SEALTAPE_OK;
}

static void fake_destroy(struct sealtape_recorder *recorder, uint32_t drain_ms)
{
    if (recorder->has_thread)
        pthread_join(recorder->thread, NULL);
    fprintf(recorder->calls, "destroy %u\n", (unsigned)drain_ms);
    fclose(recorder->calls);
    fclose(recorder->media);
}

static enum sealtape_status fake_open(struct sealtape_recorder *recorder,
        const struct sealtape_param *params, size_t count, sealtape_recording *ret_recording,
        char *reason, size_t reason_size)
{
    if (strcmp(recorder->mode, "refuse") == 0) {
        (void)snprintf(reason, reason_size, "profile 107: unknown");
        return SEALTAPE_E_PROFILE;
    }
    for (size_t i = 0; i < count; i++)
        fprintf(recorder->calls, "param %s=%s\n", params[i].key, params[i].value);
    recorder->open = true;
    *ret_recording = HANDLE;
    /* Of an earlier process: not what the caller waits for. */
    tell(SEALTAPE_EVENT_STORED, "old-1.wav", NULL);
    tell(SEALTAPE_EVENT_POSTED, "old-1.wav", NULL);
    tell(SEALTAPE_EVENT_OPENED, "r-1.wav", NULL);
    return SEALTAPE_OK;
}

static enum sealtape_status fake_write(struct sealtape_recorder *recorder,
        sealtape_recording recording, const void *bytes, size_t len, uint32_t flags)
{
    if (!recorder->open || recording != HANDLE)
        return SEALTAPE_E_STATE;
    if (!(flags & SEALTAPE_WRITE_RETRY))
        return SEALTAPE_E_USAGE;
    if (strcmp(recorder->mode, "busy") == 0 && recorder->writes++ % 3 == 0)
        return SEALTAPE_E_AGAIN;
    if (strcmp(recorder->mode, "closed") == 0 && recorder->bytes > 1000)
        return SEALTAPE_E_CLOSED;
    recorder->bytes += len;
    fprintf(recorder->calls, "write %zu%s\n", len, flags & SEALTAPE_WRITE_HEADER ? " header" : "");
    return fwrite(bytes, 1, len, recorder->media) == len ? SEALTAPE_OK : SEALTAPE_E_IO;
}

static void *deliver(void *context)
{
    const struct sealtape_recorder *recorder = context;

    if (strcmp(recorder->mode, "fail") == 0) {
        tell(SEALTAPE_EVENT_FAILED, "r-1.wav", "another object stands under the name");
        return NULL;
    }
    tell(SEALTAPE_EVENT_STORED, "r-1.wav", NULL);
    tell(SEALTAPE_EVENT_POSTED, "r-1.wav", NULL);
    return NULL;
}

static enum sealtape_status fake_close(
        struct sealtape_recorder *recorder, sealtape_recording recording, const char *reason)
{
    if (!recorder->open || recording != HANDLE)
        return SEALTAPE_E_STATE;
    recorder->open = false;
    fprintf(recorder->calls, "close %s\n", reason);
    if (strcmp(recorder->mode, "stay") != 0)
        recorder->has_thread = pthread_create(&recorder->thread, NULL, deliver, recorder) == 0;
    return SEALTAPE_OK;
}

static const struct sealtape_recorder_interface calls = {.struct_size = sizeof(calls),
        .create = fake_create,
        .destroy = fake_destroy,
        .open = fake_open,
        .write = fake_write,
        .close = fake_close};

static const void *fake_get_interface(const char *id)
{
    return strcmp(id, SEALTAPE_RECORDER_INTERFACE) == 0 ? &calls : NULL;
}

__attribute__((visibility("default"))) extern const struct sealtape_entry sealtape_entry;

#ifndef FAKE_ABI_MAJOR
#define FAKE_ABI_MAJOR SEALTAPE_ABI_MAJOR
#endif

const struct sealtape_entry sealtape_entry = {.struct_size = sizeof(sealtape_entry),
        .abi_major = FAKE_ABI_MAJOR,
        .abi_minor = SEALTAPE_ABI_MINOR,
        .version = "fake",
        .init = fake_init,
        .deinit = fake_deinit,
        .get_interface = fake_get_interface};
