/*
 * Times what a media server calls.
 *
 * usage: bench write MODULE CONFIG DBID RECORDINGS SAMPLES
 *        bench nettle RECORDINGS SAMPLES
 *        bench open MODULE CONFIG DBID SAMPLES
 *
 * `write` gives 320-byte frames to the recordings in turn; `nettle` encrypts
 * the same bytes with bare AES-256-CBC, one context for each recording, at the
 * same rate. Prints nanoseconds: median, p99, p99.9. `open` prints
 * microseconds: the first open of a fresh recorder, then those after it.
 */
#include <dlfcn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <nettle/aes.h>
#include <nettle/cbc.h>

#include <sealtape/module.h>

#define BENCH_FRAME_BYTES 320
#define BENCH_RECORDINGS_MAX 4096
/* 32 MB/s, as 2000 calls of 16 kB/s: what spool and pool take for long. */
#define BENCH_BURST_FRAMES 100
#define BENCH_BURST_NS 1000000
#define BENCH_COLD_ROUNDS 20

struct nettle_stream {
    struct aes256_ctx aes;
    uint8_t iv[AES_BLOCK_SIZE];
};

struct bench {
    const struct sealtape_entry *entry;
    const struct sealtape_recorder_interface *tape;
    struct sealtape_recorder *recorder;
    sealtape_recording recordings[BENCH_RECORDINGS_MAX];
    size_t opened;
    const char *config, *dbid;
};

static void die(const char *what, const char *why)
{
    fprintf(stderr, "bench: %s: %s\n", what, why);
    exit(1);
}

static int64_t now_ns(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
}

static int compare(const void *a, const void *b)
{
    const int64_t left = *(const int64_t *)a, right = *(const int64_t *)b;

    return left < right ? -1 : left > right;
}

static void print_percentiles(int64_t *samples, size_t count, double unit)
{
    qsort(samples, count, sizeof(*samples), compare);
    printf("%.1f %.1f %.1f\n", (double)samples[count / 2] / unit,
            (double)samples[count * 99 / 100] / unit, (double)samples[count * 999 / 1000] / unit);
}

static void wait_for_burst(int64_t start, size_t frame)
{
    int64_t due = start + (int64_t)(frame / BENCH_BURST_FRAMES) * BENCH_BURST_NS;
    struct timespec until = {.tv_sec = due / 1000000000, .tv_nsec = due % 1000000000};

    if (frame % BENCH_BURST_FRAMES == 0)
        clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL);
}

static int64_t *new_samples(size_t count)
{
    int64_t *samples = calloc(count, sizeof(*samples));

    if (!samples)
        die("samples", "no memory");
    return samples;
}

static void load(struct bench *bench, const char *path)
{
    void *module = dlopen(path, RTLD_NOW | RTLD_LOCAL);

    if (!module)
        die(path, dlerror());
    bench->entry = dlsym(module, SEALTAPE_ENTRY_SYMBOL);
    if (!bench->entry || bench->entry->init(NULL) != SEALTAPE_OK)
        die(path, "does not initialise");
    bench->tape = bench->entry->get_interface(SEALTAPE_RECORDER_INTERFACE);
}

static void create(struct bench *bench)
{
    char why[SEALTAPE_REASON_MAX] = "";

    if (bench->tape->create(bench->config, &bench->recorder, why, sizeof(why)) != SEALTAPE_OK)
        die(bench->config, why);
    bench->opened = 0;
}

/* Nanoseconds that it took. */
static int64_t open_one(struct bench *bench)
{
    char why[SEALTAPE_REASON_MAX] = "", id[32];
    const struct sealtape_param params[] = {{"dbid", bench->dbid}, {"id", id},
            {"type", "audio/wav"}, {"format", "pcm16"}, {"rate", "8000"}, {"channels", "1"},
            {"byte-rate", "16000"}, {"ani", "+14155550100"}, {"dnis", "+14155550199"}};
    enum sealtape_status st;
    int64_t begin;

    snprintf(id, sizeof(id), "bench-%zu", bench->opened);
    begin = now_ns();
    st = bench->tape->open(bench->recorder, params, sizeof(params) / sizeof(params[0]),
            &bench->recordings[bench->opened], why, sizeof(why));
    begin = now_ns() - begin;
    if (st != SEALTAPE_OK)
        die("open", why);
    bench->opened++;
    return begin;
}

static void close_all(struct bench *bench)
{
    for (size_t i = 0; i < bench->opened; i++) {
        if (bench->tape->close(bench->recorder, bench->recordings[i], NULL) != SEALTAPE_OK)
            die("close", "refused");
    }
    bench->tape->destroy(bench->recorder, 0);
}

static void bench_write(struct bench *bench, size_t recordings, size_t count)
{
    int64_t *samples = new_samples(count), start, begin;
    uint8_t frame[BENCH_FRAME_BYTES];
    unsigned long refused = 0;

    create(bench);
    while (bench->opened < recordings)
        open_one(bench);
    memset(frame, 0x55, sizeof(frame));
    start = now_ns();
    for (size_t i = 0; i < count; i++) {
        wait_for_burst(start, i);
        begin = now_ns();
        refused += bench->tape->write(bench->recorder, bench->recordings[i % recordings], frame,
                           sizeof(frame), 0)
                   != SEALTAPE_OK;
        samples[i] = now_ns() - begin;
    }
    close_all(bench);
    bench->entry->deinit();
    if (refused > 0)
        die("write", "was refused; these times would be worth nothing");
    print_percentiles(samples, count, 1);
    free(samples);
}

static void bench_nettle(size_t recordings, size_t count)
{
    struct nettle_stream *streams = calloc(recordings, sizeof(*streams));
    int64_t *samples = new_samples(count), start, begin;
    uint8_t frame[BENCH_FRAME_BYTES], sealed[BENCH_FRAME_BYTES];

    if (!streams)
        die("streams", "no memory");
    for (size_t i = 0; i < recordings; i++) {
        uint8_t key[AES256_KEY_SIZE];

        memset(key, (int)i, sizeof(key));
        aes256_set_encrypt_key(&streams[i].aes, key);
    }
    memset(frame, 0x55, sizeof(frame));
    start = now_ns();
    for (size_t i = 0; i < count; i++) {
        struct nettle_stream *stream = &streams[i % recordings];

        wait_for_burst(start, i);
        begin = now_ns();
        cbc_encrypt(&stream->aes, (nettle_cipher_func *)aes256_encrypt, AES_BLOCK_SIZE, stream->iv,
                sizeof(frame), sealed, frame);
        samples[i] = now_ns() - begin;
    }
    print_percentiles(samples, count, 1);
    free(streams);
    free(samples);
}

static void bench_open(struct bench *bench, size_t count)
{
    int64_t cold[BENCH_COLD_ROUNDS], *warm = new_samples(count);

    if (count >= BENCH_RECORDINGS_MAX)
        die("open", "too many samples");
    for (size_t i = 0; i < BENCH_COLD_ROUNDS; i++) {
        create(bench);
        cold[i] = open_one(bench);
        for (size_t k = 0; i + 1 == BENCH_COLD_ROUNDS && k < count; k++)
            warm[k] = open_one(bench);
        close_all(bench);
    }
    bench->entry->deinit();
    print_percentiles(cold, BENCH_COLD_ROUNDS, 1000);
    print_percentiles(warm, count, 1000);
    free(warm);
}

int main(int argc, char **argv)
{
    static struct bench bench;

    if (argc == 4 && strcmp(argv[1], "nettle") == 0) {
        bench_nettle(strtoul(argv[2], NULL, 10), strtoul(argv[3], NULL, 10));
    } else if (argc == 7 && strcmp(argv[1], "write") == 0) {
        load(&bench, argv[2]);
        bench.config = argv[3];
        bench.dbid = argv[4];
        bench_write(&bench, strtoul(argv[5], NULL, 10), strtoul(argv[6], NULL, 10));
    } else if (argc == 6 && strcmp(argv[1], "open") == 0) {
        load(&bench, argv[2]);
        bench.config = argv[3];
        bench.dbid = argv[4];
        bench_open(&bench, strtoul(argv[5], NULL, 10));
    } else {
        fprintf(stderr, "usage: bench write|nettle|open ... (see test/bench/README.md)\n");
        return 2;
    }
    return 0;
}
