/*
 * sealtape-processor: takes the metadata of recordings over HTTP, keeps it, and
 * finds it again.
 */
#include <getopt.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "processor/server.h"

#define EXIT_FAILED 1
#define EXIT_USAGE 2

static const char help[] =
        "usage: sealtape-processor --listen ADDR:PORT --database FILE [OPTION]...\n"
        "\n"
        "Takes the metadata documents of recordings over HTTP and keeps them in SQLite.\n"
        "Prints \"listening on URL\" when it is ready; SIGTERM and SIGINT stop it.\n"
        "\n"
        "  --listen ADDR:PORT    where to listen; IPv6 in brackets; port 0: any free one\n"
        "  --database FILE       the SQLite database, made if it does not exist\n"
        "  --username NAME       ask for this name (Basic authentication) ...\n"
        "  --password-file FILE  ... and the password in the first line of FILE\n"
        "  --tls-cert FILE       serve HTTPS with this certificate chain (PEM) ...\n"
        "  --tls-key FILE        ... and its private key (PEM)\n"
        "  --verbose             a line on stderr for each request\n"
        "  --help, --version\n";

enum option_value {
    OPTION_LISTEN = 1000,
    OPTION_DATABASE,
    OPTION_USERNAME,
    OPTION_PASSWORD_FILE,
    OPTION_TLS_CERT,
    OPTION_TLS_KEY,
    OPTION_VERBOSE,
    OPTION_HELP,
    OPTION_VERSION
};

static const struct option long_options[] = {
        {"listen", required_argument, NULL, OPTION_LISTEN},
        {"database", required_argument, NULL, OPTION_DATABASE},
        {"username", required_argument, NULL, OPTION_USERNAME},
        {"password-file", required_argument, NULL, OPTION_PASSWORD_FILE},
        {"tls-cert", required_argument, NULL, OPTION_TLS_CERT},
        {"tls-key", required_argument, NULL, OPTION_TLS_KEY},
        {"verbose", no_argument, NULL, OPTION_VERBOSE},
        {"help", no_argument, NULL, OPTION_HELP},
        {"version", no_argument, NULL, OPTION_VERSION},
        {NULL, 0, NULL, 0},
};

/* What the command line says. */
struct command {
    struct server_options server;
    const char *username;
    const char *password_file;
    int asks_help;
    int asks_version;
};

static int command_usage(const char *reason)
{
    (void)fprintf(stderr, "sealtape-processor: %s\nsealtape-processor: see --help\n", reason);
    return EXIT_USAGE;
}

static int command_take(struct command *command, int value)
{
    switch (value) {
    case OPTION_LISTEN:
        command->server.listen = optarg;
        return 1;
    case OPTION_DATABASE:
        command->server.database = optarg;
        return 1;
    case OPTION_USERNAME:
        command->username = optarg;
        return 1;
    case OPTION_PASSWORD_FILE:
        command->password_file = optarg;
        return 1;
    case OPTION_TLS_CERT:
        command->server.tls_cert = optarg;
        return 1;
    case OPTION_TLS_KEY:
        command->server.tls_key = optarg;
        return 1;
    case OPTION_VERBOSE:
        command->server.is_verbose = 1;
        return 1;
    case OPTION_HELP:
        command->asks_help = 1;
        return 1;
    case OPTION_VERSION:
        command->asks_version = 1;
        return 1;
    default:
        return 0;
    }
}

/* 0, or the code to exit with. */
static int command_parse(struct command *command, int argc, char **argv)
{
    int value;

    while ((value = getopt_long(argc, argv, "", long_options, NULL)) != -1) {
        if (!command_take(command, value)) {
            (void)fputs("sealtape-processor: see --help\n", stderr);
            return EXIT_USAGE;
        }
    }
    return optind < argc ? command_usage("expected options only") : 0;
}

static int command_check(const struct command *command)
{
    if (!command->server.listen || !command->server.database)
        return command_usage("--listen and --database are needed");
    if (!command->username != !command->password_file)
        return command_usage("--username and --password-file go together");
    if (!command->server.tls_cert != !command->server.tls_key)
        return command_usage("--tls-cert and --tls-key go together");
    return 0;
}

/* Results on stdout that nobody can take are a failure. */
static int print(const char *text)
{
    return fputs(text, stdout) == EOF || fflush(stdout) == EOF ? EXIT_FAILED : 0;
}

static int fail(enum sealtape_status status, const struct diag *diag)
{
    (void)fprintf(stderr, "sealtape-processor: %s\n", diag->text);
    return status == SEALTAPE_E_USAGE ? EXIT_USAGE : EXIT_FAILED;
}

static int serve(const struct server_options *options)
{
    CLEANUP(server_stop) struct server *server = NULL;
    struct diag diag = {""};
    enum sealtape_status st;
    sigset_t signals;
    int which;

    /* Before any thread is made, so that none takes them. */
    (void)sigemptyset(&signals);
    (void)sigaddset(&signals, SIGTERM);
    (void)sigaddset(&signals, SIGINT);
    (void)pthread_sigmask(SIG_BLOCK, &signals, NULL);
    (void)signal(SIGPIPE, SIG_IGN);

    st = server_start(options, &server, &diag);
    if (st != SEALTAPE_OK)
        return fail(st, &diag);
    if (printf("listening on %s\n", server_url(server)) < 0 || fflush(stdout) == EOF)
        return EXIT_FAILED;
    (void)sigwait(&signals, &which);
    return 0;
}

int main(int argc, char **argv)
{
    struct command command = {0};
    struct diag diag = {""};
    enum sealtape_status st;
    int code = command_parse(&command, argc, argv);

    if (code)
        return code;
    if (command.asks_help)
        return print(help);
    if (command.asks_version)
        return print("sealtape-processor " SEALTAPE_VERSION "\n");
    code = command_check(&command);
    if (code)
        return code;
    command.server.access.is_open = !command.username;
    if (command.username) {
        st = access_load(command.username, command.password_file, &command.server.access, &diag);
        if (st != SEALTAPE_OK)
            return fail(st, &diag);
    }
    /* The database holds telephone numbers: its files are nobody else's. */
    (void)umask(077);
    return serve(&command.server);
}
