#include "profile/profile.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/quantity.h"
#include "profile/pem.h"
#include "profile/snapshot.h"
#include "profile/url.h"

struct shared_profile {
    atomic_uint refs;
    struct profile profile;
};

#define SECTION_CERTIFICATES "recording-certificates"
#define SECTION_ENCRYPTION "recording-encryption"
#define SECTION_SERVICE "gvp.service-parameters"
#define OPTION_STORAGE "recordingclient.recdest"
#define OPTION_PROCESSOR "recordingclient.callrec_dest"

/* Options that concern us in one profile at the most: they are compared with each other. */
#define OPTIONS_OURS_MAX 256u
/* The longest wrong value that a message repeats. */
#define FOUND_MAX 24

/* An option in effect, with the file that it came from. */
struct effective {
    const struct annex_option *option;
    const char *file;
};

/* What an option of section recording-certificates is. */
enum slot_kind { SLOT_OTHER, SLOT_CERTIFICATE, SLOT_ALIAS };
struct slot_name {
    enum slot_kind kind;
    uint32_t number;
};

/* The way from annexes to a profile. */
struct building {
    struct profile *profile;
    struct pool *pool;
    struct effective *options;
    size_t count;
    const struct annex *annex;
    struct diag *diag;
};

static void building_clear(struct building *building)
{
    free(building->options);
    building->options = NULL;
}

static enum sealtape_status fail(
        const struct building *building, const struct effective *at, const char *expected)
{
    return diag_fail(building->diag, SEALTAPE_E_CONFIG, "%s:%u: profile %u, option %s: expected %s",
            at->file, at->option->line, building->profile->dbid, at->option->key, expected);
}

/* certificate-N, certificatealias-N, certificate.N, certN, aliasN: grouped by the number. */
static struct slot_name slot_name(const char *key)
{
    static const struct {
        const char *word;
        enum slot_kind kind;
    } words[] = {
            {"certificatealias", SLOT_ALIAS},
            {"certificate", SLOT_CERTIFICATE},
            {"certalias", SLOT_ALIAS},
            {"cert", SLOT_CERTIFICATE},
            {"alias", SLOT_ALIAS},
    };

    for (size_t i = 0; i < ARRAY_COUNT(words); i++) {
        struct slot_name name = {words[i].kind, 0};
        size_t len = strlen(words[i].word);

        if (strncasecmp(key, words[i].word, len) != 0)
            continue;
        len += key[len] != '\0' && strchr("-._", key[len]) ? 1 : 0;
        len += strspn(key + len, "0");
        if (key[len] == '\0' && len > 0 && key[len - 1] == '0')
            return name;
        if (annex_number(key + len, &name.number) == SEALTAPE_OK)
            return name;
    }
    return (struct slot_name){SLOT_OTHER, 0};
}

/* Do two options mean the same thing? "cert1" of an overlay replaces "certificate-1". */
static bool is_same_option(const struct annex_option *a, const struct annex_option *b)
{
    struct slot_name one, other;

    if (strcmp(a->section, b->section) != 0)
        return false;
    if (strcmp(a->key, b->key) == 0)
        return true;
    if (strcmp(a->section, SECTION_CERTIFICATES) != 0)
        return false;
    one = slot_name(a->key);
    other = slot_name(b->key);
    return one.kind != SLOT_OTHER && one.kind == other.kind && one.number == other.number;
}

static bool is_ours(const struct annex_option *option)
{
    if (strcmp(option->section, SECTION_SERVICE) == 0)
        return strcmp(option->key, OPTION_STORAGE) == 0
               || strcmp(option->key, OPTION_PROCESSOR) == 0;
    return strcmp(option->section, SECTION_CERTIFICATES) == 0
           || strcmp(option->section, SECTION_ENCRYPTION) == 0;
}

static enum sealtape_status add_options(
        struct building *building, const struct annex *annex, size_t replaceable)
{
    for (size_t i = 0; i < annex->options_count; i++) {
        const struct effective added = {&annex->options[i], annex->file};
        size_t at = 0;

        if (!is_ours(added.option))
            continue;
        while (at < building->count && !is_same_option(building->options[at].option, added.option))
            at++;
        if (at < building->count && at >= replaceable)
            return diag_fail(building->diag, SEALTAPE_E_CONFIG,
                    "%s:%u: profile %u: option %s means the same as %s in line %u", added.file,
                    added.option->line, annex->dbid, added.option->key,
                    building->options[at].option->key, building->options[at].option->line);
        if (at == OPTIONS_OURS_MAX)
            return diag_fail(building->diag, SEALTAPE_E_CONFIG,
                    "%s:%u: profile %u: more than %u options for recording", added.file,
                    added.option->line, annex->dbid, OPTIONS_OURS_MAX);
        building->options[at] = added;
        building->count += at == building->count;
    }
    return SEALTAPE_OK;
}

static enum sealtape_status merge_options(struct building *building, const struct annex *overlay)
{
    size_t most = building->annex->options_count + (overlay ? overlay->options_count : 0);
    enum sealtape_status st;

    building->options = calloc(most + 1, sizeof(*building->options));
    if (!building->options)
        return diag_fail(building->diag, SEALTAPE_E_MEMORY, "no memory");
    st = add_options(building, building->annex, 0);
    return st == SEALTAPE_OK && overlay ? add_options(building, overlay, building->count) : st;
}

static enum sealtape_status set_text(
        const struct building *building, const struct effective *at, char **text)
{
    const char *value = at->option->value;

    if (strlen(value) > 255)
        return fail(building, at, "at most 255 bytes");
    for (const char *c = value; *c; c++) {
        if ((unsigned char)*c < 0x20 || *c == 0x7f)
            return fail(building, at, "a text without control characters");
    }
    free(*text);
    *text = strdup(value);
    return *text ? SEALTAPE_OK : diag_fail(building->diag, SEALTAPE_E_MEMORY, "no memory");
}

/* Index of the value among NULL-ended @allowed, or an error that names them. */
static enum sealtape_status set_choice(const struct building *building, const struct effective *at,
        const char *const *allowed, size_t *ret_index)
{
    const char *value = at->option->value;
    char expected[256] = "";
    size_t used;

    for (size_t i = 0; allowed[i]; i++) {
        used = strlen(expected);
        if (strcmp(value, allowed[i]) == 0) {
            *ret_index = i;
            return SEALTAPE_OK;
        }
        (void)snprintf(expected + used, sizeof(expected) - used, "%s%s",
                i == 0           ? ""
                : allowed[i + 1] ? ", "
                                 : " or ",
                allowed[i]);
    }
    /* A word is shown; what is longer may be anything. */
    used = strlen(expected);
    if (strlen(value) <= FOUND_MAX)
        (void)snprintf(expected + used, sizeof(expected) - used, ", found \"%s\"", value);
    return fail(building, at, expected);
}

static enum sealtape_status set_mask_max(
        const struct building *building, const struct effective *at)
{
    uint64_t ms = 0;

    if (strcmp(at->option->value, "0") != 0
            && (quantity_time(at->option->value, &ms) != SEALTAPE_OK || ms > UINT32_MAX))
        return fail(building, at, "0 or a time such as 90s or 10min, 49 days at the most");
    building->profile->mask_max_ms = (uint32_t)ms;
    return SEALTAPE_OK;
}

static enum sealtape_status add_certificate(
        struct building *building, const struct effective *at, const char *alias)
{
    const struct pool_key key = {alias, building->profile->tenant, building->profile->tenant_dbid,
            at->option->value, building->profile->dbid};
    CLEANUP(certificate_release) struct certificate *certificate = NULL;
    struct profile *profile = building->profile;
    enum sealtape_status st;

    if (profile->certificates_count == PROFILE_CERTIFICATES_MAX)
        return diag_fail(building->diag, SEALTAPE_E_CONFIG,
                "%s:%u: profile %u has more than %d certificates", at->file, at->option->line,
                profile->dbid, PROFILE_CERTIFICATES_MAX);
    st = pool_acquire(building->pool, &key, &certificate, building->diag);
    if (st != SEALTAPE_OK) {
        diag_prefix(building->diag, "%s:%u: profile %u, option %s: ", at->file, at->option->line,
                profile->dbid, at->option->key);
        return st == SEALTAPE_E_MEMORY ? st : SEALTAPE_E_CONFIG;
    }
    for (size_t i = 0; i < profile->certificates_count; i++) {
        /* The same recipient twice opens nothing more. */
        if (strcmp(certificate_facts(profile->certificates[i])->sha256,
                    certificate_facts(certificate)->sha256)
                == 0)
            return SEALTAPE_OK;
    }
    profile->certificates[profile->certificates_count++] = TAKE(certificate);
    return SEALTAPE_OK;
}

static const char *alias_of(const struct building *building, uint32_t number)
{
    for (size_t i = 0; i < building->count; i++) {
        const struct annex_option *option = building->options[i].option;
        struct slot_name name;

        if (strcmp(option->section, SECTION_CERTIFICATES) != 0)
            continue;
        name = slot_name(option->key);
        if (name.kind == SLOT_ALIAS && name.number == number && option->value[0] != '\0')
            return option->value;
    }
    return NULL;
}

static enum sealtape_status check_alias(const struct building *building, const struct effective *at)
{
    char *copy = NULL;
    enum sealtape_status st = set_text(building, at, &copy);

    free(copy);
    return st;
}

static enum sealtape_status apply_certificate(struct building *building, const struct effective *at)
{
    const struct annex_option *option = at->option;
    struct slot_name name = slot_name(option->key);
    size_t len = strlen(option->value);

    if (name.kind == SLOT_ALIAS)
        return check_alias(building, at);
    /* A slot that was emptied is a certificate that was taken out. */
    if (option->value[strspn(option->value, " \t\r\n")] == '\0')
        return SEALTAPE_OK;
    if (name.kind == SLOT_CERTIFICATE)
        return add_certificate(building, at, alias_of(building, name.number));
    return pem_is_meant(option->value, len) ? add_certificate(building, at, option->key)
                                            : SEALTAPE_OK;
}

static enum sealtape_status apply_encryption(struct building *building, const struct effective *at)
{
    static const char *const on_invalid[] = {"skip", "refuse", NULL};
    static const char *const envelopes[] = {"classic", "modern", NULL};
    static const char *const ciphers[] = {"aes-256-cbc", "aes-192-cbc", "aes-128-cbc", NULL};
    static const char *const transports[] = {"rsaes-pkcs1-v1_5", NULL};
    static const char *const on_refusal[] = {"continue", "hangup", NULL};
    struct profile *profile = building->profile;
    const char *key = at->option->key;
    enum sealtape_status st;
    size_t choice = 0;

    if (strcmp(key, "tenant") == 0 || strcmp(key, "ccid") == 0
            || strcmp(key, "escrow-certificate") == 0)
        return SEALTAPE_OK; /* in their turn */
    if (strcmp(key, "mask-max") == 0)
        return set_mask_max(building, at);
    if (strcmp(key, "on-invalid-certificate") == 0) {
        st = set_choice(building, at, on_invalid, &choice);
        profile->refuse_on_invalid = choice == 1;
        return st;
    }
    if (strcmp(key, "envelope") == 0) {
        st = set_choice(building, at, envelopes, &choice);
        /* Never another one than was asked for. */
        if (st == SEALTAPE_OK && choice != 0)
            return fail(building, at, "classic; this version makes no modern envelopes");
        return st;
    }
    if (strcmp(key, "cipher") == 0) {
        st = set_choice(building, at, ciphers, &choice);
        profile->key_bits = 256 - 64 * (unsigned)choice;
        return st;
    }
    if (strcmp(key, "key-transport") == 0)
        return set_choice(building, at, transports, &choice);
    if (strcmp(key, "on-refusal") == 0) {
        st = set_choice(building, at, on_refusal, &choice);
        profile->on_refusal = choice == 0 ? PROFILE_CONTINUE : PROFILE_HANGUP;
        return st;
    }
    return fail(building, at,
            "one of on-invalid-certificate, envelope, cipher, key-transport, escrow-certificate, "
            "on-refusal, mask-max, tenant, ccid");
}

static enum sealtape_status set_destination(const struct building *building,
        const struct effective *at, bool folder, struct profile_destination *destination)
{
    const char *value = at->option->value, *comma = strchr(value, ',');
    bool fixed = strncmp(value, "fixed,", 6) == 0;
    struct diag reason = {""};
    struct url url;

    if (*value == '\0')
        return SEALTAPE_OK;
    if (!comma || (!fixed && strncmp(value, "default,", 8) != 0))
        return fail(building, at, "fixed,URL or default,URL");
    comma += 1 + strspn(comma + 1, " ");
    if (url_parse(comma, &url, &reason) != SEALTAPE_OK)
        return diag_fail(building->diag, SEALTAPE_E_CONFIG, "%s:%u: profile %u, option %s: %s",
                at->file, at->option->line, building->profile->dbid, at->option->key, reason.text);
    if (folder && strchr(comma, '?'))
        return fail(building, at, "a folder's URL, without a query");
    free(destination->url);
    destination->url = calloc(1, strlen(comma) + 2);
    if (!destination->url)
        return diag_fail(building->diag, SEALTAPE_E_MEMORY, "no memory");
    memcpy(destination->url, comma, strlen(comma));
    if (folder && comma[strlen(comma) - 1] != '/')
        destination->url[strlen(comma)] = '/';
    destination->fixed = fixed;
    return SEALTAPE_OK;
}

static enum sealtape_status apply_service(struct building *building, const struct effective *at)
{
    bool storage = strcmp(at->option->key, OPTION_STORAGE) == 0;
    struct profile *profile = building->profile;

    return set_destination(
            building, at, storage, storage ? &profile->storage : &profile->processor);
}

/* The turns of apply_all(): names that aliases need, certificates, the escrow certificate. */
enum turn { TURN_NAMES, TURN_OPTIONS, TURN_ESCROW };

static enum sealtape_status apply(
        struct building *building, const struct effective *at, enum turn turn)
{
    const struct annex_option *option = at->option;
    bool encryption = strcmp(option->section, SECTION_ENCRYPTION) == 0;

    if (turn == TURN_NAMES) {
        if (encryption && strcmp(option->key, "tenant") == 0)
            return set_text(building, at, &building->profile->tenant);
        if (encryption && strcmp(option->key, "ccid") == 0)
            return set_text(building, at, &building->profile->ccid);
        return SEALTAPE_OK;
    }
    if (turn == TURN_ESCROW)
        return encryption && strcmp(option->key, "escrow-certificate") == 0
                               && option->value[0] != '\0'
                       ? add_certificate(building, at, NULL)
                       : SEALTAPE_OK;
    if (encryption)
        return apply_encryption(building, at);
    return strcmp(option->section, SECTION_SERVICE) == 0 ? apply_service(building, at)
                                                         : apply_certificate(building, at);
}

static enum sealtape_status apply_all(struct building *building)
{
    for (enum turn turn = TURN_NAMES; turn <= TURN_ESCROW; turn++) {
        for (size_t i = 0; i < building->count; i++) {
            enum sealtape_status st = apply(building, &building->options[i], turn);

            if (st != SEALTAPE_OK)
                return st;
        }
    }
    return SEALTAPE_OK;
}

static enum sealtape_status set_identity(
        const struct building *building, const struct annex *overlay)
{
    const struct annex *annex = building->annex;
    struct profile *profile = building->profile;
    const char *name = overlay && overlay->name ? overlay->name : annex->name;
    char number[16];

    (void)snprintf(number, sizeof(number), "%u", annex->dbid);
    profile->dbid = annex->dbid;
    profile->line = annex->line;
    profile->enabled = overlay && overlay->has_state ? overlay->enabled : annex->enabled;
    profile->tenant_dbid =
            overlay && overlay->tenant_dbid ? overlay->tenant_dbid : annex->tenant_dbid;
    profile->key_bits = 256;
    profile->name = strdup(name ? name : number);
    profile->file = strdup(annex->file);
    profile->tenant = strdup("");
    profile->ccid = strdup("");
    profile->certificates = calloc(PROFILE_CERTIFICATES_MAX, sizeof(struct certificate *));
    if (!profile->name || !profile->file || !profile->tenant || !profile->ccid
            || !profile->certificates)
        return diag_fail(building->diag, SEALTAPE_E_MEMORY, "no memory");
    return SEALTAPE_OK;
}

enum sealtape_status shared_profile_new(const struct annex *annex, const struct annex *overlay,
        struct pool *pool, struct shared_profile **ret_profile, struct diag *diag)
{
    CLEANUP(shared_profile_release) struct shared_profile *shared = NULL;
    CLEANUP(building_clear) struct building building = {.pool = pool, .annex = annex, .diag = diag};
    enum sealtape_status st;

    shared = calloc(1, sizeof(*shared));
    if (!shared)
        return diag_fail(diag, SEALTAPE_E_MEMORY, "no memory");
    atomic_init(&shared->refs, 1);
    building.profile = &shared->profile;
    st = set_identity(&building, overlay);
    if (st == SEALTAPE_OK)
        st = merge_options(&building, overlay);
    if (st == SEALTAPE_OK)
        st = apply_all(&building);
    if (st != SEALTAPE_OK)
        return st;
    *ret_profile = TAKE(shared);
    return SEALTAPE_OK;
}

struct shared_profile *shared_profile_acquire(struct shared_profile *profile)
{
    atomic_fetch_add_explicit(&profile->refs, 1, memory_order_relaxed);
    return profile;
}

void shared_profile_release(struct shared_profile **profile)
{
    struct shared_profile *last = *profile;

    *profile = NULL;
    if (!last || atomic_fetch_sub_explicit(&last->refs, 1, memory_order_acq_rel) != 1)
        return;
    for (size_t i = 0; i < last->profile.certificates_count; i++)
        certificate_release(&last->profile.certificates[i]);
    free(last->profile.certificates);
    free(last->profile.name);
    free(last->profile.tenant);
    free(last->profile.ccid);
    free(last->profile.file);
    free(last->profile.storage.url);
    free(last->profile.processor.url);
    free(last);
}

const struct profile *shared_profile_get(const struct shared_profile *profile)
{
    return &profile->profile;
}
