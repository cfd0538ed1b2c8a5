#include "unseal/key.h"

#include <errno.h>
#include <fcntl.h>
#include <gnutls/abstract.h>
#include <gnutls/gnutls.h>
#include <gnutls/x509.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "seal/secret.h"

struct key {
    gnutls_privkey_t private;
    size_t modulus_len;
};

/* The file's bytes, in locked memory: the heap would keep them after free(). */
struct key_text {
    void *bytes;
    size_t size; /* of the block */
    size_t len;
};

static void text_clear(struct key_text *text)
{
    if (text->bytes)
        secret_block_release(&text->bytes, text->size);
}

static void passphrase_clear(void **cell)
{
    if (*cell)
        secret_release(cell);
}

static void x509_clear(gnutls_x509_privkey_t *key)
{
    if (*key)
        gnutls_x509_privkey_deinit(*key);
    *key = NULL;
}

void key_free(struct key **key)
{
    if (!*key)
        return;
    if ((*key)->private)
        gnutls_privkey_deinit((*key)->private);
    free(*key);
    *key = NULL;
}

size_t key_modulus_len(const struct key *key)
{
    return key->modulus_len;
}

static enum sealtape_status text_read(const char *path, struct key_text *text, struct diag *diag)
{
    CLEANUP(file_close) int fd = -1;
    enum sealtape_status st;
    struct stat stat;

    fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0 || fstat(fd, &stat) != 0)
        return diag_fail(diag, SEALTAPE_E_IO, "%s: cannot read: %s", path, strerror(errno));
    if (!S_ISREG(stat.st_mode))
        return diag_fail(diag, SEALTAPE_E_IO, "%s: not a regular file", path);
    if (stat.st_size > (off_t)KEY_FILE_MAX)
        return diag_fail(diag, SEALTAPE_E_LIMIT, "%s: too large for a private key", path);
    text->size = (size_t)stat.st_size + 1;
    st = secret_block_acquire(text->size, &text->bytes, diag);
    if (st != SEALTAPE_OK)
        return st;
    st = file_read_at(fd, text->bytes, text->size - 1, 0, &text->len);
    if (st != SEALTAPE_OK)
        return diag_fail(diag, st, "%s: cannot read: %s", path, strerror(errno));
    ((char *)text->bytes)[text->len] = '\0';
    return SEALTAPE_OK;
}

/* PKCS#8 says so in its label, the old OpenSSL form of PKCS#1 in a header. */
static int is_encrypted(const char *pem)
{
    return strstr(pem, "-----BEGIN ENCRYPTED PRIVATE KEY-----")
           || strstr(pem, "Proc-Type: 4,ENCRYPTED");
}

static enum sealtape_status import(const struct key_source *source, const struct key_text *text,
        gnutls_x509_privkey_t x509, struct diag *diag)
{
    CLEANUP(passphrase_clear) void *passphrase = NULL;
    gnutls_datum_t pem = {.data = text->bytes, .size = (unsigned)text->len};
    int encrypted = is_encrypted(text->bytes);
    enum sealtape_status st;
    int rc;

    if (!strstr(text->bytes, "PRIVATE KEY-----"))
        return diag_fail(diag, SEALTAPE_E_USAGE, "%s: expected a private key in PEM, found none",
                source->path);
    if (encrypted && !source->ask)
        return diag_fail(diag, SEALTAPE_E_USAGE, "%s: the key is encrypted; give its passphrase",
                source->path);
    if (encrypted) {
        st = secret_acquire(&passphrase, diag);
        if (st == SEALTAPE_OK)
            st = source->ask(source->context, passphrase, diag);
        if (st != SEALTAPE_OK)
            return st;
    }
    rc = gnutls_x509_privkey_import2(
            x509, &pem, GNUTLS_X509_FMT_PEM, passphrase, encrypted ? 0 : GNUTLS_PKCS_PLAIN);
    if (rc == 0)
        return SEALTAPE_OK;
    if (encrypted)
        return diag_fail(diag, SEALTAPE_E_USAGE,
                "%s: the passphrase is wrong, or the key is damaged", source->path);
    return diag_fail(diag, SEALTAPE_E_USAGE, "%s: not a private key that can be read: %s",
            source->path, gnutls_strerror(rc));
}

enum sealtape_status key_load(
        const struct key_source *source, struct key **ret_key, struct diag *diag)
{
    CLEANUP(text_clear) struct key_text text = {0};
    CLEANUP(x509_clear) gnutls_x509_privkey_t x509 = NULL;
    CLEANUP(key_free) struct key *key = NULL;
    enum sealtape_status st;
    unsigned bits = 0;

    st = text_read(source->path, &text, diag);
    if (st != SEALTAPE_OK)
        return st;
    key = calloc(1, sizeof(*key));
    if (!key || gnutls_x509_privkey_init(&x509) != 0 || gnutls_privkey_init(&key->private) != 0)
        return diag_fail(diag, SEALTAPE_E_MEMORY, "%s: no memory", source->path);
    st = import(source, &text, x509, diag);
    if (st != SEALTAPE_OK)
        return st;
    if (gnutls_x509_privkey_get_pk_algorithm2(x509, &bits) != GNUTLS_PK_RSA)
        return diag_fail(diag, SEALTAPE_E_USAGE, "%s: expected an RSA key, found another kind",
                source->path);
    if (gnutls_privkey_import_x509(key->private, x509, GNUTLS_PRIVKEY_IMPORT_AUTO_RELEASE) != 0)
        return diag_fail(diag, SEALTAPE_E_MEMORY, "%s: no memory", source->path);
    x509 = NULL; /* the private key releases it */
    key->modulus_len = (bits + 7) / 8;
    *ret_key = TAKE(key);
    return SEALTAPE_OK;
}

unsigned key_decrypt(const struct key *key, const uint8_t *message, size_t message_len,
        uint8_t *ret_bytes, size_t len)
{
    uint8_t copy[1024];
    gnutls_datum_t ciphertext = {.data = copy, .size = (unsigned)message_len};

    if (message_len != key->modulus_len || message_len > sizeof(copy))
        return 0;
    memcpy(copy, message, message_len);
    return gnutls_privkey_decrypt_data2(key->private, 0, &ciphertext, ret_bytes, len) == 0;
}
