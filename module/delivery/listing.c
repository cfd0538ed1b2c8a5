#include "delivery/listing.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/xml.h"

static const char name[] = "getcontentlength";

static void xml_clear(struct xml **xml)
{
    xml_free(xml);
}

/* A start tag of that name, with whatever prefix, around @at? */
static bool start_tag(const char *bytes, const char *at)
{
    const char *before = at;

    if (before > bytes && before[-1] == ':') {
        before--;
        /* No further than the prefix, or a hostile answer is gone through again and again. */
        while (before > bytes && !strchr("</>:", before[-1]))
            before--;
    }
    return before > bytes && before[-1] == '<' && strchr("> \t\r\n", at[sizeof(name) - 1])
           && at[sizeof(name) - 1];
}

/* The digits between the tag at @at and the next one. */
static bool number_read(const char *at, const char *end, uint64_t *ret_length)
{
    const char *text = memchr(at, '>', (size_t)(end - at));
    uint64_t length = 0;
    int digits = 0;

    if (!text || text[-1] == '/')
        return false;
    text++;
    text += strspn(text, " \t\r\n");
    for (; *text >= '0' && *text <= '9'; text++) {
        if (++digits > 18)
            return false;
        length = length * 10 + (uint64_t)(*text - '0');
    }
    text += strspn(text, " \t\r\n");
    if (digits == 0 || *text != '<')
        return false;
    *ret_length = length;
    return true;
}

/*
 * The reader of XML keeps no character data. So the document is read for its
 * form first, which leaves no CDATA trick and no torn answer, and the number is
 * then taken from between the tags.
 */
enum sealtape_status listing_length(
        const char *bytes, size_t len, uint64_t *ret_length, struct diag *diag)
{
    CLEANUP(xml_clear) struct xml *xml = NULL;
    const char *end = bytes + len;
    enum sealtape_status st;
    uint64_t length = 0;
    bool found = false;

    st = xml_parse("PROPFIND answer", bytes, len, &xml, diag);
    if (st != SEALTAPE_OK)
        return st;
    if (strcmp(xml_name(xml_root(xml)), "multistatus") != 0)
        return diag_fail(diag, SEALTAPE_E_STATE, "expected a multistatus, found <%s>",
                xml_name(xml_root(xml)));
    for (const char *at = bytes; (at = memmem(at, (size_t)(end - at), name, sizeof(name) - 1));
            at++) {
        uint64_t one;

        if (!start_tag(bytes, at) || !number_read(at, end, &one))
            continue;
        if (found && one != length)
            return diag_fail(diag, SEALTAPE_E_STATE, "the answer names several lengths");
        length = one;
        found = true;
    }
    if (!found)
        return diag_fail(diag, SEALTAPE_E_STATE, "the answer names no length");
    *ret_length = length;
    return SEALTAPE_OK;
}
