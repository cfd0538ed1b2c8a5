#include "seal/rsa.h"

#include <gnutls/abstract.h>
#include <gnutls/x509.h>
#include <stdlib.h>
#include <string.h>

#include "../unit.h"
#include "base/random.h"
#include "openssl.h"
#include "seal/envelope.h"
#include "seal/secret.h"

static const uint8_t session_key[32] = "0123456789abcdef0123456789ABCDE";

struct numbers {
    gnutls_datum_t modulus, exponent;
};

static void numbers_clear(struct numbers *numbers)
{
    gnutls_free(numbers->modulus.data);
    gnutls_free(numbers->exponent.data);
}

/* Of the private key in a PEM file. */
static void numbers_load(const char *name, struct numbers *ret)
{
    gnutls_x509_privkey_t key;
    gnutls_datum_t pem, d, p, q, u;
    size_t len;

    pem.data = (unsigned char *)load(name, &len);
    pem.size = (unsigned)len;
    assert_int_equal(gnutls_x509_privkey_init(&key), 0);
    assert_int_equal(gnutls_x509_privkey_import2(key, &pem, GNUTLS_X509_FMT_PEM, NULL, 0), 0);
    assert_int_equal(
            gnutls_x509_privkey_export_rsa_raw(key, &ret->modulus, &ret->exponent, &d, &p, &q, &u),
            0);
    gnutls_free(d.data);
    gnutls_free(p.data);
    gnutls_free(q.data);
    gnutls_free(u.data);
    gnutls_x509_privkey_deinit(key);
    free(pem.data);
}

static struct rsa_public public_of(const struct numbers *numbers)
{
    return (struct rsa_public){
            .modulus = numbers->modulus.data,
            .modulus_len = numbers->modulus.size,
            .exponent = numbers->exponent.data,
            .exponent_len = numbers->exponent.size,
    };
}

/* OpenSSL, with the private key in @name, gets the session key out of @encrypted. */
static void assert_opens(const char *name, const uint8_t *encrypted, size_t len)
{
    size_t opened_len;
    char *opened;

    store("encrypted", encrypted, len);
    assert_int_equal(run("openssl pkeyutl -decrypt -inkey %s -in encrypted -out opened", name), 0);
    opened = load("opened", &opened_len);
    assert_int_equal(opened_len, sizeof(session_key));
    assert_memory_equal(opened, session_key, sizeof(session_key));
    free(opened);
}

static void seal_and_open(const char *name)
{
    CLEANUP(numbers_clear) struct numbers numbers = {{0}, {0}};
    uint8_t encrypted[ENVELOPE_ENCRYPTED_KEY_MAX];
    struct rsa_public public;
    struct diag diag;
    size_t len = 0;

    numbers_load(name, &numbers);
    public = public_of(&numbers);
    assert_int_equal(
            rsa_encrypt_key(&public, session_key, sizeof(session_key), encrypted, &len, &diag),
            SEALTAPE_OK);
    assert_opens(name, encrypted, len);
}

static void openssl_opens_what_was_encrypted_for_keys_of_every_size(void **state)
{
    static const unsigned bits[] = {1024, 1032, 2048, 2050, 4096};

    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(bits); i++) {
        assert_int_equal(
                run("openssl genpkey -quiet -algorithm RSA -pkeyopt rsa_keygen_bits:%u -out k.pem "
                    "2>/dev/null",
                        bits[i]),
                0);
        seal_and_open("k.pem");
    }
    seal_and_open(VECTORS "/rsa-8192.pem");
}

static void openssl_opens_what_was_encrypted_for_every_exponent(void **state)
{
    static const char *const exponents[] = {"3", "17", "65537", "4294967297",
            "0x10000000000000000000000000000000000000000000000000000000000000001"};

    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(exponents); i++) {
        assert_int_equal(run("openssl genpkey -quiet -algorithm RSA -pkeyopt rsa_keygen_bits:2048 "
                             "-pkeyopt rsa_keygen_pubexp:%s -out e.pem 2>/dev/null",
                                 exponents[i]),
                0);
        seal_and_open("e.pem");
    }
}

static int make_key(void **state)
{
    if (temporary_enter(state) != 0)
        return -1;
    return run("openssl genpkey -quiet -algorithm RSA -pkeyopt rsa_keygen_bits:2048 -out key.pem "
               "2>/dev/null");
}

static int leave(void **state)
{
    secret_arena_close();
    return temporary_leave(state);
}

static void zeros_before_the_modulus_change_nothing(void **state)
{
    CLEANUP(numbers_clear) struct numbers numbers = {{0}, {0}};
    uint8_t encrypted[ENVELOPE_ENCRYPTED_KEY_MAX], modulus[256 + 3] = {0}, exponent[8] = {0};
    struct rsa_public public = {modulus, exponent, sizeof(modulus), sizeof(exponent)};
    const uint8_t *bare;
    size_t len = 0;

    (void)state;
    numbers_load("key.pem", &numbers);
    bare = numbers.modulus.data + (numbers.modulus.size - 256);
    memcpy(modulus + 3, bare, 256);
    memcpy(exponent + 5, "\x01\x00\x01", 3);
    assert_int_equal(
            rsa_encrypt_key(&public, session_key, sizeof(session_key), encrypted, &len, NULL),
            SEALTAPE_OK);
    assert_int_equal(len, 256);
    assert_opens("key.pem", encrypted, len);
}

static void two_encryptions_of_a_key_differ(void **state)
{
    CLEANUP(numbers_clear) struct numbers numbers = {{0}, {0}};
    uint8_t one[ENVELOPE_ENCRYPTED_KEY_MAX], two[ENVELOPE_ENCRYPTED_KEY_MAX];
    struct rsa_public public;
    size_t len = 0;

    (void)state;
    numbers_load("key.pem", &numbers);
    public = public_of(&numbers);
    assert_int_equal(rsa_encrypt_key(&public, session_key, 32, one, &len, NULL), SEALTAPE_OK);
    assert_int_equal(rsa_encrypt_key(&public, session_key, 32, two, &len, NULL), SEALTAPE_OK);
    assert_memory_not_equal(one, two, len);
}

static void assert_refused(const struct rsa_public *public, const char *reason)
{
    uint8_t encrypted[ENVELOPE_ENCRYPTED_KEY_MAX], untouched[ENVELOPE_ENCRYPTED_KEY_MAX];
    struct diag diag = {""};
    size_t len = 7;

    memset(encrypted, 0xee, sizeof(encrypted));
    memset(untouched, 0xee, sizeof(untouched));
    assert_int_equal(rsa_encrypt_key(public, session_key, 32, encrypted, &len, &diag),
            SEALTAPE_E_CERTIFICATE);
    assert_contains(diag.text, reason);
    assert_int_equal(len, 7);
    assert_memory_equal(encrypted, untouched, sizeof(encrypted));
}

static void public_keys_that_cannot_be_are_refused(void **state)
{
    uint8_t modulus[1100], exponent[256] = {0};
    struct rsa_public public = {modulus, (const uint8_t *)"\x03", 256, 1};

    (void)state;
    memset(modulus, 0xff, sizeof(modulus));
    public.modulus_len = 127;
    assert_refused(&public, "127 octets");
    public.modulus_len = 1025;
    assert_refused(&public, "1025 octets");
    public.modulus_len = 0;
    assert_refused(&public, "0 octets");
    public.modulus_len = 256;
    modulus[255] = 0xfe;
    assert_refused(&public, "even");
    modulus[255] = 0xff;
    public.exponent = (const uint8_t *)"\x04";
    assert_refused(&public, "exponent");
    public.exponent = (const uint8_t *)"\x01";
    assert_refused(&public, "exponent");
    public.exponent = exponent;
    public.exponent_len = sizeof(exponent);
    assert_refused(&public, "exponent");
    memcpy(exponent, modulus, sizeof(exponent));
    assert_refused(&public, "exponent");
}

#define MASK 0x55
#define NEEDLE_LEN 16
#define MAPPING_MAX ((size_t)256 * 1024 * 1024)

/* The first bytes of a key, masked, since the test must not leave what it looks for. */
static uint8_t needle[NEEDLE_LEN];

static size_t count_of(const uint8_t *masked, const uint8_t *bytes, size_t len)
{
    const uint8_t *at = bytes, *end = bytes + len;
    size_t count = 0;

    /* memchr() goes through a sanitizer's shadows in seconds, a loop of ours in minutes. */
    while (end - at >= NEEDLE_LEN
            && (at = memchr(at, masked[0] ^ MASK, (size_t)(end - at) - NEEDLE_LEN + 1))) {
        size_t same = 1;

        while (same < NEEDLE_LEN && (at[same] ^ masked[same]) == MASK)
            same++;
        count += same == NEEDLE_LEN;
        at++;
    }
    return count;
}

/* Forwards, and as the limbs of GMP have it. */
static size_t count_in(const uint8_t *bytes, size_t len)
{
    uint8_t turned[NEEDLE_LEN];

    for (unsigned i = 0; i < NEEDLE_LEN; i++)
        turned[i] = needle[NEEDLE_LEN - 1 - i];
    return count_of(needle, bytes, len) + count_of(turned, bytes, len);
}

/* All writable memory of the process but the mapping of @except. */
static size_t count_in_memory(const void *except)
{
    int memory = open("/proc/self/mem", O_RDONLY | O_CLOEXEC);
    FILE *maps = fopen("/proc/self/maps", "re");
    unsigned long from, to;
    size_t count = 0, looked = 0;
    char line[512], flags[8];

    assert_true(memory >= 0);
    assert_non_null(maps);
    while (fgets(line, sizeof(line), maps)) {
        static uint8_t chunk[65536];

        if (sscanf(line, "%lx-%lx %7s", &from, &to, flags) != 3 || flags[0] != 'r'
                || flags[1] != 'w' || to - from > MAPPING_MAX
                || (from <= (uintptr_t)except && (uintptr_t)except < to))
            continue;
        while (from < to) {
            size_t rest = to - from;
            ssize_t n =
                    pread(memory, chunk, rest < sizeof(chunk) ? rest : sizeof(chunk), (off_t)from);

            if (n <= 0)
                break;
            count += count_in(chunk, (size_t)n);
            looked += (size_t)n;
            /* Overlap, for what lies across two chunks. */
            from += (size_t)n == rest ? rest : (size_t)n - (NEEDLE_LEN - 1);
        }
        secret_wipe(chunk, sizeof(chunk));
    }
    fclose(maps);
    file_close(&memory);
    assert_true(looked > 100000);
    return count;
}

static void new_key(uint8_t *key)
{
    assert_int_equal(random_key(key, 32), SEALTAPE_OK);
    /* The generator leaves its blocks on the stack. */
    secret_wipe_stack();
    for (unsigned i = 0; i < NEEDLE_LEN; i++)
        needle[i] = key[i] ^ MASK;
}

static void no_trace_of_a_key_stays_outside_the_arena(void **state)
{
    CLEANUP(numbers_clear) struct numbers numbers = {{0}, {0}};
    uint8_t encrypted[ENVELOPE_ENCRYPTED_KEY_MAX], *planted;
    struct rsa_public public;
    void *key = NULL;
    size_t len = 0;

    (void)state;
    assert_int_equal(secret_acquire(&key, NULL), SEALTAPE_OK);
    new_key(key);
    planted = malloc(1000);
    assert_non_null(planted);
    memcpy(planted + 500, key, 32);
    assert_true(count_in_memory(key) >= 1);
    secret_wipe(planted, 1000);
    for (unsigned i = 0; i < 32; i++)
        planted[500 + i] = ((const uint8_t *)key)[31 - i];
    assert_true(count_in_memory(key) >= 1);
    secret_wipe(planted, 1000);
    free(planted);
    secret_wipe_stack();
    assert_int_equal(count_in_memory(key), 0);

    numbers_load(VECTORS "/rsa-8192.pem", &numbers);
    public = public_of(&numbers);
    for (unsigned i = 0; i < 3; i++) {
        new_key(key);
        assert_int_equal(rsa_encrypt_key(&public, key, 32, encrypted, &len, NULL), SEALTAPE_OK);
        assert_int_equal(count_in_memory(key), 0);
    }
    secret_release(&key);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
            cmocka_unit_test(public_keys_that_cannot_be_are_refused),
            cmocka_unit_test(zeros_before_the_modulus_change_nothing),
            cmocka_unit_test(two_encryptions_of_a_key_differ),
            cmocka_unit_test(no_trace_of_a_key_stays_outside_the_arena),
            cmocka_unit_test(openssl_opens_what_was_encrypted_for_keys_of_every_size),
            cmocka_unit_test(openssl_opens_what_was_encrypted_for_every_exponent),
    };

    return cmocka_run_group_tests(tests, make_key, leave);
}
