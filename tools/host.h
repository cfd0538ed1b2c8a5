/*
 * The part of a media server: opens the module with dlopen and knows it by
 * include/sealtape/module.h alone.
 */
#ifndef SEALTAPE_TOOLS_HOST_H
#define SEALTAPE_TOOLS_HOST_H

#include <stdbool.h>
#include <stdint.h>

#include "base/diag.h"

#define HOST_TEXT_MAX 1024

/* What the module has told of our one media file. Texts are "" until it has. */
struct host_media {
    char media_id[HOST_TEXT_MAX];
    char url[HOST_TEXT_MAX];
    char outcome[32];
    char sha256[65];
    char text[HOST_TEXT_MAX]; /* of the failure */
    bool stored, posted, failed, discarded;
    uint64_t lost_bytes;
};

struct host;

/*
 * Load the module and start a recorder.
 *
 * @module NULL: the one in the build directory that the program is run from, else
 * the installed one. What the module logs goes to stderr from warnings on.
 *
 *   SEALTAPE_E_VERSION  no module, or one of another ABI
 *   what `create` answers
 */
enum sealtape_status host_start(const char *module, const char *config, struct host **ret_host,
        struct diag *diag) MUST_CHECK;

/* Stop the recorder, unload the module. What is not delivered stays in the spool. */
void host_stop(struct host **host);

/* Once in the life of a host: the ABI's `open`, `write`, `close`. */
enum sealtape_status host_open(struct host *host, const struct sealtape_param *params, size_t count,
        struct diag *diag) MUST_CHECK;
enum sealtape_status host_write(
        struct host *host, const void *bytes, size_t len, uint32_t flags) MUST_CHECK;
enum sealtape_status host_close(struct host *host, const char *reason) MUST_CHECK;

/* Wait up to @wait_ms for the media file's end. True: it was delivered, discarded or failed. */
bool host_wait(struct host *host, uint64_t wait_ms);

/* What is known now. */
void host_media(struct host *host, struct host_media *ret_media);

#endif
