/*
 * The words that every file of the project uses: statuses, ownership, results
 * that must not be dropped.
 */
#ifndef SEALTAPE_BASE_STATUS_H
#define SEALTAPE_BASE_STATUS_H

#include <sealtape/module.h>

#define MUST_CHECK __attribute__((warn_unused_result))
#define PRINTF_LIKE(text, first) __attribute__((format(printf, text, first)))

/* Run @function on the address of the variable when its scope ends. */
#define CLEANUP(function) __attribute__((cleanup(function)))

/* Give away what a pointer variable owns. */
#define TAKE(pointer)                                                                              \
    __extension__({                                                                                \
        __typeof__(pointer) take_taken_ = (pointer);                                               \
        (pointer) = NULL;                                                                          \
        take_taken_;                                                                               \
    })

/* Drop a result; the caller's comment says why that is right. */
#define ignore(call)                                                                               \
    do {                                                                                           \
        if (call) {                                                                                \
        }                                                                                          \
    } while (0)

#define ARRAY_COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* "E_PROFILE" and so on; never NULL. [any] */
const char *status_name(enum sealtape_status status);

#endif
