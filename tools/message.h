/*
 * A file that `open`, `verify` and `inspect` are given: a metadata document, an
 * envelope (DER or PEM), or an archive member that holds its content (.p7m).
 */
#ifndef SEALTAPE_TOOLS_MESSAGE_H
#define SEALTAPE_TOOLS_MESSAGE_H

#include "seal/envelope.h"
#include "unseal/metadata.h"

enum message_kind { MESSAGE_DOCUMENT, MESSAGE_ENVELOPE, MESSAGE_MEMBER };

struct message {
    enum message_kind kind;
    struct metadata *metadata; /* MESSAGE_DOCUMENT, else NULL */
    struct envelope *envelope; /* the other kinds, else NULL */
};

/* Which it is, is seen from its first bytes. */
enum sealtape_status message_load(
        const char *path, struct message *ret_message, struct diag *diag) MUST_CHECK;

void message_clear(struct message *message);

/*
 * The envelope of a media file of a document.
 *
 *   SEALTAPE_E_USAGE  there is none, or it is damaged
 */
enum sealtape_status message_envelope(const struct metadata_media *media,
        struct envelope **ret_envelope, struct diag *diag) MUST_CHECK;

#endif
