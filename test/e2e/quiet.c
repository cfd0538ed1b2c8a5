/*
 * The write path allocates nothing and makes no system call below the
 * high-water mark.
 *
 * usage: quiet MODULE CONFIG DBID
 *
 * Counts allocations of the writing thread itself; around the writes it makes
 * the impossible call getpgid(-77), so that whoever traces it sees where they
 * begin and end (see quiet.sh).
 */
#include <dlfcn.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <sealtape/module.h>

#define QUIET_RECORDINGS 50
#define QUIET_ROUNDS 25 /* 50 times 25 frames of 320 bytes: half a second of calls */

#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define QUIET_SANITIZED 1
#endif
#endif
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define QUIET_SANITIZED 1
#endif

static __thread bool counting;
static __thread unsigned long allocations;

#ifndef QUIET_SANITIZED
/* These stand before those of the C library for the module, too. */
void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *old, size_t size);
void *__libc_memalign(size_t alignment, size_t size);
void __libc_free(void *old);

#define EXPORT __attribute__((visibility("default")))

EXPORT void *malloc(size_t size)
{
    allocations += counting;
    return __libc_malloc(size);
}

EXPORT void *calloc(size_t count, size_t size)
{
    allocations += counting;
    return __libc_calloc(count, size);
}

EXPORT void *realloc(void *old, size_t size)
{
    allocations += counting;
    return __libc_realloc(old, size);
}

EXPORT void *aligned_alloc(size_t alignment, size_t size)
{
    allocations += counting;
    return __libc_memalign(alignment, size);
}

EXPORT int posix_memalign(void **ret, size_t alignment, size_t size)
{
    void *made = __libc_memalign(alignment, size);

    allocations += counting;
    if (!made)
        return ENOMEM;
    *ret = made;
    return 0;
}

EXPORT void free(void *old)
{
    allocations += counting;
    __libc_free(old);
}
#endif

static const struct sealtape_recorder_interface *tape;
static struct sealtape_recorder *recorder;

static bool open_all(const char *dbid, sealtape_recording *recordings)
{
    char why[SEALTAPE_REASON_MAX], id[32];

    for (int i = 0; i < QUIET_RECORDINGS; i++) {
        const struct sealtape_param params[] = {
                {"dbid", dbid}, {"id", id}, {"format", "pcm16"}, {"byte-rate", "16000"}};

        snprintf(id, sizeof(id), "quiet-%d", i);
        if (tape->open(recorder, params, 4, &recordings[i], why, sizeof(why)) != SEALTAPE_OK) {
            fprintf(stderr, "quiet: %s\n", why);
            return false;
        }
    }
    return true;
}

/* Every kind of write: plain, header, odd length, masked. */
static bool write_all(const sealtape_recording *recordings)
{
    char frame[320];

    for (int round = 0; round < QUIET_ROUNDS; round++) {
        for (int i = 0; i < QUIET_RECORDINGS; i++) {
            uint32_t flags = round == 0 ? SEALTAPE_WRITE_HEADER : 0;
            size_t len = round % 5 == 4 ? 313 : sizeof(frame);

            memset(frame, round + i, sizeof(frame));
            if (tape->write(recorder, recordings[i], frame, len, flags) != SEALTAPE_OK)
                return false;
        }
    }
    return true;
}

int main(int argc, char **argv)
{
    sealtape_recording recordings[QUIET_RECORDINGS];
    char why[SEALTAPE_REASON_MAX] = "";
    const struct sealtape_entry *entry;
    unsigned long counted;
    bool written;
    void *module;

    if (argc != 4)
        return 2;
    module = dlopen(argv[1], RTLD_NOW | RTLD_LOCAL);
    entry = module ? dlsym(module, SEALTAPE_ENTRY_SYMBOL) : NULL;
    if (!entry || entry->init(NULL) != SEALTAPE_OK)
        return 2;
    tape = entry->get_interface(SEALTAPE_RECORDER_INTERFACE);
    if (tape->create(argv[2], &recorder, why, sizeof(why)) != SEALTAPE_OK) {
        fprintf(stderr, "quiet: %s\n", why);
        return 2;
    }
    if (!open_all(argv[3], recordings))
        return 2;
    tape->mask(recorder, recordings[1]);

    syscall(SYS_getpgid, -77);
    counting = true;
    written = write_all(recordings);
    counting = false;
    syscall(SYS_getpgid, -77);
    counted = allocations;

    for (int i = 0; i < QUIET_RECORDINGS; i++)
        tape->close(recorder, recordings[i], NULL);
    tape->destroy(recorder, 0);
    entry->deinit();
    printf("%s, %lu allocations in %d writes\n", written ? "written" : "refused", counted,
            QUIET_RECORDINGS * QUIET_ROUNDS);
#ifdef QUIET_SANITIZED
    printf("the sanitizer owns the allocator: not counted\n");
#endif
    return written && counted == 0 ? 0 : 1;
}
