/*
 * All numbers little-endian. Each part has a page of its own, so that a torn
 * write of one cannot harm another.
 *
 *   at 0     "SEALTAPE"  8 | format u32 | page size u32 | CRC-32 of the 16 bytes before
 *   at 4096  the flushed slot
 *   at 8192  the synced slot
 *
 * A slot:
 *   0  format u32      4  flags u32 (1: closed)   8  sequence u64     16  offset u64
 *  24  plain size u64 32  media ms u64           40  last audio i64   48  lost bytes u64
 *  56  closing len u8, 7 zero bytes              64  closing, 16      80  SHA-256, 32
 * 112  CRC-32 of the 112 bytes before
 */
#include "spool/commit.h"

#include <string.h>

#include <zlib.h>

#include "base/file.h"

#define PAGE 4096u
#define MAGIC "SEALTAPE"
#define HEADER_SIZE 20u
#define SLOT_SIZE 116u
#define FLAG_CLOSED 1u

static void put_u32(uint8_t *to, uint32_t value)
{
    for (unsigned i = 0; i < 4; i++)
        to[i] = (uint8_t)(value >> 8 * i);
}

static void put_u64(uint8_t *to, uint64_t value)
{
    for (unsigned i = 0; i < 8; i++)
        to[i] = (uint8_t)(value >> 8 * i);
}

static uint32_t get_u32(const uint8_t *from)
{
    return (uint32_t)from[0] | (uint32_t)from[1] << 8 | (uint32_t)from[2] << 16
           | (uint32_t)from[3] << 24;
}

static uint64_t get_u64(const uint8_t *from)
{
    return get_u32(from) | (uint64_t)get_u32(from + 4) << 32;
}

static uint32_t crc(const uint8_t *bytes, size_t len)
{
    return (uint32_t)crc32_z(crc32_z(0, NULL, 0), bytes, len);
}

static void slot_encode(const struct commit_slot *slot, uint8_t to[SLOT_SIZE])
{
    memset(to, 0, SLOT_SIZE);
    put_u32(to, COMMIT_FORMAT);
    put_u32(to + 4, slot->closed ? FLAG_CLOSED : 0);
    put_u64(to + 8, slot->sequence);
    put_u64(to + 16, slot->offset);
    put_u64(to + 24, slot->plain_size);
    put_u64(to + 32, slot->media_ms);
    put_u64(to + 40, (uint64_t)slot->last_audio_utc_ms);
    put_u64(to + 48, slot->lost_bytes);
    to[56] = slot->closing_len;
    memcpy(to + 64, slot->closing, COMMIT_CLOSING_MAX);
    memcpy(to + 80, slot->sha256, COMMIT_DIGEST_SIZE);
    put_u32(to + 112, crc(to, 112));
}

static bool slot_decode(const uint8_t from[SLOT_SIZE], struct commit_slot *ret_slot)
{
    if (get_u32(from + 112) != crc(from, 112) || get_u32(from) != COMMIT_FORMAT
            || from[56] > COMMIT_CLOSING_MAX)
        return false;
    *ret_slot = (struct commit_slot){
            .closed = get_u32(from + 4) & FLAG_CLOSED,
            .sequence = get_u64(from + 8),
            .offset = get_u64(from + 16),
            .plain_size = get_u64(from + 24),
            .media_ms = get_u64(from + 32),
            .last_audio_utc_ms = (int64_t)get_u64(from + 40),
            .lost_bytes = get_u64(from + 48),
            .closing_len = from[56],
    };
    memcpy(ret_slot->closing, from + 64, COMMIT_CLOSING_MAX);
    memcpy(ret_slot->sha256, from + 80, COMMIT_DIGEST_SIZE);
    return true;
}

static size_t slot_place(enum commit_which which)
{
    return which == COMMIT_FLUSHED ? PAGE : 2 * PAGE;
}

void commit_image(const struct commit_slot *slot, uint8_t ret_bytes[COMMIT_FILE_SIZE])
{
    memset(ret_bytes, 0, COMMIT_FILE_SIZE);
    memcpy(ret_bytes, MAGIC, 8);
    put_u32(ret_bytes + 8, COMMIT_FORMAT);
    put_u32(ret_bytes + 12, PAGE);
    put_u32(ret_bytes + 16, crc(ret_bytes, 16));
    slot_encode(slot, ret_bytes + slot_place(COMMIT_FLUSHED));
    slot_encode(slot, ret_bytes + slot_place(COMMIT_SYNCED));
}

enum sealtape_status commit_write(int fd, enum commit_which which, const struct commit_slot *slot)
{
    uint8_t bytes[SLOT_SIZE];

    slot_encode(slot, bytes);
    return file_write_at(fd, bytes, sizeof(bytes), slot_place(which));
}

enum sealtape_status commit_parse(const uint8_t *bytes, size_t len, struct commit_slot ret_slots[2],
        size_t *ret_count, struct diag *diag)
{
    struct commit_slot slots[2];
    size_t count = 0;

    if (len < HEADER_SIZE || memcmp(bytes, MAGIC, 8) != 0 || get_u32(bytes + 16) != crc(bytes, 16))
        return diag_fail(diag, SEALTAPE_E_STATE, "not a commit file: its header is damaged");
    if (get_u32(bytes + 8) > COMMIT_FORMAT)
        return diag_fail(diag, SEALTAPE_E_VERSION,
                "commit file of format %u; this build reads up to %d", (unsigned)get_u32(bytes + 8),
                COMMIT_FORMAT);
    if (get_u32(bytes + 12) != PAGE)
        return diag_fail(diag, SEALTAPE_E_VERSION,
                "commit file with pages of %u bytes; this build knows %u",
                (unsigned)get_u32(bytes + 12), PAGE);
    for (int which = COMMIT_FLUSHED; which <= COMMIT_SYNCED; which++) {
        size_t at = slot_place((enum commit_which)which);

        if (len >= at + SLOT_SIZE && slot_decode(bytes + at, &slots[count]))
            count++;
    }
    if (count == 2 && slots[1].sequence > slots[0].sequence) {
        struct commit_slot newer = slots[1];

        slots[1] = slots[0];
        slots[0] = newer;
    }
    memcpy(ret_slots, slots, count * sizeof(slots[0]));
    *ret_count = count;
    return SEALTAPE_OK;
}

static bool is_blank(const uint8_t *bytes, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        if (bytes[i] != 0)
            return false;
    }
    return true;
}

bool commit_was_synced(const uint8_t *bytes, size_t len)
{
    struct commit_slot slot;

    if (len < COMMIT_FILE_SIZE || is_blank(bytes, HEADER_SIZE)
            || is_blank(bytes + slot_place(COMMIT_SYNCED), SLOT_SIZE))
        return false;
    return !slot_decode(bytes + slot_place(COMMIT_SYNCED), &slot) || slot.sequence > 1;
}
