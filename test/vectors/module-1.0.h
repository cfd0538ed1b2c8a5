/**
 * @file module.h
 * The interface between a media server and the Sealtape module.
 *
 * A host opens the module with dlopen(), looks up the one exported symbol
 * `sealtape_entry`, calls `init` once, and asks `get_interface` for
 * "sealtape.recorder/1". Everything after that goes through the function
 * pointers of that interface.
 *
 * Every function carries a thread tag:
 *
 *   [setup]    create, destroy, reload and their like; may wait for the disk
 *   [control]  signalling threads; may wait for a short lock, never for disk
 *              or network
 *   [media]    the audio path; no allocation, no I/O, no waiting
 *   [any]      whatever thread; does not wait
 *
 * Nothing is bound to a thread: `open`, `write` and `close` of one recording
 * may come from three different ones. One thread writes at a time.
 *
 * Sizes: each struct begins with `struct_size`, the size that its maker was
 * compiled with. A field beyond it does not exist for that maker: a reader
 * takes it as zero or NULL. Fields are only ever added at the end, so old
 * hosts load new modules and new hosts old modules. A change that breaks this
 * raises the major version.
 *
 * After fork() the child finds the module inert: every call answers
 * SEALTAPE_E_STATE and touches nothing. exec() closes every descriptor.
 *
 * This header compiles alone as C99 and as C++11.
 */
#ifndef SEALTAPE_MODULE_H
#define SEALTAPE_MODULE_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/** Major version: differs where host and module cannot work together. */
#define SEALTAPE_ABI_MAJOR 1
/** Minor version: grows with each field or function that is added. */
#define SEALTAPE_ABI_MINOR 0

/** The name of the one exported data symbol, a `struct sealtape_entry`. */
#define SEALTAPE_ENTRY_SYMBOL "sealtape_entry"

/** Names the interface `struct sealtape_recorder_interface`. */
#define SEALTAPE_RECORDER_INTERFACE "sealtape.recorder/1"

/** A reason buffer of this size, in bytes, is never cut short. */
#define SEALTAPE_REASON_MAX 1024

/** What a call answers. Zero is success, everything else is negative. */
enum sealtape_status {
    /** Done. */
    SEALTAPE_OK = 0,
    /** The caller's mistake: a NULL, an unknown flag, a malformed parameter. Nothing changed. */
    SEALTAPE_E_USAGE = -1,
    /** Host and module do not fit: the major version or a struct size. */
    SEALTAPE_E_VERSION = -2,
    /** No memory, or no more of it may be locked (RLIMIT_MEMLOCK). */
    SEALTAPE_E_MEMORY = -3,
    /** The configuration file is wrong; the reason names file and line. */
    SEALTAPE_E_CONFIG = -4,
    /** The IVR Profile is unknown, disabled or defined twice. */
    SEALTAPE_E_PROFILE = -5,
    /** The profile has no valid recording certificate (or one is not, and the profile says refuse). */
    SEALTAPE_E_CERTIFICATE = -6,
    /** The spool cannot take recordings: not writable, of a newer format, a network file system. */
    SEALTAPE_E_SPOOL = -7,
    /** A stated limit is reached: number of recordings, quota, length of a value. */
    SEALTAPE_E_LIMIT = -8,
    /** Not now: the memory ceiling is reached. Nothing was taken. */
    SEALTAPE_E_AGAIN = -9,
    /** The call does not fit the state; dead and unknown handles answer this too. */
    SEALTAPE_E_STATE = -10,
    /** The module itself has closed the recording; an event said why. */
    SEALTAPE_E_CLOSED = -11,
    /** The system refused a read or write. */
    SEALTAPE_E_IO = -12
};

/** Levels of `log`, as syslog(3) numbers them. */
enum sealtape_log_level {
    SEALTAPE_LOG_ERROR = 3,
    SEALTAPE_LOG_WARNING = 4,
    SEALTAPE_LOG_NOTICE = 5,
    SEALTAPE_LOG_INFO = 6,
    SEALTAPE_LOG_DEBUG = 7
};

/** What happened to a recording or to the recorder. */
enum sealtape_event_kind {
    /** A recording was opened. */
    SEALTAPE_EVENT_OPENED = 1,
    /** An `open` was refused; `status` and `text` say why. */
    SEALTAPE_EVENT_REFUSED = 2,
    /** Bytes were lost: `bytes` of them; the metadata marks the gap. */
    SEALTAPE_EVENT_DEGRADED = 3,
    /** The recording is complete in the spool, synced to disk. */
    SEALTAPE_EVENT_SPOOLED = 4,
    /** The media file stands in the store under `url`, its length verified. */
    SEALTAPE_EVENT_STORED = 5,
    /** The processor has acknowledged the metadata. Nothing is owed any more. */
    SEALTAPE_EVENT_POSTED = 6,
    /** No retry can mend it: it stands in `failed/`, nothing is deleted. */
    SEALTAPE_EVENT_FAILED = 7,
    /** A destination does not work at present; what waits stays in the spool. */
    SEALTAPE_EVENT_DELAYED = 8,
    /** Memory, quota or disk pass a watermark, or flushes are late; `text` says which. */
    SEALTAPE_EVENT_PRESSURE = 9,
    /** Profiles, certificates or trust changed, or an edit was refused. */
    SEALTAPE_EVENT_PROFILES = 10,
    /** The recording was discarded; its document says so. */
    SEALTAPE_EVENT_DISCARDED = 11,
    /** The module closed the recording by itself; later writes answer SEALTAPE_E_CLOSED. */
    SEALTAPE_EVENT_CLOSED = 12
};

/**
 * One event. Strings live for the call only; each may be NULL. Telephone
 * numbers, keys and audio never stand in an event.
 */
struct sealtape_event {
    uint32_t struct_size;
    /** One of enum sealtape_event_kind; ignore kinds that you do not know. */
    uint32_t kind;
    /** One of enum sealtape_status. */
    int32_t status;
    /** Number of the log message of the same occasion, or 0. */
    uint32_t number;
    /** Milliseconds since 1970, UTC. */
    int64_t time_utc_ms;
    /** The parameter `id` of `open`, or what the module chose in its place. */
    const char *recording_id;
    /** Name of the media file, unique even where hosts repeat an id. */
    const char *media_id;
    /** Address of the stored object. */
    const char *url;
    /** complete, empty, interrupted, degraded or discarded. */
    const char *outcome;
    /** SHA-256 of the stored object, 64 hex digits. */
    const char *sha256;
    /** One line for a person. */
    const char *text;
    /** DEGRADED: bytes lost. STORED, SPOOLED: length of the stored object. Else 0. */
    uint64_t bytes;
};

/**
 * The services of the host. Copied by `init`; `context` and the functions must
 * stay valid until `deinit` has returned. Each function may be NULL, is called
 * from threads of the module and from [setup] and [control] calls, never from
 * [media], and must not call back into `create`, `destroy` or `deinit`.
 */
struct sealtape_host {
    uint32_t struct_size;
    /** Passed back in every call. */
    void *context;
    /**
     * One log line. @p level is one of enum sealtape_log_level, @p number
     * identifies the message for ever, @p recording_id may be NULL.
     * NULL: warnings and errors go to standard error.
     */
    void (*log)(void *context, int level, uint32_t number, const char *recording_id,
            const char *message);
    /** One event; must return soon. */
    void (*event)(void *context, const struct sealtape_event *event);
    /** Milliseconds since 1970, UTC. NULL: the system's clock. */
    int64_t (*now_utc_ms)(void *context);
};

/** A recorder: one configuration, one spool folder, its threads. */
struct sealtape_recorder;

/** A recording: slot and generation. Never 0. Dead handles answer SEALTAPE_E_STATE. */
typedef uint64_t sealtape_recording;

/** One parameter of `open`: UTF-8, no control characters in @p key. */
struct sealtape_param {
    const char *key;
    const char *value;
};

/** `write`: these bytes are a container's header; a mask never silences them. */
#define SEALTAPE_WRITE_HEADER 0x1u
/**
 * `write`: the host keeps the bytes and offers them again when told
 * SEALTAPE_E_AGAIN. Without this flag a refused write is a gap: it is counted,
 * marked in the metadata and reported by SEALTAPE_EVENT_DEGRADED.
 */
#define SEALTAPE_WRITE_RETRY 0x2u

/** Numbers of one recorder since `create`. */
struct sealtape_stats {
    /** Set by the caller; fields beyond it are left alone. */
    uint32_t struct_size;
    /** Recordings that are open now. */
    uint32_t recording;
    /** Media files that wait for the store or the processor. */
    uint32_t undelivered;
    /** Media files in `failed/`. */
    uint32_t failed;
    uint64_t opened;
    uint64_t refused;
    uint64_t stored;
    uint64_t posted;
    /** Bytes that `write` accepted. */
    uint64_t accepted_bytes;
    /** Bytes that reached spool files. */
    uint64_t spooled_bytes;
    /** Bytes verified in the store. */
    uint64_t stored_bytes;
    /** Bytes refused by a `write` without SEALTAPE_WRITE_RETRY. */
    uint64_t lost_bytes;
    /** Bytes in the pool now, and the ceiling. */
    uint64_t memory_bytes;
    uint64_t memory_max_bytes;
    /** Age of the oldest accepted byte that no flush has written, milliseconds. */
    uint64_t unflushed_age_ms;
};

/** What "sealtape.recorder/1" names. */
struct sealtape_recorder_interface {
    uint32_t struct_size;

    /**
     * Start a recorder. [setup] May wait for the disk.
     *
     * Reads the configuration, the profiles and the trust, takes the lowest free
     * spool folder of the instance, adopts folders of dead processes, starts the
     * threads. Delivery of what waits there starts at once.
     *
     * @param config_path   sealtape.xml
     * @param ret_recorder  the recorder, owned by the caller until `destroy`
     * @param reason        one line on failure; may be NULL
     * @param reason_size   bytes at @p reason
     * @return SEALTAPE_E_CONFIG, SEALTAPE_E_SPOOL, SEALTAPE_E_MEMORY, SEALTAPE_E_IO,
     *         SEALTAPE_E_STATE before `init`
     */
    enum sealtape_status (*create)(const char *config_path, struct sealtape_recorder **ret_recorder,
            char *reason, size_t reason_size);

    /**
     * Close what is open, deliver for up to @p drain_ms, stop. [setup]
     *
     * What is not delivered by then stays in the spool, and the next process
     * goes on with it. No other call on @p recorder may run or follow.
     * NULL is accepted.
     */
    void (*destroy)(struct sealtape_recorder *recorder, uint32_t drain_ms);

    /**
     * Read profiles, certificates, CRLs and password files again. [setup]
     *
     * They are watched, so this is rarely needed. What is broken leaves the last
     * good in force.
     * @return SEALTAPE_E_CONFIG when something was not taken over; @p reason says what
     */
    enum sealtape_status (*reload)(struct sealtape_recorder *recorder, char *reason,
            size_t reason_size);

    /**
     * Begin a recording. [control]
     *
     * Parameters: `dbid`, or `tenant-dbid` and `profile`; `id`, `call-uuid`, `ani`,
     * `dnis`, `type` (MIME), `format` (`pcm16`, `ulaw`, `alaw`, `opaque`; default
     * opaque), `rate` (Hz), `channels`, `byte-rate` (bytes per second), `ccid`,
     * `tenant`, `storage`, `processor`. Any other is forwarded in the metadata's
     * `parameters`, unless its name looks like a credential. Waits for neither
     * disk nor network: the files are made by the next flush.
     *
     * @param params         copied before return; @p count of them, 256 at most
     * @param ret_recording  the handle
     * @param reason         one line on refusal; may be NULL
     * @return SEALTAPE_E_USAGE, SEALTAPE_E_PROFILE, SEALTAPE_E_CERTIFICATE,
     *         SEALTAPE_E_SPOOL, SEALTAPE_E_LIMIT, SEALTAPE_E_MEMORY; nothing was
     *         recorded, and nothing was written anywhere
     */
    enum sealtape_status (*open)(struct sealtape_recorder *recorder,
            const struct sealtape_param *params, size_t count, sealtape_recording *ret_recording,
            char *reason, size_t reason_size);

    /**
     * Seal bytes and queue them. [media]
     *
     * All or nothing. Below the pool's high-water mark it makes no system call.
     *
     * @param bytes  borrowed for the call
     * @param len    0 to 1 MiB
     * @param flags  SEALTAPE_WRITE_HEADER, SEALTAPE_WRITE_RETRY
     * @return SEALTAPE_E_AGAIN at the memory ceiling, nothing was taken;
     *         SEALTAPE_E_STATE for a dead handle or while another thread writes;
     *         SEALTAPE_E_CLOSED when the module has closed the recording;
     *         SEALTAPE_E_USAGE
     */
    enum sealtape_status (*write)(struct sealtape_recorder *recorder, sealtape_recording recording,
            const void *bytes, size_t len, uint32_t flags);

    /** Drop what is written until `resume`; media time stands still. [control] Idempotent. */
    enum sealtape_status (*pause)(struct sealtape_recorder *recorder, sealtape_recording recording);
    /** End a pause. [control] SEALTAPE_E_STATE when not paused. */
    enum sealtape_status (*resume)(struct sealtape_recorder *recorder,
            sealtape_recording recording);
    /**
     * Replace what is written by silence until `unmask`. [control] Idempotent.
     *
     * Once it has returned, no later write reaches the cipher unmasked. Silence
     * is 0 for pcm16, 0xFF for ulaw, 0xD5 for alaw; opaque media is dropped and
     * the span marked.
     */
    enum sealtape_status (*mask)(struct sealtape_recorder *recorder, sealtape_recording recording);
    /** End a mask. [control] SEALTAPE_E_STATE when not masked. */
    enum sealtape_status (*unmask)(struct sealtape_recorder *recorder,
            sealtape_recording recording);

    /**
     * Set a metadata parameter late. [control]
     *
     * The same names as in `open`, except those that choose profile, id, format
     * or destination. Durable with the next flush.
     * @return SEALTAPE_E_USAGE for those and for names that look like credentials,
     *         SEALTAPE_E_LIMIT
     */
    enum sealtape_status (*set)(struct sealtape_recorder *recorder, sealtape_recording recording,
            const char *key, const char *value);

    /**
     * End a recording. [control] Returns at once; delivery goes on.
     *
     * Never waits for a `write` under way: that write completes and is kept.
     * The handle is dead when this returns.
     * @param reason  kept in the metadata; may be NULL
     */
    enum sealtape_status (*close)(struct sealtape_recorder *recorder, sealtape_recording recording,
            const char *reason);

    /**
     * Throw a recording away, running or closed but not yet stored. [control]
     *
     * Its media is deleted; a document with outcome `discarded` is posted, so
     * that the sequence has no hole.
     * @param recording_id  the parameter `id` of `open`, or the media id
     * @return SEALTAPE_E_STATE when there is none such, or it is stored already
     */
    enum sealtape_status (*discard)(struct sealtape_recorder *recorder, const char *recording_id);

    /**
     * The running recording with this id, call UUID or media id. [control]
     * The newest where several have it. @return SEALTAPE_E_STATE when there is none
     */
    enum sealtape_status (*find)(struct sealtape_recorder *recorder, const char *id,
            sealtape_recording *ret_recording);

    /** Numbers. [any] Set `stats->struct_size` first. */
    enum sealtape_status (*stats)(struct sealtape_recorder *recorder,
            struct sealtape_stats *stats);
};

/** The type of the exported symbol `sealtape_entry`. */
struct sealtape_entry {
    uint32_t struct_size;
    /** SEALTAPE_ABI_MAJOR and SEALTAPE_ABI_MINOR of the module. */
    uint16_t abi_major, abi_minor;
    /** Version of the module, for people. */
    const char *version;
    /**
     * Make ready. [setup] Counted: each success needs one `deinit`.
     * The host of the first call is kept; later calls pass the same or NULL.
     * @return SEALTAPE_E_VERSION, SEALTAPE_E_MEMORY
     */
    enum sealtape_status (*init)(const struct sealtape_host *host);
    /** Undo one `init`. [setup] The last one needs every recorder destroyed. */
    void (*deinit)(void);
    /** An interface by its name, or NULL. [any] Static; valid while the module is loaded. */
    const void *(*get_interface)(const char *id);
};

#ifdef __cplusplus
}
#endif

#endif
