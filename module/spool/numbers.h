/*
 * The last number that each tenant has taken in an epoch, and their text form:
 *
 *   sealtape-epoch 1
 *   epoch 0123456789abcdef0123456789abcdef
 *   tenant 101 17
 *
 * Tenants stand in ascending order.
 */
#ifndef SEALTAPE_SPOOL_NUMBERS_H
#define SEALTAPE_SPOOL_NUMBERS_H

#include <stddef.h>
#include <stdint.h>

#include "base/diag.h"

#define NUMBERS_FORMAT 1
/* Tenants that one folder counts, and the bytes that makes at most. */
#define NUMBERS_TENANTS_MAX 100000
#define NUMBERS_TEXT_MAX (NUMBERS_TENANTS_MAX * 48u)
/* A document has it as a JSON integer. */
#define NUMBERS_LAST_MAX ((uint64_t)INT64_MAX)

struct numbers;

enum sealtape_status numbers_new(struct numbers **ret_numbers) MUST_CHECK;
void numbers_free(struct numbers **numbers);

/* The next number of a tenant, from 1. SEALTAPE_E_LIMIT, SEALTAPE_E_MEMORY. */
enum sealtape_status numbers_take(
        struct numbers *numbers, uint32_t tenant_dbid, uint64_t *ret_number) MUST_CHECK;
/* The next one is beyond this. */
enum sealtape_status numbers_see(
        struct numbers *numbers, uint32_t tenant_dbid, uint64_t number) MUST_CHECK;

enum sealtape_status numbers_text(const struct numbers *numbers, const char *epoch, char **ret_text,
        size_t *ret_len) MUST_CHECK;
/*
 * Read a text, in place of what @numbers has. @ret_epoch takes 33 bytes.
 *
 *   SEALTAPE_E_VERSION  of a newer format
 *   SEALTAPE_E_SPOOL    corrupt
 *   SEALTAPE_E_LIMIT    more than NUMBERS_TENANTS_MAX tenants
 *   SEALTAPE_E_MEMORY
 */
enum sealtape_status numbers_parse(struct numbers *numbers, const char *text, size_t len,
        char *ret_epoch, struct diag *diag) MUST_CHECK;

#endif
