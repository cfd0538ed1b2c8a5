/* Recordings as a host meets them: the state table cell by cell, masks, endings. */
#include "recording.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <nettle/aes.h>
#include <nettle/cbc.h>

#include "../spool/reel.h"
#include "../unit.h"
#include "base/clock.h"
#include "base/file.h"

#define DEADLINE_NS UINT64_C(20000000000)
#define MEDIA_MAX (64u * 1024 * 1024)

static struct {
    char directory[REEL_NAME_SIZE], instance[8];
    struct config config;
    struct spool *spool;
    struct recording_table *table;
    unsigned number;

    /* Guards what follows. */
    pthread_mutex_t lock;
    pthread_cond_t changed;
    char ended[REEL_NAME_SIZE], outcome[24];
    uint64_t lost;
} stand = {
        .instance = "test", .lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};

/* --- a stand ---------------------------------------------------------------- */

static void on_offer(void *context, struct entry *entry)
{
    (void)context;
    (void)entry;
}

static void on_event(void *context, enum sealtape_event_kind kind, struct media *media,
        uint64_t bytes, const char *text)
{
    (void)context;
    pthread_mutex_lock(&stand.lock);
    if (kind == SEALTAPE_EVENT_DEGRADED)
        stand.lost += bytes;
    if (kind == SEALTAPE_EVENT_SPOOLED || kind == SEALTAPE_EVENT_DISCARDED) {
        (void)snprintf(stand.ended, sizeof(stand.ended), "%s", entry_media_id(media_entry(media)));
        (void)snprintf(stand.outcome, sizeof(stand.outcome), "%s", text);
        pthread_cond_broadcast(&stand.changed);
    }
    pthread_mutex_unlock(&stand.lock);
}

static int begin_stand_with(uint64_t memory_bytes)
{
    const struct spool_listener listener = {.offer = on_offer, .event = on_event};

    reel_directory(stand.directory);
    stand.config = (struct config){.instance = stand.instance,
            .spool = {.directory = stand.directory,
                    .quota_bytes = 1u << 30,
                    .memory_bytes = memory_bytes,
                    .flush_ms = 20,
                    .sync_ms = 50,
                    .grace_ms = 1000}};
    if (spool_open(&stand.config, &listener, &stand.spool, NULL) != SEALTAPE_OK
            || recording_table_new(stand.spool, &stand.table, NULL) != SEALTAPE_OK)
        return -1;
    stand.lost = 0;
    return 0;
}

static int begin_stand(void **state)
{
    (void)state;
    return begin_stand_with(8u << 20);
}

static int end_stand(void **state)
{
    (void)state;
    recording_close_all(stand.table, NULL);
    spool_close(&stand.spool);
    recording_table_free(&stand.table);
    reel_remove(stand.directory);
    return 0;
}

/* A running recording; its media id goes to @ret_media_id. */
static sealtape_recording begin(enum recording_format format, char ret_media_id[REEL_NAME_SIZE])
{
    struct cipher *cipher = NULL;
    struct evidence *evidence;
    sealtape_recording recording = 0;
    uint8_t key[32], iv[16];
    char id[16];

    (void)snprintf(id, sizeof(id), "call%u", stand.number++);
    reel_media_id(id, ret_media_id);
    reel_key(ret_media_id, key, iv);
    assert_int_equal(cipher_new(256, key, iv, &cipher, NULL), SEALTAPE_OK);
    evidence = reel_evidence(id);
    assert_int_equal(
            recording_begin(stand.table, evidence, &cipher, format, &recording, NULL), SEALTAPE_OK);
    assert_null(cipher);
    assert_true(recording != 0);
    return recording;
}

static void wait_ended(const char *media_id)
{
    struct timespec until;

    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += 20;
    pthread_mutex_lock(&stand.lock);
    while (strcmp(stand.ended, media_id) != 0)
        assert_int_equal(pthread_cond_timedwait(&stand.changed, &stand.lock, &until), 0);
    pthread_mutex_unlock(&stand.lock);
}

/* What was sealed, as the key's holder reads it. malloc'ed. */
static uint8_t *opened(const char *media_id, size_t *ret_len)
{
    char path[4 * REEL_NAME_SIZE];
    struct aes256_ctx aes;
    uint8_t key[32], iv[16];
    char *bytes = NULL;
    size_t len = 0;

    wait_ended(media_id);
    (void)snprintf(
            path, sizeof(path), "%s/test.0/closed/%s/%s.bin", stand.directory, media_id, media_id);
    assert_int_equal(file_read(AT_FDCWD, path, MEDIA_MAX, &bytes, &len, NULL), SEALTAPE_OK);
    assert_true(len > 0 && len % 16 == 0);
    reel_key(media_id, key, iv);
    aes256_set_decrypt_key(&aes, key);
    cbc_decrypt(&aes, (nettle_cipher_func *)aes256_decrypt, 16, iv, len, (uint8_t *)bytes,
            (uint8_t *)bytes);
    assert_in_range(bytes[len - 1], 1, 16);
    *ret_len = len - (size_t)bytes[len - 1];
    return (uint8_t *)bytes;
}

static void write_fill(sealtape_recording recording, int byte, size_t len, uint32_t flags)
{
    uint8_t bytes[2000];

    assert_true(len <= sizeof(bytes));
    memset(bytes, byte, len);
    assert_int_equal(recording_write(stand.table, recording, bytes, len, flags), SEALTAPE_OK);
}

static void finish(sealtape_recording recording)
{
    assert_int_equal(recording_close(stand.table, recording, NULL), SEALTAPE_OK);
}

static void expect_fill(const uint8_t *bytes, size_t from, size_t len, int byte)
{
    for (size_t i = 0; i < len; i++)
        assert_int_equal(bytes[from + i], byte);
}

/* --- the state table -------------------------------------------------------- */

static enum sealtape_status call(sealtape_recording recording, enum recording_call what)
{
    switch (what) {
    case RECORDING_WRITE:
        return recording_write(stand.table, recording, "x", 1, 0);
    case RECORDING_SET:
        return recording_set(stand.table, recording, "agentId", "agent1", NULL);
    case RECORDING_CLOSE:
        return recording_close(stand.table, recording, "test");
    case RECORDING_PAUSE:
    case RECORDING_RESUME:
    case RECORDING_MASK:
    case RECORDING_UNMASK:
        return recording_control(stand.table, recording, what);
    case RECORDING_CALLS:
        break;
    }
    return SEALTAPE_E_USAGE;
}

/* Each state by the calls that lead there. */
static sealtape_recording in_state(enum recording_state state, char media_id[REEL_NAME_SIZE])
{
    sealtape_recording recording = begin(RECORDING_PCM16, media_id);

    if (state == RECORDING_PAUSED || state == RECORDING_PAUSED_MASKED)
        assert_int_equal(call(recording, RECORDING_PAUSE), SEALTAPE_OK);
    if (state == RECORDING_MASKED || state == RECORDING_PAUSED_MASKED)
        assert_int_equal(call(recording, RECORDING_MASK), SEALTAPE_OK);
    if (state == RECORDING_ENDED)
        assert_int_equal(recording_discard(stand.table, recording), SEALTAPE_OK);
    if (state == RECORDING_DEAD)
        finish(recording);
    return recording;
}

/* A state shows in what unmask, resume and a write answer, in this order. */
static void expect_state(sealtape_recording recording, enum recording_state state)
{
    static const enum sealtape_status shown[RECORDING_STATES][3] = {
            [RECORDING_DEAD] = {SEALTAPE_E_STATE, SEALTAPE_E_STATE, SEALTAPE_E_STATE},
            [RECORDING_RUNNING] = {SEALTAPE_E_STATE, SEALTAPE_E_STATE, SEALTAPE_OK},
            [RECORDING_PAUSED] = {SEALTAPE_E_STATE, SEALTAPE_OK, SEALTAPE_OK},
            [RECORDING_MASKED] = {SEALTAPE_OK, SEALTAPE_E_STATE, SEALTAPE_OK},
            [RECORDING_PAUSED_MASKED] = {SEALTAPE_OK, SEALTAPE_OK, SEALTAPE_OK},
            [RECORDING_ENDED] = {SEALTAPE_E_CLOSED, SEALTAPE_E_CLOSED, SEALTAPE_E_CLOSED},
    };

    assert_int_equal(call(recording, RECORDING_UNMASK), shown[state][0]);
    assert_int_equal(call(recording, RECORDING_RESUME), shown[state][1]);
    assert_int_equal(call(recording, RECORDING_WRITE), shown[state][2]);
}

static void each_cell_is_what_happens(void **state)
{
    char media_id[REEL_NAME_SIZE];

    (void)state;
    for (int s = 0; s < RECORDING_STATES; s++) {
        for (int c = 0; c < RECORDING_CALLS; c++) {
            const struct recording_cell *cell =
                    recording_cell((enum recording_state)s, (enum recording_call)c);
            sealtape_recording recording = in_state((enum recording_state)s, media_id);

            assert_int_equal(call(recording, (enum recording_call)c), cell->status);
            expect_state(recording, cell->next);
            /* Whatever is left of it. */
            (void)(recording_close(stand.table, recording, NULL) == SEALTAPE_OK);
        }
    }
}

static void a_refusal_changes_no_state(void **state)
{
    (void)state;
    for (int s = 0; s < RECORDING_STATES; s++) {
        for (int c = 0; c < RECORDING_CALLS; c++) {
            const struct recording_cell *cell =
                    recording_cell((enum recording_state)s, (enum recording_call)c);

            if (cell->status != SEALTAPE_OK)
                assert_int_equal(cell->next, s);
        }
    }
}

static void handles_that_are_dead_or_made_up_answer_state(void **state)
{
    char media_id[REEL_NAME_SIZE];
    sealtape_recording dead = begin(RECORDING_PCM16, media_id), next;
    const sealtape_recording made_up[] = {0, 1, UINT64_MAX, dead + 1, dead + (UINT64_C(9) << 32),
            RECORDING_MAX, (UINT64_C(7) << 32) | RECORDING_MAX};

    (void)state;
    finish(dead);
    /* The slot is taken again, with another generation. */
    next = begin(RECORDING_PCM16, media_id);
    assert_true(next != dead);
    for (int c = 0; c < RECORDING_CALLS; c++) {
        assert_int_equal(call(dead, (enum recording_call)c), SEALTAPE_E_STATE);
        for (size_t i = 0; i < ARRAY_COUNT(made_up); i++)
            assert_int_equal(call(made_up[i], (enum recording_call)c), SEALTAPE_E_STATE);
    }
    assert_int_equal(call(next, RECORDING_WRITE), SEALTAPE_OK);
    finish(next);
}

/* --- masks ------------------------------------------------------------------ */

static void a_mask_is_the_formats_silence(void **state)
{
    static const struct {
        enum recording_format format;
        int silence;
    } table[] = {{RECORDING_PCM16, 0}, {RECORDING_ULAW, 0xff}, {RECORDING_ALAW, 0xd5}};
    char media_id[REEL_NAME_SIZE];

    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(table); i++) {
        sealtape_recording recording = begin(table[i].format, media_id);
        uint8_t *bytes;
        size_t len;

        write_fill(recording, 'h', 44, SEALTAPE_WRITE_HEADER);
        write_fill(recording, 'A', 321, 0);
        assert_int_equal(call(recording, RECORDING_MASK), SEALTAPE_OK);
        write_fill(recording, 'B', 1999, 0);
        write_fill(recording, 'B', 1, 0);
        assert_int_equal(call(recording, RECORDING_UNMASK), SEALTAPE_OK);
        write_fill(recording, 'C', 320, 0);
        finish(recording);
        bytes = opened(media_id, &len);
        assert_int_equal(len, 44 + 321 + 2000 + 320);
        expect_fill(bytes, 0, 44, 'h');
        expect_fill(bytes, 44, 321, 'A');
        expect_fill(bytes, 365, 2000, table[i].silence);
        expect_fill(bytes, 2365, 320, 'C');
        free(bytes);
    }
}

static void a_header_is_never_masked_nor_paused(void **state)
{
    char media_id[REEL_NAME_SIZE];
    sealtape_recording recording = begin(RECORDING_PCM16, media_id);
    uint8_t *bytes;
    size_t len;

    (void)state;
    assert_int_equal(call(recording, RECORDING_MASK), SEALTAPE_OK);
    assert_int_equal(call(recording, RECORDING_PAUSE), SEALTAPE_OK);
    write_fill(recording, 'h', 44, SEALTAPE_WRITE_HEADER);
    write_fill(recording, 'A', 320, 0);
    finish(recording);
    bytes = opened(media_id, &len);
    assert_int_equal(len, 44);
    expect_fill(bytes, 0, 44, 'h');
    free(bytes);
}

static void opaque_media_is_dropped_under_a_mask(void **state)
{
    char media_id[REEL_NAME_SIZE];
    sealtape_recording recording = begin(RECORDING_OPAQUE, media_id);
    uint8_t *bytes;
    size_t len;

    (void)state;
    write_fill(recording, 'A', 100, 0);
    assert_int_equal(call(recording, RECORDING_MASK), SEALTAPE_OK);
    write_fill(recording, 'B', 100, 0);
    assert_int_equal(call(recording, RECORDING_UNMASK), SEALTAPE_OK);
    write_fill(recording, 'C', 100, 0);
    finish(recording);
    bytes = opened(media_id, &len);
    assert_int_equal(len, 200);
    expect_fill(bytes, 0, 100, 'A');
    expect_fill(bytes, 100, 100, 'C');
    free(bytes);
}

struct speaker {
    sealtape_recording recording;
    _Atomic bool masked; /* set once mask() has returned */
    _Atomic bool stop;
    _Atomic uint64_t written;
};

/* Says 'S' for as long as nobody has been told that the mask holds, and 'X' after. */
static void *speak(void *context)
{
    struct speaker *speaker = context;
    uint8_t bytes[320];

    while (!atomic_load(&speaker->stop)) {
        memset(bytes, atomic_load(&speaker->masked) ? 'X' : 'S', sizeof(bytes));
        if (recording_write(
                    stand.table, speaker->recording, bytes, sizeof(bytes), SEALTAPE_WRITE_RETRY)
                == SEALTAPE_OK)
            atomic_fetch_add(&speaker->written, sizeof(bytes));
        if (atomic_load(&speaker->written) > MEDIA_MAX / 4)
            break;
    }
    return NULL;
}

static void wait_written(struct speaker *speaker, uint64_t bytes)
{
    uint64_t deadline = clock_monotonic_ns() + DEADLINE_NS;

    while (atomic_load(&speaker->written) < bytes) {
        assert_true(clock_monotonic_ns() < deadline);
        sched_yield();
    }
}

static void no_write_after_a_mask_has_returned_is_heard(void **state)
{
    char media_id[REEL_NAME_SIZE];

    (void)state;
    for (unsigned round = 0; round < 20; round++) {
        struct speaker speaker = {.recording = begin(RECORDING_PCM16, media_id)};
        pthread_t thread;
        uint8_t *bytes;
        size_t len;

        assert_int_equal(pthread_create(&thread, NULL, speak, &speaker), 0);
        wait_written(&speaker, 3200);
        assert_int_equal(call(speaker.recording, RECORDING_MASK), SEALTAPE_OK);
        atomic_store(&speaker.masked, true);
        wait_written(&speaker, atomic_load(&speaker.written) + 3200);
        atomic_store(&speaker.stop, true);
        pthread_join(thread, NULL);
        finish(speaker.recording);
        bytes = opened(media_id, &len);
        assert_int_equal(len, atomic_load(&speaker.written));
        assert_null(memchr(bytes, 'X', len));
        assert_non_null(memchr(bytes, 'S', len));
        free(bytes);
    }
}

/* --- endings ---------------------------------------------------------------- */

static void what_was_accepted_before_a_close_is_kept(void **state)
{
    char media_id[REEL_NAME_SIZE];

    (void)state;
    for (unsigned round = 0; round < 50; round++) {
        struct speaker speaker = {.recording = begin(RECORDING_PCM16, media_id)};
        pthread_t thread;
        uint8_t *bytes;
        size_t len;

        assert_int_equal(pthread_create(&thread, NULL, speak, &speaker), 0);
        wait_written(&speaker, 320 * (round % 7));
        /* Beside a write, most of the time; it never waits for it. */
        finish(speaker.recording);
        assert_int_equal(call(speaker.recording, RECORDING_WRITE), SEALTAPE_E_STATE);
        atomic_store(&speaker.stop, true);
        pthread_join(thread, NULL);
        bytes = opened(media_id, &len);
        assert_int_equal(len, atomic_load(&speaker.written));
        free(bytes);
    }
}

static void a_second_writer_is_told_so_and_harms_nothing(void **state)
{
    char media_id[REEL_NAME_SIZE];
    struct speaker speaker = {.recording = begin(RECORDING_PCM16, media_id)};
    pthread_t first, second;
    uint8_t *bytes;
    size_t len;

    (void)state;
    assert_int_equal(pthread_create(&first, NULL, speak, &speaker), 0);
    assert_int_equal(pthread_create(&second, NULL, speak, &speaker), 0);
    wait_written(&speaker, 64000);
    atomic_store(&speaker.stop, true);
    pthread_join(first, NULL);
    pthread_join(second, NULL);
    finish(speaker.recording);
    bytes = opened(media_id, &len);
    assert_int_equal(len, atomic_load(&speaker.written));
    expect_fill(bytes, 0, len, 'S');
    free(bytes);
}

static void a_refused_write_is_a_gap_unless_it_is_offered_again(void **state)
{
    char media_id[REEL_NAME_SIZE];
    sealtape_recording recording;
    uint64_t accepted = 0;
    uint8_t bytes[65536];
    enum sealtape_status st = SEALTAPE_OK;
    uint8_t *back;
    size_t len;

    (void)state;
    assert_int_equal(end_stand(NULL), 0);
    /* Less than one flush interval of what comes. */
    assert_int_equal(begin_stand_with(16 * 4096), 0);
    recording = begin(RECORDING_PCM16, media_id);
    memset(bytes, 'A', sizeof(bytes));
    for (unsigned i = 0; i < 1000 && st == SEALTAPE_OK; i++) {
        st = recording_write(stand.table, recording, bytes, 320, SEALTAPE_WRITE_RETRY);
        accepted += st == SEALTAPE_OK ? 320 : 0;
    }
    st = recording_write(stand.table, recording, bytes, sizeof(bytes), SEALTAPE_WRITE_RETRY);
    assert_int_equal(st, SEALTAPE_E_AGAIN);
    assert_int_equal(recording_lost_bytes(stand.table), 0);
    st = recording_write(stand.table, recording, bytes, sizeof(bytes), 0);
    assert_int_equal(st, SEALTAPE_E_AGAIN);
    assert_int_equal(recording_lost_bytes(stand.table), sizeof(bytes));
    finish(recording);
    back = opened(media_id, &len);
    assert_int_equal(len, accepted);
    free(back);
    assert_string_equal(stand.outcome, "degraded");
    assert_int_equal(stand.lost, sizeof(bytes));
}

static void a_discarded_recording_is_found_no_more(void **state)
{
    char media_id[REEL_NAME_SIZE];
    sealtape_recording recording = begin(RECORDING_PCM16, media_id), found = 0;

    (void)state;
    write_fill(recording, 'A', 320, 0);
    assert_int_equal(recording_find(stand.table, media_id, &found), SEALTAPE_OK);
    assert_true(found == recording);
    assert_int_equal(recording_discard(stand.table, recording), SEALTAPE_OK);
    assert_int_equal(recording_find(stand.table, media_id, &found), SEALTAPE_E_STATE);
    assert_int_equal(call(recording, RECORDING_WRITE), SEALTAPE_E_CLOSED);
    finish(recording);
    wait_ended(media_id);
    assert_string_equal(stand.outcome, "discarded");
}

static void find_gives_the_newest_of_a_call(void **state)
{
    char first_id[REEL_NAME_SIZE], second_id[REEL_NAME_SIZE];
    sealtape_recording first = begin(RECORDING_PCM16, first_id), found = 0;
    sealtape_recording second = begin(RECORDING_PCM16, second_id);

    (void)state;
    assert_int_equal(recording_find(stand.table, "CALL-1", &found), SEALTAPE_OK);
    assert_true(found == second);
    finish(second);
    assert_int_equal(recording_find(stand.table, "CALL-1", &found), SEALTAPE_OK);
    assert_true(found == first);
    finish(first);
    assert_int_equal(recording_find(stand.table, "CALL-1", &found), SEALTAPE_E_STATE);
}

static void what_chooses_a_recording_cannot_be_set_late(void **state)
{
    static const char *const names[] = {"dbid", "tenant-dbid", "profile", "id", "format", "rate",
            "channels", "byte-rate", "storage", "processor", "authToken", "x-Password"};
    char media_id[REEL_NAME_SIZE];
    sealtape_recording recording = begin(RECORDING_PCM16, media_id);
    struct diag diag;

    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(names); i++) {
        assert_int_equal(
                recording_set(stand.table, recording, names[i], "1", &diag), SEALTAPE_E_USAGE);
        assert_contains(diag.text, names[i]);
    }
    assert_int_equal(recording_set(stand.table, recording, "ani", "\xff", NULL), SEALTAPE_E_USAGE);
    assert_int_equal(recording_set(stand.table, recording, "ani", "+1", NULL), SEALTAPE_OK);
    finish(recording);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
            cmocka_unit_test(each_cell_is_what_happens),
            cmocka_unit_test(a_refusal_changes_no_state),
            cmocka_unit_test(handles_that_are_dead_or_made_up_answer_state),
            cmocka_unit_test(a_mask_is_the_formats_silence),
            cmocka_unit_test(a_header_is_never_masked_nor_paused),
            cmocka_unit_test(opaque_media_is_dropped_under_a_mask),
            cmocka_unit_test(no_write_after_a_mask_has_returned_is_heard),
            cmocka_unit_test(what_was_accepted_before_a_close_is_kept),
            cmocka_unit_test(a_second_writer_is_told_so_and_harms_nothing),
            cmocka_unit_test(a_refused_write_is_a_gap_unless_it_is_offered_again),
            cmocka_unit_test(a_discarded_recording_is_found_no_more),
            cmocka_unit_test(find_gives_the_newest_of_a_call),
            cmocka_unit_test(what_chooses_a_recording_cannot_be_set_late),
    };

    return cmocka_run_group_tests(tests, begin_stand, end_stand);
}
