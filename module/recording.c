#include "recording.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"

/*
 * The word of a slot:  63..32 generation | 4 closing | 3 busy | 2..0 state
 *
 * busy: a write is under way. closing: it was closed or discarded meanwhile;
 * that write ends the message on its way out.
 */
#define WORD_STATE UINT64_C(7)
#define WORD_BUSY UINT64_C(8)
#define WORD_CLOSING UINT64_C(16)

struct recording {
    _Alignas(64) _Atomic uint64_t word;

    /* The writing thread's, whoever that is at the time. */
    struct cipher *cipher;
    struct feed *feed;
    enum recording_format format;
    bool masked, paused; /* as the marks say */
    uint64_t gap_bytes, gap_at, gap_ns;

    /* Guards what follows, and keeps @media from ending under a control call. */
    pthread_mutex_t lock;
    struct media *media;
};

/* Silence is sealed in stretches of this size, bytes. */
#define SILENCE_SIZE 4096u

struct recording_table {
    struct spool *spool;
    struct recording *slots;
    uint8_t silence[4][SILENCE_SIZE]; /* by format; opaque media has none */
    _Alignas(64) _Atomic uint64_t accepted_bytes;
    _Atomic uint64_t lost_bytes;
    _Alignas(64) _Atomic uint32_t count;

    /* Guards what follows. */
    pthread_mutex_t lock;
    uint32_t used; /* slots that were ever taken */
    uint32_t hint;
};

/* --- the state table ------------------------------------------------------ */

#define OK(next)                                                                                   \
    {                                                                                              \
        SEALTAPE_OK, RECORDING_##next                                                              \
    }
#define NO(status, same)                                                                           \
    {                                                                                              \
        SEALTAPE_E_##status, RECORDING_##same                                                      \
    }

static const struct recording_cell cells[RECORDING_STATES][RECORDING_CALLS] = {
        /*                         write               pause              resume
         *                         mask                unmask             set
         *                         close */
        [RECORDING_DEAD] = {NO(STATE, DEAD), NO(STATE, DEAD), NO(STATE, DEAD), NO(STATE, DEAD),
                NO(STATE, DEAD), NO(STATE, DEAD), NO(STATE, DEAD)},
        [RECORDING_RUNNING] = {OK(RUNNING), OK(PAUSED), NO(STATE, RUNNING), OK(MASKED),
                NO(STATE, RUNNING), OK(RUNNING), OK(DEAD)},
        [RECORDING_PAUSED] = {OK(PAUSED), OK(PAUSED), OK(RUNNING), OK(PAUSED_MASKED),
                NO(STATE, PAUSED), OK(PAUSED), OK(DEAD)},
        [RECORDING_MASKED] = {OK(MASKED), OK(PAUSED_MASKED), NO(STATE, MASKED), OK(MASKED),
                OK(RUNNING), OK(MASKED), OK(DEAD)},
        [RECORDING_PAUSED_MASKED] = {OK(PAUSED_MASKED), OK(PAUSED_MASKED), OK(MASKED),
                OK(PAUSED_MASKED), OK(PAUSED), OK(PAUSED_MASKED), OK(DEAD)},
        [RECORDING_ENDED] = {NO(CLOSED, ENDED), NO(CLOSED, ENDED), NO(CLOSED, ENDED),
                NO(CLOSED, ENDED), NO(CLOSED, ENDED), NO(CLOSED, ENDED), OK(DEAD)},
};

const struct recording_cell *recording_cell(enum recording_state state, enum recording_call call)
{
    return &cells[state][call];
}

/* --- handles -------------------------------------------------------------- */

static enum recording_state state_of(uint64_t word)
{
    return (enum recording_state)(word & WORD_STATE);
}

static uint64_t with_state(uint64_t word, enum recording_state state)
{
    return (word & ~WORD_STATE) | (uint64_t)state;
}

static struct recording *slot_of(const struct recording_table *table, sealtape_recording recording)
{
    uint32_t index = (uint32_t)recording;

    return index < RECORDING_MAX ? &table->slots[index] : NULL;
}

static bool is_of(uint64_t word, sealtape_recording recording)
{
    return word >> 32 == recording >> 32;
}

/* --- table ---------------------------------------------------------------- */

enum sealtape_status recording_table_new(
        struct spool *spool, struct recording_table **ret_table, struct diag *diag)
{
    struct recording_table *table = aligned_alloc(64, sizeof(*table));

    if (table)
        memset(table, 0, sizeof(*table));
    /* Untouched slots cost no memory: calloc of this size is fresh pages. */
    if (table)
        table->slots = calloc(RECORDING_MAX + 1, sizeof(*table->slots));
    if (!table || !table->slots) {
        free(table);
        return diag_fail(diag, SEALTAPE_E_MEMORY, "no memory for the table of recordings");
    }
    table->spool = spool;
    memset(table->silence[RECORDING_ULAW], 0xff, SILENCE_SIZE);
    memset(table->silence[RECORDING_ALAW], 0xd5, SILENCE_SIZE);
    pthread_mutex_init(&table->lock, NULL);
    *ret_table = table;
    return SEALTAPE_OK;
}

void recording_table_free(struct recording_table **table)
{
    struct recording_table *t = TAKE(*table);

    if (!t)
        return;
    for (uint32_t i = 0; i < t->used; i++)
        pthread_mutex_destroy(&t->slots[i].lock);
    pthread_mutex_destroy(&t->lock);
    free(t->slots);
    free(t);
}

static bool is_free(const struct recording *slot)
{
    uint64_t word = atomic_load_explicit(&slot->word, memory_order_acquire);

    return state_of(word) == RECORDING_DEAD && !(word & (WORD_BUSY | WORD_CLOSING));
}

/* Called with the table's lock. A slot that was used before, else a fresh one. */
static struct recording *take_slot(struct recording_table *table)
{
    for (uint32_t tried = 0; tried < table->used; tried++) {
        uint32_t at = table->hint++ % table->used;

        if (is_free(&table->slots[at]))
            return &table->slots[at];
    }
    if (table->used == RECORDING_MAX)
        return NULL;
    pthread_mutex_init(&table->slots[table->used].lock, NULL);
    return &table->slots[table->used++];
}

static enum sealtape_status begin(struct recording_table *table, struct evidence *evidence,
        struct cipher **cipher, enum recording_format format, sealtape_recording *ret_recording,
        struct diag *diag)
{
    uint8_t closing[CIPHER_BLOCK_SIZE];
    struct recording *slot;
    enum sealtape_status st;
    struct media *media;
    uint64_t word;

    slot = take_slot(table);
    if (!slot)
        return diag_fail(
                diag, SEALTAPE_E_LIMIT, "%u recordings run already; no more can", RECORDING_MAX);
    cipher_closing(*cipher, closing);
    st = spool_begin(table->spool, evidence, closing, &media, diag);
    if (st != SEALTAPE_OK)
        return st;
    pthread_mutex_lock(&slot->lock);
    slot->media = media;
    pthread_mutex_unlock(&slot->lock);
    slot->feed = media_feed(media);
    slot->cipher = TAKE(*cipher);
    slot->format = format;
    slot->masked = slot->paused = false;
    slot->gap_bytes = 0;
    word = atomic_load(&slot->word) >> 32;
    word = (uint64_t)(uint32_t)(word + 1 ? word + 1 : 1) << 32;
    *ret_recording = word | (uint64_t)(slot - table->slots);
    atomic_store_explicit(&slot->word, with_state(word, RECORDING_RUNNING), memory_order_release);
    atomic_fetch_add(&table->count, 1);
    return SEALTAPE_OK;
}

enum sealtape_status recording_begin(struct recording_table *table, struct evidence *evidence,
        struct cipher **cipher, enum recording_format format, sealtape_recording *ret_recording,
        struct diag *diag)
{
    enum sealtape_status st;

    pthread_mutex_lock(&table->lock);
    st = begin(table, evidence, cipher, format, ret_recording, diag);
    pthread_mutex_unlock(&table->lock);
    return st;
}

/* --- the media path ------------------------------------------------------- */

static void put_mark(struct recording *slot, enum feed_mark_kind kind, uint64_t now_ns)
{
    const struct feed_point *point = &slot->feed->point;
    const struct feed_mark mark = {.kind = kind,
            .plain_size = point->plain_size,
            .header_bytes = point->header_bytes,
            .ns = now_ns};

    feed_put_mark(slot->feed, &mark);
}

/* What was lost until now becomes a mark, once something is taken again. */
static void tell_gap(struct recording *slot)
{
    struct feed_mark mark = {.kind = FEED_GAP,
            .plain_size = slot->gap_at,
            .ns = slot->gap_ns,
            .bytes = slot->gap_bytes};

    if (slot->gap_bytes == 0 || !feed_can_mark(slot->feed, 4))
        return;
    feed_put_mark(slot->feed, &mark);
    slot->gap_bytes = 0;
}

/*
 * Take over what the controls say and mark where. Beginnings always find room
 * in the line of marks, because ends leave some: an end that finds none waits,
 * and the media stays silent so much longer.
 */
static void follow_controls(struct recording *slot, enum recording_state state, uint64_t now_ns)
{
    bool mask = state == RECORDING_MASKED || state == RECORDING_PAUSED_MASKED;
    bool pause = state == RECORDING_PAUSED || state == RECORDING_PAUSED_MASKED;

    if (mask && !slot->masked) {
        put_mark(slot, FEED_MASK, now_ns);
        slot->masked = true;
    }
    if (pause && !slot->paused) {
        put_mark(slot, FEED_PAUSE, now_ns);
        slot->paused = true;
    }
    if (!pause && slot->paused && feed_can_mark(slot->feed, 4)) {
        put_mark(slot, FEED_RESUME, now_ns);
        slot->paused = false;
    }
    if (!mask && slot->masked && feed_can_mark(slot->feed, 4)) {
        put_mark(slot, FEED_UNMASK, now_ns);
        slot->masked = false;
    }
}

/* Seal into room that is reserved. @silence: the @bytes are so many, to be sealed over and over. */
static void seal(struct recording *slot, const uint8_t *bytes, size_t len, size_t silence)
{
    while (len > 0) {
        size_t output = cipher_output_size(slot->cipher, len), room = 0, n = len;
        uint8_t *to = NULL;

        if (output > 0) {
            to = feed_room(slot->feed, &room);
            if (output > room)
                n = cipher_input_size(slot->cipher, room);
        }
        if (silence && n > silence)
            n = silence;
        output = cipher_output_size(slot->cipher, n);
        cipher_update(slot->cipher, bytes, n, to);
        feed_fill(slot->feed, output);
        if (!silence)
            bytes += n;
        len -= n;
    }
}

static void lose(struct recording_table *table, struct recording *slot, size_t len, uint64_t now_ns)
{
    if (slot->gap_bytes == 0) {
        slot->gap_at = slot->feed->point.plain_size;
        slot->gap_ns = now_ns;
    }
    slot->gap_bytes += len;
    slot->feed->point.lost_bytes += len;
    feed_publish(slot->feed);
    atomic_fetch_add_explicit(&table->lost_bytes, len, memory_order_relaxed);
}

static enum sealtape_status take(struct recording_table *table, struct recording *slot,
        const void *bytes, size_t len, uint32_t flags)
{
    bool header = flags & SEALTAPE_WRITE_HEADER, silent = slot->masked && !header;
    struct feed_point *point = &slot->feed->point;
    uint64_t now_ns = clock_monotonic_ns();
    enum sealtape_status st;

    st = feed_reserve(slot->feed, cipher_output_size(slot->cipher, len));
    spool_watch_memory(table->spool);
    if (st != SEALTAPE_OK) {
        if (!(flags & SEALTAPE_WRITE_RETRY))
            lose(table, slot, len, now_ns);
        return st;
    }
    tell_gap(slot);
    seal(slot, silent ? table->silence[slot->format] : bytes, len, silent ? SILENCE_SIZE : 0);
    point->plain_size += len;
    point->header_bytes += header ? len : 0;
    point->audio_ns = now_ns;
    cipher_closing(slot->cipher, point->closing);
    feed_publish(slot->feed);
    atomic_fetch_add_explicit(&table->accepted_bytes, len, memory_order_relaxed);
    return SEALTAPE_OK;
}

static enum sealtape_status write_bytes(struct recording_table *table, struct recording *slot,
        enum recording_state state, const void *bytes, size_t len, uint32_t flags)
{
    bool header = flags & SEALTAPE_WRITE_HEADER;

    follow_controls(slot, state, clock_monotonic_ns());
    /* A header is none of what was said. */
    if (slot->paused && !header)
        return SEALTAPE_OK;
    /* Opaque media cannot be silenced: it is dropped, and time goes on. */
    if (slot->masked && slot->format == RECORDING_OPAQUE && !header) {
        slot->feed->point.audio_ns = clock_monotonic_ns();
        feed_publish(slot->feed);
        return SEALTAPE_OK;
    }
    if (len == 0)
        return SEALTAPE_OK;
    return take(table, slot, bytes, len, flags);
}

/* The end of the message, by whoever sees it last: its closer, or the write that the closer
 * met. After the publication the media is the spool's alone. */
static void end(struct recording_table *table, struct recording *slot)
{
    struct feed *feed = slot->feed;

    tell_gap(slot);
    cipher_free(&slot->cipher);
    slot->feed = NULL;
    feed->point.ended = true;
    feed_publish(feed);
    atomic_fetch_sub(&table->count, 1);
    atomic_fetch_and_explicit(&slot->word, ~WORD_CLOSING, memory_order_release);
}

enum sealtape_status recording_write(struct recording_table *table, sealtape_recording recording,
        const void *bytes, size_t len, uint32_t flags)
{
    struct recording *slot = slot_of(table, recording);
    enum sealtape_status st;
    uint64_t word;

    if (!slot)
        return SEALTAPE_E_STATE;
    word = atomic_load_explicit(&slot->word, memory_order_relaxed);
    do {
        if (!is_of(word, recording) || (word & WORD_BUSY))
            return SEALTAPE_E_STATE;
        st = recording_cell(state_of(word), RECORDING_WRITE)->status;
        if (st != SEALTAPE_OK)
            return st;
    } while (!atomic_compare_exchange_weak_explicit(
            &slot->word, &word, word | WORD_BUSY, memory_order_acquire, memory_order_relaxed));
    st = write_bytes(table, slot, state_of(word), bytes, len, flags);
    word = atomic_fetch_and_explicit(&slot->word, ~WORD_BUSY, memory_order_acq_rel);
    if (word & WORD_CLOSING)
        end(table, slot);
    return st;
}

/* --- controls ------------------------------------------------------------- */

/* With the slot's lock: the state of a handle, RECORDING_DEAD if it is not of this slot. */
static enum recording_state locked_state(const struct recording *slot, sealtape_recording recording)
{
    uint64_t word = atomic_load_explicit(&slot->word, memory_order_acquire);

    return is_of(word, recording) ? state_of(word) : RECORDING_DEAD;
}

/* With the slot's lock: only writes change the word beside us, and only its busy flag. */
static uint64_t set_word(struct recording *slot, enum recording_state state, uint64_t flags)
{
    uint64_t word = atomic_load_explicit(&slot->word, memory_order_relaxed);

    while (!atomic_compare_exchange_weak_explicit(&slot->word, &word,
            with_state(word, state) | flags, memory_order_acq_rel, memory_order_relaxed))
        ;
    return word;
}

static bool is_muted(enum recording_state state)
{
    return state == RECORDING_PAUSED || state == RECORDING_MASKED
           || state == RECORDING_PAUSED_MASKED;
}

/* The mark comes first: a mask that could not be told must not happen. */
static enum sealtape_status control(
        struct recording *slot, sealtape_recording recording, enum recording_call call)
{
    enum recording_state state = locked_state(slot, recording);
    const struct recording_cell *cell = recording_cell(state, call);
    bool begins = call == RECORDING_PAUSE || call == RECORDING_MASK;
    enum sealtape_status st;

    if (cell->status != SEALTAPE_OK || cell->next == state)
        return cell->status;
    st = evidence_add_mark(media_evidence(slot->media), begins ? EVIDENCE_PAUSED : EVIDENCE_RESUMED,
            clock_utc_ms());
    /* Silence is kept even where its record is full; only its end is refused. */
    if (st != SEALTAPE_OK && !(begins && is_muted(cell->next)))
        return st;
    (void)set_word(slot, cell->next, 0);
    return SEALTAPE_OK;
}

enum sealtape_status recording_control(
        struct recording_table *table, sealtape_recording recording, enum recording_call call)
{
    struct recording *slot = slot_of(table, recording);
    enum sealtape_status st;

    if (!slot || locked_state(slot, recording) == RECORDING_DEAD)
        return SEALTAPE_E_STATE;
    pthread_mutex_lock(&slot->lock);
    st = control(slot, recording, call);
    pthread_mutex_unlock(&slot->lock);
    return st;
}

/* Names of the ABI that have their own place in the document. */
static enum sealtape_status set_parameter(
        struct evidence *evidence, const char *key, const char *value, struct diag *diag)
{
    static const char *const fixed[] = {"dbid", "tenant-dbid", "profile", "id", "format", "rate",
            "channels", "byte-rate", "storage", "processor"};
    static const struct {
        const char *key;
        enum evidence_text text;
    } own[] = {
            {"call-uuid", EVIDENCE_CALL_UUID},
            {"ani", EVIDENCE_ANI},
            {"dnis", EVIDENCE_DNIS},
            {"type", EVIDENCE_TYPE},
            {"ccid", EVIDENCE_CCID},
            {"tenant", EVIDENCE_TENANT},
    };

    for (size_t i = 0; i < ARRAY_COUNT(fixed); i++) {
        if (strcmp(key, fixed[i]) == 0)
            return diag_fail(
                    diag, SEALTAPE_E_USAGE, "%s can only be set when a recording begins", key);
    }
    for (size_t i = 0; i < ARRAY_COUNT(own); i++) {
        if (strcmp(key, own[i].key) != 0)
            continue;
        if (strlen(value) > EVIDENCE_VALUE_MAX)
            return diag_fail(diag, SEALTAPE_E_LIMIT, "%s is too long", key);
        if (!evidence_is_utf8(value))
            return diag_fail(diag, SEALTAPE_E_USAGE, "%s is not UTF-8", key);
        return evidence_set_text(evidence, own[i].text, value);
    }
    return evidence_set_parameter(evidence, key, value, diag);
}

enum sealtape_status recording_set(struct recording_table *table, sealtape_recording recording,
        const char *key, const char *value, struct diag *diag)
{
    struct recording *slot = slot_of(table, recording);
    enum sealtape_status st;

    if (!slot || locked_state(slot, recording) == RECORDING_DEAD)
        return SEALTAPE_E_STATE;
    pthread_mutex_lock(&slot->lock);
    st = recording_cell(locked_state(slot, recording), RECORDING_SET)->status;
    if (st == SEALTAPE_OK)
        st = set_parameter(media_evidence(slot->media), key, value, diag);
    pthread_mutex_unlock(&slot->lock);
    return st;
}

/* Take the media away from controls and end the message, now or at the end of the write that is
 * under way. */
static void end_locked(
        struct recording_table *table, struct recording *slot, enum recording_state next)
{
    uint64_t before;

    slot->media = NULL;
    before = set_word(slot, next, WORD_CLOSING);
    if (!(before & WORD_BUSY))
        end(table, slot);
}

static enum sealtape_status close_locked(struct recording_table *table, struct recording *slot,
        sealtape_recording recording, const char *reason)
{
    enum recording_state state = locked_state(slot, recording);
    enum sealtape_status st = recording_cell(state, RECORDING_CLOSE)->status;

    if (st != SEALTAPE_OK)
        return st;
    if (state == RECORDING_ENDED) {
        (void)set_word(slot, RECORDING_DEAD, 0);
        return SEALTAPE_OK;
    }
    /* A reason that finds no memory is left out; the end must not fail. */
    if (reason && evidence_is_utf8(reason) && strlen(reason) <= EVIDENCE_VALUE_MAX)
        ignore(evidence_set_close_reason(media_evidence(slot->media), reason));
    end_locked(table, slot, RECORDING_DEAD);
    return SEALTAPE_OK;
}

enum sealtape_status recording_close(
        struct recording_table *table, sealtape_recording recording, const char *reason)
{
    struct recording *slot = slot_of(table, recording);
    enum sealtape_status st;

    if (!slot || locked_state(slot, recording) == RECORDING_DEAD)
        return SEALTAPE_E_STATE;
    pthread_mutex_lock(&slot->lock);
    st = close_locked(table, slot, recording, reason);
    pthread_mutex_unlock(&slot->lock);
    if (st == SEALTAPE_OK)
        spool_urge(table->spool);
    return st;
}

enum sealtape_status recording_discard(struct recording_table *table, sealtape_recording recording)
{
    struct recording *slot = slot_of(table, recording);
    enum recording_state state;

    if (!slot || locked_state(slot, recording) == RECORDING_DEAD)
        return SEALTAPE_E_STATE;
    pthread_mutex_lock(&slot->lock);
    state = locked_state(slot, recording);
    if (state != RECORDING_DEAD && state != RECORDING_ENDED) {
        media_discard(slot->media);
        end_locked(table, slot, RECORDING_ENDED);
    }
    pthread_mutex_unlock(&slot->lock);
    if (state == RECORDING_DEAD)
        return SEALTAPE_E_STATE;
    spool_urge(table->spool);
    return SEALTAPE_OK;
}

static bool has_id(const struct recording *slot, const char *id)
{
    static const enum evidence_text texts[] = {
            EVIDENCE_RECORDING_ID, EVIDENCE_CALL_UUID, EVIDENCE_MEDIA_ID};
    struct evidence *evidence = media_evidence(slot->media);
    bool found = false;

    pthread_mutex_lock(&evidence->lock);
    for (size_t i = 0; i < ARRAY_COUNT(texts); i++)
        found |= evidence->texts[texts[i]] && strcmp(evidence->texts[texts[i]], id) == 0;
    pthread_mutex_unlock(&evidence->lock);
    return found;
}

enum sealtape_status recording_find(
        struct recording_table *table, const char *id, sealtape_recording *ret_recording)
{
    uint64_t newest_ns = 0;
    uint32_t used;

    pthread_mutex_lock(&table->lock);
    used = table->used;
    pthread_mutex_unlock(&table->lock);
    for (uint32_t i = 0; i < used; i++) {
        struct recording *slot = &table->slots[i];
        uint64_t word;

        pthread_mutex_lock(&slot->lock);
        word = atomic_load(&slot->word);
        if (slot->media && has_id(slot, id) && media_evidence(slot->media)->start_ns >= newest_ns) {
            newest_ns = media_evidence(slot->media)->start_ns;
            *ret_recording = (word >> 32) << 32 | i;
        }
        pthread_mutex_unlock(&slot->lock);
    }
    return newest_ns ? SEALTAPE_OK : SEALTAPE_E_STATE;
}

void recording_close_all(struct recording_table *table, const char *reason)
{
    for (uint32_t i = 0; i < table->used; i++) {
        uint64_t word = atomic_load(&table->slots[i].word);

        /* Dead ones answer that they are. */
        ignore(recording_close(table, (word >> 32) << 32 | i, reason) != SEALTAPE_OK);
    }
}

uint32_t recording_count(struct recording_table *table)
{
    return atomic_load(&table->count);
}

uint64_t recording_accepted_bytes(const struct recording_table *table)
{
    return atomic_load(&table->accepted_bytes);
}

uint64_t recording_lost_bytes(const struct recording_table *table)
{
    return atomic_load(&table->lost_bytes);
}
