/*
 *  offset  size
 *       0     4  "RIFF"
 *       4     4  bytes that follow, little-endian
 *       8     4  "WAVE"
 *      12        chunks: 4 bytes name, 4 bytes length, the data, a byte of
 *                padding where the length is odd; "fmt " comes before "data"
 */
#include "unseal/wav.h"

#include <string.h>

#define FORMAT_EXTENSIBLE 0xfffeu

static uint32_t get16(const uint8_t *at)
{
    return (uint32_t)at[0] | (uint32_t)at[1] << 8;
}

static uint32_t get32(const uint8_t *at)
{
    return get16(at) | get16(at + 2) << 16;
}

static void put32(uint8_t *at, uint32_t value)
{
    for (int i = 0; i < 4; i++)
        at[i] = (uint8_t)(value >> (8 * i));
}

static enum sealtape_status read_format(const uint8_t *at, size_t size, struct wav *wav)
{
    if (size < 16)
        return SEALTAPE_E_USAGE;
    wav->format = get16(at);
    wav->channels = get16(at + 2);
    wav->rate = get32(at + 4);
    wav->byte_rate = get32(at + 8);
    wav->bits = get16(at + 14);
    /* The sub-format's first two bytes are the old tag. */
    if (wav->format == FORMAT_EXTENSIBLE && size >= 26)
        wav->format = get16(at + 24);
    return SEALTAPE_OK;
}

enum sealtape_status wav_read(const uint8_t *bytes, size_t len, struct wav *ret_wav)
{
    struct wav wav = {0};
    size_t at = 12;
    int has_format = 0;
    uint32_t size;

    if (memcmp(bytes, "RIFF", len < 4 ? len : 4) != 0
            || (len > 8 && memcmp(bytes + 8, "WAVE", len < 12 ? len - 8 : 4) != 0))
        return SEALTAPE_E_USAGE;
    while (at + 8 <= len) {
        size = get32(bytes + at + 4);
        if (memcmp(bytes + at, "data", 4) == 0) {
            if (!has_format)
                return SEALTAPE_E_USAGE;
            wav.riff_size = get32(bytes + 4);
            wav.data_size = size;
            wav.data_offset = at + 8;
            *ret_wav = wav;
            return SEALTAPE_OK;
        }
        if (size > WAV_HEADER_MAX || at > WAV_HEADER_MAX)
            return SEALTAPE_E_USAGE;
        if (memcmp(bytes + at, "fmt ", 4) == 0) {
            if (at + 8 + size > len)
                return SEALTAPE_E_AGAIN;
            if (read_format(bytes + at + 8, size, &wav) != SEALTAPE_OK)
                return SEALTAPE_E_USAGE;
            has_format = 1;
        }
        at += 8 + size + (size & 1);
    }
    return at > WAV_HEADER_MAX ? SEALTAPE_E_USAGE : SEALTAPE_E_AGAIN;
}

int wav_repair(uint8_t *bytes, size_t len, uint64_t file_size)
{
    uint64_t data_size, riff_size;
    int changed = 0;
    struct wav wav;

    if (wav_read(bytes, len, &wav) != SEALTAPE_OK || file_size < wav.data_offset)
        return 0;
    data_size = file_size - wav.data_offset;
    riff_size = file_size - 8;
    if ((wav.data_size == 0 || wav.data_size > data_size) && wav.data_size != data_size) {
        put32(bytes + wav.data_offset - 4,
                data_size < UINT32_MAX ? (uint32_t)data_size : UINT32_MAX);
        changed = 1;
    }
    if (changed || wav.riff_size > riff_size) {
        put32(bytes + 4, riff_size < UINT32_MAX ? (uint32_t)riff_size : UINT32_MAX);
        changed = 1;
    }
    return changed;
}
