#include "seal/rsa.h"

#include <assert.h>
#include <gmp.h>
#include <stdbool.h>
#include <string.h>

#include "base/random.h"
#include "seal/envelope.h"
#include "seal/secret.h"

#define MODULUS_OCTETS_MIN 128u
#define MODULUS_OCTETS_MAX ENVELOPE_ENCRYPTED_KEY_MAX
/* 00 02, at least eight of padding, 00 (RFC 8017, 7.2.1). */
#define PADDING_OCTETS_MIN 11u

_Static_assert(GMP_NAIL_BITS == 0, "limbs are read and written whole");

/* Everything that the computation touches, in one block of the arena. */
struct rsa_scratch {
    mp_limb_t *modulus, *exponent, *base, *power, *work;
    uint8_t *padded;
    mp_size_t limbs, exponent_limbs;
    mp_bitcnt_t exponent_bits;
    void *block;
    size_t block_size;
};

static void scratch_clear(struct rsa_scratch *scratch)
{
    secret_block_release(&scratch->block, scratch->block_size);
    secret_wipe_stack();
}

static void skip_zeros(const uint8_t **bytes, size_t *len)
{
    while (*len > 0 && **bytes == 0) {
        (*bytes)++;
        (*len)--;
    }
}

static mp_size_t limbs_of(size_t octets)
{
    return (mp_size_t)((octets + sizeof(mp_limb_t) - 1) / sizeof(mp_limb_t));
}

static void limbs_from_octets(mp_limb_t *limbs, mp_size_t count, const uint8_t *octets, size_t len)
{
    mpn_zero(limbs, count);
    for (size_t i = 0; i < len; i++)
        limbs[i / sizeof(mp_limb_t)] |= (mp_limb_t)octets[len - 1 - i]
                                        << (8 * (i % sizeof(mp_limb_t)));
}

static void octets_from_limbs(uint8_t *octets, size_t len, const mp_limb_t *limbs)
{
    for (size_t i = 0; i < len; i++)
        octets[len - 1 - i] =
                (uint8_t)(limbs[i / sizeof(mp_limb_t)] >> (8 * (i % sizeof(mp_limb_t))));
}

static mp_bitcnt_t bits_of(const uint8_t *octets, size_t len)
{
    mp_bitcnt_t bits = 8 * (mp_bitcnt_t)len;

    for (uint8_t mask = 0x80; bits > 0 && !(octets[0] & mask); mask >>= 1)
        bits--;
    return bits;
}

/* The key of a certificate that a stranger made: look at it before computing with it. */
static enum sealtape_status check_public(const struct rsa_public *key, struct diag *diag)
{
    bool exponent_fits = key->exponent_len < key->modulus_len
                         || (key->exponent_len == key->modulus_len
                                 && memcmp(key->exponent, key->modulus, key->modulus_len) < 0);

    if (key->modulus_len < MODULUS_OCTETS_MIN || key->modulus_len > MODULUS_OCTETS_MAX)
        return diag_fail(diag, SEALTAPE_E_CERTIFICATE,
                "the RSA modulus has %zu octets; %u to %u are possible", key->modulus_len,
                MODULUS_OCTETS_MIN, MODULUS_OCTETS_MAX);
    if (!(key->modulus[key->modulus_len - 1] & 1))
        return diag_fail(diag, SEALTAPE_E_CERTIFICATE, "the RSA modulus is even");
    if (key->exponent_len == 0 || !(key->exponent[key->exponent_len - 1] & 1)
            || (key->exponent_len == 1 && key->exponent[0] == 1) || !exponent_fits)
        return diag_fail(diag, SEALTAPE_E_CERTIFICATE,
                "the RSA exponent is not an odd number between 3 and the modulus");
    return SEALTAPE_OK;
}

static enum sealtape_status scratch_init(
        struct rsa_scratch *scratch, const struct rsa_public *key, struct diag *diag)
{
    mp_size_t n = limbs_of(key->modulus_len);
    enum sealtape_status st;
    size_t limbs;

    scratch->limbs = n;
    scratch->exponent_limbs = limbs_of(key->exponent_len);
    scratch->exponent_bits = bits_of(key->exponent, key->exponent_len);
    limbs = (size_t)(4 * n + scratch->exponent_limbs
                     + mpn_sec_powm_itch(n, scratch->exponent_bits, n));
    scratch->block_size = limbs * sizeof(mp_limb_t);
    st = secret_block_acquire(scratch->block_size, &scratch->block, diag);
    if (st != SEALTAPE_OK)
        return st;
    scratch->modulus = scratch->block;
    scratch->base = scratch->modulus + n;
    scratch->power = scratch->base + n;
    scratch->padded = (uint8_t *)(scratch->power + n);
    scratch->exponent = scratch->power + 2 * n;
    scratch->work = scratch->exponent + scratch->exponent_limbs;
    limbs_from_octets(scratch->modulus, n, key->modulus, key->modulus_len);
    limbs_from_octets(scratch->exponent, scratch->exponent_limbs, key->exponent, key->exponent_len);
    return SEALTAPE_OK;
}

/* EM = 00 02 PS 00 M; PS has no zero octet: such are drawn again. */
static enum sealtape_status pad(uint8_t *padded, size_t len, const uint8_t *key, size_t key_len)
{
    size_t random_len = len - 3 - key_len;
    uint8_t *random = padded + 2;
    enum sealtape_status st;

    st = random_key(random, random_len);
    for (size_t i = 0; st == SEALTAPE_OK && i < random_len; i++) {
        while (st == SEALTAPE_OK && random[i] == 0)
            st = random_key(random + i, 1);
    }
    padded[0] = 0;
    padded[1] = 2;
    padded[2 + random_len] = 0;
    memcpy(padded + 3 + random_len, key, key_len);
    return st;
}

enum sealtape_status rsa_encrypt_key(const struct rsa_public *public, const uint8_t *key,
        size_t key_len, uint8_t *ret_encrypted, size_t *ret_len, struct diag *diag)
{
    CLEANUP(scratch_clear) struct rsa_scratch scratch = {0};
    struct rsa_public trimmed = *public;
    enum sealtape_status st;

    skip_zeros(&trimmed.modulus, &trimmed.modulus_len);
    skip_zeros(&trimmed.exponent, &trimmed.exponent_len);
    st = check_public(&trimmed, diag);
    if (st != SEALTAPE_OK)
        return st;
    assert(key_len > 0 && key_len + PADDING_OCTETS_MIN <= MODULUS_OCTETS_MIN);
    st = scratch_init(&scratch, &trimmed, diag);
    if (st != SEALTAPE_OK)
        return st;
    st = pad(scratch.padded, trimmed.modulus_len, key, key_len);
    if (st != SEALTAPE_OK)
        return diag_fail(diag, st, "the random number generator failed");
    limbs_from_octets(scratch.base, scratch.limbs, scratch.padded, trimmed.modulus_len);
    mpn_sec_powm(scratch.power, scratch.base, scratch.limbs, scratch.exponent,
            scratch.exponent_bits, scratch.modulus, scratch.limbs, scratch.work);
    octets_from_limbs(ret_encrypted, trimmed.modulus_len, scratch.power);
    *ret_len = trimmed.modulus_len;
    return SEALTAPE_OK;
}
