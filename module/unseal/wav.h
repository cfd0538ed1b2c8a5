/*
 * The header of a WAV file (RIFF/WAVE): what `record` tells the module about
 * the audio, and the sizes that a streaming writer could not know.
 */
#ifndef SEALTAPE_UNSEAL_WAV_H
#define SEALTAPE_UNSEAL_WAV_H

#include <stddef.h>
#include <stdint.h>

#include "base/diag.h"

/* A header with its data chunk beginning beyond this is not looked for. */
#define WAV_HEADER_MAX (64u * 1024)

#define WAV_PCM 1
#define WAV_ALAW 6
#define WAV_ULAW 7

struct wav {
    unsigned format; /* the tag; WAVE_FORMAT_EXTENSIBLE is resolved */
    unsigned channels;
    unsigned bits;
    uint32_t rate;
    uint32_t byte_rate;
    uint32_t riff_size;
    uint32_t data_size;
    size_t data_offset; /* length of the header */
};

/*
 * Read a header. [any]
 *
 *   SEALTAPE_E_AGAIN  so far it is one; give more bytes
 *   SEALTAPE_E_USAGE  not a WAV header
 */
enum sealtape_status wav_read(const uint8_t *bytes, size_t len, struct wav *ret_wav) MUST_CHECK;

/*
 * Put the true sizes in where the header says 0, or more than there is. [any]
 *
 * @file_size: of the whole file. Answers whether something was changed; what is
 * not a WAV header stays as it is.
 */
int wav_repair(uint8_t *bytes, size_t len, uint64_t file_size);

#endif
