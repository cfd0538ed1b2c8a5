#include "spool/folder.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/magic.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <unistd.h>

#include "base/file.h"
#include "base/hex.h"
#include "base/random.h"
#include "spool/entry.h"
#include "spool/numbers.h"

/* Folders of one instance that are tried before giving up. */
#define FOLDER_NUMBER_MAX 1000
#define FOLDER_EPOCH_SIZE 33

struct folder {
    _Atomic unsigned shares;
    int fd, lock_fd;
    char *path, *name;
    dev_t device;
    ino_t inode;
    struct folder *next; /* in `held` */
    char epoch[FOLDER_EPOCH_SIZE];
    _Atomic int64_t bytes;

    /* Guards what follows. */
    pthread_mutex_t lock;
    struct numbers *numbers;
    bool numbers_changed;
};

/*
 * POSIX locks do not keep one process from taking its own folder twice, and
 * closing any descriptor of the file drops them: so what this process holds is
 * looked up here first.
 */
static pthread_mutex_t held_lock = PTHREAD_MUTEX_INITIALIZER;
static struct folder *held;

static bool is_held(dev_t device, ino_t inode)
{
    for (const struct folder *f = held; f; f = f->next) {
        if (f->device == device && f->inode == inode)
            return true;
    }
    return false;
}

static void held_add(struct folder *folder)
{
    folder->next = held;
    held = folder;
}

static void held_remove(const struct folder *folder)
{
    for (struct folder **at = &held; *at; at = &(*at)->next) {
        if (*at == folder) {
            *at = folder->next;
            return;
        }
    }
}

/* Not in linux/magic.h, or not in all versions of it. */
#define MAGIC_CIFS 0xff534d42
#define MAGIC_SMB2 0xfe534d42
#define MAGIC_LUSTRE 0x0bd00bd0
#define MAGIC_GPFS 0x47504653
#define MAGIC_FUSE 0x65735546

static const char *network_file_system(unsigned long magic)
{
    switch (magic) {
    case NFS_SUPER_MAGIC:
        return "NFS";
    case SMB_SUPER_MAGIC:
    case MAGIC_CIFS:
    case MAGIC_SMB2:
        return "SMB";
    case AFS_SUPER_MAGIC:
        return "AFS";
    case CEPH_SUPER_MAGIC:
        return "Ceph";
    case V9FS_MAGIC:
        return "9P";
    case MAGIC_LUSTRE:
        return "Lustre";
    case MAGIC_GPFS:
        return "GPFS";
    case MAGIC_FUSE:
        return "FUSE";
    default:
        return NULL;
    }
}

enum sealtape_status folder_check_spool(const char *directory, struct diag *diag)
{
    const char *network;
    struct statfs fs;
    struct stat st;

    if (mkdir(directory, 0700) != 0 && errno != EEXIST)
        return diag_fail(diag, SEALTAPE_E_SPOOL, "spool %s: cannot make the directory: %s",
                directory, strerror(errno));
    if (stat(directory, &st) != 0 || statfs(directory, &fs) != 0)
        return diag_fail(diag, SEALTAPE_E_SPOOL, "spool %s: cannot look at it: %s", directory,
                strerror(errno));
    if (!S_ISDIR(st.st_mode))
        return diag_fail(diag, SEALTAPE_E_SPOOL,
                "spool %s: expected a directory, found a file in its place", directory);
    network = network_file_system((unsigned long)fs.f_type & 0xffffffffUL);
    if (network)
        return diag_fail(diag, SEALTAPE_E_SPOOL,
                "spool %s: is on a network file system (%s), which neither locks nor syncs as "
                "the spool needs; use a local disk",
                directory, network);
    if (faccessat(AT_FDCWD, directory, W_OK | X_OK, AT_EACCESS) != 0)
        return diag_fail(
                diag, SEALTAPE_E_SPOOL, "spool %s: not writable: %s", directory, strerror(errno));
    return SEALTAPE_OK;
}

struct folder *folder_acquire(struct folder *folder)
{
    atomic_fetch_add(&folder->shares, 1);
    return folder;
}

void folder_release(struct folder **folder)
{
    struct folder *f = TAKE(*folder);

    if (!f || atomic_fetch_sub(&f->shares, 1) != 1)
        return;
    pthread_mutex_lock(&held_lock);
    held_remove(f);
    file_close(&f->lock_fd);
    pthread_mutex_unlock(&held_lock);
    file_close(&f->fd);
    numbers_free(&f->numbers);
    pthread_mutex_destroy(&f->lock);
    free(f->path);
    free(f->name);
    free(f);
}

static enum sealtape_status make_directories(int fd, struct diag *diag)
{
    for (int s = ENTRY_RECORDING; s <= ENTRY_FAILED; s++) {
        const char *name = entry_state_name((enum entry_state)s);

        if (mkdirat(fd, name, 0700) != 0 && errno != EEXIST)
            return diag_fail(diag, SEALTAPE_E_SPOOL, "cannot make %s/: %s", name, strerror(errno));
    }
    return SEALTAPE_OK;
}

static enum sealtape_status make_epoch(struct folder *folder, struct diag *diag)
{
    unsigned char random[16];

    if (random_nonce(random, sizeof(random)) != SEALTAPE_OK)
        return diag_fail(diag, SEALTAPE_E_IO, "no random numbers for an epoch");
    hex_encode(random, sizeof(random), folder->epoch);
    folder->numbers_changed = true;
    return folder_save(folder, diag);
}

static enum sealtape_status load_epoch(struct folder *folder, struct diag *diag)
{
    enum sealtape_status st;
    char *text = NULL;
    size_t len = 0;

    if (faccessat(folder->fd, "epoch", F_OK, 0) != 0 && errno == ENOENT)
        return make_epoch(folder, diag);
    st = file_read(folder->fd, "epoch", NUMBERS_TEXT_MAX, &text, &len, diag);
    if (st != SEALTAPE_OK)
        return st;
    st = numbers_parse(folder->numbers, text, len, folder->epoch, diag);
    free(text);
    return st;
}

/* Fill a folder whose lock is held. */
static enum sealtape_status load(struct folder *folder, struct diag *diag)
{
    enum sealtape_status st;

    st = numbers_new(&folder->numbers);
    if (st == SEALTAPE_OK)
        st = load_epoch(folder, diag);
    if (st == SEALTAPE_OK)
        st = make_directories(folder->fd, diag);
    if (st != SEALTAPE_OK)
        diag_prefix(diag, "spool %s: ", folder->path);
    return st;
}

static enum sealtape_status take_lock(struct folder *folder, pid_t *ret_owner, struct diag *diag)
{
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    struct stat st;

    /* Looked up before the file is opened: closing it again would drop our own lock. */
    if (fstatat(folder->fd, "lock", &st, AT_SYMLINK_NOFOLLOW) == 0
            && is_held(st.st_dev, st.st_ino)) {
        *ret_owner = 0;
        return diag_fail(diag, SEALTAPE_E_STATE, "this process has it");
    }
    folder->lock_fd = openat(folder->fd, "lock", O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (folder->lock_fd < 0 || fstat(folder->lock_fd, &st) != 0)
        return diag_fail(diag, SEALTAPE_E_SPOOL, "spool %s: cannot open its lock: %s", folder->path,
                strerror(errno));
    if (fcntl(folder->lock_fd, F_SETLK, &lock) != 0) {
        if (errno != EACCES && errno != EAGAIN)
            return diag_fail(diag, SEALTAPE_E_SPOOL, "spool %s: cannot lock: %s", folder->path,
                    strerror(errno));
        *ret_owner = fcntl(folder->lock_fd, F_GETLK, &lock) == 0 ? lock.l_pid : 0;
        return diag_fail(diag, SEALTAPE_E_STATE, "process %d has it", (int)*ret_owner);
    }
    folder->device = st.st_dev;
    folder->inode = st.st_ino;
    held_add(folder);
    return SEALTAPE_OK;
}

static enum sealtape_status take(const char *directory, const char *name, bool make,
        struct folder **ret_folder, pid_t *ret_owner, struct diag *diag)
{
    CLEANUP(folder_release) struct folder *folder = calloc(1, sizeof(*folder));
    enum sealtape_status st;

    *ret_owner = 0;
    if (!folder)
        return SEALTAPE_E_MEMORY;
    folder->shares = 1;
    folder->fd = folder->lock_fd = -1;
    pthread_mutex_init(&folder->lock, NULL);
    folder->name = strdup(name);
    if (!folder->name || asprintf(&folder->path, "%s/%s", directory, name) < 0) {
        folder->path = NULL;
        return SEALTAPE_E_MEMORY;
    }
    if (make && mkdir(folder->path, 0700) != 0 && errno != EEXIST)
        return diag_fail(diag, SEALTAPE_E_SPOOL, "spool %s: cannot make it: %s", folder->path,
                strerror(errno));
    folder->fd = open(folder->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    if (folder->fd < 0)
        return diag_fail(diag, SEALTAPE_E_SPOOL, "spool %s: cannot open it: %s", folder->path,
                strerror(errno));
    pthread_mutex_lock(&held_lock);
    st = take_lock(folder, ret_owner, diag);
    pthread_mutex_unlock(&held_lock);
    if (st == SEALTAPE_OK)
        st = load(folder, diag);
    if (st != SEALTAPE_OK)
        return st;
    *ret_folder = TAKE(folder);
    return SEALTAPE_OK;
}

enum sealtape_status folder_open(
        const char *directory, const char *instance, struct folder **ret_folder, struct diag *diag)
{
    enum sealtape_status st = SEALTAPE_E_STATE;
    char name[NAME_MAX];
    pid_t owner;

    for (unsigned n = 0; n < FOLDER_NUMBER_MAX && st == SEALTAPE_E_STATE; n++) {
        (void)snprintf(name, sizeof(name), "%s.%u", instance, n);
        st = take(directory, name, true, ret_folder, &owner, diag);
        /* A newer build's folder is left alone; the next number is as good. */
        if (st == SEALTAPE_E_VERSION)
            st = SEALTAPE_E_STATE;
    }
    if (st == SEALTAPE_E_STATE)
        return diag_fail(diag, SEALTAPE_E_SPOOL, "spool %s: all folders %s.0 to %s.%d are taken",
                directory, instance, instance, FOLDER_NUMBER_MAX - 1);
    return st;
}

enum sealtape_status folder_adopt(const char *directory, const char *name,
        struct folder **ret_folder, pid_t *ret_owner, struct diag *diag)
{
    return take(directory, name, false, ret_folder, ret_owner, diag);
}

static int is_folder_name(const struct dirent *entry)
{
    const char *dot = strrchr(entry->d_name, '.');

    return dot && dot != entry->d_name && dot[1] != '\0'
           && strspn(dot + 1, "0123456789") == strlen(dot + 1);
}

enum sealtape_status folder_list(const char *directory, char ***ret_names, struct diag *diag)
{
    struct dirent **found = NULL;
    char **names, *to;
    size_t bytes = 0;
    int count;

    count = scandir(directory, &found, is_folder_name, versionsort);
    if (count < 0)
        return diag_fail(
                diag, SEALTAPE_E_SPOOL, "spool %s: cannot list: %s", directory, strerror(errno));
    for (int i = 0; i < count; i++)
        bytes += strlen(found[i]->d_name) + 1;
    names = malloc(((size_t)count + 1) * sizeof(*names) + bytes);
    to = names ? (char *)(names + count + 1) : NULL;
    for (int i = 0; i < count; i++) {
        if (names) {
            names[i] = to;
            to = stpcpy(to, found[i]->d_name) + 1;
        }
        free(found[i]);
    }
    free(found);
    if (!names)
        return SEALTAPE_E_MEMORY;
    names[count] = NULL;
    *ret_names = names;
    return SEALTAPE_OK;
}

int folder_fd(const struct folder *folder)
{
    return folder->fd;
}

const char *folder_name(const struct folder *folder)
{
    return folder->name;
}

const char *folder_path(const struct folder *folder)
{
    return folder->path;
}

void folder_count_bytes(struct folder *folder, int64_t more)
{
    atomic_fetch_add(&folder->bytes, more);
}

uint64_t folder_bytes(const struct folder *folder)
{
    int64_t bytes = atomic_load(&folder->bytes);

    return bytes > 0 ? (uint64_t)bytes : 0;
}

const char *folder_epoch(const struct folder *folder)
{
    return folder->epoch;
}

enum sealtape_status folder_take_sequence(
        struct folder *folder, uint32_t tenant_dbid, uint64_t *ret_sequence)
{
    enum sealtape_status st;

    pthread_mutex_lock(&folder->lock);
    st = numbers_take(folder->numbers, tenant_dbid, ret_sequence);
    folder->numbers_changed |= st == SEALTAPE_OK;
    pthread_mutex_unlock(&folder->lock);
    return st;
}

enum sealtape_status folder_see_sequence(
        struct folder *folder, uint32_t tenant_dbid, uint64_t sequence)
{
    enum sealtape_status st;

    pthread_mutex_lock(&folder->lock);
    st = numbers_see(folder->numbers, tenant_dbid, sequence);
    pthread_mutex_unlock(&folder->lock);
    return st;
}

enum sealtape_status folder_save(struct folder *folder, struct diag *diag)
{
    enum sealtape_status st = SEALTAPE_OK;
    char *text = NULL;
    size_t len = 0;

    pthread_mutex_lock(&folder->lock);
    if (folder->numbers_changed)
        st = numbers_text(folder->numbers, folder->epoch, &text, &len);
    folder->numbers_changed = false;
    pthread_mutex_unlock(&folder->lock);
    if (st == SEALTAPE_OK && !text)
        return SEALTAPE_OK;
    if (st == SEALTAPE_OK)
        st = file_replace(folder->fd, "epoch", text, len, 1, diag);
    free(text);
    if (st != SEALTAPE_OK) {
        pthread_mutex_lock(&folder->lock);
        folder->numbers_changed = true;
        pthread_mutex_unlock(&folder->lock);
    }
    return st;
}
