#include "unseal/unseal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../unit.h"
#include "sealed.h"

/* Everything known, so that everything is verified; small chunks make many. */
static const struct sealed_form full = {.plain_len = 100,
        .key_bits = 256,
        .chunk_size = 32,
        .commitment = true,
        .sha256 = true,
        .sizes = true};

struct output {
    uint8_t *bytes;
    size_t len;
    enum sealtape_status refuse;
};

static enum sealtape_status take(void *context, const uint8_t *bytes, size_t len, struct diag *diag)
{
    struct output *output = context;

    if (output->refuse)
        return diag_fail(diag, output->refuse, "no room");
    output->bytes = realloc(output->bytes, output->len + len);
    assert_non_null(output->bytes);
    memcpy(output->bytes + output->len, bytes, len);
    output->len += len;
    return SEALTAPE_OK;
}

struct job {
    const struct envelope *envelope;
    const struct metadata_media *media;
    const uint8_t *stored;
    size_t stored_len, piece;
    const char *key;
    bool repair, tail;
};

static enum sealtape_status open_it(const struct job *job, struct output *output, struct diag *diag)
{
    CLEANUP(key_free) struct key *key = sealed_key(job->key ? job->key : "pkcs1.pem");
    CLEANUP(unseal_free) struct unseal *unseal = NULL;
    struct unseal_plan plan = {.envelope = job->envelope,
            .media = job->media,
            .key = key,
            .repair_header = job->repair,
            .sink = take,
            .context = output};
    size_t piece = job->piece ? job->piece : job->stored_len;
    enum sealtape_status st;

    st = unseal_new(&plan, &unseal, diag);
    if (st == SEALTAPE_OK && job->tail)
        unseal_tail(unseal, job->stored + job->stored_len - 32, 32, job->stored_len);
    for (size_t at = 0; st == SEALTAPE_OK && at < job->stored_len; at += piece)
        st = unseal_update(unseal, job->stored + at,
                job->stored_len - at < piece ? job->stored_len - at : piece, diag);
    if (st == SEALTAPE_OK)
        st = unseal_finish(unseal, diag);
    return st;
}

static struct job job_of(const struct sealed *sealed)
{
    return (struct job){.envelope = sealed->envelope,
            .media = &sealed->media,
            .stored = sealed->stored,
            .stored_len = sealed->stored_len};
}

static void open_well(const struct sealed *sealed, size_t piece)
{
    struct job job = job_of(sealed);
    struct output output = {0};
    struct diag diag = {0};

    job.piece = piece;
    if (open_it(&job, &output, &diag) != SEALTAPE_OK)
        fail_msg("%zu bytes in pieces of %zu: %s", sealed->plain_len, piece, diag.text);
    assert_int_equal(output.len, sealed->plain_len);
    if (output.len)
        assert_memory_equal(output.bytes, sealed->plain, output.len);
    free(output.bytes);
}

static void open_vector(const char *name, size_t size)
{
    CLEANUP(envelope_free) struct envelope *envelope = NULL;
    struct metadata_media unknown = {.size = METADATA_UNKNOWN, .plain_size = METADATA_UNKNOWN};
    struct output output = {0};
    struct diag diag = {0};
    struct job job = {.media = &unknown};
    size_t len;
    uint8_t *der = sealed_file(name, &len);

    assert_int_equal(envelope_decode(der, len, len, &envelope, &diag), SEALTAPE_OK);
    job.envelope = envelope;
    job.stored = der + envelope->content_offset;
    job.stored_len = (size_t)envelope->content_len;
    if (open_it(&job, &output, &diag) != SEALTAPE_OK)
        fail_msg("%s: %s", name, diag.text);
    assert_int_equal(output.len, size);
    for (size_t i = 0; i < size; i++)
        assert_int_equal(output.bytes[i], "abcdefghijklmno\n"[i % 16]);
    free(output.bytes);
    free(der);
}

static void messages_of_openssl_open(void **state)
{
    static const int bits[] = {128, 192, 256};
    static const size_t sizes[] = {0, 1, 15, 16, 17, 1000};
    char name[64];

    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(bits); i++) {
        for (size_t j = 0; j < ARRAY_COUNT(sizes); j++) {
            (void)snprintf(name, sizeof(name), "cms-%d-%zu.p7m", bits[i], sizes[j]);
            open_vector(name, sizes[j]);
        }
    }
    open_vector("smime-256-1000.p7m", 1000);
}

static void every_size_around_a_chunk_opens_in_every_piece(void **state)
{
    static const size_t pieces[] = {1, 7, 32, 33, 0};
    struct sealed_form form = full;
    struct sealed sealed;

    (void)state;
    for (form.plain_len = 0; form.plain_len < 100; form.plain_len++) {
        sealed_make(&form, &sealed);
        for (size_t i = 0; i < ARRAY_COUNT(pieces); i++)
            open_well(&sealed, pieces[i]);
        sealed_clear(&sealed);
    }
}

static void more_than_one_buffer_opens_without_digests(void **state)
{
    static const size_t sizes[] = {262143, 262144, 262145, 700001};
    struct sealed_form form = {.key_bits = 128};
    struct sealed sealed;

    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(sizes); i++) {
        form.plain_len = sizes[i];
        sealed_make(&form, &sealed);
        open_well(&sealed, 65536);
        sealed_clear(&sealed);
    }
}

/* Fails, and nothing beyond the chunks that fit was released. */
static void refuse(const struct job *job, size_t released_max, const char *word)
{
    struct output output = {0};
    struct diag diag = {0};

    assert_int_not_equal(open_it(job, &output, &diag), SEALTAPE_OK);
    assert_contains(diag.text, word);
    assert_true(output.len <= released_max);
    free(output.bytes);
}

static void every_flipped_bit_is_found_before_its_chunk_is_released(void **state)
{
    struct sealed sealed;
    struct job job;

    (void)state;
    sealed_make(&full, &sealed);
    job = job_of(&sealed);
    for (size_t bit = 0; bit < 8 * sealed.stored_len; bit++) {
        sealed.stored[bit / 8] ^= (uint8_t)(1 << bit % 8);
        refuse(&job, bit / 8 / 32 * 32, "altered");
        sealed.stored[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    sealed_clear(&sealed);
}

static void a_flipped_bit_is_found_by_the_whole_digest_alone(void **state)
{
    struct sealed_form form = full;
    struct sealed sealed;
    struct job job;

    (void)state;
    form.chunk_size = 0;
    sealed_make(&form, &sealed);
    job = job_of(&sealed);
    for (size_t at = 0; at < sealed.stored_len; at++) {
        sealed.stored[at] ^= 0x10;
        refuse(&job, 0, "altered");
        sealed.stored[at] ^= 0x10;
    }
    sealed_clear(&sealed);
}

static void content_that_was_cut_is_refused_at_each_length(void **state)
{
    struct sealed_form form = full;
    struct sealed sealed;
    struct job job;

    (void)state;
    for (int digests = 0; digests < 2; digests++) {
        form.sizes = form.sha256 = digests;
        form.chunk_size = digests ? 32 : 0;
        sealed_make(&form, &sealed);
        job = job_of(&sealed);
        for (job.stored_len = 0; job.stored_len < sealed.stored_len; job.stored_len++)
            refuse(&job, sealed.stored_len, "");
        sealed_clear(&sealed);
    }
}

static void extra_bytes_are_refused(void **state)
{
    struct sealed_form form = full;
    struct sealed sealed;
    struct job job;

    (void)state;
    form.plain_len = 127; /* stored: 4 whole chunks */
    sealed_make(&form, &sealed);
    job = job_of(&sealed);
    sealed.stored = realloc(sealed.stored, sealed.stored_len + 16);
    assert_non_null(sealed.stored);
    job.stored = sealed.stored;
    for (size_t extra = 1; extra <= 16; extra++) {
        sealed.stored[sealed.stored_len + extra - 1] = 16;
        job.stored_len = sealed.stored_len + extra;
        refuse(&job, 96, "longer");
        job.piece = 1;
        refuse(&job, 96, "longer");
        job.piece = 0;
    }
    sealed_clear(&sealed);
}

static void another_key_is_told_which_certificate_is_needed(void **state)
{
    char alias[] = "rcs_Acme:101:CN=CA:4097", issuer[] = "CN=CA", serial[] = "4097";
    char sha256[] = "00ff";
    struct metadata_recipient recipient = {alias, issuer, serial, sha256};
    struct sealed sealed;
    struct job job;

    (void)state;
    sealed_make(&full, &sealed);
    sealed.media.recipients = &recipient;
    sealed.media.recipients_count = 1;
    job = job_of(&sealed);
    job.key = "other.pem";
    refuse(&job, 0, "rcs_Acme:101:CN=CA:4097 (issuer CN=CA, serial 4097, sha256 00ff)");
    job.key = "larger.pem";
    refuse(&job, 0, "serial 4097");
    sealed_clear(&sealed);
}

/* One answer for all that fails behind the RSA step (RFC 8017, 7.2.2). */
static void without_a_commitment_a_wrong_key_and_wrong_padding_look_alike(void **state)
{
    struct sealed_form form = {.plain_len = 100, .key_bits = 256};
    struct output output = {0};
    struct diag wrong_key = {0};
    struct diag wrong_padding = {0};
    struct sealed sealed;
    struct job job;

    (void)state;
    sealed_make(&form, &sealed);
    job = job_of(&sealed);
    job.key = "other.pem";
    assert_int_equal(open_it(&job, &output, &wrong_key), SEALTAPE_E_USAGE);
    assert_int_equal(output.len, 0);
    job.key = NULL;
    sealed.stored[sealed.stored_len - 17] ^= 0x80; /* the last byte of the padding */
    assert_int_equal(open_it(&job, &output, &wrong_padding), SEALTAPE_E_USAGE);
    assert_string_equal(wrong_key.text, wrong_padding.text);
    free(output.bytes);
    sealed_clear(&sealed);
}

static void a_commitment_to_another_key_is_refused(void **state)
{
    struct sealed sealed;
    struct job job;

    (void)state;
    sealed_make(&full, &sealed);
    sealed.media.commitment[31] ^= 1;
    job = job_of(&sealed);
    refuse(&job, 0, "cannot be opened");
    sealed_clear(&sealed);
}

static void a_session_key_of_the_wrong_length_is_refused(void **state)
{
    static const size_t lens[] = {16, 24, 31, 33};
    struct sealed_form form = {.plain_len = 100, .key_bits = 256};
    struct sealed sealed;
    struct job job;

    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(lens); i++) {
        form.key_len = lens[i];
        sealed_make(&form, &sealed);
        job = job_of(&sealed);
        refuse(&job, 0, "cannot be opened");
        sealed_clear(&sealed);
    }
}

static void a_plain_size_that_does_not_fit_is_refused(void **state)
{
    struct sealed sealed;
    struct job job;

    (void)state;
    sealed_make(&full, &sealed);
    sealed.media.plain_size = 99;
    job = job_of(&sealed);
    refuse(&job, 96, "cannot be opened");
    sealed_clear(&sealed);
}

static void padding_must_be_whole(void **state)
{
    /* 16 bytes of "padding" 16 blocks, then all kinds of last blocks: built as plaintext. */
    static const uint8_t ends[][16] = {
            {0},
            {[15] = 17},
            {[15] = 2},
            {[14] = 3, [15] = 3},
            {16, 16, 16, 16, 16, 16, 16, 15, 16, 16, 16, 16, 16, 16, 16, 16},
    };
    struct sealed_form form = {.plain_len = 16, .key_bits = 256};
    struct sealed sealed;
    struct job job;

    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(ends); i++) {
        form.plain = ends[i];
        sealed_make(&form, &sealed);
        job = job_of(&sealed);
        job.stored_len = 16; /* without the real padding */
        refuse(&job, 0, "cannot be opened");
        sealed_clear(&sealed);
    }
}

static void what_the_sink_answers_is_passed_on(void **state)
{
    struct output output = {.refuse = SEALTAPE_E_LIMIT};
    struct sealed sealed;
    struct diag diag = {0};
    struct job job;

    (void)state;
    sealed_make(&full, &sealed);
    job = job_of(&sealed);
    assert_int_equal(open_it(&job, &output, &diag), SEALTAPE_E_LIMIT);
    assert_string_equal(diag.text, "no room");
    sealed_clear(&sealed);
}

static void make_streaming_wav(uint8_t wav[64])
{
    static const uint8_t header[44] = "RIFF\x24\xf0\xff\x7f"
                                      "WAVEfmt \x10\0\0\0\x01\0\x01\0\x40\x1f\0\0\x80\x3e\0\0"
                                      "\x02\0\x10\0data\0\xf0\xff\x7f";

    memset(wav, 0x55, 64);
    memcpy(wav, header, sizeof(header));
}

static void sizes_of_a_streamed_wav_header_become_true(void **state)
{
    struct sealed_form form = full;
    struct output output = {0};
    struct diag diag = {0};
    struct sealed sealed;
    struct job job;
    uint8_t wav[64];

    (void)state;
    make_streaming_wav(wav);
    form.plain = wav;
    form.plain_len = sizeof(wav);
    form.chunk_size = 64;
    sealed_make(&form, &sealed);
    job = job_of(&sealed);
    job.repair = true;
    assert_int_equal(open_it(&job, &output, &diag), SEALTAPE_OK);
    assert_memory_equal(output.bytes + 4, "\x38\0\0\0", 4);
    assert_memory_equal(output.bytes + 40, "\x14\0\0\0", 4);
    assert_memory_equal(output.bytes + 44, wav + 44, 20);
    free(output.bytes);
    open_well(&sealed, 0); /* without repair: as recorded */
    sealed_clear(&sealed);
}

static void the_plain_size_is_learned_from_the_end(void **state)
{
    struct sealed_form form = {.plain_len = 64, .key_bits = 256};
    struct output output = {0};
    struct diag diag = {0};
    struct sealed sealed;
    struct job job;
    uint8_t wav[64];

    (void)state;
    make_streaming_wav(wav);
    form.plain = wav;
    sealed_make(&form, &sealed);
    job = job_of(&sealed);
    job.repair = job.tail = true;
    assert_int_equal(open_it(&job, &output, &diag), SEALTAPE_OK);
    assert_memory_equal(output.bytes + 40, "\x14\0\0\0", 4);
    free(output.bytes);
    sealed_clear(&sealed);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
            cmocka_unit_test(messages_of_openssl_open),
            cmocka_unit_test(every_size_around_a_chunk_opens_in_every_piece),
            cmocka_unit_test(more_than_one_buffer_opens_without_digests),
            cmocka_unit_test(every_flipped_bit_is_found_before_its_chunk_is_released),
            cmocka_unit_test(a_flipped_bit_is_found_by_the_whole_digest_alone),
            cmocka_unit_test(content_that_was_cut_is_refused_at_each_length),
            cmocka_unit_test(extra_bytes_are_refused),
            cmocka_unit_test(another_key_is_told_which_certificate_is_needed),
            cmocka_unit_test(without_a_commitment_a_wrong_key_and_wrong_padding_look_alike),
            cmocka_unit_test(a_commitment_to_another_key_is_refused),
            cmocka_unit_test(a_session_key_of_the_wrong_length_is_refused),
            cmocka_unit_test(a_plain_size_that_does_not_fit_is_refused),
            cmocka_unit_test(padding_must_be_whole),
            cmocka_unit_test(what_the_sink_answers_is_passed_on),
            cmocka_unit_test(sizes_of_a_streamed_wav_header_become_true),
            cmocka_unit_test(the_plain_size_is_learned_from_the_end),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
