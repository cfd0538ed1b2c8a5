#include <string.h>

#include "fuzz.h"
#include "spool/commit.h"

/* As bytes of a file: whatever they are, what is given back keeps its bounds. */
static void read_bytes(const uint8_t *bytes, size_t len)
{
    struct commit_slot slots[2];
    struct diag diag = {""};
    size_t count = 7;
    enum sealtape_status st = commit_parse(bytes, len, slots, &count, &diag);

    if (st != SEALTAPE_OK) {
        FUZZ_CHECK(diag.text[0] != '\0' && count == 7);
        return;
    }
    FUZZ_CHECK(count <= 2);
    FUZZ_CHECK(count < 2 || slots[0].sequence >= slots[1].sequence);
    for (size_t i = 0; i < count; i++)
        FUZZ_CHECK(slots[i].closing_len <= COMMIT_CLOSING_MAX);
}

static uint64_t number(const uint8_t *bytes)
{
    uint64_t value = 0;

    memcpy(&value, bytes, sizeof(value));
    return value;
}

/* As a slot: what was written is read; with one byte of its file changed, it is not believed. */
static void write_and_read(const uint8_t *bytes)
{
    static uint8_t image[COMMIT_FILE_SIZE];
    struct commit_slot slot = {.sequence = number(bytes),
            .offset = number(bytes + 8),
            .plain_size = number(bytes + 16),
            .media_ms = number(bytes + 24),
            .last_audio_utc_ms = (int64_t)number(bytes + 32),
            .lost_bytes = number(bytes + 40),
            .closed = bytes[48] & 1,
            .closing_len = bytes[49] % (COMMIT_CLOSING_MAX + 1)};
    struct commit_slot slots[2];
    size_t count = 0, at = number(bytes + 50) % COMMIT_FILE_SIZE;

    memcpy(slot.closing, bytes, slot.closing_len);
    memcpy(slot.sha256, bytes, sizeof(slot.sha256));
    commit_image(&slot, image);
    FUZZ_CHECK(commit_parse(image, sizeof(image), slots, &count, NULL) == SEALTAPE_OK);
    FUZZ_CHECK(count == 2);
    FUZZ_CHECK(slots[0].sequence == slot.sequence && slots[0].offset == slot.offset);
    FUZZ_CHECK(slots[0].plain_size == slot.plain_size && slots[0].media_ms == slot.media_ms);
    FUZZ_CHECK(slots[0].last_audio_utc_ms == slot.last_audio_utc_ms);
    FUZZ_CHECK(slots[0].lost_bytes == slot.lost_bytes && slots[0].closed == slot.closed);
    FUZZ_CHECK(slots[0].closing_len == slot.closing_len);
    FUZZ_CHECK(memcmp(slots[0].closing, slot.closing, slot.closing_len) == 0);
    FUZZ_CHECK(memcmp(slots[0].sha256, slot.sha256, sizeof(slot.sha256)) == 0);

    image[at] ^= (uint8_t)(bytes[58] | 1);
    if (commit_parse(image, sizeof(image), slots, &count, NULL) != SEALTAPE_OK)
        return;
    FUZZ_CHECK(count >= 1 && slots[0].offset == slot.offset);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    read_bytes(bytes, len);
    if (len >= 64)
        write_and_read(bytes);
    return 0;
}
