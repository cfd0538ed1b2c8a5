#include "profile/config.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../allocation.h"
#include "../unit.h"

#define PROFILES "<profiles directory='profiles.d'/>\n"
#define TRUST "<trust roots='trust/roots.pem'/>\n"
#define SPOOL "<spool directory='/var/spool/sealtape'/>\n"
#define STORAGE "<storage url='https://store.example/recordings'/>\n"
#define PROCESSOR "<processor url='https://rp.example/api'/>\n"
#define REST TRUST SPOOL STORAGE PROCESSOR "</sealtape>\n"
#define LEAST "<sealtape>\n" PROFILES REST
/* A whole configuration with one other line, the third. */
#define WITH(line) "<sealtape>\n" PROFILES line "\n" REST
#define WITH_SPOOL(attributes)                                                                     \
    "<sealtape>\n" PROFILES "<spool directory='s' " attributes "/>\n" TRUST STORAGE PROCESSOR      \
    "</sealtape>"
#define WITH_STORAGE(attributes)                                                                   \
    "<sealtape>\n" PROFILES "<storage " attributes "/>\n" TRUST SPOOL PROCESSOR "</sealtape>"

static struct config *parsed(const char *text)
{
    struct config *config = NULL;
    struct diag diag = {""};

    if (config_parse("/etc/sealtape/sealtape.xml", text, strlen(text), &config, &diag)
            != SEALTAPE_OK)
        fail_msg("%s", diag.text);
    return config;
}

static void what_is_not_said_has_the_documented_default(void **state)
{
    struct config *config = parsed(LEAST);
    char host[65] = "";

    (void)state;
    assert_int_equal(gethostname(host, 64), 0);
    assert_string_equal(config->path, "/etc/sealtape/sealtape.xml");
    assert_int_equal(strlen(config->instance), strlen(host));
    assert_string_equal(config->profiles.directory, "/etc/sealtape/profiles.d");
    assert_string_equal(config->profiles.cache, "/var/spool/profile-cache");
    assert_string_equal(config->trust.roots, "/etc/sealtape/trust/roots.pem");
    assert_null(config->trust.crls);
    assert_int_equal(config->trust.crl_stale, CONFIG_WARN);
    assert_int_equal(config->trust.weak_keys, CONFIG_REFUSE);
    assert_string_equal(config->spool.directory, "/var/spool/sealtape");
    assert_int_equal(config->spool.quota_bytes, UINT64_C(20) << 30);
    assert_int_equal(config->spool.memory_bytes, 256 << 20);
    assert_int_equal(config->spool.flush_ms, 250);
    assert_int_equal(config->spool.sync_ms, 1000);
    assert_int_equal(config->spool.grace_ms, 600000);
    assert_int_equal(config->storages_count, 1);
    assert_string_equal(config->storages[0].url, "https://store.example/recordings/");
    assert_null(config->storages[0].username);
    assert_null(config->storages[0].password_file);
    assert_null(config->storages[0].password_env);
    assert_null(config->storages[0].ca_file);
    assert_false(config->storages[0].insecure);
    assert_int_equal(config->storages[0].mode, CONFIG_LIVE);
    assert_int_equal(config->storages[0].live_max, 100);
    assert_int_equal(config->storages[0].verify, CONFIG_VERIFY_LENGTH);
    assert_int_equal(config->storages[0].line, 5);
    assert_int_equal(config->processors_count, 1);
    assert_string_equal(config->processors[0].url, "https://rp.example/api");
    assert_null(config->metrics_file);
    config_free(&config);
    assert_null(config);
    config_free(&config);
}

static void every_option_is_read(void **state)
{
    struct config *config = parsed(
            "<sealtape instance='mcp-01.a_B'>\n"
            "<profiles directory='/p/' cache='c'/>\n"
            "<trust roots='r' crls='/x/crls.pem' crl-stale='refuse' weak-keys='warn'/>\n"
            "<spool directory='s//' quota='2TiB' memory='64MiB' flush='100ms' sync='2s' "
            "grace='0s'/>\n"
            "<storage url='https://a.example' username='u' password-file='secrets/a' ca-file='ca' "
            "mode='after' live-max='7' verify='digest'/>\n"
            "<storage url='http://b.example:81/x/' username='v' password-env='B_1' "
            "insecure='yes'/>\n"
            "<processor url='http://127.0.0.1:8080/api'/>\n"
            "<processor url='https://c.example/?x=1' insecure='no'/>\n"
            "<metrics file='m.prom'/></sealtape>");
    const struct config_destination *a = &config->storages[0], *b = &config->storages[1];

    (void)state;
    assert_string_equal(config->instance, "mcp-01.a_B");
    assert_string_equal(config->profiles.directory, "/p");
    assert_string_equal(config->profiles.cache, "/etc/sealtape/c");
    assert_string_equal(config->trust.crls, "/x/crls.pem");
    assert_int_equal(config->trust.crl_stale, CONFIG_REFUSE);
    assert_int_equal(config->trust.weak_keys, CONFIG_WARN);
    assert_string_equal(config->spool.directory, "/etc/sealtape/s");
    assert_int_equal(config->spool.quota_bytes, UINT64_C(2) << 40);
    assert_int_equal(config->spool.memory_bytes, 64 << 20);
    assert_int_equal(config->spool.flush_ms, 100);
    assert_int_equal(config->spool.sync_ms, 2000);
    assert_int_equal(config->spool.grace_ms, 0);
    assert_int_equal(config->storages_count, 2);
    assert_string_equal(a->url, "https://a.example/");
    assert_string_equal(a->username, "u");
    assert_string_equal(a->password_file, "/etc/sealtape/secrets/a");
    assert_string_equal(a->ca_file, "/etc/sealtape/ca");
    assert_int_equal(a->mode, CONFIG_AFTER);
    assert_int_equal(a->live_max, 7);
    assert_int_equal(a->verify, CONFIG_VERIFY_DIGEST);
    assert_string_equal(b->url, "http://b.example:81/x/");
    assert_string_equal(b->password_env, "B_1");
    assert_true(b->insecure);
    assert_int_equal(config->processors_count, 2);
    assert_string_equal(config->processors[1].url, "https://c.example/?x=1");
    assert_string_equal(config->metrics_file, "/etc/sealtape/m.prom");
    config_free(&config);
}

/* Everything behind "sealtape.xml:" where it begins with a line, else a part. */
static const struct {
    const char *text, *reason;
} wrong[] = {
        {"", "1: the file is empty"},
        {"<sealtape>", "1: not well-formed XML: "},
        {"<!DOCTYPE sealtape>" LEAST, "1: a DOCTYPE is not allowed"},
        {"\n<sealtap/>", "2: expected <sealtape>, found <sealtap>"},
        {"<sealtape xmlns='urn:x'>" PROFILES REST, "1: expected no namespace, found \"urn:x\""},
        {"<sealtape>\nwords " PROFILES REST, "2: expected no text in <sealtape>, found some"},
        {"<sealtape instance='a b'>" PROFILES REST, "1: sealtape/@instance: expected 1 to 64 "
                                                    "letters, digits, \".\", \"_\" or \"-\", not "
                                                    "\".\" first, found \"a b\""},
        {"<sealtape instance=''>" PROFILES REST, "found \"\""},
        {"<sealtape instance='..'>" PROFILES REST, "found \"..\""},
        {"<sealtape instanze='a'>" PROFILES REST, "1: <sealtape> knows the attribute instance, "
                                                  "found instanze; did you mean instance?"},
        {"<sealtape>\n" REST, "1: expected the element <profiles> in <sealtape>, found none"},
        {"<sealtape>\n" PROFILES SPOOL STORAGE PROCESSOR "</sealtape>",
                "1: expected the element <trust> in <sealtape>, found none"},
        {"<sealtape>\n" PROFILES TRUST STORAGE PROCESSOR "</sealtape>",
                "1: expected the element <spool> in <sealtape>, found none"},
        {"<sealtape>\n" PROFILES TRUST SPOOL PROCESSOR "</sealtape>",
                "1: expected the element <storage> in <sealtape>, found none"},
        {"<sealtape>\n" PROFILES TRUST SPOOL STORAGE "</sealtape>",
                "1: expected the element <processor> in <sealtape>, found none"},
        {WITH("<storrage url='https://x/'/>"), "3: expected <profiles>, <trust>, <spool>, "
                                               "<storage>, <processor> or <metrics>, found "
                                               "<storrage>; did you mean <storage>?"},
        {WITH("<queue/>"), "or <metrics>, found <queue>"},
        {WITH("<profiles directory='x'/>"),
                "3: expected one <profiles>, found a second; the first is in line 2"},
        {WITH("<metrics file='a'/><metrics file='b'/>"),
                "3: expected one <metrics>, found a second; the first is in line 3"},
        {WITH("<metrics/>"), "3: expected the attribute file in <metrics>, found none"},
        {WITH("<metrics file=''/>"), "3: metrics/@file: expected a path, found \"\""},
        {WITH("<metrics file='a&#10;b'/>"), "3: metrics/@file: expected a path, found \"a b\""},
        {WITH("<metrics file='a'><x/></metrics>"),
                "3: expected no element in <metrics>, found <x>"},
        {"<sealtape>\n<profiles/>" REST,
                "2: expected the attribute directory in <profiles>, found none"},
        {"<sealtape>\n<profiles directory='x' cache='x/'/>" REST,
                "2: expected three directories for profiles, cache and spool, found one twice"},
        {"<sealtape>\n<trust crls='x'/>" PROFILES SPOOL STORAGE PROCESSOR "</sealtape>",
                "2: expected the attribute roots in <trust>, found none"},
        {"<sealtape>\n<trust roots='x' crl-stale='ignore'/></sealtape>",
                "2: trust/@crl-stale: expected warn or refuse, found \"ignore\""},
        {"<sealtape>\n<trust roots='x'\nweak-key='warn'/></sealtape>",
                "3: <trust> knows the attributes roots, crls, crl-stale or weak-keys, found "
                "weak-key; "
                "did you mean weak-keys?"},
        {WITH_SPOOL("quota='20'"),
                "3: spool/@quota: expected a size in KiB, MiB, GiB or TiB, 1MiB to 1024TiB, found "
                "\"20\""},
        {WITH_SPOOL("quota='20GB'"), "found \"20GB\""},
        {WITH_SPOOL("quota='0MiB'"), "1MiB to 1024TiB, found \"0MiB\""},
        {WITH_SPOOL("quota='1025TiB'"), "1MiB to 1024TiB, found \"1025TiB\""},
        {WITH_SPOOL("memory='512KiB'"), "1MiB to 64GiB, found \"512KiB\""},
        {WITH_SPOOL("memory='2GiB' quota='1GiB'"),
                "3: spool/@memory: expected no more than quota, found more"},
        {WITH_SPOOL("flush='49ms'"), "3: spool/@flush: expected a time in ms, s, min, h or d, 50ms "
                                     "to 10s, found \"49ms\""},
        {WITH_SPOOL("flush='1 s'"), "found \"1 s\""},
        {WITH_SPOOL("sync='2min'"), "100ms to 60s, found \"2min\""},
        {WITH_SPOOL("flush='2s'"),
                "3: spool/@sync: expected no less than flush (2000ms), found 1000ms"},
        {WITH_SPOOL("grace='-1s'"), "0s to 30d, found \"-1s\""},
        {WITH_SPOOL("grace='31d'"), "0s to 30d, found \"31d\""},
        {WITH_STORAGE(""), "3: expected the attribute url in <storage>, found none"},
        {WITH_STORAGE("url='ftp://x/'"),
                "3: storage/@url: expected a URL that begins with https:// or http://"},
        {WITH_STORAGE("url='https://u:p@x/'"),
                "3: storage/@url: expected a URL without userinfo, found an \"@\" before its path"},
        {WITH_STORAGE("url='https://x/?a=b'"),
                "3: storage/@url: expected the URL of a collection, found a query behind it"},
        {WITH_STORAGE("url='http://store.example/'"),
                "3: expected https to the host \"store.example\", found http; use https, or "
                "insecure=\"yes\" where the network is trusted"},
        {WITH_STORAGE("url='http://127.example/' insecure='no'"), "found http"},
        {WITH_STORAGE("url='https://x/' insecure='true'"),
                "3: storage/@insecure: expected yes or no, found \"true\""},
        {WITH_STORAGE("url='https://x/' mode='Live'"),
                "3: storage/@mode: expected live or after, found \"Live\""},
        {WITH_STORAGE("url='https://x/' verify='etag'"),
                "3: storage/@verify: expected length or digest, found \"etag\""},
        {WITH_STORAGE("url='https://x/' live-max='0'"),
                "3: storage/@live-max: expected a number, 1 to 100000, found \"0\""},
        {WITH_STORAGE("url='https://x/' live-max='1e3'"), "found \"1e3\""},
        {WITH_STORAGE("url='https://x/' live-max='99999999999'"), "found \"99999999999\""},
        {WITH_STORAGE("url='https://x/' username='a:b' password-file='p'"),
                "3: storage/@username: expected a name without \":\" and control characters"},
        {WITH_STORAGE("url='https://x/' username='a'"),
                "3: expected username with password-file or password-env in <storage>, found "
                "username "
                "alone"},
        {WITH_STORAGE("url='https://x/' password-file='a'"), "found password-file alone"},
        {WITH_STORAGE("url='https://x/' password-env='A'"), "found password-env alone"},
        {WITH_STORAGE("url='https://x/' username='u' password-file='p' password-env='A'"),
                "3: expected password-file or password-env in <storage>, found both"},
        {WITH_STORAGE("url='https://x/' username='u' password-env='1A'"),
                "3: storage/@password-env: expected the name of an environment variable, found "
                "\"1A\""},
        {WITH_STORAGE("url='https://x/' password='tiger'"),
                "ca-file, insecure, mode, live-max or verify, found password"},
        {WITH("<processor url='https://x/' mode='live'/>"),
                "3: <processor> knows the attributes url, username, password-file, password-env, "
                "ca-file or insecure, found mode"},
        {WITH("<storage url='https://store.example:443/other' username='u' password-file='p'/>"),
                "6: expected the username, password and ca-file of line 3 for the same origin "
                "(https://store.example:443), found others"},
        {WITH("<storage url='https://STORE.example/' ca-file='x'/>"), "6: expected the username"},
        {WITH("<processor url='https://store.example/' ca-file='x'/>"), "6: expected the username"},
};

static void what_is_wrong_is_told_with_its_line(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(wrong); i++) {
        struct config *config = NULL;
        struct diag diag = {""};
        char reason[DIAG_TEXT_MAX];

        if (config_parse("sealtape.xml", wrong[i].text, strlen(wrong[i].text), &config, &diag)
                != SEALTAPE_E_CONFIG)
            fail_msg("taken: %s", wrong[i].text);
        assert_null(config);
        (void)snprintf(reason, sizeof(reason), "%s%s",
                strncmp(wrong[i].reason + 1, ": ", 2) == 0 ? "sealtape.xml:" : "", wrong[i].reason);
        assert_contains(diag.text, reason);
        assert_null(strstr(diag.text, "tiger"));
    }
}

static void more_destinations_than_the_limit_are_refused(void **state)
{
    char text[4096] = "<sealtape>\n" PROFILES TRUST SPOOL PROCESSOR;
    struct config *config = NULL;
    struct diag diag;

    (void)state;
    for (unsigned i = 0; i < CONFIG_DESTINATIONS_MAX; i++)
        strcat(text, STORAGE);
    assert_int_equal(strlen(text) < sizeof(text) - 200, 1);
    strcat(text, "<storage url='https://x/'/></sealtape>");
    assert_int_equal(config_parse("a", text, strlen(text), &config, &diag), SEALTAPE_E_CONFIG);
    assert_contains(diag.text, "a:22: expected at most 16 <storage>, found more");
}

static void the_same_credentials_for_one_origin_are_fine(void **state)
{
    struct config *config = parsed(WITH(
            "<storage url='https://store.example/other'/><processor url='https://rp.example'/>"));

    (void)state;
    assert_int_equal(config->storages_count, 2);
    config_free(&config);
}

static void a_file_is_loaded_and_its_place_is_the_base_of_paths(void **state)
{
    char directory[] = "/tmp/sealtape-config-XXXXXX", path[64], expected[64], here[4096];
    struct config *config = NULL;
    struct diag diag = {""};
    FILE *file;

    (void)state;
    assert_non_null(mkdtemp(directory));
    (void)snprintf(path, sizeof(path), "%s/c.xml", directory);
    assert_int_equal(config_load(path, &config, &diag), SEALTAPE_E_IO);
    assert_contains(diag.text, "c.xml: cannot read: No such file");
    file = fopen(path, "w");
    assert_non_null(file);
    assert_int_equal(fputs(LEAST, file) >= 0, 1);
    assert_int_equal(fclose(file), 0);
    (void)snprintf(expected, sizeof(expected), "%s/profiles.d", directory);
    assert_int_equal(config_load(path, &config, &diag), SEALTAPE_OK);
    assert_string_equal(config->profiles.directory, expected);
    config_free(&config);

    assert_non_null(getcwd(here, sizeof(here)));
    assert_int_equal(chdir(directory), 0);
    assert_int_equal(config_load("c.xml", &config, &diag), SEALTAPE_OK);
    assert_string_equal(config->path, path);
    assert_string_equal(config->profiles.directory, expected);
    config_free(&config);
    assert_int_equal(chdir(here), 0);

    assert_int_equal(truncate(path, (2 << 20)), 0);
    assert_int_equal(config_load(path, &config, &diag), SEALTAPE_E_CONFIG);
    assert_contains(diag.text, "at most 1048576 are read");
    assert_int_equal(unlink(path), 0);
    assert_int_equal(rmdir(directory), 0);
}

static void every_allocation_that_fails_is_told_and_nothing_leaks(void **state)
{
    static const char text[] = "<sealtape>\n<profiles directory='p'/>" TRUST SPOOL STORAGE
                               "<storage url='https://a.example' username='u' password-file='a' "
                               "ca-file='ca'/>" PROCESSOR "<metrics file='m'/></sealtape>";
    unsigned failed = 0;

    (void)state;
    for (;; failed++) {
        struct config *config = NULL;
        struct diag diag = {""};
        enum sealtape_status st;
        bool through;

        allocation_fail(failed + 1);
        st = config_parse("relative.xml", text, strlen(text), &config, &diag);
        through = !allocation_failed();
        if (through) {
            assert_int_equal(st, SEALTAPE_OK);
            config_free(&config);
            break;
        }
        assert_int_equal(st, SEALTAPE_E_MEMORY);
        assert_null(config);
        assert_contains(diag.text, "no memory");
    }
    assert_true(failed > 15);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
            cmocka_unit_test(what_is_wrong_is_told_with_its_line),
            cmocka_unit_test(more_destinations_than_the_limit_are_refused),
            cmocka_unit_test(what_is_not_said_has_the_documented_default),
            cmocka_unit_test(every_option_is_read),
            cmocka_unit_test(the_same_credentials_for_one_origin_are_fine),
            cmocka_unit_test(every_allocation_that_fails_is_told_and_nothing_leaks),
            cmocka_unit_test(a_file_is_loaded_and_its_place_is_the_base_of_paths),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
