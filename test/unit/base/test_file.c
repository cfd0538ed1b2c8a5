#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../unit.h"

static char directory[] = "/tmp/sealtape-file-XXXXXX";
static int dirfd = -1;

static int make_directory(void **state)
{
    (void)state;
    if (!mkdtemp(directory))
        return -1;
    dirfd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return dirfd < 0 ? -1 : 0;
}

static int remove_directory(void **state)
{
    (void)state;
    unlinkat(dirfd, "a", 0);
    unlinkat(dirfd, "fifo", 0);
    file_close(&dirfd);
    return rmdir(directory);
}

static void a_file_is_replaced_whole(void **state)
{
    char *bytes = NULL;
    size_t len = 0;
    struct stat stat;

    (void)state;
    assert_int_equal(file_replace(dirfd, "a", "one", 3, 0, NULL), SEALTAPE_OK);
    assert_int_equal(file_replace(dirfd, "a", "two!", 4, 1, NULL), SEALTAPE_OK);
    assert_int_equal(file_read(dirfd, "a", 100, &bytes, &len, NULL), SEALTAPE_OK);
    assert_int_equal(len, 4);
    assert_string_equal(bytes, "two!");
    free(bytes);
    assert_int_equal(fstatat(dirfd, "a", &stat, 0), 0);
    assert_int_equal(stat.st_mode & 0777, 0600);
    assert_int_equal(faccessat(dirfd, "a.tmp", F_OK, 0), -1);
}

static void a_file_that_is_too_large_is_refused(void **state)
{
    char *bytes = NULL;
    struct diag diag;
    size_t len = 7;

    (void)state;
    assert_int_equal(file_replace(dirfd, "a", "12345", 5, 0, NULL), SEALTAPE_OK);
    assert_int_equal(file_read(dirfd, "a", 4, &bytes, &len, &diag), SEALTAPE_E_LIMIT);
    assert_null(bytes);
    assert_int_equal(len, 7);
    assert_contains(diag.text, "at most 4");
}

static void a_missing_file_and_a_fifo_are_refused(void **state)
{
    char *bytes = NULL;
    struct diag diag;
    size_t len;

    (void)state;
    assert_int_equal(file_read(dirfd, "none", 4, &bytes, &len, &diag), SEALTAPE_E_IO);
    assert_contains(diag.text, "No such file");
    assert_int_equal(mkfifoat(dirfd, "fifo", 0600), 0);
    assert_int_equal(file_read(dirfd, "fifo", 4, &bytes, &len, &diag), SEALTAPE_E_IO);
    assert_contains(diag.text, "not a regular file");
}

static void a_name_that_is_too_long_leaves_nothing(void **state)
{
    char name[300];
    struct diag diag;

    (void)state;
    memset(name, 'x', sizeof(name) - 1);
    name[sizeof(name) - 1] = '\0';
    assert_int_equal(file_replace(dirfd, name, "x", 1, 0, &diag), SEALTAPE_E_IO);
    assert_contains(diag.text, "too long");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
            cmocka_unit_test(a_file_is_replaced_whole),
            cmocka_unit_test(a_file_that_is_too_large_is_refused),
            cmocka_unit_test(a_missing_file_and_a_fifo_are_refused),
            cmocka_unit_test(a_name_that_is_too_long_leaves_nothing),
    };

    return cmocka_run_group_tests(tests, make_directory, remove_directory);
}
