/*
 * Metadata documents for the tests of the processor.
 */
#ifndef SEALTAPE_TEST_PROCESSOR_SAMPLE_H
#define SEALTAPE_TEST_PROCESSOR_SAMPLE_H

#include <stdlib.h>
#include <string.h>

#include "processor/document.h"

#define SAMPLE_MEDIA(name)                                                                         \
    "{\"mediaId\":\"" name "\",\"type\":\"audio/wav\",\"duration\":\"204480\",\"size\":\"32\","    \
    "\"callUUID\":\"uuid-" name "\",\"parameters\":{\"ani\":\"+14155550100\","                     \
    "\"agentId\":\"agent 1\"},\"certAlias\":[\"alias-1\"],\"sealtape\":{\"outcome\":\"complete\"," \
    "\"recipients\":[{\"alias\":\"alias-1\",\"serial\":\"4097\",\"sha256\":"                       \
    "\"ABCDEF0123456789ABCDEF0123456789ABCDEF0123456789ABCDEF0123456789\"}]}}"

#define SAMPLE_OUTER(id)                                                                           \
    "{\"id\":\"" id "\",\"ccid\":\"acme\",\"callerPhoneNumber\":\"+14155550100\","                 \
    "\"dialedPhoneNumber\":\"+14155550199\",\"startTime\":\"2026-03-02T09:15:00.000Z\","           \
    "\"stopTime\":\"2026-03-02T09:18:24.480Z\",\"eventHistory\":[],"

#define SAMPLE(id, media) SAMPLE_OUTER(id) "\"mediaFiles\":[" media "]}"

/* Parse what is known to be right. */
static struct document *sample(const char *text)
{
    char *copy = strdup(text);
    struct document *document = NULL;
    struct diag diag = {""};

    assert_non_null(copy);
    if (document_parse(&copy, strlen(copy), &document, &diag) != SEALTAPE_OK)
        fail_msg("%s", diag.text);
    assert_null(copy);
    return document;
}

#endif
