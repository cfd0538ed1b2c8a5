/*
 * One file of the profile directory: what of it is in force, and what is wrong
 * with it as it stands.
 */
#ifndef SEALTAPE_PROFILE_INPUT_H
#define SEALTAPE_PROFILE_INPUT_H

#include <nettle/sha2.h>
#include <stdbool.h>
#include <sys/stat.h>

#include "base/log_number.h"
#include "profile/annex.h"
#include "profile/cache.h"
#include "profile/pool.h"

/* Bytes of a file, known again without reading it or by their digest. */
struct fingerprint {
    struct stat stat;
    bool settled; /* old enough when it was read: a later change shows in its times */
    uint8_t digest[SHA256_DIGEST_SIZE];
};

struct input {
    char *name;
    bool options;           /* "<dbid>.cfg", else an export */
    bool read;              /* fingerprint and complaint are of some bytes */
    bool present;           /* seen by the scan under way */
    uint64_t gone_ns;       /* since when it is not there; 0: it is */
    struct annex_list good; /* in force */
    bool has_good;
    struct fingerprint fingerprint;
    char *complaint; /* why the file as it stands is not in force, or NULL */
    enum log_number number;
    char *pending; /* text that the cache does not have yet, or NULL */
    size_t pending_len;
};

/* @name is copied. [setup] SEALTAPE_E_MEMORY */
enum sealtape_status input_new(
        const char *name, struct input **ret_input, struct diag *diag) MUST_CHECK;
void input_free(struct input **input);

/*
 * Is the file the same as when it was read, by its inode, size and times? [setup]
 * Never for one that was changed shortly before it was read.
 */
bool fingerprint_holds(const struct fingerprint *fingerprint, int dirfd, const char *path);

/* Take inode, size and times; before the bytes are read. [setup] False: there is no such file. */
bool fingerprint_take(struct fingerprint *fingerprint, int dirfd, const char *path);

/* Take the digest. Is it another one than before? [any] */
bool fingerprint_digest(struct fingerprint *fingerprint, const void *bytes, size_t len);

/*
 * Read the file where it is not what it was. [setup] Returns whether something is new: what
 * is in force, or the complaint. What is not understood leaves what is in force.
 * @force: read it even if it looks unchanged.
 */
bool input_refresh(struct input *input, int dirfd, struct pool *pool, bool force);

/* Put the cached text in force. [setup] False: there is none that is good. */
bool input_restore(struct input *input, struct cache *cache, struct pool *pool);

/* Give the cache what it does not have yet. [setup] */
enum sealtape_status input_keep(
        struct input *input, struct cache *cache, struct diag *diag) MUST_CHECK;

#endif
