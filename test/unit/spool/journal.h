/*
 * What the spool does to its directory, written down call by call, so that the
 * power can be cut at any point afterwards.
 *
 * The disk of the model keeps what a returned fsync or syncfs covered. Of all
 * later operations it may have kept any: changes of names each by itself, data
 * by pages of 4096 bytes, the size of a file as far as its kept pages reach.
 */
#ifndef SEALTAPE_TEST_JOURNAL_H
#define SEALTAPE_TEST_JOURNAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Write down what happens below @directory, which is empty now. */
void journal_start(const char *directory);
void journal_stop(void);
void journal_clear(void);

/* Operations so far. */
size_t journal_count(void);

/*
 * Make the tree that is on disk when the power is cut after @count operations.
 *
 * @keep: of 1000 operations that no sync covered, so many are kept, chosen by @seed.
 */
void journal_materialize(size_t count, unsigned keep, uint32_t seed, const char *directory);

/* The contents that a file had when the last sync of the file system began that had returned
 * by then; looked up by how its name ends. false: no sync covered it. */
bool journal_covered(size_t count, const char *name, uint8_t **ret_bytes, size_t *ret_len);

#endif
