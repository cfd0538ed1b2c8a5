#include "passphrase.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#include "base/file.h"
#include "seal/secret.h"
#include "unseal/key.h"

/* One line into locked memory, byte by byte: stdio would keep a copy. */
static enum sealtape_status read_line(int fd, char *ret_line, const char *name, struct diag *diag)
{
    size_t used = 0;
    ssize_t got;
    char c = 0;

    for (;;) {
        got = read(fd, &c, 1);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return diag_fail(diag, SEALTAPE_E_IO, "%s: cannot read: %s", name, strerror(errno));
        if (got == 0 || c == '\n')
            break;
        if (used == KEY_PASSPHRASE_SIZE - 1)
            return diag_fail(diag, SEALTAPE_E_USAGE, "%s: a passphrase has at most %d bytes", name,
                    KEY_PASSPHRASE_SIZE - 1);
        ret_line[used++] = c;
    }
    secret_wipe(&c, sizeof(c));
    if (used && ret_line[used - 1] == '\r')
        used--;
    ret_line[used] = '\0';
    return SEALTAPE_OK;
}

static enum sealtape_status from_file(const char *path, char *ret_passphrase, struct diag *diag)
{
    CLEANUP(file_close) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);

    if (fd < 0)
        return diag_fail(diag, SEALTAPE_E_IO, "%s: cannot read: %s", path, strerror(errno));
    return read_line(fd, ret_passphrase, path, diag);
}

static enum sealtape_status from_terminal(char *ret_passphrase, struct diag *diag)
{
    static const char prompt[] = "Passphrase of the key: ";
    CLEANUP(file_close) int fd = open("/dev/tty", O_RDWR | O_CLOEXEC);
    struct termios shown, hidden;
    enum sealtape_status st;

    if (fd < 0 || tcgetattr(fd, &shown) != 0)
        return diag_fail(diag, SEALTAPE_E_USAGE,
                "the key is encrypted and there is no terminal to ask; use --passphrase-file");
    hidden = shown;
    hidden.c_lflag &= ~(tcflag_t)ECHO;
    if (tcsetattr(fd, TCSAFLUSH, &hidden) != 0)
        return diag_fail(
                diag, SEALTAPE_E_IO, "terminal: cannot switch the echo off: %s", strerror(errno));
    st = SEALTAPE_OK;
    if (write(fd, prompt, sizeof(prompt) - 1) < 0)
        st = diag_fail(diag, SEALTAPE_E_IO, "terminal: cannot write: %s", strerror(errno));
    if (st == SEALTAPE_OK)
        st = read_line(fd, ret_passphrase, "terminal", diag);
    /* The prompt's line ends here; nothing depends on it. */
    ignore(write(fd, "\n", 1) < 0);
    if (tcsetattr(fd, TCSAFLUSH, &shown) != 0 && st == SEALTAPE_OK)
        st = diag_fail(diag, SEALTAPE_E_IO, "terminal: cannot switch the echo on again: %s",
                strerror(errno));
    return st;
}

enum sealtape_status passphrase_ask(void *context, char *ret_passphrase, struct diag *diag)
{
    return context ? from_file(context, ret_passphrase, diag) : from_terminal(ret_passphrase, diag);
}
