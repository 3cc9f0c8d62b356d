/* The arguments of one command, parsed and checked. */
#ifndef MD_CLI_ARGS_H
#define MD_CLI_ARGS_H

#include "base/arena.h"
#include "cli/cmd.h"

/* One flag as it was given. */
typedef struct md_given {
    const md_flag *flag;
    const char *text;
    int64_t num;
} md_given;

/* Texts are argv's. */
struct md_args {
    const md_cli *cli;
    const md_cmd_row *row;
    md_opts *opts;    /* the program's options */
    md_arena *arena;  /* until the command returns */
    const char **pos; /* arguments that are no flags */
    int n_pos;
    md_given *given;
    int n_given;
    bool help; /* --help or -h was there: nothing else counts */
};

/*
 * Parse argv behind the command's name into *out, which lives in the arena;
 * program options go to opts.  Forms: --name value, --name=value, -o value,
 * "--" before arguments that begin with '-'.  Failures are usage errors: an
 * unknown flag with a hint, a missing or bad value, too few or many
 * arguments, and what the command's own check finds.
 */
md_status md_args_parse(md_args *out, const md_cli *cli, const md_cmd_row *row,
                        md_opts *opts, md_arena *arena, int argc, char **argv,
                        md_error *err);

/* Values of a flag, the last one given; `name` must be one of the command's. */
bool md_args_has(const md_args *a, const char *name);
const char *md_args_text(const md_args *a, const char *name,
                         const char *otherwise);
int64_t md_args_int(const md_args *a, const char *name, int64_t otherwise);
double md_args_real(const md_args *a, const char *name, double otherwise);

/* Which of the flag's choices is given, from 0 on. */
int md_args_choice(const md_args *a, const char *name, int otherwise);

/* The value of the command's flag when it has one that was given, else of the
 * program's option of that name. */
const char *md_args_option_text(const md_args *a, const char *name);
int64_t md_args_option_int(const md_args *a, const char *name);

/* The values of a repeated flag in order: *i starts as 0; NULL at the end. */
const char *md_args_next(const md_args *a, const char *name, int *i);

#endif
