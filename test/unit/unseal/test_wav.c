#include "unseal/wav.h"

#include <string.h>

#include "../unit.h"

#define FMT "fmt \x10\0\0\0\x01\0\x02\0\x44\xac\0\0\x10\xb1\x02\0\x04\0\x10\0"
#define RIFF "RIFF\x40\0\0\0WAVE"

static const uint8_t plain[] = RIFF FMT "data\x20\0\0\0";
static const uint8_t with_list[] = RIFF "LIST\x03\0\0\0abc\0" FMT "data\0\0\0\0";
static const uint8_t extensible[] =
        RIFF "fmt \x28\0\0\0\xfe\xff\x01\0\x40\x1f\0\0\x40\x1f\0\0\x01\0\x08\0"
             "\x16\0\x08\0\x04\0\0\0\x07\0\0\0\0\0\x10\0\x80\0\0\xaa\0\x38\x9b\x71"
             "data\0\0\0\0";

/* Without the literal's NUL. */
#define LEN(bytes) (sizeof(bytes) - 1)

static void a_header_is_read(void **state)
{
    struct wav wav;

    (void)state;
    assert_int_equal(wav_read(plain, LEN(plain), &wav), SEALTAPE_OK);
    assert_int_equal(wav.format, WAV_PCM);
    assert_int_equal(wav.channels, 2);
    assert_int_equal(wav.bits, 16);
    assert_int_equal(wav.rate, 44100);
    assert_int_equal(wav.byte_rate, 176400);
    assert_int_equal(wav.data_size, 32);
    assert_int_equal(wav.data_offset, 44);
    assert_int_equal(wav_read(with_list, LEN(with_list), &wav), SEALTAPE_OK);
    assert_int_equal(wav.data_offset, 56);
    assert_int_equal(wav_read(extensible, LEN(extensible), &wav), SEALTAPE_OK);
    assert_int_equal(wav.format, WAV_ULAW);
}

static void each_beginning_of_a_header_asks_for_more(void **state)
{
    struct wav wav;

    (void)state;
    for (size_t len = 0; len < LEN(extensible); len++)
        assert_int_equal(wav_read(extensible, len, &wav), SEALTAPE_E_AGAIN);
}

static void what_is_no_header_is_refused(void **state)
{
    static const uint8_t other[] = "ID3\x04\0\0\0\0\0\0\0\0";
    static const uint8_t avi[] = "RIFF\x40\0\0\0AVI LIST";
    static const uint8_t no_format[] = RIFF "data\0\0\0\0";
    static const uint8_t short_format[] = RIFF "fmt \x02\0\0\0\x01\0data\0\0\0\0";
    static const uint8_t huge_chunk[] = RIFF "LIST\xff\xff\xff\xff";
    struct wav wav;

    (void)state;
    assert_int_equal(wav_read(other, LEN(other), &wav), SEALTAPE_E_USAGE);
    assert_int_equal(wav_read(avi, LEN(avi), &wav), SEALTAPE_E_USAGE);
    wav.data_offset = 7;
    assert_int_equal(wav_read(no_format, LEN(no_format), &wav), SEALTAPE_E_USAGE);
    assert_int_equal(wav.data_offset, 7);
    assert_int_equal(wav_read(short_format, LEN(short_format), &wav), SEALTAPE_E_USAGE);
    assert_int_equal(wav_read(huge_chunk, LEN(huge_chunk), &wav), SEALTAPE_E_USAGE);
}

static void repair(const char *riff, const char *data, uint64_t file_size, const char *riff_after,
        const char *data_after)
{
    uint8_t bytes[LEN(plain)];

    memcpy(bytes, plain, sizeof(bytes));
    memcpy(bytes + 4, riff, 4);
    memcpy(bytes + 40, data, 4);
    assert_int_equal(wav_repair(bytes, sizeof(bytes), file_size),
            memcmp(riff, riff_after, 4) != 0 || memcmp(data, data_after, 4) != 0);
    assert_memory_equal(bytes + 4, riff_after, 4);
    assert_memory_equal(bytes + 40, data_after, 4);
}

static void sizes_that_a_streaming_writer_left_are_repaired(void **state)
{
    (void)state;
    repair("\0\0\0\0", "\0\0\0\0", 144, "\x88\0\0\0", "\x64\0\0\0");
    repair("\xff\xff\xff\xff", "\xff\xff\xff\xff", 144, "\x88\0\0\0", "\x64\0\0\0");
    repair("\x24\xf0\xff\x7f", "\0\xf0\xff\x7f", 144, "\x88\0\0\0", "\x64\0\0\0");
    /* A recording that was interrupted has less than its header says. */
    repair("\x88\0\0\0", "\x64\0\0\0", 64, "\x38\0\0\0", "\x14\0\0\0");
    repair("\0\0\0\0", "\0\0\0\0", 0x200000000, "\xff\xff\xff\xff", "\xff\xff\xff\xff");
}

static void true_sizes_stay(void **state)
{
    (void)state;
    repair("\x88\0\0\0", "\x64\0\0\0", 144, "\x88\0\0\0", "\x64\0\0\0");
    /* Chunks behind the data. */
    repair("\x88\0\0\0", "\x20\0\0\0", 144, "\x88\0\0\0", "\x20\0\0\0");
    /* No data, and said so. */
    repair("\x24\0\0\0", "\0\0\0\0", 44, "\x24\0\0\0", "\0\0\0\0");
    /* Smaller than its own header. */
    repair("\0\0\0\0", "\0\0\0\0", 20, "\0\0\0\0", "\0\0\0\0");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
            cmocka_unit_test(a_header_is_read),
            cmocka_unit_test(each_beginning_of_a_header_asks_for_more),
            cmocka_unit_test(what_is_no_header_is_refused),
            cmocka_unit_test(sizes_that_a_streaming_writer_left_are_repaired),
            cmocka_unit_test(true_sizes_stay),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
