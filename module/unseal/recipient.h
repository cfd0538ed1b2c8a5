/*
 * A recipient of an envelope in words: issuer and serial of the certificate
 * whose private key is needed.
 */
#ifndef SEALTAPE_UNSEAL_RECIPIENT_H
#define SEALTAPE_UNSEAL_RECIPIENT_H

#include "base/diag.h"
#include "seal/envelope.h"
#include "unseal/metadata.h"

#define RECIPIENT_ISSUER_SIZE 512
/* 20 octets (RFC 5280, 4.1.2.2) and then some; longer ones are refused. */
#define RECIPIENT_SERIAL_MAX 64
#define RECIPIENT_SERIAL_SIZE 160

struct recipient_name {
    char issuer[RECIPIENT_ISSUER_SIZE]; /* in encoding order: "C=US,O=Example,CN=CA" */
    char serial[RECIPIENT_SERIAL_SIZE]; /* decimal */
};

/*
 * Name a recipient. [any]
 *
 *   SEALTAPE_E_USAGE  the issuer is not a Name, or something is too long
 */
enum sealtape_status recipient_name(const struct envelope_recipient *recipient,
        struct recipient_name *ret_name, struct diag *diag) MUST_CHECK;

/*
 * Write which certificates can open an envelope, as far as the text has room: [any]
 * "ALIAS (issuer ..., serial ..., sha256 ...); ...". @media may be NULL.
 */
void recipient_list(const struct envelope *envelope, const struct metadata_media *media,
        char *ret_text, size_t size);

#endif
