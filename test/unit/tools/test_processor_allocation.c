/* What the processor does with a document when any one allocation fails. */
#include <stdlib.h>
#include <string.h>

#include "../allocation.h"
#include "../unit.h"
#include "processor_sample.h"

static void a_posted_document_is_taken_only_when_it_is_read(void **state)
{
    unsigned nth = 0;
    bool failed;

    (void)state;
    do {
        char *text = strdup(SAMPLE("a", SAMPLE_MEDIA("m")));
        struct document *document = NULL;
        struct diag diag = {""};
        enum sealtape_status st;

        assert_non_null(text);
        allocation_fail(++nth);
        st = document_parse(&text, strlen(text), &document, &diag);
        failed = allocation_failed();
        assert_int_equal(st, failed ? SEALTAPE_E_MEMORY : SEALTAPE_OK);
        assert_int_equal(document != NULL, !failed);
        assert_int_equal(text == NULL, !failed);
        document_free(&document);
        free(text);
    } while (failed);
    assert_true(nth > 1);
}

static void documents_are_joined_or_stay_as_they_were(void **state)
{
    struct document *current = sample(SAMPLE("a", SAMPLE_MEDIA("m")));
    struct document *posted = sample(SAMPLE("a", SAMPLE_MEDIA("n")));
    unsigned nth = 0;
    bool failed;

    (void)state;
    do {
        enum document_relation relation = DOCUMENT_CONFLICT;
        struct document *merged = NULL;
        struct diag diag = {""};
        enum sealtape_status st;

        allocation_fail(++nth);
        st = document_merge(current, posted, &relation, &merged, &diag);
        failed = allocation_failed();
        assert_int_equal(st, failed ? SEALTAPE_E_MEMORY : SEALTAPE_OK);
        assert_int_equal(merged != NULL, !failed);
        assert_int_equal(relation, failed ? DOCUMENT_CONFLICT : DOCUMENT_JOINED);
        document_free(&merged);
    } while (failed);
    assert_true(nth > 1);
    document_free(&current);
    document_free(&posted);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
            cmocka_unit_test(a_posted_document_is_taken_only_when_it_is_read),
            cmocka_unit_test(documents_are_joined_or_stay_as_they_were),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
