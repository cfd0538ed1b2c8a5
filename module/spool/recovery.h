/*
 * What a process left behind is made deliverable: no key needed.
 *
 * Works in a folder whose lock is held. A recording that was running is cut at
 * its newest slot that fits the bytes, closed by the slot's closing bytes, and
 * marked `interrupted`. Being killed in the middle changes nothing: the next
 * recovery comes to the same result.
 */
#ifndef SEALTAPE_SPOOL_RECOVERY_H
#define SEALTAPE_SPOOL_RECOVERY_H

#include <stdint.h>

#include "base/diag.h"
#include "spool/entry.h"
#include "spool/folder.h"

struct recovery_result {
    uint32_t interrupted; /* recordings that were closed by recovery */
    uint32_t waiting;     /* all that is to be delivered, those included */
    uint32_t posted;      /* in their grace time */
    uint32_t failed;      /* in failed/, old ones included */
    uint32_t deferred;    /* that the disk did not let us look at or close: left in place */
    uint32_t newer;       /* of a newer format, left untouched */
    uint64_t bytes;       /* of all .bin */
};

/*
 * Recover a folder. [setup, adopter]
 *
 * @offer gets each entry that is closed, stored or posted, borrowed for the call.
 *
 *   SEALTAPE_E_IO  the folder cannot be read; some entries may have been offered
 */
enum sealtape_status recovery_run(struct folder *folder,
        void (*offer)(void *context, struct entry *entry), void *context,
        struct recovery_result *ret_result, struct diag *diag) MUST_CHECK;

#endif
