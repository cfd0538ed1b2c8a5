#include "delivery/backoff.h"

#include "base/random.h"

uint64_t backoff_ms(unsigned failures, uint32_t first_ms, uint32_t max_ms)
{
    uint64_t bound = first_ms, random = 0;

    while (failures-- > 0 && bound < max_ms)
        bound *= 2;
    if (bound > max_ms)
        bound = max_ms;
    /* Without randomness the delay is the bound: late, but never a storm. */
    if (random_nonce(&random, sizeof(random)) != SEALTAPE_OK)
        return bound;
    return bound / 8 + random % (bound - bound / 8 + 1);
}
