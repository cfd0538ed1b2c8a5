#include "seal/envelope.h"

#include <assert.h>
#include <libtasn1.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/der.h"

/*
 * How an envelope is taken apart here (RFC 5652, 3 and 6):
 *
 *   30 len                      ContentInfo
 *      06 09 ... 07 03          contentType: envelopedData
 *      A0 len                   content, [0] EXPLICIT
 *         30 len                EnvelopedData
 *            02 01 00           version 0              }
 *            31 len ...         recipientInfos         } struct frame: recipients
 *            30 len             EncryptedContentInfo
 *               06 09 ... 07 01 contentType: data      }
 *               30 len ...      algorithm and IV       } struct frame: algorithm
 *               80 len          encryptedContent: absent, or to the very end
 *
 * Content may be larger than memory. So the outer headers are walked here, and
 * libtasn1 reads a copy whose headers are as if the content were absent.
 */
#define FRAME_MAX ((size_t)256 * 1024)

extern const asn1_static_node cms_asn[];

static const uint8_t oid_enveloped_data[] = {
        0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x07, 0x03};
static const uint8_t oid_data[] = {
        0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x07, 0x01};
static const uint8_t version_0[] = {0x02, 0x01, 0x00};
static const uint8_t null_parameters[] = {0x05, 0x00};

#define OID_RSA_ENCRYPTION "1.2.840.113549.1.1.1"

static const struct cipher_row {
    enum envelope_cipher cipher;
    unsigned key_bits;
    const char *oid;
} ciphers[] = {
        {ENVELOPE_AES_128_CBC, 128, "2.16.840.1.101.3.4.1.2"},
        {ENVELOPE_AES_192_CBC, 192, "2.16.840.1.101.3.4.1.22"},
        {ENVELOPE_AES_256_CBC, 256, "2.16.840.1.101.3.4.1.42"},
};

struct span {
    const uint8_t *bytes;
    size_t len;
};

/* The two parts between the headers, see above; borrowed. */
struct frame {
    struct span recipients;
    struct span algorithm;
    size_t recipients_count;
    bool has_content;
    size_t content_offset;
    uint64_t content_len;
};

static void asn1_clear(asn1_node *node)
{
    asn1_delete_structure(node);
}

static void bytes_free(uint8_t **bytes)
{
    free(*bytes);
    *bytes = NULL;
}

/*
 * The headers around the parts, outermost first. Writes what stands before the
 * content; @to NULL: only the size.
 */
static size_t frame_put(uint8_t *to, const struct frame *frame)
{
    uint64_t info = frame->algorithm.len, data, explicit, whole;
    size_t at = 0;

    if (frame->has_content)
        info += der_put(NULL, DER_CONTEXT_0, frame->content_len) + frame->content_len;
    data = frame->recipients.len + der_put(NULL, DER_SEQUENCE, info) + info;
    explicit = der_put(NULL, DER_SEQUENCE, data) + data;
    whole = sizeof(oid_enveloped_data) + der_put(NULL, DER_CONTEXT_0_CONSTRUCTED, explicit)
            + explicit;
    if (!to) {
        uint64_t all = der_put(NULL, DER_SEQUENCE, whole) + whole;

        return (size_t)(all - (frame->has_content ? frame->content_len : 0));
    }
    at += der_put(to, DER_SEQUENCE, whole);
    memcpy(to + at, oid_enveloped_data, sizeof(oid_enveloped_data));
    at += sizeof(oid_enveloped_data);
    at += der_put(to + at, DER_CONTEXT_0_CONSTRUCTED, explicit);
    at += der_put(to + at, DER_SEQUENCE, data);
    memcpy(to + at, frame->recipients.bytes, frame->recipients.len);
    at += frame->recipients.len;
    at += der_put(to + at, DER_SEQUENCE, info);
    memcpy(to + at, frame->algorithm.bytes, frame->algorithm.len);
    at += frame->algorithm.len;
    if (frame->has_content)
        at += der_put(to + at, DER_CONTEXT_0, frame->content_len);
    return at;
}

static enum sealtape_status frame_build(
        const struct frame *frame, uint8_t **ret_bytes, size_t *ret_len)
{
    size_t len = frame_put(NULL, frame);
    uint8_t *bytes = malloc(len);

    if (!bytes)
        return SEALTAPE_E_MEMORY;
    *ret_len = frame_put(bytes, frame);
    assert(*ret_len == len);
    *ret_bytes = bytes;
    return SEALTAPE_OK;
}

static enum sealtape_status tasn1_failed(
        int result, const char *what, const char *words, struct diag *diag)
{
    if (result == ASN1_MEM_ALLOC_ERROR)
        return diag_fail(diag, SEALTAPE_E_MEMORY, "no memory for an envelope");
    return diag_fail(diag, SEALTAPE_E_USAGE, "%s: %s%s%s", what, asn1_strerror(result),
            words[0] ? ": " : "", words);
}

static enum sealtape_status definitions_build(asn1_node *ret_definitions, struct diag *diag)
{
    char words[ASN1_MAX_ERROR_DESCRIPTION_SIZE] = "";
    int result = asn1_array2tree(cms_asn, ret_definitions, words);

    if (result != ASN1_SUCCESS)
        return tasn1_failed(result, "the ASN.1 definitions", words, diag);
    return SEALTAPE_OK;
}

static enum sealtape_status element_encode(
        asn1_node element, uint8_t **ret_der, size_t *ret_len, struct diag *diag)
{
    char words[ASN1_MAX_ERROR_DESCRIPTION_SIZE] = "";
    CLEANUP(bytes_free) uint8_t *der = NULL;
    int len = 0, result;

    result = asn1_der_coding(element, "", NULL, &len, words);
    if (result != ASN1_MEM_ERROR)
        return tasn1_failed(result, "an envelope cannot be encoded", words, diag);
    der = malloc((size_t)len);
    if (!der)
        return diag_fail(diag, SEALTAPE_E_MEMORY, "no memory for an envelope");
    result = asn1_der_coding(element, "", der, &len, words);
    if (result != ASN1_SUCCESS)
        return tasn1_failed(result, "an envelope cannot be encoded", words, diag);
    *ret_der = TAKE(der);
    *ret_len = (size_t)len;
    return SEALTAPE_OK;
}

/* One value of an element. libtasn1 takes length 0 for decimal digits, 1 for an OID. */
struct field {
    const char *name;
    const void *value;
    size_t len;
};

static enum sealtape_status encode_fields(asn1_node definitions, const char *type,
        const struct field *fields, size_t count, struct span *ret_span, struct diag *diag)
{
    CLEANUP(asn1_clear) asn1_node element = NULL;
    uint8_t *der = NULL;
    enum sealtape_status st;
    int result;

    result = asn1_create_element(definitions, type, &element);
    for (size_t i = 0; result == ASN1_SUCCESS && i < count; i++)
        result = asn1_write_value(element, fields[i].name, fields[i].value, (int)fields[i].len);
    if (result != ASN1_SUCCESS)
        return tasn1_failed(result, type, "", diag);
    st = element_encode(element, &der, &ret_span->len, diag);
    if (st == SEALTAPE_OK)
        ret_span->bytes = der;
    return st;
}

/* Its DER and where it stood among those given. */
struct encoded_recipient {
    struct span der;
    size_t index;
};

struct encoded_recipients {
    struct encoded_recipient all[ENVELOPE_RECIPIENTS_MAX];
    size_t count;
};

static void span_free(struct span *span)
{
    free(__extension__(void *)(uintptr_t) span->bytes);
    span->bytes = NULL;
}

static void encoded_clear(struct encoded_recipients *encoded)
{
    for (size_t i = 0; i < encoded->count; i++)
        span_free(&encoded->all[i].der);
}

/* X.690, 11.6: as octet strings, the shorter padded with zeros. */
static int encoded_compare(const void *left, const void *right)
{
    const struct encoded_recipient *a = left, *b = right;
    size_t len = a->der.len < b->der.len ? a->der.len : b->der.len;
    int order = memcmp(a->der.bytes, b->der.bytes, len);

    if (order != 0)
        return order;
    return (a->der.len > b->der.len) - (a->der.len < b->der.len);
}

static bool is_name(const uint8_t *der, size_t len)
{
    struct der_header header;

    return der_read(der, len, &header) == SEALTAPE_OK && header.tag == DER_SEQUENCE
           && header.len == len - header.size && der_is_strict(der, len);
}

static enum sealtape_status recipient_encode(asn1_node definitions,
        const struct envelope_recipient *recipient, struct span *ret_span, struct diag *diag)
{
    const struct field fields[] = {
            {"version", "0", 0},
            {"rid.issuer", recipient->issuer_der, recipient->issuer_der_len},
            {"rid.serialNumber", recipient->serial_octets, recipient->serial_octets_len},
            {"keyEncryptionAlgorithm.algorithm", OID_RSA_ENCRYPTION, 1},
            {"keyEncryptionAlgorithm.parameters", null_parameters, sizeof(null_parameters)},
            {"encryptedKey", recipient->encrypted_key, recipient->encrypted_key_len},
    };

    if (!is_name(recipient->issuer_der, recipient->issuer_der_len))
        return diag_fail(diag, SEALTAPE_E_USAGE, "the issuer of a recipient is not a DER name");
    if (recipient->serial_octets_len == 0 || recipient->encrypted_key_len == 0
            || recipient->encrypted_key_len > ENVELOPE_ENCRYPTED_KEY_MAX)
        return diag_fail(diag, SEALTAPE_E_USAGE,
                "the serial or the encrypted key of a recipient is empty or too long");
    return encode_fields(
            definitions, "CMS.KeyTransRecipientInfo", fields, ARRAY_COUNT(fields), ret_span, diag);
}

/* version 0 and the SET OF */
static enum sealtape_status recipients_join(
        const struct encoded_recipients *encoded, struct span *ret_span)
{
    size_t len = 0, at;
    uint8_t *bytes;

    for (size_t i = 0; i < encoded->count; i++)
        len += encoded->all[i].der.len;
    bytes = malloc(sizeof(version_0) + DER_HEADER_MAX + len);
    if (!bytes)
        return SEALTAPE_E_MEMORY;
    memcpy(bytes, version_0, sizeof(version_0));
    at = sizeof(version_0);
    at += der_put(bytes + at, DER_SET, len);
    for (size_t i = 0; i < encoded->count; i++) {
        memcpy(bytes + at, encoded->all[i].der.bytes, encoded->all[i].der.len);
        at += encoded->all[i].der.len;
    }
    *ret_span = (struct span){bytes, at};
    return SEALTAPE_OK;
}

/* contentType data and AlgorithmIdentifier */
static enum sealtape_status algorithm_encode(asn1_node definitions, const char *oid,
        const uint8_t iv[ENVELOPE_IV_SIZE], struct span *ret_span, struct diag *diag)
{
    uint8_t parameters[2 + ENVELOPE_IV_SIZE] = {DER_OCTET_STRING, ENVELOPE_IV_SIZE};
    const struct field fields[] = {
            {"algorithm", oid, 1},
            {"parameters", parameters, sizeof(parameters)},
    };
    CLEANUP(span_free) struct span identifier = {NULL, 0};
    enum sealtape_status st;
    uint8_t *bytes;

    memcpy(parameters + 2, iv, ENVELOPE_IV_SIZE);
    st = encode_fields(
            definitions, "CMS.AlgorithmIdentifier", fields, ARRAY_COUNT(fields), &identifier, diag);
    if (st != SEALTAPE_OK)
        return st;
    bytes = malloc(sizeof(oid_data) + identifier.len);
    if (!bytes)
        return SEALTAPE_E_MEMORY;
    memcpy(bytes, oid_data, sizeof(oid_data));
    memcpy(bytes + sizeof(oid_data), identifier.bytes, identifier.len);
    *ret_span = (struct span){bytes, sizeof(oid_data) + identifier.len};
    return SEALTAPE_OK;
}

static const struct cipher_row *cipher_of_bits(unsigned key_bits)
{
    for (size_t i = 0; i < ARRAY_COUNT(ciphers); i++) {
        if (ciphers[i].key_bits == key_bits)
            return &ciphers[i];
    }
    return NULL;
}

enum sealtape_status envelope_encode(unsigned key_bits, const uint8_t iv[ENVELOPE_IV_SIZE],
        const struct envelope_recipient *recipients, size_t count, uint8_t **ret_der,
        size_t *ret_len, size_t *ret_order, struct diag *diag)
{
    CLEANUP(encoded_clear) struct encoded_recipients encoded = {.count = 0};
    CLEANUP(span_free) struct span set = {NULL, 0}, algorithm = {NULL, 0};
    CLEANUP(asn1_clear) asn1_node definitions = NULL;
    const struct cipher_row *row = cipher_of_bits(key_bits);
    struct frame frame = {.has_content = false};
    enum sealtape_status st;

    if (!row || count == 0 || count > ENVELOPE_RECIPIENTS_MAX)
        return diag_fail(diag, SEALTAPE_E_USAGE,
                "an envelope for %zu recipients with a key of %u bits: 1 to %d and 128, 192 or "
                "256 are possible",
                count, key_bits, ENVELOPE_RECIPIENTS_MAX);
    st = definitions_build(&definitions, diag);
    for (size_t i = 0; st == SEALTAPE_OK && i < count; i++) {
        encoded.all[i] = (struct encoded_recipient){.index = i};
        encoded.count++;
        st = recipient_encode(definitions, &recipients[i], &encoded.all[i].der, diag);
    }
    if (st != SEALTAPE_OK)
        return st;
    qsort(encoded.all, count, sizeof(encoded.all[0]), encoded_compare);
    st = recipients_join(&encoded, &set);
    if (st == SEALTAPE_OK)
        st = algorithm_encode(definitions, row->oid, iv, &algorithm, diag);
    frame.recipients = set;
    frame.algorithm = algorithm;
    if (st == SEALTAPE_OK)
        st = frame_build(&frame, ret_der, ret_len);
    if (st == SEALTAPE_E_MEMORY)
        return diag_fail(diag, st, "no memory for an envelope");
    for (size_t i = 0; st == SEALTAPE_OK && i < count; i++)
        ret_order[i] = encoded.all[i].index;
    return st;
}

/* Bytes that are being read: @at of @len at hand, of @total that there are. */
struct walk {
    const uint8_t *der;
    size_t len, at;
    uint64_t total;
    struct diag *diag;
};

static enum sealtape_status walk_failed(const struct walk *walk, const char *expected)
{
    if (walk->at >= walk->len)
        return diag_fail(walk->diag, SEALTAPE_E_USAGE,
                "not a PKCS#7 envelope: expected %s at byte %zu, found the end", expected,
                walk->at);
    return diag_fail(walk->diag, SEALTAPE_E_USAGE,
            "not a PKCS#7 envelope: expected %s at byte %zu, found 0x%02x", expected, walk->at,
            walk->der[walk->at]);
}

/* A header that opens a value reaching to the very end. */
static enum sealtape_status walk_to_end(struct walk *walk, uint8_t tag, const char *expected)
{
    struct der_header header;

    if (der_read(walk->der + walk->at, walk->len - walk->at, &header) != SEALTAPE_OK
            || header.tag != tag || header.len != walk->total - walk->at - header.size)
        return walk_failed(walk, expected);
    walk->at += header.size;
    return SEALTAPE_OK;
}

static enum sealtape_status walk_bytes(
        struct walk *walk, const uint8_t *bytes, size_t len, const char *expected)
{
    if (walk->len - walk->at < len || memcmp(walk->der + walk->at, bytes, len) != 0)
        return walk_failed(walk, expected);
    walk->at += len;
    return SEALTAPE_OK;
}

/* A whole value that is at hand. */
static enum sealtape_status walk_value(struct walk *walk, uint8_t tag, const char *expected)
{
    size_t rest = walk->len - walk->at;
    struct der_header header;

    if (der_read(walk->der + walk->at, rest, &header) != SEALTAPE_OK || header.tag != tag
            || header.len > rest - header.size)
        return walk_failed(walk, expected);
    if (!der_is_strict(walk->der + walk->at, header.size + (size_t)header.len))
        return walk_failed(walk, "strict DER in what begins");
    walk->at += header.size + (size_t)header.len;
    return SEALTAPE_OK;
}

static size_t values_count(const uint8_t *der, size_t len)
{
    struct der_header header;
    size_t count = 0, at = 0;

    while (at < len && der_read(der + at, len - at, &header) == SEALTAPE_OK) {
        at += header.size + (size_t)header.len;
        count++;
    }
    return count;
}

static enum sealtape_status walk_recipients(struct walk *walk, struct frame *frame)
{
    size_t from = walk->at, set;
    struct der_header header;
    enum sealtape_status st;

    st = walk_bytes(walk, version_0, sizeof(version_0), "EnvelopedData of version 0");
    if (st != SEALTAPE_OK)
        return st;
    set = walk->at;
    st = walk_value(walk, DER_SET, "the SET of recipients");
    if (st != SEALTAPE_OK)
        return st;
    st = der_read(walk->der + set, walk->at - set, &header);
    if (st != SEALTAPE_OK)
        return st;
    frame->recipients = (struct span){walk->der + from, walk->at - from};
    frame->recipients_count = values_count(walk->der + set + header.size, (size_t)header.len);
    if (frame->recipients_count == 0 || frame->recipients_count > ENVELOPE_RECIPIENTS_MAX)
        return diag_fail(walk->diag, SEALTAPE_E_USAGE,
                "the envelope has %zu recipients; 1 to %d are possible", frame->recipients_count,
                ENVELOPE_RECIPIENTS_MAX);
    return SEALTAPE_OK;
}

static enum sealtape_status walk_content(struct walk *walk, struct frame *frame)
{
    size_t from = walk->at;
    enum sealtape_status st;

    st = walk_bytes(walk, oid_data, sizeof(oid_data), "content of type data");
    if (st == SEALTAPE_OK)
        st = walk_value(walk, DER_SEQUENCE, "the cipher");
    if (st != SEALTAPE_OK)
        return st;
    frame->algorithm = (struct span){walk->der + from, walk->at - from};
    if (walk->at == walk->total)
        return SEALTAPE_OK;
    st = walk_to_end(walk, DER_CONTEXT_0, "content ([0], primitive) to the end, or nothing");
    if (st != SEALTAPE_OK)
        return st;
    frame->has_content = true;
    frame->content_offset = walk->at;
    frame->content_len = walk->total - walk->at;
    return SEALTAPE_OK;
}

static enum sealtape_status frame_read(
        const uint8_t *der, size_t len, uint64_t total_len, struct frame *frame, struct diag *diag)
{
    struct walk walk = {der, len, 0, total_len, diag};
    enum sealtape_status st;

    st = walk_to_end(&walk, DER_SEQUENCE, "a SEQUENCE that is the whole input");
    if (st == SEALTAPE_OK)
        st = walk_bytes(
                &walk, oid_enveloped_data, sizeof(oid_enveloped_data), "the type envelopedData");
    if (st == SEALTAPE_OK)
        st = walk_to_end(&walk, DER_CONTEXT_0_CONSTRUCTED, "[0] to the end");
    if (st == SEALTAPE_OK)
        st = walk_to_end(&walk, DER_SEQUENCE, "EnvelopedData to the end");
    if (st == SEALTAPE_OK)
        st = walk_recipients(&walk, frame);
    if (st == SEALTAPE_OK)
        st = walk_to_end(&walk, DER_SEQUENCE,
                "EncryptedContentInfo to the end (attributes are not possible)");
    if (st == SEALTAPE_OK)
        st = walk_content(&walk, frame);
    return st;
}

/* What is being read: libtasn1's view of the bytes, and a name in it. */
struct reading {
    asn1_node element;
    const uint8_t *der;
    size_t len;
    struct diag *diag;
};

/* The octets of a value where they stand in the bytes, without its header. */
static enum sealtape_status reading_locate(const struct reading *reading, const char *name,
        uint8_t tag, struct span *ret_whole, struct span *ret_octets)
{
    struct der_header header;
    int start = 0, end = 0, result;

    result = asn1_der_decoding_startEnd(
            reading->element, reading->der, (int)reading->len, name, &start, &end);
    if (result != ASN1_SUCCESS)
        return tasn1_failed(result, name, "", reading->diag);
    if (start < 0 || end < start || (size_t)end >= reading->len)
        return diag_fail(reading->diag, SEALTAPE_E_USAGE, "%s: not found", name);
    *ret_whole = (struct span){reading->der + start, (size_t)(end - start) + 1};
    if (der_read(ret_whole->bytes, ret_whole->len, &header) != SEALTAPE_OK || header.tag != tag
            || header.len != ret_whole->len - header.size)
        return diag_fail(reading->diag, SEALTAPE_E_USAGE,
                "%s: expected tag 0x%02x at byte %d, found 0x%02x", name, tag, start,
                reading->der[start]);
    *ret_octets = (struct span){ret_whole->bytes + header.size, (size_t)header.len};
    return SEALTAPE_OK;
}

static enum sealtape_status reading_oid(
        const struct reading *reading, const char *name, char *ret, int size)
{
    int result = asn1_read_value(reading->element, name, ret, &size);

    if (result != ASN1_SUCCESS)
        return tasn1_failed(result, name, "", reading->diag);
    return SEALTAPE_OK;
}

static bool span_is(const struct span *span, const void *bytes, size_t len)
{
    return span->len == len && memcmp(span->bytes, bytes, len) == 0;
}

#define FIELD_NAME_MAX 96

static void recipient_field(char name[FIELD_NAME_MAX], size_t index, const char *field)
{
    int n = snprintf(name, FIELD_NAME_MAX, "content.recipientInfos.?%zu.%s", index + 1, field);

    assert(n > 0 && n < FIELD_NAME_MAX);
    (void)n;
}

static enum sealtape_status recipient_check(const struct reading *reading, size_t index)
{
    struct span whole, octets;
    char name[FIELD_NAME_MAX], oid[64];
    enum sealtape_status st;

    recipient_field(name, index, "version");
    st = reading_locate(reading, name, DER_INTEGER, &whole, &octets);
    if (st != SEALTAPE_OK)
        return st;
    if (!span_is(&octets, "\0", 1))
        return diag_fail(
                reading->diag, SEALTAPE_E_USAGE, "recipient %zu: not of version 0", index + 1);
    recipient_field(name, index, "keyEncryptionAlgorithm.algorithm");
    st = reading_oid(reading, name, oid, sizeof(oid));
    if (st != SEALTAPE_OK)
        return st;
    if (strcmp(oid, OID_RSA_ENCRYPTION) != 0)
        return diag_fail(reading->diag, SEALTAPE_E_USAGE,
                "recipient %zu: the key transport %s is not supported, only rsaEncryption (%s)",
                index + 1, oid, OID_RSA_ENCRYPTION);
    recipient_field(name, index, "keyEncryptionAlgorithm.parameters");
    st = reading_locate(reading, name, null_parameters[0], &whole, &octets);
    if (st != SEALTAPE_OK)
        return st;
    if (octets.len != 0)
        return diag_fail(reading->diag, SEALTAPE_E_USAGE,
                "recipient %zu: the parameters of rsaEncryption are not NULL", index + 1);
    return SEALTAPE_OK;
}

static enum sealtape_status recipient_read(
        const struct reading *reading, size_t index, struct envelope_recipient *recipient)
{
    struct span issuer, serial, key, octets, whole;
    char name[FIELD_NAME_MAX];
    enum sealtape_status st;

    st = recipient_check(reading, index);
    if (st != SEALTAPE_OK)
        return st;
    recipient_field(name, index, "rid.issuer");
    st = reading_locate(reading, name, DER_SEQUENCE, &issuer, &octets);
    if (st != SEALTAPE_OK)
        return st;
    recipient_field(name, index, "rid.serialNumber");
    st = reading_locate(reading, name, DER_INTEGER, &whole, &serial);
    if (st != SEALTAPE_OK)
        return st;
    recipient_field(name, index, "encryptedKey");
    st = reading_locate(reading, name, DER_OCTET_STRING, &whole, &key);
    if (st != SEALTAPE_OK)
        return st;
    if (serial.len == 0 || key.len == 0 || key.len > ENVELOPE_ENCRYPTED_KEY_MAX)
        return diag_fail(reading->diag, SEALTAPE_E_USAGE,
                "recipient %zu: the serial or the encrypted key is empty or too long", index + 1);
    *recipient = (struct envelope_recipient){
            .issuer_der = issuer.bytes,
            .issuer_der_len = issuer.len,
            .serial_octets = serial.bytes,
            .serial_octets_len = serial.len,
            .encrypted_key = key.bytes,
            .encrypted_key_len = key.len,
    };
    return SEALTAPE_OK;
}

#define ALGORITHM_NAME "content.encryptedContentInfo.contentEncryptionAlgorithm"

static enum sealtape_status algorithm_read(const struct reading *reading, struct envelope *envelope)
{
    struct span whole, iv;
    enum sealtape_status st;
    char oid[64];

    st = reading_oid(reading, ALGORITHM_NAME ".algorithm", oid, sizeof(oid));
    if (st != SEALTAPE_OK)
        return st;
    for (size_t i = 0; i < ARRAY_COUNT(ciphers) && envelope->key_bits == 0; i++) {
        if (strcmp(oid, ciphers[i].oid) != 0)
            continue;
        envelope->cipher = ciphers[i].cipher;
        envelope->key_bits = ciphers[i].key_bits;
    }
    if (envelope->key_bits == 0)
        return diag_fail(reading->diag, SEALTAPE_E_USAGE,
                "the cipher %s is not supported, only AES-128, -192 and -256 in CBC mode", oid);
    st = reading_locate(reading, ALGORITHM_NAME ".parameters", DER_OCTET_STRING, &whole, &iv);
    if (st != SEALTAPE_OK)
        return st;
    if (iv.len != ENVELOPE_IV_SIZE)
        return diag_fail(reading->diag, SEALTAPE_E_USAGE, "the IV has %zu bytes, not %d", iv.len,
                ENVELOPE_IV_SIZE);
    memcpy(envelope->iv, iv.bytes, ENVELOPE_IV_SIZE);
    return SEALTAPE_OK;
}

static enum sealtape_status envelope_read(struct envelope *envelope, struct diag *diag)
{
    char words[ASN1_MAX_ERROR_DESCRIPTION_SIZE] = "";
    CLEANUP(asn1_clear) asn1_node definitions = NULL, element = NULL;
    struct reading reading = {NULL, envelope->detached, envelope->detached_len, diag};
    int len = (int)envelope->detached_len, result;
    enum sealtape_status st;

    st = definitions_build(&definitions, diag);
    if (st != SEALTAPE_OK)
        return st;
    result = asn1_create_element(definitions, "CMS.ContentInfo", &element);
    if (result == ASN1_SUCCESS)
        result = asn1_der_decoding2(
                &element, envelope->detached, &len, ASN1_DECODE_FLAG_STRICT_DER, words);
    if (result != ASN1_SUCCESS)
        return tasn1_failed(result, "not a PKCS#7 envelope", words, diag);
    reading.element = element;
    st = algorithm_read(&reading, envelope);
    for (size_t i = 0; st == SEALTAPE_OK && i < envelope->recipients_count; i++)
        st = recipient_read(&reading, i, &envelope->recipients[i]);
    return st;
}

enum sealtape_status envelope_decode(const uint8_t *der, size_t len, uint64_t total_len,
        struct envelope **ret_envelope, struct diag *diag)
{
    CLEANUP(envelope_free) struct envelope *envelope = NULL;
    struct frame frame = {.has_content = false}, detached;
    enum sealtape_status st;

    assert(len <= total_len);
    st = frame_read(der, len, total_len, &frame, diag);
    if (st != SEALTAPE_OK)
        return st;
    if (frame.recipients.len > FRAME_MAX || frame.algorithm.len > FRAME_MAX)
        return diag_fail(
                diag, SEALTAPE_E_USAGE, "the envelope is larger than %zu bytes", FRAME_MAX);
    envelope = calloc(1, sizeof(*envelope));
    if (!envelope)
        return diag_fail(diag, SEALTAPE_E_MEMORY, "no memory for an envelope");
    envelope->content_offset = frame.content_offset;
    envelope->content_len = frame.content_len;
    envelope->recipients_count = frame.recipients_count;
    envelope->recipients = calloc(frame.recipients_count, sizeof(*envelope->recipients));
    detached = frame;
    detached.has_content = false;
    detached.content_len = 0;
    if (!envelope->recipients
            || frame_build(&frame, &envelope->der, &envelope->der_len) != SEALTAPE_OK
            || frame_build(&detached, &envelope->detached, &envelope->detached_len) != SEALTAPE_OK)
        return diag_fail(diag, SEALTAPE_E_MEMORY, "no memory for an envelope");
    st = envelope_read(envelope, diag);
    if (st != SEALTAPE_OK)
        return st;
    *ret_envelope = TAKE(envelope);
    return SEALTAPE_OK;
}

void envelope_free(struct envelope **envelope)
{
    struct envelope *owned = TAKE(*envelope);

    if (!owned)
        return;
    free(owned->recipients);
    free(owned->der);
    free(owned->detached);
    free(owned);
}

enum sealtape_status envelope_splice_header(const struct envelope *envelope, uint64_t content_len,
        uint8_t **ret_header, size_t *ret_len, struct diag *diag)
{
    struct frame frame = {.has_content = false};
    enum sealtape_status st;

    /* Lengths of all headers around it must be lengths, too. */
    if (content_len > INT64_MAX)
        return diag_fail(diag, SEALTAPE_E_USAGE, "content of %llu bytes is too long",
                (unsigned long long)content_len);
    st = frame_read(
            envelope->detached, envelope->detached_len, envelope->detached_len, &frame, diag);
    if (st != SEALTAPE_OK)
        return st;
    frame.has_content = true;
    frame.content_len = content_len;
    st = frame_build(&frame, ret_header, ret_len);
    if (st != SEALTAPE_OK)
        return diag_fail(diag, st, "no memory for an envelope");
    return SEALTAPE_OK;
}
