#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../unit.h"
#include "base/file.h"
#include "fault.h"
#include "reel.h"

static long file_system; /* what statfs is to say; 0: the truth */

int __real_statfs64(const char *path, struct statfs *buffer);
int __wrap_statfs64(const char *path, struct statfs *buffer);
int __wrap_statfs64(const char *path, struct statfs *buffer)
{
    int result = __real_statfs64(path, buffer);

    if (file_system)
        buffer->f_type = file_system;
    return result;
}

static char directory[REEL_NAME_SIZE];

static int set_up(void **state)
{
    (void)state;
    reel_directory(directory);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    reel_remove(directory);
    return 0;
}

static void write_file(const char *name, const char *text)
{
    char path[256];
    FILE *file;

    (void)snprintf(path, sizeof(path), "%s/%s", directory, name);
    file = fopen(path, "w");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
}

static bool exists(const char *name)
{
    char path[256];

    (void)snprintf(path, sizeof(path), "%s/%s", directory, name);
    return access(path, F_OK) == 0;
}

/* Another process that holds the lowest free folder until it is told to go. */
static pid_t hold_elsewhere(int *ret_end)
{
    int ready[2], stop[2];
    struct folder *folder = NULL;
    char byte = 0;
    pid_t pid;

    assert_int_equal(pipe(ready), 0);
    assert_int_equal(pipe(stop), 0);
    pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        close(stop[1]);
        if (folder_open(directory, "test", &folder, NULL) != SEALTAPE_OK
                || write(ready[1], "y", 1) != 1)
            _exit(1);
        /* Dies without a release, as a crash does, when the other end is closed. */
        _exit(read(stop[0], &byte, 1) == 0 ? 0 : 1);
    }
    close(ready[1]);
    close(stop[0]);
    assert_int_equal(read(ready[0], &byte, 1), 1);
    close(ready[0]);
    *ret_end = stop[1];
    return pid;
}

static void let_go(pid_t pid, int end)
{
    int status;

    close(end);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
}

/* --- refusals first ------------------------------------------------------- */

static void test_network_file_systems_are_refused_by_name(void **state)
{
    static const struct {
        long magic;
        const char *name;
    } systems[] = {{NFS_SUPER_MAGIC, "NFS"}, {(long)0xff534d42, "SMB"}, {(long)0xfe534d42, "SMB"},
            {0x517b, "SMB"}, {V9FS_MAGIC, "9P"}, {0x65735546, "FUSE"}, {CEPH_SUPER_MAGIC, "Ceph"},
            {0x47504653, "GPFS"}, {0x0bd00bd0, "Lustre"}, {AFS_SUPER_MAGIC, "AFS"},
            {(long)(int)0xff534d42, "SMB"}};
    struct diag diag;

    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(systems); i++) {
        file_system = systems[i].magic;
        assert_int_equal(folder_check_spool(directory, &diag), SEALTAPE_E_SPOOL);
        assert_contains(diag.text, systems[i].name);
        assert_contains(diag.text, directory);
    }
    file_system = EXT4_SUPER_MAGIC;
    assert_int_equal(folder_check_spool(directory, &diag), SEALTAPE_OK);
    file_system = 0;
}

static void test_a_file_in_place_of_the_spool_is_refused(void **state)
{
    struct folder *folder = NULL;
    char path[128];
    struct diag diag;

    (void)state;
    write_file("spool", "");
    (void)snprintf(path, sizeof(path), "%s/spool", directory);
    assert_int_equal(folder_check_spool(path, &diag), SEALTAPE_E_SPOOL);
    assert_contains(diag.text, "found a file in its place");
    (void)snprintf(path, sizeof(path), "%s/spool/below", directory);
    assert_int_equal(folder_check_spool(path, &diag), SEALTAPE_E_SPOOL);
    assert_contains(diag.text, "Not a directory");
    write_file("test.0", "");
    assert_int_equal(folder_open(directory, "test", &folder, &diag), SEALTAPE_E_SPOOL);
    assert_contains(diag.text, "test.0");
    assert_null(folder);
}

static void test_a_directory_that_may_not_be_written_is_refused(void **state)
{
    struct diag diag;
    int status;
    pid_t pid;

    (void)state;
    assert_int_equal(chmod(directory, 0555), 0);
    pid = fork();
    if (pid == 0) {
        if (getuid() == 0 && setuid(65534) != 0)
            _exit(2);
        _exit(folder_check_spool(directory, &diag) == SEALTAPE_E_SPOOL
                                && strstr(diag.text, "not writable")
                        ? 0
                        : 1);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    assert_int_equal(chmod(directory, 0700), 0);
}

static void test_each_failing_call_leaves_no_lock_behind(void **state)
{
    struct fault_plan plan = {
            .calls = FAULT_MUTATIONS | FAULT_BIT(FAULT_MEMORY), .times = 1, .error = ENOSPC};
    struct folder *folder = NULL;

    (void)state;
    for (unsigned hits = 1; hits > 0; plan.after++) {
        enum sealtape_status st;

        fault_set(&plan);
        st = folder_open(directory, "test", &folder, NULL);
        hits = fault_hits();
        fault_clear();
        if (st == SEALTAPE_OK) {
            assert_int_equal(hits, 0);
            break;
        }
        assert_null(folder);
    }
    assert_true(plan.after > 5);
    assert_string_equal(folder_name(folder), "test.0");
    folder_release(&folder);
}

static void test_a_newer_epoch_is_left_alone_and_the_next_number_taken(void **state)
{
    struct folder *folder = NULL;
    struct diag diag;
    pid_t owner;
    char path[256], *text = NULL;
    size_t len;

    (void)state;
    (void)snprintf(path, sizeof(path), "%s/test.0", directory);
    assert_int_equal(mkdir(path, 0700), 0);
    write_file("test.0/epoch", "sealtape-epoch 9\nfrom the future\n");
    assert_int_equal(folder_adopt(directory, "test.0", &folder, &owner, &diag), SEALTAPE_E_VERSION);
    assert_contains(diag.text, "format 9");
    assert_int_equal(folder_open(directory, "test", &folder, &diag), SEALTAPE_OK);
    assert_string_equal(folder_name(folder), "test.1");
    assert_false(exists("test.0/recording"));
    (void)snprintf(path, sizeof(path), "%s/test.0/epoch", directory);
    assert_int_equal(file_read(AT_FDCWD, path, 100, &text, &len, NULL), SEALTAPE_OK);
    assert_string_equal(text, "sealtape-epoch 9\nfrom the future\n");
    free(text);
    folder_release(&folder);
}

static void test_only_folders_of_dead_processes_are_adopted(void **state)
{
    struct folder *folder = NULL, *again = NULL;
    struct diag diag;
    pid_t owner = 0, pid;
    int end;

    (void)state;
    pid = hold_elsewhere(&end);
    assert_int_equal(folder_adopt(directory, "test.0", &folder, &owner, &diag), SEALTAPE_E_STATE);
    assert_int_equal(owner, pid);
    assert_int_equal(folder_open(directory, "test", &folder, &diag), SEALTAPE_OK);
    assert_string_equal(folder_name(folder), "test.1");
    let_go(pid, end);
    assert_int_equal(folder_adopt(directory, "test.0", &again, &owner, &diag), SEALTAPE_OK);
    folder_release(&again);
    /* What this process has is not taken twice, and trying does not drop the lock. */
    assert_int_equal(folder_adopt(directory, "test.1", &again, &owner, &diag), SEALTAPE_E_STATE);
    assert_int_equal(owner, 0);
    pid = hold_elsewhere(&end);
    assert_int_equal(folder_adopt(directory, "test.0", &again, &owner, &diag), SEALTAPE_E_STATE);
    assert_int_equal(owner, pid);
    let_go(pid, end);
    folder_release(&folder);
}

static void test_numbers_that_could_not_be_saved_are_saved_later(void **state)
{
    struct fault_plan plan = {
            .calls = FAULT_MUTATIONS | FAULT_BIT(FAULT_MEMORY), .times = 1, .error = ENOSPC};
    struct folder *folder = NULL;
    char epoch[33];
    uint64_t number, last = 0;

    (void)state;
    assert_int_equal(folder_open(directory, "test", &folder, NULL), SEALTAPE_OK);
    memcpy(epoch, folder_epoch(folder), sizeof(epoch));
    for (unsigned hits = 1; hits > 0; plan.after++) {
        assert_int_equal(folder_take_sequence(folder, 101, &number), SEALTAPE_OK);
        assert_int_equal(number, ++last);
        fault_set(&plan);
        ignore(folder_save(folder, NULL)); /* fails or not, as it was told to */
        hits = fault_hits();
        fault_clear();
        assert_int_equal(folder_save(folder, NULL), SEALTAPE_OK);
    }
    assert_true(last > 4);
    folder_release(&folder);
    assert_int_equal(folder_open(directory, "test", &folder, NULL), SEALTAPE_OK);
    assert_string_equal(folder_epoch(folder), epoch);
    assert_int_equal(folder_take_sequence(folder, 101, &number), SEALTAPE_OK);
    assert_int_equal(number, last + 1);
    assert_int_equal(folder_see_sequence(folder, 101, 500), SEALTAPE_OK);
    assert_int_equal(folder_take_sequence(folder, 101, &number), SEALTAPE_OK);
    assert_int_equal(number, 501);
    folder_release(&folder);
}

/* --- what goes well ------------------------------------------------------- */

static void test_a_missing_spool_is_made_for_its_owner_only(void **state)
{
    char path[128];
    struct stat st;

    (void)state;
    (void)snprintf(path, sizeof(path), "%s/spool", directory);
    assert_int_equal(folder_check_spool(path, NULL), SEALTAPE_OK);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0700);
}

static void test_folders_are_listed_in_order_and_nothing_else(void **state)
{
    static const char *const names[] = {"a.10", "a.2", "b.0", "a", ".0", "a.x", "a.1x", "a."};
    static const char *const wanted[] = {"a.2", "a.10", "b.0"};
    char path[256], **found = NULL;

    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(names); i++) {
        (void)snprintf(path, sizeof(path), "%s/%s", directory, names[i]);
        assert_int_equal(mkdir(path, 0700), 0);
    }
    assert_int_equal(folder_list(directory, &found, NULL), SEALTAPE_OK);
    for (size_t i = 0; i < ARRAY_COUNT(wanted); i++)
        assert_string_equal(found[i], wanted[i]);
    assert_null(found[ARRAY_COUNT(wanted)]);
    free(found);
    found = NULL;
    (void)snprintf(path, sizeof(path), "%s/none", directory);
    assert_int_equal(folder_list(path, &found, NULL), SEALTAPE_E_SPOOL);
    assert_null(found);
}

static void test_the_lock_goes_with_the_last_share(void **state)
{
    struct folder *folder = NULL, *share, *other = NULL;
    pid_t owner;

    (void)state;
    assert_int_equal(folder_open(directory, "test", &folder, NULL), SEALTAPE_OK);
    share = folder_acquire(folder);
    folder_release(&folder);
    assert_null(folder);
    assert_int_equal(folder_adopt(directory, "test.0", &other, &owner, NULL), SEALTAPE_E_STATE);
    folder_release(&share);
    assert_int_equal(folder_adopt(directory, "test.0", &other, &owner, NULL), SEALTAPE_OK);
    folder_count_bytes(other, 100);
    folder_count_bytes(other, -300);
    assert_int_equal(folder_bytes(other), 0);
    folder_release(&other);
}

#define with_directory(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
            with_directory(test_network_file_systems_are_refused_by_name),
            with_directory(test_a_file_in_place_of_the_spool_is_refused),
            with_directory(test_a_directory_that_may_not_be_written_is_refused),
            with_directory(test_each_failing_call_leaves_no_lock_behind),
            with_directory(test_a_newer_epoch_is_left_alone_and_the_next_number_taken),
            with_directory(test_only_folders_of_dead_processes_are_adopted),
            with_directory(test_numbers_that_could_not_be_saved_are_saved_later),
            with_directory(test_a_missing_spool_is_made_for_its_owner_only),
            with_directory(test_folders_are_listed_in_order_and_nothing_else),
            with_directory(test_the_lock_goes_with_the_last_share),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
