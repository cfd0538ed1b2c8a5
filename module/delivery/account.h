/*
 * The credentials of one configured destination, and the CA file that goes
 * with them. They are for URLs of the destination's own origin only.
 */
#ifndef SEALTAPE_DELIVERY_ACCOUNT_H
#define SEALTAPE_DELIVERY_ACCOUNT_H

#include <stdbool.h>
#include <sys/stat.h>

#include "base/diag.h"
#include "profile/config.h"
#include "profile/url.h"

struct account {
    const struct config_destination *destination; /* borrowed */
    struct url url;
    char *password;   /* NULL: none read yet */
    struct stat seen; /* of the file that it came from */
    bool stale;       /* read again, whatever stat says */
};

/* @destination is borrowed. [setup] SEALTAPE_E_USAGE: its URL is not one of ours. */
enum sealtape_status account_init(struct account *account,
        const struct config_destination *destination, struct diag *diag) MUST_CHECK;
/* Wipes the password. */
void account_clear(struct account *account);

/*
 * The password as it is now: from the environment, or from the file, which is read
 * again when it has changed or after account_distrust(). [transfer; waits for disk]
 * @ret_password is borrowed until the next call, NULL where the account has no user name.
 *
 *   SEALTAPE_E_IO      the file cannot be read; the words never hold its content
 *   SEALTAPE_E_CONFIG  a password with control characters, or none
 */
enum sealtape_status account_password(
        struct account *account, const char **ret_password, struct diag *diag) MUST_CHECK;

/*
 * Which credentials a peer was sent that answered 401, to stand behind that: [any]
 * ": username ...". @account may be NULL. Never holds the password.
 */
void account_describe(const struct account *account, char *ret_text, size_t size);

/* The peer refused it: read it again next time. [transfer] */
void account_distrust(struct account *account);

/* The one that serves @url: same origin, longest path in common; NULL: none. [any] */
struct account *account_find(struct account *accounts, size_t count, const struct url *url);

#endif
