/*
 * A recording for tests of the spool: its audio, key and salt follow from its
 * name, so that whoever finds it on disk later, in another process, can tell
 * what ought to stand there.
 */
#ifndef SEALTAPE_TEST_REEL_H
#define SEALTAPE_TEST_REEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "seal/cipher.h"
#include "spool/evidence.h"
#include "spool/folder.h"
#include "spool/media.h"
#include "spool/memory.h"
#include "spool/spool.h"

#define REEL_NAME_SIZE 64

struct reel {
    char media_id[REEL_NAME_SIZE];
    struct media *media; /* a share */
    struct feed *feed;
    struct cipher *cipher;
    uint64_t accepted;
};

/* A new directory in memory, and its end. */
void reel_directory(char ret_path[REEL_NAME_SIZE]);
void reel_remove(const char *path);

/* A folder in such a directory with memory, no threads; and one recording in it. */
struct reel;
struct reel_stand {
    char directory[REEL_NAME_SIZE];
    struct folder *folder;
    struct memory *memory;
    struct reel *reel;
};
void reel_stand_open(struct reel_stand *stand);
void reel_stand_close(struct reel_stand *stand);

/* "<id>-0123456789abcdef.wav" */
void reel_media_id(const char *id, char ret_media_id[REEL_NAME_SIZE]);
struct evidence *reel_evidence(const char *id);

/* Audio of a recording at an offset. */
uint8_t reel_byte(const char *media_id, uint64_t offset);
/* AES-256 key and IV of a recording. */
void reel_key(const char *media_id, uint8_t ret_key[32], uint8_t ret_iv[16]);

/* Begin one in a folder without threads, or in a spool. */
void reel_new(struct reel *reel, const char *id, struct folder *folder, struct memory *memory);
void reel_begin(struct reel *reel, const char *id, struct spool *spool);
/* Seal @len bytes more as a media thread does. false: the memory is empty; counted as lost. */
bool reel_write(struct reel *reel, size_t len);
/* A control, with its mark in the feed. */
void reel_mark(struct reel *reel, enum feed_mark_kind kind);
void reel_end(struct reel *reel);
void reel_free(struct reel *reel);

/* What stands of a recording on disk. */
struct reel_state {
    enum entry_state state;
    uint64_t plain_size; /* of the message in .bin, decrypted */
    uint64_t stored_size;
    char outcome[24];
    uint64_t sequence;
    unsigned masks, spans, gaps;
    uint64_t gap_bytes;
    bool altered; /* the plaintext is not the recording's */
    char problem[256];
};

/*
 * Look for it in all states below a folder. Its message is decrypted with the
 * recording's key and compared with its audio, its document parsed and compared
 * with the message. false: not there. A contradiction is told in `problem`.
 */
bool reel_look(const char *folder_path, const char *media_id, struct reel_state *ret_state);

#endif
