#include "profile/annex.h"

#include <stdlib.h>
#include <string.h>

#include "profile/private_key.h"

enum sealtape_status annex_new(
        const char *file, unsigned line, struct annex **ret_annex, struct diag *diag)
{
    CLEANUP(annex_free) struct annex *annex = NULL;

    annex = calloc(1, sizeof(*annex));
    if (!annex)
        return diag_fail(diag, SEALTAPE_E_MEMORY, "%s: no memory", file);
    annex->enabled = true;
    annex->line = line;
    annex->file = strdup(file);
    if (!annex->file)
        return diag_fail(diag, SEALTAPE_E_MEMORY, "%s: no memory", file);
    *ret_annex = TAKE(annex);
    return SEALTAPE_OK;
}

static void option_clear(struct annex_option *option)
{
    free(option->section);
    free(option->key);
    free(option->value);
    memset(option, 0, sizeof(*option));
}

void annex_free(struct annex **annex)
{
    if (!*annex)
        return;
    for (size_t i = 0; i < (*annex)->options_count; i++)
        option_clear(&(*annex)->options[i]);
    free((*annex)->options);
    free((*annex)->name);
    free((*annex)->file);
    free(*annex);
    *annex = NULL;
}

static bool is_name(const char *text)
{
    if (*text == '\0' || strlen(text) > 255)
        return false;
    for (; *text; text++) {
        if ((unsigned char)*text < 0x20 || *text == 0x7f)
            return false;
    }
    return true;
}

enum sealtape_status annex_add(
        struct annex *annex, const struct annex_text *option, struct diag *diag)
{
    struct annex_option *grown, copy;
    size_t len = option->value_len;

    if (private_key_find(option->value, len, NULL)
            || private_key_find(option->key, strlen(option->key), NULL))
        return diag_fail(diag, SEALTAPE_E_CONFIG, "profile %u, %s:%u: %s", annex->dbid, annex->file,
                option->line, PRIVATE_KEY_REASON);
    if (!is_name(option->section) || !is_name(option->key))
        return diag_fail(diag, SEALTAPE_E_CONFIG,
                "%s:%u: a section or option name is empty, longer than 255 bytes or has control "
                "characters",
                annex->file, option->line);
    if (len > ANNEX_VALUE_MAX)
        return diag_fail(diag, SEALTAPE_E_CONFIG, "%s:%u: option %s has %zu bytes; %u are read",
                annex->file, option->line, option->key, len, ANNEX_VALUE_MAX);
    if (annex->options_count == ANNEX_OPTIONS_MAX)
        return diag_fail(diag, SEALTAPE_E_CONFIG, "%s:%u: more than %u options in one profile",
                annex->file, option->line, ANNEX_OPTIONS_MAX);
    if ((annex->options_count & (annex->options_count - 1)) == 0) {
        size_t capacity = annex->options_count == 0 ? 1 : annex->options_count * 2;

        grown = realloc(annex->options, capacity * sizeof(*grown));
        if (!grown)
            return diag_fail(diag, SEALTAPE_E_MEMORY, "%s: no memory", annex->file);
        annex->options = grown;
    }
    copy = (struct annex_option){strdup(option->section), strdup(option->key),
            strndup(option->value, len), option->line};
    if (!copy.section || !copy.key || !copy.value) {
        option_clear(&copy);
        return diag_fail(diag, SEALTAPE_E_MEMORY, "%s: no memory", annex->file);
    }
    annex->options[annex->options_count++] = copy;
    return SEALTAPE_OK;
}

static int compare_options(const void *left, const void *right)
{
    const struct annex_option *a = *(const struct annex_option *const *)left;
    const struct annex_option *b = *(const struct annex_option *const *)right;
    int order = strcmp(a->section, b->section);

    if (order == 0)
        order = strcmp(a->key, b->key);
    return order != 0 ? order : (a->line > b->line) - (a->line < b->line);
}

static void free_pointers(const struct annex_option ***pointers)
{
    free(*pointers);
}

enum sealtape_status annex_check(const struct annex *annex, struct diag *diag)
{
    CLEANUP(free_pointers) const struct annex_option **sorted = NULL;

    sorted = calloc(annex->options_count + 1, sizeof(struct annex_option *));
    if (!sorted)
        return diag_fail(diag, SEALTAPE_E_MEMORY, "%s: no memory", annex->file);
    for (size_t i = 0; i < annex->options_count; i++)
        sorted[i] = &annex->options[i];
    qsort(sorted, annex->options_count, sizeof(sorted[0]), compare_options);
    for (size_t i = 1; i < annex->options_count; i++) {
        if (strcmp(sorted[i - 1]->section, sorted[i]->section) == 0
                && strcmp(sorted[i - 1]->key, sorted[i]->key) == 0)
            return diag_fail(diag, SEALTAPE_E_CONFIG,
                    "%s:%u: option %s of section %s stands in line %u already", annex->file,
                    sorted[i]->line, sorted[i]->key, sorted[i]->section, sorted[i - 1]->line);
    }
    return SEALTAPE_OK;
}

enum sealtape_status annex_number(const char *text, uint32_t *ret_number)
{
    uint64_t number = 0;

    if (*text < '1' || *text > '9')
        return SEALTAPE_E_USAGE;
    for (; *text; text++) {
        if (*text < '0' || *text > '9')
            return SEALTAPE_E_USAGE;
        number = number * 10 + (uint64_t)(*text - '0');
        if (number > UINT32_MAX)
            return SEALTAPE_E_USAGE;
    }
    *ret_number = (uint32_t)number;
    return SEALTAPE_OK;
}

enum sealtape_status annex_list_add(
        struct annex_list *list, struct annex **annex, struct diag *diag)
{
    CLEANUP(annex_free) struct annex *taken = TAKE(*annex);

    if (list->count == ANNEX_PROFILES_MAX)
        return diag_fail(diag, SEALTAPE_E_CONFIG, "%s:%u: more than %u profiles", taken->file,
                taken->line, ANNEX_PROFILES_MAX);
    if (list->count == list->capacity) {
        size_t capacity = list->capacity == 0 ? 1 : list->capacity * 2;
        struct annex **grown = realloc(list->items, capacity * sizeof(struct annex *));

        if (!grown)
            return diag_fail(diag, SEALTAPE_E_MEMORY, "%s: no memory", taken->file);
        list->items = grown;
        list->capacity = capacity;
    }
    list->items[list->count++] = TAKE(taken);
    return SEALTAPE_OK;
}

static int compare_annexes(const void *left, const void *right)
{
    const struct annex *a = *(const struct annex *const *)left;
    const struct annex *b = *(const struct annex *const *)right;

    if (a->dbid != b->dbid)
        return a->dbid < b->dbid ? -1 : 1;
    return (a->line > b->line) - (a->line < b->line);
}

enum sealtape_status annex_list_check(struct annex_list *list, struct diag *diag)
{
    if (list->count > 1)
        qsort(list->items, list->count, sizeof(struct annex *), compare_annexes);
    for (size_t i = 1; i < list->count; i++) {
        const struct annex *annex = list->items[i], *before = list->items[i - 1];

        if (annex->dbid == before->dbid)
            return diag_fail(diag, SEALTAPE_E_CONFIG, "%s:%u: profile %u stands in line %u already",
                    annex->file, annex->line, annex->dbid, before->line);
    }
    return SEALTAPE_OK;
}

void annex_list_clear(struct annex_list *list)
{
    for (size_t i = 0; i < list->count; i++)
        annex_free(&list->items[i]);
    free(list->items);
    memset(list, 0, sizeof(*list));
}
