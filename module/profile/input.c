#include "profile/input.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/file.h"
#include "base/log.h"
#include "profile/private_key.h"
#include "profile/snapshot.h"

/* A text that may hold what must not stay in memory. */
struct text {
    char *bytes;
    size_t len;
};

static void text_clear(struct text *text)
{
    if (text->bytes)
        explicit_bzero(text->bytes, text->len);
    free(text->bytes);
    *text = (struct text){NULL, 0};
}

enum sealtape_status input_new(const char *name, struct input **ret_input, struct diag *diag)
{
    CLEANUP(input_free) struct input *input = NULL;
    size_t len = strlen(name);

    input = calloc(1, sizeof(*input));
    if (!input)
        return diag_fail(diag, SEALTAPE_E_MEMORY, "no memory");
    input->options = len > 4 && strcmp(name + len - 4, ".cfg") == 0;
    input->name = strdup(name);
    if (!input->name)
        return diag_fail(diag, SEALTAPE_E_MEMORY, "no memory");
    *ret_input = TAKE(input);
    return SEALTAPE_OK;
}

static void drop_pending(struct input *input)
{
    free(input->pending);
    input->pending = NULL;
    input->pending_len = 0;
}

void input_free(struct input **input)
{
    if (!*input)
        return;
    annex_list_clear(&(*input)->good);
    drop_pending(*input);
    free((*input)->complaint);
    free((*input)->name);
    free(*input);
    *input = NULL;
}

/* Kernels stamp files by ticks: a change within this time of the last may not show. */
#define SETTLED_NS INT64_C(2000000000)

static int64_t to_ns(struct timespec time)
{
    return (int64_t)time.tv_sec * 1000000000 + time.tv_nsec;
}

bool fingerprint_take(struct fingerprint *fingerprint, int dirfd, const char *path)
{
    struct timespec now;
    struct stat stat;

    if (fstatat(dirfd, path, &stat, 0) != 0)
        return false;
    clock_gettime(CLOCK_REALTIME, &now);
    fingerprint->stat = stat;
    fingerprint->settled = to_ns(now) - to_ns(stat.st_mtim) > SETTLED_NS
                           && to_ns(now) - to_ns(stat.st_ctim) > SETTLED_NS;
    return true;
}

bool fingerprint_holds(const struct fingerprint *fingerprint, int dirfd, const char *path)
{
    const struct stat *was = &fingerprint->stat;
    struct stat is;

    return fingerprint->settled && fstatat(dirfd, path, &is, 0) == 0 && is.st_dev == was->st_dev
           && is.st_ino == was->st_ino && is.st_size == was->st_size
           && to_ns(is.st_mtim) == to_ns(was->st_mtim) && to_ns(is.st_ctim) == to_ns(was->st_ctim);
}

bool fingerprint_digest(struct fingerprint *fingerprint, const void *bytes, size_t len)
{
    uint8_t digest[SHA256_DIGEST_SIZE];
    struct sha256_ctx sha256;
    bool other;

    sha256_init(&sha256);
    sha256_update(&sha256, len, bytes);
    sha256_digest(&sha256, sizeof(digest), digest);
    other = memcmp(digest, fingerprint->digest, sizeof(digest)) != 0;
    memcpy(fingerprint->digest, digest, sizeof(digest));
    return other;
}

/* By the next scan, changed or not. */
static void read_again(struct input *input)
{
    input->read = false;
    input->fingerprint.settled = false;
}

/* Returns whether the complaint is another one than before. */
static bool complain(struct input *input, enum log_number number, const char *text)
{
    char *copy;

    if (input->complaint && strcmp(input->complaint, text) == 0)
        return false;
    copy = strdup(text);
    free(input->complaint);
    input->complaint = copy;
    input->number = number;
    if (!copy)
        read_again(input);
    return true;
}

static enum sealtape_status understand(const struct input *input, const struct text *text,
        struct pool *pool, struct annex_list *ret_list, struct diag *diag)
{
    enum sealtape_status st;

    if (text->len == 0)
        return diag_fail(diag, SEALTAPE_E_CONFIG, "%s:1: the file is empty", input->name);
    st = input->options ? annex_read_options(input->name, text->bytes, text->len, ret_list, diag)
                        : annex_read_export(input->name, text->bytes, text->len, ret_list, diag);
    for (size_t i = 0; st == SEALTAPE_OK && i < ret_list->count; i++) {
        CLEANUP(shared_profile_release) struct shared_profile *profile = NULL;

        st = shared_profile_new(ret_list->items[i], NULL, pool, &profile, diag);
    }
    return st;
}

/*
 * Understand a text that may hold private keys: their bodies are gone before anybody
 * copies them, and so is any chance that the text is taken over.
 */
static enum sealtape_status take_over(
        struct input *input, struct text *text, struct pool *pool, struct diag *diag)
{
    CLEANUP(annex_list_clear) struct annex_list list = {NULL, 0, 0};
    enum sealtape_status st;
    unsigned line = 1;
    bool key;

    key = private_key_blank(text->bytes, text->len, &line);
    st = understand(input, text, pool, &list, diag);
    if (key && (st == SEALTAPE_OK || !strstr(diag->text, PRIVATE_KEY_REASON)))
        return diag_fail(
                diag, SEALTAPE_E_CONFIG, "%s:%u: %s", input->name, line, PRIVATE_KEY_REASON);
    if (st != SEALTAPE_OK)
        return st;
    annex_list_clear(&input->good);
    input->good = list;
    list = (struct annex_list){NULL, 0, 0};
    input->has_good = true;
    return SEALTAPE_OK;
}

static enum log_number number_of(const struct diag *diag)
{
    return strstr(diag->text, PRIVATE_KEY_REASON) ? LOG_PROFILE_PRIVATE_KEY : LOG_PROFILE_BROKEN;
}

bool input_refresh(struct input *input, int dirfd, struct pool *pool, bool force)
{
    CLEANUP(text_clear) struct text text = {NULL, 0};
    struct diag diag = {""};
    enum sealtape_status st;
    bool other;

    if (input->read && !force && fingerprint_holds(&input->fingerprint, dirfd, input->name))
        return false;
    if (!fingerprint_take(&input->fingerprint, dirfd, input->name)
            || file_read(dirfd, input->name, ANNEX_FILE_MAX, &text.bytes, &text.len, &diag)
                       != SEALTAPE_OK) {
        if (diag.text[0] == '\0')
            ignore(diag_fail(&diag, SEALTAPE_E_IO, "%s: cannot read: %s", input->name,
                    strerror(errno))); /* the complaint carries it */
        input->read = false;
        return complain(input, LOG_PROFILE_BROKEN, diag.text);
    }
    other = fingerprint_digest(&input->fingerprint, text.bytes, text.len);
    if (!other && input->read)
        return false;
    input->read = true;
    st = take_over(input, &text, pool, &diag);
    /* That is not the file's fault, and passes without a change of it. */
    if (st == SEALTAPE_E_MEMORY)
        read_again(input);
    if (st != SEALTAPE_OK)
        return complain(input, number_of(&diag), diag.text);
    free(input->complaint);
    input->complaint = NULL;
    drop_pending(input);
    input->pending = text.bytes;
    input->pending_len = text.len;
    text = (struct text){NULL, 0};
    return true;
}

bool input_restore(struct input *input, struct cache *cache, struct pool *pool)
{
    CLEANUP(text_clear) struct text text = {NULL, 0};
    struct diag diag = {""};
    enum sealtape_status st;

    st = cache_get(cache, input->name, &text.bytes, &text.len, &diag);
    if (st == SEALTAPE_E_STATE)
        return false;
    if (st == SEALTAPE_OK)
        st = take_over(input, &text, pool, &diag);
    if (st != SEALTAPE_OK)
        log_line(SEALTAPE_LOG_WARNING, LOG_PROFILE_CACHE_FAILED, NULL,
                "the cached text cannot be used: %s", diag.text);
    return st == SEALTAPE_OK;
}

enum sealtape_status input_keep(struct input *input, struct cache *cache, struct diag *diag)
{
    enum sealtape_status st;

    if (!input->pending)
        return SEALTAPE_OK;
    st = cache_put(cache, input->name, input->pending, input->pending_len, diag);
    /* Another process may be at it now; anything else is not mended by holding the text. */
    if (st != SEALTAPE_E_AGAIN)
        drop_pending(input);
    return st;
}
