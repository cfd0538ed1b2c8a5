#include "input.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"

void input_close(struct input *input)
{
    free(input->head);
    input->head = NULL;
    if (input->fd > STDERR_FILENO)
        file_close(&input->fd);
}

static const char *type_by_bytes(const uint8_t *bytes, size_t len)
{
    static const struct {
        size_t at, len;
        const char *magic, *type;
    } kinds[] = {
            {8, 4, "WAVE", "audio/wav"},
            {0, 3, "ID3", "audio/mp3"},
            {0, 4, "OggS", "audio/ogg"},
            {4, 4, "ftyp", "video/mp4"},
            {0, 4, "\x1a\x45\xdf\xa3", "video/x-matroska"},
    };

    for (size_t i = 0; i < ARRAY_COUNT(kinds); i++) {
        if (len >= kinds[i].at + kinds[i].len
                && memcmp(bytes + kinds[i].at, kinds[i].magic, kinds[i].len) == 0)
            return kinds[i].type;
    }
    /* An MPEG audio frame: 11 bits of sync, and layer III. */
    if (len >= 2 && bytes[0] == 0xff && (bytes[1] & 0xe6) == 0xe2)
        return "audio/mp3";
    return NULL;
}

static const char *type_by_name(const char *path)
{
    static const char *const types[][2] = {{".wav", "audio/wav"}, {".mp3", "audio/mp3"},
            {".ogg", "audio/ogg"}, {".opus", "audio/ogg"}, {".mp4", "video/mp4"},
            {".m4a", "video/mp4"}, {".mkv", "video/x-matroska"}, {".mka", "video/x-matroska"},
            {".webm", "video/x-matroska"}};
    const char *dot = strrchr(path, '.');

    for (size_t i = 0; dot && i < ARRAY_COUNT(types); i++) {
        if (strcasecmp(dot, types[i][0]) == 0)
            return types[i][1];
    }
    return "application/octet-stream";
}

static void use_wav(struct input *input, const struct wav *wav)
{
    input->header_len = wav->data_offset;
    input->rate = wav->rate;
    input->channels = wav->channels;
    input->byte_rate = wav->byte_rate;
    if (wav->format == WAV_PCM && wav->bits == 16)
        input->format = "pcm16";
    else if (wav->format == WAV_ULAW && wav->bits == 8)
        input->format = "ulaw";
    else if (wav->format == WAV_ALAW && wav->bits == 8)
        input->format = "alaw";
}

/* Until the WAV header is whole, or it is seen that there is none. */
static enum sealtape_status look(struct input *input, struct diag *diag)
{
    enum sealtape_status st = SEALTAPE_E_AGAIN;
    struct wav wav;
    ssize_t got = 1;

    while (st == SEALTAPE_E_AGAIN && got && input->head_len < INPUT_HEAD_MAX) {
        got = read(input->fd, input->head + input->head_len, INPUT_HEAD_MAX - input->head_len);
        if (got < 0)
            return diag_fail(
                    diag, SEALTAPE_E_IO, "%s: cannot read: %s", input->path, strerror(errno));
        input->head_len += (size_t)got;
        st = wav_read(input->head, input->head_len, &wav);
    }
    if (st == SEALTAPE_OK)
        use_wav(input, &wav);
    input->type = type_by_bytes(input->head, input->head_len);
    if (!input->type)
        input->type = type_by_name(input->path);
    return SEALTAPE_OK;
}

enum sealtape_status input_open(const char *path, struct input *ret_input, struct diag *diag)
{
    CLEANUP(input_close) struct input input = {.fd = STDIN_FILENO, .path = path};
    enum sealtape_status st;
    struct stat stat;

    if (strcmp(path, "-") != 0) {
        input.fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
        if (input.fd < 0 || fstat(input.fd, &stat) != 0)
            return diag_fail(diag, SEALTAPE_E_IO, "%s: cannot read: %s", path, strerror(errno));
        if (S_ISDIR(stat.st_mode))
            return diag_fail(diag, SEALTAPE_E_IO, "%s: is a directory", path);
    }
    input.head = malloc(INPUT_HEAD_MAX);
    if (!input.head)
        return diag_fail(diag, SEALTAPE_E_MEMORY, "no memory");
    st = look(&input, diag);
    if (st != SEALTAPE_OK)
        return st;
    *ret_input = input;
    input = (struct input){.fd = -1};
    return SEALTAPE_OK;
}

enum sealtape_status input_read(
        struct input *input, uint8_t *ret_bytes, size_t size, size_t *ret_len, struct diag *diag)
{
    size_t len = input->head_len - input->head_used;
    ssize_t got = 1;

    len = len < size ? len : size;
    memcpy(ret_bytes, input->head + input->head_used, len);
    input->head_used += len;
    while (len < size && got) {
        got = read(input->fd, ret_bytes + len, size - len);
        if (got < 0 && errno != EINTR)
            return diag_fail(
                    diag, SEALTAPE_E_IO, "%s: cannot read: %s", input->path, strerror(errno));
        if (got < 0) {
            *ret_len = len;
            return SEALTAPE_E_STATE;
        }
        len += (size_t)got;
    }
    *ret_len = len;
    return SEALTAPE_OK;
}
