#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "../unit.h"
#include "base/file.h"
#include "fault.h"
#include "reel.h"
#include "spool/media.h"

static enum sealtape_status flush(struct reel_stand *stand)
{
    bool changed;

    return media_flush(stand->reel->media, &changed, NULL);
}

/* A round that went well. */
static void sync_round(struct reel_stand *stand)
{
    struct media_snapshot snapshot;

    assert_true(media_snapshot(stand->reel->media, &snapshot));
    assert_int_equal(media_synced(stand->reel->media, &snapshot, NULL), SEALTAPE_OK);
}

static struct reel_state look(struct reel_stand *stand)
{
    struct reel_state state;

    assert_true(reel_look(folder_path(stand->folder), stand->reel->media_id, &state));
    return state;
}

static void finish_and_check(struct reel_stand *stand, const char *outcome)
{
    struct reel_state state;

    if (stand->reel->cipher)
        reel_end(stand->reel);
    assert_int_equal(flush(stand), SEALTAPE_OK);
    assert_true(media_finished(stand->reel->media));
    sync_round(stand);
    state = look(stand);
    assert_string_equal(state.problem, "");
    assert_string_equal(state.outcome, outcome);
    assert_int_equal(state.plain_size, stand->reel->accepted);
}

static int media_file(struct reel_stand *stand, const char *suffix, int flags)
{
    char path[512];

    (void)snprintf(path, sizeof(path), "%s/recording/%s/%s%s", folder_path(stand->folder),
            stand->reel->media_id, stand->reel->media_id, suffix);
    return open(path, flags | O_CLOEXEC);
}

/* A short call with everything in it, the n-th call of the machine failing in its midst. */
static bool one_call_with(const struct fault_plan *plan)
{
    struct reel_stand stand;
    struct reel_state state;
    unsigned hits;

    reel_stand_open(&stand);
    fault_set(plan);
    assert_true(reel_write(stand.reel, 9001));
    (void)flush(&stand);
    reel_mark(stand.reel, FEED_MASK);
    assert_true(reel_write(stand.reel, 777));
    (void)flush(&stand);
    reel_mark(stand.reel, FEED_UNMASK);
    reel_end(stand.reel);
    (void)flush(&stand);
    hits = fault_hits();
    fault_clear();
    finish_and_check(&stand, "complete");
    state = look(&stand);
    assert_false(state.altered);
    assert_int_equal(state.masks, 2);
    assert_int_equal(state.spans, 1);
    assert_int_equal(state.sequence, 1);
    reel_stand_close(&stand);
    return hits > 0;
}

static void test_whichever_call_fails_all_bytes_and_masks_arrive(void **unused)
{
    static const struct fault_plan plans[] = {
            {.calls = FAULT_MUTATIONS, .kind = FAULT_ERROR, .error = ENOSPC, .times = 1},
            {.calls = FAULT_MUTATIONS, .kind = FAULT_ERROR, .error = EIO, .times = 5},
            {.calls = FAULT_WRITES, .kind = FAULT_ERROR, .error = EINTR, .times = 3},
            {.calls = FAULT_WRITES, .kind = FAULT_SHORT, .times = 40},
            {.calls = FAULT_BIT(FAULT_MEMORY), .kind = FAULT_ERROR, .error = ENOMEM, .times = 1},
            {.calls = FAULT_BIT(FAULT_MEMORY), .kind = FAULT_ERROR, .error = ENOMEM, .times = 3},
    };

    (void)unused;
    for (size_t i = 0; i < ARRAY_COUNT(plans); i++) {
        struct fault_plan plan = plans[i];

        while (one_call_with(&plan))
            plan.after++;
        assert_true(plan.after > 3);
    }
}

static void test_a_full_disk_holds_data_in_memory_and_goes_on_by_itself(void **unused)
{
    const struct fault_plan plan = {.calls = FAULT_MUTATIONS, .times = 100000, .error = ENOSPC};
    struct reel_stand stand;

    (void)unused;
    reel_stand_open(&stand);
    assert_true(reel_write(stand.reel, 1000));
    assert_int_equal(flush(&stand), SEALTAPE_OK);
    fault_set(&plan);
    for (int i = 0; i < 20; i++) {
        assert_true(reel_write(stand.reel, 5000));
        assert_int_equal(flush(&stand), SEALTAPE_E_IO);
        assert_true(media_unflushed_ns(stand.reel->media, UINT64_MAX / 2) == 0
                    || media_unflushed_ns(stand.reel->media, UINT64_MAX / 2 + 5) > 0);
    }
    assert_true(memory_used(stand.memory) >= 20 * 5000 / MEMORY_CHUNK_SIZE);
    fault_clear();
    finish_and_check(&stand, "complete");
    assert_false(look(&stand).altered);
    reel_stand_close(&stand);
}

static void test_a_full_memory_refuses_bytes_and_the_document_counts_them(void **unused)
{
    struct reel_stand stand;
    unsigned refused = 0;

    (void)unused;
    reel_stand_open(&stand);
    for (int i = 0; i < 40; i++)
        refused += !reel_write(stand.reel, 64000);
    assert_true(refused > 10);
    assert_int_equal(media_new_losses(stand.reel->media), refused * 64000);
    assert_int_equal(media_new_losses(stand.reel->media), 0);
    finish_and_check(&stand, "degraded");
    assert_int_equal(look(&stand).gap_bytes, refused * 64000);
    reel_stand_close(&stand);
}

/* --- failed syncs --------------------------------------------------------- */

static void test_a_failed_sync_of_the_document_writes_it_again(void **unused)
{
    struct media_snapshot rescued;
    const struct fault_plan plan = {
            .calls = FAULT_BIT(FAULT_FSYNC), .times = 1, .error = EIO, .name = ".json.1"};
    struct reel_stand stand;
    int fd;

    (void)unused;
    reel_stand_open(&stand);
    assert_true(reel_write(stand.reel, 1000));
    assert_int_equal(flush(&stand), SEALTAPE_OK);
    reel_mark(stand.reel, FEED_MASK);
    assert_int_equal(flush(&stand), SEALTAPE_OK);
    fault_set(&plan);
    assert_int_equal(media_rescue(stand.reel->media, &rescued, NULL), SEALTAPE_E_IO);
    assert_int_equal(fault_hits(), 1);
    fault_clear();
    assert_int_equal(flush(&stand), SEALTAPE_OK);
    fd = media_file(&stand, ".json.2", O_RDONLY);
    assert_true(fd >= 0);
    close(fd);
    assert_int_equal(media_rescue(stand.reel->media, &rescued, NULL), SEALTAPE_OK);
    finish_and_check(&stand, "complete");
    reel_stand_close(&stand);
}

static void test_a_failed_sync_is_answered_by_a_copy_not_by_another_sync(void **unused)
{
    struct media_snapshot rescued;
    struct fault_plan plan = {
            .calls = FAULT_BIT(FAULT_FSYNC), .times = 1, .error = EIO, .name = ".bin"};
    struct reel_stand stand;

    (void)unused;
    reel_stand_open(&stand);
    assert_true(reel_write(stand.reel, 100000));
    assert_int_equal(flush(&stand), SEALTAPE_OK);
    fault_set(&plan);
    assert_int_equal(media_rescue(stand.reel->media, &rescued, NULL), SEALTAPE_OK);
    assert_int_equal(fault_seen(), 1); /* the new file bears another name while it is synced */
    fault_clear();
    assert_int_equal(media_synced(stand.reel->media, &rescued, NULL), SEALTAPE_OK);
    assert_true(reel_write(stand.reel, 100));
    finish_and_check(&stand, "complete");
    assert_false(look(&stand).altered);
    reel_stand_close(&stand);
}

static void test_a_copy_that_failed_is_owed_even_when_later_syncs_succeed(void **unused)
{
    struct media_snapshot rescued;
    struct fault_plan plan = {.calls = FAULT_BIT(FAULT_FSYNC), .times = 2, .error = EIO};
    struct reel_stand stand;

    (void)unused;
    reel_stand_open(&stand);
    assert_true(reel_write(stand.reel, 100000));
    assert_int_equal(flush(&stand), SEALTAPE_OK);
    fault_set(&plan); /* .bin, then the copy of it */
    assert_int_equal(media_rescue(stand.reel->media, &rescued, NULL), SEALTAPE_E_IO);
    assert_int_equal(fault_hits(), 2);
    plan = (struct fault_plan){
            .calls = FAULT_BIT(FAULT_RENAMEAT), .times = 0, .error = EIO, .name = ".bin"};
    fault_set(&plan);
    assert_true(media_is_doubtful(stand.reel->media));
    assert_int_equal(media_rescue(stand.reel->media, &rescued, NULL), SEALTAPE_OK);
    assert_int_equal(fault_seen(), 1); /* a copy took the name */
    assert_false(media_is_doubtful(stand.reel->media));
    fault_clear();
    finish_and_check(&stand, "complete");
    assert_false(look(&stand).altered);
    reel_stand_close(&stand);
}

static void test_a_copy_between_closing_bytes_and_document_closes_once(void **unused)
{
    struct media_snapshot rescued;
    struct fault_plan plan = {
            .calls = FAULT_BIT(FAULT_OPENAT), .times = 1, .error = EMFILE, .name = ".tmp"};
    struct reel_stand stand;

    (void)unused;
    reel_stand_open(&stand);
    assert_true(reel_write(stand.reel, 100003));
    assert_int_equal(flush(&stand), SEALTAPE_OK);
    reel_end(stand.reel);
    fault_set(&plan);
    assert_int_equal(flush(&stand), SEALTAPE_E_IO);
    plan = (struct fault_plan){
            .calls = FAULT_BIT(FAULT_FSYNC), .times = 1, .error = EIO, .name = ".bin"};
    fault_set(&plan);
    assert_int_equal(media_rescue(stand.reel->media, &rescued, NULL), SEALTAPE_OK);
    assert_int_equal(fault_hits(), 1);
    fault_clear();
    finish_and_check(&stand, "complete");
    assert_false(look(&stand).altered);
    reel_stand_close(&stand);
}

static void test_other_bytes_read_back_are_a_gap_and_digests_follow_the_file(void **unused)
{
    const struct fault_plan plan = {
            .calls = FAULT_BIT(FAULT_FSYNC), .times = 1, .error = EIO, .name = ".bin"};

    (void)unused;
    for (int ended = 0; ended <= 1; ended++) {
        struct reel_stand stand;
        struct reel_state state;
        struct media_snapshot rescued;
        int fd;

        reel_stand_open(&stand);
        assert_true(reel_write(stand.reel, 50000));
        assert_int_equal(flush(&stand), SEALTAPE_OK);
        sync_round(&stand);
        assert_true(reel_write(stand.reel, 50000));
        if (ended)
            reel_end(stand.reel);
        assert_int_equal(flush(&stand), SEALTAPE_OK);
        fd = media_file(&stand, ".bin", O_RDWR);
        assert_int_equal(pwrite(fd, "changed by the disk", 19, 70000), 19);
        close(fd);
        fault_set(&plan);
        assert_int_equal(media_rescue(stand.reel->media, &rescued, NULL), SEALTAPE_OK);
        assert_int_equal(fault_hits(), 1);
        fault_clear();
        assert_int_equal(media_synced(stand.reel->media, &rescued, NULL), SEALTAPE_OK);
        finish_and_check(&stand, "degraded");
        state = look(&stand);
        assert_true(state.altered);
        assert_int_equal(state.gaps, 1);
        assert_int_equal(state.gap_bytes, 50000);
        reel_stand_close(&stand);
    }
}

/* --- what goes well ------------------------------------------------------- */

static void test_every_length_becomes_a_whole_message(void **unused)
{
    static const size_t lengths[] = {0, 1, 15, 16, 17, 4095, 4096, 4097, 262144, 300001};

    (void)unused;
    for (size_t i = 0; i < ARRAY_COUNT(lengths); i++) {
        struct reel_stand stand;

        reel_stand_open(&stand);
        if (lengths[i] > 0)
            assert_true(reel_write(stand.reel, lengths[i]));
        assert_int_equal(flush(&stand), SEALTAPE_OK);
        finish_and_check(&stand, lengths[i] ? "complete" : "empty");
        assert_false(look(&stand).altered);
        assert_string_equal(media_outcome(stand.reel->media), lengths[i] ? "complete" : "empty");
        reel_stand_close(&stand);
    }
}

static void test_a_discarded_one_keeps_its_bytes_until_its_document_is_durable(void **unused)
{
    struct reel_stand stand;
    struct reel_state state;

    (void)unused;
    reel_stand_open(&stand);
    assert_true(reel_write(stand.reel, 5000));
    assert_int_equal(flush(&stand), SEALTAPE_OK);
    media_discard(stand.reel->media);
    reel_end(stand.reel);
    assert_int_equal(flush(&stand), SEALTAPE_OK);
    assert_true(look(&stand).stored_size > 0);
    sync_round(&stand);
    state = look(&stand);
    assert_int_equal(state.stored_size, 0);
    assert_string_equal(state.outcome, "discarded");
    assert_string_equal(media_outcome(stand.reel->media), "discarded");
    assert_int_equal(entry_readable(media_entry(stand.reel->media)), 0);
    assert_int_equal(folder_bytes(stand.folder), 0);
    reel_stand_close(&stand);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
            cmocka_unit_test(test_whichever_call_fails_all_bytes_and_masks_arrive),
            cmocka_unit_test(test_a_full_disk_holds_data_in_memory_and_goes_on_by_itself),
            cmocka_unit_test(test_a_full_memory_refuses_bytes_and_the_document_counts_them),
            cmocka_unit_test(test_a_failed_sync_of_the_document_writes_it_again),
            cmocka_unit_test(test_a_failed_sync_is_answered_by_a_copy_not_by_another_sync),
            cmocka_unit_test(test_a_copy_that_failed_is_owed_even_when_later_syncs_succeed),
            cmocka_unit_test(test_a_copy_between_closing_bytes_and_document_closes_once),
            cmocka_unit_test(test_other_bytes_read_back_are_a_gap_and_digests_follow_the_file),
            cmocka_unit_test(test_every_length_becomes_a_whole_message),
            cmocka_unit_test(test_a_discarded_one_keeps_its_bytes_until_its_document_is_durable),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
