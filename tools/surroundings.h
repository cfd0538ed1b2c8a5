/*
 * What a configuration names outside itself: the spool's directory, passwords,
 * CA files; and what it asks for that this version does not do.
 */
#ifndef SEALTAPE_TOOLS_SURROUNDINGS_H
#define SEALTAPE_TOOLS_SURROUNDINGS_H

#include <stdbool.h>

#include "profile/config.h"

/* A line about one thing; not a problem: a warning. */
typedef void surroundings_tell(void *context, bool problem, const char *text);

/* Look at all of it, with the rights of this process; nothing is made or changed. */
void surroundings_look(const struct config *config, surroundings_tell *tell, void *context);

#endif
