/*
 * What must hold of any annex file, an export or an option file.
 */
#ifndef SEALTAPE_TEST_FUZZ_ANNEX_H
#define SEALTAPE_TEST_FUZZ_ANNEX_H

#include <string.h>

#include "fuzz.h"
#include "profile/private_key.h"
#include "profile/snapshot.h"

typedef enum sealtape_status annex_reader(const char *file, const char *bytes, size_t len,
        struct annex_list *ret_list, struct diag *diag);

static void check_annex(const struct annex *annex, struct pool *pool)
{
    struct shared_profile *shared = NULL;
    struct diag diag = {""};

    FUZZ_CHECK(annex->dbid > 0 && annex->line > 0);
    for (size_t i = 0; i < annex->options_count; i++) {
        const struct annex_option *option = &annex->options[i];

        FUZZ_CHECK(option->line >= annex->line);
        FUZZ_CHECK(!private_key_find(option->value, strlen(option->value), NULL));
    }
    if (shared_profile_new(annex, NULL, pool, &shared, &diag) == SEALTAPE_OK) {
        const struct profile *profile = shared_profile_get(shared);

        FUZZ_CHECK(profile->dbid == annex->dbid && profile->name[0] != '\0');
        FUZZ_CHECK(profile->certificates_count <= PROFILE_CERTIFICATES_MAX);
        FUZZ_CHECK(!profile->storage.url || strncasecmp(profile->storage.url, "http", 4) == 0);
    } else {
        FUZZ_CHECK(strncmp(diag.text, annex->file, strlen(annex->file)) == 0);
    }
    shared_profile_release(&shared);
}

/* As a file is read: keys are blanked first, and a key is never taken over. */
static void check_annexes(annex_reader *read, const char *file, const uint8_t *bytes, size_t len)
{
    struct annex_list list = {NULL, 0, 0};
    struct pool *pool = NULL;
    struct diag diag = {""};
    char *text = malloc(len + 1);

    if (!text || pool_new(&pool, NULL) != SEALTAPE_OK)
        abort();
    memcpy(text, bytes, len);
    text[len] = '\0';
    (void)private_key_blank(text, len, NULL);
    if (read(file, text, len, &list, &diag) == SEALTAPE_OK) {
        for (size_t i = 0; i < list.count; i++)
            check_annex(list.items[i], pool);
    } else {
        FUZZ_CHECK(strstr(diag.text, file) != NULL);
    }
    annex_list_clear(&list);
    pool_free(&pool);
    free(text);
}

#endif
