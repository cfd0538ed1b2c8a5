#include <string.h>

#include "fuzz.h"
#include "unseal/wav.h"

/* The true size of the file: eight bytes in front of the header. */
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    uint64_t file_size = 0;
    struct wav wav = {0};
    uint8_t *copy;

    if (len < sizeof(file_size))
        return 0;
    memcpy(&file_size, bytes, sizeof(file_size));
    bytes += sizeof(file_size);
    len -= sizeof(file_size);
    copy = malloc(len ? len : 1);
    FUZZ_CHECK(copy);
    if (len > 0)
        memcpy(copy, bytes, len);
    if (wav_read(copy, len, &wav) == SEALTAPE_OK)
        FUZZ_CHECK(wav.data_offset <= len && wav.data_offset <= 2 * WAV_HEADER_MAX);
    else
        FUZZ_CHECK(wav.data_offset == 0);
    if (wav_repair(copy, len, file_size)) {
        FUZZ_CHECK(wav_read(copy, len, &wav) == SEALTAPE_OK);
        FUZZ_CHECK(!wav_repair(copy, len, file_size));
    } else {
        FUZZ_CHECK(len == 0 || memcmp(copy, bytes, len) == 0);
    }
    free(copy);
    return 0;
}
