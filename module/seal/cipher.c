#include "seal/cipher.h"

#include <assert.h>
#include <string.h>

#include <nettle/aes.h>
#include <nettle/cbc.h>

#include "seal/secret.h"

struct cipher {
    union {
        struct aes128_ctx aes128;
        struct aes192_ctx aes192;
        struct aes256_ctx aes256;
    } schedule;
    uint8_t chain[CIPHER_BLOCK_SIZE];
    uint8_t partial[CIPHER_BLOCK_SIZE];
    uint8_t last[CIPHER_BLOCK_SIZE]; /* where the closing block is made */
    uint16_t partial_len;
    uint16_t key_bits;
};

_Static_assert(sizeof(struct cipher) <= SECRET_CELL_SIZE, "a cipher fits a cell");

enum sealtape_status cipher_new(unsigned key_bits, const uint8_t *key, const uint8_t *iv,
        struct cipher **ret_cipher, struct diag *diag)
{
    enum sealtape_status st;
    struct cipher *cipher;
    void *cell;

    assert(key_bits == 128 || key_bits == 192 || key_bits == 256);
    st = secret_acquire(&cell, diag);
    if (st != SEALTAPE_OK)
        return st;
    cipher = cell;
    if (key_bits == 128)
        aes128_set_encrypt_key(&cipher->schedule.aes128, key);
    else if (key_bits == 192)
        aes192_set_encrypt_key(&cipher->schedule.aes192, key);
    else
        aes256_set_encrypt_key(&cipher->schedule.aes256, key);
    memcpy(cipher->chain, iv, CIPHER_BLOCK_SIZE);
    cipher->key_bits = (uint16_t)key_bits;
    *ret_cipher = cipher;
    return SEALTAPE_OK;
}

void cipher_free(struct cipher **cipher)
{
    void *cell = *cipher;

    *cipher = NULL;
    secret_release(&cell);
}

size_t cipher_output_size(const struct cipher *cipher, size_t len)
{
    return (cipher->partial_len + len) / CIPHER_BLOCK_SIZE * CIPHER_BLOCK_SIZE;
}

size_t cipher_input_size(const struct cipher *cipher, size_t room)
{
    return room - cipher->partial_len;
}

static void encrypt(struct cipher *cipher, size_t len, uint8_t *to, const uint8_t *from)
{
    if (cipher->key_bits == 128)
        cbc_aes128_encrypt(&cipher->schedule.aes128, cipher->chain, len, to, from);
    else if (cipher->key_bits == 192)
        cbc_aes192_encrypt(&cipher->schedule.aes192, cipher->chain, len, to, from);
    else
        cbc_aes256_encrypt(&cipher->schedule.aes256, cipher->chain, len, to, from);
}

void cipher_update(struct cipher *cipher, const uint8_t *bytes, size_t len, uint8_t *ret_output)
{
    size_t whole;

    if (cipher->partial_len > 0) {
        size_t missing = CIPHER_BLOCK_SIZE - cipher->partial_len;
        size_t n = len < missing ? len : missing;

        memcpy(cipher->partial + cipher->partial_len, bytes, n);
        cipher->partial_len = (uint16_t)(cipher->partial_len + n);
        bytes += n;
        len -= n;
        if (cipher->partial_len < CIPHER_BLOCK_SIZE)
            return;
        encrypt(cipher, CIPHER_BLOCK_SIZE, ret_output, cipher->partial);
        ret_output += CIPHER_BLOCK_SIZE;
        cipher->partial_len = 0;
    }
    whole = len / CIPHER_BLOCK_SIZE * CIPHER_BLOCK_SIZE;
    if (whole > 0)
        encrypt(cipher, whole, ret_output, bytes);
    memcpy(cipher->partial, bytes + whole, len - whole);
    cipher->partial_len = (uint16_t)(len - whole);
}

/* One block, chained to where the message stands, without moving the chain. */
void cipher_closing(struct cipher *cipher, uint8_t ret_block[CIPHER_BLOCK_SIZE])
{
    uint8_t padding = (uint8_t)(CIPHER_BLOCK_SIZE - cipher->partial_len);

    for (size_t i = 0; i < CIPHER_BLOCK_SIZE; i++) {
        uint8_t byte = i < cipher->partial_len ? cipher->partial[i] : padding;

        cipher->last[i] = (uint8_t)(byte ^ cipher->chain[i]);
    }
    if (cipher->key_bits == 128)
        aes128_encrypt(&cipher->schedule.aes128, CIPHER_BLOCK_SIZE, ret_block, cipher->last);
    else if (cipher->key_bits == 192)
        aes192_encrypt(&cipher->schedule.aes192, CIPHER_BLOCK_SIZE, ret_block, cipher->last);
    else
        aes256_encrypt(&cipher->schedule.aes256, CIPHER_BLOCK_SIZE, ret_block, cipher->last);
}
