#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../unit.h"
#include "base/file.h"
#include "base/log.h"
#include "delivery/http.h"
#include "misbehaver.h"
#include "stage.h"

struct scene {
    struct stage stage;
    struct misbehaver *processor;
    struct server server;
};

static void quiet(
        void *context, int level, uint32_t number, const char *recording_id, const char *message)
{
    (void)context;
    (void)level;
    (void)number;
    (void)recording_id;
    if (getenv("VERBOSE"))
        fprintf(stderr, "%u %s\n", number, message);
}

static int setup(void **state)
{
    struct scene *scene = calloc(1, sizeof(*scene));

    log_to(quiet, NULL);
    stage_open(&scene->stage);
    scene->processor = misbehaver_start();
    stage_processor(&scene->stage, "http://127.0.0.1:%u/api", misbehaver_port(scene->processor));
    *state = scene;
    return 0;
}

static int teardown(void **state)
{
    struct scene *scene = *state;

    transfer_stop(&scene->stage.transfer);
    server_kill(&scene->server);
    stage_close(&scene->stage);
    misbehaver_stop(&scene->processor);
    free(scene);
    return 0;
}

/* The store's own file has the same bytes. */
static void assert_file(struct scene *scene, const char *collection, struct stage_entry *entry)
{
    char path[512], *bytes = NULL;
    size_t len = 0;

    (void)snprintf(
            path, sizeof(path), "%s/%s%s.bin", scene->server.root, collection, entry->media_id);
    assert_int_equal(file_read(AT_FDCWD, path, 1u << 30, &bytes, &len, NULL), SEALTAPE_OK);
    assert_int_equal(len, entry->len);
    assert_memory_equal(bytes, entry->bytes ? entry->bytes : "", len);
    free(bytes);
}

static size_t files_left(const char *directory)
{
    char command[256];
    unsigned count = 0;
    FILE *out;

    (void)snprintf(command, sizeof(command), "find %s -type f -name '*.part' | wc -l", directory);
    out = popen(command, "r");
    assert_non_null(out);
    assert_int_equal(fscanf(out, "%u", &count), 1);
    pclose(out);
    return count;
}

static void assert_stores(struct scene *scene, enum server_kind kind, enum config_verify verify)
{
    static const size_t sizes[] = {0, 1, 16, 65536, 5000001};
    struct stage_entry entries[ARRAY_COUNT(sizes)], live;

    assert_true(server_start(&scene->stage, kind, NULL, &scene->server));
    stage_storage(&scene->stage, "http://127.0.0.1:%u/missing/", scene->server.port);
    scene->stage.storages[0].verify = verify;
    scene->stage.config.spool.grace_ms = 100;
    stage_start(&scene->stage);
    for (size_t i = 0; i < ARRAY_COUNT(sizes); i++) {
        char name[32];

        (void)snprintf(name, sizeof(name), "after-%zu.wav", i);
        stage_closed(&scene->stage, &entries[i], name, sizes[i]);
    }
    stage_record(&scene->stage, &live, "live.wav");
    transfer_offer(scene->stage.transfer, live.entry);
    for (unsigned i = 0; i < 20; i++)
        stage_append(&live, 4000);
    stage_finish(&live);
    for (size_t i = 0; i < ARRAY_COUNT(sizes); i++) {
        assert_true(stage_wait_state(&entries[i], ENTRY_GONE));
        assert_file(scene, "missing/", &entries[i]);
        stage_drop(&entries[i]);
    }
    assert_true(stage_wait_state(&live, ENTRY_GONE));
    assert_file(scene, "missing/", &live);
    stage_drop(&live);
    assert_int_equal(files_left(scene->server.root), 0);
}

static void nginx_stores(void **state)
{
    assert_stores(*state, SERVER_NGINX, CONFIG_VERIFY_LENGTH);
}

static void apache_stores(void **state)
{
    assert_stores(*state, SERVER_APACHE, CONFIG_VERIFY_LENGTH);
}

static void rclone_stores(void **state)
{
    assert_stores(*state, SERVER_RCLONE, CONFIG_VERIFY_LENGTH);
}

static void nginx_is_read_back(void **state)
{
    assert_stores(*state, SERVER_NGINX, CONFIG_VERIFY_DIGEST);
}

static bool killed_store_left(void *context)
{
    struct transfer_stats stats;

    transfer_stats(context, &stats);
    return stats.live == 0;
}

static void assert_outlives(struct scene *scene, enum server_kind kind)
{
    struct stage_entry entry;
    struct server again;

    assert_true(server_start(&scene->stage, kind, NULL, &scene->server));
    stage_storage(&scene->stage, "http://127.0.0.1:%u/", scene->server.port);
    stage_start(&scene->stage);
    stage_record(&scene->stage, &entry, "one.wav");
    stage_append(&entry, 30000);
    transfer_offer(scene->stage.transfer, entry.entry);
    stage_append(&entry, 30000);
    server_kill(&scene->server);
    assert_true(stage_wait(killed_store_left, scene->stage.transfer));
    stage_finish(&entry);
    /* Another store takes the place that the document names. */
    assert_true(server_start(&scene->stage, kind, NULL, &again));
    transfer_stop(&scene->stage.transfer);
    scene->server = again;
    scene->stage.config.storages_count = 0;
    free(scene->stage.storages[0].url);
    stage_storage(&scene->stage, "http://127.0.0.1:%u/", again.port);
    stage_start(&scene->stage);
    stage_drop(&entry);
    stage_closed(&scene->stage, &entry, "two.wav", 60000);
    assert_true(stage_wait_state(&entry, ENTRY_POSTED));
    assert_file(scene, "", &entry);
    stage_drop(&entry);
}

static void a_killed_nginx_is_survived(void **state)
{
    assert_outlives(*state, SERVER_NGINX);
}

static void a_killed_rclone_is_survived(void **state)
{
    assert_outlives(*state, SERVER_RCLONE);
}

/* ---- TLS ------------------------------------------------------------------------------------- */

static void run(const char *command)
{
    int status = system(command);

    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
        fail_msg("%s", command);
}

/* A self-signed certificate for @name: key and certificate in one PEM. */
static char *certificate_make(struct stage *stage, const char *file, const char *name)
{
    char command[1024], *path;

    (void)snprintf(command, sizeof(command),
            "cd %s && openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=%s"
            " -addext subjectAltName=%s -keyout %s.key -out %s.crt 2>/dev/null"
            " && cat %s.key %s.crt > %s",
            stage->directory, file, name, file, file, file, file, file);
    run(command);
    assert_true(asprintf(&path, "%s/%s", stage->directory, file) > 0);
    return path;
}

static uint32_t delivered_with_tls(struct scene *scene, const char *served, const char *trusted)
{
    struct stage_entry entry;
    uint32_t left;

    assert_true(server_start(&scene->stage, SERVER_NGINX, served, &scene->server));
    stage_storage(&scene->stage, "https://127.0.0.1:%u/", scene->server.port);
    scene->stage.storages[0].ca_file = trusted ? strdup(trusted) : NULL;
    stage_start(&scene->stage);
    stage_closed(&scene->stage, &entry, "one.wav", 60000);
    if (served == trusted || !trusted)
        left = transfer_drain(scene->stage.transfer, trusted ? STAGE_DEADLINE_MS : 700);
    else
        left = transfer_drain(scene->stage.transfer, 700);
    if (left == 0)
        assert_file(scene, "", &entry);
    else
        assert_int_equal(entry_state(entry.entry), ENTRY_CLOSED);
    stage_drop(&entry);
    return left;
}

static void a_store_with_the_configured_ca_is_trusted(void **state)
{
    struct scene *scene = *state;
    char *good = certificate_make(&scene->stage, "good", "IP:127.0.0.1");

    assert_int_equal(delivered_with_tls(scene, good, good), 0);
    free(good);
}

static void a_store_of_another_ca_gets_nothing(void **state)
{
    struct scene *scene = *state;
    char *good = certificate_make(&scene->stage, "good", "IP:127.0.0.1");
    char *other = certificate_make(&scene->stage, "other", "IP:127.0.0.1");

    assert_int_equal(delivered_with_tls(scene, good, other), 1);
    free(good);
    free(other);
}

static void a_store_of_an_unknown_ca_gets_nothing(void **state)
{
    struct scene *scene = *state;
    char *good = certificate_make(&scene->stage, "good", "IP:127.0.0.1");

    assert_int_equal(delivered_with_tls(scene, good, NULL), 1);
    free(good);
}

static void a_store_with_another_name_gets_nothing(void **state)
{
    struct scene *scene = *state;
    char *wrong = certificate_make(&scene->stage, "wrong", "DNS:store.example");
    char *copy = strdup(wrong);

    assert_int_equal(delivered_with_tls(scene, wrong, copy), 1);
    free(wrong);
    free(copy);
}

/* ---- http_fetch ------------------------------------------------------------------------------ */

struct gathered {
    char bytes[256];
    size_t len;
};

static enum sealtape_status gather(void *context, const void *bytes, size_t len)
{
    struct gathered *gathered = context;

    if (gathered->len + len > sizeof(gathered->bytes))
        return SEALTAPE_E_LIMIT;
    memcpy(gathered->bytes + gathered->len, bytes, len);
    gathered->len += len;
    return SEALTAPE_OK;
}

static enum sealtape_status fetch(
        const char *url, uint64_t offset, uint64_t len, struct gathered *gathered, uint64_t *total)
{
    struct http_fetch fetch = {
            .url = url, .offset = offset, .len = len, .sink = gather, .context = gathered};
    struct diag diag = {""};
    enum sealtape_status st;

    memset(gathered, 0, sizeof(*gathered));
    st = http_fetch(&fetch, total, &diag);
    if (st != SEALTAPE_OK)
        assert_true(diag.text[0] != '\0');
    return st;
}

static void assert_fetches(const char *url)
{
    struct gathered gathered;
    uint64_t total = 0;

    assert_int_equal(fetch(url, 0, 0, &gathered, &total), SEALTAPE_OK);
    assert_int_equal(gathered.len, 10);
    assert_memory_equal(gathered.bytes, "0123456789", 10);
    assert_int_equal(total, 10);
    assert_int_equal(fetch(url, 4, 3, &gathered, &total), SEALTAPE_OK);
    assert_int_equal(gathered.len, 3);
    assert_memory_equal(gathered.bytes, "456", 3);
    assert_int_equal(total, 10);
    assert_int_equal(fetch(url, 8, 0, &gathered, &total), SEALTAPE_OK);
    assert_int_equal(gathered.len, 2);
    assert_int_equal(fetch(url, 8, 100, &gathered, &total), SEALTAPE_OK);
    assert_int_equal(gathered.len, 2);
}

static void a_range_is_fetched_from_a_server_with_ranges(void **state)
{
    struct scene *scene = *state;
    char url[128], path[256];
    FILE *out;

    assert_true(server_start(&scene->stage, SERVER_NGINX, NULL, &scene->server));
    (void)snprintf(path, sizeof(path), "%s/ten", scene->server.root);
    out = fopen(path, "w");
    assert_true(out && fputs("0123456789", out) >= 0 && fclose(out) == 0);
    (void)snprintf(url, sizeof(url), "http://127.0.0.1:%u/ten", scene->server.port);
    assert_fetches(url);
}

static void a_range_is_fetched_from_a_server_without_ranges(void **state)
{
    struct scene *scene = *state;
    char url[128];

    misbehaver_put(scene->processor, "/ten", "0123456789", 10);
    (void)snprintf(url, sizeof(url), "http://127.0.0.1:%u/ten", misbehaver_port(scene->processor));
    assert_fetches(url);
}

static void what_cannot_be_fetched_is_an_error(void **state)
{
    struct scene *scene = *state;
    struct gathered gathered;
    uint64_t total = 42;
    char url[128];

    (void)snprintf(url, sizeof(url), "http://127.0.0.1:%u/none", misbehaver_port(scene->processor));
    assert_int_equal(fetch(url, 0, 0, &gathered, &total), SEALTAPE_E_IO);
    assert_int_equal(fetch("file:///etc/passwd", 0, 0, &gathered, &total), SEALTAPE_E_USAGE);
    assert_int_equal(fetch("http://a:b@127.0.0.1/", 0, 0, &gathered, &total), SEALTAPE_E_USAGE);
    assert_int_equal(fetch("http://192.0.2.1/", 0, 0, &gathered, &total), SEALTAPE_E_USAGE);
    assert_int_equal(total, 42);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
            CASE(nginx_stores),
            CASE(apache_stores),
            CASE(rclone_stores),
            CASE(nginx_is_read_back),
            CASE(a_killed_nginx_is_survived),
            CASE(a_killed_rclone_is_survived),
            CASE(a_store_with_the_configured_ca_is_trusted),
            CASE(a_store_of_another_ca_gets_nothing),
            CASE(a_store_of_an_unknown_ca_gets_nothing),
            CASE(a_store_with_another_name_gets_nothing),
            CASE(a_range_is_fetched_from_a_server_with_ranges),
            CASE(a_range_is_fetched_from_a_server_without_ranges),
            CASE(what_cannot_be_fetched_is_an_error),
    };

    if (argc > 1)
        cmocka_set_test_filter(argv[1]);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
