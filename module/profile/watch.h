/*
 * Changes of paths, by inotify: also where a symbolic link on the way, or a
 * directory, is exchanged.
 */
#ifndef SEALTAPE_PROFILE_WATCH_H
#define SEALTAPE_PROFILE_WATCH_H

#include <stdbool.h>

#include "base/diag.h"

struct watch;

/* SEALTAPE_E_IO: the system gives no (more) watches [setup] */
enum sealtape_status watch_new(struct watch **ret_watch, struct diag *diag) MUST_CHECK;
void watch_free(struct watch **watch);

/*
 * Watch what an absolute path stands for: each link on the way, the last name, and
 * for @contents what is in the directory. A path that is not there is watched for. [setup]
 *
 *   SEALTAPE_E_IO  not all of it is watched
 */
enum sealtape_status watch_add(
        struct watch *watch, const char *path, bool contents, struct diag *diag) MUST_CHECK;

/* The same for a name in a watched directory, where that is a link; else nothing. [setup] */
enum sealtape_status watch_add_link(
        struct watch *watch, const char *path, struct diag *diag) MUST_CHECK;

/* To be polled for reading. */
int watch_fd(const struct watch *watch);

/* Take what has happened, without waiting. True: something that is watched changed. */
bool watch_take(struct watch *watch);

#endif
