#include "profile/certificate.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <unistd.h>

#include "../unit.h"
#include "base/clock.h"
#include "base/file.h"
#include "pki.h"

static gnutls_x509_privkey_t key_root, key_inter, key_leaf, key_small;
static struct pki_issued root, inter, leaf;
static char directory[] = "/tmp/sealtape-certificate-XXXXXX";

/* Roots, CRLs and policies of one trust. */
struct trusted {
    const struct pki_issued *roots[4];
    gnutls_datum_t crls[4];
    enum config_policy crl_stale, weak_keys;
};

static void write_text(const char *name, const char *text)
{
    assert_int_equal(file_replace(AT_FDCWD, name, text, strlen(text), 0, NULL), SEALTAPE_OK);
}

static enum sealtape_status load(
        const char *roots, const char *crls, struct trust **ret, struct diag *diag)
{
    struct config config = {.trust = {.roots = strdup(roots),
                                    .crls = crls ? strdup(crls) : NULL,
                                    .crl_stale = CONFIG_WARN,
                                    .weak_keys = CONFIG_REFUSE}};
    enum sealtape_status st = trust_load(&config, ret, diag);

    free(config.trust.roots);
    free(config.trust.crls);
    return st;
}

static struct trust *trust_of(const struct trusted *trusted)
{
    struct config config = {
            .trust = {.crl_stale = trusted->crl_stale, .weak_keys = trusted->weak_keys}};
    char *roots = NULL, *crls = NULL, roots_path[] = "roots.pem", crls_path[] = "crls.pem";
    struct trust *trust = NULL;
    struct diag diag = {""};

    for (size_t i = 0; i < 4 && trusted->roots[i]; i++)
        pki_pem(&roots, "CERTIFICATE", &trusted->roots[i]->der);
    for (size_t i = 0; i < 4 && trusted->crls[i].data; i++) {
        pki_pem(&crls, "X509 CRL", &trusted->crls[i]);
        gnutls_free(trusted->crls[i].data);
    }
    write_text(roots_path, roots);
    config.trust.roots = roots_path;
    if (crls) {
        write_text(crls_path, crls);
        config.trust.crls = crls_path;
    }
    if (trust_load(&config, &trust, &diag) != SEALTAPE_OK)
        fail_msg("%s", diag.text);
    free(roots);
    free(crls);
    return trust;
}

static struct certificate *certificate_of(
        const struct pki_issued *issued, const struct pki_issued *between)
{
    const struct certificate_der chain = {
            between ? between->der.data : NULL,
            between ? between->der.size : 0,
    };
    const struct certificate_source source = {
            .alias = "test",
            .leaf = {issued->der.data, issued->der.size},
            .chain = &chain,
            .chain_count = between ? 1 : 0,
    };
    struct certificate *certificate = NULL;
    struct diag diag = {""};

    if (certificate_new(&source, &certificate, &diag) != SEALTAPE_OK)
        fail_msg("%s", diag.text);
    return certificate;
}

/* One look: what is recorded to, what is trusted, and when. */
struct look {
    const struct pki_issued *leaf, *between;
    struct trusted trusted;
    int64_t now_ms; /* 0: PKI_NOW_MS */
};

/* The text of the refusal, or of the warning; NULL: neither. Kept until the next look. */
static const char *look(const struct look *look, enum sealtape_status expected)
{
    struct certificate *certificate = certificate_of(look->leaf, look->between);
    struct trust *trust = trust_of(&look->trusted);
    static struct diag diag, warning;
    struct diag again, again_warning;
    int64_t now_ms = look->now_ms ? look->now_ms : PKI_NOW_MS;
    enum sealtape_status st;

    diag.text[0] = warning.text[0] = '\0';
    st = certificate_check(certificate, trust, now_ms, &warning, &diag);
    if (st != expected)
        fail_msg("%s: \"%s\"", status_name(st), diag.text);
    /* From the cache, the same. */
    again = diag;
    again_warning = warning;
    assert_int_equal(certificate_check(certificate, trust, now_ms, &warning, &diag), expected);
    assert_string_equal(diag.text, again.text);
    assert_string_equal(warning.text, again_warning.text);
    trust_release(&trust);
    certificate_release(&certificate);
    return expected == SEALTAPE_OK ? warning.text : diag.text;
}

static void assert_refused(const struct look *what, const char *reason)
{
    const char *text = look(what, SEALTAPE_E_CERTIFICATE);

    assert_contains(text, "certificate test (C=US,");
    assert_contains(text, "serial ");
    assert_contains(text, reason);
}

static void assert_taken(const struct look *what, const char *warning)
{
    const char *text = look(what, SEALTAPE_OK);

    if (warning)
        assert_contains(text, warning);
    else
        assert_string_equal(text, "");
}

static struct look good(void)
{
    return (struct look){
            .leaf = &leaf,
            .between = &inter,
            .trusted = {.roots = {&root}, .crl_stale = CONFIG_REFUSE, .weak_keys = CONFIG_REFUSE},
    };
}

static struct pki_request request_leaf(void)
{
    return (struct pki_request){.organization = "Example",
            .name = "rec",
            .key = key_leaf,
            .issuer = &inter,
            .usage = PKI_USAGE_DEFAULT,
            .serial = "\x10\x01",
            .serial_len = 2};
}

static struct pki_request request_inter(void)
{
    return (struct pki_request){.organization = "Example",
            .name = "Recording CA",
            .key = key_inter,
            .issuer = &root,
            .ca = true,
            .usage = PKI_USAGE_CA};
}

static struct pki_request request_root(void)
{
    return (struct pki_request){.organization = "Example",
            .name = "Root",
            .key = key_root,
            .ca = true,
            .usage = PKI_USAGE_CA};
}

static int make_pki(void **state)
{
    struct pki_request request;

    (void)state;
    if (!mkdtemp(directory) || chdir(directory) != 0)
        return -1;
    key_root = pki_key(GNUTLS_PK_RSA, 2048);
    key_inter = pki_key(GNUTLS_PK_RSA, 2048);
    key_leaf = pki_key(GNUTLS_PK_RSA, 2048);
    key_small = pki_key(GNUTLS_PK_RSA, 1024);
    request = request_root();
    root = pki_issue(&request);
    request = request_inter();
    inter = pki_issue(&request);
    request = request_leaf();
    leaf = pki_issue(&request);
    return 0;
}

static int remove_pki(void **state)
{
    (void)state;
    pki_clear(&root);
    pki_clear(&inter);
    pki_clear(&leaf);
    gnutls_x509_privkey_deinit(key_root);
    gnutls_x509_privkey_deinit(key_inter);
    gnutls_x509_privkey_deinit(key_leaf);
    gnutls_x509_privkey_deinit(key_small);
    unlink("roots.pem");
    unlink("crls.pem");
    return chdir("/") == 0 ? rmdir(directory) : -1;
}

static void a_certificate_with_its_intermediate_is_taken(void **state)
{
    struct look look = good();

    (void)state;
    assert_taken(&look, NULL);
}

static void a_missing_intermediate_is_refused_and_says_what_to_add(void **state)
{
    struct look look = good();

    (void)state;
    look.between = NULL;
    assert_refused(&look, "certificate test (C=US,O=Example,CN=rec, serial 4097): its issuer "
                          "C=US,O=Example,CN=Recording CA is not among the roots or the "
                          "intermediates given: add the intermediate to the profile's certificate "
                          "value");
}

static void an_unknown_root_is_refused(void **state)
{
    struct pki_request request = request_root();
    struct pki_issued other;
    struct look look = good();

    (void)state;
    request.name = "Other";
    other = pki_issue(&request);
    look.trusted.roots[0] = &other;
    assert_refused(&look, "its issuer C=US,O=Example,CN=Root is not among the roots");
    pki_clear(&other);
}

static void a_root_of_the_same_name_with_another_key_is_refused(void **state)
{
    struct pki_request request = request_root();
    struct pki_issued other;
    struct look look = good();

    (void)state;
    request.key = key_leaf;
    other = pki_issue(&request);
    look.trusted.roots[0] = &other;
    assert_refused(&look, "the signature on C=US,O=Example,CN=Recording CA is not one of "
                          "C=US,O=Example,CN=Root");
    /* With the right one beside it, that is found. */
    look.trusted.roots[1] = &root;
    assert_taken(&look, NULL);
    pki_clear(&other);
}

static void an_intermediate_among_the_roots_is_a_root(void **state)
{
    struct look look = good();

    (void)state;
    look.between = NULL;
    look.trusted.roots[0] = &inter;
    assert_taken(&look, NULL);
}

static void a_leaf_with_one_changed_bit_is_refused(void **state)
{
    struct look look = good();
    struct pki_issued changed = leaf;

    (void)state;
    changed.der.data = malloc(leaf.der.size);
    assert_non_null(changed.der.data);
    memcpy(changed.der.data, leaf.der.data, leaf.der.size);
    changed.der.data[leaf.der.size - 1] ^= 1;
    look.leaf = &changed;
    assert_refused(&look, "damaged: the signature on C=US,O=Example,CN=rec is not one of "
                          "C=US,O=Example,CN=Recording CA");
    free(changed.der.data);
}

static void a_self_signed_certificate_is_taken_only_as_a_root(void **state)
{
    struct pki_request request = request_leaf();
    struct look look = good();
    struct pki_issued alone;

    (void)state;
    request.issuer = NULL;
    alone = pki_issue(&request);
    look.leaf = &alone;
    look.between = NULL;
    assert_refused(&look, "it is self-signed and not among the roots");
    look.trusted.roots[1] = &alone;
    assert_taken(&look, NULL);
    pki_clear(&alone);
}

static void dates_of_the_whole_chain_are_refused_outside_their_time(void **state)
{
    struct pki_request request = request_leaf();
    struct pki_issued short_leaf, short_inter;
    struct look look = good();

    (void)state;
    request.to = PKI_NOW;
    request.from = PKI_NOW - PKI_DAY;
    short_leaf = pki_issue(&request);
    look.leaf = &short_leaf;
    assert_taken(&look, NULL);
    look.now_ms = PKI_NOW_MS + 999;
    assert_taken(&look, NULL);
    look.now_ms = PKI_NOW_MS + 1000;
    assert_refused(&look, "certificate test (C=US,O=Example,CN=rec, serial 4097): expired on "
                          "2026-03-01T00:00:00.000Z");
    look.now_ms = PKI_NOW_MS - PKI_DAY * INT64_C(1000);
    assert_taken(&look, NULL);
    look.now_ms--;
    assert_refused(&look, "): not valid before 2026-02-28T00:00:00.000Z");
    pki_clear(&short_leaf);

    request = request_inter();
    request.to = PKI_NOW - 1;
    short_inter = pki_issue(&request);
    look = good();
    look.between = &short_inter;
    assert_refused(&look, "its issuer C=US,O=Example,CN=Recording CA expired on "
                          "2026-02-28T23:59:59.000Z");
    pki_clear(&short_inter);
    look = good();
    look.now_ms = PKI_NOW_MS + 181 * PKI_DAY * INT64_C(1000);
    assert_refused(&look, "expired on");
}

static void an_expired_root_is_refused(void **state)
{
    struct pki_request request = request_root();
    struct look look = good();
    struct pki_issued old;

    (void)state;
    request.to = PKI_NOW - 1;
    old = pki_issue(&request);
    look.trusted.roots[0] = &old;
    assert_refused(&look, "its issuer C=US,O=Example,CN=Root expired on");
    /* The same key under a newer certificate opens another way. */
    look.trusted.roots[1] = &root;
    assert_taken(&look, NULL);
    pki_clear(&old);
}

static void a_leaf_with_the_wrong_usage_is_refused(void **state)
{
    struct pki_request request = request_leaf();
    struct look look = good();
    struct pki_issued other;

    (void)state;
    request.usage = GNUTLS_KEY_DIGITAL_SIGNATURE;
    other = pki_issue(&request);
    look.leaf = &other;
    assert_refused(&look, "its keyUsage lacks keyEncipherment");
    pki_clear(&other);
    request.usage = PKI_USAGE_NONE;
    other = pki_issue(&request);
    assert_taken(&look, NULL);
    pki_clear(&other);
    request.critical_oid = "1.2.3.4";
    other = pki_issue(&request);
    assert_refused(&look, "critical extension that is not supported: 1.2.3.4");
    pki_clear(&other);
}

static void issuers_that_may_not_issue_are_refused(void **state)
{
    struct pki_request request = request_inter();
    struct look look = good();
    struct pki_issued other;

    (void)state;
    look.between = &other;
    request.ca = false;
    other = pki_issue(&request);
    assert_refused(&look, "Recording CA is not a CA (basicConstraints)");
    pki_clear(&other);
    request = request_inter();
    request.usage = GNUTLS_KEY_CRL_SIGN;
    other = pki_issue(&request);
    assert_refused(&look, "Recording CA may not sign certificates (keyUsage)");
    pki_clear(&other);
    request = request_inter();
    request.critical_oid = "1.2.3.4";
    other = pki_issue(&request);
    assert_refused(&look, "its issuer C=US,O=Example,CN=Recording CA has a critical extension");
    pki_clear(&other);
}

static void a_path_that_is_too_long_is_refused(void **state)
{
    struct pki_request request = request_root();
    struct look look = good();
    struct pki_issued other;

    (void)state;
    request.path_len = 1;
    other = pki_issue(&request);
    look.trusted.roots[0] = &other;
    assert_refused(&look, "Root allows 0 intermediates below it, not 1");
    pki_clear(&other);
    request.path_len = 2;
    other = pki_issue(&request);
    assert_taken(&look, NULL);
    pki_clear(&other);
}

static void small_keys_are_refused_or_warned_of(void **state)
{
    struct pki_request request = request_leaf();
    struct look look = good();
    struct pki_issued small;

    (void)state;
    request.key = key_small;
    small = pki_issue(&request);
    look.leaf = &small;
    assert_refused(&look, "its RSA key has 1024 bits");
    look.trusted.weak_keys = CONFIG_WARN;
    assert_taken(&look, "its RSA key has only 1024 bits");
    pki_clear(&small);
}

static void small_keys_of_issuers_are_refused_or_warned_of(void **state)
{
    struct pki_request request = request_inter();
    struct look look = good();
    struct pki_issued small, below;

    (void)state;
    request.key = key_small;
    small = pki_issue(&request);
    request = request_leaf();
    request.issuer = &small;
    below = pki_issue(&request);
    look.leaf = &below;
    look.between = &small;
    assert_refused(&look, "the key of its issuer C=US,O=Example,CN=Recording CA has 1024 bits");
    look.trusted.weak_keys = CONFIG_WARN;
    assert_taken(&look, "the key of its issuer C=US,O=Example,CN=Recording CA has 1024 bits");
    pki_clear(&below);
    pki_clear(&small);
}

static void a_key_that_is_not_rsa_is_refused(void **state)
{
    gnutls_x509_privkey_t key = pki_key(GNUTLS_PK_ECDSA, 256);
    struct pki_request request = request_leaf();
    struct look look = good();
    struct pki_issued other;

    (void)state;
    request.key = key;
    request.usage = PKI_USAGE_NONE;
    other = pki_issue(&request);
    look.leaf = &other;
    assert_refused(&look, "only RSA can be recorded to");
    pki_clear(&other);
    gnutls_x509_privkey_deinit(key);
}

static void sha1_is_refused_or_warned_of_but_not_on_a_root(void **state)
{
    struct pki_request request = request_leaf();
    struct look look = good();
    struct pki_issued other, other_root;

    (void)state;
    request.digest = GNUTLS_DIG_SHA1;
    other = pki_issue(&request);
    look.leaf = &other;
    assert_refused(&look, "it is signed with RSA-SHA1");
    look.trusted.weak_keys = CONFIG_WARN;
    assert_taken(&look, "it is signed with RSA-SHA1");
    pki_clear(&other);

    request = request_root();
    request.digest = GNUTLS_DIG_SHA1;
    other_root = pki_issue(&request);
    look = good();
    look.trusted.roots[0] = &other_root;
    assert_taken(&look, NULL);
    pki_clear(&other_root);
}

static void md5_is_refused_whatever_the_policy(void **state)
{
    struct pki_request request = request_leaf();
    struct look look = good();
    struct pki_issued other;

    (void)state;
    request.digest = GNUTLS_DIG_MD5;
    other = pki_issue(&request);
    look.leaf = &other;
    look.trusted.weak_keys = CONFIG_WARN;
    assert_refused(&look, "it is signed with RSA-MD5");
    pki_clear(&other);
}

static void a_revoked_certificate_is_refused(void **state)
{
    struct look look = good();

    (void)state;
    look.trusted.crls[0] = pki_crl(
            &(struct pki_revocation){.issuer = &inter, .serial = "\x10\x01", .serial_len = 2});
    assert_refused(&look, "): revoked on 2026-02-27T00:00:00.000Z");
    look.trusted.crls[0] =
            pki_crl(&(struct pki_revocation){.issuer = &root, .serial = "\x01", .serial_len = 1});
    assert_refused(&look, "its issuer C=US,O=Example,CN=Recording CA revoked on 2026-02-27");
    look.trusted.crls[0] = pki_crl(
            &(struct pki_revocation){.issuer = &inter, .serial = "\x10\x02", .serial_len = 2});
    assert_taken(&look, NULL);
}

static void a_stale_crl_is_refused_or_warned_of_and_still_revokes(void **state)
{
    const struct pki_revocation none = {.issuer = &inter,
            .this_update = PKI_NOW - 9 * PKI_DAY,
            .next_update = PKI_NOW - PKI_DAY};
    struct pki_revocation revoking = none;
    struct look look = good();

    (void)state;
    look.trusted.crls[0] = pki_crl(&none);
    assert_refused(&look, "the CRL of C=US,O=Example,CN=Recording CA is stale, its next was due on "
                          "2026-02-28T00:00:00.000Z");
    look.trusted.crl_stale = CONFIG_WARN;
    look.trusted.crls[0] = pki_crl(&none);
    assert_taken(&look, "is stale");
    revoking.serial = "\x10\x01";
    revoking.serial_len = 2;
    look.trusted.crls[0] = pki_crl(&revoking);
    assert_refused(&look, "revoked on");
    /* The newest one counts. */
    look.trusted.crl_stale = CONFIG_REFUSE;
    look.trusted.crls[0] = pki_crl(&none);
    look.trusted.crls[1] = pki_crl(&(struct pki_revocation){.issuer = &inter});
    assert_taken(&look, NULL);
}

static void a_crl_that_its_issuer_has_not_signed_counts_as_stale(void **state)
{
    struct pki_request request = request_inter();
    struct look look = good();
    struct pki_issued impostor;

    (void)state;
    request.key = key_leaf;
    impostor = pki_issue(&request);
    look.trusted.crls[0] = pki_crl(&(struct pki_revocation){.issuer = &impostor});
    assert_refused(&look, "no CRL of C=US,O=Example,CN=Recording CA carries a valid signature");
    look.trusted.crl_stale = CONFIG_WARN;
    look.trusted.crls[0] = pki_crl(&(struct pki_revocation){.issuer = &impostor});
    assert_taken(&look, "carries a valid signature");
    pki_clear(&impostor);
}

static void the_verdict_follows_the_trust(void **state)
{
    struct certificate *certificate = certificate_of(&leaf, &inter);
    const struct trusted with = {.roots = {&root}}, without = {.roots = {&leaf, &inter}};
    struct trust *one = trust_of(&with), *two;
    struct pki_request request = request_root();
    struct pki_issued other;
    struct trusted others = without;

    (void)state;
    request.name = "Other";
    other = pki_issue(&request);
    others.roots[0] = &other;
    others.roots[1] = NULL;
    two = trust_of(&others);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(certificate_check(certificate, one, PKI_NOW_MS, NULL, NULL), SEALTAPE_OK);
        assert_int_equal(certificate_check(certificate, two, PKI_NOW_MS, NULL, NULL),
                SEALTAPE_E_CERTIFICATE);
    }
    trust_release(&one);
    trust_release(&two);
    certificate_release(&certificate);
    pki_clear(&other);
}

static void facts_have_names_in_encoding_order(void **state)
{
    const struct certificate_source source = {
            .tenant = "Environment", .tenant_dbid = 101, .leaf = {leaf.der.data, leaf.der.size}};
    struct certificate *certificate = NULL;
    const struct certificate_facts *facts;

    (void)state;
    assert_int_equal(certificate_new(&source, &certificate, NULL), SEALTAPE_OK);
    facts = certificate_facts(certificate);
    assert_string_equal(facts->alias, "rcs_Environment:101:C=US,O=Example,CN=Recording CA:4097");
    assert_string_equal(facts->issuer, "C=US,O=Example,CN=Recording CA");
    assert_string_equal(facts->subject, "C=US,O=Example,CN=rec");
    assert_string_equal(facts->serial, "4097");
    assert_int_equal(facts->not_after_ms, PKI_NOW_MS + 180 * PKI_DAY * INT64_C(1000));
    assert_int_equal(facts->modulus_len, 256);
    assert_int_equal(facts->exponent_len, 3);
    assert_int_equal(facts->serial_octets_len, 2);
    assert_int_equal(strlen(facts->sha256), 64);
    certificate_release(&certificate);
}

static void serials_of_every_length_and_sign_are_decimal(void **state)
{
    static const struct {
        const char *octets;
        size_t len;
        const char *text;
    } rows[] = {
            {"\x01", 1, "1"},
            {"\x7f", 1, "127"},
            {"\x00\xff", 2, "255"},
            {"\x01\x00\x00\x00\x00\x00\x00\x00\x00", 9, "18446744073709551616"},
            {"\x7f\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", 20,
                    "730750818665451459101842416358141509827966271487"},
            {"\xff", 1, "-1"},
            {"\x80\x00", 2, "-32768"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        struct pki_request request = request_leaf();
        struct certificate *certificate;
        struct pki_issued issued;

        request.serial = rows[i].octets;
        request.serial_len = rows[i].len;
        issued = pki_issue(&request);
        certificate = certificate_of(&issued, NULL);
        assert_string_equal(certificate_facts(certificate)->serial, rows[i].text);
        certificate_release(&certificate);
        pki_clear(&issued);
    }
}

static void control_characters_in_names_are_escaped(void **state)
{
    struct pki_request request = request_leaf();
    struct certificate *certificate;
    struct pki_issued issued;

    (void)state;
    request.name = "a\nb\x1b[2J\x7f\xc2\x9b, \xc3\xa9";
    issued = pki_issue(&request);
    certificate = certificate_of(&issued, NULL);
    assert_string_equal(certificate_facts(certificate)->subject,
            "C=US,O=Example,CN=a\\0Ab\\1B[2J\\7F\\C2\\9B\\, \xc3\xa9");
    certificate_release(&certificate);
    pki_clear(&issued);
}

static void what_is_not_a_certificate_is_refused(void **state)
{
    struct certificate_source source = {.alias = "x"};
    struct certificate *certificate = NULL;
    uint8_t *bytes = malloc(leaf.der.size + 1);
    struct diag diag = {""};

    (void)state;
    assert_non_null(bytes);
    memcpy(bytes, leaf.der.data, leaf.der.size);
    bytes[leaf.der.size] = 0;
    source.leaf = (struct certificate_der){bytes, leaf.der.size + 1};
    assert_int_equal(certificate_new(&source, &certificate, &diag), SEALTAPE_E_CERTIFICATE);
    assert_contains(diag.text, "not an X.509 certificate");
    for (size_t len = 0; len < leaf.der.size; len++) {
        source.leaf.len = len;
        assert_int_equal(certificate_new(&source, &certificate, NULL), SEALTAPE_E_CERTIFICATE);
    }
    source.leaf = (struct certificate_der){leaf.der.data, leaf.der.size};
    source.chain = &(struct certificate_der){bytes, 12};
    source.chain_count = 1;
    assert_int_equal(certificate_new(&source, &certificate, &diag), SEALTAPE_E_CERTIFICATE);
    assert_contains(diag.text, "certificate 2 of the value");
    source.chain_count = 17;
    assert_int_equal(certificate_new(&source, &certificate, &diag), SEALTAPE_E_CERTIFICATE);
    assert_contains(diag.text, "at most 16");
    assert_null(certificate);
    free(bytes);
}

static void assert_trust_refused(const char *roots, const char *crls, const char *reason)
{
    struct trust *trust = NULL;
    struct diag diag = {""};

    if (roots)
        write_text("roots.pem", roots);
    if (crls)
        write_text("crls.pem", crls);
    assert_int_equal(load("roots.pem", crls ? "crls.pem" : NULL, &trust, &diag), SEALTAPE_E_CONFIG);
    assert_contains(diag.text, reason);
    assert_null(trust);
}

static void roots_that_cannot_be_read_are_refused_with_file_and_line(void **state)
{
    struct trust *trust = NULL;
    struct diag diag = {""};
    char *pem = NULL, *cut, *with;

    (void)state;
    assert_int_equal(load("none.pem", NULL, &trust, &diag), SEALTAPE_E_CONFIG);
    assert_contains(diag.text, "none.pem: cannot read: No such file");
    pki_pem(&pem, "CERTIFICATE", &root.der);
    assert_trust_refused("", NULL, "roots.pem: expected a certificate in PEM, found none");
    assert_trust_refused("hello\n", NULL, "found none");
    cut = strndup(pem, strlen(pem) / 2);
    assert_trust_refused(cut, NULL, "roots.pem:1: the PEM text of the certificate is damaged");
    assert_int_equal(asprintf(&with, "a\nb\n%s-----BEGIN PKCS7-----\n", pem) > 0, 1);
    assert_trust_refused(with, NULL, "found \"PKCS7\"");
    free(with);
    assert_int_equal(asprintf(&with, "%s\n-----BEGIN RSA PRIVATE KEY-----\nabc\n", pem) > 0, 1);
    assert_trust_refused(
            with, NULL, "a private key stands here; remove it and treat it as disclosed");
    free(with);
    assert_trust_refused(pem, pem,
            "crls.pem:1: expected a CRL (\"BEGIN X509 CRL\"), found "
            "\"CERTIFICATE\"");
    assert_trust_refused(pem, "", "crls.pem: expected a CRL in PEM, found none");
    free(cut);
    free(pem);
}

static void assert_loads(const char *roots, size_t len)
{
    struct trust *trust = NULL;
    struct diag diag = {""};

    assert_int_equal(file_replace(AT_FDCWD, "roots.pem", roots, len, 0, NULL), SEALTAPE_OK);
    if (load("roots.pem", NULL, &trust, &diag) != SEALTAPE_OK)
        fail_msg("%s", diag.text);
    trust_release(&trust);
}

static void roots_are_read_with_words_between_crlf_and_in_der(void **state)
{
    char *pem = NULL, *text, *to;

    (void)state;
    pki_pem(&pem, "CERTIFICATE", &root.der);
    assert_true(asprintf(&text, "the first\n%s\nthe second\n%s", pem, pem) > 0);
    assert_loads(text, strlen(text));
    free(text);
    text = to = calloc(2, strlen(pem) + 1);
    assert_non_null(text);
    for (const char *from = pem; *from; from++) {
        if (*from == '\n')
            *to++ = '\r';
        *to++ = *from;
    }
    assert_loads(text, strlen(text));
    /* Without the last newline. */
    assert_loads(pem, strlen(pem) - 1);
    assert_loads((const char *)root.der.data, root.der.size);
    free(text);
    free(pem);
}

struct looker {
    struct certificate *certificate;
    struct trust *trusts[2];
    bool failed;
};

static void *look_often(void *context)
{
    struct looker *looker = context;

    for (unsigned i = 0; i < 2000; i++) {
        struct certificate *held = certificate_acquire(looker->certificate);
        struct trust *trust = trust_acquire(looker->trusts[i / 100 % 2]);

        if (certificate_check(held, trust, PKI_NOW_MS, NULL, NULL) != SEALTAPE_OK)
            looker->failed = true;
        trust_release(&trust);
        certificate_release(&held);
    }
    return NULL;
}

static void many_threads_may_look_at_once(void **state)
{
    const struct trusted trusted = {.roots = {&root}};
    struct certificate *certificate = certificate_of(&leaf, &inter);
    struct trust *one = trust_of(&trusted), *two = trust_of(&trusted);
    struct looker lookers[4];
    pthread_t threads[4];

    (void)state;
    for (unsigned i = 0; i < 4; i++) {
        lookers[i] = (struct looker){certificate, {one, two}, false};
        assert_int_equal(pthread_create(&threads[i], NULL, look_often, &lookers[i]), 0);
    }
    for (unsigned i = 0; i < 4; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
        assert_false(lookers[i].failed);
    }
    trust_release(&one);
    trust_release(&two);
    certificate_release(&certificate);
}

static void a_look_from_the_cache_is_quick(void **state)
{
    const struct trusted trusted = {
            .roots = {&root}, .crls = {pki_crl(&(struct pki_revocation){.issuer = &inter})}};
    struct certificate *certificate = certificate_of(&leaf, &inter);
    struct trust *trust = trust_of(&trusted);
    uint64_t best = UINT64_MAX;

    (void)state;
    for (unsigned round = 0; round < 50; round++) {
        uint64_t from = clock_monotonic_ns(), took;

        for (unsigned i = 0; i < 100; i++)
            ignore(certificate_check(certificate, trust, PKI_NOW_MS, NULL, NULL));
        took = (clock_monotonic_ns() - from) / 100;
        best = took < best ? took : best;
    }
    print_message("a look from the cache takes %llu ns\n", (unsigned long long)best);
    /* A signature costs ten times that, even without sanitizers. */
    assert_true(best < 20000);
    trust_release(&trust);
    certificate_release(&certificate);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
            cmocka_unit_test(a_certificate_with_its_intermediate_is_taken),
            cmocka_unit_test(a_missing_intermediate_is_refused_and_says_what_to_add),
            cmocka_unit_test(an_unknown_root_is_refused),
            cmocka_unit_test(a_root_of_the_same_name_with_another_key_is_refused),
            cmocka_unit_test(an_intermediate_among_the_roots_is_a_root),
            cmocka_unit_test(a_leaf_with_one_changed_bit_is_refused),
            cmocka_unit_test(a_self_signed_certificate_is_taken_only_as_a_root),
            cmocka_unit_test(dates_of_the_whole_chain_are_refused_outside_their_time),
            cmocka_unit_test(an_expired_root_is_refused),
            cmocka_unit_test(a_leaf_with_the_wrong_usage_is_refused),
            cmocka_unit_test(issuers_that_may_not_issue_are_refused),
            cmocka_unit_test(a_path_that_is_too_long_is_refused),
            cmocka_unit_test(small_keys_are_refused_or_warned_of),
            cmocka_unit_test(small_keys_of_issuers_are_refused_or_warned_of),
            cmocka_unit_test(a_key_that_is_not_rsa_is_refused),
            cmocka_unit_test(sha1_is_refused_or_warned_of_but_not_on_a_root),
            cmocka_unit_test(md5_is_refused_whatever_the_policy),
            cmocka_unit_test(a_revoked_certificate_is_refused),
            cmocka_unit_test(a_stale_crl_is_refused_or_warned_of_and_still_revokes),
            cmocka_unit_test(a_crl_that_its_issuer_has_not_signed_counts_as_stale),
            cmocka_unit_test(the_verdict_follows_the_trust),
            cmocka_unit_test(facts_have_names_in_encoding_order),
            cmocka_unit_test(serials_of_every_length_and_sign_are_decimal),
            cmocka_unit_test(control_characters_in_names_are_escaped),
            cmocka_unit_test(what_is_not_a_certificate_is_refused),
            cmocka_unit_test(roots_that_cannot_be_read_are_refused_with_file_and_line),
            cmocka_unit_test(roots_are_read_with_words_between_crlf_and_in_der),
            cmocka_unit_test(many_threads_may_look_at_once),
            cmocka_unit_test(a_look_from_the_cache_is_quick),
    };

    return cmocka_run_group_tests(tests, make_pki, remove_pki);
}
