/*
 * The exported symbol and the edge of the interface: arguments are checked,
 * sizes honoured, reasons copied; nothing else happens here.
 */
#include <sealtape/module.h>

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "recorder.h"
#include "recording.h"
#include "seal/envelope.h"
#include "seal/secret.h"

/*
 * One page that forked children find empty (MADV_WIPEONFORK): whether this
 * process is the one that called init. Asking the system for the pid would be a
 * system call in every write.
 */
static _Atomic uint32_t *_Atomic alive;

/* Guards what follows. */
static pthread_mutex_t init_lock = PTHREAD_MUTEX_INITIALIZER;
static unsigned init_count;
static struct sealtape_host host;

static bool is_alive(void)
{
    _Atomic uint32_t *page = atomic_load_explicit(&alive, memory_order_acquire);

    return page && atomic_load_explicit(page, memory_order_relaxed);
}

/* --- setting up ----------------------------------------------------------- */

static enum sealtape_status make_page(void)
{
    void *page = mmap(NULL, (size_t)sysconf(_SC_PAGESIZE), PROT_READ | PROT_WRITE,
            MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    if (page == MAP_FAILED)
        return SEALTAPE_E_MEMORY;
    if (madvise(page, (size_t)sysconf(_SC_PAGESIZE), MADV_WIPEONFORK) != 0) {
        munmap(page, (size_t)sysconf(_SC_PAGESIZE));
        return SEALTAPE_E_VERSION; /* a kernel before 4.14 */
    }
    atomic_store((_Atomic uint32_t *)page, 1);
    atomic_store(&alive, (_Atomic uint32_t *)page);
    return SEALTAPE_OK;
}

/* A host that was compiled with fewer fields has none of the later services. */
static enum sealtape_status keep_host(const struct sealtape_host *from)
{
    size_t size;

    memset(&host, 0, sizeof(host));
    if (!from)
        return SEALTAPE_OK;
    if (from->struct_size < offsetof(struct sealtape_host, log))
        return SEALTAPE_E_VERSION;
    size = from->struct_size < sizeof(host) ? from->struct_size : sizeof(host);
    memcpy(&host, from, size);
    return SEALTAPE_OK;
}

static enum sealtape_status init_first(const struct sealtape_host *from)
{
    enum sealtape_status st;

    st = keep_host(from);
    if (st == SEALTAPE_OK)
        st = make_page();
    if (st != SEALTAPE_OK)
        return st;
    log_to(host.log, host.context);
    clock_set_host(host.now_utc_ms, host.context);
    return SEALTAPE_OK;
}

static enum sealtape_status module_init(const struct sealtape_host *from)
{
    enum sealtape_status st = SEALTAPE_OK;

    pthread_mutex_lock(&init_lock);
    if (init_count > 0 && !is_alive())
        st = SEALTAPE_E_STATE; /* a forked child */
    else if (init_count == 0)
        st = init_first(from);
    if (st == SEALTAPE_OK)
        init_count++;
    pthread_mutex_unlock(&init_lock);
    return st;
}

static void module_deinit(void)
{
    pthread_mutex_lock(&init_lock);
    if (init_count > 0 && is_alive() && --init_count == 0) {
        munmap((void *)(uintptr_t)atomic_exchange(&alive, NULL), (size_t)sysconf(_SC_PAGESIZE));
        log_to(NULL, NULL);
        clock_set_host(NULL, NULL);
        secret_arena_close();
        memset(&host, 0, sizeof(host));
    }
    pthread_mutex_unlock(&init_lock);
}

/* --- the recorder's interface --------------------------------------------- */

static void give_reason(const struct diag *diag, char *reason, size_t reason_size)
{
    if (reason && reason_size > 0)
        (void)snprintf(reason, reason_size, "%s", diag->text);
}

/* A caller's mistake, told like any other failure. */
static enum sealtape_status refuse(
        enum sealtape_status status, const char *text, char *reason, size_t reason_size)
{
    struct diag diag;

    (void)diag_fail(&diag, status, "%s", text);
    give_reason(&diag, reason, reason_size);
    return status;
}

#define INERT "the module is not initialized in this process"

static enum sealtape_status abi_create(const char *config_path,
        struct sealtape_recorder **ret_recorder, char *reason, size_t reason_size)
{
    struct diag diag = {.text = ""};
    struct recorder_host recorder_host;
    enum sealtape_status st;

    if (!config_path || !ret_recorder)
        return refuse(SEALTAPE_E_USAGE, "create: config_path or ret_recorder is NULL", reason,
                reason_size);
    if (!is_alive())
        return refuse(SEALTAPE_E_STATE, INERT, reason, reason_size);
    recorder_host = (struct recorder_host){.context = host.context, .event = host.event};
    st = recorder_create(config_path, &recorder_host, ret_recorder, &diag);
    if (st != SEALTAPE_OK)
        give_reason(&diag, reason, reason_size);
    return st;
}

static void abi_destroy(struct sealtape_recorder *recorder, uint32_t drain_ms)
{
    if (recorder && is_alive())
        recorder_destroy(&recorder, drain_ms);
}

static enum sealtape_status abi_reload(
        struct sealtape_recorder *recorder, char *reason, size_t reason_size)
{
    struct diag diag = {.text = ""};
    enum sealtape_status st;

    if (!recorder)
        return refuse(SEALTAPE_E_USAGE, "reload: recorder is NULL", reason, reason_size);
    if (!is_alive())
        return refuse(SEALTAPE_E_STATE, INERT, reason, reason_size);
    st = recorder_reload(recorder, &diag);
    if (st != SEALTAPE_OK)
        give_reason(&diag, reason, reason_size);
    return st;
}

static enum sealtape_status abi_open(struct sealtape_recorder *recorder,
        const struct sealtape_param *params, size_t count, sealtape_recording *ret_recording,
        char *reason, size_t reason_size)
{
    struct diag diag = {.text = ""};
    enum sealtape_status st;

    if (!recorder || !ret_recording || (!params && count > 0))
        return refuse(SEALTAPE_E_USAGE, "open: recorder, params or ret_recording is NULL", reason,
                reason_size);
    if (!is_alive())
        return refuse(SEALTAPE_E_STATE, INERT, reason, reason_size);
    st = recorder_open(recorder, params, count, ret_recording, &diag);
    if (st != SEALTAPE_OK)
        give_reason(&diag, reason, reason_size);
    return st;
}

static enum sealtape_status abi_write(struct sealtape_recorder *recorder,
        sealtape_recording recording, const void *bytes, size_t len, uint32_t flags)
{
    if (!recorder || (!bytes && len > 0) || len > RECORDING_WRITE_MAX
            || flags & ~(SEALTAPE_WRITE_HEADER | SEALTAPE_WRITE_RETRY))
        return SEALTAPE_E_USAGE;
    if (!is_alive())
        return SEALTAPE_E_STATE;
    return recording_write(recorder_recordings(recorder), recording, bytes, len, flags);
}

static enum sealtape_status control(
        struct sealtape_recorder *recorder, sealtape_recording recording, enum recording_call call)
{
    if (!recorder)
        return SEALTAPE_E_USAGE;
    if (!is_alive())
        return SEALTAPE_E_STATE;
    return recording_control(recorder_recordings(recorder), recording, call);
}

static enum sealtape_status abi_pause(
        struct sealtape_recorder *recorder, sealtape_recording recording)
{
    return control(recorder, recording, RECORDING_PAUSE);
}

static enum sealtape_status abi_resume(
        struct sealtape_recorder *recorder, sealtape_recording recording)
{
    return control(recorder, recording, RECORDING_RESUME);
}

static enum sealtape_status abi_mask(
        struct sealtape_recorder *recorder, sealtape_recording recording)
{
    return control(recorder, recording, RECORDING_MASK);
}

static enum sealtape_status abi_unmask(
        struct sealtape_recorder *recorder, sealtape_recording recording)
{
    return control(recorder, recording, RECORDING_UNMASK);
}

static enum sealtape_status abi_set(struct sealtape_recorder *recorder,
        sealtape_recording recording, const char *key, const char *value)
{
    if (!recorder || !key || !value)
        return SEALTAPE_E_USAGE;
    if (!is_alive())
        return SEALTAPE_E_STATE;
    return recording_set(recorder_recordings(recorder), recording, key, value, NULL);
}

static enum sealtape_status abi_close(
        struct sealtape_recorder *recorder, sealtape_recording recording, const char *reason)
{
    if (!recorder)
        return SEALTAPE_E_USAGE;
    if (!is_alive())
        return SEALTAPE_E_STATE;
    return recording_close(recorder_recordings(recorder), recording, reason);
}

static enum sealtape_status abi_discard(
        struct sealtape_recorder *recorder, const char *recording_id)
{
    if (!recorder || !recording_id)
        return SEALTAPE_E_USAGE;
    if (!is_alive())
        return SEALTAPE_E_STATE;
    return recorder_discard(recorder, recording_id);
}

static enum sealtape_status abi_find(
        struct sealtape_recorder *recorder, const char *id, sealtape_recording *ret_recording)
{
    if (!recorder || !id || !ret_recording)
        return SEALTAPE_E_USAGE;
    if (!is_alive())
        return SEALTAPE_E_STATE;
    return recording_find(recorder_recordings(recorder), id, ret_recording);
}

static enum sealtape_status abi_stats(
        struct sealtape_recorder *recorder, struct sealtape_stats *stats)
{
    struct sealtape_stats all = {0};
    uint32_t size;

    if (!recorder || !stats || stats->struct_size < sizeof(stats->struct_size))
        return SEALTAPE_E_USAGE;
    if (!is_alive())
        return SEALTAPE_E_STATE;
    size = stats->struct_size < sizeof(all) ? stats->struct_size : (uint32_t)sizeof(all);
    all.struct_size = stats->struct_size;
    recorder_stats(recorder, &all);
    memcpy(stats, &all, size);
    return SEALTAPE_OK;
}

static const struct sealtape_recorder_interface recorder_interface = {
        .struct_size = sizeof(recorder_interface),
        .create = abi_create,
        .destroy = abi_destroy,
        .reload = abi_reload,
        .open = abi_open,
        .write = abi_write,
        .pause = abi_pause,
        .resume = abi_resume,
        .mask = abi_mask,
        .unmask = abi_unmask,
        .set = abi_set,
        .close = abi_close,
        .discard = abi_discard,
        .find = abi_find,
        .stats = abi_stats,
};

static const void *module_get_interface(const char *id)
{
    if (id && strcmp(id, SEALTAPE_RECORDER_INTERFACE) == 0)
        return &recorder_interface;
    return NULL;
}

extern __attribute__((visibility("default"))) const struct sealtape_entry sealtape_entry;

const struct sealtape_entry sealtape_entry = {
        .struct_size = sizeof(sealtape_entry),
        .abi_major = SEALTAPE_ABI_MAJOR,
        .abi_minor = SEALTAPE_ABI_MINOR,
        .version = SEALTAPE_VERSION,
        .init = module_init,
        .deinit = module_deinit,
        .get_interface = module_get_interface,
};
