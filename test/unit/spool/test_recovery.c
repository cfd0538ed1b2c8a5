#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../unit.h"
#include "base/log.h"
#include "fault.h"
#include "reel.h"
#include "spool/recovery.h"

static struct reel_stand stand;

static int set_up(void **state)
{
    (void)state;
    reel_stand_open(&stand);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    fault_clear();
    reel_stand_close(&stand);
    return 0;
}

static void flush(void)
{
    bool changed;

    assert_int_equal(media_flush(stand.reel->media, &changed, NULL), SEALTAPE_OK);
}

static void sync_round(void)
{
    struct media_snapshot snapshot;

    assert_true(media_snapshot(stand.reel->media, &snapshot));
    assert_int_equal(media_synced(stand.reel->media, &snapshot, NULL), SEALTAPE_OK);
}

static void path_of(const char *state, const char *suffix, char path[512])
{
    (void)snprintf(path, 512, "%s/%s/%s/%s%s", folder_path(stand.folder), state,
            stand.reel->media_id, stand.reel->media_id, suffix);
}

/* Change bytes of a file as a disk or a person would. */
static void spoil(const char *suffix, off_t at, const char *bytes)
{
    char path[512];
    int fd;

    path_of("recording", suffix, path);
    fd = open(path, O_WRONLY | O_CREAT, 0600);
    assert_true(fd >= 0);
    assert_int_equal(pwrite(fd, bytes, strlen(bytes), at), (ssize_t)strlen(bytes));
    close(fd);
}

static void offer(void *context, struct entry *entry)
{
    assert_true(entry_complete(entry));
    ++*(unsigned *)context;
}

static struct recovery_result recover(void)
{
    struct recovery_result result;
    unsigned offered = 0;

    assert_int_equal(recovery_run(stand.folder, offer, &offered, &result, NULL), SEALTAPE_OK);
    assert_int_equal(offered, result.waiting + result.posted);
    return result;
}

static struct reel_state look(void)
{
    struct reel_state state;

    assert_true(reel_look(folder_path(stand.folder), stand.reel->media_id, &state));
    return state;
}

static void assert_interrupted(uint64_t plain_size)
{
    struct reel_state state = look();

    assert_string_equal(state.problem, "");
    assert_false(state.altered);
    assert_int_equal(state.state, ENTRY_CLOSED);
    assert_string_equal(state.outcome, "interrupted");
    assert_int_equal(state.plain_size, plain_size);
}

/* --- refusals first ------------------------------------------------------- */

static void test_a_disk_that_refuses_defers_and_gives_up_nothing(void **state)
{
    struct fault_plan plan = {
            .calls = FAULT_MUTATIONS | FAULT_BIT(FAULT_PREAD), .times = 1, .error = EIO};
    unsigned deferred = 0, hits = 1;

    for (; hits > 0; plan.after++) {
        struct recovery_result result = {.failed = 0};
        unsigned offered = 0;

        assert_true(reel_write(stand.reel, 5000));
        flush();
        sync_round();
        reel_mark(stand.reel, FEED_MASK);
        flush();
        fault_set(&plan);
        /* Fails or not, as it was told to. */
        ignore(recovery_run(stand.folder, offer, &offered, &result, NULL));
        hits = fault_hits();
        fault_clear();
        assert_int_equal(result.failed, 0);
        deferred += result.deferred;
        (void)recover();
        assert_interrupted(5000);
        assert_int_equal(look().masks, 1);
        tear_down(state);
        set_up(state);
    }
    assert_true(plan.after > 15);
    assert_true(deferred > 5);
}

static void test_bytes_that_fit_no_slot_are_kept_in_failed(void **unused)
{
    (void)unused;
    assert_true(reel_write(stand.reel, 5000));
    flush();
    sync_round();
    spoil(".bin", 100, "changed");
    assert_int_equal(recover().failed, 1);
    assert_int_equal(look().state, ENTRY_FAILED);
    assert_int_equal(look().stored_size, 4992);
    assert_int_equal(recover().failed, 1);
}

static void test_newer_formats_are_left_untouched(void **unused)
{
    struct recovery_result result;
    char path[512];

    (void)unused;
    assert_true(reel_write(stand.reel, 5000));
    flush();
    sync_round();
    spoil(".json.1", 0, "{\"spool\": {\"format\": 2}}");
    spoil(".json.2.tmp", 0, "half");
    result = recover();
    assert_int_equal(result.newer, 1);
    assert_int_equal(result.waiting, 0);
    path_of("recording", ".json.2.tmp", path);
    assert_int_equal(access(path, F_OK), 0);
    path_of("recording", ".json.1", path);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(recover().interrupted, 1);
    assert_interrupted(5000);
}

static void test_a_torn_revision_gives_way_to_the_one_before(void **unused)
{
    (void)unused;
    assert_true(reel_write(stand.reel, 5000));
    reel_mark(stand.reel, FEED_MASK);
    flush();
    sync_round();
    spoil(".json.7", 0, "{\"spool\": {\"format\": 1,");
    assert_int_equal(recover().interrupted, 1);
    assert_interrupted(5000);
    assert_int_equal(look().masks, 1);
}

static void test_a_stale_revision_that_stayed_behind_does_not_win(void **unused)
{
    const struct fault_plan plan = {.calls = FAULT_BIT(FAULT_UNLINKAT), .times = 100, .error = EIO};
    char path[512];

    (void)unused;
    assert_true(reel_write(stand.reel, 5000));
    flush();
    for (int i = 0; i < 3; i++) {
        reel_mark(stand.reel, i % 2 ? FEED_UNMASK : FEED_MASK);
        flush();
    }
    fault_set(&plan);
    sync_round();
    assert_true(fault_hits() > 0);
    fault_clear();
    path_of("recording", ".json.2", path);
    assert_int_equal(access(path, F_OK), 0);
    assert_int_equal(recover().interrupted, 1);
    assert_interrupted(5000);
    assert_int_equal(look().masks, 3);
}

static void test_half_deleted_entries_are_deleted_not_failed(void **unused)
{
    const struct fault_plan plan = {
            .calls = FAULT_BIT(FAULT_UNLINKAT), .after = 1, .times = 100, .error = EIO};
    struct entry *entry = media_entry(stand.reel->media);
    struct recovery_result result;
    struct reel_state state;

    (void)unused;
    assert_true(reel_write(stand.reel, 5000));
    reel_end(stand.reel);
    flush();
    sync_round();
    assert_int_equal(entry_move(entry, ENTRY_POSTED, NULL), SEALTAPE_OK);
    fault_set(&plan);
    assert_int_equal(entry_remove(entry, NULL), SEALTAPE_E_IO);
    assert_int_equal(fault_hits(), 1);
    fault_clear();
    result = recover();
    assert_int_equal(result.failed + result.waiting + result.posted + result.deferred, 0);
    assert_false(reel_look(folder_path(stand.folder), stand.reel->media_id, &state));
    assert_int_equal(entry_remove(entry, NULL), SEALTAPE_OK);
    assert_int_equal(entry_state(entry), ENTRY_GONE);
}

/* --- what goes well ------------------------------------------------------- */

static void test_what_was_not_counted_is_cut_off(void **unused)
{
    (void)unused;
    assert_true(reel_write(stand.reel, 5003));
    flush();
    spoil(".bin", 4992 + 16, "bytes that no slot counts");
    assert_int_equal(recover().interrupted, 1);
    assert_interrupted(5003);
}

static void test_an_older_slot_serves_when_the_newest_does_not_fit(void **unused)
{
    char path[512];

    (void)unused;
    assert_true(reel_write(stand.reel, 1000));
    flush();
    sync_round();
    assert_true(reel_write(stand.reel, 4000));
    flush();
    path_of("recording", ".bin", path);
    assert_int_equal(truncate(path, 2000), 0);
    assert_int_equal(recover().interrupted, 1);
    assert_interrupted(1000);
}

static void test_a_finished_document_stands_as_it_was(void **unused)
{
    (void)unused;
    assert_true(reel_write(stand.reel, 1000));
    reel_end(stand.reel);
    flush();
    assert_int_equal(recover().interrupted, 0);
    assert_string_equal(look().outcome, "complete");
    assert_int_equal(look().state, ENTRY_CLOSED);
    assert_string_equal(look().problem, "");
}

static void test_a_discarded_one_is_emptied(void **unused)
{
    (void)unused;
    assert_true(reel_write(stand.reel, 1000));
    flush();
    media_discard(stand.reel->media);
    reel_end(stand.reel);
    flush();
    assert_true(look().stored_size > 0);
    assert_int_equal(recover().waiting, 1);
    assert_string_equal(look().outcome, "discarded");
    assert_int_equal(look().stored_size, 0);
}

static void test_a_discard_that_the_power_cut_took_back_leaves_a_whole_message(void **unused)
{
    char path[512];

    (void)unused;
    assert_true(reel_write(stand.reel, 1003));
    flush();
    media_discard(stand.reel->media);
    reel_end(stand.reel);
    flush();
    /* The slot reached the disk, the document did not. */
    path_of("recording", ".json.1", path);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(recover().waiting, 1);
    assert_string_equal(look().problem, "");
    assert_string_equal(look().outcome, "complete");
    assert_int_equal(look().plain_size, 1003);
}

static void test_a_closed_entry_takes_the_newest_of_its_documents(void **unused)
{
    struct media_snapshot snapshot;

    (void)unused;
    assert_true(reel_write(stand.reel, 1000));
    flush();
    assert_true(media_snapshot(stand.reel->media, &snapshot));
    reel_end(stand.reel);
    flush();
    /* The state changed, the final document has not got its name. */
    assert_int_equal(entry_move(media_entry(stand.reel->media), ENTRY_CLOSED, NULL), SEALTAPE_OK);
    assert_string_equal(look().outcome, "");
    assert_int_equal(recover().waiting, 1);
    assert_string_equal(look().outcome, "complete");
    assert_string_equal(look().problem, "");
}

static void test_numbers_go_on_behind_those_that_are_found(void **unused)
{
    uint64_t number;

    (void)unused;
    for (int i = 0; i < 4; i++)
        assert_int_equal(folder_take_sequence(stand.folder, 101, &number), SEALTAPE_OK);
    flush();
    assert_int_equal(look().sequence, 5);
    (void)recover();
    assert_int_equal(folder_take_sequence(stand.folder, 101, &number), SEALTAPE_OK);
    assert_int_equal(number, 6);
}

static void no_log(
        void *context, int level, uint32_t number, const char *recording_id, const char *message)
{
    (void)context;
    (void)level;
    (void)number;
    (void)recording_id;
    (void)message;
}

#define on_a_stand(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
            on_a_stand(test_a_disk_that_refuses_defers_and_gives_up_nothing),
            on_a_stand(test_bytes_that_fit_no_slot_are_kept_in_failed),
            on_a_stand(test_newer_formats_are_left_untouched),
            on_a_stand(test_a_torn_revision_gives_way_to_the_one_before),
            on_a_stand(test_a_stale_revision_that_stayed_behind_does_not_win),
            on_a_stand(test_half_deleted_entries_are_deleted_not_failed),
            on_a_stand(test_what_was_not_counted_is_cut_off),
            on_a_stand(test_an_older_slot_serves_when_the_newest_does_not_fit),
            on_a_stand(test_a_finished_document_stands_as_it_was),
            on_a_stand(test_a_discarded_one_is_emptied),
            on_a_stand(test_a_discard_that_the_power_cut_took_back_leaves_a_whole_message),
            on_a_stand(test_a_closed_entry_takes_the_newest_of_its_documents),
            on_a_stand(test_numbers_go_on_behind_those_that_are_found),
    };

    log_to(no_log, NULL);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
