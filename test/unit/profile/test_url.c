#include "profile/url.h"

#include <stdlib.h>
#include <string.h>

#include "../unit.h"

static struct url parsed(const char *text)
{
    struct url url = {0};
    struct diag diag = {""};

    if (url_parse(text, &url, &diag) != SEALTAPE_OK)
        fail_msg("%s: %s", text, diag.text);
    return url;
}

static void urls_that_cannot_be_meant_are_refused(void **state)
{
    static const struct {
        const char *text, *reason;
    } cases[] = {
            {"", "begins with https://"},
            {"store.example/x", "begins with https://"},
            {"ftp://store.example/", "begins with https://"},
            {"file:///etc/passwd", "begins with https://"},
            {"https:/store.example/", "begins with https://"},
            {" https://store.example/", "begins with https://"},
            {"https://", "expected the name or address of a host"},
            {"https:///x", "expected the name or address of a host"},
            {"https://:8080/x", "expected the name or address of a host"},
            {"https://a b/", "expected the name or address of a host"},
            {"https://a%2eb/", "expected the name or address of a host"},
            {"https://m\xc3\xbcller.example/", "expected the name or address of a host"},
            {"https://[::1", "expected \"]\""},
            {"https://[::g]/", "expected the name or address of a host"},
            {"https://[::1]x/", "expected \":\" or \"/\" behind the host"},
            {"https://u@store.example/", "without userinfo"},
            {"https://u:p@store.example/", "without userinfo"},
            {"https://u:p@[::1]/", "without userinfo"},
            {"https://store.example:/", "expected a port"},
            {"https://store.example:0/", "expected a port"},
            {"https://store.example:65536/", "expected a port"},
            {"https://store.example:123456/", "expected a port"},
            {"https://store.example:8o/", "expected a port"},
            {"https://store.example:+80/", "expected a port"},
            {"https://store.example/a b", "the byte 0x20"},
            {"https://store.example/a\r\nX: y", "the byte 0x0d"},
            {"https://store.example/\xc3\xbc", "the byte 0xc3"},
            {"https://store.example\\@evil/", "the byte 0x5c"},
            {"https://store.example/x#y", "without a fragment"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        struct url url = {.port = 7};
        struct diag diag = {""};

        if (url_parse(cases[i].text, &url, &diag) != SEALTAPE_E_USAGE)
            fail_msg("taken: %s", cases[i].text);
        assert_contains(diag.text, cases[i].reason);
        assert_int_equal(url.port, 7);
    }
}

static void a_password_never_gets_into_a_reason(void **state)
{
    static const char *const texts[] = {"https://u:tiger@store.example/", "u:tiger@store.example",
            "https://u:tiger/x@store.example/", "https://u:ti:tiger@h", "https://tiger@h"};

    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(texts); i++) {
        struct url url;
        struct diag diag = {""};

        assert_int_equal(url_parse(texts[i], &url, &diag), SEALTAPE_E_USAGE);
        assert_null(strstr(diag.text, "tiger"));
    }
}

static void a_url_that_is_too_long_is_refused(void **state)
{
    char text[URL_MAX + 2] = "https://h/";
    struct url url;
    struct diag diag;

    (void)state;
    memset(text + 10, 'x', sizeof(text) - 11);
    text[sizeof(text) - 1] = '\0';
    assert_int_equal(url_parse(text, &url, &diag), SEALTAPE_E_USAGE);
    assert_contains(diag.text, "at most 2048 bytes, found 2049");
    text[URL_MAX] = '\0';
    assert_int_equal(url_parse(text, &url, &diag), SEALTAPE_OK);
    memset(text, 'h', URL_HOST_MAX + 20);
    memcpy(text, "https://", 8);
    text[URL_HOST_MAX + 20] = '\0';
    assert_int_equal(url_parse(text, &url, &diag), SEALTAPE_E_USAGE);
}

static void an_origin_is_scheme_host_and_port(void **state)
{
    struct url a = parsed("https://store.example/a"), b = parsed("HTTPS://Store.Example:443?b");
    struct url c = parsed("https://store.example:8443/a"), d = parsed("http://store.example:443/a");
    struct url e = parsed("https://store.example.evil/");

    (void)state;
    assert_true(url_same_origin(&a, &b));
    assert_false(url_same_origin(&a, &c));
    assert_false(url_same_origin(&a, &d));
    assert_false(url_same_origin(&a, &e));
    assert_string_equal(a.path, "/a");
    assert_string_equal(b.path, "?b");
    assert_int_equal(parsed("http://h").port, 80);
    assert_string_equal(parsed("http://[FE80::1]:8080/").host, "fe80::1");
    assert_int_equal(parsed("http://[::1]:8080/").port, 8080);
}

static void only_addresses_of_this_machine_are_loopback(void **state)
{
    static const char *const inside[] = {"http://localhost/", "http://LOCALHOST:1",
            "http://127.0.0.1/", "http://127.9.9.9", "http://[::1]/"};
    static const char *const outside[] = {"http://127.example.org/", "http://localhost.example/",
            "http://10.0.0.1/", "http://[::2]/", "http://0.0.0.0/", "http://127.1/"};

    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(inside); i++) {
        struct url url = parsed(inside[i]);

        assert_true(url_is_loopback(&url));
    }
    for (size_t i = 0; i < ARRAY_COUNT(outside); i++) {
        struct url url = parsed(outside[i]);

        assert_false(url_is_loopback(&url));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
            cmocka_unit_test(urls_that_cannot_be_meant_are_refused),
            cmocka_unit_test(a_password_never_gets_into_a_reason),
            cmocka_unit_test(a_url_that_is_too_long_is_refused),
            cmocka_unit_test(an_origin_is_scheme_host_and_port),
            cmocka_unit_test(only_addresses_of_this_machine_are_loopback),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
