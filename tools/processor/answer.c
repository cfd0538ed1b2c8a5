#include "processor/answer.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

void answer_text(struct answer *answer, unsigned status, char *body, size_t len)
{
    free(answer->body);
    answer->status = status;
    answer->body = body;
    answer->body_len = len;
}

void answer_json(struct answer *answer, unsigned status, json_t *json)
{
    char *text = json ? json_dumps(json, JSON_COMPACT) : NULL;

    json_decref(json);
    if (!text) {
        answer_text(answer, 503, NULL, 0);
        answer->retry = 1;
        return;
    }
    answer_text(answer, status, text, strlen(text));
}

void answer_error(struct answer *answer, unsigned status, const char *code, const char *format, ...)
{
    char reason[DIAG_TEXT_MAX];
    va_list args;

    va_start(args, format);
    /* A reason that is cut is still one. */
    (void)vsnprintf(reason, sizeof(reason), format, args);
    va_end(args);
    answer_json(answer, status, json_pack("{s:s, s:s}", "error", code, "reason", reason));
}

void answer_failure(struct answer *answer, enum sealtape_status status, const struct diag *diag)
{
    if (status == SEALTAPE_E_AGAIN || status == SEALTAPE_E_MEMORY) {
        answer_error(answer, 503, "unavailable", "%s", diag->text);
        answer->retry = 1;
        return;
    }
    answer_error(answer, 500, "broken", "%s", diag->text);
}

void answer_clear(struct answer *answer)
{
    free(answer->body);
    free(answer->location);
    memset(answer, 0, sizeof(*answer));
}
