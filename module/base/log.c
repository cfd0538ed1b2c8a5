#include "base/log.h"

#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>

/* Guards sink and sink_context. Not held over the call: a host may log slowly. */
static pthread_mutex_t sink_lock = PTHREAD_MUTEX_INITIALIZER;
static void (*sink)(void *, int, uint32_t, const char *, const char *);
static void *sink_context;

void log_to(void (*new_sink)(void *context, int level, uint32_t number, const char *recording_id,
                    const char *message),
        void *context)
{
    pthread_mutex_lock(&sink_lock);
    sink = new_sink;
    sink_context = context;
    pthread_mutex_unlock(&sink_lock);
}

static void write_stderr(int level, uint32_t number, const char *recording_id, const char *message)
{
    if (level > SEALTAPE_LOG_WARNING)
        return;
    fprintf(stderr, "sealtape: %s%u: %s%s%s\n", level <= SEALTAPE_LOG_ERROR ? "E" : "W", number,
            recording_id ? recording_id : "", recording_id ? ": " : "", message);
}

void log_line(enum sealtape_log_level level, enum log_number number, const char *recording_id,
        const char *format, ...)
{
    void (*to)(void *, int, uint32_t, const char *, const char *);
    char message[LOG_MESSAGE_MAX];
    void *context;
    va_list args;

    va_start(args, format);
    (void)vsnprintf(message, sizeof(message), format, args);
    va_end(args);
    for (char *c = message; *c; c++) {
        if ((unsigned char)*c < 0x20 || *c == 0x7f)
            *c = ' ';
    }

    pthread_mutex_lock(&sink_lock);
    to = sink;
    context = sink_context;
    pthread_mutex_unlock(&sink_lock);
    if (to)
        to(context, (int)level, number, recording_id, message);
    else
        write_stderr((int)level, number, recording_id, message);
}
