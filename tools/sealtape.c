/* The program `sealtape`: finds the subcommand in a table. */
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "tool.h"

static const struct tool *const tools[] = {
        &tool_record,
        &tool_check,

        &tool_inspect,
        &tool_open,
        &tool_verify,
        &tool_spool,
};

static void list(FILE *to)
{
    fprintf(to, "usage: sealtape SUBCOMMAND [OPTION]...\n\n");
    for (size_t i = 0; i < ARRAY_COUNT(tools); i++)
        fprintf(to, "  %-9s %s\n", tools[i]->name, tools[i]->summary);
    fprintf(to, "\n`sealtape SUBCOMMAND --help` tells more. Exit status: 0 done, 1 it failed or "
                "found a problem, 2 usage.\n");
}

int main(int argc, char **argv)
{
    /* A reader that goes away is an error of write(), with words. */
    signal(SIGPIPE, SIG_IGN);
    if (argc < 2) {
        list(stderr);
        return TOOL_USAGE;
    }
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "help") == 0) {
        list(stdout);
        return fflush(stdout) == 0 ? TOOL_DONE : TOOL_FAILED;
    }
    if (strcmp(argv[1], "--version") == 0) {
        printf("sealtape %s\n", SEALTAPE_VERSION);
        return fflush(stdout) == 0 ? TOOL_DONE : TOOL_FAILED;
    }
    for (size_t i = 0; i < ARRAY_COUNT(tools); i++) {
        if (strcmp(argv[1], tools[i]->name) == 0)
            return (int)tools[i]->run(argc - 1, argv + 1);
    }
    fprintf(stderr, "sealtape: unknown subcommand %s\n", argv[1]);
    list(stderr);
    return TOOL_USAGE;
}
