#include <string.h>

#include "base/xml.h"
#include "fuzz.h"

/* A tree without recursion: what was read is within the limits that were promised. */
static void walk(const struct xml_element *root)
{
    const struct xml_element *path[XML_DEPTH_MAX + 1] = {root};
    size_t depth = 1;

    while (depth > 0) {
        const struct xml_element *element = path[--depth];
        const char *name, *value;

        FUZZ_CHECK(xml_line(element) >= 1);
        FUZZ_CHECK(xml_name(element)[0] != '\0');
        for (size_t i = 0; xml_attribute_at(element, i, &name, &value); i++) {
            FUZZ_CHECK(strlen(value) <= XML_VALUE_MAX);
            FUZZ_CHECK(xml_attribute(element, name) != NULL);
            FUZZ_CHECK(xml_attribute_line(element, name) >= xml_line(element));
        }
        if (xml_next(element))
            path[depth++] = xml_next(element);
        if (xml_child(element)) {
            FUZZ_CHECK(depth <= XML_DEPTH_MAX);
            path[depth++] = xml_child(element);
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    struct xml *xml = NULL;
    struct diag diag = {""};
    enum sealtape_status st = xml_parse("fuzz.xml", bytes, len, &xml, &diag);

    FUZZ_CHECK((st == SEALTAPE_OK) == (xml != NULL));
    if (st == SEALTAPE_OK)
        walk(xml_root(xml));
    else
        FUZZ_CHECK(strncmp(diag.text, "fuzz.xml:", 9) == 0);
    xml_free(&xml);
    return 0;
}
