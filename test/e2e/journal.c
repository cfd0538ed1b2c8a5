/*
 * Compares what was recovered after a kill with the journal of the host.
 *
 * usage: journal JOURNAL NAME INPUT RECOVERED LIMIT_MS
 *
 * The journal, one line for each step that the module had accepted:
 *
 *   W NAME NS TOTAL   bytes written up to here
 *   M NAME NS TOTAL   a mask began at this byte; U: it ended
 *   S NAME NS N       the parameter `late` was set to N
 *
 * RECOVERED ("-": nothing was recovered) must be a prefix of the input, with
 * silence (u-law 0xFF) where it was masked, and hold every byte that was
 * accepted LIMIT_MS or more before the last line of the journal. Prints what
 * the metadata must show of that time: "bytes=N masks=N late=N".
 */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define JOURNAL_FRAME_BYTES 160

struct journal {
    size_t accepted;     /* by the end */
    size_t required;     /* LIMIT_MS before the end */
    unsigned long masks; /* begun LIMIT_MS before the end */
    unsigned long late;  /* set by then */
};

struct line {
    char what;
    char name[64];
    long long at_ns;
    unsigned long value;
};

static void die(const char *what, const char *path)
{
    fprintf(stderr, "journal: %s: %s\n", path, what);
    exit(1);
}

static unsigned char *read_file(const char *path, size_t *ret_len)
{
    FILE *file = fopen(path, "rbe");
    unsigned char *bytes = NULL;
    size_t len = 0, got;

    if (!file)
        die("cannot be read", path);
    do {
        bytes = realloc(bytes, len + 65536);
        if (!bytes)
            die("no memory", path);
        got = fread(bytes + len, 1, 65536, file);
        len += got;
    } while (got > 0);
    fclose(file);
    *ret_len = len;
    return bytes;
}

/* False at the end; a last line that the kill cut short does not count. */
static bool read_line(FILE *file, struct line *line)
{
    char text[256];

    return fgets(text, sizeof(text), file) && strchr(text, '\n')
           && sscanf(text, "%c %63s %lld %lu", &line->what, line->name, &line->at_ns, &line->value)
                      == 4;
}

static long long last_moment(FILE *file)
{
    struct line line;
    long long last = 0;

    rewind(file);
    while (read_line(file, &line))
        last = line.at_ns;
    return last;
}

/* Reads the journal, and silences in @input what was masked. */
static struct journal read_journal(
        FILE *file, const char *name, long long limit_ns, unsigned char *input, size_t input_len)
{
    long long until = last_moment(file) - limit_ns;
    struct journal journal = {0};
    bool masked = false;
    size_t from = 0;
    struct line line;

    rewind(file);
    while (read_line(file, &line)) {
        bool due = line.at_ns <= until;

        if (strcmp(line.name, name) != 0)
            continue;
        if (line.what == 'W') {
            journal.accepted = line.value;
            journal.required = due ? line.value : journal.required;
        } else if (line.what == 'M') {
            masked = true;
            from = line.value;
            journal.masks += due;
        } else if (line.what == 'U') {
            masked = false;
            memset(input + from, 0xFF, line.value - from);
        } else if (due) {
            journal.late = line.value;
        }
    }
    if (masked)
        memset(input + from, 0xFF, input_len - from);
    return journal;
}

int main(int argc, char **argv)
{
    size_t input_len = 0, recovered_len = 0;
    unsigned char *input, *recovered = NULL;
    struct journal journal;
    FILE *file;

    if (argc != 6) {
        fprintf(stderr, "usage: journal JOURNAL NAME INPUT RECOVERED LIMIT_MS\n");
        return 2;
    }
    input = read_file(argv[3], &input_len);
    if (strcmp(argv[4], "-") != 0)
        recovered = read_file(argv[4], &recovered_len);
    file = fopen(argv[1], "re");
    if (!file)
        die("cannot be read", argv[1]);
    journal = read_journal(file, argv[2], strtoll(argv[5], NULL, 10) * 1000000, input, input_len);
    fclose(file);

    /* The kill may fall between a write and its line. */
    if (recovered_len > journal.accepted + JOURNAL_FRAME_BYTES)
        die("holds more than was written", argv[4]);
    if (recovered_len < journal.required) {
        fprintf(stderr, "journal: %s holds %zu bytes, %zu were accepted in time\n", argv[4],
                recovered_len, journal.required);
        return 1;
    }
    for (size_t i = 0; i < recovered_len; i++) {
        if (recovered[i] != input[i]) {
            fprintf(stderr, "journal: %s differs from the input at byte %zu\n", argv[4], i);
            return 1;
        }
    }
    printf("bytes=%zu masks=%lu late=%lu\n", recovered_len, journal.masks, journal.late);
    free(recovered);
    free(input);
    return 0;
}
