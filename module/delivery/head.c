#include "delivery/head.h"

#include <string.h>
#include <strings.h>
#include <time.h>

#define MS_PER_SECOND 1000
/* So many digits cannot overflow. */
#define DIGITS_MAX 18

/* A part of a line. */
struct span {
    const char *at, *end;
};

static bool is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static struct span end_trimmed(struct span span)
{
    while (span.end > span.at && is_space(span.end[-1]))
        span.end--;
    return span;
}

static struct span trimmed(struct span span)
{
    while (span.at < span.end && is_space(*span.at))
        span.at++;
    return end_trimmed(span);
}

static size_t span_len(struct span span)
{
    return (size_t)(span.end - span.at);
}

static bool number_read(struct span digits, uint64_t *ret_number)
{
    uint64_t number = 0;

    if (span_len(digits) == 0 || span_len(digits) > DIGITS_MAX)
        return false;
    for (; digits.at < digits.end; digits.at++) {
        if (*digits.at < '0' || *digits.at > '9')
            return false;
        number = number * 10 + (uint64_t)(*digits.at - '0');
    }
    *ret_number = number;
    return true;
}

/* The digits of a date at a fixed place. */
static int digits_at(const char *text, size_t at, size_t count)
{
    uint64_t number;

    return number_read((struct span){text + at, text + at + count}, &number) ? (int)number : -1;
}

/* "Sun, 06 Nov 1994 08:49:37 GMT" (IMF-fixdate); the host's locale has no say in it. */
static bool date_read(struct span text, int64_t *ret_utc_ms)
{
    static const char shape[] = "xxx, dd xxx dddd dd:dd:dd GMT", months[] = "JanFebMarAprMayJun"
                                                                            "JulAugSepOctNovDec";
    const char *at = text.at;
    struct tm tm = {0};
    time_t when;

    if (span_len(text) != sizeof(shape) - 1)
        return false;
    for (size_t i = 0; i < sizeof(shape) - 1; i++) {
        bool digit = at[i] >= '0' && at[i] <= '9';

        if (shape[i] == 'd' ? !digit : shape[i] != 'x' && at[i] != shape[i])
            return false;
    }
    for (tm.tm_mon = 0; tm.tm_mon < 12 && memcmp(months + 3 * tm.tm_mon, at + 8, 3) != 0;)
        tm.tm_mon++;
    tm.tm_mday = digits_at(at, 5, 2);
    tm.tm_year = digits_at(at, 12, 4) - 1900;
    tm.tm_hour = digits_at(at, 17, 2);
    tm.tm_min = digits_at(at, 20, 2);
    tm.tm_sec = digits_at(at, 23, 2);
    if (tm.tm_mon == 12 || tm.tm_mday == 0 || tm.tm_mday > 31 || tm.tm_hour > 23 || tm.tm_min > 59
            || tm.tm_sec > 60)
        return false;
    when = timegm(&tm);
    *ret_utc_ms = (int64_t)when * MS_PER_SECOND;
    return true;
}

static uint64_t retry_after(struct span value, int64_t now_utc_ms)
{
    uint64_t wait_ms, seconds;
    int64_t then_ms;

    if (number_read(value, &seconds))
        wait_ms = seconds < HEAD_RETRY_AFTER_MAX_MS ? seconds * MS_PER_SECOND
                                                    : HEAD_RETRY_AFTER_MAX_MS;
    else if (date_read(value, &then_ms))
        wait_ms = then_ms > now_utc_ms ? (uint64_t)(then_ms - now_utc_ms) : 0;
    else
        wait_ms = 0;
    return wait_ms < HEAD_RETRY_AFTER_MAX_MS ? wait_ms : HEAD_RETRY_AFTER_MAX_MS;
}

/* "bytes 0-0/1234"; a 416 has a star in place of the range. */
static void content_range(struct span value, uint64_t *ret_total)
{
    const char *slash = memchr(value.at, '/', span_len(value));

    if (slash && span_len(value) > 6 && strncasecmp(value.at, "bytes ", 6) == 0)
        (void)number_read((struct span){slash + 1, value.end}, ret_total);
}

/* "HTTP/1.1 201 Created" */
static int status_of(struct span line)
{
    const char *space = memchr(line.at, ' ', span_len(line));
    const char *code = space ? space + 1 : line.end;
    uint64_t status = 0;

    if (line.end - code < 3 || (line.end - code > 3 && code[3] != ' ')
            || !number_read((struct span){code, code + 3}, &status))
        return 0;
    return status >= 200 ? (int)status : 0;
}

static bool is_named(struct span name, const char *wanted)
{
    return span_len(name) == strlen(wanted) && strncasecmp(name.at, wanted, span_len(name)) == 0;
}

bool head_line(struct head *head, const char *line, size_t len, int64_t now_utc_ms)
{
    /* Space in front is a folded line (RFC 9112, 5.2): a part of a value, and none of ours. */
    struct span whole = end_trimmed((struct span){line, line + len}), name, value;
    const char *colon;

    if (span_len(whole) >= 5 && memcmp(whole.at, "HTTP/", 5) == 0) {
        *head = (struct head){.status = status_of(whole), .total = UINT64_MAX};
        return true;
    }
    colon = memchr(whole.at, ':', span_len(whole));
    if (!colon)
        return false;
    name = (struct span){whole.at, colon};
    value = trimmed((struct span){colon + 1, whole.end});
    if (is_named(name, "Retry-After"))
        head->retry_after_ms = retry_after(value, now_utc_ms);
    else if (is_named(name, "Content-Range"))
        content_range(value, &head->total);
    else if (is_named(name, "Content-Length") && head->status == 200)
        (void)number_read(value, &head->total);
    return false;
}
