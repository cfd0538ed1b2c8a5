#include "base/xml.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <libxml/xmlerror.h>

#include "../unit.h"

static struct xml *parsed(const char *text, size_t len)
{
    struct xml *xml = NULL;
    struct diag diag = {""};

    if (xml_parse("a.xml", text, len, &xml, &diag) != SEALTAPE_OK)
        fail_msg("%s", diag.text);
    return xml;
}

static void assert_refused_bytes(const void *bytes, size_t len, const char *reason)
{
    struct xml *xml = NULL;
    struct diag diag = {""};

    assert_int_equal(xml_parse("a.xml", bytes, len, &xml, &diag), SEALTAPE_E_CONFIG);
    assert_null(xml);
    assert_contains(diag.text, reason);
    assert_null(strchr(diag.text, '\n'));
}

static void assert_refused(const char *text, const char *reason)
{
    assert_refused_bytes(text, strlen(text), reason);
}

/* "@head@part ... @part@tail", malloc'ed. */
static char *repeated(const char *head, const char *part, size_t count, const char *tail)
{
    size_t part_len = strlen(part);
    char *text = malloc(strlen(head) + part_len * count + strlen(tail) + 1);
    char *at = text;

    assert_non_null(text);
    at = stpcpy(at, head);
    if (part_len == 1) {
        memset(at, part[0], count);
        at += count;
    }
    for (size_t i = 0; part_len > 1 && i < count; i++, at += part_len)
        memcpy(at, part, part_len);
    strcpy(at, tail);
    return text;
}

static void elements_attributes_and_lines_are_found(void **state)
{
    static const char text[] =
            "<?xml version=\"1.0\"?>\n<!-- x -->\n<a xmlns=\"urn:x\" n='1'>\n"
            "  <b\n   xmlns:q='u'\n   one = 'a&#13;&#10;b\nc'\n   two=\"&lt;=\"\n"
            "  />\n  <c/>\n</a>";
    struct xml *xml = parsed(text, strlen(text));
    const struct xml_element *root = xml_root(xml), *b = xml_child(root), *c = xml_next(b);
    const char *name = NULL, *value = NULL;

    (void)state;
    assert_string_equal(xml_name(root), "a");
    assert_string_equal(xml_namespace(root), "urn:x");
    assert_int_equal(xml_line(root), 3);
    assert_string_equal(xml_attribute(root, "n"), "1");
    assert_null(xml_attribute(root, "xmlns"));
    assert_string_equal(xml_name(b), "b");
    assert_int_equal(xml_line(b), 4);
    assert_string_equal(xml_attribute(b, "one"), "a\r\nb c");
    assert_string_equal(xml_attribute(b, "two"), "<=");
    assert_int_equal(xml_attribute_line(b, "one"), 6);
    assert_int_equal(xml_attribute_line(b, "two"), 8);
    assert_int_equal(xml_attribute_line(b, "none"), 4);
    assert_int_equal(xml_attribute_at(b, 1, &name, &value), 1);
    assert_string_equal(name, "two");
    assert_int_equal(xml_attribute_at(b, 2, &name, &value), 0);
    assert_int_equal(xml_line(c), 10);
    assert_null(xml_next(c));
    assert_null(xml_child(c));
    xml_free(&xml);
    assert_null(xml);
    xml_free(&xml);
}

static void text_is_told_with_its_line(void **state)
{
    static const char text[] =
            "<a>\n\n <b/>\n <c>\n\n  words\n </c>\n <d>\n<![CDATA[\nx]]></d></a>";
    struct xml *xml = parsed(text, strlen(text));
    const struct xml_element *c = xml_next(xml_child(xml_root(xml)));

    (void)state;
    assert_int_equal(xml_text_line(xml_root(xml)), 0);
    assert_int_equal(xml_text_line(xml_child(xml_root(xml))), 0);
    assert_int_equal(xml_text_line(c), 6);
    assert_int_equal(xml_text_line(xml_next(c)), 10);
    xml_free(&xml);
}

static void an_attribute_without_a_prefix_goes_first(void **state)
{
    static const char text[] = "<a xmlns:p='urn:p' p:key='wrong' key='right'/>";
    struct xml *xml = parsed(text, strlen(text));

    (void)state;
    assert_string_equal(xml_attribute(xml_root(xml), "key"), "right");
    assert_string_equal(xml_namespace(xml_root(xml)), "urn:p");
    xml_free(&xml);
}

static void lines_beyond_65535_are_right(void **state)
{
    char *text = repeated("<a>", "\n", 99998, "<b v='1'/>\n<c v='\n\n'/></a>");
    struct xml *xml = parsed(text, strlen(text));
    const struct xml_element *b = xml_child(xml_root(xml));

    (void)state;
    assert_int_equal(xml_line(b), 99999);
    assert_int_equal(xml_line(xml_next(b)), 100000);
    xml_free(&xml);
    free(text);
    text = repeated("<a>", "\n", 99999, "<b></c></a>");
    assert_refused(text, "a.xml:100000: not well-formed XML: Opening and ending tag mismatch");
    free(text);
}

static void latin_1_and_utf_16_are_read(void **state)
{
    static const char latin[] = "<?xml version='1.0' encoding='ISO-8859-1'?>\n<a n='M\xfcller'/>";
    static const char ascii[] = "<?xml version='1.0' encoding='UTF-16'?>\n\n<a\nn='1'/>";
    unsigned char wide[2 * sizeof(ascii)] = {0xff, 0xfe};
    struct xml *xml;

    (void)state;
    xml = parsed(latin, strlen(latin));
    assert_string_equal(xml_attribute(xml_root(xml), "n"), "M\xc3\xbcller");
    xml_free(&xml);
    for (size_t i = 0; i < strlen(ascii); i++)
        wide[2 + 2 * i] = (unsigned char)ascii[i];
    xml = parsed((const char *)wide, 2 * strlen(ascii) + 2);
    assert_string_equal(xml_attribute(xml_root(xml), "n"), "1");
    assert_int_equal(xml_line(xml_root(xml)), 3);
    xml_free(&xml);
}

static void other_encodings_are_refused(void **state)
{
    static const unsigned char ucs4[] = {0, 0, 0, '<', 0, 0, 0, 'a', 0, 0, 0, '/', 0, 0, 0, '>'};

    (void)state;
    assert_refused("<?xml version='1.0' encoding='no-such'?><a/>", "a.xml:1: ");
    assert_refused("<?xml version='1.0' encoding='UTF-7'?><a/>", "found \"UTF-7\"");
    assert_refused("<?xml version='1.0' encoding='EBCDIC-US'?><a/>", "a.xml:1: ");
    assert_refused("<?xml version='1.0' encoding='UTF-16'?><a/>", "a.xml:1: ");
    assert_refused("<a>\n<b n='\xfc'/></a>", "a.xml:2: not well-formed XML: Input is not proper");
    assert_refused_bytes(ucs4, sizeof(ucs4), "UCS-4");
}

static void entities_are_refused(void **state)
{
    static const char laughs[] = "<?xml version='1.0'?>\n<!DOCTYPE a [\n<!ENTITY x 'ha'>\n"
                                 "<!ENTITY y '&x;&x;&x;'>]>\n<a>&y;</a>";

    (void)state;
    assert_refused(laughs, "a.xml:2: a DOCTYPE is not allowed");
    assert_refused("<!DOCTYPE a SYSTEM 'file:///etc/passwd'><a/>", "a.xml:1: a DOCTYPE");
    assert_refused("<!DOCTYPE a SYSTEM 'http://127.0.0.1:9/x.dtd'><a/>", "a.xml:1: a DOCTYPE");
    assert_refused("<!DOCTYPE a [<!ENTITY x SYSTEM '/etc/passwd'>]><a n='&x;'/>", "a DOCTYPE");
    assert_refused("<!DOCTYPE a [<!ENTITY % p SYSTEM '/etc/passwd'> %p;]><a/>", "a DOCTYPE");
    assert_refused("<a>\n&x;</a>", "a.xml:2: not well-formed XML: Entity 'x' not defined");
    assert_refused("<a n='&x;'/>", "Entity 'x' not defined");
}

static void deep_nesting_is_refused(void **state)
{
    char *text = repeated("", "<a>\n", 65, "");

    (void)state;
    assert_refused(text, "a.xml:65: more than 64 elements inside each other");
    free(text);
    text = repeated("", "<a>", 5000000, "");
    assert_refused(text, "a.xml:1: more than 64 elements inside each other");
    free(text);
}

static void large_values_are_refused(void **state)
{
    char *text = repeated("<a>\n<b v='", "x", XML_VALUE_MAX + 1, "'/></a>");

    (void)state;
    assert_refused(text, "a.xml:2: attribute v has 1048577 bytes; at most 1048576 are read");
    free(text);
    text = repeated("<a>\n<b v='", "x", 60u << 20, "'/></a>");
    assert_refused(text, "a.xml:2: attribute v has 62914560 bytes; at most 1048576 are read");
    free(text);
    text = repeated("<a>\n<", "x", 60u << 20, "/></a>");
    assert_refused(text, "a.xml:2: not well-formed XML: Name too long");
    free(text);
    text = repeated("<a>\n<b v='", "x", 100u << 20, "'/></a>");
    assert_refused(text, "104857617 bytes; at most 67108864 are read");
    free(text);
}

static void a_value_of_the_largest_size_is_read(void **state)
{
    char *text = repeated("<a v='", "x", XML_VALUE_MAX, "'/>");
    struct xml *xml = parsed(text, strlen(text));

    (void)state;
    assert_int_equal(strlen(xml_attribute(xml_root(xml), "v")), XML_VALUE_MAX);
    xml_free(&xml);
    free(text);
}

static void a_document_of_30_megabytes_is_read_to_its_end(void **state)
{
    enum { COUNT = 300000, LINE_LEN = 100 };
    char line[LINE_LEN + 1], *text;
    struct xml *xml;
    const struct xml_element *at;
    size_t count = 1;

    (void)state;
    memset(line, 'x', LINE_LEN);
    memcpy(line, "<b v='", 6);
    strcpy(line + LINE_LEN - 4, "'/>\n");
    text = repeated("<a>\n", line, COUNT, "<c/></a>");
    xml = parsed(text, strlen(text));
    for (at = xml_child(xml_root(xml)); xml_next(at); at = xml_next(at))
        count++;
    assert_int_equal(count, COUNT + 1);
    assert_string_equal(xml_name(at), "c");
    assert_int_equal(xml_line(at), COUNT + 2);
    xml_free(&xml);
    text[strlen(text) - 2] = 'b';
    assert_refused(text, "a.xml:300002: not well-formed XML: Opening and ending tag mismatch");
    free(text);
}

static void very_many_things_are_refused_quickly(void **state)
{
    char *text = repeated("<a>", "<b/>", XML_ELEMENTS_MAX, "</a>");

    (void)state;
    assert_refused(text, "more than 1000000 elements");
    free(text);
    text = repeated("<a ", "a=''", 513, "/>");
    assert_refused(text, "more than 512 attributes in one tag");
    free(text);
    text = repeated("<a b=1 ", "a = '' ", 5000000, "/>");
    assert_refused(text, "more than 512 attributes in one tag");
    free(text);
    text = repeated(
            "<a>", "<b xmlns:c='u' xmlns:d='u' xmlns:e='u' xmlns:f='u' xmlns:g='u'>", 63, "");
    assert_refused(text, "more than 256 namespace declarations");
    free(text);
}

static void namespaces_that_have_ended_do_not_count(void **state)
{
    char *text = repeated("<a>", "<b xmlns:c='u' xmlns='v'><c:d/></b>", 1000, "</a>");
    struct xml *xml = parsed(text, strlen(text));

    (void)state;
    xml_free(&xml);
    free(text);
}

static void every_truncation_is_refused(void **state)
{
    static const char text[] = "<?xml version='1.0'?>\n<a x='1'>\n<!-- c --><b y='&#65;'>t</b></a>";

    (void)state;
    for (size_t len = 0; len < strlen(text); len++)
        assert_refused_bytes(text, len, "a.xml:");
}

static void nul_bytes_and_trailing_text_are_refused(void **state)
{
    static const char inside[] = "<a>\n<b v='1\0002'/></a>";
    static const char behind[] = "<a/>\n\0<b/>";

    (void)state;
    assert_refused_bytes(inside, sizeof(inside) - 1, "a.xml:2: a NUL stands here");
    assert_refused_bytes(behind, sizeof(behind) - 1, "a.xml:2: a NUL stands here");
    assert_refused("<a/>\nmore", "a.xml:2: not well-formed XML: Extra content");
    assert_refused("<a/><b/>", "a.xml:1: ");
    assert_refused("words", "a.xml:1: ");
    assert_refused("<a n='1' n='2'/>", "redefined");
    assert_refused("<p:a/>", "a.xml:1: ");
}

static void a_byte_order_mark_is_passed_over(void **state)
{
    static const char text[] = "\xef\xbb\xbf<a n='1'/>";
    struct xml *xml = parsed(text, strlen(text));

    (void)state;
    assert_string_equal(xml_attribute(xml_root(xml), "n"), "1");
    assert_int_equal(xml_line(xml_root(xml)), 1);
    xml_free(&xml);
}

static int told_host;

static void host_handler(void *context, const xmlError *error)
{
    (void)context;
    (void)error;
    told_host++;
}

static void a_hosts_own_error_handler_is_left_alone(void **state)
{
    (void)state;
    told_host = 0;
    xmlSetStructuredErrorFunc(&told_host, (xmlStructuredErrorFunc)(void (*)(void))host_handler);
    assert_refused("<a>", "a.xml:1: ");
    assert_ptr_equal(xmlStructuredErrorContext, &told_host);
    assert_int_equal(told_host, 0);
    xmlSetStructuredErrorFunc(NULL, NULL);
}

/* Documents of its own, good and bad in turn; NULL when all went as it should. */
static void *parse_often(void *context)
{
    const char *name = context;

    for (unsigned i = 0; i < 300; i++) {
        struct xml *xml = NULL;
        struct diag diag = {""};
        char text[64];

        (void)snprintf(
                text, sizeof(text), "<%s n='%u'>\n<b%s</%s>", name, i, i % 2 ? "/>" : "", name);
        if ((xml_parse(name, text, strlen(text), &xml, &diag) == SEALTAPE_OK) != (i % 2 == 1))
            return context;
        if (xml ? strcmp(xml_name(xml_root(xml)), name) != 0
                : strncmp(diag.text, name, strlen(name)) != 0)
            return context;
        xml_free(&xml);
    }
    return NULL;
}

static void threads_do_not_disturb_each_other(void **state)
{
    static char names[4][8] = {"one", "two", "three", "four"};
    pthread_t threads[4];
    void *failed;

    (void)state;
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, parse_often, names[i]), 0);
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(pthread_join(threads[i], &failed), 0);
        assert_null(failed);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
            cmocka_unit_test(elements_attributes_and_lines_are_found),
            cmocka_unit_test(text_is_told_with_its_line),
            cmocka_unit_test(an_attribute_without_a_prefix_goes_first),
            cmocka_unit_test(lines_beyond_65535_are_right),
            cmocka_unit_test(latin_1_and_utf_16_are_read),
            cmocka_unit_test(other_encodings_are_refused),
            cmocka_unit_test(entities_are_refused),
            cmocka_unit_test(deep_nesting_is_refused),
            cmocka_unit_test(large_values_are_refused),
            cmocka_unit_test(a_value_of_the_largest_size_is_read),
            cmocka_unit_test(a_document_of_30_megabytes_is_read_to_its_end),
            cmocka_unit_test(very_many_things_are_refused_quickly),
            cmocka_unit_test(namespaces_that_have_ended_do_not_count),
            cmocka_unit_test(a_byte_order_mark_is_passed_over),
            cmocka_unit_test(a_hosts_own_error_handler_is_left_alone),
            cmocka_unit_test(threads_do_not_disturb_each_other),
            cmocka_unit_test(every_truncation_is_refused),
            cmocka_unit_test(nul_bytes_and_trailing_text_are_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
