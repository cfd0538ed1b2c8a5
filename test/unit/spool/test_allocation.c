/* What the reader of the spool's documents does when any one allocation fails. */
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "../allocation.h"
#include "../unit.h"
#include "spool/attempts.h"
#include "spool/document.h"
#include "spool/numbers.h"

static const char text[] =
        "{\"spool\":{\"format\":1,\"storage\":[\"https://a.example/\",\"https://b.example/\"],"
        "\"processor\":[\"https://p.example/\"],\"tenant\":\"101\"},\"id\":\"a\",\"mediaFiles\":"
        "[{\"mediaId\":\"a-1.wav\",\"size\":\"32\",\"mediaDescriptor\":{\"path\":\"\"},"
        "\"sealtape\":{\"version\":1,\"tenantDBID\":101,\"sequence\":1,\"epoch\":"
        "\"0123456789abcdef0123456789abcdef\"}}]}";

static void a_document_for_which_there_is_no_memory_is_not_corrupt(void **state)
{
    struct document *document = NULL;
    struct diag diag = {""};
    json_malloc_t usual_malloc;
    json_free_t usual_free;

    (void)state;
    json_get_alloc_funcs(&usual_malloc, &usual_free);
    json_set_alloc_funcs(allocation_malloc, free);
    allocation_fail(1);
    assert_int_equal(document_parse(text, strlen(text), &document, &diag), SEALTAPE_E_MEMORY);
    assert_true(allocation_failed());
    json_set_alloc_funcs(usual_malloc, usual_free);
    assert_null(document);
    assert_contains(diag.text, "no memory");
}

static enum sealtape_status plan_all(struct entry_plan **ret_plan, struct diag *diag)
{
    CLEANUP(document_free) struct document *document = NULL;
    enum sealtape_status st;

    st = document_parse(text, strlen(text), &document, diag);
    return st == SEALTAPE_OK ? document_plan(document, ret_plan) : st;
}

static void a_plan_is_made_whole_or_not_at_all(void **state)
{
    unsigned nth = 0;
    bool failed;

    (void)state;
    do {
        struct entry_plan *plan = NULL;
        struct diag diag = {""};
        enum sealtape_status st;

        allocation_fail(++nth);
        st = plan_all(&plan, &diag);
        failed = allocation_failed();
        assert_int_equal(st, failed ? SEALTAPE_E_MEMORY : SEALTAPE_OK);
        assert_int_equal(plan != NULL, !failed);
        entry_plan_free(&plan);
    } while (failed);
    assert_true(nth > 5);
}

static void numbers_without_memory_stay_what_they_were(void **state)
{
    static const char epoch_file[] =
            "sealtape-epoch 1\nepoch 0123456789abcdef0123456789abcdef\ntenant 7 1\n";
    struct numbers *numbers = NULL;
    uint64_t number = 0;
    unsigned nth = 0;
    bool failed;

    (void)state;
    assert_int_equal(numbers_new(&numbers), SEALTAPE_OK);
    assert_int_equal(numbers_see(numbers, 7, 41), SEALTAPE_OK);
    do {
        char epoch[33] = "untouched";
        enum sealtape_status st;

        allocation_fail(++nth);
        st = numbers_parse(numbers, epoch_file, strlen(epoch_file), epoch, NULL);
        failed = allocation_failed();
        assert_int_equal(st, failed ? SEALTAPE_E_MEMORY : SEALTAPE_OK);
        assert_int_equal(numbers_take(numbers, 7, &number), SEALTAPE_OK);
        assert_int_equal(number, failed ? 41 + nth : 2);
        assert_int_equal(strcmp(epoch, "untouched") == 0, failed);
    } while (failed);
    assert_true(nth > 2);
    numbers_free(&numbers);
}

static void attempts_without_memory_are_told_as_such(void **state)
{
    char **urls = NULL;

    (void)state;
    allocation_fail(1);
    assert_int_equal(attempts_parse("", 0, "a-1.wav", &urls), SEALTAPE_E_MEMORY);
    assert_true(allocation_failed());
    assert_null(urls);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
            cmocka_unit_test(a_document_for_which_there_is_no_memory_is_not_corrupt),
            cmocka_unit_test(a_plan_is_made_whole_or_not_at_all),
            cmocka_unit_test(numbers_without_memory_stay_what_they_were),
            cmocka_unit_test(attempts_without_memory_are_told_as_such),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
