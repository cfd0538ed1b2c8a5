#include "annex.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    check_annexes(annex_read_export, "record.xml", bytes, len);
    return 0;
}
