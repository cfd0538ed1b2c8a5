/*
 * The samples as a recorder loads them: each profile is in force, each
 * certificate may be recorded to.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../unit.h"
#include "base/clock.h"
#include "profile/config.h"
#include "profile/profile.h"

static char cache[] = "/tmp/sealtape-samples-XXXXXX";

struct loaded {
    struct config *config;
    struct profile_directory *directory;
    struct profile_snapshot *snapshot;
};

static int load(void **state)
{
    static struct loaded loaded;
    char path[4096];
    struct diag diag = {""};

    if (!mkdtemp(cache) || !getenv("PROFILES"))
        return -1;
    (void)snprintf(path, sizeof(path), "%s/sealtape.xml", getenv("PROFILES"));
    if (config_load(path, &loaded.config, &diag) != SEALTAPE_OK) {
        print_error("%s\n", diag.text);
        return -1;
    }
    /* The one of the sample is where a recorder has it. */
    free(loaded.config->profiles.cache);
    loaded.config->profiles.cache = strdup(cache);
    if (profile_directory_open(loaded.config, NULL, NULL, &loaded.directory, &diag)
            != SEALTAPE_OK) {
        print_error("%s\n", diag.text);
        return -1;
    }
    loaded.snapshot = profile_directory_snapshot(loaded.directory);
    *state = &loaded;
    return 0;
}

static int unload(void **state)
{
    struct loaded *loaded = *state;
    char command[128];

    profile_snapshot_release(&loaded->snapshot);
    profile_directory_close(&loaded->directory);
    config_free(&loaded->config);
    (void)snprintf(command, sizeof(command), "rm -rf %s", cache);
    return system(command);
}

static void nothing_is_complained_about(void **state)
{
    const struct loaded *loaded = *state;
    char **complaints = profile_directory_complaints(loaded->directory);

    assert_non_null(complaints);
    if (complaints[0])
        fail_msg("%s", complaints[0]);
    free(complaints);
}

static void every_profile_of_every_form_is_in_force(void **state)
{
    static const struct {
        uint32_t dbid, tenant_dbid;
        const char *name, *tenant;
        size_t certificates;
        unsigned key_bits;
    } expected[] = {
            {107, 101, "record", "Acme", 2, 256},
            {108, 101, "record-all", "Acme", 1, 256},
            {109, 102, "Kundendienst Z\xc3\xbcrich", "Kundendienst Z\xc3\xbcrich", 2, 256},
            {110, 101, "record-announcements", "Acme", 1, 128},
    };
    const struct loaded *loaded = *state;

    assert_int_equal(profile_snapshot_count(loaded->snapshot), ARRAY_COUNT(expected));
    for (size_t i = 0; i < ARRAY_COUNT(expected); i++) {
        const struct profile *profile = profile_snapshot_at(loaded->snapshot, i);

        assert_int_equal(profile->dbid, expected[i].dbid);
        assert_int_equal(profile->tenant_dbid, expected[i].tenant_dbid);
        assert_string_equal(profile->name, expected[i].name);
        assert_string_equal(profile->tenant, expected[i].tenant);
        assert_int_equal(profile->certificates_count, expected[i].certificates);
        assert_int_equal(profile->key_bits, expected[i].key_bits);
        assert_true(profile->enabled);
    }
}

static void every_certificate_may_be_recorded_to(void **state)
{
    const struct loaded *loaded = *state;
    struct trust *trust = profile_snapshot_trust(loaded->snapshot);
    struct diag warning = {""}, diag = {""};
    int64_t now_ms = 0;

    assert_int_equal(timestamp_parse("2026-03-02T09:15:00.000Z", &now_ms), SEALTAPE_OK);
    for (size_t i = 0; i < profile_snapshot_count(loaded->snapshot); i++) {
        const struct profile *profile = profile_snapshot_at(loaded->snapshot, i);

        for (size_t j = 0; j < profile->certificates_count; j++) {
            if (certificate_check(profile->certificates[j], trust, now_ms, &warning, &diag)
                    != SEALTAPE_OK)
                fail_msg("%s", diag.text);
            assert_string_equal(warning.text, "");
        }
    }
}

static void an_alias_is_built_where_none_is_given(void **state)
{
    const struct loaded *loaded = *state;
    struct diag diag = {""};
    const struct profile *profile = profile_find(loaded->snapshot, 107, &diag);

    assert_non_null(profile);
    assert_string_equal(certificate_facts(profile->certificates[0])->alias,
            "rcs_Acme:101:C=US,O=Example,CN=Recording CA:4097");
    assert_string_equal(certificate_facts(profile->certificates[1])->alias, "acme-second-site");
    assert_null(profile_find(loaded->snapshot, 111, &diag));
    assert_contains(diag.text, "111");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
            cmocka_unit_test(nothing_is_complained_about),
            cmocka_unit_test(every_profile_of_every_form_is_in_force),
            cmocka_unit_test(every_certificate_may_be_recorded_to),
            cmocka_unit_test(an_alias_is_built_where_none_is_given),
    };

    return cmocka_run_group_tests(tests, load, unload);
}
