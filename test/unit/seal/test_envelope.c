#include "seal/envelope.h"

#include <gnutls/gnutls.h>
#include <gnutls/x509.h>
#include <nettle/aes.h>
#include <nettle/cbc.h>
#include <stdlib.h>
#include <string.h>

#include "../unit.h"
#include "openssl.h"
#include "seal/rsa.h"
#include "seal/secret.h"

#define PEOPLE 10
#define PLAIN_LEN 1000

static const uint8_t iv[ENVELOPE_IV_SIZE] = "an iv, 16 bytes";
static const uint8_t session_key[32] = "a session key of thirty-two byte";
static char plain[PLAIN_LEN];

/* What a recipient's certificate says. */
struct person {
    gnutls_datum_t issuer, modulus, exponent;
    uint8_t serial[32];
    size_t serial_len;
    uint8_t encrypted_key[ENVELOPE_ENCRYPTED_KEY_MAX];
    size_t encrypted_key_len;
};
static struct person people[PEOPLE];

static void person_load(struct person *person, unsigned number)
{
    gnutls_x509_crt_t certificate;
    struct rsa_public public;
    gnutls_datum_t pem;
    char name[32];
    size_t len;

    ignore(snprintf(name, sizeof(name), "c%u.pem", number) < 0);
    pem.data = (unsigned char *)load(name, &len);
    pem.size = (unsigned)len;
    assert_int_equal(gnutls_x509_crt_init(&certificate), 0);
    assert_int_equal(gnutls_x509_crt_import(certificate, &pem, GNUTLS_X509_FMT_PEM), 0);
    assert_int_equal(gnutls_x509_crt_get_raw_issuer_dn(certificate, &person->issuer), 0);
    person->serial_len = sizeof(person->serial);
    assert_int_equal(
            gnutls_x509_crt_get_serial(certificate, person->serial, &person->serial_len), 0);
    assert_int_equal(
            gnutls_x509_crt_get_pk_rsa_raw(certificate, &person->modulus, &person->exponent), 0);
    gnutls_x509_crt_deinit(certificate);
    free(pem.data);
    public = (struct rsa_public){person->modulus.data, person->exponent.data, person->modulus.size,
            person->exponent.size};
    assert_int_equal(rsa_encrypt_key(&public, session_key, 32, person->encrypted_key,
                             &person->encrypted_key_len, NULL),
            SEALTAPE_OK);
}

static int make_people(void **state)
{
    if (temporary_enter(state) != 0)
        return -1;
    for (unsigned i = 0; i < sizeof(plain); i++)
        plain[i] = (char)(i * 7);
    store("plain", plain, sizeof(plain));
    for (unsigned i = 0; i < PEOPLE; i++) {
        /* Names of several lengths, so that sorting has something to do. */
        if (run("openssl req -x509 -newkey rsa:%d -nodes -keyout k%u.pem -out c%u.pem -days 2 "
                "-set_serial 0x%u -subj '/C=US/O=Example%.*s/CN=p%u' 2>/dev/null",
                    i % 2 ? 2048 : 1024, i, i, 0x90 + i * 77, (int)(i % 4), "abcd", 9 - i)
                != 0)
            return -1;
        person_load(&people[i], i);
    }
    return 0;
}

static int leave(void **state)
{
    for (unsigned i = 0; i < PEOPLE; i++) {
        gnutls_free(people[i].issuer.data);
        gnutls_free(people[i].modulus.data);
        gnutls_free(people[i].exponent.data);
    }
    secret_arena_close();
    return temporary_leave(state);
}

static struct envelope_recipient recipient_of(const struct person *person)
{
    return (struct envelope_recipient){
            .issuer_der = person->issuer.data,
            .issuer_der_len = person->issuer.size,
            .serial_octets = person->serial,
            .serial_octets_len = person->serial_len,
            .encrypted_key = person->encrypted_key,
            .encrypted_key_len = person->encrypted_key_len,
    };
}

static uint8_t *encode(unsigned key_bits, size_t count, size_t *ret_len, size_t *ret_order)
{
    /* The session key of an envelope has as many bytes as its cipher takes. */
    struct envelope_recipient recipients[PEOPLE];
    uint8_t *der = NULL;
    struct diag diag = {""};

    for (size_t i = 0; i < count; i++) {
        struct rsa_public public = {people[i].modulus.data, people[i].exponent.data,
                people[i].modulus.size, people[i].exponent.size};

        assert_int_equal(rsa_encrypt_key(&public, session_key, key_bits / 8,
                                 people[i].encrypted_key, &people[i].encrypted_key_len, NULL),
                SEALTAPE_OK);
        recipients[i] = recipient_of(&people[i]);
    }
    assert_int_equal(
            envelope_encode(key_bits, iv, recipients, count, &der, ret_len, ret_order, &diag),
            SEALTAPE_OK);
    return der;
}

static struct envelope *decode(const uint8_t *der, size_t len)
{
    struct envelope *envelope = NULL;
    struct diag diag = {""};
    enum sealtape_status st = envelope_decode(der, len, len, &envelope, &diag);

    if (st != SEALTAPE_OK)
        fail_msg("%s", diag.text);
    return envelope;
}

static void encrypt(unsigned key_bits, const char *name, uint8_t *ret, size_t *ret_len)
{
    uint8_t padding = (uint8_t)(16 - PLAIN_LEN % 16), chain[16];
    struct aes128_ctx aes128;
    struct aes192_ctx aes192;
    struct aes256_ctx aes256;
    size_t len = PLAIN_LEN + padding;

    memcpy(chain, iv, 16);
    memcpy(ret, plain, PLAIN_LEN);
    memset(ret + PLAIN_LEN, padding, padding);
    if (key_bits == 128) {
        aes128_set_encrypt_key(&aes128, session_key);
        cbc_aes128_encrypt(&aes128, chain, len, ret, ret);
    } else if (key_bits == 192) {
        aes192_set_encrypt_key(&aes192, session_key);
        cbc_aes192_encrypt(&aes192, chain, len, ret, ret);
    } else {
        aes256_set_encrypt_key(&aes256, session_key);
        cbc_aes256_encrypt(&aes256, chain, len, ret, ret);
    }
    store(name, ret, len);
    *ret_len = len;
}

static void assert_plain(const char *name)
{
    size_t len;
    char *bytes = load(name, &len);

    assert_int_equal(len, PLAIN_LEN);
    assert_memory_equal(bytes, plain, PLAIN_LEN);
    free(bytes);
}

/* Envelope, content and their splice open with every key alone. */
static void assert_everyone_opens(size_t count)
{
    for (unsigned i = 0; i < count; i++) {
        assert_int_equal(
                run("openssl cms -decrypt -binary -inform DER -in envelope -content content "
                    "-inkey k%u.pem -out opened 2>errors",
                        i),
                0);
        assert_plain("opened");
        assert_int_equal(
                run("openssl smime -decrypt -binary -inform DER -in spliced -inkey k%u.pem "
                    "-out opened 2>errors",
                        i),
                0);
        assert_plain("opened");
    }
}

static const struct shape {
    unsigned key_bits;
    size_t count;
} shapes[] = {{128, 1}, {192, 1}, {256, 1}, {128, 2}, {192, 2}, {256, 2}, {128, 10}, {192, 10},
        {256, 10}};

/* Files envelope, content, spliced. */
static void make_files(const struct shape *shape)
{
    uint8_t content[PLAIN_LEN + 16], *der, *header = NULL, *spliced;
    size_t order[PEOPLE], len, header_len = 0, content_len;
    struct envelope *envelope;

    der = encode(shape->key_bits, shape->count, &len, order);
    encrypt(shape->key_bits, "content", content, &content_len);
    store("envelope", der, len);
    envelope = decode(der, len);
    assert_int_equal(
            envelope_splice_header(envelope, content_len, &header, &header_len, NULL), SEALTAPE_OK);
    spliced = malloc(header_len + content_len);
    assert_non_null(spliced);
    memcpy(spliced, header, header_len);
    memcpy(spliced + header_len, content, content_len);
    store("spliced", spliced, header_len + content_len);
    free(spliced);
    free(header);
    free(der);
    envelope_free(&envelope);
}

static void openssl_opens_envelopes_and_splices(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(shapes); i++) {
        make_files(&shapes[i]);
        assert_everyone_opens(shapes[i].count);
    }
}

static void a_splice_has_the_structure_of_openssl_smime(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(shapes); i++) {
        char certificates[PEOPLE * 8 + 1] = "";

        make_files(&shapes[i]);
        for (unsigned k = 0; k < shapes[i].count; k++)
            ignore(snprintf(certificates + strlen(certificates), 9, "c%u.pem ", k) < 0);
        assert_int_equal(run("openssl smime -encrypt -binary -outform DER -aes-%u-cbc -in plain "
                             "-out theirs %s",
                                 shapes[i].key_bits, certificates),
                0);
        /* Random bytes: keys and IV, as dumps; the content is not dumped at all. */
        assert_int_equal(
                run("for f in spliced theirs; do openssl asn1parse -inform DER -in $f "
                    "| sed 's/\\[HEX DUMP\\]:.*//' >$f.txt; test -s $f.txt || exit 1; done; "
                    "cmp spliced.txt theirs.txt"),
                0);
    }
}

static void what_was_encoded_is_read_again(void **state)
{
    size_t order[PEOPLE], len;
    uint8_t *der = encode(192, PEOPLE, &len, order);
    struct envelope *envelope = decode(der, len);
    unsigned seen = 0;

    (void)state;
    assert_int_equal(envelope->key_bits, 192);
    assert_int_equal(envelope->cipher, ENVELOPE_AES_192_CBC);
    assert_memory_equal(envelope->iv, iv, sizeof(iv));
    assert_int_equal(envelope->recipients_count, PEOPLE);
    assert_int_equal(envelope->content_offset, 0);
    assert_int_equal(envelope->content_len, 0);
    assert_int_equal(envelope->detached_len, len);
    assert_memory_equal(envelope->detached, der, len);
    for (size_t i = 0; i < PEOPLE; i++) {
        const struct envelope_recipient *read = &envelope->recipients[i];
        const struct person *person = &people[order[i]];

        seen |= 1u << order[i];
        assert_int_equal(read->issuer_der_len, person->issuer.size);
        assert_memory_equal(read->issuer_der, person->issuer.data, person->issuer.size);
        assert_int_equal(read->serial_octets_len, person->serial_len);
        assert_memory_equal(read->serial_octets, person->serial, person->serial_len);
        assert_int_equal(read->encrypted_key_len, person->encrypted_key_len);
        assert_memory_equal(read->encrypted_key, person->encrypted_key, person->encrypted_key_len);
    }
    assert_int_equal(seen, (1u << PEOPLE) - 1);
    envelope_free(&envelope);
    free(der);
}

static void an_envelope_of_openssl_is_read(void **state)
{
    struct envelope *envelope;
    uint8_t *der;
    size_t len;

    (void)state;
    assert_int_equal(run("openssl smime -encrypt -binary -outform DER -aes-256-cbc -in plain -out "
                         "theirs c0.pem c1.pem"),
            0);
    der = (uint8_t *)load("theirs", &len);
    envelope = decode(der, len);
    assert_int_equal(envelope->recipients_count, 2);
    assert_int_equal(envelope->content_len, PLAIN_LEN + 16 - PLAIN_LEN % 16);
    assert_int_equal(envelope->content_offset + envelope->content_len, len);
    assert_int_equal(envelope->der_len, envelope->content_offset);
    assert_memory_equal(envelope->der, der, envelope->der_len);
    envelope_free(&envelope);
    free(der);
}

static void lengths_beyond_four_gigabytes_are_written_and_read(void **state)
{
    static const uint64_t lengths[] = {
            0, 16, 112, 127, 128, 65536, 0xffffffff, 0x100000000, 0x123456789abcd0};
    struct envelope *envelope, *read;
    size_t order[PEOPLE], len, header_len = 0;
    uint8_t *der, *header = NULL;

    (void)state;
    der = encode(256, 2, &len, order);
    envelope = decode(der, len);
    for (size_t i = 0; i < ARRAY_COUNT(lengths); i++) {
        assert_int_equal(envelope_splice_header(envelope, lengths[i], &header, &header_len, NULL),
                SEALTAPE_OK);
        read = NULL;
        assert_int_equal(envelope_decode(header, header_len, header_len + lengths[i], &read, NULL),
                SEALTAPE_OK);
        assert_int_equal(read->content_len, lengths[i]);
        assert_int_equal(read->content_offset, header_len);
        assert_int_equal(read->detached_len, len);
        assert_memory_equal(read->detached, der, len);
        envelope_free(&read);
        /* One byte more or less than the headers say. */
        assert_int_equal(
                envelope_decode(header, header_len, header_len + lengths[i] + 1, &read, NULL),
                SEALTAPE_E_USAGE);
        free(TAKE(header));
    }
    assert_int_equal(
            envelope_splice_header(envelope, (uint64_t)INT64_MAX + 1, &header, &header_len, NULL),
            SEALTAPE_E_USAGE);
    assert_null(header);
    envelope_free(&envelope);
    free(der);
}

static void assert_not_read(const uint8_t *der, size_t len)
{
    struct envelope *envelope = NULL;
    struct diag diag = {""};

    if (envelope_decode(der, len, len, &envelope, &diag) == SEALTAPE_OK)
        fail_msg("%zu bytes were taken for an envelope", len);
    assert_null(envelope);
    assert_true(diag.text[0] != '\0');
}

static void every_cut_and_every_byte_too_many_is_refused(void **state)
{
    size_t order[PEOPLE], len;
    uint8_t *der = encode(256, 2, &len, order), *longer = malloc(len + 1);

    (void)state;
    assert_non_null(longer);
    for (size_t i = 0; i < len; i++) {
        memcpy(longer, der, i);
        assert_not_read(longer, i);
    }
    memcpy(longer, der, len);
    longer[len] = 0;
    assert_not_read(longer, len + 1);
    free(longer);
    free(der);
}

/* A changed byte gives an error, or an envelope whose bytes are exactly those. */
static void every_changed_byte_is_refused_or_read_as_it_stands(void **state)
{
    size_t order[PEOPLE], len, taken = 0;
    uint8_t *der = encode(256, 2, &len, order);

    (void)state;
    for (size_t i = 0; i < len; i++) {
        for (unsigned flip = 1; flip < 256; flip <<= 1) {
            struct envelope *envelope = NULL;

            der[i] ^= (uint8_t)flip;
            if (envelope_decode(der, len, len, &envelope, NULL) == SEALTAPE_OK) {
                taken++;
                assert_int_equal(envelope->detached_len, len);
                assert_memory_equal(envelope->detached, der, len);
            }
            envelope_free(&envelope);
            der[i] ^= (uint8_t)flip;
        }
    }
    /* Keys, IV, names and serials may be anything; nothing else may. */
    assert_true(taken < 8 * (128 + 256 + 16 + 2 * 80));
    free(der);
}

/* Replace the first @from in the file "theirs" by @to, both of @len bytes. */
static void assert_refused_with(const char *from, const char *to, size_t len, const char *reason)
{
    size_t order[PEOPLE], der_len;
    uint8_t *der = encode(256, 1, &der_len, order), *at = memmem(der, der_len, from, len);
    struct envelope *envelope = NULL;
    struct diag diag = {""};

    assert_non_null(at);
    memcpy(at, to, len);
    assert_int_equal(envelope_decode(der, der_len, der_len, &envelope, &diag), SEALTAPE_E_USAGE);
    assert_contains(diag.text, reason);
    assert_null(envelope);
    free(der);
}

static void other_forms_are_refused_with_their_reason(void **state)
{
    (void)state;
    assert_refused_with("\x07\x03\xa0", "\x07\x02\xa0", 3, "the type envelopedData");
    assert_refused_with("\x02\x01\x00\x31", "\x02\x01\x02\x31", 4, "version 0");
    assert_refused_with("\x02\x01\x00\x30", "\x02\x01\x02\x30", 4, "not of version 0");
    assert_refused_with("\x0d\x01\x01\x01", "\x0d\x01\x01\x07", 4, "1.2.840.113549.1.1.7");
    assert_refused_with("\x01\x05\x00\x04", "\x01\x04\x00\x04", 4, "expected tag 0x05");
    assert_refused_with("\x07\x01\x30", "\x07\x06\x30", 3, "content of type data");
    assert_refused_with("\x03\x04\x01\x2a", "\x03\x04\x01\x2e", 4, "2.16.840.1.101.3.4.1.46");
}

static void truncated_hand_over_and_foreign_bytes_are_refused(void **state)
{
    static const char text[] = "-----BEGIN PKCS7-----\n";
    static const uint8_t indefinite[] = {0x30, 0x80, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d,
            0x01, 0x07, 0x03, 0xa0, 0x80, 0x30, 0x80};

    (void)state;
    assert_not_read((const uint8_t *)text, sizeof(text) - 1);
    assert_not_read(indefinite, sizeof(indefinite));
    assert_not_read((const uint8_t *)"", 0);
}

static void envelopes_that_nobody_could_open_are_not_made(void **state)
{
    struct envelope_recipient recipient = recipient_of(&people[0]);
    struct envelope_recipient broken;
    size_t order[1] = {7}, len = 7;
    uint8_t *der = NULL;

    (void)state;
    assert_int_equal(
            envelope_encode(256, iv, &recipient, 0, &der, &len, order, NULL), SEALTAPE_E_USAGE);
    assert_int_equal(
            envelope_encode(255, iv, &recipient, 1, &der, &len, order, NULL), SEALTAPE_E_USAGE);
    assert_int_equal(envelope_encode(256, iv, &recipient, ENVELOPE_RECIPIENTS_MAX + 1, &der, &len,
                             order, NULL),
            SEALTAPE_E_USAGE);
    broken = recipient;
    broken.issuer_der_len--;
    assert_int_equal(
            envelope_encode(256, iv, &broken, 1, &der, &len, order, NULL), SEALTAPE_E_USAGE);
    broken = recipient;
    broken.serial_octets_len = 0;
    assert_int_equal(
            envelope_encode(256, iv, &broken, 1, &der, &len, order, NULL), SEALTAPE_E_USAGE);
    broken = recipient;
    broken.encrypted_key_len = 0;
    assert_int_equal(
            envelope_encode(256, iv, &broken, 1, &der, &len, order, NULL), SEALTAPE_E_USAGE);
    assert_null(der);
    assert_int_equal(len, 7);
    assert_int_equal(order[0], 7);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
            cmocka_unit_test(every_cut_and_every_byte_too_many_is_refused),
            cmocka_unit_test(every_changed_byte_is_refused_or_read_as_it_stands),
            cmocka_unit_test(other_forms_are_refused_with_their_reason),
            cmocka_unit_test(truncated_hand_over_and_foreign_bytes_are_refused),
            cmocka_unit_test(envelopes_that_nobody_could_open_are_not_made),
            cmocka_unit_test(what_was_encoded_is_read_again),
            cmocka_unit_test(an_envelope_of_openssl_is_read),
            cmocka_unit_test(lengths_beyond_four_gigabytes_are_written_and_read),
            cmocka_unit_test(openssl_opens_envelopes_and_splices),
            cmocka_unit_test(a_splice_has_the_structure_of_openssl_smime),
    };

    return cmocka_run_group_tests(tests, make_people, leave);
}
