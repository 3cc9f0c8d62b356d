/*
 * The command line: `modeld COMMAND [arguments]`.
 *
 * Exit status 0: done; 1: it failed, with one line on standard error; 2: the
 * arguments make no sense, with a line and a pointer to --help.
 */
#ifndef MD_CLI_CLI_H
#define MD_CLI_CLI_H

#include <stdio.h>

#include "base/opt.h"

/* What the program gives: where to write, which options there are. */
typedef struct md_cli {
    FILE *out;
    FILE *err;
    const md_opt_row *options; /* n_options; log_level, log_format, cpu and
                                * threads among them */
    size_t n_options;
    /* Arrange that stop(ctx) is called when the process shall end, from a
     * signal handler; NULL stop: no more.  May be NULL. */
    void (*on_stop)(void (*stop)(void *ctx), void *ctx);
    /* The same of reload(ctx), when files shall be read again. */
    void (*on_reload)(void (*reload)(void *ctx), void *ctx);
} md_cli;

/* Run one command; returns the exit status. */
int md_cli_main(const md_cli *cli, int argc, char **argv);

#endif
