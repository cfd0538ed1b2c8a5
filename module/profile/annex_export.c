#include <stdlib.h>
#include <string.h>

#include "base/xml.h"
#include "profile/annex.h"
#include "profile/private_key.h"

/* Where the reader is; what it makes goes to list. */
struct export
{
    const char *file;
    struct annex_list *list;
};

/* A scalar of an object: attribute (CfgData) or child element with `value` (ConfData). */
static const char *scalar(const struct xml_element *object, const char *name)
{
    const char *value = xml_attribute(object, name);

    if (value)
        return value;
    for (const struct xml_element *child = xml_child(object); child; child = xml_next(child)) {
        if (strcmp(xml_name(child), name) == 0)
            return xml_attribute(child, "value");
    }
    return NULL;
}

/* "107", or the digits behind a symbolic link: "CfgTenant101". */
static enum sealtape_status link_number(const char *text, uint32_t *ret_number)
{
    size_t len = strlen(text), from = len;

    while (from > 0 && text[from - 1] >= '0' && text[from - 1] <= '9')
        from--;
    return annex_number(text + from, ret_number);
}

static enum sealtape_status read_dbid(const struct export *export, const struct xml_element *object,
        uint32_t *ret_dbid, struct diag *diag)
{
    const char *dbid = scalar(object, "DBID");
    const char *id = xml_attribute(object, "id");

    if (dbid) {
        if (annex_number(dbid, ret_dbid) == SEALTAPE_OK)
            return SEALTAPE_OK;
        return diag_fail(diag, SEALTAPE_E_CONFIG, "%s:%u: DBID \"%.40s\" is no number from 1",
                export->file, xml_line(object), dbid);
    }
    if (id && link_number(id, ret_dbid) == SEALTAPE_OK)
        return SEALTAPE_OK;
    return diag_fail(diag, SEALTAPE_E_CONFIG,
            "%s:%u: the profile has no DBID: expected <DBID value=\"107\"/> or "
            "id=\"CfgGVPIVRProfile107\"",
            export->file, xml_line(object));
}

static enum sealtape_status read_scalars(const struct export *export, struct annex *annex,
        const struct xml_element *object, struct diag *diag)
{
    const char *tenant = scalar(object, "tenantDBID");
    const char *state = scalar(object, "state");
    const char *name = scalar(object, "name");

    if (tenant && link_number(tenant, &annex->tenant_dbid) != SEALTAPE_OK)
        return diag_fail(diag, SEALTAPE_E_CONFIG,
                "%s:%u: tenantDBID \"%.40s\": expected 101 or CfgTenant101", export->file,
                annex->line, tenant);
    if (!name || *name == '\0' || strlen(name) > 255)
        return diag_fail(diag, SEALTAPE_E_CONFIG,
                "%s:%u: profile %u: expected a name of 1 to 255 "
                "bytes",
                export->file, annex->line, annex->dbid);
    if (private_key_find(name, strlen(name), NULL))
        return diag_fail(diag, SEALTAPE_E_CONFIG, "profile %u, %s:%u: %s", annex->dbid,
                export->file, annex->line, PRIVATE_KEY_REASON);
    annex->has_state = state != NULL;
    annex->enabled = !state || strcmp(state, "1") == 0 || strcmp(state, "CFGEnabled") == 0;
    annex->name = strdup(name);
    return annex->name ? SEALTAPE_OK
                       : diag_fail(diag, SEALTAPE_E_MEMORY, "%s: no memory", export->file);
}

static enum sealtape_status read_section(const struct export *export, struct annex *annex,
        const struct xml_element *section, struct diag *diag)
{
    const char *name = xml_attribute(section, "key");

    if (!name)
        return diag_fail(diag, SEALTAPE_E_CONFIG, "%s:%u: list_pair without key", export->file,
                xml_line(section));
    for (const struct xml_element *pair = xml_child(section); pair; pair = xml_next(pair)) {
        const char *key = xml_attribute(pair, "key"), *value = xml_attribute(pair, "value");
        enum sealtape_status st;

        if (strcmp(xml_name(pair), "str_pair") != 0 && strcmp(xml_name(pair), "int_pair") != 0)
            continue;
        if (!key || !value)
            return diag_fail(diag, SEALTAPE_E_CONFIG, "%s:%u: %s without %s", export->file,
                    xml_line(pair), xml_name(pair), key ? "value" : "key");
        st = annex_add(
                annex, &(struct annex_text){name, key, value, strlen(value), xml_line(pair)}, diag);
        if (st != SEALTAPE_OK)
            return st;
    }
    return SEALTAPE_OK;
}

static enum sealtape_status read_properties(const struct export *export, struct annex *annex,
        const struct xml_element *properties, struct diag *diag)
{
    for (const struct xml_element *section = xml_child(properties); section;
            section = xml_next(section)) {
        enum sealtape_status st = SEALTAPE_OK;

        if (strcmp(xml_name(section), "list_pair") == 0)
            st = read_section(export, annex, section, diag);
        if (st != SEALTAPE_OK)
            return st;
    }
    return SEALTAPE_OK;
}

static enum sealtape_status read_profile(
        const struct export *export, const struct xml_element *object, struct diag *diag)
{
    CLEANUP(annex_free) struct annex *annex = NULL;
    enum sealtape_status st;

    st = annex_new(export->file, xml_line(object), &annex, diag);
    if (st == SEALTAPE_OK)
        st = read_dbid(export, object, &annex->dbid, diag);
    if (st == SEALTAPE_OK)
        st = read_scalars(export, annex, object, diag);
    for (const struct xml_element *child = st == SEALTAPE_OK ? xml_child(object) : NULL; child;
            child = xml_next(child)) {
        if (strcmp(xml_name(child), "userProperties") != 0)
            continue;
        st = read_properties(export, annex, child, diag);
        if (st != SEALTAPE_OK)
            return st;
    }
    if (st == SEALTAPE_OK)
        st = annex_check(annex, diag);
    return st == SEALTAPE_OK ? annex_list_add(export->list, &annex, diag) : st;
}

static bool is_profile(const char *name)
{
    return strcmp(name, "CfgGVPIVRProfile") == 0 || strcmp(name, "CfgIVRProfile") == 0;
}

/* The text is kept in the cache when all is well: no key may stand anywhere in it. */
static enum sealtape_status refuse_keys(
        const struct export *export, const struct xml_element *element, struct diag *diag)
{
    const char *name, *value;

    for (size_t i = 0; xml_attribute_at(element, i, &name, &value); i++) {
        if (private_key_find(value, strlen(value), NULL))
            return diag_fail(diag, SEALTAPE_E_CONFIG, "%s:%u: %s", export->file, xml_line(element),
                    PRIVATE_KEY_REASON);
    }
    return SEALTAPE_OK;
}

/* Profiles at any depth below @element. xml_parse() bounds the depth. */
static enum sealtape_status read_objects(
        const struct export *export, const struct xml_element *element, struct diag *diag)
{
    for (const struct xml_element *child = xml_child(element); child; child = xml_next(child)) {
        enum sealtape_status st = SEALTAPE_OK;

        if (is_profile(xml_name(child)))
            st = read_profile(export, child, diag);
        if (st == SEALTAPE_OK)
            st = refuse_keys(export, child, diag);
        if (st == SEALTAPE_OK && strcmp(xml_name(child), "CfgDelete") != 0)
            st = read_objects(export, child, diag);
        if (st != SEALTAPE_OK)
            return st;
    }
    return SEALTAPE_OK;
}

enum sealtape_status annex_read_export(const char *file, const char *bytes, size_t len,
        struct annex_list *ret_list, struct diag *diag)
{
    const struct export export = {file, ret_list};
    CLEANUP(xml_free) struct xml *xml = NULL;
    const struct xml_element *root;
    enum sealtape_status st;

    st = xml_parse(file, bytes, len, &xml, diag);
    if (st != SEALTAPE_OK)
        return st;
    root = xml_root(xml);
    if (strcmp(xml_name(root), "ConfData") != 0 && strcmp(xml_name(root), "CfgData") != 0)
        return diag_fail(diag, SEALTAPE_E_CONFIG,
                "%s:%u: expected ConfData or CfgData, found %.40s", file, xml_line(root),
                xml_name(root));
    st = refuse_keys(&export, root, diag);
    if (st == SEALTAPE_OK)
        st = read_objects(&export, root, diag);
    return st == SEALTAPE_OK ? annex_list_check(ret_list, diag) : st;
}
