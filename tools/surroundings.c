#include "surroundings.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "delivery/account.h"
#include "profile/certificate.h"
#include "spool/folder.h"
#include "tool.h"

static void look_at_spool(const struct config *config, surroundings_tell *tell, void *context)
{
    CLEANUP(tool_chars_free) char *parent = NULL;
    struct diag diag = {0};
    struct stat stat_now;

    /* Where it exists, this makes nothing; where it does not, the recorder must be able to. */
    if (stat(config->spool.directory, &stat_now) == 0) {
        if (folder_check_spool(config->spool.directory, &diag) != SEALTAPE_OK)
            tell(context, true, diag.text);
        return;
    }
    parent = strdup(config->spool.directory);
    if (!parent) {
        tell(context, true, "no memory");
        return;
    }
    *(strrchr(parent, '/') + (strrchr(parent, '/') == parent)) = '\0';
    if (faccessat(AT_FDCWD, parent, W_OK | X_OK, AT_EACCESS) == 0)
        return;
    ignore(diag_fail(&diag, SEALTAPE_E_SPOOL,
            "spool %s: does not exist, and cannot be made in %s: %s", config->spool.directory,
            parent, strerror(errno)));
    tell(context, true, diag.text);
}

static void look_at_password(const struct config_destination *destination, struct diag *diag)
{
    struct account account;
    const char *password = NULL;

    if (account_init(&account, destination, diag) == SEALTAPE_OK)
        ignore(account_password(&account, &password, diag) == SEALTAPE_OK);
    account_clear(&account);
}

/* The reader of roots knows everything that can be wrong with a file of CAs. */
static void look_at_ca(const struct config_destination *destination, struct diag *diag)
{
    CLEANUP(trust_release) struct trust *trust = NULL;
    const struct config as_roots = {.trust = {.roots = destination->ca_file}};

    ignore(trust_load(&as_roots, &trust, diag) == SEALTAPE_OK);
}

static void look_at_destination(const struct config *config, const char *name,
        const struct config_destination *destination, surroundings_tell *tell, void *context)
{
    struct diag diag = {0};

    look_at_password(destination, &diag);
    if (*diag.text) {
        diag_prefix(
                &diag, "%s:%u: the password of this <%s>: ", config->path, destination->line, name);
        tell(context, true, diag.text);
    }
    diag = (struct diag){0};
    if (destination->ca_file)
        look_at_ca(destination, &diag);
    if (*diag.text) {
        diag_prefix(&diag, "%s:%u: %s/@ca-file: ", config->path, destination->line, name);
        tell(context, true, diag.text);
    }
}

void surroundings_look(const struct config *config, surroundings_tell *tell, void *context)
{
    look_at_spool(config, tell, context);
    for (size_t i = 0; i < config->storages_count; i++)
        look_at_destination(config, "storage", &config->storages[i], tell, context);
    for (size_t i = 0; i < config->processors_count; i++)
        look_at_destination(config, "processor", &config->processors[i], tell, context);
    if (config->metrics_file)
        tell(context, false, "metrics/@file: this version writes no metrics");
}
