/* `sealtape open`: a recording in clear. */
#include <getopt.h>
#include <signal.h>
#include <stdbool.h>
#include <string.h>

#include "content.h"
#include "message.h"
#include "output.h"
#include "passphrase.h"
#include "tool.h"
#include "unseal/key.h"
#include "unseal/unseal.h"

struct options {
    const char *key, *content, *config, *media_id, *output, *file;
    char *passphrase_file;
    bool exact;
};

/* One recording on its way. */
struct opening {
    struct message message;
    struct envelope *envelope; /* of a document; else the message's is used */
    struct config *config;
    struct key *key;
    struct unseal *unseal;
    struct output output;
    struct metadata_media unknown; /* stands for the document of an archive member */
    const struct metadata_media *media;
    struct content content;
};

static volatile sig_atomic_t interrupted;

static void on_signal(int number)
{
    interrupted = number;
}

static void opening_clear(struct opening *opening)
{
    output_close(&opening->output);
    unseal_free(&opening->unseal);
    key_free(&opening->key);
    config_free(&opening->config);
    envelope_free(&opening->envelope);
    message_clear(&opening->message);
}

static const struct envelope *envelope_of(const struct opening *opening)
{
    return opening->envelope ? opening->envelope : opening->message.envelope;
}

static enum sealtape_status release(
        void *context, const uint8_t *bytes, size_t len, struct diag *diag)
{
    return output_write(context, bytes, len, diag);
}

static enum sealtape_status feed(void *context, const uint8_t *bytes, size_t len, struct diag *diag)
{
    if (interrupted)
        return diag_fail(diag, SEALTAPE_E_IO, "interrupted");
    return unseal_update(context, bytes, len, diag);
}

/* What is to be opened, and where its bytes are. */
static enum sealtape_status find(
        const struct options *options, struct opening *opening, struct diag *diag)
{
    struct content *content = &opening->content;
    enum sealtape_status st;

    st = message_load(options->file, &opening->message, diag);
    if (st == SEALTAPE_OK && options->config)
        st = config_load(options->config, &opening->config, diag);
    if (st == SEALTAPE_OK && opening->message.metadata) {
        st = metadata_choose(opening->message.metadata, options->media_id, &opening->media, diag);
        if (st == SEALTAPE_OK)
            st = message_envelope(opening->media, &opening->envelope, diag);
    }
    if (st != SEALTAPE_OK)
        return st;
    *content = (struct content){
            .path = options->content, .size = CONTENT_UNKNOWN, .config = opening->config};
    if (!opening->media) {
        opening->unknown =
                (struct metadata_media){.size = METADATA_UNKNOWN, .plain_size = METADATA_UNKNOWN};
        opening->media = &opening->unknown;
    }
    if (options->content)
        return SEALTAPE_OK;
    if (opening->message.kind == MESSAGE_MEMBER) {
        content->path = options->file;
        content->offset = opening->message.envelope->content_offset;
        content->size = opening->message.envelope->content_len;
        opening->unknown.size = content->size;
    } else if (opening->message.kind == MESSAGE_DOCUMENT && *opening->media->path) {
        content->url = opening->media->path;
    } else {
        return diag_fail(diag, SEALTAPE_E_USAGE,
                "%s does not say where its content is; use --content", options->file);
    }
    return SEALTAPE_OK;
}

/* For the header's sizes, where the document does not have the plain size. */
static void learn_size(struct opening *opening)
{
    uint8_t tail[UNSEAL_TAIL_SIZE];
    uint64_t size = 0;
    size_t len = 0;

    if (opening->media->plain_size != METADATA_UNKNOWN)
        return;
    /* Not to be had (a pipe): the header stays as it was recorded. */
    if (content_tail(&opening->content, tail, sizeof(tail), &len, &size, NULL) == SEALTAPE_OK)
        unseal_tail(opening->unseal, tail, len, size);
}

static enum sealtape_status transfer(
        const struct options *options, struct opening *opening, struct diag *diag)
{
    const struct key_source source = {
            .path = options->key, .ask = passphrase_ask, .context = options->passphrase_file};
    const struct unseal_plan plan = {.envelope = envelope_of(opening),
            .media = opening->media,
            .repair_header = !options->exact,
            .sink = release,
            .context = &opening->output};
    struct unseal_plan with_key = plan;
    enum sealtape_status st;

    st = key_load(&source, &opening->key, diag);
    if (st != SEALTAPE_OK)
        return st;
    with_key.key = opening->key;
    st = unseal_new(&with_key, &opening->unseal, diag);
    if (st == SEALTAPE_OK)
        st = output_open(options->output, &opening->output, diag);
    if (st != SEALTAPE_OK)
        return st;
    if (!options->exact)
        learn_size(opening);
    st = content_stream(&opening->content, feed, opening->unseal, diag);
    if (st == SEALTAPE_OK)
        st = unseal_finish(opening->unseal, diag);
    if (st == SEALTAPE_OK)
        st = output_commit(&opening->output, diag);
    return st;
}

static enum tool_exit open_one(const struct options *options)
{
    CLEANUP(opening_clear) struct opening opening = {.output = {.fd = -1}};
    struct sigaction action = {.sa_handler = on_signal};
    struct diag diag = {0};
    enum sealtape_status st;

    /* The unfinished file is in clear: it goes before we do. */
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGHUP, &action, NULL);
    st = tool_harden(&diag);
    if (st == SEALTAPE_OK)
        st = find(options, &opening, &diag);
    if (st != SEALTAPE_OK)
        return tool_fail(&tool_open, &diag);
    if (!opening.media->has_sha256 && opening.media->chunk_digests_count == 0)
        tool_note(&tool_open, "%s has no digests: altered content would not be noticed",
                options->file);
    st = transfer(options, &opening, &diag);
    if (st != SEALTAPE_OK)
        return tool_fail(&tool_open, &diag);
    if (strcmp(opening.media->outcome ? opening.media->outcome : "", "interrupted") == 0
            || strcmp(opening.media->outcome ? opening.media->outcome : "", "degraded") == 0)
        tool_note(&tool_open, "the recording is %s", opening.media->outcome);
    return TOOL_DONE;
}

static enum tool_exit run(int argc, char **argv)
{
    static const struct option names[] = {{"key", required_argument, NULL, 'k'},
            {"passphrase-file", required_argument, NULL, 'p'},
            {"content", required_argument, NULL, 'f'}, {"config", required_argument, NULL, 'c'},
            {"media", required_argument, NULL, 'm'}, {"exact", no_argument, NULL, 'e'},
            {"output", required_argument, NULL, 'o'}, {"help", no_argument, NULL, 'h'}, {0}};
    struct options options = {.output = "-"};
    int option;

    while ((option = getopt_long(argc, argv, "c:o:", names, NULL)) != -1) {
        if (option == 'k')
            options.key = optarg;
        else if (option == 'p')
            options.passphrase_file = optarg;
        else if (option == 'f')
            options.content = optarg;
        else if (option == 'c')
            options.config = optarg;
        else if (option == 'm')
            options.media_id = optarg;
        else if (option == 'e')
            options.exact = true;
        else if (option == 'o')
            options.output = optarg;
        else
            return option == 'h' ? tool_help(&tool_open) : tool_usage(&tool_open, "wrong option");
    }
    if (optind + 1 != argc)
        return tool_usage(&tool_open, "expected one METADATA.json or FILE.p7m");
    if (!options.key)
        return tool_usage(&tool_open, "expected --key");
    options.file = argv[optind];
    return open_one(&options);
}

const struct tool tool_open = {
        .name = "open",
        .arguments = "--key PEM [--passphrase-file F] [--content FILE|-] [-c FILE] [--media ID] "
                     "[--exact] [-o OUT|-] METADATA.json|FILE.p7m",
        .summary = "a recording in clear, each chunk verified before it is released",
        .help = "  --key PEM            the private key: PKCS#1, PKCS#8 or encrypted PKCS#8\n"
                "  --passphrase-file F  its passphrase is the first line of F; else the terminal "
                "is asked\n"
                "  --content FILE       the stored object; else it is fetched from where the "
                "document says\n"
                "  -c FILE              sealtape.xml, for the credentials of the store\n"
                "  --media ID           which media file, where the document has several\n"
                "  --exact              the bytes as recorded: no sizes put into a WAV header\n"
                "  -o OUT               written under another name and renamed when whole; "
                "default: stdout\n",
        .run = run,
};
