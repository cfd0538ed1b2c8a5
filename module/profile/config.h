/*
 * sealtape.xml: one file that says where profiles, trust, spool, stores and
 * processors are.
 *
 * Relative paths are relative to the file and absolute here. Unknown elements
 * and attributes are errors with a suggestion. The schema stands in
 * profiles/sealtape.rng; this reader is the stricter of the two.
 */
#ifndef SEALTAPE_PROFILE_CONFIG_H
#define SEALTAPE_PROFILE_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/diag.h"

enum config_policy { CONFIG_WARN, CONFIG_REFUSE };
enum config_mode { CONFIG_LIVE, CONFIG_AFTER };
enum config_verify { CONFIG_VERIFY_LENGTH, CONFIG_VERIFY_DIGEST };

/* <storage> or <processor>: a URL, and what belongs to its origin. */
struct config_destination {
    char *url;           /* http or https, no userinfo; storage: ends with '/' */
    char *username;      /* NULL: none */
    char *password_file; /* NULL: none; absolute */
    char *password_env;  /* NULL: none; name of an environment variable; never beside a file */
    char *ca_file;       /* NULL: the system's CAs; absolute */
    bool insecure;       /* plain http beyond loopback is allowed */
    enum config_mode mode;     /* storage only; default live */
    uint32_t live_max;         /* storage only; default 100 */
    enum config_verify verify; /* storage only; default length */
    unsigned line;
};

/* The most destinations of one kind. */
#define CONFIG_DESTINATIONS_MAX 16u

struct config {
    char *path;     /* of the file, absolute */
    char *instance; /* [A-Za-z0-9._-], default: the host's name */
    struct {
        char *directory; /* required */
        char *cache;     /* default: "profile-cache" beside the spool directory */
    } profiles;
    struct {
        char *roots; /* required: PEM */
        char *crls;  /* NULL: none */
        enum config_policy crl_stale; /* default warn */
        enum config_policy weak_keys; /* default refuse */
    } trust;
    struct {
        char *directory; /* required */
        uint64_t quota_bytes;  /* 20 GiB */
        uint64_t memory_bytes; /* 256 MiB */
        uint32_t flush_ms;     /* 250 */
        uint32_t sync_ms;      /* 1000 */
        uint64_t grace_ms;     /* 10 min */
    } spool;
    struct config_destination *storages; /* at least one; the first is preferred */
    size_t storages_count;
    struct config_destination *processors; /* at least one */
    size_t processors_count;
    char *metrics_file; /* NULL: none */
};

/*
 * Read and check a configuration file. [setup]
 *
 * Whether files that it names exist is not looked at here, but for the form of
 * their names. @ret_config is owned by the caller.
 *
 *   SEALTAPE_E_CONFIG  "FILE:LINE: what was expected, what was found"
 *   SEALTAPE_E_IO      the file cannot be read
 */
enum sealtape_status config_load(const char *path, struct config **ret_config, struct diag *diag)
        MUST_CHECK;

/* The same from bytes; @path is for messages and for relative paths. [setup] */
enum sealtape_status config_parse(const char *path, const void *bytes, size_t len,
        struct config **ret_config, struct diag *diag) MUST_CHECK;

void config_free(struct config **config);

#endif
