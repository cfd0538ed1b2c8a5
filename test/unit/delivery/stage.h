/*
 * A spool folder with entries made by hand, a configuration, and a transfer
 * that works them; and the real servers that they go to.
 */
#ifndef SEALTAPE_TEST_STAGE_H
#define SEALTAPE_TEST_STAGE_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "delivery/pace.h"
#include "delivery/transfer.h"
#include "profile/config.h"
#include "spool/entry.h"
#include "spool/folder.h"

#define STAGE_DEADLINE_MS 20000
#define STAGE_URLS_MAX 4

struct stage {
    char directory[64];
    struct folder *folder;
    struct config config;
    struct config_destination storages[STAGE_URLS_MAX], processors[STAGE_URLS_MAX];
    struct pace pace;
    struct transfer *transfer;
    const char *tenant;
    const char *storage; /* what documents name; NULL: what is configured */

    /* Guards what follows. */
    pthread_mutex_t lock;
    unsigned events[16];
    char last_text[512];
};

/* All bytes of an entry in hand. */
struct stage_entry {
    struct stage *stage;
    struct entry *entry;
    char media_id[64];
    int fd;
    char *bytes;
    size_t len;
};

void stage_open(struct stage *stage);
void stage_close(struct stage *stage);
void stage_storage(struct stage *stage, const char *format, ...) PRINTF_LIKE(2, 3);
void stage_processor(struct stage *stage, const char *format, ...) PRINTF_LIKE(2, 3);
/* A file in the stage's directory; returns its path, to be freed. */
char *stage_file(struct stage *stage, const char *name, const char *content);
void stage_start(struct stage *stage);

/* A recording that has begun; bytes appended; the end of it. */
void stage_record(struct stage *stage, struct stage_entry *entry, const char *media_id);
void stage_append(struct stage_entry *entry, size_t len);
void stage_finish(struct stage_entry *entry);
/* All of it at once, closed and offered. */
void stage_closed(struct stage *stage, struct stage_entry *entry, const char *media_id, size_t len);
void stage_drop(struct stage_entry *entry);

unsigned stage_events(struct stage *stage, enum sealtape_event_kind kind);

/* Wait until @test is true; false after the deadline. */
bool stage_wait(bool (*test)(void *context), void *context);
bool stage_wait_state(struct stage_entry *entry, enum entry_state state);

/* A store on a free port, below @directory/<name>; *ret_pid to be given to server_kill(). */
enum server_kind { SERVER_NGINX, SERVER_APACHE, SERVER_RCLONE };
struct server {
    pid_t pid;
    uint16_t port;
    char root[128]; /* its objects as files */
};
/* @tls: PEM with key and certificate, or NULL (nginx only). */
bool server_start(
        struct stage *stage, enum server_kind kind, const char *tls, struct server *ret_server);
void server_kill(struct server *server);

#endif
