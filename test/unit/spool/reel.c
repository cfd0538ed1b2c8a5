#include "reel.h"

#include <fcntl.h>
#include <ftw.h>
#include <gnutls/gnutls.h>
#include <jansson.h>
#include <nettle/aes.h>
#include <nettle/cbc.h>
#include <nettle/sha2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/hex.h"
#include "seal/envelope.h"
#include "spool/document.h"

/* Also used in child processes of tests: what goes wrong there must be seen here. */
#define require(condition)                                                                         \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition);                        \
            abort();                                                                               \
        }                                                                                          \
    } while (0)

void reel_directory(char ret_path[REEL_NAME_SIZE])
{
    const char *base = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp";

    (void)snprintf(ret_path, REEL_NAME_SIZE, "%s/sealtape-reel-XXXXXX", base);
    require(mkdtemp(ret_path));
}

static int remove_one(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
    (void)st;
    (void)flag;
    (void)ftw;
    return remove(path);
}

void reel_remove(const char *path)
{
    (void)nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

void reel_stand_open(struct reel_stand *stand)
{
    memset(stand, 0, sizeof(*stand));
    reel_directory(stand->directory);
    require(folder_open(stand->directory, "test", &stand->folder, NULL) == SEALTAPE_OK);
    require(memory_new(1 << 20, &stand->memory, NULL) == SEALTAPE_OK);
    stand->reel = calloc(1, sizeof(*stand->reel));
    require(stand->reel);
    reel_new(stand->reel, "one", stand->folder, stand->memory);
}

void reel_stand_close(struct reel_stand *stand)
{
    reel_free(stand->reel);
    free(stand->reel);
    require(memory_used(stand->memory) == 0);
    memory_free(&stand->memory);
    folder_release(&stand->folder);
    reel_remove(stand->directory);
}

void reel_media_id(const char *id, char ret_media_id[REEL_NAME_SIZE])
{
    (void)snprintf(ret_media_id, REEL_NAME_SIZE, "%s-0123456789abcdef.wav", id);
}

static uint32_t seed_of(const char *media_id)
{
    uint32_t seed = 2166136261u;

    while (*media_id)
        seed = (seed ^ (uint8_t)*media_id++) * 16777619u;
    return seed;
}

uint8_t reel_byte(const char *media_id, uint64_t offset)
{
    uint64_t x = (offset / 4 + seed_of(media_id)) * 0x9e3779b97f4a7c15u;

    return (uint8_t)(x >> (32 + 8 * (offset % 4)));
}

void reel_key(const char *media_id, uint8_t ret_key[32], uint8_t ret_iv[16])
{
    for (size_t i = 0; i < 32; i++)
        ret_key[i] = (uint8_t)(reel_byte(media_id, 1000 + i) + i);
    for (size_t i = 0; i < 16; i++)
        ret_iv[i] = (uint8_t)(reel_byte(media_id, 2000 + i) ^ 0x5a);
}

static char *copied(const char *text)
{
    char *copy = strdup(text);

    require(copy);
    return copy;
}

static struct certificate *make_certificate(void)
{
    struct certificate_source source = {.tenant = "Acme", .tenant_dbid = 101};
    struct certificate *certificate = NULL;
    gnutls_datum_t pem, der;
    char *text = NULL;
    size_t len = 0;

    require(file_read(AT_FDCWD, VECTORS "/unseal/certificate.pem", 65536, &text, &len, NULL)
            == SEALTAPE_OK);
    pem = (gnutls_datum_t){(unsigned char *)text, (unsigned)len};
    require(gnutls_pem_base64_decode2("CERTIFICATE", &pem, &der) == 0);
    source.leaf = (struct certificate_der){der.data, der.size};
    require(certificate_new(&source, &certificate, NULL) == SEALTAPE_OK);
    gnutls_free(der.data);
    free(text);
    return certificate;
}

static void add_recipient(struct evidence *evidence)
{
    struct evidence_recipient *recipient = calloc(1, sizeof(*recipient));

    require(recipient);
    recipient->certificate = make_certificate();
    recipient->encrypted_key_len = certificate_facts(recipient->certificate)->modulus_len;
    recipient->encrypted_key = calloc(1, recipient->encrypted_key_len);
    require(recipient->encrypted_key);
    recipient->encrypted_key[0] = 1;
    evidence->recipients = recipient;
    evidence->recipients_count = 1;
}

struct evidence *reel_evidence(const char *id)
{
    static const struct {
        enum evidence_text which;
        const char *text;
    } texts[] = {{EVIDENCE_CCID, "acme"}, {EVIDENCE_TENANT, "Acme"}, {EVIDENCE_PROFILE, "record"},
            {EVIDENCE_CALL_UUID, "CALL-1"}, {EVIDENCE_ANI, "+14155550100"},
            {EVIDENCE_DNIS, "+14155550199"}, {EVIDENCE_TYPE, "audio/wav"},
            {EVIDENCE_INSTANCE, "test"}};
    char media_id[REEL_NAME_SIZE];
    struct evidence *evidence = NULL;
    uint8_t key[32];

    reel_media_id(id, media_id);
    require(evidence_new(&evidence) == SEALTAPE_OK);
    evidence->profile_dbid = 107;
    evidence->tenant_dbid = 101;
    evidence->start_utc_ms = clock_utc_ms();
    evidence->start_ns = clock_monotonic_ns();
    evidence->byte_rate = 16000;
    evidence->key_bits = 256;
    reel_key(media_id, key, evidence->iv);
    memset(evidence->key_commitment, 'c', 64);
    memset(evidence->salt, '5', 32);
    evidence->storages = calloc(1, sizeof(char *));
    evidence->processors = calloc(1, sizeof(char *));
    require(evidence->storages && evidence->processors);
    evidence->storages[0] = copied("https://store.example/recordings/");
    evidence->processors[0] = copied("https://rp.example/api");
    evidence->storages_count = evidence->processors_count = 1;
    evidence->own_storage = evidence->own_processor = true;
    require(evidence_set_text(evidence, EVIDENCE_RECORDING_ID, id) == SEALTAPE_OK);
    require(evidence_set_text(evidence, EVIDENCE_MEDIA_ID, media_id) == SEALTAPE_OK);
    for (size_t i = 0; i < ARRAY_COUNT(texts); i++)
        require(evidence_set_text(evidence, texts[i].which, texts[i].text) == SEALTAPE_OK);
    add_recipient(evidence);
    return evidence;
}

/* --- recording ------------------------------------------------------------ */

static void make_cipher(struct reel *reel, const char *id, uint8_t ret_closing[CIPHER_BLOCK_SIZE])
{
    uint8_t key[32], iv[16];

    memset(reel, 0, sizeof(*reel));
    reel_media_id(id, reel->media_id);
    reel_key(reel->media_id, key, iv);
    require(cipher_new(256, key, iv, &reel->cipher, NULL) == SEALTAPE_OK);
    cipher_closing(reel->cipher, ret_closing);
}

void reel_new(struct reel *reel, const char *id, struct folder *folder, struct memory *memory)
{
    uint8_t closing[CIPHER_BLOCK_SIZE];

    make_cipher(reel, id, closing);
    require(media_new(folder, memory, reel_evidence(id), closing, &reel->media, NULL)
            == SEALTAPE_OK);
    reel->feed = media_feed(reel->media);
}

void reel_begin(struct reel *reel, const char *id, struct spool *spool)
{
    uint8_t closing[CIPHER_BLOCK_SIZE];
    struct media *media = NULL;

    make_cipher(reel, id, closing);
    require(spool_begin(spool, reel_evidence(id), closing, &media, NULL) == SEALTAPE_OK);
    reel->media = media_acquire(media);
    reel->feed = media_feed(reel->media);
}

bool reel_write(struct reel *reel, size_t len)
{
    size_t output = cipher_output_size(reel->cipher, len), room, left = len;
    struct feed_point *point = &reel->feed->point;

    if (feed_reserve(reel->feed, output) != SEALTAPE_OK) {
        point->lost_bytes += len;
        feed_publish(reel->feed);
        return false;
    }
    while (left > 0) {
        uint8_t bytes[4096], *to = NULL, dummy[16];
        size_t n = left < sizeof(bytes) ? left : sizeof(bytes);

        room = sizeof(dummy);
        if (cipher_output_size(reel->cipher, n) > 0)
            to = feed_room(reel->feed, &room);
        if (to && cipher_output_size(reel->cipher, n) > room)
            n = cipher_input_size(reel->cipher, room);
        for (size_t i = 0; i < n; i++)
            bytes[i] = reel_byte(reel->media_id, reel->accepted + i);
        output = cipher_output_size(reel->cipher, n);
        cipher_update(reel->cipher, bytes, n, to ? to : dummy);
        feed_fill(reel->feed, output);
        reel->accepted += n;
        left -= n;
    }
    point->plain_size = reel->accepted;
    point->audio_ns = clock_monotonic_ns();
    cipher_closing(reel->cipher, point->closing);
    feed_publish(reel->feed);
    return true;
}

void reel_mark(struct reel *reel, enum feed_mark_kind kind)
{
    bool begins = kind == FEED_MASK || kind == FEED_PAUSE;
    const struct feed_mark mark = {
            .kind = kind, .plain_size = reel->accepted, .ns = clock_monotonic_ns()};
    enum sealtape_status st;

    /* A host that finds no memory tries again. */
    do {
        st = evidence_add_mark(media_evidence(reel->media),
                begins ? EVIDENCE_PAUSED : EVIDENCE_RESUMED, clock_utc_ms());
    } while (st == SEALTAPE_E_MEMORY);
    require(st == SEALTAPE_OK);
    require(feed_can_mark(reel->feed, 1));
    feed_put_mark(reel->feed, &mark);
}

void reel_end(struct reel *reel)
{
    cipher_free(&reel->cipher);
    reel->feed->point.ended = true;
    feed_publish(reel->feed);
}

void reel_free(struct reel *reel)
{
    if (reel->cipher)
        cipher_free(&reel->cipher);
    media_release(&reel->media);
}

/* --- looking -------------------------------------------------------------- */

static void complain(struct reel_state *state, const char *what)
{
    if (!state->problem[0])
        (void)snprintf(state->problem, sizeof(state->problem), "%s/: %s",
                entry_state_name(state->state), what);
}

/* Decrypt, check padding and audio. */
static void look_at_message(
        const char *media_id, uint8_t *bytes, size_t len, struct reel_state *state)
{
    struct aes256_ctx aes;
    uint8_t key[32], iv[16], padding;

    state->stored_size = len;
    if (len == 0 || len % 16 != 0) {
        complain(state, "the message is no whole number of blocks");
        return;
    }
    reel_key(media_id, key, iv);
    aes256_set_decrypt_key(&aes, key);
    cbc_decrypt(
            &aes, (nettle_cipher_func *)aes256_decrypt, CIPHER_BLOCK_SIZE, iv, len, bytes, bytes);
    padding = bytes[len - 1];
    if (padding < 1 || padding > 16) {
        complain(state, "the padding is wrong");
        return;
    }
    for (size_t i = 1; i <= padding; i++) {
        if (bytes[len - i] != padding)
            complain(state, "the padding is wrong");
    }
    state->plain_size = len - padding;
    for (size_t i = 0; i < state->plain_size && !state->altered; i++)
        state->altered = bytes[i] != reel_byte(media_id, i);
}

static bool look_at_envelope(const char *pem, const char *media_id)
{
    gnutls_datum_t text = {(unsigned char *)copied(pem), (unsigned)strlen(pem)}, der;
    struct envelope *envelope = NULL;
    uint8_t key[32], iv[16];
    bool good = false;

    if (gnutls_pem_base64_decode2("PKCS7", &text, &der) == 0) {
        reel_key(media_id, key, iv);
        good = envelope_decode(der.data, der.size, der.size, &envelope, NULL) == SEALTAPE_OK
               && memcmp(envelope->iv, iv, 16) == 0 && envelope->recipients_count == 1;
        gnutls_free(der.data);
    }
    envelope_free(&envelope);
    free(text.data);
    return good;
}

static void look_at_final(json_t *media, const char *sha256, struct reel_state *state)
{
    json_t *x = json_object_get(media, "sealtape");
    const char *size = json_string_value(json_object_get(media, "size"));
    const char *stated = json_string_value(json_object_get(x, "sha256"));

    if (!size || strtoull(size, NULL, 10) != state->stored_size)
        complain(state, "the document states another size");
    if (!stated || strcmp(stated, sha256) != 0)
        complain(state, "the document states another digest");
    if ((uint64_t)json_integer_value(json_object_get(x, "plainSize")) != state->plain_size)
        complain(state, "the document states another plain size");
    if (json_array_size(json_object_get(x, "chunkDigests"))
            != (state->stored_size + DOCUMENT_CHUNK_SIZE - 1) / DOCUMENT_CHUNK_SIZE)
        complain(state, "the document states another number of chunks");
}

static void look_at_document(const char *text, size_t len, const char *media_id, const char *sha256,
        struct reel_state *state)
{
    json_t *root = json_loadb(text, len, JSON_REJECT_DUPLICATES, NULL), *media, *x, *item;
    const char *outcome, *pem;
    size_t i;

    media = json_array_get(json_object_get(root, "mediaFiles"), 0);
    x = json_object_get(media, "sealtape");
    outcome = json_string_value(json_object_get(x, "outcome"));
    pem = json_string_value(json_object_get(media, "pkcs7"));
    if (!root || !x)
        complain(state, "the document does not parse");
    (void)snprintf(state->outcome, sizeof(state->outcome), "%s", outcome ? outcome : "");
    state->masks = (unsigned)json_array_size(json_object_get(media, "masks"));
    state->spans = (unsigned)json_array_size(json_object_get(x, "masked"));
    state->gaps = (unsigned)json_array_size(json_object_get(x, "gaps"));
    state->sequence = (uint64_t)json_integer_value(json_object_get(x, "sequence"));
    json_array_foreach(json_object_get(x, "gaps"), i, item) state->gap_bytes +=
            (uint64_t)json_integer_value(json_object_get(item, "bytes"));
    if (strcmp(state->outcome, "discarded") == 0)
        state->problem[0] = '\0';
    else if (!pem || !look_at_envelope(pem, media_id))
        complain(state, "the envelope is damaged");
    else if (outcome)
        look_at_final(media, sha256, state);
    else if (state->state != ENTRY_RECORDING)
        complain(state, "closed without an outcome");
    json_decref(root);
}

static void look_inside(int directory, const char *media_id, struct reel_state *state)
{
    char name[REEL_NAME_SIZE + 16], hex[65] = "", *bytes = NULL;
    uint8_t sha256[SHA256_DIGEST_SIZE];
    struct sha256_ctx ctx;
    size_t len = 0;

    (void)snprintf(name, sizeof(name), "%s.bin", media_id);
    if (file_read(directory, name, 1u << 30, &bytes, &len, NULL) != SEALTAPE_OK) {
        complain(state, ".bin is missing");
    } else {
        sha256_init(&ctx);
        sha256_update(&ctx, len, (uint8_t *)bytes);
        sha256_digest(&ctx, sizeof(sha256), sha256);
        hex_encode(sha256, sizeof(sha256), hex);
        look_at_message(media_id, (uint8_t *)bytes, len, state);
        free(bytes);
    }
    (void)snprintf(name, sizeof(name), "%s.json", media_id);
    if (file_read(directory, name, DOCUMENT_MAX, &bytes, &len, NULL) != SEALTAPE_OK) {
        complain(state, "the document is missing");
        return;
    }
    look_at_document(bytes, len, media_id, hex, state);
    free(bytes);
}

bool reel_look(const char *folder_path, const char *media_id, struct reel_state *ret_state)
{
    unsigned found = 0;

    memset(ret_state, 0, sizeof(*ret_state));
    for (int s = ENTRY_RECORDING; s <= ENTRY_FAILED; s++) {
        char path[512];
        int directory;

        (void)snprintf(path, sizeof(path), "%s/%s/%s", folder_path,
                entry_state_name((enum entry_state)s), media_id);
        directory = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (directory < 0)
            continue;
        found++;
        ret_state->state = (enum entry_state)s;
        look_inside(directory, media_id, ret_state);
        close(directory);
    }
    if (found > 1)
        complain(ret_state, "it stands in two states");
    return found > 0;
}
