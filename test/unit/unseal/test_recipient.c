#include "unseal/recipient.h"

#include <stdlib.h>
#include <string.h>

#include "../unit.h"
#include "sealed.h"

static void issuer_and_serial_of_an_openssl_message_are_named(void **state)
{
    CLEANUP(envelope_free) struct envelope *envelope = NULL;
    struct recipient_name name;
    struct diag diag = {0};
    char text[200];
    size_t len;
    uint8_t *der = sealed_file("cms-256-17.p7m", &len);

    (void)state;
    assert_int_equal(envelope_decode(der, len, len, &envelope, &diag), SEALTAPE_OK);
    assert_int_equal(recipient_name(&envelope->recipients[0], &name, &diag), SEALTAPE_OK);
    assert_string_equal(name.issuer, "C=US,O=Example,CN=Recording CA");
    assert_string_equal(name.serial, "4097");
    recipient_list(envelope, NULL, text, sizeof(text));
    assert_string_equal(text, "issuer C=US,O=Example,CN=Recording CA, serial 4097");
    recipient_list(envelope, NULL, text, 10);
    assert_string_equal(text, "issuer C=");
    free(der);
}

static void serial(const uint8_t *octets, size_t len, const char *expected)
{
    static const uint8_t issuer[] = {
            0x30, 0x0d, 0x31, 0x0b, 0x30, 0x09, 0x06, 0x03, 0x55, 0x04, 0x03, 0x0c, 0x02, 'C', 'A'};
    const struct envelope_recipient recipient = {.issuer_der = issuer,
            .issuer_der_len = sizeof(issuer),
            .serial_octets = octets,
            .serial_octets_len = len};
    struct recipient_name name = {.serial = "untouched"};
    struct diag diag = {0};
    enum sealtape_status st = recipient_name(&recipient, &name, &diag);

    assert_int_equal(st, expected ? SEALTAPE_OK : SEALTAPE_E_USAGE);
    assert_string_equal(name.serial, expected ? expected : "untouched");
}

static void serials_are_decimal(void **state)
{
    static const uint8_t large[20] = {0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
            0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff};
    static const uint8_t long_one[65] = {1};

    (void)state;
    serial((const uint8_t *)"\0", 1, "0");
    serial((const uint8_t *)"\x0a", 1, "10");
    serial((const uint8_t *)"\0\xff", 2, "255");
    serial(large, sizeof(large), "730750818665451459101842416358141509827966271487");
    serial(large, 0, NULL);
    serial((const uint8_t *)"\xff", 1, NULL);
    serial(long_one, sizeof(long_one), NULL);
    serial(long_one, 64,
            "523742497263382699202110351492415864354662727366890366317326"
            "618895381407424747928781323214772144665144141869460409611361"
            "47476104734166288853256441430016");
}

static void an_issuer_that_is_no_name_is_refused(void **state)
{
    static const uint8_t broken[] = {0x30, 0x05, 1};
    static const uint8_t serial_one[] = {1};
    static uint8_t huge[5000];
    struct envelope_recipient recipient = {.issuer_der = broken,
            .issuer_der_len = sizeof(broken),
            .serial_octets = serial_one,
            .serial_octets_len = 1};
    struct recipient_name name;
    struct diag diag = {0};

    (void)state;
    assert_int_equal(recipient_name(&recipient, &name, &diag), SEALTAPE_E_USAGE);
    recipient.issuer_der = huge;
    recipient.issuer_der_len = sizeof(huge);
    assert_int_equal(recipient_name(&recipient, &name, &diag), SEALTAPE_E_USAGE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
            cmocka_unit_test(issuer_and_serial_of_an_openssl_message_are_named),
            cmocka_unit_test(serials_are_decimal),
            cmocka_unit_test(an_issuer_that_is_no_name_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
