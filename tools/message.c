#include "message.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "tool.h"

/* Enough for an envelope with every recipient it may have. */
#define HEAD_MAX (256u * 1024)
#define DER_SEQUENCE 0x30

static void bytes_free(uint8_t **bytes)
{
    free(*bytes);
    *bytes = NULL;
}

void message_clear(struct message *message)
{
    metadata_free(&message->metadata);
    envelope_free(&message->envelope);
}

static enum sealtape_status read_head(
        const char *path, uint8_t *bytes, size_t *ret_len, uint64_t *ret_total, struct diag *diag)
{
    CLEANUP(file_close) int fd = -1;
    struct stat stat;

    fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0 || fstat(fd, &stat) != 0)
        return diag_fail(diag, SEALTAPE_E_IO, "%s: cannot read: %s", path, strerror(errno));
    if (!S_ISREG(stat.st_mode))
        return diag_fail(diag, SEALTAPE_E_IO, "%s: not a regular file", path);
    if (file_read_at(fd, bytes, HEAD_MAX, 0, ret_len) != SEALTAPE_OK)
        return diag_fail(diag, SEALTAPE_E_IO, "%s: cannot read: %s", path, strerror(errno));
    *ret_total = (uint64_t)stat.st_size;
    return SEALTAPE_OK;
}

static enum sealtape_status load_der(const char *path, const uint8_t *bytes, size_t len,
        uint64_t total, struct message *message, struct diag *diag)
{
    enum sealtape_status st;

    st = envelope_decode(bytes, len, total, &message->envelope, diag);
    if (st != SEALTAPE_OK) {
        diag_prefix(diag, "%s: ", path);
        return st;
    }
    message->kind = message->envelope->content_offset ? MESSAGE_MEMBER : MESSAGE_ENVELOPE;
    return SEALTAPE_OK;
}

static enum sealtape_status load_text(const char *path, struct message *message, struct diag *diag)
{
    CLEANUP(tool_chars_free) char *text = NULL;
    CLEANUP(bytes_free) uint8_t *der = NULL;
    enum sealtape_status st;
    const char *begin;
    size_t len, der_len;

    st = file_read(AT_FDCWD, path, METADATA_DOCUMENT_MAX, &text, &len, diag);
    if (st != SEALTAPE_OK)
        return st;
    begin = text + strspn(text, " \t\r\n");
    if (*begin == '{' || *begin == '[')
        return metadata_parse(path, text, len, &message->metadata, diag);
    /* A stored object looks like this. */
    if (strncmp(begin, "-----BEGIN", 10) != 0)
        return diag_fail(diag, SEALTAPE_E_USAGE,
                "%s: expected a metadata document (JSON), an envelope or an archive member, found "
                "none of them; a stored object is given with --content",
                path);
    st = metadata_pem_decode(text, &der, &der_len, diag);
    if (st != SEALTAPE_OK) {
        diag_prefix(diag, "%s: ", path);
        return st;
    }
    return load_der(path, der, der_len, der_len, message, diag);
}

enum sealtape_status message_load(const char *path, struct message *ret_message, struct diag *diag)
{
    CLEANUP(message_clear) struct message message = {.kind = MESSAGE_DOCUMENT};
    CLEANUP(bytes_free) uint8_t *head = malloc(HEAD_MAX);
    enum sealtape_status st;
    uint64_t total = 0;
    size_t len = 0;

    if (!head)
        return diag_fail(diag, SEALTAPE_E_MEMORY, "%s: no memory", path);
    st = read_head(path, head, &len, &total, diag);
    if (st != SEALTAPE_OK)
        return st;
    if (len == 0)
        return diag_fail(diag, SEALTAPE_E_USAGE, "%s: the file is empty", path);
    st = head[0] == DER_SEQUENCE ? load_der(path, head, len, total, &message, diag)
                                 : load_text(path, &message, diag);
    if (st != SEALTAPE_OK)
        return st;
    *ret_message = message;
    message = (struct message){0};
    return SEALTAPE_OK;
}

enum sealtape_status message_envelope(
        const struct metadata_media *media, struct envelope **ret_envelope, struct diag *diag)
{
    enum sealtape_status st;

    if (!media->envelope)
        return diag_fail(diag, SEALTAPE_E_USAGE,
                "media file %s has no envelope: it was not sealed, or was discarded",
                media->media_id);
    st = envelope_decode(
            media->envelope, media->envelope_len, media->envelope_len, ret_envelope, diag);
    if (st != SEALTAPE_OK)
        diag_prefix(diag, "media file %s, pkcs7: ", media->media_id);
    return st;
}
