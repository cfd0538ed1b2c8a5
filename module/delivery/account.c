#include "delivery/account.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"

#define PASSWORD_FILE_MAX 4096

enum sealtape_status account_init(
        struct account *account, const struct config_destination *destination, struct diag *diag)
{
    memset(account, 0, sizeof(*account));
    account->destination = destination;
    return url_parse(destination->url, &account->url, diag);
}

static void password_free(char **password)
{
    if (*password)
        explicit_bzero(*password, strlen(*password));
    free(*password);
    *password = NULL;
}

void account_clear(struct account *account)
{
    password_free(&account->password);
}

static bool same_file(const struct stat *a, const struct stat *b)
{
    return a->st_ino == b->st_ino && a->st_dev == b->st_dev && a->st_size == b->st_size
           && a->st_mtim.tv_sec == b->st_mtim.tv_sec && a->st_mtim.tv_nsec == b->st_mtim.tv_nsec;
}

static enum sealtape_status password_check(
        const char *password, const char *from, struct diag *diag)
{
    if (!password || !password[0])
        return diag_fail(diag, SEALTAPE_E_CONFIG, "%s: expected a password, found nothing", from);
    for (const char *c = password; *c; c++) {
        if ((unsigned char)*c < 0x20 || *c == 0x7f)
            return diag_fail(diag, SEALTAPE_E_CONFIG,
                    "%s: expected one line, found control characters", from);
    }
    return SEALTAPE_OK;
}

static enum sealtape_status password_read(struct account *account, struct diag *diag)
{
    const char *path = account->destination->password_file;
    CLEANUP(password_free) char *bytes = NULL;
    enum sealtape_status st;
    struct stat now;
    size_t len = 0;

    if (stat(path, &now) != 0)
        return diag_fail(diag, SEALTAPE_E_IO, "%s: cannot read: %s", path, strerror(errno));
    if (account->password && !account->stale && same_file(&now, &account->seen))
        return SEALTAPE_OK;
    st = file_read(AT_FDCWD, path, PASSWORD_FILE_MAX, &bytes, &len, diag);
    if (st != SEALTAPE_OK)
        return st;
    while (len > 0 && (bytes[len - 1] == '\n' || bytes[len - 1] == '\r'))
        bytes[--len] = '\0';
    /* A NUL inside would cut it. */
    if (strlen(bytes) != len)
        return diag_fail(
                diag, SEALTAPE_E_CONFIG, "%s: expected one line, found control characters", path);
    st = password_check(bytes, path, diag);
    if (st != SEALTAPE_OK)
        return st;
    password_free(&account->password);
    account->password = TAKE(bytes);
    account->seen = now;
    account->stale = false;
    return SEALTAPE_OK;
}

enum sealtape_status account_password(
        struct account *account, const char **ret_password, struct diag *diag)
{
    enum sealtape_status st;

    if (!account->destination->username) {
        *ret_password = NULL;
        return SEALTAPE_OK;
    }
    if (account->destination->password_env) {
        const char *value = getenv(account->destination->password_env);

        st = password_check(value, account->destination->password_env, diag);
        if (st == SEALTAPE_OK)
            *ret_password = value;
        else
            diag_prefix(diag, "the environment variable ");
        return st;
    }
    if (!account->destination->password_file) {
        *ret_password = "";
        return SEALTAPE_OK;
    }
    st = password_read(account, diag);
    if (st != SEALTAPE_OK)
        return st;
    *ret_password = account->password;
    return SEALTAPE_OK;
}

void account_describe(const struct account *account, char *ret_text, size_t size)
{
    const struct config_destination *with = account ? account->destination : NULL;

    if (!with || !with->username)
        (void)snprintf(ret_text, size, ": no credentials are configured for this origin");
    else
        (void)snprintf(ret_text, size, ": username %.100s with the password from %s%.200s",
                with->username, with->password_env ? "the environment variable " : "",
                with->password_env ? with->password_env : with->password_file);
}

void account_distrust(struct account *account)
{
    account->stale = true;
}

struct account *account_find(struct account *accounts, size_t count, const struct url *url)
{
    struct account *best = NULL;
    size_t best_len = 0;

    for (size_t i = 0; i < count; i++) {
        const char *path = accounts[i].url.path;
        size_t len = strlen(path);

        if (!url_same_origin(&accounts[i].url, url))
            continue;
        if (strncmp(path, url->path, len) != 0)
            len = 0;
        if (!best || len > best_len) {
            best = &accounts[i];
            best_len = len;
        }
    }
    return best;
}
