/*
 * The audio that `record` feeds: bytes of a file or pipe, what is known of their
 * format, and where the container's header ends.
 */
#ifndef SEALTAPE_TOOLS_INPUT_H
#define SEALTAPE_TOOLS_INPUT_H

#include <stdint.h>

#include "base/diag.h"
#include "unseal/wav.h"

#define INPUT_HEAD_MAX WAV_HEADER_MAX

struct input {
    int fd;
    const char *path;                   /* borrowed; "-": standard input */
    const char *type;                   /* MIME, by the first bytes, else by the name */
    const char *format;                 /* "pcm16", "ulaw", "alaw", or NULL */
    uint32_t rate, channels, byte_rate; /* 0: not known */
    size_t header_len;                  /* bytes of a header that is never masked */
    uint8_t *head;                      /* bytes that were read already */
    size_t head_len, head_used;
};

/* Open, and look at the first bytes. */
enum sealtape_status input_open(
        const char *path, struct input *ret_input, struct diag *diag) MUST_CHECK;

/*
 * Fill the buffer; fewer bytes only at the end.
 *
 *   SEALTAPE_E_STATE  a signal came: *ret_len bytes were read
 *   SEALTAPE_E_IO
 */
enum sealtape_status input_read(struct input *input, uint8_t *ret_bytes, size_t size,
        size_t *ret_len, struct diag *diag) MUST_CHECK;

void input_close(struct input *input);

#endif
