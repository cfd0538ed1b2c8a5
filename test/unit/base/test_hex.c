#include "base/hex.h"

#include <string.h>

#include "../unit.h"

static void bytes_come_back(void **state)
{
    unsigned char bytes[256], back[256];
    char text[513];

    (void)state;
    for (size_t i = 0; i < sizeof(bytes); i++)
        bytes[i] = (unsigned char)i;
    hex_encode(bytes, sizeof(bytes), text);
    assert_int_equal(strlen(text), 512);
    assert_int_equal(strncmp(text, "000102", 6), 0);
    assert_int_equal(hex_decode(text, back, sizeof(back)), SEALTAPE_OK);
    assert_memory_equal(bytes, back, sizeof(back));
}

static void what_is_not_hex_is_refused(void **state)
{
    unsigned char back[2] = {7, 7};

    (void)state;
    assert_int_equal(hex_decode("abc", back, 2), SEALTAPE_E_USAGE);
    assert_int_equal(hex_decode("abcg", back, 2), SEALTAPE_E_USAGE);
    assert_int_equal(hex_decode("abcde", back, 2), SEALTAPE_E_USAGE);
    assert_int_equal(back[0], 7);
    assert_int_equal(hex_decode("ABcd", back, 2), SEALTAPE_OK);
    assert_int_equal(back[0], 0xab);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
            cmocka_unit_test(bytes_come_back),
            cmocka_unit_test(what_is_not_hex_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
