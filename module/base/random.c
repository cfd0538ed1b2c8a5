#include "base/random.h"

#include <gnutls/crypto.h>

enum sealtape_status random_key(void *ret_bytes, size_t len)
{
    return gnutls_rnd(GNUTLS_RND_KEY, ret_bytes, len) == 0 ? SEALTAPE_OK : SEALTAPE_E_IO;
}

enum sealtape_status random_nonce(void *ret_bytes, size_t len)
{
    return gnutls_rnd(GNUTLS_RND_NONCE, ret_bytes, len) == 0 ? SEALTAPE_OK : SEALTAPE_E_IO;
}
