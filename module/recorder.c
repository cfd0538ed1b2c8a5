#include "recorder.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/hex.h"
#include "base/log.h"
#include "base/random.h"
#include "delivery/transfer.h"
#include "profile/profile.h"
#include "profile/url.h"
#include "recording.h"
#include "request.h"
#include "seal/session.h"
#include "spool/document.h"
#include "spool/spool.h"

struct sealtape_recorder {
    struct recorder_host host;
    struct config *config;
    struct profile_directory *profiles;
    struct spool *spool;
    struct transfer *transfer;
    struct recording_table *recordings;
    _Atomic uint64_t opened, refused;
};

/* --- events --------------------------------------------------------------- */

static void tell(struct sealtape_recorder *recorder, struct sealtape_event *event)
{
    if (!recorder->host.event)
        return;
    event->struct_size = sizeof(*event);
    event->time_utc_ms = clock_utc_ms();
    recorder->host.event(recorder->host.context, event);
}

static void on_spool_event(void *context, enum sealtape_event_kind kind, struct media *media,
        uint64_t bytes, const char *text)
{
    struct sealtape_recorder *recorder = context;
    struct sealtape_event event = {.kind = kind, .bytes = bytes, .text = text};
    char sha256[65];

    if (media) {
        event.recording_id = entry_recording_id(media_entry(media));
        event.media_id = entry_media_id(media_entry(media));
        event.outcome = media_outcome(media);
    }
    if (kind == SEALTAPE_EVENT_SPOOLED) {
        media_sha256(media, sha256);
        event.sha256 = sha256;
    }
    if (kind == SEALTAPE_EVENT_DEGRADED)
        event.number = LOG_RECORDING_DEGRADED;
    if (kind == SEALTAPE_EVENT_SPOOLED) {
        event.number = LOG_RECORDING_CLOSED;
        log_line(SEALTAPE_LOG_INFO, LOG_RECORDING_CLOSED, event.recording_id,
                "%s, %llu bytes are durable in the spool", text, (unsigned long long)bytes);
    }
    if (kind == SEALTAPE_EVENT_DISCARDED) {
        event.number = LOG_RECORDING_DISCARDED;
        log_line(SEALTAPE_LOG_NOTICE, LOG_RECORDING_DISCARDED, event.recording_id, "discarded");
    }
    tell(recorder, &event);
}

static void on_transfer(void *context, enum sealtape_event_kind kind, struct entry *entry,
        const char *url, const char *text)
{
    struct sealtape_recorder *recorder = context;
    struct sealtape_event event = {.kind = kind, .url = url, .text = text};

    if (entry) {
        event.recording_id = entry_recording_id(entry);
        event.media_id = entry_media_id(entry);
        event.bytes = kind == SEALTAPE_EVENT_STORED ? entry_readable(entry) : 0;
    }
    tell(recorder, &event);
}

static void on_profiles(void *context, bool broken, const char *text)
{
    struct sealtape_recorder *recorder = context;
    struct sealtape_event event = {.kind = SEALTAPE_EVENT_PROFILES,
            .status = broken ? SEALTAPE_E_CONFIG : SEALTAPE_OK,
            .text = text};

    tell(recorder, &event);
}

static void on_offer(void *context, struct entry *entry)
{
    struct sealtape_recorder *recorder = context;

    transfer_offer(recorder->transfer, entry);
}

/* --- life ----------------------------------------------------------------- */

static enum sealtape_status start(
        struct sealtape_recorder *recorder, const char *config_path, struct diag *diag)
{
    const struct spool_listener listener = {
            .context = recorder, .offer = on_offer, .event = on_spool_event};
    enum sealtape_status st;

    st = config_load(config_path, &recorder->config, diag);
    if (st == SEALTAPE_OK && recorder->config->metrics_file)
        log_line(SEALTAPE_LOG_WARNING, LOG_METRICS_NOT_WRITTEN, NULL,
                "<metrics file=\"%s\"> is understood, but this version writes no metrics",
                recorder->config->metrics_file);
    if (st == SEALTAPE_OK)
        st = profile_directory_open(
                recorder->config, on_profiles, recorder, &recorder->profiles, diag);
    if (st == SEALTAPE_OK)
        st = transfer_start(recorder->config, on_transfer, recorder, &recorder->transfer, diag);
    if (st == SEALTAPE_OK)
        st = spool_open(recorder->config, &listener, &recorder->spool, diag);
    if (st == SEALTAPE_OK)
        st = recording_table_new(recorder->spool, &recorder->recordings, diag);
    return st;
}

enum sealtape_status recorder_create(const char *config_path, const struct recorder_host *host,
        struct sealtape_recorder **ret_recorder, struct diag *diag)
{
    struct sealtape_recorder *recorder = calloc(1, sizeof(*recorder));
    enum sealtape_status st;

    if (!recorder)
        return diag_fail(diag, SEALTAPE_E_MEMORY, "no memory for a recorder");
    recorder->host = *host;
    st = start(recorder, config_path, diag);
    if (st != SEALTAPE_OK) {
        recorder_destroy(&recorder, 0);
        return st;
    }
    *ret_recorder = recorder;
    return SEALTAPE_OK;
}

/* In the order of the data: what is still published reaches the disk, then the stores. */
void recorder_destroy(struct sealtape_recorder **recorder, uint32_t drain_ms)
{
    struct sealtape_recorder *r = TAKE(*recorder);

    if (!r)
        return;
    if (r->recordings)
        recording_close_all(r->recordings, "the recorder was shut down");
    spool_close(&r->spool);
    recording_table_free(&r->recordings);
    if (r->transfer)
        (void)transfer_drain(r->transfer, drain_ms);
    transfer_stop(&r->transfer);
    profile_directory_close(&r->profiles);
    config_free(&r->config);
    free(r);
}

enum sealtape_status recorder_reload(struct sealtape_recorder *recorder, struct diag *diag)
{
    transfer_retry_now(recorder->transfer);
    return profile_directory_reload(recorder->profiles, diag);
}

struct recording_table *recorder_recordings(struct sealtape_recorder *recorder)
{
    return recorder->recordings;
}

/* --- opening -------------------------------------------------------------- */

/* Everything that an open has in hand until the recording begins. */
struct opening {
    struct evidence *evidence;
    struct profile_snapshot *snapshot;
    const struct profile *profile;
    struct certificate **valid; /* borrowed from the snapshot */
    size_t valid_count;
    struct session *session;
    struct request request;
    char media_id[ENTRY_MEDIA_ID_SIZE];
    char id[33]; /* where the host gave none */
};

static void opening_clear(struct opening *opening)
{
    free(opening->valid);
    session_free(&opening->session);
    evidence_free(&opening->evidence);
    profile_snapshot_release(&opening->snapshot);
}

static enum sealtape_status find_profile(
        struct sealtape_recorder *recorder, struct opening *opening, struct diag *diag)
{
    const struct request *request = &opening->request;

    opening->snapshot = profile_directory_snapshot(recorder->profiles);
    opening->profile = request->dbid_text ? profile_find(opening->snapshot, request->dbid, diag)
                                          : profile_find_name(opening->snapshot,
                                                  request->tenant_dbid, request->profile, diag);
    return opening->profile ? SEALTAPE_OK : SEALTAPE_E_PROFILE;
}

/* Every certificate is looked at, at every open. One that is not valid is left out, or refuses
 * the recording, as the profile says; none valid always refuses. */
static enum sealtape_status choose_certificates(struct opening *opening, struct diag *diag)
{
    const struct profile *profile = opening->profile;
    struct trust *trust = profile_snapshot_trust(opening->snapshot);
    struct diag why = {.text = "it has none (section recording-certificates)"};
    int64_t now = clock_utc_ms();

    opening->valid = calloc(profile->certificates_count + 1, sizeof(*opening->valid));
    if (!opening->valid)
        return diag_fail(diag, SEALTAPE_E_MEMORY, "no memory for certificates");
    for (size_t i = 0; i < profile->certificates_count; i++) {
        struct certificate *certificate = profile->certificates[i];

        if (certificate_check(certificate, trust, now, NULL, &why) == SEALTAPE_OK) {
            opening->valid[opening->valid_count++] = certificate;
            continue;
        }
        if (profile->refuse_on_invalid)
            return diag_fail(diag, SEALTAPE_E_CERTIFICATE,
                    "profile %u: %s; on-invalid-certificate = refuse", profile->dbid, why.text);
        log_line(SEALTAPE_LOG_WARNING, LOG_RECIPIENT_LEFT_OUT, opening->request.id,
                "profile %u: not sealed for %s", profile->dbid, why.text);
    }
    if (opening->valid_count == 0)
        return diag_fail(diag, SEALTAPE_E_CERTIFICATE,
                "profile %u: no valid recording certificate: %s", profile->dbid, why.text);
    return SEALTAPE_OK;
}

/* An override must name an origin that is configured, so that it takes credentials nowhere. */
static enum sealtape_status check_override(const char *key, const char *url,
        const struct profile_destination *destination, const struct config_destination *configured,
        size_t count, struct diag *diag)
{
    struct url parsed, other;

    if (!destination->url || destination->fixed)
        return diag_fail(diag, SEALTAPE_E_USAGE,
                "parameter %s: only a profile with default,URL lets a host choose another", key);
    if (url_parse(url, &parsed, diag) != SEALTAPE_OK)
        return SEALTAPE_E_USAGE;
    for (size_t i = 0; i < count; i++) {
        if (url_parse(configured[i].url, &other, NULL) == SEALTAPE_OK
                && url_same_origin(&parsed, &other))
            return SEALTAPE_OK;
    }
    return diag_fail(diag, SEALTAPE_E_USAGE,
            "parameter %s: its scheme, host and port are not among the configured ones", key);
}

static enum sealtape_status add_url(char ***urls, size_t *count, const char *url, bool slash)
{
    char **grown = reallocarray(*urls, *count + 1, sizeof(*grown));
    size_t len = strlen(url);

    if (!grown)
        return SEALTAPE_E_MEMORY;
    *urls = grown;
    if (asprintf(&grown[*count], "%s%s", url, slash && (len == 0 || url[len - 1] != '/') ? "/" : "")
            < 0)
        return SEALTAPE_E_MEMORY;
    (*count)++;
    return SEALTAPE_OK;
}

struct route {
    const char *key, *override;
    const struct profile_destination *destination;
    const struct config_destination *configured;
    size_t configured_count;
    bool slash;
};

/* The profile's destination stands alone: a tenant's recordings go nowhere else. Without one,
 * all that are configured, in their order. */
static enum sealtape_status choose_route(
        const struct route *route, char ***urls, size_t *count, struct diag *diag)
{
    const char *only = route->destination->url;
    enum sealtape_status st = SEALTAPE_OK;

    if (route->override) {
        st = check_override(route->key, route->override, route->destination, route->configured,
                route->configured_count, diag);
        if (st != SEALTAPE_OK)
            return st;
        only = route->override;
    }
    if (only)
        st = add_url(urls, count, only, route->slash);
    for (size_t i = 0; !only && st == SEALTAPE_OK && i < route->configured_count; i++)
        st = add_url(urls, count, route->configured[i].url, route->slash);
    if (st != SEALTAPE_OK)
        return diag_fail(diag, st, "no memory for destinations");
    return SEALTAPE_OK;
}

static enum sealtape_status choose_routes(
        struct sealtape_recorder *recorder, struct opening *opening, struct diag *diag)
{
    const struct config *config = recorder->config;
    const struct route storage = {.key = "storage",
            .override = opening->request.storage,
            .destination = &opening->profile->storage,
            .configured = config->storages,
            .configured_count = config->storages_count,
            .slash = true};
    const struct route processor = {.key = "processor",
            .override = opening->request.processor,
            .destination = &opening->profile->processor,
            .configured = config->processors,
            .configured_count = config->processors_count};
    struct evidence *evidence = opening->evidence;
    enum sealtape_status st;

    evidence->own_storage = storage.override || storage.destination->url;
    evidence->own_processor = processor.override || processor.destination->url;
    st = choose_route(&storage, &evidence->storages, &evidence->storages_count, diag);
    if (st == SEALTAPE_OK)
        st = choose_route(&processor, &evidence->processors, &evidence->processors_count, diag);
    return st;
}

/* The contact centre: what the host or the profile says, else the path of the processor's URL
 * (.../contact-centers/{ccid}/recordings). */
static enum sealtape_status set_ccid(struct opening *opening)
{
    static const char mark[] = "/contact-centers/";
    const char *given = opening->request.ccid, *found;
    char ccid[128];
    size_t len;

    if (!given && opening->profile->ccid[0])
        given = opening->profile->ccid;
    if (given)
        return evidence_set_text(opening->evidence, EVIDENCE_CCID, given);
    found = strstr(opening->evidence->processors[0], mark);
    if (!found)
        return SEALTAPE_OK;
    found += sizeof(mark) - 1;
    len = strcspn(found, "/?");
    if (len == 0 || len >= sizeof(ccid))
        return SEALTAPE_OK;
    memcpy(ccid, found, len);
    ccid[len] = '\0';
    return evidence_set_text(opening->evidence, EVIDENCE_CCID, ccid);
}

static enum sealtape_status set_texts(struct sealtape_recorder *recorder, struct opening *opening)
{
    const struct request *request = &opening->request;
    const char *tenant = request->tenant ? request->tenant : opening->profile->tenant;
    const struct {
        enum evidence_text which;
        const char *text;
    } texts[] = {
            {EVIDENCE_RECORDING_ID, request->id},
            {EVIDENCE_MEDIA_ID, opening->media_id},
            {EVIDENCE_TENANT, tenant[0] ? tenant : NULL},
            {EVIDENCE_PROFILE, opening->profile->name},
            {EVIDENCE_CALL_UUID, request->call_uuid},
            {EVIDENCE_ANI, request->ani},
            {EVIDENCE_DNIS, request->dnis},
            {EVIDENCE_TYPE, request->type},
            {EVIDENCE_INSTANCE, recorder->config->instance},
    };

    for (size_t i = 0; i < ARRAY_COUNT(texts); i++) {
        if (!texts[i].text)
            continue;
        if (evidence_set_text(opening->evidence, texts[i].which, texts[i].text) != SEALTAPE_OK)
            return SEALTAPE_E_MEMORY;
    }
    return set_ccid(opening);
}

static enum sealtape_status choose_names(struct opening *opening, struct diag *diag)
{
    struct request *request = &opening->request;
    unsigned char random[16];
    enum sealtape_status st;

    st = random_nonce(random, sizeof(random));
    if (st == SEALTAPE_OK)
        hex_encode(random, sizeof(random), opening->evidence->salt);
    if (st == SEALTAPE_OK && !request->id) {
        st = random_nonce(random, sizeof(random));
        hex_encode(random, sizeof(random), opening->id);
        request->id = opening->id;
    }
    if (!request->type)
        request->type = "application/octet-stream";
    if (st == SEALTAPE_OK)
        st = request_media_id(request->id, request->type, opening->media_id);
    if (st != SEALTAPE_OK)
        return diag_fail(diag, st, "the random number generator failed");
    return SEALTAPE_OK;
}

static enum sealtape_status take_recipients(struct opening *opening)
{
    struct evidence *evidence = opening->evidence;
    struct session *session = opening->session;

    evidence->recipients = calloc(opening->valid_count, sizeof(*evidence->recipients));
    if (!evidence->recipients)
        return SEALTAPE_E_MEMORY;
    for (size_t i = 0; i < opening->valid_count; i++) {
        evidence->recipients[i] = (struct evidence_recipient){
                .certificate = certificate_acquire(opening->valid[i]),
                .encrypted_key = TAKE(session->encrypted_keys[i]),
                .encrypted_key_len = session->encrypted_key_lens[i],
        };
        evidence->recipients_count++;
    }
    memcpy(evidence->iv, session->iv, sizeof(evidence->iv));
    strcpy(evidence->key_commitment, session->key_commitment);
    return SEALTAPE_OK;
}

static enum sealtape_status fill_evidence(
        struct sealtape_recorder *recorder, struct opening *opening, struct diag *diag)
{
    struct evidence *evidence = opening->evidence;
    enum sealtape_status st;

    evidence->profile_dbid = opening->profile->dbid;
    evidence->tenant_dbid = opening->profile->tenant_dbid;
    evidence->key_bits = opening->profile->key_bits;
    evidence->byte_rate = opening->request.byte_rate;
    evidence->start_utc_ms = clock_utc_ms();
    evidence->start_ns = clock_monotonic_ns();
    st = set_texts(recorder, opening);
    if (st == SEALTAPE_OK)
        st = take_recipients(opening);
    if (st != SEALTAPE_OK)
        return diag_fail(diag, st, "no memory for a recording");
    return SEALTAPE_OK;
}

static enum sealtape_status open_recording(struct sealtape_recorder *recorder,
        struct opening *opening, const struct sealtape_param *params, size_t count,
        sealtape_recording *ret_recording, struct diag *diag)
{
    enum sealtape_status st;

    st = evidence_new(&opening->evidence);
    if (st != SEALTAPE_OK)
        return diag_fail(diag, st, "no memory for a recording");
    st = request_read(params, count, opening->evidence, &opening->request, diag);
    if (st == SEALTAPE_OK)
        st = find_profile(recorder, opening, diag);
    if (st == SEALTAPE_OK)
        st = spool_ready(recorder->spool, diag);
    if (st == SEALTAPE_OK)
        st = choose_certificates(opening, diag);
    if (st == SEALTAPE_OK)
        st = choose_routes(recorder, opening, diag);
    if (st == SEALTAPE_OK)
        st = choose_names(opening, diag);
    if (st == SEALTAPE_OK)
        st = session_new(opening->profile->key_bits, opening->valid, opening->valid_count,
                &opening->session, diag);
    if (st == SEALTAPE_OK)
        st = fill_evidence(recorder, opening, diag);
    if (st == SEALTAPE_OK)
        st = recording_begin(recorder->recordings, opening->evidence, &opening->session->cipher,
                opening->request.format, ret_recording, diag);
    if (st == SEALTAPE_OK)
        opening->evidence = NULL; /* taken */
    return st;
}

static void tell_opened(struct sealtape_recorder *recorder, const struct opening *opening)
{
    struct sealtape_event event = {.kind = SEALTAPE_EVENT_OPENED,
            .number = LOG_RECORDING_OPENED,
            .recording_id = opening->request.id,
            .media_id = opening->media_id};

    atomic_fetch_add(&recorder->opened, 1);
    log_line(SEALTAPE_LOG_INFO, LOG_RECORDING_OPENED, opening->request.id,
            "profile %u, %zu recipients, %s", opening->profile->dbid, opening->valid_count,
            opening->media_id);
    tell(recorder, &event);
}

static void tell_refused(struct sealtape_recorder *recorder, const struct opening *opening,
        enum sealtape_status status, const struct diag *diag)
{
    struct sealtape_event event = {.kind = SEALTAPE_EVENT_REFUSED,
            .number = LOG_RECORDING_REFUSED,
            .status = status,
            .recording_id = opening->request.id,
            .text = diag->text};

    atomic_fetch_add(&recorder->refused, 1);
    log_line(SEALTAPE_LOG_ERROR, LOG_RECORDING_REFUSED, opening->request.id, "refused: %s",
            diag->text);
    tell(recorder, &event);
}

enum sealtape_status recorder_open(struct sealtape_recorder *recorder,
        const struct sealtape_param *params, size_t count, sealtape_recording *ret_recording,
        struct diag *diag)
{
    CLEANUP(opening_clear) struct opening opening = {0};
    enum sealtape_status st;

    st = open_recording(recorder, &opening, params, count, ret_recording, diag);
    if (st == SEALTAPE_OK)
        tell_opened(recorder, &opening);
    else
        tell_refused(recorder, &opening, st, diag);
    return st;
}

/* --- the rest ------------------------------------------------------------- */

enum sealtape_status recorder_discard(struct sealtape_recorder *recorder, const char *recording_id)
{
    sealtape_recording recording;

    if (recording_find(recorder->recordings, recording_id, &recording) == SEALTAPE_OK)
        return recording_discard(recorder->recordings, recording);
    return transfer_discard(recorder->transfer, recording_id);
}

void recorder_stats(struct sealtape_recorder *recorder, struct sealtape_stats *stats)
{
    struct transfer_stats transfer;
    struct spool_stats spool;
    uint32_t running = recording_count(recorder->recordings);

    transfer_stats(recorder->transfer, &transfer);
    spool_stats(recorder->spool, &spool);
    *stats = (struct sealtape_stats){
            .struct_size = stats->struct_size,
            .recording = running,
            /* Ended ones that have not reached closed/ are owed too. */
            .undelivered = transfer.waiting
                           + (spool.recordings > running ? spool.recordings - running : 0),
            .failed = transfer.failed,
            .opened = atomic_load(&recorder->opened),
            .refused = atomic_load(&recorder->refused),
            .stored = transfer.stored,
            .posted = transfer.posted,
            .accepted_bytes = recording_accepted_bytes(recorder->recordings),
            .spooled_bytes = spool.spooled_bytes,
            .stored_bytes = transfer.stored_bytes,
            .lost_bytes = recording_lost_bytes(recorder->recordings),
            .memory_bytes = spool.memory_bytes,
            .memory_max_bytes = spool.memory_max_bytes,
            .unflushed_age_ms = spool.unflushed_age_ms,
    };
}
