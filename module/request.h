/*
 * The parameters of an `open`, read and checked: which profile, which format,
 * what goes into the metadata.
 */
#ifndef SEALTAPE_REQUEST_H
#define SEALTAPE_REQUEST_H

#include <stddef.h>
#include <stdint.h>

#include "base/diag.h"
#include "recording.h"
#include "spool/evidence.h"

#define REQUEST_PARAMS_MAX 256u
/* Bytes of an id. */
#define REQUEST_ID_MAX 256u

/* Strings are borrowed from the parameters; NULL where not given. */
struct request {
    const char *dbid_text, *tenant_dbid_text;
    uint32_t dbid, tenant_dbid;
    const char *profile, *id, *call_uuid, *ani, *dnis, *type, *ccid, *tenant, *storage, *processor;
    enum recording_format format;
    uint32_t rate, channels, byte_rate;
};

/*
 * Read the parameters; what is nobody's goes into @evidence. [control]
 *
 *   SEALTAPE_E_USAGE  @diag: which parameter, what was expected, what was found
 *   SEALTAPE_E_LIMIT, SEALTAPE_E_MEMORY
 */
enum sealtape_status request_read(const struct sealtape_param *params, size_t count,
        struct evidence *evidence, struct request *ret_request, struct diag *diag) MUST_CHECK;

/*
 * Make the name of a media file: "<id>-<16 hex digits>.<ext>" in [A-Za-z0-9._-],
 * extension by MIME type. [control] @ret_name has ENTRY_MEDIA_ID_SIZE bytes.
 */
enum sealtape_status request_media_id(const char *id, const char *type, char *ret_name) MUST_CHECK;

#endif
