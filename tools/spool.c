/* `sealtape spool`: what waits in the spool, and delivery without a media server. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "delivery/transfer.h"
#include "spool/entry.h"
#include "spool/folder.h"
#include "spool/recovery.h"
#include "tool.h"

#define REASON_MAX 4096
#define FOLDERS_MAX 4096

struct options {
    const char *config, *verb;
    uint64_t timeout_ms;
    bool all;
};

/* One pass of delivery over every folder that nobody has. */
struct delivery {
    const struct config *config;
    struct transfer *transfer;
    struct folder *folders[FOLDERS_MAX];
    size_t folders_count;
    uint32_t left; /* not delivered: of running owners, broken, of newer formats */
    /* Guards what follows: reports come from the transfer's thread. */
    pthread_mutex_t lock;
    uint32_t failed;
    bool print_failed;
};

static void names_free(char ***names)
{
    free(*names);
    *names = NULL;
}

static void dir_close(DIR **dir)
{
    if (*dir)
        closedir(*dir);
    *dir = NULL;
}

/* The process that has the folder, 0 when nobody has. Takes nothing. */
static pid_t owner_of(int folder_fd)
{
    CLEANUP(file_close) int fd = openat(folder_fd, "lock", O_RDWR | O_CLOEXEC | O_NOFOLLOW);
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};

    if (fd < 0 || fcntl(fd, F_GETLK, &lock) != 0 || lock.l_type == F_UNLCK)
        return 0;
    return lock.l_pid;
}

static void add_reason(json_t *json, int state_fd, const char *media_id)
{
    CLEANUP(tool_chars_free) char *text = NULL;
    char path[2 * ENTRY_MEDIA_ID_SIZE + 16];
    const char *reason;
    size_t len;

    (void)snprintf(path, sizeof(path), "%s/%s.reason", media_id, media_id);
    if (file_read(state_fd, path, REASON_MAX, &text, &len, NULL) != SEALTAPE_OK)
        return;
    /* "1 TIME REASON": format, when, why. */
    text[strcspn(text, "\n")] = '\0';
    reason = strchr(text, ' ');
    reason = reason ? strchr(reason + 1, ' ') : NULL;
    json_object_set_new(json, "reason", json_string(reason ? reason + 1 : text));
}

static enum sealtape_status list_entry(const char *folder, pid_t owner, int state_fd,
        enum entry_state state, const char *media_id, struct diag *diag)
{
    char path[2 * ENTRY_MEDIA_ID_SIZE + 16];
    char since[TIMESTAMP_SIZE] = "";
    struct stat directory, media;
    json_t *json;

    /* It may be gone, or have become something else, while we look. */
    if (strlen(media_id) >= ENTRY_MEDIA_ID_SIZE || fstatat(state_fd, media_id, &directory, 0) != 0)
        return SEALTAPE_OK;
    (void)snprintf(path, sizeof(path), "%s/%s.bin", media_id, media_id);
    if (fstatat(state_fd, path, &media, AT_SYMLINK_NOFOLLOW) != 0)
        media.st_size = 0;
    timestamp_format(
            (int64_t)directory.st_mtim.tv_sec * 1000 + directory.st_mtim.tv_nsec / 1000000, since);
    json = json_pack("{s:s, s:s, s:s, s:s, s:I, s:o}", "mediaId", media_id, "state",
            entry_state_name(state), "since", since, "folder", folder, "bytes",
            (json_int_t)media.st_size, "owner", owner ? json_integer(owner) : json_null());
    if (json && state == ENTRY_FAILED)
        add_reason(json, state_fd, media_id);
    return tool_print(json, 0, diag);
}

static enum sealtape_status list_state(
        const char *folder, pid_t owner, int folder_fd, enum entry_state state, struct diag *diag)
{
    CLEANUP(dir_close) DIR *dir = NULL;
    enum sealtape_status st = SEALTAPE_OK;
    const struct dirent *item;
    int fd;

    fd = openat(folder_fd, entry_state_name(state), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return errno == ENOENT ? SEALTAPE_OK
                               : diag_fail(diag, SEALTAPE_E_IO, "%s/%s: cannot read: %s", folder,
                                       entry_state_name(state), strerror(errno));
    dir = fdopendir(fd);
    if (!dir) {
        file_close(&fd);
        return diag_fail(diag, SEALTAPE_E_MEMORY, "no memory");
    }
    while (st == SEALTAPE_OK && (item = readdir(dir)) != NULL) {
        if (item->d_name[0] != '.')
            st = list_entry(folder, owner, fd, state, item->d_name, diag);
    }
    return st;
}

static enum sealtape_status list_folder(
        const char *directory, const char *name, bool all, struct diag *diag)
{
    /* The last one only with --all. */
    static const enum entry_state states[] = {
            ENTRY_RECORDING, ENTRY_CLOSED, ENTRY_STORED, ENTRY_FAILED, ENTRY_POSTED};
    CLEANUP(tool_chars_free) char *path = NULL;
    CLEANUP(file_close) int fd = -1;
    enum sealtape_status st = SEALTAPE_OK;
    pid_t owner;

    if (asprintf(&path, "%s/%s", directory, name) < 0) {
        path = NULL;
        return diag_fail(diag, SEALTAPE_E_MEMORY, "no memory");
    }
    fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0)
        return diag_fail(diag, SEALTAPE_E_IO, "%s: cannot read: %s", path, strerror(errno));
    owner = owner_of(fd);
    for (size_t i = 0; i < ARRAY_COUNT(states) - !all && st == SEALTAPE_OK; i++)
        st = list_state(name, owner, fd, states[i], diag);
    return st;
}

static enum tool_exit list(const struct config *config, bool all)
{
    CLEANUP(names_free) char **names = NULL;
    struct diag diag = {0};
    enum sealtape_status st;

    st = folder_list(config->spool.directory, &names, &diag);
    for (size_t i = 0; st == SEALTAPE_OK && names[i]; i++)
        st = list_folder(config->spool.directory, names[i], all, &diag);
    return st == SEALTAPE_OK ? TOOL_DONE : tool_fail(&tool_spool, &diag);
}

static void on_report(void *context, enum sealtape_event_kind kind, struct entry *entry,
        const char *url, const char *text)
{
    struct delivery *delivery = context;
    struct diag diag = {0};
    json_t *json;

    if (!entry || (kind != SEALTAPE_EVENT_POSTED && kind != SEALTAPE_EVENT_FAILED))
        return;
    json = json_pack("{s:s, s:b}", "mediaId", entry_media_id(entry), "delivered",
            kind == SEALTAPE_EVENT_POSTED);
    if (json && url)
        json_object_set_new(json, "url", json_string(url));
    if (json && kind == SEALTAPE_EVENT_FAILED)
        json_object_set_new(json, "reason", json_string(text));
    pthread_mutex_lock(&delivery->lock);
    if (kind == SEALTAPE_EVENT_FAILED)
        delivery->failed++;
    if (tool_print(json, 0, &diag) != SEALTAPE_OK)
        delivery->print_failed = true;
    pthread_mutex_unlock(&delivery->lock);
}

static void on_offer(void *context, struct entry *entry)
{
    transfer_offer(context, entry);
}

/* A folder that somebody has, or that cannot be read, is told of and left. */
static void deliver_folder(struct delivery *delivery, const char *name)
{
    struct folder **folder = &delivery->folders[delivery->folders_count];
    struct recovery_result result = {0};
    struct diag diag = {0};
    enum sealtape_status st;
    pid_t owner = 0;

    st = folder_adopt(delivery->config->spool.directory, name, folder, &owner, &diag);
    if (st != SEALTAPE_OK) {
        delivery->left++;
        if (st == SEALTAPE_E_STATE)
            tool_note(
                    &tool_spool, "%s: process %d has it and delivers it itself", name, (int)owner);
        else
            tool_note(&tool_spool, "%s: %s", name, diag.text);
        return;
    }
    delivery->folders_count++;
    if (recovery_run(*folder, on_offer, delivery->transfer, &result, &diag) != SEALTAPE_OK) {
        delivery->left++;
        tool_note(&tool_spool, "%s: %s", name, diag.text);
    }
    if (result.newer)
        tool_note(&tool_spool, "%s: %u of a newer format, left untouched", name,
                (unsigned)result.newer);
    if (result.failed)
        tool_note(&tool_spool, "%s: %u in failed/; `spool list` says why", name,
                (unsigned)result.failed);
    delivery->left += result.newer + result.failed;
}

static void delivery_clear(struct delivery *delivery)
{
    /* Entries hold shares of their folders: the transfer goes first. */
    if (delivery->transfer)
        transfer_stop(&delivery->transfer);
    for (size_t i = 0; i < delivery->folders_count; i++)
        folder_release(&delivery->folders[i]);
    pthread_mutex_destroy(&delivery->lock);
}

static enum tool_exit deliver(const struct config *config, uint64_t timeout_ms)
{
    static struct delivery the_delivery;
    CLEANUP(names_free) char **names = NULL;
    struct delivery *delivery = &the_delivery;
    struct diag diag = {0};
    enum sealtape_status st;
    uint32_t waiting = 0;

    *delivery = (struct delivery){.config = config, .lock = PTHREAD_MUTEX_INITIALIZER};
    st = folder_list(config->spool.directory, &names, &diag);
    if (st == SEALTAPE_OK)
        st = transfer_start(config, on_report, delivery, &delivery->transfer, &diag);
    if (st != SEALTAPE_OK) {
        delivery_clear(delivery);
        return tool_fail(&tool_spool, &diag);
    }
    for (size_t i = 0; names[i] && delivery->folders_count < FOLDERS_MAX; i++)
        deliver_folder(delivery, names[i]);
    waiting = transfer_drain(
            delivery->transfer, timeout_ms < UINT32_MAX ? (uint32_t)timeout_ms : UINT32_MAX);
    delivery_clear(delivery);
    if (waiting)
        tool_note(&tool_spool, "%u still wait: the store or the processor did not take them",
                (unsigned)waiting);
    return waiting || delivery->left || delivery->failed || delivery->print_failed ? TOOL_FAILED
                                                                                   : TOOL_DONE;
}

static enum tool_exit run_verb(const struct options *options)
{
    CLEANUP(config_free) struct config *config = NULL;
    struct diag diag = {0};

    if (config_load(options->config, &config, &diag) != SEALTAPE_OK)
        return tool_fail(&tool_spool, &diag);
    return strcmp(options->verb, "list") == 0 ? list(config, options->all)
                                              : deliver(config, options->timeout_ms);
}

static enum tool_exit run(int argc, char **argv)
{
    static const struct option names[] = {{"config", required_argument, NULL, 'c'},
            {"timeout", required_argument, NULL, 'T'}, {"all", no_argument, NULL, 'a'},
            {"help", no_argument, NULL, 'h'}, {0}};
    struct options options = {.timeout_ms = 60000};
    int option;

    while ((option = getopt_long(argc, argv, "c:", names, NULL)) != -1) {
        if (option == 'h')
            return tool_help(&tool_spool);
        if (option == 'c')
            options.config = optarg;
        else if (option == 'a')
            options.all = true;
        else if (option != 'T' || tool_time_parse(optarg, &options.timeout_ms) != SEALTAPE_OK)
            return tool_usage(&tool_spool, "wrong option");
    }
    if (!options.config)
        return tool_usage(&tool_spool, "expected -c FILE");
    if (optind + 1 != argc
            || (strcmp(argv[optind], "list") != 0 && strcmp(argv[optind], "deliver") != 0))
        return tool_usage(&tool_spool, "expected list or deliver");
    options.verb = argv[optind];
    return run_verb(&options);
}

const struct tool tool_spool = {
        .name = "spool",
        .arguments = "-c FILE [--all] [--timeout T] list|deliver",
        .summary = "what waits in the spool and why; delivery without a media server",
        .help = "  -c FILE      sealtape.xml\n"
                "  --all        list delivered media files, too, in their time of grace\n"
                "  --timeout T  how long `deliver` tries: 60s (default), 500ms, 10min\n\n"
                "list     a JSON line for each media file: its state, folder, owner, reason\n"
                "deliver  recovers and delivers the folders that no process has; exit status 1\n"
                "         when something remains\n",
        .run = run,
};
