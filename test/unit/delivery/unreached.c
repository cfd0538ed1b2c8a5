/*
 * Delivery reads documents and never makes one: what making one needs is not
 * linked into these tests. Whoever gets here has found a new arrow.
 */
#include <stdlib.h>

#define UNREACHED(name)                                                                            \
    void name(void);                                                                               \
    __attribute__((weak)) void name(void)                                                          \
    {                                                                                              \
        abort();                                                                                   \
    }

UNREACHED(certificate_facts)
UNREACHED(certificate_release)
UNREACHED(envelope_encode)
