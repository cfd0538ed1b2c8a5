#include "profile/certificate.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "profile/chain.h"
#include "profile/trust.h"
#include "profile/x509.h"

#define INTERMEDIATES_MAX 16u
#define RSA_BITS_MIN 1024u
#define RSA_BITS_STRONG 2048u
#define RSA_BITS_MAX 8192u

struct certificate {
    _Atomic unsigned references;
    struct certificate_facts facts;
    char *alias;
    struct x509 *leaf;
    struct x509 *intermediates[INTERMEDIATES_MAX];
    size_t intermediates_count;

    /* Guards what follows: the ways up, as found for the trust of that id. */
    pthread_mutex_t mutex;
    uint64_t trust_id;
    struct chain chain;
};

/* One look at one certificate. */
struct check {
    const struct certificate *certificate;
    const struct trust *trust;
    int64_t now_ms;
    struct diag *warning;
    struct diag *diag;
};

static enum sealtape_status refuse(const struct check *check, const char *format, ...)
        PRINTF_LIKE(2, 3);
static enum sealtape_status refuse(const struct check *check, const char *format, ...)
{
    const struct certificate_facts *facts = &check->certificate->facts;
    char reason[DIAG_TEXT_MAX];
    va_list args;

    va_start(args, format);
    /* A text that is cut is still the reason. */
    (void)vsnprintf(reason, sizeof(reason), format, args);
    va_end(args);
    return diag_fail(check->diag, SEALTAPE_E_CERTIFICATE, "certificate %s (%s, serial %s): %s",
            facts->alias, facts->subject, facts->serial, reason);
}

static void warn(const struct check *check, const char *format, ...) PRINTF_LIKE(2, 3);
static void warn(const struct check *check, const char *format, ...)
{
    const struct certificate_facts *facts = &check->certificate->facts;
    char text[DIAG_TEXT_MAX], before[DIAG_TEXT_MAX];
    va_list args;

    if (!check->warning)
        return;
    va_start(args, format);
    (void)vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    if (check->warning->text[0]) {
        memcpy(before, check->warning->text, sizeof(before));
        ignore(diag_fail(check->warning, SEALTAPE_OK, "%s; %s", before, text));
        return;
    }
    ignore(diag_fail(check->warning, SEALTAPE_OK, "certificate %s (%s, serial %s): %s",
            facts->alias, facts->subject, facts->serial, text));
}

/* notAfter names the last second that is good (RFC 5280, 4.1.2.5). */
static bool is_expired(const struct x509 *x509, int64_t now_ms)
{
    return now_ms >= x509->not_after_ms + 1000;
}

static enum sealtape_status check_dates(
        const struct check *check, const struct x509 *link, bool is_leaf)
{
    const char *who = is_leaf ? "" : "its issuer ", *name = is_leaf ? "" : link->subject_text;
    const char *blank = is_leaf ? "" : " ";
    char when[TIMESTAMP_SIZE];

    if (is_expired(link, check->now_ms)) {
        timestamp_format(link->not_after_ms, when);
        return refuse(check, "%s%s%sexpired on %s", who, name, blank, when);
    }
    if (check->now_ms < link->not_before_ms) {
        timestamp_format(link->not_before_ms, when);
        return refuse(check, "%s%s%snot valid before %s", who, name, blank, when);
    }
    return SEALTAPE_OK;
}

/* RSA, of a size, with a usage: what a recipient must be by itself. */
static enum sealtape_status check_leaf(const struct check *check)
{
    const struct x509 *leaf = check->certificate->leaf;
    bool weak;

    if (leaf->key_algorithm != GNUTLS_PK_RSA)
        return refuse(check, "its key is of type %s: only RSA can be recorded to",
                gnutls_pk_get_name(leaf->key_algorithm));
    if (leaf->key_bits < RSA_BITS_MIN || leaf->key_bits > RSA_BITS_MAX)
        return refuse(check, "its RSA key has %u bits; %u to %u are possible", leaf->key_bits,
                RSA_BITS_STRONG, RSA_BITS_MAX);
    weak = leaf->key_bits < RSA_BITS_STRONG;
    if (weak && check->trust->weak_keys == CONFIG_REFUSE)
        return refuse(check,
                "its RSA key has %u bits: replace it by one of %u or more, or set "
                "weak-keys=\"warn\"",
                leaf->key_bits, RSA_BITS_STRONG);
    if (leaf->has_usage && !(leaf->usage & GNUTLS_KEY_KEY_ENCIPHERMENT))
        return refuse(check, "its keyUsage lacks keyEncipherment: have it issued with that");
    if (leaf->critical[0])
        return refuse(
                check, "it has a critical extension that is not supported: %s", leaf->critical);
    if (weak)
        warn(check, "its RSA key has only %u bits", leaf->key_bits);
    return SEALTAPE_OK;
}

static enum sealtape_status stale(const struct check *check, const char *format, ...)
        PRINTF_LIKE(2, 3);
static enum sealtape_status stale(const struct check *check, const char *format, ...)
{
    char text[DIAG_TEXT_MAX];
    va_list args;

    va_start(args, format);
    (void)vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    if (check->trust->crl_stale == CONFIG_REFUSE)
        return refuse(check, "%s", text);
    warn(check, "%s", text);
    return SEALTAPE_OK;
}

/* A stale list still revokes what it names. */
static enum sealtape_status check_revocation(
        const struct check *check, const struct chain_path *path, size_t i)
{
    const struct x509 *link = path->links[i];
    const struct crl *crl = path->crls[i].newest;
    const struct crl_revoked *revoked;
    char when[TIMESTAMP_SIZE];

    if (path->crls[i].unverified)
        return stale(check, "no CRL of %s carries a valid signature of it: fetch its CRL again",
                link->issuer_text);
    if (!crl)
        return SEALTAPE_OK;
    revoked = crl_find(crl, link->serial, link->serial_len);
    if (revoked) {
        const char *reason = crl_reason_name(revoked->reason);

        timestamp_format(revoked->at_ms, when);
        return refuse(check, "%s%s%srevoked on %s%s%s%s", i == 0 ? "" : "its issuer ",
                i == 0 ? "" : link->subject_text, i == 0 ? "" : " ", when, reason ? " (" : "",
                reason ? reason : "", reason ? ")" : "");
    }
    if (crl->next_update_ms != CRL_NO_UPDATE && check->now_ms >= crl->next_update_ms + 1000) {
        timestamp_format(crl->next_update_ms, when);
        return stale(check, "the CRL of %s is stale, its next was due on %s: fetch the new one",
                crl->issuer_text, when);
    }
    return SEALTAPE_OK;
}

static enum sealtape_status check_path(const struct check *check, const struct chain_path *path)
{
    enum sealtape_status st = SEALTAPE_OK;

    for (size_t i = 0; st == SEALTAPE_OK && i < path->count; i++)
        st = check_dates(check, path->links[i], i == 0);
    for (size_t i = 0; st == SEALTAPE_OK && i + 1 < path->count; i++)
        st = check_revocation(check, path, i);
    if (st == SEALTAPE_OK && path->weak[0])
        warn(check, "%s", path->weak);
    return st;
}

/* With the mutex held. The first path that is good at this time decides, else the first's
 * reason. */
static enum sealtape_status check_chain(const struct check *check)
{
    const struct chain *chain = &check->certificate->chain;
    struct check other = *check;
    enum sealtape_status st;
    struct diag before;

    if (chain->count == 0)
        return refuse(check, "%s", chain->reason);
    if (check->warning)
        before = *check->warning;
    st = check_path(check, &chain->paths[0]);
    other.diag = NULL;
    for (size_t i = 1; st != SEALTAPE_OK && i < chain->count; i++) {
        /* What was said of a path that is not taken is no warning. */
        if (check->warning)
            *check->warning = before;
        st = check_path(&other, &chain->paths[i]);
    }
    return st;
}

static void chain_refresh(struct certificate *certificate, const struct trust *trust)
{
    const struct chain_source source = {
            .leaf = certificate->leaf,
            .intermediates = certificate->intermediates,
            .intermediates_count = certificate->intermediates_count,
            .trust = trust,
    };

    if (certificate->trust_id == trust->id)
        return;
    chain_build(&certificate->chain, &source);
    certificate->trust_id = trust->id;
}

enum sealtape_status certificate_check(struct certificate *certificate, struct trust *trust,
        int64_t now_utc_ms, struct diag *ret_warning, struct diag *diag)
{
    struct diag warning = {""};
    const struct check check = {
            certificate, trust, now_utc_ms, ret_warning ? &warning : NULL, diag};
    enum sealtape_status st;

    st = check_leaf(&check);
    if (st == SEALTAPE_OK)
        st = check_dates(&check, certificate->leaf, true);
    if (st != SEALTAPE_OK)
        return st;
    pthread_mutex_lock(&certificate->mutex);
    chain_refresh(certificate, trust);
    st = check_chain(&check);
    pthread_mutex_unlock(&certificate->mutex);
    if (st == SEALTAPE_OK && ret_warning)
        *ret_warning = warning;
    return st;
}

/* Unsigned octets, without the zeros that keep an INTEGER positive. */
static void unsigned_octets(const gnutls_datum_t *datum, const uint8_t **ret, size_t *ret_len)
{
    const uint8_t *octets = datum->data;
    size_t len = datum->size;

    while (len > 1 && *octets == 0) {
        octets++;
        len--;
    }
    *ret = octets;
    *ret_len = len;
}

static void facts_fill(struct certificate *certificate)
{
    struct certificate_facts *facts = &certificate->facts;
    const struct x509 *leaf = certificate->leaf;

    *facts = (struct certificate_facts){
            .alias = certificate->alias,
            .issuer = leaf->issuer_text,
            .subject = leaf->subject_text,
            .serial = leaf->serial_text,
            .sha256 = leaf->sha256,
            .not_before_ms = leaf->not_before_ms,
            .not_after_ms = leaf->not_after_ms,
            .issuer_der = leaf->issuer.data,
            .issuer_der_len = leaf->issuer.size,
            .serial_octets = leaf->serial,
            .serial_octets_len = leaf->serial_len,
    };
    unsigned_octets(&leaf->modulus, &facts->modulus, &facts->modulus_len);
    unsigned_octets(&leaf->exponent, &facts->exponent, &facts->exponent_len);
}

static enum sealtape_status alias_make(
        struct certificate *certificate, const struct certificate_source *source)
{
    const struct x509 *leaf = certificate->leaf;

    if (source->alias) {
        certificate->alias = strdup(source->alias);
    } else if (asprintf(&certificate->alias, "rcs_%s:%" PRIu32 ":%s:%s",
                       source->tenant ? source->tenant : "", source->tenant_dbid, leaf->issuer_text,
                       leaf->serial_text)
               < 0) {
        certificate->alias = NULL;
    }
    return certificate->alias ? SEALTAPE_OK : SEALTAPE_E_MEMORY;
}

static enum sealtape_status intermediates_read(
        struct certificate *certificate, const struct certificate_source *source, struct diag *diag)
{
    enum sealtape_status st;

    if (source->chain_count > INTERMEDIATES_MAX)
        return diag_fail(diag, SEALTAPE_E_CERTIFICATE,
                "%zu certificates follow the first; at most %u are read", source->chain_count,
                INTERMEDIATES_MAX);
    for (size_t i = 0; i < source->chain_count; i++) {
        st = x509_new(
                source->chain[i].bytes, source->chain[i].len, &certificate->intermediates[i], diag);
        if (st != SEALTAPE_OK) {
            diag_prefix(diag, "certificate %zu of the value: ", i + 2);
            return st;
        }
        certificate->intermediates_count++;
    }
    return SEALTAPE_OK;
}

enum sealtape_status certificate_new(const struct certificate_source *source,
        struct certificate **ret_certificate, struct diag *diag)
{
    CLEANUP(certificate_release) struct certificate *certificate = NULL;
    enum sealtape_status st;

    certificate = calloc(1, sizeof(*certificate));
    if (!certificate)
        return diag_fail(diag, SEALTAPE_E_MEMORY, "no memory for a certificate");
    atomic_init(&certificate->references, 1);
    pthread_mutex_init(&certificate->mutex, NULL);
    st = x509_new(source->leaf.bytes, source->leaf.len, &certificate->leaf, diag);
    if (st == SEALTAPE_OK)
        st = intermediates_read(certificate, source, diag);
    if (st != SEALTAPE_OK)
        return st;
    st = alias_make(certificate, source);
    if (st != SEALTAPE_OK)
        return diag_fail(diag, st, "no memory for a certificate");
    facts_fill(certificate);
    *ret_certificate = TAKE(certificate);
    return SEALTAPE_OK;
}

struct certificate *certificate_acquire(struct certificate *certificate)
{
    atomic_fetch_add_explicit(&certificate->references, 1, memory_order_relaxed);
    return certificate;
}

void certificate_release(struct certificate **certificate)
{
    struct certificate *owned = TAKE(*certificate);

    if (!owned || atomic_fetch_sub_explicit(&owned->references, 1, memory_order_acq_rel) != 1)
        return;
    x509_free(&owned->leaf);
    for (size_t i = 0; i < owned->intermediates_count; i++)
        x509_free(&owned->intermediates[i]);
    pthread_mutex_destroy(&owned->mutex);
    free(owned->alias);
    free(owned);
}

const struct certificate_facts *certificate_facts(const struct certificate *certificate)
{
    return &certificate->facts;
}
