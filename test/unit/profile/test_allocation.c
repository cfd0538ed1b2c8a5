/* What readers, cache and directory do when any one allocation fails. */
#include "../allocation.h"
#include "../unit.h"
#include "base/clock.h"
#include "profile/annex.h"
#include "profile/cache.h"
#include "profile/snapshot.h"
#include "site.h"

/* An export with everything that is read from one: certificates, a chain, options. */
static char *export_text(void)
{
    char *line = material_line("one", "&#13;&#10;"), *chain = material_line("issuing", " ");
    char *annex = text_format(
            "<list_pair key=\"recording-certificates\">\n"
            "<str_pair key=\"certificate-1\" value=\"%s%s\"/>\n</list_pair>\n"
            "<list_pair key=\"gvp.service-parameters\">\n"
            "<str_pair key=\"recordingclient.recdest\" value=\"fixed,https://a.example/\"/>\n"
            "<str_pair key=\"recordingclient.callrec_dest\" "
            "value=\"default,https://b.example/\"/>\n"
            "</list_pair>",
            line, chain);
    char *profile = conf_profile(107, "record", annex);
    char *text = text_format("<ConfData>\n%s</ConfData>\n", profile);

    free(line);
    free(chain);
    free(annex);
    free(profile);
    return text;
}

typedef enum sealtape_status annex_reader(const char *file, const char *bytes, size_t len,
        struct annex_list *ret_list, struct diag *diag);

static void read_annex(annex_reader *read, const char *file, const char *text)
{
    unsigned nth = 0;
    bool failed;

    do {
        struct annex_list list = {NULL, 0, 0};
        struct diag diag = {""};
        enum sealtape_status st;

        allocation_fail(++nth);
        st = read(file, text, strlen(text), &list, &diag);
        failed = allocation_failed();
        assert_int_equal(st, failed ? SEALTAPE_E_MEMORY : SEALTAPE_OK);
        assert_int_equal(list.count, failed ? 0 : 1);
        if (failed)
            assert_contains(diag.text, "no memory");
        annex_list_clear(&list);
    } while (failed);
    assert_true(nth > 10);
}

static void an_annex_is_read_whole_or_not_at_all(void **state)
{
    char *text = export_text(), *line = material_line("one", "\n");
    char *options = text_format("[recording-certificates]\ncertificate-1=%s\n"
                                "[recording-encryption]\ncipher=aes-128-cbc\n",
            line);

    (void)state;
    read_annex(annex_read_export, "record.xml", text);
    read_annex(annex_read_options, "107.cfg", options);
    free(options);
    free(line);
    free(text);
}

static enum sealtape_status publish(const struct annex *annex, struct trust *trust,
        struct profile_snapshot **ret_snapshot, struct diag *diag)
{
    CLEANUP(snapshot_parts_clear) struct snapshot_parts parts = {0};
    struct pool *pool = NULL;
    enum sealtape_status st;

    st = pool_new(&pool, diag);
    if (st != SEALTAPE_OK)
        return st;
    parts.profiles = calloc(1, sizeof(struct shared_profile *));
    parts.broken = strdup("a.xml");
    if (!parts.profiles || !parts.broken)
        st = diag_fail(diag, SEALTAPE_E_MEMORY, "no memory");
    else
        st = shared_profile_new(annex, NULL, pool, &parts.profiles[0], diag);
    if (st == SEALTAPE_OK) {
        parts.profiles_count = 1;
        st = snapshot_new(&parts, trust, ret_snapshot, diag);
    }
    pool_free(&pool);
    return st;
}

static void a_profile_is_understood_whole_or_not_at_all(void **state)
{
    struct site *site = site_new();
    struct annex_list list = {NULL, 0, 0};
    struct trust *trust = NULL;
    char *text = export_text();
    unsigned nth = 0;
    bool failed;

    (void)state;
    assert_int_equal(trust_load(site->config, &trust, NULL), SEALTAPE_OK);
    assert_int_equal(annex_read_export("record.xml", text, strlen(text), &list, NULL), SEALTAPE_OK);
    do {
        struct profile_snapshot *snapshot = NULL;
        struct diag diag = {""};
        enum sealtape_status st;

        allocation_fail(++nth);
        st = publish(list.items[0], trust, &snapshot, &diag);
        failed = allocation_failed();
        assert_int_equal(st, failed ? SEALTAPE_E_MEMORY : SEALTAPE_OK);
        assert_int_equal(snapshot != NULL, !failed);
        if (failed)
            assert_contains(diag.text, "no memory");
        else
            assert_non_null(profile_find(snapshot, 107, &diag));
        profile_snapshot_release(&snapshot);
    } while (failed);
    assert_true(nth > 10);
    annex_list_clear(&list);
    trust_release(&trust);
    free(text);
    site_free(&site);
}

static enum sealtape_status keep_and_get(
        const char *directory, char **ret_text, size_t *ret_len, struct diag *diag)
{
    CLEANUP(cache_close) struct cache *cache = NULL;
    enum sealtape_status st;

    st = cache_open(directory, &cache, diag);
    if (st == SEALTAPE_OK)
        st = cache_put(cache, "a.xml", "text", 4, diag);
    if (st == SEALTAPE_OK)
        st = cache_get(cache, "a.xml", ret_text, ret_len, diag);
    return st == SEALTAPE_OK ? cache_drop(cache, "a.xml", diag) : st;
}

static void the_cache_keeps_a_text_or_says_why_not(void **state)
{
    struct site *site = site_new();
    char *directory = site_path(site, "cache");
    unsigned nth = 0;
    bool failed;

    (void)state;
    do {
        char *text = NULL;
        size_t len = 0;
        struct diag diag = {""};
        enum sealtape_status st;

        allocation_fail(++nth);
        st = keep_and_get(directory, &text, &len, &diag);
        failed = allocation_failed();
        /* Parents of the directory that cannot be made may be there already. */
        assert_true(st == SEALTAPE_OK || (failed && st == SEALTAPE_E_MEMORY));
        assert_int_equal(text != NULL, st == SEALTAPE_OK);
        if (st != SEALTAPE_OK)
            assert_contains(diag.text, "no memory");
        free(text);
    } while (failed);
    assert_true(nth > 3);
    free(directory);
    site_free(&site);
}

/* Only we look: the watching thread waits an hour for each change to settle. */
static const struct directory_timing still = {3600 * 1000, 3600 * 1000, 3600 * 1000};

static void a_reload_without_memory_is_made_good_by_the_next(void **state)
{
    struct site *site = site_new();
    unsigned nth = 0;
    bool failed;

    (void)state;
    site_write_profile(site, "record.xml", 107, "one");
    assert_int_equal(site_try_open(site, &still), SEALTAPE_OK);
    assert_true(site_has(site, 107, "one"));
    do {
        const char *now = nth % 2 ? "one" : "two", *before = nth % 2 ? "two" : "one";
        struct diag diag = {""};

        site_write_profile(site, "record.xml", 107, now);
        allocation_fail(++nth);
        ignore(profile_directory_reload(site->directory, &diag)); /* which may say so, or not */
        failed = allocation_failed();
        if (!site_has(site, 107, now) && !site_has(site, 107, before))
            fail_msg("after allocation %u: neither the old nor the new profile", nth);
        if (profile_directory_reload(site->directory, &diag) != SEALTAPE_OK)
            fail_msg("after allocation %u: %s", nth, diag.text);
        if (!site_has(site, 107, now))
            fail_msg("after allocation %u: the new profile has not come into force", nth);
    } while (failed);
    assert_true(nth > 30);
    site_free(&site);
}

static void roots_that_were_read_without_memory_are_read_again(void **state)
{
    struct site *site = site_new();
    char *root = material_read("root"), *other = material_read("other");
    unsigned nth = 0;
    bool failed;

    (void)state;
    site_write_profile(site, "record.xml", 107, "one");
    assert_int_equal(site_try_open(site, &still), SEALTAPE_OK);
    do {
        const struct profile *profile;
        struct diag diag = {""};
        bool trusted = nth % 2;

        site_write(site, "roots.pem", trusted ? root : other);
        allocation_fail(++nth);
        ignore(profile_directory_reload(site->directory, &diag)); /* which may say so, or not */
        failed = allocation_failed();
        if (profile_directory_reload(site->directory, &diag) != SEALTAPE_OK)
            fail_msg("after allocation %u: %s", nth, diag.text);
        profile = site_find(site, 107);
        assert_non_null(profile);
        if ((certificate_check(profile->certificates[0], profile_snapshot_trust(site->snapshot),
                     clock_utc_ms(), NULL, &diag)
                    == SEALTAPE_OK)
                != trusted)
            fail_msg("after allocation %u: the new roots have not come into force", nth);
    } while (failed);
    assert_true(nth > 20);
    free(root);
    free(other);
    site_free(&site);
}

static void a_directory_is_opened_or_leaves_nothing_behind(void **state)
{
    struct site *site = site_new();
    unsigned nth = 0;
    bool failed;

    (void)state;
    site_write_profile(site, "record.xml", 107, "one");
    do {
        enum sealtape_status st;

        allocation_fail(++nth);
        st = site_try_open(site, &still);
        failed = allocation_failed();
        assert_int_equal(st == SEALTAPE_OK, site->directory != NULL);
        assert_true(failed || st == SEALTAPE_OK);
        if (site->directory
                && profile_directory_reload(site->directory, &site->diag) != SEALTAPE_OK)
            fail_msg("after allocation %u: %s", nth, site->diag.text);
        if (site->directory && !site_has(site, 107, "one"))
            fail_msg("after allocation %u: the profile has not come into force", nth);
        site_close(site);
    } while (failed);
    assert_true(nth > 30);
    site_free(&site);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
            cmocka_unit_test(an_annex_is_read_whole_or_not_at_all),
            cmocka_unit_test(a_profile_is_understood_whole_or_not_at_all),
            cmocka_unit_test(the_cache_keeps_a_text_or_says_why_not),
            cmocka_unit_test(a_reload_without_memory_is_made_good_by_the_next),
            cmocka_unit_test(roots_that_were_read_without_memory_are_read_again),
            cmocka_unit_test(a_directory_is_opened_or_leaves_nothing_behind),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
