#include "profile/profile.h"

#include "site.h"

static int set_up(void **state)
{
    *state = site_new();
    return 0;
}

static int tear_down(void **state)
{
    struct site *site = *state;

    site_free(&site);
    return 0;
}

/* Open a directory that has just this file. */
static void open_with(struct site *site, const char *file, const char *text)
{
    char *path = text_format("profiles.d/%s", file);

    site_close(site);
    site_write(site, path, text);
    site->log_len = 0;
    memset(site->log, 0, 200);
    site_open(site);
    free(path);
}

/* Open with a ConfData profile 107 that has this annex. */
static void open_annex(struct site *site, const char *annex)
{
    char *profile = conf_profile(107, "record", annex);
    char *text = text_format("<ConfData>\n%s</ConfData>", profile);

    open_with(site, "record.xml", text);
    free(profile);
    free(text);
}

/* The file is refused, and this is said to the operator and to whoever asks for the profile. */
static void assert_complains(struct site *site, const char *reason)
{
    char **complaints = profile_directory_complaints(site->directory);

    assert_non_null(complaints);
    if (!complaints[0])
        fail_msg("no complaint; expected: %s", reason);
    assert_contains(complaints[0], reason);
    assert_contains(site->log, reason);
    assert_null(site_find(site, 107));
    assert_contains(site->diag.text, reason);
    free(complaints);
}

/* One option of a section. */
static char *annex_of(const char *section, const char *key, const char *value)
{
    return text_format("<list_pair key=\"%s\">\n<str_pair key=\"%s\" value=\"%s\"/>\n</list_pair>",
            section, key, value);
}

static const struct profile *open_option(
        struct site *site, const char *section, const char *key, const char *value)
{
    char *annex = annex_of(section, key, value);

    open_annex(site, annex);
    free(annex);
    return site_find(site, 107);
}

static void conf_data_is_read_with_namespaces_and_other_objects(void **state)
{
    struct site *site = *state;
    const struct profile *profile;

    open_with(site, "record.xml",
            "<?xml version=\"1.0\"?>\n"
            "<c:ConfData xmlns:c=\"http://schemas.example/conf\" xmlns=\"urn:d\">\n"
            "<CfgTenant><DBID value=\"101\"/><name value=\"Acme\"/></CfgTenant>\n"
            "<c:CfgGVPIVRProfile>\n"
            " <c:DBID value=\"107\"/> <tenantDBID value=\"101\"/> <name value=\"caf\xc3\xa9\"/>\n"
            " <state value=\"1\"/>\n"
            " <userProperties><list_pair key=\"recording-encryption\">\n"
            "  <str_pair key=\"tenant\" value=\"Acme\"/><int_pair key=\"mask-max\" value=\"0\"/>\n"
            " </list_pair></userProperties>\n"
            "</c:CfgGVPIVRProfile>\n"
            "<CfgGVPIVRProfile><DBID value=\"108\"/><name value=\"off\"/><state value=\"2\"/>\n"
            "</CfgGVPIVRProfile></c:ConfData>");
    profile = site_find(site, 107);
    assert_non_null(profile);
    assert_string_equal(profile->name, "caf\xc3\xa9");
    assert_string_equal(profile->tenant, "Acme");
    assert_string_equal(profile->ccid, "");
    assert_int_equal(profile->tenant_dbid, 101);
    assert_int_equal(profile->line, 4);
    assert_string_equal(profile->file, "record.xml");
    assert_int_equal(profile->key_bits, 256);
    assert_false(profile->refuse_on_invalid);
    assert_null(profile->storage.url);
    assert_null(site_find(site, 108));
    assert_contains(site->diag.text, "profile 108 (record.xml:11) is disabled");
}

static void cfg_data_is_read(void **state)
{
    struct site *site = *state;
    char *line = material_line("one", "&#10;"), *text;

    text = text_format("<CfgData><CfgCreate>\n"
                       "<CfgGVPIVRProfile id=\"CfgGVPIVRProfile107\" name=\"record\" state=\"1\"\n"
                       " tenantDBID=\"CfgTenant101\"><userProperties>\n"
                       "<list_pair key=\"recording-certificates\">"
                       "<str_pair key=\"certificate-1\" value=\"%s\"/></list_pair>\n"
                       "</userProperties></CfgGVPIVRProfile></CfgCreate>\n"
                       "<CfgDelete><CfgGVPIVRProfile id=\"CfgGVPIVRProfile108\" name=\"x\"/>\n"
                       "</CfgDelete></CfgData>",
            line);
    open_with(site, "record.xml", text);
    assert_true(site_has(site, 107, "Recording one"));
    assert_int_equal(site_find(site, 107)->tenant_dbid, 101);
    free(text);
    free(line);
}

static void certificates_are_grouped_with_aliases_by_number(void **state)
{
    static const char *const keys[][2] = {
            {"certificate-1", "certificatealias-1"},
            {"certificate.2", "certificatealias.2"},
            {"cert3", "alias3"},
            {"certificate-04", "alias-4"},
            {"Certificate_0", "CertificateAlias_0"},
            {"cert-12", "certificatealias12"},
    };
    struct site *site = *state;
    char *line = material_line("one", "&#10;");

    for (size_t i = 0; i < ARRAY_COUNT(keys); i++) {
        char *annex = text_format("<list_pair key=\"recording-certificates\">"
                                  "<str_pair key=\"%s\" value=\"of %zu\"/>"
                                  "<str_pair key=\"alias-99\" value=\"of nobody\"/>"
                                  "<str_pair key=\"%s\" value=\"%s\"/></list_pair>",
                keys[i][1], i, keys[i][0], line);
        char *alias = text_format("of %zu", i);

        open_annex(site, annex);
        assert_true(site_has(site, 107, "Recording one"));
        assert_string_equal(certificate_facts(site_find(site, 107)->certificates[0])->alias, alias);
        free(annex);
        free(alias);
    }
    free(line);
}

static void an_alias_is_built_where_the_annex_has_none(void **state)
{
    struct site *site = *state;
    char *line = material_line("one", " "), *annex;

    annex = text_format("<list_pair key=\"recording-certificates\">"
                        "<str_pair key=\"certificate-1\" value=\"%s\"/></list_pair>"
                        "<list_pair key=\"recording-encryption\">"
                        "<str_pair key=\"tenant\" value=\"Acme\"/></list_pair>",
            line);
    open_annex(site, annex);
    assert_non_null(site_find(site, 107));
    assert_string_equal(certificate_facts(site_find(site, 107)->certificates[0])->alias,
            "rcs_Acme:101:C=US,O=Example,CN=Recording CA:4099");
    free(annex);
    free(line);
}

static void another_option_with_a_certificate_is_its_own_alias(void **state)
{
    struct site *site = *state;
    char *one = material_line("one", "\\n"), *two = material_line("two", ""), *annex;
    char *three = material_line("three", "&#13;");
    const struct profile *profile;

    annex = text_format("<list_pair key=\"recording-encryption\">"
                        "<str_pair key=\"escrow-certificate\" value=\"%s\"/></list_pair>"
                        "<list_pair key=\"recording-certificates\">"
                        "<str_pair key=\"vault 2026\" value=\"%s\"/>"
                        "<str_pair key=\"comment\" value=\"renewed by hand\"/>"
                        "<str_pair key=\"certificate-2\" value=\" \"/>"
                        "<str_pair key=\"certificate-1\" value=\"%s\"/>"
                        "<str_pair key=\"again\" value=\"%s\"/></list_pair>",
            three, one, two, one);
    open_annex(site, annex);
    profile = site_find(site, 107);
    assert_non_null(profile);
    assert_int_equal(profile->certificates_count, 3);
    assert_string_equal(certificate_facts(profile->certificates[0])->alias, "vault 2026");
    assert_contains(certificate_facts(profile->certificates[1])->subject, "Recording two");
    assert_contains(certificate_facts(profile->certificates[2])->subject, "Recording three");
    free(annex);
    free(one);
    free(two);
    free(three);
}

static void options_of_encryption_are_taken(void **state)
{
    struct site *site = *state;
    const struct profile *profile;

    open_annex(site, "<list_pair key=\"recording-encryption\">"
                     "<str_pair key=\"on-invalid-certificate\" value=\"refuse\"/>"
                     "<str_pair key=\"envelope\" value=\"classic\"/>"
                     "<str_pair key=\"cipher\" value=\"aes-192-cbc\"/>"
                     "<str_pair key=\"key-transport\" value=\"rsaes-pkcs1-v1_5\"/>"
                     "<str_pair key=\"on-refusal\" value=\"hangup\"/>"
                     "<str_pair key=\"mask-max\" value=\"10min\"/>"
                     "<str_pair key=\"ccid\" value=\"acme\"/></list_pair>");
    profile = site_find(site, 107);
    assert_non_null(profile);
    assert_true(profile->refuse_on_invalid);
    assert_int_equal(profile->envelope, PROFILE_CLASSIC);
    assert_int_equal(profile->key_bits, 192);
    assert_int_equal(profile->on_refusal, PROFILE_HANGUP);
    assert_int_equal(profile->mask_max_ms, 600000);
    assert_string_equal(profile->ccid, "acme");
}

static void unknown_options_and_values_are_refused_with_what_is_allowed(void **state)
{
    static const struct {
        const char *key, *value, *reason;
    } options[] = {
            {"on-invalid-certificat", "skip", "expected one of on-invalid-certificate, envelope"},
            {"on-invalid-certificate", "Skip", "expected skip or refuse"},
            {"on-invalid-certificate", "", "expected skip or refuse"},
            {"envelope", "pkcs7", "expected classic or modern, found \"pkcs7\""},
            {"envelope", "modern", "expected classic; this version makes no modern envelopes"},
            {"cipher", "aes-256-gcm", "expected aes-256-cbc, aes-192-cbc or aes-128-cbc"},
            {"cipher", "none", "expected aes-256-cbc"},
            {"key-transport", "rsaes-oaep", "expected rsaes-pkcs1-v1_5"},
            {"on-refusal", "stop", "expected continue or hangup"},
            {"mask-max", "10", "expected 0 or a time"},
            {"mask-max", "-1s", "expected 0 or a time"},
            {"mask-max", "100d", "49 days"},
            {"tenant", "a&#10;b", "without control characters"},
            {"escrow-certificate", "later", "no -----BEGIN CERTIFICATE-----"},
    };
    struct site *site = *state;

    for (size_t i = 0; i < ARRAY_COUNT(options); i++) {
        char *place = text_format("record.xml:6: profile 107, option %s: ", options[i].key);

        assert_null(open_option(site, "recording-encryption", options[i].key, options[i].value));
        assert_complains(site, options[i].reason);
        assert_contains(site->diag.text, place);
        free(place);
    }
}

static void destinations_are_taken(void **state)
{
    struct site *site = *state;
    const struct profile *profile;

    open_annex(site, "<list_pair key=\"gvp.service-parameters\">"
                     "<str_pair key=\"recordingclient.recdest\" "
                     "value=\"fixed,https://store.example/acme\"/>"
                     "<str_pair key=\"recordingclient.callrec_dest\" "
                     "value=\"default, http://rp.example/api?x=1\"/>"
                     "<str_pair key=\"voicexml.gvp.appmodule\" value=\"fixed,VXML-NG\"/>"
                     "</list_pair>");
    profile = site_find(site, 107);
    assert_non_null(profile);
    assert_string_equal(profile->storage.url, "https://store.example/acme/");
    assert_true(profile->storage.fixed);
    assert_string_equal(profile->processor.url, "http://rp.example/api?x=1");
    assert_false(profile->processor.fixed);
}

static void destinations_that_are_no_plain_urls_are_refused(void **state)
{
    static const struct {
        const char *value, *reason;
    } values[] = {
            {"https://store.example/", "expected fixed,URL or default,URL"},
            {"maybe,https://store.example/", "expected fixed,URL or default,URL"},
            {"fixed", "expected fixed,URL or default,URL"},
            {"fixed,", ""},
            {"fixed,ftp://store.example/", "http"},
            {"fixed,file:///etc/passwd", "http"},
            {"fixed,store.example", "http"},
            {"fixed,https://user:topsecret@store.example/", ""},
            {"fixed,https://store.example/a b", ""},
            {"fixed,https://store.example/#x", ""},
            {"fixed,https://store.example/?x", "without a query"},
    };
    struct site *site = *state;

    for (size_t i = 0; i < ARRAY_COUNT(values); i++) {
        assert_null(open_option(
                site, "gvp.service-parameters", "recordingclient.recdest", values[i].value));
        assert_complains(site, values[i].reason);
        assert_contains(site->diag.text, "recordingclient.recdest");
        assert_null(strstr(site->diag.text, "topsecret"));
        assert_null(strstr(site->log, "topsecret"));
    }
}

static void an_option_file_stands_alone(void **state)
{
    struct site *site = *state;
    char *pasted = material_read("one"), *text;
    const struct profile *profile;

    text = text_format("\xef\xbb\xbf; a comment\r\n# another\r\n[profile]\r\nname = record\r\n"
                       "tenant-dbid=101\r\nstate=1\r\n\r\n [recording-certificates] \r\n"
                       "certificate-1 = %s\n%s[recording-encryption]\ncipher=aes-128-cbc",
            pasted, "\n");
    open_with(site, "107.cfg", text);
    profile = site_find(site, 107);
    if (!profile)
        fail_msg("%s", site->diag.text);
    assert_string_equal(profile->name, "record");
    assert_int_equal(profile->tenant_dbid, 101);
    assert_int_equal(profile->key_bits, 128);
    assert_true(site_has(site, 107, "Recording one"));
    open_with(site, "107.cfg", "[other]\nkey=value\n");
    assert_string_equal(site_find(site, 107)->name, "107");
    assert_int_equal(site_find(site, 107)->tenant_dbid, 0);
    free(pasted);
    free(text);
}

static void an_option_file_goes_before_the_export_option_by_option(void **state)
{
    struct site *site = *state;
    char *two = material_line("two", "\\n"), *options;
    const struct profile *profile;

    site_write_profile(site, "record.xml", 107, "one");
    options = text_format("[recording-certificates]\ncert1=%s\n"
                          "[recording-encryption]\nccid=acme\n",
            two);
    open_with(site, "107.cfg", options);
    assert_true(site_has(site, 107, "Recording two"));
    profile = site_find(site, 107);
    assert_string_equal(profile->name, "record");
    assert_string_equal(profile->ccid, "acme");
    assert_string_equal(profile->file, "record.xml");
    open_with(site, "107.cfg", "[recording-encryption]\nccid=acme\n");
    assert_true(site_has(site, 107, "Recording one"));
    free(options);
    free(two);
}

static void option_files_that_are_wrong_are_refused(void **state)
{
    static const struct {
        const char *text, *reason;
    } files[] = {
            {"", "107.cfg:1: the file is empty"},
            {"key=value\n", "107.cfg:1: an option before the first [section]"},
            {"[a]\nkey\n", "107.cfg:2: expected [section] or key=value"},
            {"[a\nkey=1\n", "107.cfg:1: expected [section]"},
            {"[]\n", "107.cfg:1: a section's name"},
            {"[a]\n=1\n", "107.cfg:2: a section or option name is empty"},
            {"[a]\nk=1\n[b]\nk=1\n[a]\nk=2\n", "107.cfg:6: option k of section a stands in line 2"},
            {"[a]\n\nk=\xff\n", "107.cfg:3: not UTF-8"},
            {"[a]\nk=\xed\xa0\x80\n", "107.cfg:2: not UTF-8"},
            {"[profile]\ntenant=1\n", "107.cfg:2: expected name, tenant-dbid or state"},
            {"[profile]\ntenant-dbid=x\n", "107.cfg:2: tenant-dbid"},
            {"[profile]\nname=\n", "107.cfg:2: expected one name"},
            {"[recording-certificates]\ncertificate-1=-----BEGIN CERTIFICATE-----\nMII\n[b]\n",
                    "107.cfg:2: the PEM block that begins here has no END label"},
            {"[recording-certificates]\ncertificate-1=MIIC\n", "107.cfg:2: profile 107, option"},
            {"[recording-certificates]\ncert1= \ncertificate-1=\n",
                    "107.cfg:3: profile 107: option certificate-1 means the same"},
    };
    struct site *site = *state;

    for (size_t i = 0; i < ARRAY_COUNT(files); i++) {
        open_with(site, "107.cfg", files[i].text);
        assert_complains(site, files[i].reason);
    }
}

static void option_files_are_named_by_the_dbid(void **state)
{
    static const char *const names[] = {
            "0107.cfg", "record.cfg", "4294967296.cfg", "1e3.cfg", "0.cfg"};
    struct site *site = *state;

    for (size_t i = 0; i < ARRAY_COUNT(names); i++) {
        char *path = text_format("profiles.d/%s", names[i]);

        open_with(site, names[i], "[a]\nk=v\n");
        assert_complains(site, "an option file is named by the profile's DBID");
        site_remove(site, path);
        free(path);
    }
    open_with(site, ".107.cfg", "[a\n");
    assert_int_equal(profile_directory_reload(site->directory, &site->diag), SEALTAPE_OK);
}

static void exports_that_are_wrong_are_refused_with_file_and_line(void **state)
{
    static const struct {
        const char *text, *reason;
    } files[] = {
            {"", "record.xml:1: the file is empty"},
            {"plain text", "record.xml:1: "},
            {"<ConfData>\n<a>", "record.xml:2: "},
            {"<ConfData>\n</b>", "record.xml:2: "},
            {"<html/>", "record.xml:1: expected ConfData or CfgData, found html"},
            {"<ConfData>\n<CfgGVPIVRProfile><name value='a'/></CfgGVPIVRProfile></ConfData>",
                    "record.xml:2: the profile has no DBID"},
            {"<CfgData>\n\n<CfgGVPIVRProfile id='x' name='a'/></CfgData>", "record.xml:3: "},
            {"<CfgData><CfgGVPIVRProfile DBID='0' name='a'/></CfgData>", "DBID \"0\""},
            {"<CfgData><CfgGVPIVRProfile DBID='-1' name='a'/></CfgData>", "DBID \"-1\""},
            {"<CfgData><CfgGVPIVRProfile DBID='99999999999' name='a'/></CfgData>", "DBID"},
            {"<CfgData><CfgGVPIVRProfile DBID='107'/></CfgData>", "expected a name"},
            {"<CfgData><CfgGVPIVRProfile DBID='107' name=''/></CfgData>", "expected a name"},
            {"<CfgData><CfgGVPIVRProfile DBID='107' name='a' tenantDBID='x'/></CfgData>",
                    "tenantDBID \"x\""},
            {"<CfgData><CfgGVPIVRProfile DBID='107' name='a'/>\n"
             "<CfgGVPIVRProfile DBID='107' name='b'/></CfgData>",
                    "record.xml:2: profile 107 stands in line 1 already"},
            {"<CfgData><CfgGVPIVRProfile DBID='107' name='a'><userProperties>\n"
             "<list_pair><str_pair key='a' value='b'/></list_pair></userProperties>"
             "</CfgGVPIVRProfile></CfgData>",
                    "record.xml:2: list_pair without key"},
            {"<CfgData><CfgGVPIVRProfile DBID='107' name='a'><userProperties>\n"
             "<list_pair key='a'>\n<int_pair key='a'/></list_pair></userProperties>"
             "</CfgGVPIVRProfile></CfgData>",
                    "record.xml:3: int_pair without value"},
            {"<!DOCTYPE a [<!ENTITY x SYSTEM 'file:///etc/passwd'>]>\n<ConfData>&x;</ConfData>",
                    "record.xml:1: "},
            {"<!DOCTYPE a [<!ENTITY x 'ha'><!ENTITY y '&x;&x;&x;'>]><ConfData a='&y;'/>",
                    "record.xml:1: "},
            {"<?xml version='1.0' encoding='UTF-7'?><ConfData/>", "record.xml:1: "},
            {"<?xml version='1.0' encoding='UTF-8'?>\n<ConfData a='\xe9'/>", "record.xml:2: "},
    };
    struct site *site = *state;

    for (size_t i = 0; i < ARRAY_COUNT(files); i++) {
        open_with(site, "record.xml", files[i].text);
        assert_complains(site, files[i].reason);
    }
}

static void an_export_cut_anywhere_is_refused(void **state)
{
    struct site *site = *state;
    char *text;
    size_t len;

    site_write_profile(site, "record.xml", 107, "one");
    text = site_read(site, "profiles.d/record.xml");
    len = strlen(text) - 3;
    for (size_t cut = 1; cut < len; cut += len / 40) {
        site_close(site);
        site_write_bytes(site, "profiles.d/record.xml", text, cut);
        site_open(site);
        assert_null(site_find(site, 107));
        assert_contains(site->diag.text, "record.xml:");
    }
    free(text);
}

static void an_attribute_of_100_megabytes_is_refused(void **state)
{
    struct site *site = *state;
    size_t size = 100u << 20;
    char *text = malloc(size);

    assert_non_null(text);
    memset(text, 'A', size);
    memcpy(text, "<ConfData a=\"", 13);
    memcpy(text + size - 3, "\"/>", 3);
    site_write_bytes(site, "profiles.d/record.xml", text, size);
    site_open(site);
    assert_complains(site, "record.xml:");
    site_close(site);
    /* Below the limit of a file there is still the limit of a value. */
    size = 40u << 20;
    memcpy(text + size - 3, "\"/>", 3);
    site_write_bytes(site, "profiles.d/record.xml", text, size);
    site_open(site);
    assert_complains(site, "record.xml:1: ");
    free(text);
}

static void a_mangled_certificate_breaks_the_file(void **state)
{
    struct site *site = *state;
    char *line = material_line("one", " ");
    size_t len = strlen(line), broken = 0;

    /* A hundred places: a character taken out there. */
    for (size_t i = 0; i < 100; i++) {
        size_t at = 30 + i * (len - 60) / 100;
        char *text = strdup(line);

        memmove(text + at, text + at + 1, len - at);
        if (line[at] != ' ') {
            assert_null(open_option(site, "recording-certificates", "certificate-1", text));
            assert_complains(site, "record.xml:6: profile 107, option certificate-1: ");
            broken++;
        }
        free(text);
    }
    assert_true(broken > 90);
    free(line);
}

static void too_many_certificates_are_refused(void **state)
{
    struct site *site = *state;
    char *line = material_line("one", ""), *annex = calloc(70, strlen(line) + 100);

    strcat(annex, "<list_pair key=\"recording-certificates\">");
    for (unsigned i = 0; i < 300; i++)
        sprintf(annex + strlen(annex), "<str_pair key=\"alias-%u\" value=\"x\"/>", i);
    strcat(annex, "</list_pair>");
    open_annex(site, annex);
    assert_complains(site, "more than 256 options for recording");
    free(line);
    free(annex);
}

/* The marker stands in the key's body; nothing may ever show it. */
#define MARKER "bWFya2VyLW9mLWEtc2VjcmV0LWtleQ"

static void assert_nowhere(struct site *site)
{
    char *command = text_format("! grep -rqF %s %s/cache", MARKER, site->root);

    assert_null(strstr(site->log, MARKER));
    assert_null(strstr(site->diag.text, MARKER));
    assert_int_equal(system(command), 0);
    free(command);
}

static void a_private_key_is_refused_and_never_shown(void **state)
{
    static const char *const kinds[] = {"", "RSA ", "EC ", "ENCRYPTED ", "OPENSSH ", "DSA "};
    static const char *const places[][2] = {
            {"recording-certificates", "certificate-1"},
            {"recording-certificates", "note"},
            {"recording-encryption", "escrow-certificate"},
            {"recording-encryption", "unheard-of"},
            {"somebody-elses", "any"},
    };
    struct site *site = *state;

    for (size_t i = 0; i < ARRAY_COUNT(kinds) * ARRAY_COUNT(places); i++) {
        const char *const *place = places[i % ARRAY_COUNT(places)];
        const char *kind = kinds[i / ARRAY_COUNT(places)];
        char *key = text_format("-----BEGIN %sPRIVATE KEY-----&#10;%s&#10;-----END %sPRIVATE "
                                "KEY-----",
                kind, MARKER, kind);

        assert_null(open_option(site, place[0], place[1], key));
        assert_complains(site,
                "profile 107, record.xml:6: a private key stands here; remove it and "
                "treat it as disclosed");
        assert_contains(site->log, "1004 profile 107, record.xml:6: a private key");
        assert_nowhere(site);
        free(key);
    }
}

static void a_private_key_in_disguise_is_refused(void **state)
{
    static const char *const values[] = {
            "-----BEGIN RSA &#80;RIVATE KEY-----" MARKER,
            "-----BEGIN RSA PRIVATE KEY-----\\n" MARKER,
            "-----BEGINRSAPRIVATEKEY-----" MARKER,
            "-----begin private key-----" MARKER,
            "MIIEpAIBAAKCAQEA" MARKER,
            "MIIEvQIBADANBgkqhkiG9w0BAQEFAASC" MARKER,
    };
    struct site *site = *state;

    for (size_t i = 0; i < ARRAY_COUNT(values); i++) {
        assert_null(open_option(site, "recording-certificates", "certificate-1", values[i]));
        assert_complains(site, "profile 107, record.xml:6: a private key stands here");
        assert_nowhere(site);
    }
}

static void a_private_key_outside_of_options_is_refused(void **state)
{
    static const char *const texts[] = {
            "<!-- -----BEGIN PRIVATE KEY-----%s -->\n</ConfData>",
            "<CfgApplication note='-----BEGIN PRIVATE KEY-----%s'/></ConfData>",
            "<a>-----BEGIN PRIVATE KEY-----%s</a></ConfData>",
            "<a>-----BEGIN PRIVATE KEY-----%s",
    };
    struct site *site = *state;

    for (size_t i = 0; i < ARRAY_COUNT(texts); i++) {
        char *with_key = text_replace(texts[i], "%s", MARKER);
        char *text = text_format("<ConfData>\n%s", with_key);

        open_with(site, "record.xml", text);
        assert_complains(site, "record.xml:2: a private key stands here");
        assert_nowhere(site);
        free(with_key);
        free(text);
    }
}

static void a_private_key_in_an_option_file_is_refused(void **state)
{
    static const char *const texts[] = {
            "[a]\nk=-----BEGIN PRIVATE KEY-----\\n" MARKER "\\n-----END PRIVATE KEY-----\n",
            "[a]\nk=-----BEGIN PRIVATE KEY-----\n" MARKER "\n-----END PRIVATE KEY-----\n",
            "[a]\nk=-----BEGIN EC PRIVATE KEY-----\n" MARKER "\n",
            "[a]\n; -----BEGIN PRIVATE KEY-----" MARKER "\nk=v\n",
            "[profile]\nname=-----BEGIN PRIVATE KEY-----" MARKER "\n",
    };
    struct site *site = *state;

    for (size_t i = 0; i < ARRAY_COUNT(texts); i++) {
        open_with(site, "107.cfg", texts[i]);
        assert_complains(site, "107.cfg:2: a private key stands here; remove it");
        if (i < 2)
            assert_contains(site->diag.text, "profile 107, 107.cfg:2: ");
        assert_nowhere(site);
    }
}

int main(void)
{
#define PROFILE_TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
            PROFILE_TEST(conf_data_is_read_with_namespaces_and_other_objects),
            PROFILE_TEST(cfg_data_is_read),
            PROFILE_TEST(certificates_are_grouped_with_aliases_by_number),
            PROFILE_TEST(an_alias_is_built_where_the_annex_has_none),
            PROFILE_TEST(another_option_with_a_certificate_is_its_own_alias),
            PROFILE_TEST(options_of_encryption_are_taken),
            PROFILE_TEST(unknown_options_and_values_are_refused_with_what_is_allowed),
            PROFILE_TEST(destinations_are_taken),
            PROFILE_TEST(destinations_that_are_no_plain_urls_are_refused),
            PROFILE_TEST(an_option_file_stands_alone),
            PROFILE_TEST(an_option_file_goes_before_the_export_option_by_option),
            PROFILE_TEST(option_files_that_are_wrong_are_refused),
            PROFILE_TEST(option_files_are_named_by_the_dbid),
            PROFILE_TEST(exports_that_are_wrong_are_refused_with_file_and_line),
            PROFILE_TEST(an_export_cut_anywhere_is_refused),
            PROFILE_TEST(an_attribute_of_100_megabytes_is_refused),
            PROFILE_TEST(a_mangled_certificate_breaks_the_file),
            PROFILE_TEST(too_many_certificates_are_refused),
            PROFILE_TEST(a_private_key_is_refused_and_never_shown),
            PROFILE_TEST(a_private_key_in_disguise_is_refused),
            PROFILE_TEST(a_private_key_outside_of_options_is_refused),
            PROFILE_TEST(a_private_key_in_an_option_file_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
