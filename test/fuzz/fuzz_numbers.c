#include <stdio.h>
#include <string.h>

#include "fuzz.h"
#include "spool/numbers.h"

/* What is read is written as it was, but for the format's leading zeros. */
static void write_again(const struct numbers *numbers, const char *epoch)
{
    struct numbers *again = NULL;
    char second_epoch[33], *text = NULL, *second = NULL;
    size_t len = 0, second_len = 0;

    FUZZ_CHECK(numbers_text(numbers, epoch, &text, &len) == SEALTAPE_OK);
    FUZZ_CHECK(numbers_new(&again) == SEALTAPE_OK);
    FUZZ_CHECK(numbers_parse(again, text, len, second_epoch, NULL) == SEALTAPE_OK);
    FUZZ_CHECK(numbers_text(again, second_epoch, &second, &second_len) == SEALTAPE_OK);
    FUZZ_CHECK(len == second_len && memcmp(text, second, len) == 0);
    numbers_free(&again);
    free(second);
    free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    char *text = malloc(len ? len : 1), epoch[33] = "untouched";
    struct numbers *numbers = NULL;
    struct diag diag = {""};
    uint64_t number = 0;

    FUZZ_CHECK(text && numbers_new(&numbers) == SEALTAPE_OK);
    if (len > 0)
        memcpy(text, bytes, len);
    FUZZ_CHECK(numbers_see(numbers, 7, 41) == SEALTAPE_OK);
    if (numbers_parse(numbers, text, len, epoch, &diag) == SEALTAPE_OK) {
        FUZZ_CHECK(strlen(epoch) == 32);
        write_again(numbers, epoch);
        if (numbers_take(numbers, 101, &number) == SEALTAPE_OK)
            FUZZ_CHECK(number >= 1 && number <= NUMBERS_LAST_MAX);
    } else {
        FUZZ_CHECK(strncmp(diag.text, "epoch: ", 7) == 0 && strcmp(epoch, "untouched") == 0);
        FUZZ_CHECK(numbers_take(numbers, 7, &number) == SEALTAPE_OK && number == 42);
    }
    numbers_free(&numbers);
    free(text);
    return 0;
}
