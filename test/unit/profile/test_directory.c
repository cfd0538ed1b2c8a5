#include "profile/directory.h"

#include <sys/mman.h>

#include "base/clock.h"
#include "site.h"

static int set_up(void **state)
{
    *state = site_new();
    return 0;
}

static int tear_down(void **state)
{
    struct site *site = *state;

    site_free(&site);
    return 0;
}

static bool has_one(struct site *site)
{
    return site_has(site, 107, "Recording one");
}

static bool has_two(struct site *site)
{
    return site_has(site, 107, "Recording two");
}

static bool is_gone(struct site *site)
{
    return site_find(site, 107) == NULL;
}

static bool is_renamed(struct site *site)
{
    return strcmp(site_find(site, 107)->name, "bb") == 0;
}

static bool has_other(struct site *site)
{
    return site_find(site, 109) != NULL;
}

static bool is_reported_broken(struct site *site)
{
    bool broken;

    pthread_mutex_lock(&site->lock);
    broken = site->broken_reports > 0;
    pthread_mutex_unlock(&site->lock);
    return broken;
}

static void a_profile_is_found_by_dbid_and_by_name(void **state)
{
    struct site *site = *state;

    site_write_profile(site, "record.xml", 107, "one");
    site_open(site);
    assert_true(has_one(site));
    assert_non_null(profile_find_name(site->snapshot, 101, "record", &site->diag));
    assert_null(profile_find_name(site->snapshot, 102, "record", &site->diag));
    assert_contains(site->diag.text, "profile \"record\" of tenant 102 is unknown");
    assert_null(site_find(site, 108));
    assert_contains(site->diag.text, "profile 108 is unknown");
    assert_int_equal(profile_snapshot_count(site->snapshot), 1);
    assert_int_equal(profile_snapshot_at(site->snapshot, 0)->dbid, 107);
    assert_int_equal(
            certificate_check(profile_snapshot_at(site->snapshot, 0)->certificates[0],
                    profile_snapshot_trust(site->snapshot), 1800000000000, NULL, &site->diag),
            SEALTAPE_OK);
}

static void an_edit_is_seen_and_held_snapshots_stay(void **state)
{
    struct site *site = *state;
    struct profile_snapshot *held;

    site_write_profile(site, "record.xml", 107, "one");
    site_open(site);
    assert_true(has_one(site));
    held = profile_snapshot_acquire(site->snapshot);
    site_write_profile(site, "record.xml", 107, "two");
    site_wait(site, has_two);
    assert_contains(
            certificate_facts(profile_find(held, 107, NULL)->certificates[0])->subject, "one");
    profile_snapshot_release(&held);
}

static void a_file_rewritten_in_place_is_seen(void **state)
{
    struct site *site = *state;
    char *text, *path;
    FILE *file;

    site_write_profile(site, "record.xml", 107, "two");
    text = site_read(site, "profiles.d/record.xml");
    site_write_profile(site, "record.xml", 107, "one");
    site_open(site);
    path = site_path(site, "profiles.d/record.xml");
    file = fopen(path, "w");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
    site_wait(site, has_two);
    free(path);
    free(text);
}

static void a_new_file_is_seen(void **state)
{
    struct site *site = *state;

    site_open(site);
    assert_true(is_gone(site));
    site_write_profile(site, "record.xml", 107, "one");
    site_wait(site, has_one);
}

static void a_deleted_file_takes_its_profiles_and_its_cache_along(void **state)
{
    struct site *site = *state;
    char *cached;

    site_write_profile(site, "record.xml", 107, "one");
    site_open(site);
    cached = site_read(site, "cache/record.xml.good");
    assert_non_null(cached);
    free(cached);
    site_remove(site, "profiles.d/record.xml");
    site_wait(site, is_gone);
    assert_null(site_read(site, "cache/record.xml.good"));
}

static void a_deletion_before_a_creation_is_an_edit(void **state)
{
    static const struct directory_timing patient = {3600 * 1000, 3600 * 1000, 20};
    struct site *site = *state;

    site_write_profile(site, "record.xml", 107, "one");
    assert_int_equal(site_try_open(site, &patient), SEALTAPE_OK);
    site_remove(site, "profiles.d/record.xml");
    /* Another file, so that a scan is known to have seen the deletion. */
    site_write(site, "profiles.d/109.cfg", "[profile]\nname=other\n");
    site_wait(site, has_other);
    assert_true(has_one(site));
    site_write_profile(site, "record.xml", 107, "two");
    site_wait(site, has_two);
}

static void a_symbolic_link_in_the_place_of_a_file_is_followed(void **state)
{
    struct site *site = *state;
    char *link = site_path(site, "profiles.d/record.xml"), *other = site_path(site, "new-link");

    site_make(site, "far");
    site_write_profile(site, "far/one.xml", 107, "one");
    site_write_profile(site, "far/two.xml", 107, "two");
    assert_int_equal(symlink("../far/one.xml", link), 0);
    site_open(site);
    assert_true(has_one(site));
    assert_int_equal(symlink("../far/two.xml", other), 0);
    assert_int_equal(rename(other, link), 0);
    site_wait(site, has_two);
    /* And what it leads to is watched as well. */
    site_write_profile(site, "far/two.xml", 107, "one");
    site_wait(site, has_one);
    free(link);
    free(other);
}

static void an_exchanged_link_to_the_directory_is_followed(void **state)
{
    struct site *site = *state;
    char *link = site_path(site, "profiles.d"), *other = site_path(site, "new-link");

    assert_int_equal(rmdir(link), 0);
    site_make(site, "v1");
    site_make(site, "v2");
    site_write_profile(site, "v1/record.xml", 107, "one");
    site_write_profile(site, "v2/record.xml", 107, "two");
    assert_int_equal(symlink("v1", link), 0);
    site_open(site);
    assert_true(has_one(site));
    assert_int_equal(symlink("v2", other), 0);
    assert_int_equal(rename(other, link), 0);
    site_wait(site, has_two);
    site_write_profile(site, "v2/record.xml", 107, "one");
    site_wait(site, has_one);
    free(link);
    free(other);
}

static void a_change_that_inotify_does_not_tell_is_found_by_the_rescan(void **state)
{
    static const struct directory_timing often = {50, 300, 20};
    struct site *site = *state;
    char *path = site_path(site, "profiles.d/107.cfg"), *bytes;
    int fd;

    site_write(site, "profiles.d/107.cfg", "[profile]\nname=aa\n");
    assert_int_equal(site_try_open(site, &often), SEALTAPE_OK);
    fd = open(path, O_RDWR);
    bytes = mmap(NULL, 18, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    assert_ptr_not_equal(bytes, MAP_FAILED);
    memcpy(bytes + 15, "bb", 2);
    munmap(bytes, 18);
    site_wait(site, is_renamed);
    close(fd);
    free(path);
}

static void a_broken_edit_changes_nothing_and_is_reported(void **state)
{
    struct site *site = *state;
    char **complaints;

    site_write_profile(site, "record.xml", 107, "one");
    site_open(site);
    site_write(site, "profiles.d/record.xml", "<ConfData>\n<CfgGVPIVRProfile>\n</ConfData>");
    site_wait(site, is_reported_broken);
    assert_true(has_one(site));
    assert_true(site_logged(site, "1002 record.xml:3: "));
    complaints = profile_directory_complaints(site->directory);
    assert_non_null(complaints);
    assert_contains(complaints[0], "record.xml:3: ");
    assert_null(complaints[1]);
    free(complaints);
    assert_int_equal(profile_directory_reload(site->directory, &site->diag), SEALTAPE_E_CONFIG);
    assert_contains(site->diag.text, "record.xml:3: ");
    site_write_profile(site, "record.xml", 107, "two");
    site_wait(site, has_two);
    assert_int_equal(profile_directory_reload(site->directory, &site->diag), SEALTAPE_OK);
}

static void a_restart_after_a_broken_edit_still_knows_the_profile(void **state)
{
    struct site *site = *state;

    site_write_profile(site, "record.xml", 107, "one");
    site_write(site, "profiles.d/109.cfg", "[profile]\nname=nine\n");
    site_open(site);
    site_close(site);
    site_write(site, "profiles.d/record.xml", "<ConfData>");
    site_write(site, "profiles.d/109.cfg", "name=nine");
    site_open(site);
    assert_true(has_one(site));
    assert_non_null(site_find(site, 109));
    assert_true(site_logged(site, "1005 record.xml: the text that was good last is in force"));
    assert_true(site_logged(site, "1002 109.cfg:1: "));
    assert_true(is_reported_broken(site));
}

static void a_file_deleted_while_nobody_watched_leaves_the_cache(void **state)
{
    struct site *site = *state;

    site_write_profile(site, "record.xml", 107, "one");
    site_open(site);
    site_close(site);
    site_remove(site, "profiles.d/record.xml");
    site_open(site);
    assert_true(is_gone(site));
    assert_null(site_read(site, "cache/record.xml.good"));
}

static bool is_all_kept(struct site *site)
{
    char *first = site_read(site, "cache/1000.cfg.good");
    char *last = site_read(site, "cache/1199.cfg.good");
    bool kept = first && last;

    free(first);
    free(last);
    return kept;
}

static void many_files_are_kept_after_the_start(void **state)
{
    struct site *site = *state;
    struct timespec deadline, now;

    for (unsigned i = 0; i < 200; i++) {
        char *name = text_format("profiles.d/%u.cfg", 1000 + i);
        char *text = text_format("[profile]\nname=n%u\ntenant-dbid=1\n", i);

        site_write(site, name, text);
        free(name);
        free(text);
    }
    site_open(site);
    assert_non_null(site_find(site, 1199));
    clock_gettime(CLOCK_MONOTONIC, &deadline);
    deadline.tv_sec += SITE_DEADLINE_S;
    /* Each look keeps some; nothing is reported, so that there is only the disk to look at. */
    do {
        assert_int_equal(profile_directory_reload(site->directory, &site->diag), SEALTAPE_OK);
        clock_gettime(CLOCK_MONOTONIC, &now);
    } while (!is_all_kept(site) && now.tv_sec < deadline.tv_sec);
    assert_true(is_all_kept(site));
}

static void a_damaged_cache_is_not_used(void **state)
{
    static const char *const damages[] = {
            "", "\n", "sealtape-profile-cache 1 abc 3\nabc", "<ConfData/>"};
    struct site *site = *state;

    site_write_profile(site, "record.xml", 107, "one");
    site_open(site);
    site_close(site);
    site_write(site, "profiles.d/record.xml", "<ConfData>");
    for (size_t i = 0; i < ARRAY_COUNT(damages); i++) {
        site_write(site, "cache/record.xml.good", damages[i]);
        site->log_len = 0;
        site_open(site);
        assert_true(is_gone(site));
        assert_contains(site->diag.text, "record.xml:1: ");
        assert_true(site_logged(site, "1010 the cached text cannot be used"));
        site_close(site);
    }
}

static void a_cache_of_a_newer_version_is_left_as_it_is(void **state)
{
    static const char newer[] = "sealtape-profile-cache 2 something else\n...";
    struct site *site = *state;
    char *text;

    site_make(site, "cache");
    site_write(site, "cache/record.xml.good", newer);
    site_write(site, "cache/gone.xml.good", newer);
    site_write_profile(site, "record.xml", 107, "one");
    site_open(site);
    assert_true(has_one(site));
    assert_true(site_logged(site, "newer version; left as it is"));
    text = site_read(site, "cache/record.xml.good");
    assert_string_equal(text, newer);
    free(text);
    text = site_read(site, "cache/gone.xml.good");
    assert_string_equal(text, newer);
    free(text);
}

static void a_cache_that_cannot_be_written_is_a_warning(void **state)
{
    struct site *site = *state;

    site_write(site, "cache", "a file in its place");
    site_write_profile(site, "record.xml", 107, "one");
    site_open(site);
    assert_true(has_one(site));
    assert_true(site_logged(site, "1010 profiles will not outlive a restart"));
}

static void cached_texts_are_for_their_owner_only(void **state)
{
    struct site *site = *state;
    char *path = site_path(site, "cache/record.xml.good");
    struct stat stat_of;

    site_write_profile(site, "record.xml", 107, "one");
    site_open(site);
    assert_int_equal(stat(path, &stat_of), 0);
    assert_int_equal(stat_of.st_mode & 0777, 0600);
    free(path);
}

static bool trust_changed(struct site *site)
{
    return site_logged(site, "1007 ") || site_logged(site, "1006 ");
}

static void a_broken_trust_edit_keeps_the_old_trust(void **state)
{
    struct site *site = *state;

    site_write_profile(site, "record.xml", 107, "one");
    site_open(site);
    site_write(site, "roots.pem", "nonsense");
    site_wait(site, trust_changed);
    assert_true(site_logged(site, "1007 the trust is as it was: "));
    assert_true(has_one(site));
    assert_int_equal(
            certificate_check(profile_snapshot_at(site->snapshot, 0)->certificates[0],
                    profile_snapshot_trust(site->snapshot), 1800000000000, NULL, &site->diag),
            SEALTAPE_OK);
}

static bool is_not_trusted(struct site *site)
{
    return site_find(site, 107)
           && certificate_check(profile_snapshot_at(site->snapshot, 0)->certificates[0],
                      profile_snapshot_trust(site->snapshot), 1800000000000, NULL, &site->diag)
                      == SEALTAPE_E_CERTIFICATE;
}

static void a_good_trust_edit_is_taken_over(void **state)
{
    struct site *site = *state;
    char *other = material_read("other");

    site_write_profile(site, "record.xml", 107, "one");
    site_open(site);
    site_write(site, "roots.pem", other);
    site_wait(site, is_not_trusted);
    assert_true(site_logged(site, "1006 profile 107: certificate "));
    free(other);
}

static void an_expired_certificate_is_told_but_breaks_nothing(void **state)
{
    struct site *site = *state;

    site_write_profile(site, "record.xml", 107, "expired");
    site_open(site);
    assert_true(site_has(site, 107, "Recording expired"));
    assert_true(site_logged(site, "1006 profile 107: certificate "));
    assert_true(site_logged(site, "2021-01-01"));
    assert_false(is_reported_broken(site));
}

static int64_t in_2121(void *context)
{
    (void)context;
    return INT64_C(4770000000000);
}

static void a_certificate_that_expires_is_told_once(void **state)
{
    struct site *site = *state;
    const char *told;

    site_write_profile(site, "record.xml", 107, "one");
    site_open(site);
    assert_false(site_logged(site, "1006 "));
    clock_set_host(in_2121, NULL);
    assert_int_equal(profile_directory_reload(site->directory, &site->diag), SEALTAPE_OK);
    assert_int_equal(profile_directory_reload(site->directory, &site->diag), SEALTAPE_OK);
    clock_set_host(NULL, NULL);
    told = strstr(site->log, "1006 profile 107: certificate ");
    assert_non_null(told);
    assert_null(strstr(told + 1, "1006 "));
}

static void without_a_directory_or_trust_nothing_opens(void **state)
{
    struct site *site = *state;
    char *path = site_path(site, "profiles.d");

    site_write(site, "roots.pem", "nonsense");
    assert_int_equal(site_try_open(site, &site_timing), SEALTAPE_E_CONFIG);
    assert_contains(site->diag.text, "roots.pem");
    assert_int_equal(rmdir(path), 0);
    assert_int_equal(site_try_open(site, &site_timing), SEALTAPE_E_CONFIG);
    assert_contains(site->diag.text, "profiles.d: cannot read the profile directory");
    free(path);
}

static void a_directory_that_vanishes_leaves_the_profiles_in_force(void **state)
{
    struct site *site = *state;
    char *path = site_path(site, "profiles.d"), *away = site_path(site, "away");

    site_write_profile(site, "record.xml", 107, "one");
    site_open(site);
    assert_int_equal(rename(path, away), 0);
    site_wait(site, is_reported_broken);
    assert_true(has_one(site));
    assert_true(site_logged(site, "profiles.d: the profiles are as they were: "));
    site_write_profile(site, "away/record.xml", 107, "two");
    assert_int_equal(rename(away, path), 0);
    site_wait(site, has_two);
    free(path);
    free(away);
}

static void a_dbid_in_two_files_leaves_the_one_before_in_force(void **state)
{
    struct site *site = *state;

    site_write_profile(site, "b.xml", 107, "one");
    site_open(site);
    site_write_profile(site, "a.xml", 107, "two");
    site_wait(site, is_reported_broken);
    assert_true(has_one(site));
    assert_true(site_logged(site,
            "1003 profile 107 stands in two files, a.xml:2 and b.xml:2; in force stays that of "
            "b.xml"));
    site_remove(site, "profiles.d/b.xml");
    site_wait(site, has_two);
    assert_int_equal(profile_directory_reload(site->directory, &site->diag), SEALTAPE_OK);
}

static void a_dbid_in_two_files_at_first_load_is_in_neither(void **state)
{
    struct site *site = *state;

    site_write_profile(site, "a.xml", 107, "one");
    site_write_profile(site, "b.xml", 107, "two");
    site_open(site);
    assert_null(site_find(site, 107));
    assert_contains(site->diag.text,
            "profile 107 is not in force: profile 107 stands in two files, a.xml:2 and b.xml:2; "
            "neither is in force");
    site_remove(site, "profiles.d/b.xml");
    site_wait(site, has_one);
}

static void a_renamed_file_keeps_its_profiles_without_a_word(void **state)
{
    struct site *site = *state;
    char *from = site_path(site, "profiles.d/a.xml"), *to = site_path(site, "profiles.d/b.xml");

    site_write_profile(site, "a.xml", 107, "one");
    site_open(site);
    assert_int_equal(rename(from, to), 0);
    assert_int_equal(profile_directory_reload(site->directory, &site->diag), SEALTAPE_OK);
    assert_true(has_one(site));
    assert_false(is_reported_broken(site));
    free(from);
    free(to);
}

static void a_name_that_two_profiles_have_is_refused(void **state)
{
    struct site *site = *state;

    site_write_profile(site, "a.xml", 107, "one");
    site_write_profile(site, "b.xml", 108, "two");
    site_open(site);
    assert_non_null(site_find(site, 107));
    assert_non_null(site_find(site, 108));
    assert_null(profile_find_name(site->snapshot, 101, "record", &site->diag));
    assert_contains(site->diag.text, "107 (a.xml:2) and 108 (b.xml:2)");
    assert_true(site_logged(site, "1003 profiles 107 (a.xml:2) and 108 (b.xml:2)"));
    /* A disabled one is in nobody's way. */
    site_write(site, "profiles.d/108.cfg", "[profile]\nstate=2\n");
    assert_int_equal(profile_directory_reload(site->directory, &site->diag), SEALTAPE_OK);
    assert_null(site_find(site, 108));
    assert_contains(site->diag.text, "is disabled");
    assert_non_null(profile_find_name(site->snapshot, 101, "record", &site->diag));
}

static void reload_without_changes_keeps_the_certificates(void **state)
{
    struct site *site = *state;
    struct certificate *before;

    site_write_profile(site, "record.xml", 107, "one");
    site_write_profile(site, "other.xml", 108, "two");
    site_open(site);
    before = certificate_acquire(site_find(site, 107)->certificates[0]);
    site_write_profile(site, "other.xml", 108, "three");
    ignore(profile_directory_reload(site->directory, &site->diag)); /* the names are the same */
    assert_ptr_equal(site_find(site, 107)->certificates[0], before);
    certificate_release(&before);
}

static void many_profiles_are_found_fast(void **state)
{
    struct site *site = *state;
    size_t size = 20000u * 300u, len = 0;
    struct timespec from, to;
    char *text = calloc(1, size);
    uint64_t ns;

    len += (size_t)sprintf(text, "<ConfData>");
    for (unsigned i = 1; i <= 20000; i++)
        len += (size_t)sprintf(text + len,
                "<CfgGVPIVRProfile><DBID value=\"%u\"/><tenantDBID value=\"1\"/>"
                "<name value=\"n%u\"/></CfgGVPIVRProfile>\n",
                i * 7, i);
    sprintf(text + len, "</ConfData>");
    site_write(site, "profiles.d/many.xml", text);
    free(text);
    site_open(site);
    assert_non_null(site_find(site, 7));
    clock_gettime(CLOCK_MONOTONIC, &from);
    for (unsigned i = 0; i < 1000000; i++)
        assert_non_null(profile_find(site->snapshot, (i * 7919 % 20000 + 1) * 7, NULL));
    clock_gettime(CLOCK_MONOTONIC, &to);
    ns = (uint64_t)(to.tv_sec - from.tv_sec) * 1000000000u + (uint64_t)to.tv_nsec
         - (uint64_t)from.tv_nsec;
    print_message("%llu ns for a look-up\n", (unsigned long long)(ns / 1000000));
    assert_non_null(profile_find_name(site->snapshot, 1, "n19999", NULL));
}

static void the_samples_are_in_force_without_a_complaint(void **state)
{
    struct site *site = *state;

    config_free(&site->config);
    assert_int_equal(config_load(SAMPLES "/sealtape.xml", &site->config, &site->diag), SEALTAPE_OK);
    free(site->config->profiles.cache);
    site->config->profiles.cache = site_path(site, "cache");
    site_open(site);
    assert_false(is_reported_broken(site));
    assert_non_null(site_find(site, 110));
    assert_true(profile_snapshot_count(site->snapshot) > 2);
    assert_int_equal(profile_directory_reload(site->directory, &site->diag), SEALTAPE_OK);
}

int main(void)
{
#define DIRECTORY_TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
            DIRECTORY_TEST(a_profile_is_found_by_dbid_and_by_name),
            DIRECTORY_TEST(an_edit_is_seen_and_held_snapshots_stay),
            DIRECTORY_TEST(a_file_rewritten_in_place_is_seen),
            DIRECTORY_TEST(a_new_file_is_seen),
            DIRECTORY_TEST(a_deleted_file_takes_its_profiles_and_its_cache_along),
            DIRECTORY_TEST(a_deletion_before_a_creation_is_an_edit),
            DIRECTORY_TEST(a_symbolic_link_in_the_place_of_a_file_is_followed),
            DIRECTORY_TEST(an_exchanged_link_to_the_directory_is_followed),
            DIRECTORY_TEST(a_change_that_inotify_does_not_tell_is_found_by_the_rescan),
            DIRECTORY_TEST(a_broken_edit_changes_nothing_and_is_reported),
            DIRECTORY_TEST(a_restart_after_a_broken_edit_still_knows_the_profile),
            DIRECTORY_TEST(a_file_deleted_while_nobody_watched_leaves_the_cache),
            DIRECTORY_TEST(many_files_are_kept_after_the_start),
            DIRECTORY_TEST(a_damaged_cache_is_not_used),
            DIRECTORY_TEST(a_cache_of_a_newer_version_is_left_as_it_is),
            DIRECTORY_TEST(a_cache_that_cannot_be_written_is_a_warning),
            DIRECTORY_TEST(cached_texts_are_for_their_owner_only),
            DIRECTORY_TEST(a_broken_trust_edit_keeps_the_old_trust),
            DIRECTORY_TEST(a_good_trust_edit_is_taken_over),
            DIRECTORY_TEST(an_expired_certificate_is_told_but_breaks_nothing),
            DIRECTORY_TEST(a_certificate_that_expires_is_told_once),
            DIRECTORY_TEST(without_a_directory_or_trust_nothing_opens),
            DIRECTORY_TEST(a_directory_that_vanishes_leaves_the_profiles_in_force),
            DIRECTORY_TEST(a_dbid_in_two_files_leaves_the_one_before_in_force),
            DIRECTORY_TEST(a_dbid_in_two_files_at_first_load_is_in_neither),
            DIRECTORY_TEST(a_renamed_file_keeps_its_profiles_without_a_word),
            DIRECTORY_TEST(a_name_that_two_profiles_have_is_refused),
            DIRECTORY_TEST(reload_without_changes_keeps_the_certificates),
            DIRECTORY_TEST(many_profiles_are_found_fast),
            DIRECTORY_TEST(the_samples_are_in_force_without_a_complaint),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
