#include "profile/chain.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* Signatures looked at for one certificate: names that lead in circles end here. */
#define VERIFICATIONS_MAX 64u

#define RSA_BITS_MIN 1024u
#define RSA_BITS_STRONG 2048u
#define EC_BITS_STRONG 224u

/* How good the hash of a signature is. */
enum strength { STRENGTH_BROKEN, STRENGTH_WEAK, STRENGTH_GOOD };

struct search {
    const struct chain_source *source;
    struct chain *chain;
    const struct x509 *links[CHAIN_DEPTH_MAX];
    size_t count;
    unsigned verifications;
    size_t reason_depth; /* how far up the reason was found */
};

/* The reason that was met farthest up is the one that an operator can mend. */
static void search_failed(struct search *search, const char *format, ...) PRINTF_LIKE(2, 3);
static void search_failed(struct search *search, const char *format, ...)
{
    va_list args;

    if (search->count < search->reason_depth)
        return;
    search->reason_depth = search->count;
    va_start(args, format);
    /* A text that is cut is still the reason. */
    (void)vsnprintf(search->chain->reason, sizeof(search->chain->reason), format, args);
    va_end(args);
}

static enum strength signature_strength(gnutls_sign_algorithm_t algorithm)
{
    gnutls_digest_algorithm_t digest = gnutls_sign_get_hash_algorithm(algorithm);

    /* Ed25519 and Ed448 hash inside. */
    if (algorithm == GNUTLS_SIGN_EDDSA_ED25519 || algorithm == GNUTLS_SIGN_EDDSA_ED448)
        return STRENGTH_GOOD;
    if (digest == GNUTLS_DIG_SHA1)
        return STRENGTH_WEAK;
    if (digest == GNUTLS_DIG_SHA224 || digest == GNUTLS_DIG_SHA256 || digest == GNUTLS_DIG_SHA384
            || digest == GNUTLS_DIG_SHA512 || digest == GNUTLS_DIG_SHA3_224
            || digest == GNUTLS_DIG_SHA3_256 || digest == GNUTLS_DIG_SHA3_384
            || digest == GNUTLS_DIG_SHA3_512)
        return STRENGTH_GOOD;
    return STRENGTH_BROKEN;
}

static const char *signature_name(gnutls_sign_algorithm_t algorithm)
{
    const char *name = gnutls_sign_get_name(algorithm);

    return name ? name : "unknown";
}

static enum strength key_strength(const struct x509 *x509)
{
    if (x509->key_algorithm == GNUTLS_PK_ECDSA)
        return x509->key_bits < EC_BITS_STRONG ? STRENGTH_WEAK : STRENGTH_GOOD;
    if (x509->key_algorithm == GNUTLS_PK_RSA || x509->key_algorithm == GNUTLS_PK_RSA_PSS
            || x509->key_algorithm == GNUTLS_PK_DSA)
        return x509->key_bits < RSA_BITS_MIN      ? STRENGTH_BROKEN
               : x509->key_bits < RSA_BITS_STRONG ? STRENGTH_WEAK
                                                  : STRENGTH_GOOD;
    return STRENGTH_GOOD;
}

static void weak_add(struct chain_path *path, const char *format, ...) PRINTF_LIKE(2, 3);
static void weak_add(struct chain_path *path, const char *format, ...)
{
    size_t used = strlen(path->weak);
    va_list args;

    if (used > 0 && used + 2 < sizeof(path->weak)) {
        memcpy(path->weak + used, "; ", 3);
        used += 2;
    }
    va_start(args, format);
    (void)vsnprintf(path->weak + used, sizeof(path->weak) - used, format, args);
    va_end(args);
}

/* Strength of one link; the key of the leaf was looked at by its owner. */
static bool link_is_strong_enough(struct search *search, struct chain_path *path, size_t i)
{
    const struct x509 *link = path->links[i];
    bool is_root = i + 1 == path->count;
    enum strength key = i == 0 ? STRENGTH_GOOD : key_strength(link);
    /* Nobody relies on the signature that a root makes over itself. */
    enum strength hash = is_root ? STRENGTH_GOOD : signature_strength(link->signed_part.algorithm);
    const bool refuse = search->source->trust->weak_keys == CONFIG_REFUSE;

    if (key == STRENGTH_BROKEN || (key == STRENGTH_WEAK && refuse)) {
        search_failed(search,
                "the key of its issuer %s has %u bits: have the CA use 2048 bits or more%s",
                link->subject_text, link->key_bits,
                key == STRENGTH_WEAK ? ", or set weak-keys=\"warn\"" : "");
        return false;
    }
    if (hash == STRENGTH_BROKEN || (hash == STRENGTH_WEAK && refuse)) {
        search_failed(search, "%s%s is signed with %s: have it issued again with SHA-256%s",
                i == 0 ? "it" : "its issuer ", i == 0 ? "" : link->subject_text,
                signature_name(link->signed_part.algorithm),
                hash == STRENGTH_WEAK ? ", or set weak-keys=\"warn\"" : "");
        return false;
    }
    if (key == STRENGTH_WEAK)
        weak_add(path, "the key of its issuer %s has %u bits", link->subject_text, link->key_bits);
    if (hash == STRENGTH_WEAK)
        weak_add(path, "%s%s is signed with %s", i == 0 ? "it" : "its issuer ",
                i == 0 ? "" : link->subject_text, signature_name(link->signed_part.algorithm));
    return true;
}

/* CRLs in the name of the issuer of link @i: the newest that it has signed. */
static void find_crl(const struct trust *trust, struct chain_path *path, size_t i)
{
    const struct x509 *link = path->links[i], *issuer = path->links[i + 1];
    enum strength needed = trust->weak_keys == CONFIG_WARN ? STRENGTH_WEAK : STRENGTH_GOOD;
    const struct crl *newest = NULL;
    bool named = false;

    for (size_t k = 0; k < trust->crls_count; k++) {
        const struct crl *crl = trust->crls[k];

        if (!x509_same(&crl->issuer, &link->issuer))
            continue;
        named = true;
        if (newest && newest->this_update_ms >= crl->this_update_ms)
            continue;
        if (signature_strength(crl->signed_part.algorithm) >= needed
                && (!issuer->has_usage || (issuer->usage & GNUTLS_KEY_CRL_SIGN))
                && x509_verifies(&crl->signed_part, issuer))
            newest = crl;
    }
    path->crls[i].newest = newest;
    path->crls[i].unverified = named && !newest;
}

/* The links of the search end in a root. */
static void path_found(struct search *search)
{
    struct chain_path *path = &search->chain->paths[search->chain->count];

    memset(path, 0, sizeof(*path));
    memcpy(path->links, search->links, sizeof(path->links));
    path->count = search->count;
    for (size_t i = 0; i < path->count; i++) {
        if (!link_is_strong_enough(search, path, i))
            return;
    }
    for (size_t i = 0; i + 1 < path->count; i++)
        find_crl(search->source->trust, path, i);
    search->chain->count++;
}

static bool is_self_issued(const struct x509 *x509)
{
    return x509_same(&x509->issuer, &x509->subject);
}

/* RFC 5280, 6.1.4 (l): self-issued ones do not count. */
static int intermediates_below(const struct search *search)
{
    int count = 0;

    for (size_t i = 1; i < search->count; i++)
        count += !is_self_issued(search->links[i]);
    return count;
}

/* Has @issuer signed the last link, and may it? @is_root: it is trusted as such. */
static bool may_issue(struct search *search, const struct x509 *issuer, bool is_root)
{
    const struct x509 *child = search->links[search->count - 1];
    const char *name = issuer->subject_text;

    /* Version 1 has no extensions to say so; as a root the operator has said it. */
    if (!issuer->is_ca && !(is_root && issuer->version < 3)) {
        search_failed(search, "its issuer %s is not a CA (basicConstraints)", name);
        return false;
    }
    if (issuer->has_usage && !(issuer->usage & GNUTLS_KEY_KEY_CERT_SIGN)) {
        search_failed(search, "its issuer %s may not sign certificates (keyUsage)", name);
        return false;
    }
    if (issuer->path_len >= 0 && intermediates_below(search) > issuer->path_len) {
        search_failed(search, "its issuer %s allows %d intermediates below it, not %d", name,
                issuer->path_len, intermediates_below(search));
        return false;
    }
    if (issuer->critical[0]) {
        search_failed(search, "its issuer %s has a critical extension that is not supported: %s",
                name, issuer->critical);
        return false;
    }
    if (search->verifications++ >= VERIFICATIONS_MAX) {
        search_failed(search, "too many certificates of the same name lead up from it");
        return false;
    }
    if (!x509_verifies(&child->signed_part, issuer)) {
        search_failed(search,
                "it or an issuer of it is damaged: the signature on %s is not one of %s",
                child->subject_text, name);
        return false;
    }
    return true;
}

static bool is_linked(const struct search *search, const struct x509 *x509)
{
    for (size_t i = 0; i < search->count; i++) {
        if (x509_same(&search->links[i]->der, &x509->der))
            return true;
    }
    return false;
}

static bool is_root(const struct trust *trust, const struct x509 *x509)
{
    for (size_t i = 0; i < trust->roots_count; i++) {
        if (x509_same(&trust->roots[i]->der, &x509->der))
            return true;
    }
    return false;
}

/* Roots that have signed the last link end a path. Whether one has its name. */
static bool try_roots(struct search *search)
{
    const struct x509 *last = search->links[search->count - 1];
    const struct trust *trust = search->source->trust;
    bool named = false;

    for (size_t i = 0; i < trust->roots_count; i++) {
        const struct x509 *root = trust->roots[i];

        if (!x509_same(&root->subject, &last->issuer) || search->chain->count == CHAIN_PATHS_MAX)
            continue;
        named = true;
        if (!may_issue(search, root, true))
            continue;
        search->links[search->count++] = root;
        path_found(search);
        search->count--;
    }
    return named;
}

/* Depth-first; each level adds a link, so the recursion ends at CHAIN_DEPTH_MAX. */
static void extend(struct search *search)
{
    const struct chain_source *source = search->source;
    const struct x509 *last = search->links[search->count - 1];
    bool named;

    if (is_root(source->trust, last)) {
        path_found(search);
        return;
    }
    if (search->count == CHAIN_DEPTH_MAX) {
        search_failed(search, "more than %d certificates lead up from it", CHAIN_DEPTH_MAX);
        return;
    }
    named = try_roots(search);
    for (size_t i = 0; i < source->intermediates_count; i++) {
        const struct x509 *next = source->intermediates[i];

        if (!x509_same(&next->subject, &last->issuer) || is_linked(search, next))
            continue;
        named = true;
        if (search->chain->count == CHAIN_PATHS_MAX || !may_issue(search, next, false))
            continue;
        search->links[search->count++] = next;
        extend(search);
        search->count--;
    }
    if (named)
        return;
    if (is_self_issued(last))
        search_failed(search,
                "%s%s is self-signed and not among the roots: add it there if it is "
                "to be trusted",
                search->count > 1 ? "its issuer " : "it",
                search->count > 1 ? last->subject_text : "");
    else
        search_failed(search,
                "its issuer %s is not among the roots or the intermediates given: add the "
                "intermediate to the profile's certificate value",
                last->issuer_text);
}

void chain_build(struct chain *ret_chain, const struct chain_source *source)
{
    struct search search = {.source = source, .chain = ret_chain, .count = 1};

    ret_chain->count = 0;
    ret_chain->reason[0] = '\0';
    search.links[0] = source->leaf;
    extend(&search);
}
