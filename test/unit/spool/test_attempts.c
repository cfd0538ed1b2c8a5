#include "spool/attempts.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../unit.h"
#include "spool/entry.h"
#include "spool/folder.h"

#define ID "a-1.wav"
#define BASE "https://store.example/recordings/"
#define FIRST BASE ID ".bin.0a1b2c3d.part"
#define SECOND BASE ID ".bin.00000000.part"

static void parse(const char *text, size_t len, const char *first, const char *second)
{
    char **urls = NULL;

    assert_int_equal(attempts_parse(text, len, ID, &urls), SEALTAPE_OK);
    if (first)
        assert_string_equal(urls[0], first);
    if (second)
        assert_string_equal(urls[1], second);
    assert_null(urls[(first != NULL) + (second != NULL)]);
    free(urls);
}

static void a_line_that_names_anything_else_is_passed_over(void **state)
{
    static const char *const lines[] = {
            "",
            "\n",
            "1 \n",
            "1 /\n",
            "1 " BASE "\n",
            "1 " BASE ID ".bin\n",
            "1 " BASE ID "\n",
            "1 " BASE ID ".part\n",
            "1 " BASE "b-1.wav.bin.00000000.part\n",
            "1 " BASE ID ".bin.00000000.part/\n",
            "1 " BASE ID ".bin.00000000.part x\n",
            "1 " BASE ID ".bin.00000000.part\r\n",
            "1 " BASE ID ".bin.0000 1 " SECOND "\n",
            "1 " ID ".bin.00000000.part\n",
            "2 " FIRST "\n",
            "1" FIRST "\n",
            FIRST "\n",
    };

    (void)state;
    for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++)
        parse(lines[i], strlen(lines[i]), NULL, NULL);
}

static void a_line_that_was_cut_anywhere_is_passed_over(void **state)
{
    static const char text[] = "1 " FIRST "\n1 " SECOND "\n";
    const size_t line = strlen("1 " FIRST "\n");

    (void)state;
    for (size_t len = 0; len < line; len++)
        parse(text, len, NULL, NULL);
    for (size_t len = line; len < sizeof(text) - 1; len++)
        parse(text, len, FIRST, NULL);
    parse(text, sizeof(text) - 1, FIRST, SECOND);
}

static void zeros_of_a_power_cut_hide_no_line_behind_them(void **state)
{
    static const char text[] = "1 " FIRST "\n\0\0\0\0\n1 " SECOND "\n";

    (void)state;
    parse(text, sizeof(text) - 1, FIRST, SECOND);
}

/* An entry in a spool of its own. */
struct scene {
    char directory[32];
    struct folder *folder;
    struct entry *entry;
    int list; /* its .attempts */
};

static int setup(void **state)
{
    struct scene *scene = calloc(1, sizeof(*scene));
    char path[ENTRY_PATH_SIZE], whole[2 * ENTRY_PATH_SIZE];
    struct diag diag = {""};

    assert_non_null(scene);
    strcpy(scene->directory, "/tmp/sealtape-spool-XXXXXX");
    assert_non_null(mkdtemp(scene->directory));
    if (folder_open(scene->directory, "test", &scene->folder, &diag) != SEALTAPE_OK)
        fail_msg("%s", diag.text);
    assert_int_equal(
            entry_new(scene->folder, ID, "a", ENTRY_RECORDING, &scene->entry), SEALTAPE_OK);
    entry_path(scene->entry, NULL, path);
    (void)snprintf(whole, sizeof(whole), "%s/%s", folder_path(scene->folder), path);
    assert_int_equal(mkdir(whole, 0700), 0);
    entry_path(scene->entry, ".attempts", path);
    (void)snprintf(whole, sizeof(whole), "%s/%s", folder_path(scene->folder), path);
    scene->list = open(whole, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    assert_true(scene->list >= 0);
    *state = scene;
    return 0;
}

static int teardown(void **state)
{
    struct scene *scene = *state;
    char command[64];

    close(scene->list);
    entry_release(&scene->entry);
    folder_release(&scene->folder);
    (void)snprintf(command, sizeof(command), "rm -rf %s", scene->directory);
    assert_int_equal(system(command), 0);
    free(scene);
    return 0;
}

static void expect(struct scene *scene, const char *first, const char *second)
{
    char **urls = NULL;
    struct diag diag = {""};

    if (entry_attempts(scene->entry, &urls, &diag) != SEALTAPE_OK)
        fail_msg("%s", diag.text);
    assert_string_equal(urls[0], first);
    if (second)
        assert_string_equal(urls[1], second);
    assert_null(urls[second ? 2 : 1]);
    free(urls);
}

static void what_was_added_is_listed_in_its_order(void **state)
{
    struct scene *scene = *state;

    assert_int_equal(entry_attempt_add(scene->entry, FIRST, NULL), SEALTAPE_OK);
    assert_int_equal(entry_attempt_add(scene->entry, SECOND, NULL), SEALTAPE_OK);
    expect(scene, FIRST, SECOND);
}

static void the_rest_of_a_cut_line_does_not_swallow_the_next_attempt(void **state)
{
    struct scene *scene = *state;

    assert_int_equal(write(scene->list, "1 " BASE, strlen("1 " BASE)), strlen("1 " BASE));
    assert_int_equal(entry_attempt_add(scene->entry, SECOND, NULL), SEALTAPE_OK);
    expect(scene, SECOND, NULL);
}

static void a_list_of_weeks_without_a_store_stays_readable(void **state)
{
    struct scene *scene = *state;
    struct stat file;

    assert_int_equal(ftruncate(scene->list, (1 << 20) - 10), 0);
    assert_int_equal(entry_attempt_add(scene->entry, SECOND, NULL), SEALTAPE_OK);
    expect(scene, SECOND, NULL);
    assert_int_equal(fstat(scene->list, &file), 0);
    assert_true(file.st_size < 1000);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
            cmocka_unit_test(a_line_that_names_anything_else_is_passed_over),
            cmocka_unit_test(a_line_that_was_cut_anywhere_is_passed_over),
            cmocka_unit_test(zeros_of_a_power_cut_hide_no_line_behind_them),
            CASE(what_was_added_is_listed_in_its_order),
            CASE(the_rest_of_a_cut_line_does_not_swallow_the_next_attempt),
            CASE(a_list_of_weeks_without_a_store_stays_readable),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
