/*
 * What every unit test includes: cmocka with its prerequisites.
 */
#ifndef SEALTAPE_TEST_UNIT_H
#define SEALTAPE_TEST_UNIT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/diag.h"

/* The text has this part; prints both when not. */
#define assert_contains(text, part)                                                                \
    do {                                                                                           \
        if (!strstr((text), (part)))                                                               \
            fail_msg("expected \"%s\" in \"%s\"", (part), (text));                                 \
    } while (0)

#endif
