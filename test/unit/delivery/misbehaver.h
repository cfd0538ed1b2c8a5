/*
 * A scripted server: store and processor in memory, which breaks rules when
 * it is told to. One thread for each connection.
 */
#ifndef SEALTAPE_TEST_MISBEHAVER_H
#define SEALTAPE_TEST_MISBEHAVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum fault_kind {
    FAULT_NONE,
    FAULT_STATUS, /* take the body, do nothing, answer `status` */
    FAULT_EARLY,  /* answer `status` right after the head, then read nothing */
    FAULT_RESET,  /* RST after `bytes` of the body */
    FAULT_FIN,    /* FIN after `bytes` of the body, without an answer */
    FAULT_SHORT,  /* keep `bytes` fewer than came, answer 201 */
    FAULT_LENGTH, /* PROPFIND: name `bytes` as the length */
    FAULT_SILENT, /* do it, and close without an answer */
    FAULT_HANG,   /* do it, and never answer */
    FAULT_FLOOD   /* answer 200 with an endless body */
};

/* For the next @times requests with @method (and @part in the path, where not NULL). */
struct fault {
    const char *method, *part;
    enum fault_kind kind;
    int status;
    uint64_t bytes;
    int times;
    int retry_after; /* seconds, 0: not said */
};

struct seen {
    char method[16], path[512], authorization[128], key[256], host[128], overwrite[8];
    bool chunked, expected;
    size_t body_len;
    int status;
    uint64_t at_ns;
};

struct misbehaver;

struct misbehaver *misbehaver_start(void);
void misbehaver_stop(struct misbehaver **server);
uint16_t misbehaver_port(const struct misbehaver *server);

void misbehaver_fault(struct misbehaver *server, const struct fault *fault);
void misbehaver_forget_faults(struct misbehaver *server);
/* "Basic ..." that is asked for; NULL: anybody may. */
void misbehaver_ask(struct misbehaver *server, const char *authorization);

/* An object by its path; false: none. @ret_bytes malloc'ed, may be NULL. */
bool misbehaver_object(
        struct misbehaver *server, const char *path, char **ret_bytes, size_t *ret_len);
void misbehaver_put(struct misbehaver *server, const char *path, const void *bytes, size_t len);
void misbehaver_delete(struct misbehaver *server, const char *path);
size_t misbehaver_objects(struct misbehaver *server);
/* The body of the last POST, malloc'ed. */
char *misbehaver_posted(struct misbehaver *server);

/* Requests with @method so far; the @index-th of them. */
size_t misbehaver_count(struct misbehaver *server, const char *method);
bool misbehaver_seen(
        struct misbehaver *server, const char *method, size_t index, struct seen *ret_seen);
/* Bytes of PUT bodies that have come so far. */
uint64_t misbehaver_bytes(struct misbehaver *server);

#endif
