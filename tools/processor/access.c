#include "processor/access.h"

#include <fcntl.h>
#include <gnutls/crypto.h>
#include <gnutls/gnutls.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/file.h"

#define PASSWORD_FILE_MAX 4096

static void secret_text_free(char **text)
{
    if (*text)
        gnutls_memset(*text, 0, strlen(*text));
    free(*text);
    *text = NULL;
}

enum sealtape_status access_load(const char *username, const char *password_file,
        struct access *ret_access, struct diag *diag)
{
    CLEANUP(secret_text_free) char *password = NULL;
    CLEANUP(secret_text_free) char *both = NULL;
    struct access access = {0};
    enum sealtape_status st;
    size_t len;

    if (!*username || strchr(username, ':'))
        return diag_fail(diag, SEALTAPE_E_USAGE, "--username: expected a name without \":\"");
    st = file_read(AT_FDCWD, password_file, PASSWORD_FILE_MAX, &password, &len, diag);
    if (st != SEALTAPE_OK)
        return st;
    password[strcspn(password, "\r\n")] = '\0';
    if (!*password)
        return diag_fail(
                diag, SEALTAPE_E_USAGE, "%s: expected a password in the first line", password_file);
    if (asprintf(&both, "%s:%s", username, password) < 0) {
        both = NULL;
        return diag_fail(diag, SEALTAPE_E_MEMORY, "no memory");
    }
    if (gnutls_hash_fast(GNUTLS_DIG_SHA256, both, strlen(both), access.digest))
        return diag_fail(diag, SEALTAPE_E_MEMORY, "no memory");
    *ret_access = access;
    return SEALTAPE_OK;
}

int access_allows(const struct access *access, const char *authorization)
{
    unsigned char digest[sizeof(access->digest)];
    gnutls_datum_t encoded, decoded;
    char *text;
    int failed;

    if (access->is_open)
        return 1;
    if (!authorization || strncasecmp(authorization, "Basic ", 6))
        return 0;
    text = strdup(authorization + 6 + strspn(authorization + 6, " "));
    if (!text)
        return 0;
    encoded.data = (unsigned char *)text;
    encoded.size = (unsigned)strlen(text);
    failed = gnutls_base64_decode2(&encoded, &decoded);
    secret_text_free(&text);
    if (failed)
        return 0;
    failed = gnutls_hash_fast(GNUTLS_DIG_SHA256, decoded.data, decoded.size, digest);
    gnutls_memset(decoded.data, 0, decoded.size);
    gnutls_free(decoded.data);
    return !failed && !gnutls_memcmp(digest, access->digest, sizeof(digest));
}
