/*
 * The samples are valid for their schemas and for the reader, and on a table
 * of configurations schema and reader agree: what the schema refuses, the
 * reader refuses too.
 */
#include <fcntl.h>
#include <spawn.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../unit.h"
#include "base/file.h"
#include "profile/config.h"

#define PROFILES "<profiles directory='profiles.d'/>"
#define TRUST "<trust roots='trust/roots.pem'/>"
#define SPOOL "<spool directory='/var/spool/sealtape'/>"
#define STORAGE "<storage url='https://store.example/recordings'/>"
#define PROCESSOR "<processor url='https://rp.example/api'/>"
#define MOST PROFILES TRUST STORAGE PROCESSOR
#define ALL(other) "<sealtape>" other SPOOL MOST "</sealtape>"
#define WITH_SPOOL(attributes) "<sealtape><spool directory='s' " attributes "/>" MOST "</sealtape>"
#define WITH_STORAGE(attributes) ALL("<storage url='https://x/' " attributes "/>")

enum verdict { BOTH_TAKE, READER_REFUSES, BOTH_REFUSE };

static const struct {
    const char *text;
    enum verdict verdict;
} cases[] = {
        {ALL(""), BOTH_TAKE},
        {"<sealtape>" PROCESSOR STORAGE SPOOL TRUST PROFILES "</sealtape>", BOTH_TAKE},
        {"<sealtape instance='a_B-1.c'>" SPOOL MOST "</sealtape>", BOTH_TAKE},
        {ALL("<!-- words --><metrics file='m'/>"), BOTH_TAKE},
        {WITH_SPOOL("quota='2TiB' memory='1MiB' flush='1s' sync='1min' grace='7d'"), BOTH_TAKE},
        {WITH_STORAGE("username='u' password-file='p' ca-file='c' mode='after' verify='digest'"),
                BOTH_TAKE},
        {WITH_STORAGE("username='u' password-env='P_1' live-max='007'"), BOTH_TAKE},
        {ALL("<storage url='http://x/' insecure='yes'/>"), BOTH_TAKE},
        {ALL("<processor url='HTTP://localhost:8080/a?b=c' insecure='no'/>"), BOTH_TAKE},
        {ALL("<processor url='https://[::1]:8443/@'/>"), BOTH_TAKE},

        {"<!DOCTYPE sealtape>" ALL(""), READER_REFUSES},
        {ALL("<storage url='http://x/'/>"), READER_REFUSES},
        {ALL("<storage url='https://x/?a'/>"), READER_REFUSES},
        {ALL("<storage url='https://x:99999/'/>"), READER_REFUSES},
        {ALL("<storage url='https://store.example/' ca-file='c'/>"), READER_REFUSES},
        {WITH_SPOOL("flush='1ms'"), READER_REFUSES},
        {WITH_SPOOL("quota='99999999999999999999TiB'"), READER_REFUSES},
        {WITH_SPOOL("flush='5s'"), READER_REFUSES},
        {WITH_STORAGE("live-max='100001'"), READER_REFUSES},

        {"<sealtape/>", BOTH_REFUSE},
        {"<sealtape xmlns='urn:x'>" SPOOL MOST "</sealtape>", BOTH_REFUSE},
        {"<sealtape>" SPOOL PROFILES TRUST STORAGE "</sealtape>", BOTH_REFUSE},
        {"<sealtape>" SPOOL TRUST STORAGE PROCESSOR "</sealtape>", BOTH_REFUSE},
        {"<sealtape>" MOST "</sealtape>", BOTH_REFUSE},
        {"<sealtape instance=''>" SPOOL MOST "</sealtape>", BOTH_REFUSE},
        {"<sealtape instance='.a'>" SPOOL MOST "</sealtape>", BOTH_REFUSE},
        {"<sealtape instance='a/b'>" SPOOL MOST "</sealtape>", BOTH_REFUSE},
        {ALL("words"), BOTH_REFUSE},
        {ALL("<queue/>"), BOTH_REFUSE},
        {ALL(PROFILES), BOTH_REFUSE},
        {ALL("<metrics file='a'/><metrics file='b'/>"), BOTH_REFUSE},
        {ALL("<metrics file=''/>"), BOTH_REFUSE},
        {ALL("<metrics file='m'><x/></metrics>"), BOTH_REFUSE},
        {ALL("<metrics file='m' x:y='z' xmlns:x='urn:x'/>"), BOTH_REFUSE},
        {WITH_SPOOL("quota='20'"), BOTH_REFUSE},
        {WITH_SPOOL("quota='20GB'"), BOTH_REFUSE},
        {WITH_SPOOL("quota=' 20GiB'"), BOTH_REFUSE},
        {WITH_SPOOL("quota='2.5GiB'"), BOTH_REFUSE},
        {WITH_SPOOL("flush='1m'"), BOTH_REFUSE},
        {WITH_SPOOL("sync=''"), BOTH_REFUSE},
        {WITH_SPOOL("crl-stale='warn'"), BOTH_REFUSE},
        {WITH_STORAGE("mode=' live'"), BOTH_REFUSE},
        {WITH_STORAGE("verify='yes'"), BOTH_REFUSE},
        {WITH_STORAGE("live-max='0'"), BOTH_REFUSE},
        {WITH_STORAGE("live-max='-1'"), BOTH_REFUSE},
        {WITH_STORAGE("insecure='1'"), BOTH_REFUSE},
        {WITH_STORAGE("username='u'"), BOTH_REFUSE},
        {WITH_STORAGE("password-file='p'"), BOTH_REFUSE},
        {WITH_STORAGE("username='u:v' password-file='p'"), BOTH_REFUSE},
        {WITH_STORAGE("username='u' password-file='p' password-env='P'"), BOTH_REFUSE},
        {WITH_STORAGE("username='u' password-env='P-1'"), BOTH_REFUSE},
        {WITH_STORAGE("password='p'"), BOTH_REFUSE},
        {ALL("<storage/>"), BOTH_REFUSE},
        {ALL("<storage url='ftp://x/'/>"), BOTH_REFUSE},
        {ALL("<storage url='https:///x'/>"), BOTH_REFUSE},
        {ALL("<storage url='https://u:p@x/'/>"), BOTH_REFUSE},
        {ALL("<storage url='https://x/#y'/>"), BOTH_REFUSE},
        {ALL("<storage url='https://x/a b'/>"), BOTH_REFUSE},
        {ALL("<processor url='https://x/' mode='live'/>"), BOTH_REFUSE},
};

static char directory[] = "/tmp/sealtape-schema-XXXXXX";
static char path[64];

/* xmllint's exit is 0 where a document is valid, 3 where it is not. */
static bool schema_takes(const char *schema, const char *document)
{
    extern char **environ;
    const char *const argv[] = {
            getenv("XMLLINT"), "--nonet", "--noout", "--relaxng", schema, document, NULL};
    posix_spawn_file_actions_t actions;
    int status = 0;
    pid_t pid;

    assert_non_null(argv[0]);
    assert_int_equal(posix_spawn_file_actions_init(&actions), 0);
    assert_int_equal(posix_spawn_file_actions_addopen(&actions, 2, "/dev/null", O_WRONLY, 0), 0);
    assert_int_equal(
            posix_spawn(&pid, argv[0], &actions, NULL, (char *const *)(uintptr_t)argv, environ), 0);
    assert_int_equal(posix_spawn_file_actions_destroy(&actions), 0);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    assert_true(WEXITSTATUS(status) == 0 || WEXITSTATUS(status) == 3);
    return WEXITSTATUS(status) == 0;
}

static void file_of_profiles(const char *name, char ret_path[4096])
{
    assert_non_null(getenv("PROFILES"));
    assert_true(snprintf(ret_path, 4096, "%s/%s", getenv("PROFILES"), name) < 4096);
}

static void the_schema_never_refuses_what_the_reader_takes(void **state)
{
    char schema[4096];

    (void)state;
    file_of_profiles("sealtape.rng", schema);
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        size_t len = strlen(cases[i].text);
        struct config *config = NULL;
        struct diag diag = {"no reason"};
        enum sealtape_status st = config_parse(path, cases[i].text, len, &config, &diag);

        if ((st == SEALTAPE_OK) != (cases[i].verdict == BOTH_TAKE))
            fail_msg("the reader: %s: %s", cases[i].text, diag.text);
        config_free(&config);
        assert_int_equal(file_replace(AT_FDCWD, path, cases[i].text, len, 0, NULL), SEALTAPE_OK);
        if (schema_takes(schema, path) != (cases[i].verdict != BOTH_REFUSE))
            fail_msg("the schema: %s", cases[i].text);
    }
}

static void the_sample_configuration_is_taken_by_both(void **state)
{
    struct config *config = NULL;
    struct diag diag = {""};
    char schema[4096], sample[4096];

    (void)state;
    file_of_profiles("sealtape.rng", schema);
    file_of_profiles("sealtape.xml", sample);
    assert_true(schema_takes(schema, sample));
    if (config_load(sample, &config, &diag) != SEALTAPE_OK)
        fail_msg("%s", diag.text);
    assert_int_equal(config->storages_count, 2);
    assert_string_equal(config->storages[1].password_env, "SEALTAPE_STORE_2");
    assert_int_equal(access(config->trust.roots, R_OK), 0);
    assert_int_equal(access(config->trust.crls, R_OK), 0);
    assert_int_equal(access(config->storages[0].ca_file, R_OK), 0);
    assert_int_equal(access(config->profiles.directory, X_OK), 0);
    config_free(&config);
}

static void the_sample_profiles_are_valid(void **state)
{
    static const char *const samples[] = {"profiles.d/record.xml", "profiles.d/tenants.xml"};
    char schema[4096], sample[4096];

    (void)state;
    file_of_profiles("profile.rng", schema);
    for (size_t i = 0; i < ARRAY_COUNT(samples); i++) {
        file_of_profiles(samples[i], sample);
        assert_true(schema_takes(schema, sample));
    }
}

static void profiles_without_what_they_need_are_invalid(void **state)
{
    static const char *const bad[] = {
            "<Other/>",
            "<ConfData><CfgGVPIVRProfile><name value='x'/></CfgGVPIVRProfile></ConfData>",
            "<ConfData><CfgGVPIVRProfile><DBID value='0'/><name value='x'/></CfgGVPIVRProfile>"
            "</ConfData>",
            "<ConfData><CfgGVPIVRProfile><DBID value='7'/></CfgGVPIVRProfile></ConfData>",
            "<ConfData><CfgGVPIVRProfile><DBID value='7'/><name value='x'/><userProperties>"
            "<list_pair key='a'><str_pair key='b'/></list_pair></userProperties>"
            "</CfgGVPIVRProfile></ConfData>",
            "<CfgData><CfgCreate><CfgGVPIVRProfile id='x' name='y'/></CfgCreate></CfgData>",
            "<CfgData><CfgCreate><CfgGVPIVRProfile id='x7'/></CfgCreate></CfgData>",
    };
    char schema[4096];

    (void)state;
    file_of_profiles("profile.rng", schema);
    for (size_t i = 0; i < ARRAY_COUNT(bad); i++) {
        assert_int_equal(
                file_replace(AT_FDCWD, path, bad[i], strlen(bad[i]), 0, NULL), SEALTAPE_OK);
        if (schema_takes(schema, path))
            fail_msg("%s", bad[i]);
    }
}

static int make_directory(void **state)
{
    (void)state;
    if (!mkdtemp(directory))
        return -1;
    (void)snprintf(path, sizeof(path), "%s/a.xml", directory);
    return 0;
}

static int remove_directory(void **state)
{
    (void)state;
    unlink(path);
    return rmdir(directory);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
            cmocka_unit_test(the_schema_never_refuses_what_the_reader_takes),
            cmocka_unit_test(the_sample_configuration_is_taken_by_both),
            cmocka_unit_test(the_sample_profiles_are_valid),
            cmocka_unit_test(profiles_without_what_they_need_are_invalid),
    };

    return cmocka_run_group_tests(tests, make_directory, remove_directory);
}
