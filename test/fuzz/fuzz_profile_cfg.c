#include "annex.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    check_annexes(annex_read_options, "107.cfg", bytes, len);
    return 0;
}
