/*
 * What libFuzzer and replay.c call: one function that takes any bytes. It
 * returns 0, or aborts where a promise of the code under test is broken.
 */
#ifndef SEALTAPE_TEST_FUZZ_H
#define SEALTAPE_TEST_FUZZ_H

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

/* Like assert(), but in every build. */
#define FUZZ_CHECK(condition)                                                                      \
    do {                                                                                           \
        if (!(condition))                                                                          \
            abort();                                                                               \
    } while (0)

#endif
