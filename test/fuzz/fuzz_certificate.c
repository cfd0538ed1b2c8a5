#include <string.h>

#include "fuzz.h"
#include "profile/certificate.h"
#include "profile/crl.h"

/* A certificate in DER from a profile, and a CRL in DER from the trust. */
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    const struct certificate_der itself = {bytes, len};
    const struct certificate_source source = {
            .tenant = "t", .leaf = itself, .chain = &itself, .chain_count = 1};
    struct certificate *certificate = NULL;
    struct crl *crl = NULL;

    if (certificate_new(&source, &certificate, NULL) == SEALTAPE_OK) {
        const struct certificate_facts *facts = certificate_facts(certificate);

        FUZZ_CHECK(facts->serial_octets_len > 0 && facts->serial[0]);
        for (const char *c = facts->alias; *c; c++)
            FUZZ_CHECK((unsigned char)*c >= 0x20 && *c != 0x7f);
    }
    if (crl_new(bytes, len, &crl, NULL) == SEALTAPE_OK) {
        for (size_t i = 0; i < crl->revoked_count; i++) {
            const struct crl_revoked *revoked = &crl->revoked[i];

            FUZZ_CHECK(crl_find(crl, revoked->serial, revoked->serial_len) != NULL);
        }
    }
    crl_free(&crl);
    certificate_release(&certificate);
    return 0;
}
