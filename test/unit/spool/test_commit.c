#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "../unit.h"
#include "spool/commit.h"

#define FLUSHED 4096
#define SYNCED 8192
#define SLOT 116

static struct commit_slot slot(uint64_t sequence)
{
    struct commit_slot slot = {.sequence = sequence,
            .offset = 4096 + sequence,
            .plain_size = UINT64_C(0x1122334455667788),
            .media_ms = 77,
            .last_audio_utc_ms = -5,
            .lost_bytes = 9,
            .closed = sequence % 2 != 0,
            .closing_len = COMMIT_CLOSING_MAX};

    memset(slot.closing, 'c', sizeof(slot.closing));
    memset(slot.sha256, (int)sequence, sizeof(slot.sha256));
    return slot;
}

static void assert_same(const struct commit_slot *one, const struct commit_slot *other)
{
    assert_int_equal(one->sequence, other->sequence);
    assert_int_equal(one->offset, other->offset);
    assert_int_equal(one->plain_size, other->plain_size);
    assert_int_equal(one->media_ms, other->media_ms);
    assert_int_equal(one->last_audio_utc_ms, other->last_audio_utc_ms);
    assert_int_equal(one->lost_bytes, other->lost_bytes);
    assert_int_equal(one->closed, other->closed);
    assert_int_equal(one->closing_len, other->closing_len);
    assert_memory_equal(one->closing, other->closing, COMMIT_CLOSING_MAX);
    assert_memory_equal(one->sha256, other->sha256, COMMIT_DIGEST_SIZE);
}

static void image(uint8_t bytes[COMMIT_FILE_SIZE], uint64_t sequence)
{
    struct commit_slot first = slot(sequence);

    commit_image(&first, bytes);
}

/* Rewrite one place of an image through a file. */
static void rewrite(uint8_t bytes[COMMIT_FILE_SIZE], enum commit_which which, uint64_t sequence)
{
    struct commit_slot newer = slot(sequence);
    int fd = memfd_create("commit", MFD_CLOEXEC);

    assert_int_equal(pwrite(fd, bytes, COMMIT_FILE_SIZE, 0), COMMIT_FILE_SIZE);
    assert_int_equal(commit_write(fd, which, &newer), SEALTAPE_OK);
    assert_int_equal(pread(fd, bytes, COMMIT_FILE_SIZE, 0), COMMIT_FILE_SIZE);
    close(fd);
}

static enum sealtape_status parse(
        const uint8_t *bytes, size_t len, struct commit_slot slots[2], size_t *count)
{
    struct diag diag;
    enum sealtape_status st = commit_parse(bytes, len, slots, count, &diag);

    if (st != SEALTAPE_OK)
        assert_true(strlen(diag.text) > 10);
    return st;
}

static void test_what_is_no_commit_file_is_refused(void **state)
{
    uint8_t bytes[COMMIT_FILE_SIZE] = {0};
    struct commit_slot slots[2];
    size_t count = 9;

    (void)state;
    assert_int_equal(parse(bytes, 0, slots, &count), SEALTAPE_E_STATE);
    assert_int_equal(parse(bytes, sizeof(bytes), slots, &count), SEALTAPE_E_STATE);
    image(bytes, 3);
    assert_int_equal(parse(bytes, 19, slots, &count), SEALTAPE_E_STATE);
    assert_int_equal(count, 9);
}

static void test_each_flipped_byte_of_the_header_is_refused(void **state)
{
    uint8_t bytes[COMMIT_FILE_SIZE];
    struct commit_slot slots[2];
    size_t count;

    (void)state;
    image(bytes, 3);
    for (size_t i = 0; i < 20; i++) {
        bytes[i] ^= 0x10;
        assert_int_equal(parse(bytes, sizeof(bytes), slots, &count), SEALTAPE_E_STATE);
        bytes[i] ^= 0x10;
    }
    assert_int_equal(parse(bytes, sizeof(bytes), slots, &count), SEALTAPE_OK);
}

static void test_each_flipped_byte_of_a_slot_leaves_the_other_one(void **state)
{
    static const size_t places[] = {FLUSHED, SYNCED};
    uint8_t bytes[COMMIT_FILE_SIZE];
    struct commit_slot slots[2];
    size_t count;

    (void)state;
    image(bytes, 2);
    rewrite(bytes, COMMIT_FLUSHED, 8);
    for (size_t p = 0; p < 2; p++) {
        for (size_t i = 0; i < SLOT; i++) {
            bytes[places[p] + i] ^= 0x01;
            assert_int_equal(parse(bytes, sizeof(bytes), slots, &count), SEALTAPE_OK);
            assert_int_equal(count, 1);
            assert_int_equal(slots[0].sequence, p == 0 ? 2 : 8);
            bytes[places[p] + i] ^= 0x01;
        }
    }
}

static void test_a_torn_slot_leaves_the_other_one(void **state)
{
    uint8_t bytes[COMMIT_FILE_SIZE], newer[COMMIT_FILE_SIZE], torn[COMMIT_FILE_SIZE];
    struct commit_slot slots[2];
    size_t count;

    (void)state;
    image(bytes, 2);
    memcpy(newer, bytes, sizeof(newer));
    rewrite(newer, COMMIT_FLUSHED, 9);
    for (size_t n = 0; n <= SLOT; n++) {
        memcpy(torn, bytes, sizeof(torn));
        memcpy(torn + FLUSHED, newer + FLUSHED, n);
        assert_int_equal(parse(torn, sizeof(torn), slots, &count), SEALTAPE_OK);
        assert_true(count >= 1);
        assert_true(slots[0].sequence == 2 || slots[0].sequence == 9);
    }
    assert_int_equal(slots[0].sequence, 9);
}

static void test_a_file_that_was_cut_gives_what_is_whole(void **state)
{
    uint8_t bytes[COMMIT_FILE_SIZE];
    struct commit_slot slots[2];
    size_t count;

    (void)state;
    image(bytes, 2);
    assert_int_equal(parse(bytes, 20, slots, &count), SEALTAPE_OK);
    assert_int_equal(count, 0);
    assert_int_equal(parse(bytes, FLUSHED + SLOT - 1, slots, &count), SEALTAPE_OK);
    assert_int_equal(count, 0);
    assert_int_equal(parse(bytes, FLUSHED + SLOT, slots, &count), SEALTAPE_OK);
    assert_int_equal(count, 1);
    assert_int_equal(parse(bytes, SYNCED + SLOT, slots, &count), SEALTAPE_OK);
    assert_int_equal(count, 2);
}

/* A header that states other numbers, its CRC right: made with the CRC of this very file. */
static void restate(uint8_t *bytes, size_t at, uint32_t value)
{
    uint32_t crc = 0xffffffffu;

    for (unsigned i = 0; i < 4; i++)
        bytes[at + i] = (uint8_t)(value >> 8 * i);
    for (size_t i = 0; i < 16; i++) {
        crc ^= bytes[i];
        for (int bit = 0; bit < 8; bit++)
            crc = crc >> 1 ^ (crc & 1 ? 0xedb88320u : 0);
    }
    crc = ~crc;
    for (unsigned i = 0; i < 4; i++)
        bytes[16 + i] = (uint8_t)(crc >> 8 * i);
}

static void test_a_newer_format_and_other_pages_are_left_alone(void **state)
{
    uint8_t bytes[COMMIT_FILE_SIZE];
    struct commit_slot slots[2];
    size_t count;

    (void)state;
    image(bytes, 2);
    restate(bytes, 8, COMMIT_FORMAT);
    assert_int_equal(parse(bytes, sizeof(bytes), slots, &count), SEALTAPE_OK);
    restate(bytes, 8, COMMIT_FORMAT + 1);
    assert_int_equal(parse(bytes, sizeof(bytes), slots, &count), SEALTAPE_E_VERSION);
    image(bytes, 2);
    restate(bytes, 12, 16384);
    assert_int_equal(parse(bytes, sizeof(bytes), slots, &count), SEALTAPE_E_VERSION);
}

static void test_a_slot_that_cannot_be_written_says_why(void **state)
{
    struct commit_slot one = slot(1);
    int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);

    (void)state;
    assert_int_equal(commit_write(fd, COMMIT_SYNCED, &one), SEALTAPE_E_IO);
    assert_int_equal(errno, EBADF);
    close(fd);
}

static void test_slots_come_back_as_they_were_the_newest_first(void **state)
{
    struct commit_slot slots[2], wanted;
    uint8_t bytes[COMMIT_FILE_SIZE];
    size_t count;

    (void)state;
    image(bytes, 1);
    rewrite(bytes, COMMIT_SYNCED, 4);
    rewrite(bytes, COMMIT_FLUSHED, 7);
    for (int swap = 0; swap < 2; swap++) {
        assert_int_equal(parse(bytes, sizeof(bytes), slots, &count), SEALTAPE_OK);
        assert_int_equal(count, 2);
        wanted = slot(7);
        assert_same(&slots[0], &wanted);
        wanted = slot(4);
        assert_same(&slots[1], &wanted);
        rewrite(bytes, COMMIT_SYNCED, 7);
        rewrite(bytes, COMMIT_FLUSHED, 4);
    }
}

static void test_only_a_whole_file_with_a_later_synced_slot_was_synced(void **state)
{
    uint8_t bytes[COMMIT_FILE_SIZE], part[COMMIT_FILE_SIZE];

    (void)state;
    image(bytes, 1);
    rewrite(bytes, COMMIT_FLUSHED, 12);
    assert_false(commit_was_synced(bytes, sizeof(bytes)));
    rewrite(bytes, COMMIT_SYNCED, 12);
    assert_true(commit_was_synced(bytes, sizeof(bytes)));
    assert_false(commit_was_synced(bytes, sizeof(bytes) - 1));
    assert_false(commit_was_synced(bytes, 0));
    memcpy(part, bytes, sizeof(part));
    memset(part, 0, 4096);
    assert_false(commit_was_synced(part, sizeof(part)));
    memcpy(part, bytes, sizeof(part));
    memset(part + SYNCED, 0, 4096);
    assert_false(commit_was_synced(part, sizeof(part)));
    /* Damage is not absence. */
    bytes[SYNCED + 50] ^= 1;
    assert_true(commit_was_synced(bytes, sizeof(bytes)));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
            cmocka_unit_test(test_what_is_no_commit_file_is_refused),
            cmocka_unit_test(test_each_flipped_byte_of_the_header_is_refused),
            cmocka_unit_test(test_each_flipped_byte_of_a_slot_leaves_the_other_one),
            cmocka_unit_test(test_a_torn_slot_leaves_the_other_one),
            cmocka_unit_test(test_a_file_that_was_cut_gives_what_is_whole),
            cmocka_unit_test(test_a_newer_format_and_other_pages_are_left_alone),
            cmocka_unit_test(test_a_slot_that_cannot_be_written_says_why),
            cmocka_unit_test(test_slots_come_back_as_they_were_the_newest_first),
            cmocka_unit_test(test_only_a_whole_file_with_a_later_synced_slot_was_synced),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
