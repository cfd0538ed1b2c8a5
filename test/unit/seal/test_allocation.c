/* What session and envelope do when any one allocation fails. */
#include <stdlib.h>
#include <string.h>

#include "../allocation.h"
#include "../profile/material.h"
#include "../unit.h"
#include "profile/pem.h"
#include "seal/envelope.h"
#include "seal/secret.h"
#include "seal/session.h"

#define RECIPIENTS 3

static struct certificate *certificates[RECIPIENTS];

static int load_certificates(void **state)
{
    static const char *const names[RECIPIENTS] = {"one", "two", "three"};

    (void)state;
    for (size_t i = 0; i < RECIPIENTS; i++) {
        char *text = material_read(names[i]);
        struct certificate_source source = {.tenant = "Acme", .tenant_dbid = 101};
        struct pem *pem = NULL;

        assert_int_equal(pem_read(text, strlen(text), &pem, NULL), SEALTAPE_OK);
        source.leaf = (struct certificate_der){pem->blocks[0].bytes, pem->blocks[0].len};
        assert_int_equal(certificate_new(&source, &certificates[i], NULL), SEALTAPE_OK);
        pem_free(&pem);
        free(text);
    }
    return 0;
}

static int release_certificates(void **state)
{
    (void)state;
    for (size_t i = 0; i < RECIPIENTS; i++)
        certificate_release(&certificates[i]);
    secret_arena_close();
    return 0;
}

static struct envelope_recipient recipient_of(const struct session *session, size_t index)
{
    const struct certificate_facts *facts = certificate_facts(certificates[index]);

    return (struct envelope_recipient){
            .issuer_der = facts->issuer_der,
            .issuer_der_len = facts->issuer_der_len,
            .serial_octets = facts->serial_octets,
            .serial_octets_len = facts->serial_octets_len,
            .encrypted_key = session->encrypted_keys[index],
            .encrypted_key_len = session->encrypted_key_lens[index],
    };
}

static void a_session_is_made_or_says_that_memory_is_missing(void **state)
{
    unsigned nth = 0;
    bool failed;

    (void)state;
    do {
        struct session *session = NULL;
        struct diag diag = {""};
        enum sealtape_status st;

        allocation_fail(++nth);
        st = session_new(256, certificates, RECIPIENTS, &session, &diag);
        failed = allocation_failed();
        assert_int_equal(st, failed ? SEALTAPE_E_MEMORY : SEALTAPE_OK);
        assert_int_equal(session != NULL, !failed);
        if (failed)
            assert_contains(diag.text, "no memory");
        session_free(&session);
    } while (failed);
    assert_true(nth > RECIPIENTS);
}

static uint8_t *encoded(size_t *ret_len)
{
    struct envelope_recipient recipients[RECIPIENTS];
    struct session *session = NULL;
    size_t order[RECIPIENTS];
    uint8_t *der = NULL;

    assert_int_equal(session_new(256, certificates, RECIPIENTS, &session, NULL), SEALTAPE_OK);
    for (size_t i = 0; i < RECIPIENTS; i++)
        recipients[i] = recipient_of(session, i);
    assert_int_equal(
            envelope_encode(256, session->iv, recipients, RECIPIENTS, &der, ret_len, order, NULL),
            SEALTAPE_OK);
    session_free(&session);
    return der;
}

static void an_envelope_is_encoded_or_nothing_is_given_back(void **state)
{
    struct envelope_recipient recipients[RECIPIENTS];
    struct session *session = NULL;
    unsigned nth = 0;
    bool failed;

    (void)state;
    assert_int_equal(session_new(256, certificates, RECIPIENTS, &session, NULL), SEALTAPE_OK);
    for (size_t i = 0; i < RECIPIENTS; i++)
        recipients[i] = recipient_of(session, i);
    do {
        size_t len = 7, order[RECIPIENTS] = {7, 7, 7};
        struct diag diag = {""};
        enum sealtape_status st;
        uint8_t *der = NULL;

        allocation_fail(++nth);
        st = envelope_encode(256, session->iv, recipients, RECIPIENTS, &der, &len, order, &diag);
        failed = allocation_failed();
        assert_int_equal(st, failed ? SEALTAPE_E_MEMORY : SEALTAPE_OK);
        assert_int_equal(der != NULL, !failed);
        if (failed) {
            assert_contains(diag.text, "no memory");
            assert_true(len == 7 && order[0] == 7 && order[1] == 7 && order[2] == 7);
        }
        free(der);
    } while (failed);
    assert_true(nth > 1);
    session_free(&session);
}

static void an_envelope_is_read_or_nothing_is_given_back(void **state)
{
    size_t len = 0;
    uint8_t *der = encoded(&len);
    unsigned nth = 0;
    bool failed;

    (void)state;
    do {
        struct envelope *envelope = NULL;
        struct diag diag = {""};
        enum sealtape_status st;

        allocation_fail(++nth);
        st = envelope_decode(der, len, len, &envelope, &diag);
        failed = allocation_failed();
        assert_int_equal(st, failed ? SEALTAPE_E_MEMORY : SEALTAPE_OK);
        assert_int_equal(envelope != NULL, !failed);
        if (failed)
            assert_contains(diag.text, "no memory");
        envelope_free(&envelope);
    } while (failed);
    assert_true(nth > 1);
    free(der);
}

static void a_splice_header_is_made_or_nothing_is_given_back(void **state)
{
    size_t der_len = 0;
    uint8_t *der = encoded(&der_len);
    struct envelope *envelope = NULL;
    unsigned nth = 0;
    bool failed;

    (void)state;
    assert_int_equal(envelope_decode(der, der_len, der_len, &envelope, NULL), SEALTAPE_OK);
    do {
        struct diag diag = {""};
        enum sealtape_status st;
        uint8_t *header = NULL;
        size_t len = 7;

        allocation_fail(++nth);
        st = envelope_splice_header(envelope, 1 << 20, &header, &len, &diag);
        failed = allocation_failed();
        assert_int_equal(st, failed ? SEALTAPE_E_MEMORY : SEALTAPE_OK);
        assert_int_equal(header != NULL, !failed);
        assert_true(!failed || (len == 7 && strstr(diag.text, "no memory")));
        free(header);
    } while (failed);
    assert_true(nth > 1);
    envelope_free(&envelope);
    free(der);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
            cmocka_unit_test(a_session_is_made_or_says_that_memory_is_missing),
            cmocka_unit_test(an_envelope_is_encoded_or_nothing_is_given_back),
            cmocka_unit_test(an_envelope_is_read_or_nothing_is_given_back),
            cmocka_unit_test(a_splice_header_is_made_or_nothing_is_given_back),
    };

    return cmocka_run_group_tests(tests, load_certificates, release_certificates);
}
