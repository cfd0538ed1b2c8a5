#include "delivery/account.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../unit.h"

struct scene {
    char directory[64], path[96];
    struct config_destination destination;
    struct account account;
};

static void password_write(struct scene *scene, const char *bytes, size_t len)
{
    char other[128];
    FILE *file;

    /* Another file under the name, as an operator's tool does it. */
    (void)snprintf(other, sizeof(other), "%s.new", scene->path);
    file = fopen(other, "w");
    assert_non_null(file);
    assert_int_equal(fwrite(bytes, 1, len, file), len);
    assert_int_equal(fclose(file), 0);
    assert_int_equal(rename(other, scene->path), 0);
}

static int setup(void **state)
{
    struct scene *scene = calloc(1, sizeof(*scene));
    static char url[] = "https://store.example/rec/", username[] = "recorder";

    strcpy(scene->directory, "/tmp/sealtape-account-XXXXXX");
    assert_non_null(mkdtemp(scene->directory));
    (void)snprintf(scene->path, sizeof(scene->path), "%s/secret", scene->directory);
    scene->destination.url = url;
    scene->destination.username = username;
    scene->destination.password_file = scene->path;
    assert_int_equal(account_init(&scene->account, &scene->destination, NULL), SEALTAPE_OK);
    *state = scene;
    return 0;
}

static int teardown(void **state)
{
    struct scene *scene = *state;

    account_clear(&scene->account);
    unlink(scene->path);
    rmdir(scene->directory);
    free(scene);
    return 0;
}

static void a_missing_password_file_is_named(void **state)
{
    struct scene *scene = *state;
    const char *password = NULL;
    struct diag diag = {""};

    assert_int_equal(account_password(&scene->account, &password, &diag), SEALTAPE_E_IO);
    assert_contains(diag.text, scene->path);
    assert_null(password);
}

static void what_is_no_password_is_refused_and_never_shown(void **state)
{
    static const struct {
        const char *bytes;
        size_t len;
    } cases[] = {
            {"", 0}, {"\n", 1}, {"swordfish\nagain", 15}, {"sword\tfish", 10}, {"sword\0fish", 10}};
    struct scene *scene = *state;

    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        const char *password = NULL;
        struct diag diag = {""};

        password_write(scene, cases[i].bytes, cases[i].len);
        assert_int_equal(account_password(&scene->account, &password, &diag), SEALTAPE_E_CONFIG);
        assert_null(strstr(diag.text, "fish"));
        assert_null(password);
    }
}

static void a_file_that_changes_is_read_again(void **state)
{
    struct scene *scene = *state;
    const char *password = NULL;

    password_write(scene, "first\n", 6);
    assert_int_equal(account_password(&scene->account, &password, NULL), SEALTAPE_OK);
    assert_string_equal(password, "first");
    password_write(scene, "other\r\n", 7);
    assert_int_equal(account_password(&scene->account, &password, NULL), SEALTAPE_OK);
    assert_string_equal(password, "other");
}

static void an_environment_variable_serves_or_is_named(void **state)
{
    struct scene *scene = *state;
    static char name[] = "SEALTAPE_TEST_PASSWORD";
    const char *password = NULL;
    struct diag diag = {""};

    scene->destination.password_file = NULL;
    scene->destination.password_env = name;
    unsetenv(name);
    assert_int_equal(account_password(&scene->account, &password, &diag), SEALTAPE_E_CONFIG);
    assert_contains(diag.text, name);
    setenv(name, "swordfish", 1);
    assert_int_equal(account_password(&scene->account, &password, &diag), SEALTAPE_OK);
    assert_string_equal(password, "swordfish");
    unsetenv(name);
}

static void the_longest_path_of_the_same_origin_serves(void **state)
{
    static char urls[][48] = {"https://a.example/rec/", "https://a.example/rec/deep/",
            "https://a.example:444/rec/", "http://a.example/rec/"};
    struct config_destination destinations[4];
    struct account accounts[4];
    struct url url;

    (void)state;
    memset(destinations, 0, sizeof(destinations));
    for (size_t i = 0; i < 4; i++) {
        destinations[i].url = urls[i];
        assert_int_equal(account_init(&accounts[i], &destinations[i], NULL), SEALTAPE_OK);
    }
    assert_int_equal(url_parse("https://A.example/rec/deep/x", &url, NULL), SEALTAPE_OK);
    assert_ptr_equal(account_find(accounts, 4, &url), &accounts[1]);
    assert_int_equal(url_parse("https://a.example:443/rec/x", &url, NULL), SEALTAPE_OK);
    assert_ptr_equal(account_find(accounts, 4, &url), &accounts[0]);
    assert_int_equal(url_parse("https://a.example.evil.example/rec/x", &url, NULL), SEALTAPE_OK);
    assert_null(account_find(accounts, 4, &url));
    assert_int_equal(url_parse("https://a.example:445/rec/x", &url, NULL), SEALTAPE_OK);
    assert_null(account_find(accounts, 4, &url));
    assert_int_equal(url_parse("http://a.example:443/rec/x", &url, NULL), SEALTAPE_OK);
    assert_null(account_find(accounts, 4, &url));
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
            CASE(a_missing_password_file_is_named),
            CASE(what_is_no_password_is_refused_and_never_shown),
            CASE(a_file_that_changes_is_read_again),
            CASE(an_environment_variable_serves_or_is_named),
            CASE(the_longest_path_of_the_same_origin_serves),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
