#include "base/quantity.h"

#include <stddef.h>
#include <string.h>

struct unit {
    const char *name;
    uint64_t value;
};

static const struct unit sizes[] = {
        {"KiB", UINT64_C(1) << 10},
        {"MiB", UINT64_C(1) << 20},
        {"GiB", UINT64_C(1) << 30},
        {"TiB", UINT64_C(1) << 40},
};
static const struct unit times[] = {
        {"ms", 1},
        {"s", 1000},
        {"min", 60 * 1000},
        {"h", 60 * 60 * 1000},
        {"d", 24 * 60 * 60 * 1000},
};

static enum sealtape_status read_quantity(
        const char *text, const struct unit *units, size_t count, uint64_t *ret_value)
{
    const char *at = text;
    uint64_t number = 0, value;

    for (; *at >= '0' && *at <= '9'; at++) {
        if (__builtin_mul_overflow(number, 10u, &number)
                || __builtin_add_overflow(number, (uint64_t)(*at - '0'), &number))
            return SEALTAPE_E_USAGE;
    }
    if (at == text)
        return SEALTAPE_E_USAGE;
    for (size_t i = 0; i < count; i++) {
        if (strcmp(at, units[i].name) != 0)
            continue;
        if (__builtin_mul_overflow(number, units[i].value, &value))
            return SEALTAPE_E_USAGE;
        *ret_value = value;
        return SEALTAPE_OK;
    }
    return SEALTAPE_E_USAGE;
}

enum sealtape_status quantity_size(const char *text, uint64_t *ret_bytes)
{
    return read_quantity(text, sizes, ARRAY_COUNT(sizes), ret_bytes);
}

enum sealtape_status quantity_time(const char *text, uint64_t *ret_ms)
{
    return read_quantity(text, times, ARRAY_COUNT(times), ret_ms);
}
