/* `sealtape inspect`: what a file says without a key. */
#include <getopt.h>

#include "base/hex.h"
#include "message.h"
#include "tool.h"
#include "unseal/recipient.h"

static const char *cipher_name(enum envelope_cipher cipher)
{
    switch (cipher) {
    case ENVELOPE_AES_128_CBC:
        return "aes-128-cbc";
    case ENVELOPE_AES_192_CBC:
        return "aes-192-cbc";
    case ENVELOPE_AES_256_CBC:
        return "aes-256-cbc";
    }
    return "unknown";
}

static json_t *number_or_null(uint64_t number)
{
    return number == METADATA_UNKNOWN ? json_null() : json_integer((json_int_t)number);
}

static json_t *recipients_json(const struct envelope *envelope, const struct metadata_media *media)
{
    json_t *list = json_array();

    for (size_t i = 0; list && i < envelope->recipients_count; i++) {
        const struct envelope_recipient *recipient = &envelope->recipients[i];
        struct recipient_name name = {.issuer = "", .serial = ""};
        struct diag reason = {0};
        enum sealtape_status st = recipient_name(recipient, &name, &reason);
        json_t *item = json_pack("{s:s, s:s, s:I}", "issuer", name.issuer, "serial", name.serial,
                "encryptedKeyLength", (json_int_t)recipient->encrypted_key_len);

        if (st != SEALTAPE_OK)
            json_object_set_new(item, "problem", json_string(reason.text));
        if (media && i < media->recipients_count) {
            json_object_set_new(item, "alias", json_string(media->recipients[i].alias));
            json_object_set_new(item, "sha256", json_string(media->recipients[i].sha256));
        }
        json_array_append_new(list, item);
    }
    return list;
}

static json_t *envelope_json(const struct envelope *envelope, const struct metadata_media *media)
{
    char iv[2 * ENVELOPE_IV_SIZE + 1];

    hex_encode(envelope->iv, ENVELOPE_IV_SIZE, iv);
    return json_pack("{s:s, s:s, s:s, s:o, s:o}", "cipher", cipher_name(envelope->cipher),
            "keyTransport", "rsaes-pkcs1-v1_5", "iv", iv, "recipients",
            recipients_json(envelope, media), "contentLength",
            envelope->content_offset ? json_integer((json_int_t)envelope->content_len)
                                     : json_null());
}

/* @ret_bad: the envelope cannot be read; the reason stands in the result. */
static json_t *media_json(const struct metadata_media *media, bool *ret_bad)
{
    CLEANUP(envelope_free) struct envelope *envelope = NULL;
    struct diag diag = {0};
    json_t *json;

    json = json_pack("{s:s, s:s, s:s, s:s, s:o, s:o, s:b, s:b, s:I, s:I}", "mediaId",
            media->media_id, "type", media->type, "path", media->path, "outcome", media->outcome,
            "size", number_or_null(media->size), "plainSize", number_or_null(media->plain_size),
            "hasSha256", media->has_sha256, "hasKeyCommitment", media->has_commitment, "chunkSize",
            (json_int_t)media->chunk_size, "chunks", (json_int_t)media->chunk_digests_count);
    if (message_envelope(media, &envelope, &diag) == SEALTAPE_OK) {
        json_object_set_new(json, "envelope", envelope_json(envelope, media));
        return json;
    }
    json_object_set_new(json, "envelope", json_null());
    json_object_set_new(json, "problem", json_string(diag.text));
    *ret_bad = *ret_bad || media->envelope;
    return json;
}

static json_t *document_json(const struct metadata *metadata, bool *ret_bad)
{
    json_t *list = json_array();

    for (size_t i = 0; list && i < metadata->media_count; i++)
        json_array_append_new(list, media_json(&metadata->media[i], ret_bad));
    return json_pack("{s:s, s:s, s:o}", "kind", "document", "id", metadata->id, "mediaFiles", list);
}

static enum tool_exit inspect(const char *path)
{
    CLEANUP(message_clear) struct message message = {0};
    struct diag diag = {0};
    bool bad = false;
    json_t *json;

    if (message_load(path, &message, &diag) != SEALTAPE_OK)
        return tool_fail(&tool_inspect, &diag);
    if (message.kind == MESSAGE_DOCUMENT) {
        json = document_json(message.metadata, &bad);
    } else {
        json = envelope_json(message.envelope, NULL);
        json_object_set_new(json, "kind",
                json_string(message.kind == MESSAGE_MEMBER ? "archive-member" : "envelope"));
    }
    if (tool_print(json, 1, &diag) != SEALTAPE_OK)
        return tool_fail(&tool_inspect, &diag);
    return bad ? TOOL_FAILED : TOOL_DONE;
}

static enum tool_exit run(int argc, char **argv)
{
    static const struct option names[] = {{"help", no_argument, NULL, 'h'}, {0}};
    int option = getopt_long(argc, argv, "", names, NULL);

    if (option != -1)
        return option == 'h' ? tool_help(&tool_inspect) : tool_usage(&tool_inspect, "wrong option");
    if (optind + 1 != argc)
        return tool_usage(&tool_inspect, "expected one FILE");
    return inspect(argv[optind]);
}

const struct tool tool_inspect = {
        .name = "inspect",
        .arguments = "FILE",
        .summary = "an envelope, metadata document or archive member as JSON; needs no key",
        .help = "  FILE  a metadata document, an envelope in DER or PEM, or an archive member "
                "(.p7m)\n",
        .run = run,
};
