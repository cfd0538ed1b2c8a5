#include "content.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "delivery/http.h"

#define PIECE (64u * 1024)

/* What http_fetch() hands over, with room for the reason. */
struct relay {
    content_sink *sink;
    void *context;
    struct diag *diag;
    enum sealtape_status st;
};

struct tail {
    uint8_t *bytes;
    size_t max, len;
};

static enum sealtape_status stream_file(
        const struct content *content, content_sink *sink, void *context, struct diag *diag)
{
    CLEANUP(file_close) int opened = -1;
    int fd = STDIN_FILENO;
    uint64_t left = content->size;
    uint8_t piece[PIECE];
    enum sealtape_status st;
    ssize_t got = 1;

    if (strcmp(content->path, "-") != 0) {
        fd = opened = open(content->path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
        if (fd < 0 || (content->offset && lseek(fd, (off_t)content->offset, SEEK_SET) < 0))
            return diag_fail(
                    diag, SEALTAPE_E_IO, "%s: cannot read: %s", content->path, strerror(errno));
    }
    while (left && got) {
        got = read(fd, piece, left < sizeof(piece) ? (size_t)left : sizeof(piece));
        if (got < 0 && errno != EINTR)
            return diag_fail(
                    diag, SEALTAPE_E_IO, "%s: cannot read: %s", content->path, strerror(errno));
        if (got <= 0)
            continue;
        if (left != CONTENT_UNKNOWN)
            left -= (uint64_t)got;
        st = sink(context, piece, (size_t)got, diag);
        if (st != SEALTAPE_OK)
            return st;
    }
    return SEALTAPE_OK;
}

static enum sealtape_status relay(void *context, const void *bytes, size_t len)
{
    struct relay *to = context;

    to->st = to->sink(to->context, bytes, len, to->diag);
    return to->st;
}

static struct http_fetch fetch_of(const struct content *content)
{
    return (struct http_fetch){
            .url = content->url,
            .destinations = content->config ? content->config->storages : NULL,
            .destinations_count = content->config ? content->config->storages_count : 0,
    };
}

enum sealtape_status content_stream(
        const struct content *content, content_sink *sink, void *context, struct diag *diag)
{
    struct relay to = {.sink = sink, .context = context, .diag = diag, .st = SEALTAPE_OK};
    struct diag network = {0};
    struct http_fetch fetch;
    enum sealtape_status st;
    uint64_t total;

    if (content->path)
        return stream_file(content, sink, context, diag);
    fetch = fetch_of(content);
    fetch.sink = relay;
    fetch.context = &to;
    st = http_fetch(&fetch, &total, &network);
    if (to.st != SEALTAPE_OK)
        return to.st;
    return st == SEALTAPE_OK ? st : diag_fail(diag, st, "%s", network.text);
}

static enum sealtape_status keep_tail(void *context, const void *bytes, size_t len)
{
    struct tail *tail = context;

    if (len > tail->max - tail->len)
        return SEALTAPE_E_LIMIT;
    memcpy(tail->bytes + tail->len, bytes, len);
    tail->len += len;
    return SEALTAPE_OK;
}

/* Two requests: the first byte tells the length. */
static enum sealtape_status tail_of_url(
        const struct content *content, struct tail *tail, uint64_t *ret_size, struct diag *diag)
{
    struct http_fetch fetch = fetch_of(content);
    uint64_t total = CONTENT_UNKNOWN;
    enum sealtape_status st;

    fetch.sink = keep_tail;
    fetch.context = tail;
    fetch.len = 1;
    st = http_fetch(&fetch, &total, diag);
    if (st != SEALTAPE_OK)
        return st;
    if (total == CONTENT_UNKNOWN || total == 0)
        return diag_fail(diag, SEALTAPE_E_STATE, "the store does not tell the length");
    tail->len = 0;
    fetch.len = total < tail->max ? total : tail->max;
    fetch.offset = total - fetch.len;
    st = http_fetch(&fetch, &total, diag);
    *ret_size = total;
    return st;
}

static enum sealtape_status tail_of_file(
        const struct content *content, struct tail *tail, uint64_t *ret_size, struct diag *diag)
{
    CLEANUP(file_close) int fd = -1;
    struct stat stat;
    uint64_t size;

    fd = open(content->path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    if (fd < 0 || fstat(fd, &stat) != 0)
        return diag_fail(
                diag, SEALTAPE_E_IO, "%s: cannot read: %s", content->path, strerror(errno));
    if (!S_ISREG(stat.st_mode) || (uint64_t)stat.st_size < content->offset)
        return diag_fail(diag, SEALTAPE_E_STATE, "%s: its end cannot be read first", content->path);
    size = (uint64_t)stat.st_size - content->offset;
    size = size < content->size ? size : content->size;
    if (file_read_at(fd, tail->bytes, size < tail->max ? (size_t)size : tail->max,
                content->offset + size - (size < tail->max ? size : tail->max), &tail->len)
            != SEALTAPE_OK)
        return diag_fail(
                diag, SEALTAPE_E_IO, "%s: cannot read: %s", content->path, strerror(errno));
    *ret_size = size;
    return SEALTAPE_OK;
}

enum sealtape_status content_tail(const struct content *content, uint8_t *ret_bytes, size_t max,
        size_t *ret_len, uint64_t *ret_size, struct diag *diag)
{
    struct tail tail = {.bytes = ret_bytes, .max = max};
    enum sealtape_status st;
    uint64_t size = 0;

    if (!content->path)
        st = tail_of_url(content, &tail, &size, diag);
    else if (strcmp(content->path, "-") == 0)
        st = diag_fail(diag, SEALTAPE_E_STATE, "the end of standard input cannot be read first");
    else
        st = tail_of_file(content, &tail, &size, diag);
    if (st != SEALTAPE_OK)
        return st;
    *ret_len = tail.len;
    *ret_size = size;
    return SEALTAPE_OK;
}
