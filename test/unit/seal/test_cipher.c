#include <nettle/aes.h>
#include <nettle/cbc.h>
#include <stdlib.h>
#include <string.h>

#include "../unit.h"
#include "base/hex.h"
#include "seal/cipher.h"

/* NIST SP 800-38A, F.2.1, F.2.3, F.2.5. */
#define NIST_IV "000102030405060708090a0b0c0d0e0f"
#define NIST_PLAIN                                                                                 \
    "6bc1bee22e409f96e93d7e117393172aae2d8a571e03ac9c9eb76fac45af8e51"                             \
    "30c81c46a35ce411e5fbc1191a0a52eff69f2445df4f9b17ad2b417be66c3710"

static const struct vector {
    unsigned key_bits;
    const char *key, *sealed;
} nist[] = {
        {128, "2b7e151628aed2a6abf7158809cf4f3c",
                "7649abac8119b246cee98e9b12e9197d5086cb9b507219ee95db113a917678b2"
                "73bed6b8e3c1743b7116e69e222295163ff1caa1681fac09120eca307586e1a7"},
        {192, "8e73b0f7da0e6452c810f32b809079e562f8ead2522c6b7b",
                "4f021db243bc633d7178183a9fa071e8b4d9ada9ad7dedf4e5e738763f69145a"
                "571b242012fb7ae07fa9baac3df102e008b0e27988598881d920a9e64f5615cd"},
        {256, "603deb1015ca71be2b73aef0857d77811f352c073b6108d72d9810a30914dff4",
                "f58c4c04d6e5f1ba779eabfb5f7bfbd69cfc4e967edb808d679f777bc6702c7d"
                "39f23369a9d9bacfa530e26304231461b2eb05e2c39be9fcda6c19078c6a9d1b"},
};

static void unhex(const char *text, uint8_t *ret_bytes)
{
    assert_int_equal(hex_decode(text, ret_bytes, strlen(text) / 2), SEALTAPE_OK);
}

static struct cipher *make(const struct vector *vector)
{
    struct cipher *cipher = NULL;
    uint8_t key[32], iv[16];

    unhex(vector->key, key);
    unhex(NIST_IV, iv);
    assert_int_equal(cipher_new(vector->key_bits, key, iv, &cipher, NULL), SEALTAPE_OK);
    return cipher;
}

static void decrypt(const struct vector *vector, size_t len, uint8_t *bytes)
{
    struct aes128_ctx aes128;
    struct aes192_ctx aes192;
    struct aes256_ctx aes256;
    uint8_t key[32], iv[16];

    unhex(vector->key, key);
    unhex(NIST_IV, iv);
    aes128_set_decrypt_key(&aes128, key);
    if (vector->key_bits == 128)
        cbc_decrypt(&aes128, (nettle_cipher_func *)aes128_decrypt, 16, iv, len, bytes, bytes);
    aes192_set_decrypt_key(&aes192, key);
    if (vector->key_bits == 192)
        cbc_decrypt(&aes192, (nettle_cipher_func *)aes192_decrypt, 16, iv, len, bytes, bytes);
    aes256_set_decrypt_key(&aes256, key);
    if (vector->key_bits == 256)
        cbc_decrypt(&aes256, (nettle_cipher_func *)aes256_decrypt, 16, iv, len, bytes, bytes);
}

static void test_the_vectors_of_sp_800_38a_come_out(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(nist); i++) {
        struct cipher *cipher = make(&nist[i]);
        uint8_t plain[64], wanted[64], sealed[64];

        unhex(NIST_PLAIN, plain);
        unhex(nist[i].sealed, wanted);
        assert_int_equal(cipher_output_size(cipher, 64), 64);
        cipher_update(cipher, plain, 64, sealed);
        assert_memory_equal(sealed, wanted, 64);
        cipher_free(&cipher);
        assert_null(cipher);
    }
}

static void test_any_portions_give_the_same_as_one(void **state)
{
    enum { LEN = 10000 };
    uint8_t *plain = malloc(LEN), *whole = malloc(LEN), *parts = malloc(LEN), one[16], other[16];

    (void)state;
    assert_true(plain && whole && parts);
    for (size_t i = 0; i < LEN; i++)
        plain[i] = (uint8_t)(i * 11 + (i >> 7));
    srandom(1);
    for (size_t v = 0; v < ARRAY_COUNT(nist); v++) {
        struct cipher *cipher = make(&nist[v]), *slow = make(&nist[v]);
        size_t at = 0, out = 0, n, size;

        cipher_update(cipher, plain, LEN, whole);
        for (; at < LEN; at += n) {
            n = (size_t)random() % (at % 3 ? 40 : 700) + 1;
            if (n > LEN - at)
                n = LEN - at;
            size = cipher_output_size(slow, n);
            cipher_update(slow, plain + at, n, parts + out);
            out += size;
            if (size > 0)
                assert_int_equal(cipher_output_size(slow, cipher_input_size(slow, 160)), 160);
        }
        assert_int_equal(out, LEN / 16 * 16);
        assert_memory_equal(whole, parts, out);
        cipher_closing(cipher, one);
        cipher_closing(slow, other);
        assert_memory_equal(one, other, 16);
        cipher_free(&cipher);
        cipher_free(&slow);
    }
    free(plain);
    free(whole);
    free(parts);
}

static void test_at_every_length_the_closing_block_makes_a_valid_message(void **state)
{
    (void)state;
    for (size_t v = 0; v < ARRAY_COUNT(nist); v++) {
        struct cipher *cipher = make(&nist[v]);
        uint8_t sealed[80], message[96], plain[64];
        size_t out = 0;

        /* One byte at a time: to ask for the closing block moves nothing. */
        for (size_t len = 0; len <= 64; len++) {
            memcpy(message, sealed, out);
            cipher_closing(cipher, message + out);
            decrypt(&nist[v], out + 16, message);
            for (size_t i = 0; i < len; i++)
                assert_int_equal(message[i], (uint8_t)(i + 100));
            for (size_t i = len; i < out + 16; i++)
                assert_int_equal(message[i], out + 16 - len);
            if (len == 64)
                break;
            plain[len] = (uint8_t)(len + 100);
            cipher_update(cipher, plain + len, 1, sealed + out);
            out = (len + 1) / 16 * 16;
        }
        cipher_free(&cipher);
    }
}

static void test_every_cell_that_is_given_back_can_be_had_again(void **state)
{
    (void)state;
    for (int i = 0; i < 20000; i++) {
        struct cipher *one = make(&nist[2]), *two = make(&nist[0]);

        cipher_free(&one);
        cipher_free(&two);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
            cmocka_unit_test(test_the_vectors_of_sp_800_38a_come_out),
            cmocka_unit_test(test_any_portions_give_the_same_as_one),
            cmocka_unit_test(test_at_every_length_the_closing_block_makes_a_valid_message),
            cmocka_unit_test(test_every_cell_that_is_given_back_can_be_had_again),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
