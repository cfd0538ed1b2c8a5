/* `sealtape record`: a file goes through the module as a call does. */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "host.h"
#include "input.h"
#include "tool.h"

#define FRAME_MS 20u
#define FRAME_MAX (64u * 1024)
#define FRAME_UNKNOWN 4096u /* where no byte rate is known */
#define PARAMS_MAX 256
#define OWN_PARAMS 7
#define BACKOFF_MAX_NS 50000000
#define WAIT_STEP_MS 200u
#define PROGRESS_NS 250000000u

struct options {
    const char *config, *module, *file, *type;
    bool realtime;
    uint64_t byte_rate, timeout_ms;
    struct sealtape_param params[PARAMS_MAX];
    size_t count;
};

/* Numbers as text, for the parameters of `open`. */
struct texts {
    char rate[16], channels[16], byte_rate[16];
};

struct feeder {
    struct host *host;
    struct input *input;
    const struct options *options;
    uint64_t byte_rate;
    uint64_t begin_ns, shown_ns;
    uint64_t bytes; /* without the header */
    bool told_waiting;
    uint8_t frame[FRAME_MAX];
};

static volatile sig_atomic_t interruptions;

static void on_signal(int number)
{
    (void)number;
    interruptions = interruptions + 1;
}

static void sleep_until(uint64_t at_ns)
{
    const struct timespec at = {
            .tv_sec = (time_t)(at_ns / 1000000000), .tv_nsec = (long)(at_ns % 1000000000)};

    while (!interruptions && clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &at, NULL) == EINTR)
        continue;
}

/* The module takes all or nothing; at its memory ceiling we wait as long as it takes. */
static enum sealtape_status write_all(
        struct feeder *feeder, size_t len, uint32_t flags, struct diag *diag)
{
    struct timespec pause = {.tv_nsec = 1000000};
    enum sealtape_status st;

    for (;;) {
        st = host_write(feeder->host, feeder->frame, len, flags | SEALTAPE_WRITE_RETRY);
        if (st != SEALTAPE_E_AGAIN)
            break;
        if (interruptions > 1)
            return diag_fail(diag, st, "interrupted while the module took no more");
        nanosleep(&pause, NULL);
        if (pause.tv_nsec < BACKOFF_MAX_NS) {
            pause.tv_nsec *= 2;
        } else if (!feeder->told_waiting) {
            feeder->told_waiting = true;
            tool_note(&tool_record, "the spool takes no more at present: waiting for it");
        }
    }
    if (st != SEALTAPE_OK)
        return diag_fail(diag, st, "the module takes no more bytes: %s", status_name(st));
    return SEALTAPE_OK;
}

static void show_progress(struct feeder *feeder, bool last)
{
    uint64_t now_ns = clock_monotonic_ns();

    if (!isatty(STDERR_FILENO) || (!last && now_ns - feeder->shown_ns < PROGRESS_NS))
        return;
    feeder->shown_ns = now_ns;
    fprintf(stderr, "\r%.1f s, %" PRIu64 " KiB recorded%s",
            (double)(now_ns - feeder->begin_ns) / 1e9, feeder->bytes / 1024, last ? "\n" : "");
}

static enum sealtape_status feed_header(struct feeder *feeder, struct diag *diag)
{
    size_t left = feeder->input->header_len;
    enum sealtape_status st;
    size_t len = 0;

    while (left) {
        /* The header was read already: this cannot come short. */
        st = input_read(
                feeder->input, feeder->frame, left < FRAME_MAX ? left : FRAME_MAX, &len, diag);
        if (st == SEALTAPE_OK)
            st = write_all(feeder, len, SEALTAPE_WRITE_HEADER, diag);
        if (st != SEALTAPE_OK)
            return st;
        left -= len;
    }
    return SEALTAPE_OK;
}

static size_t frame_size(const struct feeder *feeder)
{
    uint64_t size = feeder->byte_rate * FRAME_MS / 1000;

    if (feeder->byte_rate == 0)
        return FRAME_UNKNOWN;
    if (size == 0)
        return 1;
    return size < FRAME_MAX ? (size_t)size : FRAME_MAX;
}

static enum sealtape_status feed(struct feeder *feeder, struct diag *diag)
{
    size_t size = frame_size(feeder);
    enum sealtape_status st;
    size_t len = size;

    feeder->begin_ns = clock_monotonic_ns();
    st = feed_header(feeder, diag);
    while (st == SEALTAPE_OK && len == size && !interruptions) {
        st = input_read(feeder->input, feeder->frame, size, &len, diag);
        /* A signal ends the recording, with what there is. */
        if (st == SEALTAPE_E_STATE)
            st = SEALTAPE_OK;
        if (st == SEALTAPE_OK && feeder->options->realtime)
            sleep_until(
                    feeder->begin_ns
                    + (uint64_t)((double)(feeder->bytes + len) * 1e9 / (double)feeder->byte_rate));
        if (st == SEALTAPE_OK && len)
            st = write_all(feeder, len, 0, diag);
        if (st == SEALTAPE_OK)
            feeder->bytes += len;
        show_progress(feeder, false);
    }
    show_progress(feeder, true);
    return st;
}

static bool is_given(const struct options *options, const char *key)
{
    for (size_t i = 0; i < options->count; i++) {
        if (strcmp(options->params[i].key, key) == 0)
            return true;
    }
    return false;
}

static void add(struct options *options, const char *key, const char *value)
{
    if (value && !is_given(options, key))
        options->params[options->count++] = (struct sealtape_param){key, value};
}

/* What the file says of itself, where the command line does not say otherwise. */
static void add_known(
        struct options *options, const struct input *input, struct texts *texts, uint64_t byte_rate)
{
    (void)snprintf(texts->rate, sizeof(texts->rate), "%" PRIu32, input->rate);
    (void)snprintf(texts->channels, sizeof(texts->channels), "%" PRIu32, input->channels);
    (void)snprintf(texts->byte_rate, sizeof(texts->byte_rate), "%" PRIu64, byte_rate);
    add(options, "type", options->type ? options->type : input->type);
    add(options, "format", input->format);
    add(options, "rate", input->rate ? texts->rate : NULL);
    add(options, "channels", input->channels ? texts->channels : NULL);
    add(options, "byte-rate", byte_rate ? texts->byte_rate : NULL);
}

static enum sealtape_status print_result(struct host *host, bool *ret_delivered, struct diag *diag)
{
    struct host_media media;
    json_t *json;

    host_media(host, &media);
    *ret_delivered = media.posted && (media.stored || media.discarded);
    json = json_pack("{s:s, s:s, s:s, s:s, s:b}", "mediaId", media.media_id, "url", media.url,
            "outcome", media.outcome, "sha256", media.sha256, "spooled", !*ret_delivered);
    if (json && media.lost_bytes)
        json_object_set_new(json, "lostBytes", json_integer((json_int_t)media.lost_bytes));
    if (media.failed)
        tool_note(&tool_record, "%s cannot be delivered: %s", media.media_id, media.text);
    return tool_print(json, 0, diag);
}

/* All of it is on disk: only then an outcome has been told. */
static bool is_spooled(struct host *host)
{
    struct host_media media;

    host_media(host, &media);
    return *media.outcome != '\0';
}

static void wait_for_delivery(struct host *host, uint64_t timeout_ms)
{
    uint64_t until_ns = clock_monotonic_ns() + timeout_ms * 1000000;
    sig_atomic_t before = interruptions;

    /* In steps: a signal during the wait ends it. */
    while (interruptions == before && clock_monotonic_ns() < until_ns) {
        uint64_t left_ms = (until_ns - clock_monotonic_ns()) / 1000000 + 1;

        if (host_wait(host, left_ms < WAIT_STEP_MS ? left_ms : WAIT_STEP_MS))
            return;
    }
}

/* The recording is open: whatever happens, it is closed and told of. */
static enum tool_exit record_open(struct feeder *feeder)
{
    struct diag reason = {0};
    struct diag diag = {0};
    enum sealtape_status fed, st;
    bool delivered = false;

    fed = feed(feeder, &reason);
    st = host_close(feeder->host, fed != SEALTAPE_OK ? "failed"
                                  : interruptions    ? "interrupted"
                                                     : "end of input");
    if (st != SEALTAPE_OK)
        tool_note(&tool_record, "the module does not close the recording: %s", status_name(st));
    wait_for_delivery(feeder->host, feeder->options->timeout_ms);
    if (fed != SEALTAPE_OK)
        tool_note(&tool_record, "%s", reason.text);
    if (print_result(feeder->host, &delivered, &diag) != SEALTAPE_OK)
        return tool_fail(&tool_record, &diag);
    if (!delivered)
        tool_note(&tool_record, "not delivered: %s",
                is_spooled(feeder->host) ? "it waits in the spool (see sealtape spool)"
                                         : "its end is not even in the spool yet");
    return delivered && fed == SEALTAPE_OK && st == SEALTAPE_OK ? TOOL_DONE : TOOL_FAILED;
}

/* The module's threads inherit the mask: a signal must wake this thread, which reads. */
static enum sealtape_status start(
        const struct options *options, struct host **ret_host, struct diag *diag)
{
    enum sealtape_status st;
    sigset_t ours, before;

    sigemptyset(&ours);
    sigaddset(&ours, SIGINT);
    sigaddset(&ours, SIGTERM);
    pthread_sigmask(SIG_BLOCK, &ours, &before);
    st = host_start(options->module, options->config, ret_host, diag);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return st;
}

static enum tool_exit record(struct options *options)
{
    CLEANUP(input_close) struct input input = {.fd = -1};
    CLEANUP(host_stop) struct host *host = NULL;
    struct sigaction action = {.sa_handler = on_signal};
    static struct feeder feeder;
    struct diag diag = {0};
    enum sealtape_status st;
    struct texts texts;

    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    st = input_open(options->file, &input, &diag);
    if (st != SEALTAPE_OK)
        return tool_fail(&tool_record, &diag);
    feeder = (struct feeder){.input = &input,
            .options = options,
            .byte_rate = options->byte_rate ? options->byte_rate : input.byte_rate};
    if (options->realtime && feeder.byte_rate == 0)
        return tool_usage(&tool_record, "--pace realtime needs --byte-rate: %s does not say it",
                options->file);
    add_known(options, &input, &texts, feeder.byte_rate);
    st = start(options, &host, &diag);
    if (st == SEALTAPE_OK)
        st = host_open(host, options->params, options->count, &diag);
    if (st != SEALTAPE_OK)
        return tool_fail(&tool_record, &diag);
    feeder.host = host;
    return record_open(&feeder);
}

/* "K=V": cut in place. */
static bool add_param(struct options *options, char *text)
{
    char *equals = strchr(text, '=');

    if (!equals || equals == text || options->count >= PARAMS_MAX - OWN_PARAMS)
        return false;
    *equals = '\0';
    options->params[options->count++] = (struct sealtape_param){text, equals + 1};
    return true;
}

/* False: not an option of ours, or a value that cannot be. */
static bool take_option(struct options *options, int option)
{
    switch (option) {
    case 'c':
        options->config = optarg;
        return true;
    case 'd':
        add(options, "dbid", optarg);
        return true;
    case 'i':
        add(options, "id", optarg);
        return true;
    case 't':
        options->type = optarg;
        return true;
    case 'p':
        return add_param(options, optarg);
    case 'P':
        options->realtime = strcmp(optarg, "realtime") == 0;
        return options->realtime || strcmp(optarg, "fast") == 0;
    case 'b':
        return tool_number_parse(optarg, UINT32_MAX, &options->byte_rate) == SEALTAPE_OK
               && options->byte_rate > 0;
    case 'T':
        return tool_time_parse(optarg, &options->timeout_ms) == SEALTAPE_OK;
    case 'm':
        options->module = optarg;
        return true;
    default:
        return false;
    }
}

static enum tool_exit run(int argc, char **argv)
{
    static const struct option names[] = {{"config", required_argument, NULL, 'c'},
            {"dbid", required_argument, NULL, 'd'}, {"id", required_argument, NULL, 'i'},
            {"type", required_argument, NULL, 't'}, {"param", required_argument, NULL, 'p'},
            {"pace", required_argument, NULL, 'P'}, {"byte-rate", required_argument, NULL, 'b'},
            {"timeout", required_argument, NULL, 'T'}, {"module", required_argument, NULL, 'm'},
            {"help", no_argument, NULL, 'h'}, {0}};
    static struct options options = {.timeout_ms = 60000};
    int option;

    while ((option = getopt_long(argc, argv, "c:", names, NULL)) != -1) {
        if (option == 'h')
            return tool_help(&tool_record);
        if (!take_option(&options, option))
            return tool_usage(&tool_record, "%s%s",
                    option == '?' ? "wrong option" : "cannot be the value of an option: ",
                    option == '?' ? "" : optarg);
    }
    if (optind + 1 != argc)
        return tool_usage(&tool_record, "expected one FILE, or - for standard input");
    if (!options.config)
        return tool_usage(&tool_record, "expected -c FILE");
    if (!is_given(&options, "dbid") && !is_given(&options, "profile"))
        return tool_usage(&tool_record, "expected --dbid N");
    options.file = argv[optind];
    return record(&options);
}

const struct tool tool_record = {
        .name = "record",
        .arguments = "-c FILE --dbid N [--id ID] [--type MIME] [--param K=V]... "
                     "[--pace realtime|fast] [--byte-rate N] [--timeout T] [--module SO] FILE|-",
        .summary = "seal and deliver a file, through the module as a media server does",
        .help = "  -c FILE         sealtape.xml\n"
                "  --dbid N        DBID of the IVR Profile (or --param tenant-dbid=N and\n"
                "                  --param profile=NAME)\n"
                "  --id ID         id of the recording; else the module makes one\n"
                "  --type MIME     default: by the first bytes, else by the name\n"
                "  --param K=V     another parameter of the recording; may repeat\n"
                "  --pace P        realtime: 20 ms frames on time; fast (default): as fast as the\n"
                "                  module takes them\n"
                "  --byte-rate N   bytes per second, where the file does not say (WAV does)\n"
                "  --timeout T     how long to wait for delivery: 60s (default), 500ms, 2min\n"
                "  --module SO     the module to load\n\n"
                "Prints one JSON line: mediaId, url, outcome, sha256, spooled. A refused "
                "recording\n"
                "prints nothing there and the reason on stderr.\n",
        .run = run,
};
