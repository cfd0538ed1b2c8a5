#include "profile/watch.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"

/* A name in a watched directory; NULL: all of them. */
struct spot {
    int wd;
    char *name;
    char *directory;
};

struct watch {
    int fd;
    struct spot *spots;
    size_t count, capacity;
};

/* Not IN_MODIFY: a file that is being written is looked at when it is closed. */
#define WHAT_MATTERS                                                                               \
    (IN_CLOSE_WRITE | IN_MOVED_TO | IN_MOVED_FROM | IN_CREATE | IN_DELETE | IN_ATTRIB              \
            | IN_DELETE_SELF | IN_MOVE_SELF | IN_ONLYDIR)
#define LINKS_MAX 40

enum sealtape_status watch_new(struct watch **ret_watch, struct diag *diag)
{
    CLEANUP(watch_free) struct watch *watch = NULL;

    watch = calloc(1, sizeof(*watch));
    if (!watch)
        return diag_fail(diag, SEALTAPE_E_MEMORY, "no memory");
    watch->fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
    if (watch->fd < 0)
        return diag_fail(diag, SEALTAPE_E_IO, "inotify: %s (fs.inotify.max_user_instances)",
                strerror(errno));
    *ret_watch = TAKE(watch);
    return SEALTAPE_OK;
}

static void spot_clear(struct spot *spot)
{
    free(spot->name);
    free(spot->directory);
}

void watch_free(struct watch **watch)
{
    if (!*watch)
        return;
    file_close(&(*watch)->fd);
    for (size_t i = 0; i < (*watch)->count; i++)
        spot_clear(&(*watch)->spots[i]);
    free((*watch)->spots);
    free(*watch);
    *watch = NULL;
}

static enum sealtape_status add_spot(
        struct watch *watch, const char *directory, const char *name, struct diag *diag)
{
    struct spot spot = {-1, NULL, NULL};

    spot.wd = inotify_add_watch(watch->fd, *directory ? directory : "/", WHAT_MATTERS);
    /* What vanished meanwhile is seen where its name stood. */
    if (spot.wd < 0 && (errno == ENOENT || errno == ENOTDIR))
        return SEALTAPE_OK;
    if (spot.wd < 0)
        return diag_fail(diag, SEALTAPE_E_IO, "%s: cannot watch: %s", directory, strerror(errno));
    if (watch->count == watch->capacity) {
        size_t capacity = watch->capacity == 0 ? 8 : watch->capacity * 2;
        struct spot *grown = realloc(watch->spots, capacity * sizeof(*grown));

        if (!grown)
            return diag_fail(diag, SEALTAPE_E_MEMORY, "no memory");
        watch->spots = grown;
        watch->capacity = capacity;
    }
    spot.name = name ? strdup(name) : NULL;
    spot.directory = strdup(directory);
    if ((name && !spot.name) || !spot.directory) {
        spot_clear(&spot);
        return diag_fail(diag, SEALTAPE_E_MEMORY, "no memory");
    }
    watch->spots[watch->count++] = spot;
    return SEALTAPE_OK;
}

/* Where the walk along a path is: a directory without links, and what is to come. */
struct walk {
    char here[PATH_MAX];
    char rest[2 * PATH_MAX];
    unsigned links;
};

/* Take the next name off the rest; false at the end. */
static bool next_name(struct walk *walk, char ret_name[NAME_MAX + 1])
{
    char *from = walk->rest + strspn(walk->rest, "/");
    size_t len = strcspn(from, "/");

    if (len == 0 || len > NAME_MAX)
        return false;
    memcpy(ret_name, from, len);
    ret_name[len] = '\0';
    memmove(walk->rest, from + len, strlen(from + len) + 1);
    return true;
}

static bool step_up(struct walk *walk)
{
    char *slash = strrchr(walk->here, '/');

    if (slash)
        *slash = '\0';
    return true;
}

/* Go on at a link's target. False: too many links, or too long. */
static bool follow(struct walk *walk, const char *link)
{
    char target[2 * PATH_MAX], old[2 * PATH_MAX];
    ssize_t len = readlink(link, target, PATH_MAX - 1);

    if (len <= 0 || ++walk->links > LINKS_MAX)
        return false;
    target[len] = '\0';
    memcpy(old, walk->rest, sizeof(old));
    if ((size_t)len + strlen(old) + 2 > sizeof(walk->rest))
        return false;
    memcpy(walk->rest, target, (size_t)len);
    walk->rest[len] = '/';
    memcpy(walk->rest + len + 1, old, strlen(old) + 1);
    if (target[0] == '/')
        walk->here[0] = '\0';
    return true;
}

/* One name further; *ret_more is false where the walk ends. */
static enum sealtape_status step(
        struct watch *watch, struct walk *walk, const char *name, bool *ret_more, struct diag *diag)
{
    enum sealtape_status st;
    char path[PATH_MAX];
    struct stat stat;
    bool last;

    *ret_more = true;
    if (strcmp(name, ".") == 0)
        return SEALTAPE_OK;
    if (strcmp(name, "..") == 0) {
        *ret_more = step_up(walk);
        return SEALTAPE_OK;
    }
    *ret_more = false;
    if ((size_t)snprintf(path, sizeof(path), "%s/%s", walk->here, name) >= sizeof(path))
        return SEALTAPE_OK;
    last = walk->rest[strspn(walk->rest, "/")] == '\0';
    if (lstat(path, &stat) != 0)
        return add_spot(watch, walk->here, name, diag);
    if (S_ISLNK(stat.st_mode)) {
        st = add_spot(watch, walk->here, name, diag);
        *ret_more = st == SEALTAPE_OK && follow(walk, path);
        return st;
    }
    st = last ? add_spot(watch, walk->here, name, diag) : SEALTAPE_OK;
    if (st == SEALTAPE_OK && S_ISDIR(stat.st_mode)) {
        memcpy(walk->here, path, sizeof(path));
        *ret_more = true;
    }
    return st;
}

enum sealtape_status watch_add(
        struct watch *watch, const char *path, bool contents, struct diag *diag)
{
    struct walk walk = {"", "", 0};
    enum sealtape_status st;
    char name[NAME_MAX + 1];
    bool more = true;

    if (*path != '/' || strlen(path) >= PATH_MAX)
        return diag_fail(diag, SEALTAPE_E_IO, "%s: not an absolute path", path);
    memcpy(walk.rest, path, strlen(path) + 1);
    while (more && next_name(&walk, name)) {
        st = step(watch, &walk, name, &more, diag);
        if (st != SEALTAPE_OK)
            return st;
    }
    return contents && more ? add_spot(watch, walk.here, NULL, diag) : SEALTAPE_OK;
}

enum sealtape_status watch_add_link(struct watch *watch, const char *path, struct diag *diag)
{
    struct stat stat;

    if (lstat(path, &stat) != 0 || !S_ISLNK(stat.st_mode))
        return SEALTAPE_OK;
    return watch_add(watch, path, false, diag);
}

int watch_fd(const struct watch *watch)
{
    return watch->fd;
}

/* A file that was made just now is being written: it will be closed. Links are complete. */
static bool is_begun(const struct spot *spot, const struct inotify_event *event)
{
    char path[PATH_MAX + NAME_MAX + 2];
    struct stat stat;

    if (!(event->mask & IN_CREATE) || (event->mask & IN_ISDIR))
        return false;
    (void)snprintf(path, sizeof(path), "%s/%s", spot->directory, event->name);
    return lstat(path, &stat) == 0 && S_ISREG(stat.st_mode) && stat.st_nlink == 1;
}

static bool matters(const struct watch *watch, const struct inotify_event *event)
{
    if (event->mask & (IN_Q_OVERFLOW | IN_DELETE_SELF | IN_MOVE_SELF))
        return true;
    for (size_t i = 0; event->len > 0 && i < watch->count; i++) {
        const struct spot *spot = &watch->spots[i];

        if (spot->wd == event->wd && (!spot->name || strcmp(spot->name, event->name) == 0))
            return !is_begun(spot, event);
    }
    return false;
}

bool watch_take(struct watch *watch)
{
    char events[8192] __attribute__((aligned(__alignof__(struct inotify_event))));
    bool changed = false;

    for (;;) {
        ssize_t len = read(watch->fd, events, sizeof(events));

        if (len < 0 && errno == EINTR)
            continue;
        if (len <= 0)
            return changed;
        for (ssize_t at = 0; at < len;) {
            const struct inotify_event *event = (const void *)(events + at);

            changed = changed || matters(watch, event);
            at += (ssize_t)(sizeof(*event) + event->len);
        }
    }
}
