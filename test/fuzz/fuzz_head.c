#include <string.h>

#include "delivery/head.h"
#include "fuzz.h"

/* 2026-03-02T09:15:00Z */
#define NOW_MS INT64_C(1772442900000)

/* The head of an answer, line by line, each from the heap and of its exact size. */
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    struct head head = {0, 0, UINT64_MAX};

    while (len > 0) {
        const uint8_t *newline = memchr(bytes, '\n', len);
        size_t size = newline ? (size_t)(newline - bytes) + 1 : len;
        char *line = malloc(size);

        FUZZ_CHECK(line);
        memcpy(line, bytes, size);
        if (head_line(&head, line, size, NOW_MS))
            FUZZ_CHECK(head.retry_after_ms == 0 && head.total == UINT64_MAX);
        FUZZ_CHECK(head.status == 0 || (head.status >= 200 && head.status <= 999));
        FUZZ_CHECK(head.retry_after_ms <= HEAD_RETRY_AFTER_MAX_MS);
        FUZZ_CHECK(head.total == UINT64_MAX || head.total < UINT64_C(1000000000000000000));
        free(line);
        bytes += size;
        len -= size;
    }
    return 0;
}
