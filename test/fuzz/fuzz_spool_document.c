#include <string.h>

#include "fuzz.h"
#include "spool/document.h"

/* A text that was made is one that can be read, and the spool's own member never leaves. */
static void check_texts(const struct document *document)
{
    struct document *again = NULL;
    char *text = NULL, *body = NULL;
    size_t len = 0;

    if (document_text(document, &text, &len) == SEALTAPE_OK) {
        FUZZ_CHECK(strlen(text) == len);
        FUZZ_CHECK(document_parse(text, len, &again, NULL) == SEALTAPE_OK);
    }
    if (document_body(document, &body, &len) == SEALTAPE_OK)
        FUZZ_CHECK(strlen(body) == len && strncmp(body, "{\"spool\":", 9) != 0);
    document_free(&again);
    free(text);
    free(body);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    struct document *document = NULL;
    struct entry_plan *plan = NULL;
    struct diag diag = {""};
    bool changed;
    enum sealtape_status st = document_parse((const char *)bytes, len, &document, &diag);

    FUZZ_CHECK((st == SEALTAPE_OK) == (document != NULL));
    if (!document) {
        FUZZ_CHECK(diag.text[0] != '\0');
        return 0;
    }
    (void)document_recording_id(document);
    (void)document_outcome(document);
    (void)document_sha256(document);
    (void)document_tenant_dbid(document);
    (void)document_epoch(document);
    (void)document_sequence(document);
    check_texts(document);
    if (document_plan(document, &plan) == SEALTAPE_OK)
        entry_plan_free(&plan);
    if (document_set_path(document, "https://a/", "https://a/b.bin", &changed) == SEALTAPE_OK)
        check_texts(document);
    if (document_discard(document, 0) == SEALTAPE_OK)
        check_texts(document);
    document_free(&document);
    return 0;
}
