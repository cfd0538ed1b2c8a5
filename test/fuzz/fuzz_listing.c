#include <stdlib.h>
#include <string.h>

#include "delivery/listing.h"
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    char *text = malloc(len + 1);
    struct diag diag = {""};
    uint64_t length = 42;

    FUZZ_CHECK(text);
    if (len > 0)
        memcpy(text, bytes, len);
    text[len] = '\0';
    if (listing_length(text, len, &length, &diag) == SEALTAPE_OK)
        FUZZ_CHECK(length < UINT64_C(1000000000000000000));
    else
        FUZZ_CHECK(length == 42 && diag.text[0] != '\0');
    free(text);
    return 0;
}
