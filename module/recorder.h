/*
 * A recorder: profiles, spool, delivery and the recordings between them.
 *
 * The functions are those of "sealtape.recorder/1" with their arguments checked;
 * include/sealtape/module.h says what they do.
 */
#ifndef SEALTAPE_RECORDER_H
#define SEALTAPE_RECORDER_H

#include "base/diag.h"

struct sealtape_recorder;

/* @event may be NULL. */
struct recorder_host {
    void *context;
    void (*event)(void *context, const struct sealtape_event *event);
};

enum sealtape_status recorder_create(const char *config_path, const struct recorder_host *host,
        struct sealtape_recorder **ret_recorder, struct diag *diag) MUST_CHECK; /* [setup] */
void recorder_destroy(struct sealtape_recorder **recorder, uint32_t drain_ms);  /* [setup] */
enum sealtape_status recorder_reload(
        struct sealtape_recorder *recorder, struct diag *diag) MUST_CHECK; /* [setup] */
enum sealtape_status recorder_open(struct sealtape_recorder *recorder,
        const struct sealtape_param *params, size_t count, sealtape_recording *ret_recording,
        struct diag *diag) MUST_CHECK; /* [control] */
enum sealtape_status recorder_discard(
        struct sealtape_recorder *recorder, const char *recording_id) MUST_CHECK; /* [control] */
void recorder_stats(struct sealtape_recorder *recorder, struct sealtape_stats *stats); /* [any] */

/* Its recordings, for the calls that are theirs. */
struct recording_table *recorder_recordings(struct sealtape_recorder *recorder);

#endif
