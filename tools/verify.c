/* `sealtape verify`: stored bytes against the digests of their metadata. */
#include <getopt.h>
#include <string.h>

#include "base/hex.h"
#include "content.h"
#include "message.h"
#include "tool.h"
#include "unseal/verify.h"

struct options {
    const char *content, *config, *media_id, *file;
};

struct checking {
    struct message message;
    struct config *config;
    struct verify *verify;
    struct diag first; /* what did not fit first */
};

static void checking_clear(struct checking *checking)
{
    verify_free(&checking->verify);
    config_free(&checking->config);
    message_clear(&checking->message);
}

/* Goes on behind a bad chunk: all of them are counted. */
static enum sealtape_status feed(void *context, const uint8_t *bytes, size_t len, struct diag *diag)
{
    struct checking *checking = context;

    (void)diag;
    /* The verdict at the end has it. */
    ignore(verify_update(checking->verify, bytes, len, NULL));
    return SEALTAPE_OK;
}

static json_t *verdict_json(const struct metadata_media *media,
        const struct verify_verdict *verdict, const char *reason)
{
    char sha256[2 * METADATA_DIGEST_SIZE + 1];
    json_t *json;

    hex_encode(verdict->sha256, sizeof(verdict->sha256), sha256);
    json = json_pack("{s:s, s:b, s:s, s:I, s:b, s:b, s:s, s:b, s:I, s:I, s:b, s:s}", "mediaId",
            media->media_id, "good", verdict->good, "outcome", media->outcome, "size",
            (json_int_t)verdict->size, "sizeFits", verdict->size_fits, "paddingFits",
            verdict->padding_fits, "sha256", sha256, "sha256Fits", verdict->sha256_fits, "chunks",
            (json_int_t)verdict->chunks, "chunksBad", (json_int_t)verdict->chunks_bad, "hasDigests",
            verdict->has_digests, "scope",
            verdict->has_digests ? "digests only: changed metadata cannot be seen"
                                 : "lengths only: the document has no digests");
    if (!json)
        return NULL;
    if (verdict->bad_offset != METADATA_UNKNOWN)
        json_object_set_new(json, "badOffset", json_integer((json_int_t)verdict->bad_offset));
    if (!verdict->good)
        json_object_set_new(json, "reason", json_string(reason));
    return json;
}

static enum sealtape_status begin(const struct options *options, struct checking *checking,
        const struct metadata_media **ret_media, struct content *content, struct diag *diag)
{
    enum sealtape_status st;

    st = message_load(options->file, &checking->message, diag);
    if (st == SEALTAPE_OK && checking->message.kind != MESSAGE_DOCUMENT)
        st = diag_fail(diag, SEALTAPE_E_USAGE,
                "%s: expected a metadata document, found an envelope, which has no digests",
                options->file);
    if (st == SEALTAPE_OK && options->config)
        st = config_load(options->config, &checking->config, diag);
    if (st == SEALTAPE_OK)
        st = metadata_choose(checking->message.metadata, options->media_id, ret_media, diag);
    if (st == SEALTAPE_OK)
        st = verify_new(*ret_media, &checking->verify);
    if (st != SEALTAPE_OK)
        return st;
    *content = (struct content){
            .path = options->content, .size = CONTENT_UNKNOWN, .config = checking->config};
    if (!content->path)
        content->url = (*ret_media)->path;
    if (!content->path && !*content->url)
        return diag_fail(diag, SEALTAPE_E_USAGE,
                "%s does not say where its content is; use --content", options->file);
    return SEALTAPE_OK;
}

static enum tool_exit verify_one(const struct options *options)
{
    CLEANUP(checking_clear) struct checking checking = {0};
    const struct metadata_media *media = NULL;
    struct verify_verdict verdict = {0};
    struct content content = {0};
    struct diag diag = {0};
    enum sealtape_status st;

    st = begin(options, &checking, &media, &content, &diag);
    if (st == SEALTAPE_OK)
        st = content_stream(&content, feed, &checking, &diag);
    if (st != SEALTAPE_OK)
        return tool_fail(&tool_verify, &diag);
    /* The verdict says the same. */
    ignore(verify_finish(checking.verify, &verdict, &checking.first));
    st = tool_print(verdict_json(media, &verdict, checking.first.text), 0, &diag);
    if (st != SEALTAPE_OK)
        return tool_fail(&tool_verify, &diag);
    return verdict.good ? TOOL_DONE : tool_fail(&tool_verify, &checking.first);
}

static enum tool_exit run(int argc, char **argv)
{
    static const struct option names[] = {{"content", required_argument, NULL, 'f'},
            {"config", required_argument, NULL, 'c'}, {"media", required_argument, NULL, 'm'},
            {"help", no_argument, NULL, 'h'}, {0}};
    struct options options = {0};
    int option;

    while ((option = getopt_long(argc, argv, "c:", names, NULL)) != -1) {
        if (option == 'f')
            options.content = optarg;
        else if (option == 'c')
            options.config = optarg;
        else if (option == 'm')
            options.media_id = optarg;
        else
            return option == 'h' ? tool_help(&tool_verify)
                                 : tool_usage(&tool_verify, "wrong option");
    }
    if (optind + 1 != argc)
        return tool_usage(&tool_verify, "expected one METADATA.json");
    options.file = argv[optind];
    return verify_one(&options);
}

const struct tool tool_verify = {
        .name = "verify",
        .arguments = "[--content FILE|-] [-c FILE] [--media ID] METADATA.json",
        .summary = "digests and lengths of a stored recording; needs no key",
        .help = "  --content FILE  the stored object; else it is fetched from where the document "
                "says\n"
                "  -c FILE         sealtape.xml, for the credentials of the store\n"
                "  --media ID      which media file, where the document has several\n\n"
                "Prints a JSON verdict. Digests show that the bytes are those of the document;\n"
                "a document that was changed with them they do not show.\n",
        .run = run,
};
