#include "base/der.h"

#define DEPTH_MAX 16u

enum sealtape_status der_read(const uint8_t *bytes, size_t len, struct der_header *ret_header)
{
    uint64_t value = 0;
    size_t octets;

    if (len < 2 || (bytes[0] & 0x1f) == 0x1f)
        return SEALTAPE_E_USAGE;
    if (bytes[1] < 0x80) {
        *ret_header = (struct der_header){bytes[0], 2, bytes[1]};
        return SEALTAPE_OK;
    }
    octets = bytes[1] & 0x7f;
    /* 0: indefinite; a first octet 0: not the shortest. */
    if (octets == 0 || octets > sizeof(value) || len < 2 + octets || bytes[2] == 0)
        return SEALTAPE_E_USAGE;
    for (size_t i = 0; i < octets; i++)
        value = value << 8 | bytes[2 + i];
    if (value < 0x80)
        return SEALTAPE_E_USAGE;
    *ret_header = (struct der_header){bytes[0], 2 + octets, value};
    return SEALTAPE_OK;
}

size_t der_put(uint8_t *to, uint8_t tag, uint64_t len)
{
    size_t octets = 0;

    if (len >= 0x80) {
        for (uint64_t rest = len; rest > 0; rest >>= 8)
            octets++;
    }
    if (!to)
        return 2 + octets;
    to[0] = tag;
    to[1] = octets == 0 ? (uint8_t)len : (uint8_t)(0x80 | octets);
    for (size_t i = 0; i < octets; i++)
        to[2 + i] = (uint8_t)(len >> (8 * (octets - 1 - i)));
    return 2 + octets;
}

bool der_is_strict(const uint8_t *bytes, size_t len)
{
    /* Ends of the constructed values that are open, innermost last. */
    size_t ends[DEPTH_MAX];
    struct der_header header;
    size_t depth = 0, at = 0;

    ends[0] = len;
    while (at < len) {
        if (der_read(bytes + at, ends[depth] - at, &header) != SEALTAPE_OK)
            return false;
        at += header.size;
        if (header.len > ends[depth] - at)
            return false;
        if (!(header.tag & 0x20)) {
            at += (size_t)header.len;
        } else if (header.len > 0) {
            if (++depth == DEPTH_MAX)
                return false;
            ends[depth] = at + (size_t)header.len;
        }
        while (depth > 0 && at == ends[depth])
            depth--;
    }
    return true;
}
