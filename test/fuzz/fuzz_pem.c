#include <string.h>

#include "fuzz.h"
#include "profile/pem.h"
#include "profile/private_key.h"

/* Blanking ends, keeps the length and every newline, and finds no key where there is none. */
static void check_blanking(const uint8_t *bytes, size_t len)
{
    char *text = malloc(len + 1);
    bool found;

    if (!text)
        abort();
    memcpy(text, bytes, len);
    found = private_key_find(text, len, NULL);
    FUZZ_CHECK(private_key_blank(text, len, NULL) == found);
    for (size_t i = 0; i < len; i++) {
        FUZZ_CHECK((bytes[i] == '\n') == (text[i] == '\n'));
        FUZZ_CHECK(found || (char)bytes[i] == text[i]);
    }
    free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    struct pem *pem = NULL;
    struct diag diag = {""};
    char *text = malloc(len + 1);

    if (!text)
        abort();
    memcpy(text, bytes, len);
    check_blanking(bytes, len);
    if (pem_read(text, len, &pem, &diag) == SEALTAPE_OK) {
        FUZZ_CHECK(pem->count >= 1 && pem->count <= PEM_CERTIFICATES_MAX);
        FUZZ_CHECK(pem_is_meant(text, len));
        for (size_t i = 0; i < pem->count; i++)
            FUZZ_CHECK(pem->blocks[i].len >= 2 && pem->blocks[i].bytes[0] == 0x30);
    } else {
        FUZZ_CHECK(!pem && diag.text[0] != '\0');
    }
    pem_free(&pem);
    free(text);
    return 0;
}
