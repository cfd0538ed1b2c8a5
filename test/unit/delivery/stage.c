#include "stage.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <ftw.h>
#include <netinet/in.h>
#include <nettle/sha2.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/hex.h"

#define FAIL_UNLESS(what)                                                                          \
    do {                                                                                           \
        if (!(what)) {                                                                             \
            fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #what);                             \
            abort();                                                                               \
        }                                                                                          \
    } while (0)

static void on_report(void *context, enum sealtape_event_kind kind, struct entry *entry,
        const char *url, const char *text)
{
    struct stage *stage = context;

    (void)entry;
    (void)url;
    pthread_mutex_lock(&stage->lock);
    stage->events[kind]++;
    (void)snprintf(stage->last_text, sizeof(stage->last_text), "%s", text ? text : "");
    pthread_mutex_unlock(&stage->lock);
}

void stage_open(struct stage *stage)
{
    struct diag diag = {""};

    memset(stage, 0, sizeof(*stage));
    pthread_mutex_init(&stage->lock, NULL);
    strcpy(stage->directory, "/tmp/sealtape-stage-XXXXXX");
    FAIL_UNLESS(mkdtemp(stage->directory));
    FAIL_UNLESS(chmod(stage->directory, 0755) == 0);
    if (folder_open(stage->directory, "stage", &stage->folder, &diag) != SEALTAPE_OK) {
        fprintf(stderr, "%s\n", diag.text);
        abort();
    }
    stage->tenant = "101";
    stage->config.spool.grace_ms = 3600000;
    stage->config.storages = stage->storages;
    stage->config.processors = stage->processors;
    stage->pace = pace_default;
    stage->pace.backoff_first_ms = 20;
    stage->pace.backoff_max_ms = 200;
    stage->pace.slow_first_ms = 40;
    stage->pace.slow_max_ms = 400;
    stage->pace.tick_ms = 30;
    stage->pace.http.stall_ms = 1500;
    stage->pace.http.answer_ms = 1500;
    stage->pace.http.connect_ms = 2000;
}

static int remove_one(const char *path, const struct stat *st, int kind, struct FTW *ftw)
{
    (void)st;
    (void)kind;
    (void)ftw;
    return remove(path);
}

void stage_close(struct stage *stage)
{
    transfer_stop(&stage->transfer);
    folder_release(&stage->folder);
    for (size_t i = 0; i < STAGE_URLS_MAX; i++) {
        free(stage->storages[i].url);
        free(stage->storages[i].password_file);
        free(stage->storages[i].ca_file);
        free(stage->processors[i].url);
        free(stage->processors[i].password_file);
    }
    FAIL_UNLESS(nftw(stage->directory, remove_one, 16, FTW_DEPTH | FTW_PHYS) == 0);
    pthread_mutex_destroy(&stage->lock);
}

void stage_storage(struct stage *stage, const char *format, ...)
{
    struct config_destination *one = &stage->storages[stage->config.storages_count++];
    va_list args;

    va_start(args, format);
    FAIL_UNLESS(vasprintf(&one->url, format, args) > 0);
    va_end(args);
    one->live_max = 100;
}

void stage_processor(struct stage *stage, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    FAIL_UNLESS(
            vasprintf(&stage->processors[stage->config.processors_count++].url, format, args) > 0);
    va_end(args);
}

char *stage_file(struct stage *stage, const char *name, const char *content)
{
    char *path;
    FILE *file;

    FAIL_UNLESS(asprintf(&path, "%s/%s", stage->directory, name) > 0);
    file = fopen(path, "w");
    FAIL_UNLESS(file && fputs(content, file) >= 0 && fclose(file) == 0);
    return path;
}

void stage_start(struct stage *stage)
{
    struct diag diag = {""};

    if (transfer_start_at(&stage->pace, &stage->config, on_report, stage, &stage->transfer, &diag)
            != SEALTAPE_OK) {
        fprintf(stderr, "%s\n", diag.text);
        abort();
    }
}

static void write_document(struct stage_entry *entry, bool final)
{
    struct stage *stage = entry->stage;
    char path[ENTRY_PATH_SIZE], sha256[65] = "", name[512], *text = NULL;
    uint8_t digest[SHA256_DIGEST_SIZE];
    struct sha256_ctx hash;
    size_t len = 0;
    FILE *out = open_memstream(&text, &len);
    const char *storage = stage->storage ? stage->storage : stage->storages[0].url;

    sha256_init(&hash);
    if (entry->len > 0)
        sha256_update(&hash, entry->len, (const uint8_t *)entry->bytes);
    sha256_digest(&hash, sizeof(digest), digest);
    if (final)
        hex_encode(digest, sizeof(digest), sha256);
    fprintf(out, "{\"spool\":{\"format\":1,\"tenant\":\"%s\",\"storage\":[", stage->tenant);
    for (size_t i = 0; stage->storage ? i < 1 : i < stage->config.storages_count; i++)
        fprintf(out, "%s\"%s\"", i ? "," : "",
                stage->storage ? stage->storage : stage->storages[i].url);
    fprintf(out, "],\"processor\":[");
    for (size_t i = 0; i < stage->config.processors_count; i++)
        fprintf(out, "%s\"%s\"", i ? "," : "", stage->processors[i].url);
    fprintf(out,
            "]},\"id\":\"%s\",\"mediaFiles\":[{\"mediaDescriptor\":{\"storage\":\"webDAV\","
            "\"path\":\"%s%s.bin\",\"data\":{\"storagePath\":\"%s\"}},\"mediaId\":\"%s\","
            "\"size\":\"%zu\",\"sealtape\":{\"epoch\":\"00\",\"sequence\":1%s%s%s}}]}",
            entry->media_id, storage, entry->media_id, storage, entry->media_id, entry->len,
            final ? ",\"sha256\":\"" : "", sha256, final ? "\"" : "");
    fclose(out);
    entry_path(entry->entry, ".json", path);
    (void)snprintf(name, sizeof(name), "%s", path);
    FAIL_UNLESS(file_replace(folder_fd(stage->folder), name, text, len, 0, NULL) == SEALTAPE_OK);
    free(text);
}

void stage_record(struct stage *stage, struct stage_entry *entry, const char *media_id)
{
    char path[ENTRY_PATH_SIZE];
    int folder = folder_fd(stage->folder);

    memset(entry, 0, sizeof(*entry));
    entry->stage = stage;
    (void)snprintf(entry->media_id, sizeof(entry->media_id), "%s", media_id);
    FAIL_UNLESS(entry_new(stage->folder, media_id, media_id, ENTRY_RECORDING, &entry->entry)
                == SEALTAPE_OK);
    entry_path(entry->entry, NULL, path);
    FAIL_UNLESS(mkdirat(folder, path, 0700) == 0);
    entry_path(entry->entry, ".bin", path);
    entry->fd = openat(folder, path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    FAIL_UNLESS(entry->fd >= 0);
    write_document(entry, false);
}

void stage_append(struct stage_entry *entry, size_t len)
{
    entry->bytes = realloc(entry->bytes, entry->len + len + 1);
    for (size_t i = 0; i < len; i++)
        entry->bytes[entry->len + i] = (char)((entry->len + i) * 2654435761u >> 13);
    FAIL_UNLESS(
            file_write_at(entry->fd, entry->bytes + entry->len, len, entry->len) == SEALTAPE_OK);
    entry->len += len;
    entry_set_readable(entry->entry, entry->len);
}

void stage_finish(struct stage_entry *entry)
{
    write_document(entry, true);
    entry_set_complete(entry->entry);
    FAIL_UNLESS(entry_move(entry->entry, ENTRY_CLOSED, NULL) == SEALTAPE_OK);
    transfer_offer(entry->stage->transfer, entry->entry);
}

void stage_closed(struct stage *stage, struct stage_entry *entry, const char *media_id, size_t len)
{
    stage_record(stage, entry, media_id);
    stage_append(entry, len);
    stage_finish(entry);
}

void stage_drop(struct stage_entry *entry)
{
    close(entry->fd);
    free(entry->bytes);
    entry_release(&entry->entry);
}

unsigned stage_events(struct stage *stage, enum sealtape_event_kind kind)
{
    unsigned count;

    pthread_mutex_lock(&stage->lock);
    count = stage->events[kind];
    pthread_mutex_unlock(&stage->lock);
    return count;
}

bool stage_wait(bool (*test)(void *context), void *context)
{
    uint64_t deadline = clock_monotonic_ns() + STAGE_DEADLINE_MS * UINT64_C(1000000);

    while (!test(context)) {
        if (clock_monotonic_ns() > deadline)
            return false;
        /* Looks again every 5 ms: the event is another process's. */
        poll(NULL, 0, 5);
    }
    return true;
}

struct awaited {
    struct entry *entry;
    enum entry_state state;
};

static bool has_state(void *context)
{
    struct awaited *awaited = context;

    return entry_state(awaited->entry) == awaited->state;
}

bool stage_wait_state(struct stage_entry *entry, enum entry_state state)
{
    struct awaited awaited = {entry->entry, state};

    return stage_wait(has_state, &awaited);
}

/* ---- real servers ---------------------------------------------------------------------------- */

static uint16_t free_port(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET};
    socklen_t len = sizeof(address);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    FAIL_UNLESS(bind(fd, (struct sockaddr *)&address, sizeof(address)) == 0);
    FAIL_UNLESS(getsockname(fd, (struct sockaddr *)&address, &len) == 0);
    close(fd);
    return ntohs(address.sin_port);
}

static bool listens(void *context)
{
    struct sockaddr_in address = {.sin_family = AF_INET};
    struct server *server = context;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    bool there;

    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.sin_port = htons(server->port);
    there = connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0;
    close(fd);
    return there;
}

static void nginx_config(FILE *out, const char *t, uint16_t port, const char *tls)
{
    fprintf(out,
            "load_module /usr/lib/nginx/modules/ngx_http_dav_ext_module.so;\n"
            "daemon off; worker_processes 1; pid %s/nginx.pid; error_log %s/err.log;\n%s"
            "events { worker_connections 512; }\n"
            "http { access_log off; dav_ext_lock_zone zone=dav:1m;\n"
            "client_body_temp_path %s/tmp; proxy_temp_path %s/p; fastcgi_temp_path %s/f;\n"
            "uwsgi_temp_path %s/u; scgi_temp_path %s/s;\n"
            "server { listen 127.0.0.1:%u%s; root %s/store; client_max_body_size 0;\n",
            t, t, geteuid() == 0 ? "user root;\n" : "", t, t, t, t, t, port, tls ? " ssl" : "", t);
    if (tls)
        fprintf(out, "ssl_certificate %s; ssl_certificate_key %s;\n", tls, tls);
    fprintf(out, "location / { dav_methods PUT DELETE MKCOL COPY MOVE;\n"
                 "dav_ext_methods PROPFIND OPTIONS; dav_access user:rw group:r; } } }\n");
}

static void apache_config(FILE *out, const char *t, uint16_t port)
{
    static const char m[] = "/usr/lib/apache2/modules";

    fprintf(out,
            "ServerRoot %s\nServerName localhost\nPidFile %s/httpd.pid\n"
            "DefaultRuntimeDir %s\nErrorLog %s/err.log\nListen 127.0.0.1:%u\n"
            "LoadModule mpm_event_module %s/mod_mpm_event.so\n"
            "LoadModule authz_core_module %s/mod_authz_core.so\n"
            "LoadModule dav_module %s/mod_dav.so\nLoadModule dav_fs_module %s/mod_dav_fs.so\n"
            "%sDavLockDB %s/lock\nStartServers 1\nThreadsPerChild 64\n"
            "DocumentRoot %s/store\n<Directory %s/store>\nDav On\nRequire all granted\n"
            "</Directory>\n",
            t, t, t, t, port, m, m, m, m, geteuid() == 0 ? "User www-data\nGroup www-data\n" : "",
            t, t, t);
}

static void server_exec(enum server_kind kind, const char *t, uint16_t port)
{
    char config[192], address[64];
    int null = open("/dev/null", O_RDWR);

    dup2(null, 0);
    dup2(null, 1);
    dup2(null, 2);
    (void)snprintf(config, sizeof(config), "%s/c.conf", t);
    (void)snprintf(address, sizeof(address), "127.0.0.1:%u", port);
    setenv("HOME", t, 1);
    if (kind == SERVER_NGINX)
        execl("/usr/sbin/nginx", "nginx", "-c", config, (char *)NULL);
    if (kind == SERVER_APACHE)
        execl("/usr/sbin/apache2", "apache2", "-d", t, "-f", config, "-DFOREGROUND", (char *)NULL);
    if (kind == SERVER_RCLONE) {
        (void)snprintf(config, sizeof(config), "%s/store", t);
        execl("/usr/bin/rclone", "rclone", "serve", "webdav", config, "--addr", address, "--config",
                "/nonexistent", (char *)NULL);
    }
    _exit(127);
}

bool server_start(
        struct stage *stage, enum server_kind kind, const char *tls, struct server *ret_server)
{
    char t[96], config[192];
    FILE *out;

    memset(ret_server, 0, sizeof(*ret_server));
    ret_server->port = free_port();
    (void)snprintf(t, sizeof(t), "%s/server%u", stage->directory, ret_server->port);
    (void)snprintf(ret_server->root, sizeof(ret_server->root), "%s/store", t);
    (void)snprintf(config, sizeof(config), "%s/c.conf", t);
    FAIL_UNLESS(mkdir(t, 0777) == 0 && chmod(t, 0777) == 0);
    FAIL_UNLESS(mkdir(ret_server->root, 0777) == 0 && chmod(ret_server->root, 0777) == 0);
    out = fopen(config, "w");
    FAIL_UNLESS(out);
    if (kind == SERVER_NGINX)
        nginx_config(out, t, ret_server->port, tls);
    if (kind == SERVER_APACHE)
        apache_config(out, t, ret_server->port);
    fclose(out);
    ret_server->pid = fork();
    if (ret_server->pid == 0)
        server_exec(kind, t, ret_server->port);
    return stage_wait(listens, ret_server);
}

void server_kill(struct server *server)
{
    int status;

    if (server->pid <= 0)
        return;
    kill(server->pid, SIGTERM);
    waitpid(server->pid, &status, 0);
    server->pid = 0;
}
