#include <string.h>

#include "fuzz.h"
#include "spool/attempts.h"

#define MEDIA_ID "a-1.wav"

/* Nothing but a temporary name of this media file may ever be deleted. */
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    char *text = malloc(len ? len : 1);
    char **urls = NULL;

    FUZZ_CHECK(text);
    if (len > 0)
        memcpy(text, bytes, len);
    if (attempts_parse(text, len, MEDIA_ID, &urls) == SEALTAPE_OK) {
        for (size_t i = 0; urls[i]; i++) {
            const char *name = strrchr(urls[i], '/');
            size_t url_len = strlen(urls[i]);

            FUZZ_CHECK(name && strncmp(name + 1, MEDIA_ID ".", strlen(MEDIA_ID) + 1) == 0);
            FUZZ_CHECK(strcmp(urls[i] + url_len - strlen(".part"), ".part") == 0);
            FUZZ_CHECK(!strpbrk(urls[i], " \t\r\n"));
        }
    }
    free(urls);
    free(text);
    return 0;
}
