#include "profile/cache.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <nettle/sha2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/hex.h"
#include "profile/annex.h"

struct cache {
    char *directory;
    int fd;
};

#define MAGIC "sealtape-profile-cache"
#define HEADER_MAX 160u
#define SUFFIX ".good"
#define HEX_SIZE (2 * SHA256_DIGEST_SIZE + 1)

static void free_text(char **text)
{
    free(*text);
    *text = NULL;
}

/* mkdir -p; what is there already is fine. */
static void make_directories(const char *directory)
{
    CLEANUP(free_text) char *path = strdup(directory);

    for (char *slash = path ? path + 1 : NULL; slash && *slash; slash++) {
        if (*slash != '/')
            continue;
        *slash = '\0';
        ignore(mkdir(path, 0755) != 0); /* open() says what is wrong */
        *slash = '/';
    }
    ignore(mkdir(directory, 0700) != 0); /* likewise */
}

enum sealtape_status cache_open(const char *directory, struct cache **ret_cache, struct diag *diag)
{
    CLEANUP(cache_close) struct cache *cache = NULL;

    cache = calloc(1, sizeof(*cache));
    if (!cache)
        return diag_fail(diag, SEALTAPE_E_MEMORY, "no memory");
    cache->fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (cache->fd < 0 && errno == ENOENT) {
        make_directories(directory);
        cache->fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    }
    if (cache->fd < 0)
        return diag_fail(diag, SEALTAPE_E_IO, "%s: cannot open: %s", directory, strerror(errno));
    cache->directory = strdup(directory);
    if (!cache->directory)
        return diag_fail(diag, SEALTAPE_E_MEMORY, "no memory");
    *ret_cache = TAKE(cache);
    return SEALTAPE_OK;
}

void cache_close(struct cache **cache)
{
    if (!*cache)
        return;
    file_close(&(*cache)->fd);
    free((*cache)->directory);
    free(*cache);
    *cache = NULL;
}

/* A writer's turn; without waiting: the next scan comes. The lock goes with the descriptor. */
static enum sealtape_status lock(const struct cache *cache, int *ret_fd, struct diag *diag)
{
    CLEANUP(file_close) int fd = openat(cache->fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    if (fd < 0)
        return diag_fail(
                diag, SEALTAPE_E_IO, "%s: cannot open: %s", cache->directory, strerror(errno));
    if (flock(fd, LOCK_EX | LOCK_NB) != 0)
        return diag_fail(diag, errno == EWOULDBLOCK ? SEALTAPE_E_AGAIN : SEALTAPE_E_IO,
                "%s: cannot lock: %s", cache->directory, strerror(errno));
    *ret_fd = fd;
    fd = -1;
    return SEALTAPE_OK;
}

static enum sealtape_status entry_name(
        const char *name, char ret_entry[NAME_MAX + 1], struct diag *diag)
{
    int n = snprintf(ret_entry, NAME_MAX + 1, "%s%s", name, SUFFIX);

    /* Room for what file_replace() appends. */
    if (n < 0 || n > NAME_MAX - 4)
        return diag_fail(diag, SEALTAPE_E_IO, "%s: the name is too long to be kept", name);
    return SEALTAPE_OK;
}

static void header_format(const char *text, size_t len, char ret_header[HEADER_MAX])
{
    uint8_t digest[SHA256_DIGEST_SIZE];
    char hex[HEX_SIZE];
    struct sha256_ctx sha256;

    sha256_init(&sha256);
    sha256_update(&sha256, len, (const uint8_t *)text);
    sha256_digest(&sha256, sizeof(digest), digest);
    hex_encode(digest, sizeof(digest), hex);
    (void)snprintf(ret_header, HEADER_MAX, MAGIC " 1 %s %zu\n", hex, len);
}

/* The header of an entry, up to and with its newline; "" where there is none. */
static void header_read(const struct cache *cache, const char *entry, char ret_header[HEADER_MAX])
{
    CLEANUP(file_close) int fd = -1;
    size_t len = 0;
    char *end;

    ret_header[0] = '\0';
    fd = openat(cache->fd, entry, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (fd < 0 || file_read_at(fd, ret_header, HEADER_MAX - 1, 0, &len) != SEALTAPE_OK)
        return;
    ret_header[len] = '\0';
    end = strchr(ret_header, '\n');
    if (end)
        end[1] = '\0';
    else
        ret_header[0] = '\0';
}

/* Does the header name a format later than ours? */
static int is_newer(const char *header)
{
    size_t magic = strlen(MAGIC);
    char *end;

    if (strncmp(header, MAGIC " ", magic + 1) != 0)
        return 0;
    return strtoul(header + magic + 1, &end, 10) > 1 && *end == ' ';
}

static enum sealtape_status refuse_newer(
        const struct cache *cache, const char *entry, struct diag *diag)
{
    return diag_fail(diag, SEALTAPE_E_VERSION, "%s/%s: of a newer version; left as it is",
            cache->directory, entry);
}

enum sealtape_status cache_put(
        struct cache *cache, const char *name, const char *text, size_t len, struct diag *diag)
{
    char entry[NAME_MAX + 1], header[HEADER_MAX], there[HEADER_MAX];
    CLEANUP(file_close) int turn = -1;
    CLEANUP(free_text) char *bytes = NULL;
    enum sealtape_status st;
    struct stat stat;
    size_t header_len;

    st = entry_name(name, entry, diag);
    if (st == SEALTAPE_OK)
        st = lock(cache, &turn, diag);
    if (st != SEALTAPE_OK)
        return st;
    header_format(text, len, header);
    header_len = strlen(header);
    header_read(cache, entry, there);
    if (is_newer(there))
        return refuse_newer(cache, entry, diag);
    if (strcmp(header, there) == 0 && fstatat(cache->fd, entry, &stat, AT_SYMLINK_NOFOLLOW) == 0
            && (uint64_t)stat.st_size == header_len + len)
        return SEALTAPE_OK;
    bytes = malloc(header_len + len + 1);
    if (!bytes)
        return diag_fail(diag, SEALTAPE_E_MEMORY, "no memory");
    memcpy(bytes, header, header_len);
    memcpy(bytes + header_len, text, len);
    st = file_replace(cache->fd, entry, bytes, header_len + len, 1, diag);
    if (st != SEALTAPE_OK)
        diag_prefix(diag, "%s/", cache->directory);
    return st;
}

enum sealtape_status cache_get(
        struct cache *cache, const char *name, char **ret_text, size_t *ret_len, struct diag *diag)
{
    char entry[NAME_MAX + 1], header[HEADER_MAX], there[HEADER_MAX];
    CLEANUP(free_text) char *bytes = NULL;
    enum sealtape_status st;
    size_t len = 0, from;

    st = entry_name(name, entry, diag);
    if (st != SEALTAPE_OK)
        return st;
    st = file_read(cache->fd, entry, ANNEX_FILE_MAX + HEADER_MAX, &bytes, &len, diag);
    if (st != SEALTAPE_OK)
        return st == SEALTAPE_E_IO && errno == ENOENT ? SEALTAPE_E_STATE : st;
    header_read(cache, entry, there);
    if (is_newer(there))
        return refuse_newer(cache, entry, diag);
    from = strlen(there);
    if (from == 0 || from > len)
        return diag_fail(diag, SEALTAPE_E_IO, "%s/%s: damaged: no header", cache->directory, entry);
    header_format(bytes + from, len - from, header);
    if (strcmp(header, there) != 0)
        return diag_fail(diag, SEALTAPE_E_IO, "%s/%s: damaged: its digest does not fit",
                cache->directory, entry);
    memmove(bytes, bytes + from, len - from + 1);
    *ret_text = TAKE(bytes);
    *ret_len = len - from;
    return SEALTAPE_OK;
}

/* Under the lock. */
static enum sealtape_status remove_entry(
        const struct cache *cache, const char *entry, struct diag *diag)
{
    char there[HEADER_MAX];

    header_read(cache, entry, there);
    if (is_newer(there))
        return refuse_newer(cache, entry, diag);
    if (unlinkat(cache->fd, entry, 0) != 0 && errno != ENOENT)
        return diag_fail(diag, SEALTAPE_E_IO, "%s/%s: cannot remove: %s", cache->directory, entry,
                strerror(errno));
    return SEALTAPE_OK;
}

enum sealtape_status cache_drop(struct cache *cache, const char *name, struct diag *diag)
{
    CLEANUP(file_close) int turn = -1;
    char entry[NAME_MAX + 1];
    enum sealtape_status st;

    st = entry_name(name, entry, diag);
    if (st == SEALTAPE_OK)
        st = lock(cache, &turn, diag);
    return st == SEALTAPE_OK ? remove_entry(cache, entry, diag) : st;
}

static void close_stream(DIR **stream)
{
    if (*stream)
        closedir(*stream);
}

enum sealtape_status cache_prune(struct cache *cache, int (*keep)(void *context, const char *name),
        void *context, struct diag *diag)
{
    CLEANUP(close_stream) DIR *stream = NULL;
    CLEANUP(file_close) int turn = -1;
    enum sealtape_status st, first = SEALTAPE_OK;
    int fd;

    st = lock(cache, &turn, diag);
    if (st != SEALTAPE_OK)
        return st;
    fd = openat(cache->fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    stream = fd < 0 ? NULL : fdopendir(fd);
    if (!stream) {
        file_close(&fd);
        return diag_fail(
                diag, SEALTAPE_E_IO, "%s: cannot read: %s", cache->directory, strerror(errno));
    }
    for (struct dirent *at = readdir(stream); at; at = readdir(stream)) {
        size_t len = strlen(at->d_name), suffix = strlen(SUFFIX);
        char name[NAME_MAX + 1];

        if (len <= suffix || strcmp(at->d_name + len - suffix, SUFFIX) != 0)
            continue;
        memcpy(name, at->d_name, len - suffix);
        name[len - suffix] = '\0';
        if (keep(context, name))
            continue;
        st = remove_entry(cache, at->d_name, first == SEALTAPE_OK ? diag : NULL);
        first = first == SEALTAPE_OK ? st : first;
    }
    return first;
}
