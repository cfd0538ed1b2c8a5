#include "delivery/listing.h"

#include <string.h>

#include "../unit.h"

#define ANSWER(length)                                                                             \
    "<?xml version=\"1.0\" encoding=\"utf-8\"?><D:multistatus xmlns:D=\"DAV:\"><D:response>"       \
    "<D:href>/a</D:href><D:propstat><D:prop>" length                                               \
    "</D:prop><D:status>HTTP/1.1 200 OK</D:status></D:propstat></D:response></D:multistatus>"

static enum sealtape_status length_of(const char *text, uint64_t *length)
{
    return listing_length(text, strlen(text), length, NULL);
}

static void answers_without_one_clear_length_are_refused(void **state)
{
    static const char *const texts[] = {"", "no xml", "<a/>", ANSWER(""),
            ANSWER("<D:getcontentlength/>"), ANSWER("<D:getcontentlength></D:getcontentlength>"),
            ANSWER("<D:getcontentlength>-1</D:getcontentlength>"),
            ANSWER("<D:getcontentlength>12 34</D:getcontentlength>"),
            ANSWER("<D:getcontentlength>0x10</D:getcontentlength>"),
            ANSWER("<D:getcontentlength>9999999999999999999</D:getcontentlength>"),
            ANSWER("<D:xgetcontentlength>12</D:xgetcontentlength>"),
            ANSWER("<D:getcontentlengthy>12</D:getcontentlengthy>"),
            ANSWER("<D:getcontentlength>1</D:getcontentlength><D:getcontentlength>2</"
                   "D:getcontentlength>"),
            "<html><getcontentlength>12</getcontentlength></html>",
            "<multistatus><getcontentlength>12</getcontentlength>",
            ("<!DOCTYPE a [<!ENTITY b \"12\">]><multistatus><getcontentlength>&b;"
             "</getcontentlength></multistatus>")};

    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(texts); i++) {
        uint64_t length = 42;

        if (length_of(texts[i], &length) == SEALTAPE_OK)
            fail_msg("taken: %s", texts[i]);
        assert_int_equal(length, 42);
    }
}

static void the_forms_of_real_stores_are_read(void **state)
{
    static const char *const texts[] = {ANSWER("<D:getcontentlength>1234</D:getcontentlength>"),
            ANSWER("<lp1:getcontentlength xmlns:lp1=\"DAV:\">1234</lp1:getcontentlength>"),
            ANSWER("<D:getcontentlength\n>\n1234\n</D:getcontentlength>"),
            ("<multistatus xmlns=\"DAV:\"><response><propstat><prop><getcontentlength>1234"
             "</getcontentlength></prop></propstat></response></multistatus>")};
    uint64_t length;

    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(texts); i++) {
        length = 42;
        assert_int_equal(length_of(texts[i], &length), SEALTAPE_OK);
        assert_int_equal(length, 1234);
    }
    assert_int_equal(
            length_of(ANSWER("<D:getcontentlength>0</D:getcontentlength>"), &length), SEALTAPE_OK);
    assert_int_equal(length, 0);
}

static void a_torn_answer_is_refused_at_every_byte(void **state)
{
    static const char whole[] = ANSWER("<D:getcontentlength>1234</D:getcontentlength>");
    uint64_t length = 42;

    (void)state;
    for (size_t len = 0; len < sizeof(whole) - 1; len++) {
        char part[sizeof(whole)];

        memcpy(part, whole, len);
        part[len] = '\0';
        assert_int_not_equal(length_of(part, &length), SEALTAPE_OK);
    }
    assert_int_equal(length, 42);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
            cmocka_unit_test(answers_without_one_clear_length_are_refused),
            cmocka_unit_test(the_forms_of_real_stores_are_read),
            cmocka_unit_test(a_torn_answer_is_refused_at_every_byte),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
