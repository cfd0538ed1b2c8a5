#include "journal.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#define PAGE 4096u
#define NODES_MAX 1024
#define NAMES_MAX 4096

enum op_kind { OP_NAME, OP_UNNAME, OP_RENAME, OP_DATA, OP_SIZE, OP_SYNC_NODE, OP_SYNC_ALL };

/* Nodes are files and directories; a name is a pair of directory and text. */
struct op {
    enum op_kind kind;
    int node;        /* what is named, written, synced */
    int parent, old; /* directories */
    char name[200], old_name[200];
    uint64_t offset;
    uint8_t *bytes;
    size_t len;
    size_t begun; /* of a sync: operations that it covers */
};

static struct {
    bool on;
    pthread_mutex_t lock;
    char directory[128];
    struct op *ops;
    size_t count, room;
    struct {
        ino_t inode;
        bool is_directory;
        int fd; /* keeps the inode from being used again */
    } nodes[NODES_MAX];
    int nodes_count;
} journal = {.lock = PTHREAD_MUTEX_INITIALIZER};

#define require(condition)                                                                         \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition);                        \
            abort();                                                                               \
        }                                                                                          \
    } while (0)

int __real_openat64(int fd, const char *name, int flags, ...);
int __real_mkdirat(int fd, const char *name, mode_t mode);
ssize_t __real_pwrite64(int fd, const void *bytes, size_t len, off_t offset);
ssize_t __real_pwritev64(int fd, const struct iovec *vectors, int count, off_t offset);
int __real_fsync(int fd);
int __real_syncfs(int fd);
int __real_ftruncate64(int fd, off_t size);
int __real_renameat(int from_fd, const char *from, int to_fd, const char *to);
int __real_unlinkat(int fd, const char *name, int flags);
int __real_mkdir(const char *path, mode_t mode);
int __wrap_openat64(int fd, const char *name, int flags, ...);
int __wrap_mkdirat(int fd, const char *name, mode_t mode);
ssize_t __wrap_pwrite64(int fd, const void *bytes, size_t len, off_t offset);
ssize_t __wrap_pwritev64(int fd, const struct iovec *vectors, int count, off_t offset);
int __wrap_fsync(int fd);
int __wrap_syncfs(int fd);
int __wrap_ftruncate64(int fd, off_t size);
int __wrap_renameat(int from_fd, const char *from, int to_fd, const char *to);
int __wrap_unlinkat(int fd, const char *name, int flags);
int __wrap_mkdir(const char *path, mode_t mode);

static struct op *add(enum op_kind kind)
{
    if (journal.count == journal.room) {
        journal.room = journal.room ? 2 * journal.room : 1024;
        journal.ops = realloc(journal.ops, journal.room * sizeof(*journal.ops));
        require(journal.ops);
    }
    journal.ops[journal.count] = (struct op){.kind = kind, .node = -1, .parent = -1, .old = -1};
    return &journal.ops[journal.count++];
}

static int find_node(ino_t inode)
{
    for (int i = 0; i < journal.nodes_count; i++) {
        if (journal.nodes[i].inode == inode)
            return i;
    }
    return -1;
}

static int node_of(int fd)
{
    struct stat st;

    return fstat(fd, &st) == 0 ? find_node(st.st_ino) : -1;
}

static int new_node(int fd)
{
    struct stat st;

    require(fstat(fd, &st) == 0 && journal.nodes_count < NODES_MAX);
    journal.nodes[journal.nodes_count].inode = st.st_ino;
    journal.nodes[journal.nodes_count].is_directory = S_ISDIR(st.st_mode);
    journal.nodes[journal.nodes_count].fd = dup(fd);
    return journal.nodes_count++;
}

/* The directory that holds @path, and the last part of it. -1: not ours. */
static int parent_of(int fd, const char *path, char ret_name[200])
{
    const char *slash = strrchr(path, '/');
    char head[512];
    struct stat st;

    (void)snprintf(ret_name, 200, "%s", slash ? slash + 1 : path);
    if (!slash)
        return fstat(fd, &st) == 0 ? find_node(st.st_ino) : -1;
    (void)snprintf(head, sizeof(head), "%.*s", (int)(slash - path), path);
    return fstatat(fd, head, &st, 0) == 0 ? find_node(st.st_ino) : -1;
}

static void add_name(int parent, const char *name, int node)
{
    struct op *op = add(OP_NAME);

    op->parent = parent;
    op->node = node;
    memcpy(op->name, name, sizeof(op->name));
}

static void add_data(int node, const uint8_t *bytes, size_t len, uint64_t offset)
{
    while (len > 0) {
        size_t n = PAGE - (size_t)(offset % PAGE);
        struct op *op = add(OP_DATA);

        if (n > len)
            n = len;
        op->node = node;
        op->offset = offset;
        op->bytes = malloc(n);
        require(op->bytes);
        memcpy(op->bytes, bytes, n);
        op->len = n;
        bytes += n;
        len -= n;
        offset += n;
    }
}

static void add_size(int node, uint64_t size)
{
    struct op *op = add(OP_SIZE);

    op->node = node;
    op->offset = size;
}

/* --- calls ---------------------------------------------------------------- */

static int open_and_tell(int fd, const char *name, int flags, mode_t mode)
{
    char last[200];
    int parent = parent_of(fd, name, last), opened, node;
    bool was = faccessat(fd, name, F_OK, AT_SYMLINK_NOFOLLOW) == 0;

    opened = __real_openat64(fd, name, flags, mode);
    if (opened < 0 || parent < 0 || !(flags & O_CREAT))
        return opened;
    if (!was) {
        node = new_node(opened);
        add_name(parent, last, node);
    } else if (flags & O_TRUNC) {
        node = node_of(opened);
        require(node >= 0);
        add_size(node, 0);
    }
    return opened;
}

int __wrap_openat64(int fd, const char *name, int flags, ...)
{
    mode_t mode = 0;
    va_list list;
    int opened;

    if (flags & O_CREAT) {
        va_start(list, flags);
        mode = va_arg(list, mode_t);
        va_end(list);
    }
    pthread_mutex_lock(&journal.lock);
    opened = journal.on ? open_and_tell(fd, name, flags, mode)
                        : __real_openat64(fd, name, flags, mode);
    pthread_mutex_unlock(&journal.lock);
    return opened;
}

int __wrap_mkdirat(int fd, const char *name, mode_t mode)
{
    char last[200];
    int result, made;

    pthread_mutex_lock(&journal.lock);
    result = __real_mkdirat(fd, name, mode);
    if (journal.on && result == 0) {
        made = __real_openat64(fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0);
        require(made >= 0 && parent_of(fd, name, last) >= 0);
        add_name(parent_of(fd, name, last), last, new_node(made));
        close(made);
    }
    pthread_mutex_unlock(&journal.lock);
    return result;
}

int __wrap_mkdir(const char *path, mode_t mode)
{
    return __wrap_mkdirat(AT_FDCWD, path, mode);
}

ssize_t __wrap_pwrite64(int fd, const void *bytes, size_t len, off_t offset)
{
    ssize_t n;

    pthread_mutex_lock(&journal.lock);
    n = __real_pwrite64(fd, bytes, len, offset);
    if (journal.on && n > 0 && node_of(fd) >= 0)
        add_data(node_of(fd), bytes, (size_t)n, (uint64_t)offset);
    pthread_mutex_unlock(&journal.lock);
    return n;
}

ssize_t __wrap_pwritev64(int fd, const struct iovec *vectors, int count, off_t offset)
{
    ssize_t n;

    pthread_mutex_lock(&journal.lock);
    n = __real_pwritev64(fd, vectors, count, offset);
    for (ssize_t i = 0, left = n; journal.on && node_of(fd) >= 0 && left > 0; i++) {
        size_t len = vectors[i].iov_len < (size_t)left ? vectors[i].iov_len : (size_t)left;

        add_data(node_of(fd), vectors[i].iov_base, len, (uint64_t)(offset + n - left));
        left -= (ssize_t)len;
    }
    pthread_mutex_unlock(&journal.lock);
    return n;
}

int __wrap_ftruncate64(int fd, off_t size)
{
    int result;

    pthread_mutex_lock(&journal.lock);
    result = __real_ftruncate64(fd, size);
    if (journal.on && result == 0 && node_of(fd) >= 0)
        add_size(node_of(fd), (uint64_t)size);
    pthread_mutex_unlock(&journal.lock);
    return result;
}

int __wrap_renameat(int from_fd, const char *from, int to_fd, const char *to)
{
    char old_name[200], name[200];
    struct stat st;
    int result, node = -1, old, parent;

    pthread_mutex_lock(&journal.lock);
    old = parent_of(from_fd, from, old_name);
    parent = parent_of(to_fd, to, name);
    if (fstatat(from_fd, from, &st, AT_SYMLINK_NOFOLLOW) == 0)
        node = find_node(st.st_ino);
    result = __real_renameat(from_fd, from, to_fd, to);
    if (journal.on && result == 0) {
        struct op *op = add(OP_RENAME);

        require(node >= 0 && old >= 0 && parent >= 0);
        op->node = node;
        op->old = old;
        op->parent = parent;
        memcpy(op->old_name, old_name, sizeof(old_name));
        memcpy(op->name, name, sizeof(name));
    }
    pthread_mutex_unlock(&journal.lock);
    return result;
}

int __wrap_unlinkat(int fd, const char *name, int flags)
{
    char last[200];
    int result, parent;

    pthread_mutex_lock(&journal.lock);
    parent = parent_of(fd, name, last);
    result = __real_unlinkat(fd, name, flags);
    if (journal.on && result == 0) {
        struct op *op = add(OP_UNNAME);

        require(parent >= 0);
        op->parent = parent;
        memcpy(op->name, last, sizeof(last));
    }
    pthread_mutex_unlock(&journal.lock);
    return result;
}

static void add_sync(enum op_kind kind, int node, size_t begun)
{
    struct op *op = add(kind);

    op->node = node;
    op->begun = begun;
}

int __wrap_fsync(int fd)
{
    size_t begun;
    int result;

    pthread_mutex_lock(&journal.lock);
    begun = journal.count;
    pthread_mutex_unlock(&journal.lock);
    result = __real_fsync(fd);
    pthread_mutex_lock(&journal.lock);
    if (journal.on && result == 0 && node_of(fd) >= 0)
        add_sync(OP_SYNC_NODE, node_of(fd), begun);
    pthread_mutex_unlock(&journal.lock);
    return result;
}

int __wrap_syncfs(int fd)
{
    size_t begun;
    int result;

    pthread_mutex_lock(&journal.lock);
    begun = journal.count;
    pthread_mutex_unlock(&journal.lock);
    result = __real_syncfs(fd);
    pthread_mutex_lock(&journal.lock);
    if (journal.on && result == 0)
        add_sync(OP_SYNC_ALL, -1, begun);
    pthread_mutex_unlock(&journal.lock);
    return result;
}

/* --- life ----------------------------------------------------------------- */

void journal_start(const char *directory)
{
    int fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    require(fd >= 0);
    pthread_mutex_lock(&journal.lock);
    (void)snprintf(journal.directory, sizeof(journal.directory), "%s", directory);
    (void)new_node(fd);
    journal.on = true;
    pthread_mutex_unlock(&journal.lock);
    close(fd);
}

void journal_stop(void)
{
    pthread_mutex_lock(&journal.lock);
    journal.on = false;
    pthread_mutex_unlock(&journal.lock);
}

void journal_clear(void)
{
    for (size_t i = 0; i < journal.count; i++)
        free(journal.ops[i].bytes);
    for (int i = 0; i < journal.nodes_count; i++)
        close(journal.nodes[i].fd);
    free(journal.ops);
    journal.ops = NULL;
    journal.count = journal.room = 0;
    journal.nodes_count = 0;
}

size_t journal_count(void)
{
    return journal.count;
}

/* --- what the disk kept --------------------------------------------------- */

struct content {
    uint8_t *bytes;
    size_t len, room;
};

struct place {
    int parent, node;
    const char *name;
};

struct disk {
    struct content contents[NODES_MAX];
    struct place places[NAMES_MAX];
    size_t places_count;
};

static void put_name(struct disk *disk, int parent, const char *name, int node)
{
    for (size_t i = 0; i < disk->places_count; i++) {
        struct place *place = &disk->places[i];

        if (place->parent == parent && strcmp(place->name, name) == 0) {
            place->node = node;
            return;
        }
    }
    require(disk->places_count < NAMES_MAX);
    disk->places[disk->places_count++] = (struct place){parent, node, name};
}

static void put_size(struct content *content, size_t len)
{
    if (len > content->room) {
        content->bytes = realloc(content->bytes, len + 65536);
        require(content->bytes);
        content->room = len + 65536;
    }
    if (len > content->len)
        memset(content->bytes + content->len, 0, len - content->len);
    content->len = len;
}

static void apply(struct disk *disk, const struct op *op)
{
    struct content *content = op->node >= 0 ? &disk->contents[op->node] : NULL;

    switch (op->kind) {
    case OP_NAME:
        put_name(disk, op->parent, op->name, op->node);
        break;
    case OP_UNNAME:
        put_name(disk, op->parent, op->name, -1);
        break;
    case OP_RENAME:
        put_name(disk, op->old, op->old_name, -1);
        put_name(disk, op->parent, op->name, op->node);
        break;
    case OP_DATA:
        if (content->len < op->offset + op->len)
            put_size(content, (size_t)op->offset + op->len);
        memcpy(content->bytes + op->offset, op->bytes, op->len);
        break;
    case OP_SIZE:
        put_size(content, (size_t)op->offset);
        break;
    case OP_SYNC_NODE:
    case OP_SYNC_ALL:
        break;
    }
}

static bool syncs(const struct op *sync, const struct op *op)
{
    bool is_name = op->kind == OP_NAME || op->kind == OP_UNNAME || op->kind == OP_RENAME;

    if (sync->kind == OP_SYNC_ALL)
        return true;
    if (is_name)
        return op->parent == sync->node || (op->kind == OP_RENAME && op->old == sync->node);
    return op->node == sync->node;
}

/* durable[i]: a sync that returned within @count operations covers operation i. */
static bool *durables(size_t count)
{
    bool *durable = calloc(count + 1, sizeof(*durable));

    require(durable);
    for (size_t s = 0; s < count; s++) {
        const struct op *sync = &journal.ops[s];

        if (sync->kind != OP_SYNC_NODE && sync->kind != OP_SYNC_ALL)
            continue;
        for (size_t i = 0; i < sync->begun; i++)
            durable[i] |= syncs(sync, &journal.ops[i]);
    }
    return durable;
}

static uint32_t next(uint32_t *seed)
{
    *seed = *seed * 1664525u + 1013904223u;
    return *seed >> 8;
}

static void free_disk(struct disk *disk)
{
    for (int i = 0; i < NODES_MAX; i++)
        free(disk->contents[i].bytes);
    free(disk);
}

static void write_node(const struct disk *disk, int node, int parent_fd, const char *name)
{
    int fd;

    if (!journal.nodes[node].is_directory) {
        const struct content *content = &disk->contents[node];

        fd = __real_openat64(parent_fd, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
        require(fd >= 0);
        require(write(fd, content->bytes ? (const void *)content->bytes : "", content->len)
                == (ssize_t)content->len);
        close(fd);
        return;
    }
    require(__real_mkdirat(parent_fd, name, 0700) == 0 || errno == EEXIST);
    fd = __real_openat64(parent_fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0);
    require(fd >= 0);
    for (size_t i = 0; i < disk->places_count; i++) {
        const struct place *place = &disk->places[i];

        if (place->parent == node && place->node >= 0)
            write_node(disk, place->node, fd, place->name);
    }
    close(fd);
}

void journal_materialize(size_t count, unsigned keep, uint32_t seed, const char *directory)
{
    struct disk *disk = calloc(1, sizeof(*disk));
    bool *durable = durables(count);

    require(disk);
    for (size_t i = 0; i < count; i++) {
        if (durable[i] || next(&seed) % 1000 < keep)
            apply(disk, &journal.ops[i]);
    }
    write_node(disk, 0, AT_FDCWD, directory);
    free(durable);
    free_disk(disk);
}

bool journal_covered(size_t count, const char *name, uint8_t **ret_bytes, size_t *ret_len)
{
    struct disk *disk = calloc(1, sizeof(*disk));
    size_t begun = 0, name_len = strlen(name);
    bool found = false;

    require(disk);
    for (size_t i = 0; i < count; i++) {
        if (journal.ops[i].kind == OP_SYNC_ALL && journal.ops[i].begun > begun)
            begun = journal.ops[i].begun;
    }
    for (size_t i = 0; i < begun; i++)
        apply(disk, &journal.ops[i]);
    for (size_t i = 0; i < disk->places_count && !found; i++) {
        const struct place *place = &disk->places[i];
        size_t len = strlen(place->name);

        if (place->node < 0 || len < name_len || strcmp(place->name + len - name_len, name) != 0)
            continue;
        *ret_len = disk->contents[place->node].len;
        *ret_bytes = calloc(1, *ret_len + 1);
        require(*ret_bytes);
        if (*ret_len > 0)
            memcpy(*ret_bytes, disk->contents[place->node].bytes, *ret_len);
        found = true;
    }
    free_disk(disk);
    return found;
}
