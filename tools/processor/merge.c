#include <stdlib.h>
#include <string.h>

#include "processor/document.h"

/* One merge under way. */
struct merge {
    json_t *merged;    /* what it becomes: a copy of the current document */
    size_t added;      /* media files that are new */
    int changed;       /* outer members that say more than before */
    const char *other; /* an outer member that says something else */
};

static void json_clear(json_t **json)
{
    json_decref(*json);
    *json = NULL;
}

static void text_free(char **text)
{
    free(*text);
    *text = NULL;
}

static void merge_clear(struct merge *merge)
{
    json_clear(&merge->merged);
}

/* startTime becomes the earlier one, stopTime the later one. */
static enum sealtape_status merge_time(
        struct merge *merge, const char *name, json_t *posted, int later)
{
    const char *known = json_string_value(json_object_get(merge->merged, name));
    int64_t known_ms = 0, posted_ms = 0;

    /* Both documents were checked: these are times. */
    ignore(moment_parse(known, &known_ms));
    ignore(moment_parse(json_string_value(posted), &posted_ms));
    if (posted_ms == known_ms || (posted_ms > known_ms) != later)
        return SEALTAPE_OK;
    merge->changed = 1;
    return json_object_set(merge->merged, name, posted) ? SEALTAPE_E_MEMORY : SEALTAPE_OK;
}

/* Events that are not known yet come behind those that are. */
static enum sealtape_status merge_events(struct merge *merge, const json_t *posted)
{
    json_t *known = json_object_get(merge->merged, "eventHistory");
    CLEANUP(json_clear) json_t *seen = json_object();
    size_t known_count = json_array_size(known);
    size_t i;

    if (!seen)
        return SEALTAPE_E_MEMORY;
    for (i = 0; i < known_count + json_array_size(posted); i++) {
        json_t *event = i < known_count ? json_array_get(known, i)
                                        : json_array_get(posted, i - known_count);
        CLEANUP(text_free)
        char *key = json_dumps(event, JSON_COMPACT | JSON_SORT_KEYS | JSON_ENCODE_ANY);
        int is_new;

        if (!key)
            return SEALTAPE_E_MEMORY;
        is_new = i >= known_count && !json_object_get(seen, key);
        if (json_object_set_new(seen, key, json_true())
                || (is_new && json_array_append(known, event)))
            return SEALTAPE_E_MEMORY;
        merge->changed |= is_new;
    }
    return SEALTAPE_OK;
}

static enum sealtape_status merge_members(struct merge *merge, json_t *posted)
{
    enum sealtape_status st = SEALTAPE_OK;
    const char *name;
    json_t *value;

    json_object_foreach(posted, name, value)
    {
        const json_t *known = json_object_get(merge->merged, name);

        if (st != SEALTAPE_OK)
            return st;
        if (!strcmp(name, "mediaFiles") || json_is_null(value) || json_equal(known, value))
            continue;
        if (!known || json_is_null(known)) {
            merge->changed = 1;
            st = json_object_set(merge->merged, name, value) ? SEALTAPE_E_MEMORY : SEALTAPE_OK;
        } else if (!strcmp(name, "startTime") || !strcmp(name, "stopTime")) {
            st = merge_time(merge, name, value, !strcmp(name, "stopTime"));
        } else if (!strcmp(name, "eventHistory")) {
            st = merge_events(merge, value);
        } else {
            merge->other = name;
        }
    }
    return st;
}

/*
 * *ret_conflict is 1 + the index of a media file that is known with other
 * content, or 0.
 */
static enum sealtape_status merge_media(
        struct merge *merge, const json_t *posted, size_t *ret_conflict)
{
    CLEANUP(json_clear) json_t *known = json_object();
    json_t *files = json_object_get(merge->merged, "mediaFiles");
    size_t i;

    if (!known)
        return SEALTAPE_E_MEMORY;
    for (i = 0; i < json_array_size(files); i++) {
        json_t *media = json_array_get(files, i);

        if (json_object_set(known, json_string_value(json_object_get(media, "mediaId")), media))
            return SEALTAPE_E_MEMORY;
    }
    for (i = 0; i < json_array_size(posted); i++) {
        json_t *media = json_array_get(posted, i);
        json_t *same = json_object_get(known, json_string_value(json_object_get(media, "mediaId")));

        if (same && !json_equal(same, media)) {
            *ret_conflict = i + 1;
            return SEALTAPE_OK;
        }
        if (same)
            continue;
        if (json_array_append(files, media))
            return SEALTAPE_E_MEMORY;
        merge->added++;
    }
    return SEALTAPE_OK;
}

static enum sealtape_status merged_document(
        const struct merge *merge, struct document **ret_merged, struct diag *diag)
{
    CLEANUP(text_free) char *text = json_dumps(merge->merged, JSON_COMPACT);
    enum sealtape_status st;
    size_t len;

    if (!text)
        return diag_fail(diag, SEALTAPE_E_MEMORY, "no memory");
    len = strlen(text);
    if (len > DOCUMENT_BYTES_MAX
            || json_array_size(json_object_get(merge->merged, "mediaFiles")) > DOCUMENT_MEDIA_MAX)
        return diag_fail(diag, SEALTAPE_E_LIMIT,
                "the joined document would have more than %u bytes or %d media files",
                DOCUMENT_BYTES_MAX, DOCUMENT_MEDIA_MAX);
    st = document_parse(&text, len, ret_merged, diag);
    if (st == SEALTAPE_OK || st == SEALTAPE_E_MEMORY)
        return st;
    diag_prefix(diag, "the joined document is refused: ");
    return SEALTAPE_E_LIMIT;
}

enum sealtape_status document_merge(const struct document *current, const struct document *posted,
        enum document_relation *ret_relation, struct document **ret_merged, struct diag *diag)
{
    CLEANUP(merge_clear) struct merge merge = {json_deep_copy(current->root), 0, 0, NULL};
    enum sealtape_status st = merge.merged ? SEALTAPE_OK : SEALTAPE_E_MEMORY;
    size_t conflict = 0;

    if (st == SEALTAPE_OK)
        st = merge_media(&merge, json_object_get(posted->root, "mediaFiles"), &conflict);
    if (st == SEALTAPE_OK && !conflict)
        st = merge_members(&merge, posted->root);
    if (st != SEALTAPE_OK)
        return diag_fail(diag, st, "no memory");
    if (!conflict && merge.added) {
        st = merged_document(&merge, ret_merged, diag);
        if (st == SEALTAPE_OK)
            *ret_relation = DOCUMENT_JOINED;
        return st;
    }
    if (!conflict && !merge.changed && !merge.other) {
        *ret_relation = DOCUMENT_SAME;
        return SEALTAPE_OK;
    }
    *ret_relation = DOCUMENT_CONFLICT;
    if (conflict)
        (void)diag_fail(diag, SEALTAPE_E_STATE,
                "mediaFiles[%zu]: its mediaId is known with other content", conflict - 1);
    else
        (void)diag_fail(diag, SEALTAPE_E_STATE,
                "every media file is known, but other members of the document differ");
    return SEALTAPE_OK;
}
