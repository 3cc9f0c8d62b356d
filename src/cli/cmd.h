/*
 * Commands: one file cmd_<name>.c each, one line each in cmds.def.
 *
 * A command is a row of facts, from which parsing, --help, hints and the shell
 * completion follow, and a function that gets its checked arguments.
 */
#ifndef MD_CLI_CMD_H
#define MD_CLI_CMD_H

#include "base/opt.h"
#include "cli/cli.h"

/* An option of one command; a program option (options.def) has none. */
typedef struct md_flag {
    const char *name;    /* without "--" */
    char letter;         /* for "-o"; 0: none */
    md_opt_type type;    /* MD_OPT_BOOL is a switch and takes no value */
    const char *arg;     /* "FILE", for --help; NULL for a switch */
    int64_t min, max;    /* of a number */
    const char *choices; /* of a choice */
    bool required;
    const char *help;
} md_flag;

typedef struct md_args md_args;

typedef struct md_cmd {
    const char *usage; /* what follows the name: "MODEL [options]" */
    const char *text;  /* sentences for --help; "" for none */
    const char *example;
    const md_flag *flags; /* n_flags; a text flag may be given repeatedly */
    size_t n_flags;
    int n_min, n_max;   /* arguments that are no flags; n_max -1: any */
    bool takes_options; /* program options too, and --config */
    /* What parsing cannot tell about the arguments; a failure is a usage
     * error.  May be NULL. */
    md_status (*check)(const md_args *args, md_error *err);
    /* A failure is printed by the caller and becomes exit status 1. */
    md_status (*run)(const md_args *args, md_error *err);
} md_cmd;

#define CMD(id, summary) extern const md_cmd md_cmd_##id;
#include "cli/cmds.def"
#undef CMD

typedef struct md_cmd_row {
    const char *name;
    const char *summary;
    const md_cmd *cmd;
} md_cmd_row;

/* All commands, in order; a row without a name ends them. */
extern const md_cmd_row md_cmds[];

/* The command called name, or NULL. */
const md_cmd_row *md_cmd_find(const char *name);

/* Write the page of one command (row NULL: of the program) to f. */
void md_cmd_help_page(FILE *f, const md_cmd_row *row, const md_cli *cli);

/* MD_NOT_FOUND: "'x' is no command[, did you mean 'y'?]". */
md_status md_cmd_fail_unknown(const char *name, md_error *err);

#define MD_FLAG_JSON                                                           \
    {                                                                          \
        .name = "json", .type = MD_OPT_BOOL, .help = "print JSON"              \
    }
/* How a file of another framework is read (md_cli_source). */
#define MD_FLAGS_SOURCE                                                        \
    { .name = "signature",                                                     \
      .type = MD_OPT_TEXT,                                                     \
      .arg = "NAME",                                                           \
      .help = "which function of a file that has several" },                   \
        { .name = "arch",                                                      \
          .type = MD_OPT_TEXT,                                                 \
          .arg = "NAME",                                                       \
          .help = "what a file of weights alone is of: bert, vit, llama..." }, \
        { .name = "architecture",                                              \
          .type = MD_OPT_TEXT,                                                 \
          .arg = "FILE",                                                       \
          .help = "the JSON of a Keras model whose weights are alone" },       \
    {                                                                          \
        .name = "inputs", .type = MD_OPT_TEXT, .arg = "TYPES",                 \
        .help = "inputs of a TorchScript file, "                               \
                "\"x=float32[?,3,224,224];n=3\""                               \
    }
#define MD_FLAG_THREADS                                                        \
    {                                                                          \
        .name = "threads", .letter = 't', .type = MD_OPT_INT, .arg = "N",      \
        .min = 0, .max = 256, .help = "threads; 0: all CPUs (default)"         \
    }
#define MD_FLAG_DATA                                                           \
    {                                                                          \
        .name = "data", .type = MD_OPT_TEXT, .arg = "DATA", .required = true,  \
        .help = "samples: .npz, .npy, .csv, IDX, a folder of .npy, or one "    \
                "with a folder of pictures for each class"                     \
    }
#define MD_FLAG_LABEL                                                          \
    {                                                                          \
        .name = "label", .type = MD_OPT_TEXT, .arg = "COLUMN",                 \
        .help = "column of labels in a .csv: label, class, target or y, else " \
                "the last one"                                                 \
    }
#define MD_FLAG_SEED                                                           \
    {                                                                          \
        .name = "seed", .type = MD_OPT_INT, .arg = "N", .min = 0,              \
        .max = INT64_MAX, .help = "of all that is drawn (1)"                   \
    }
#define MD_FLAG_WEIGHT_CACHE                                                   \
    {                                                                          \
        .name = "weight-cache", .type = MD_OPT_TEXT, .arg = "DIR",             \
        .help = "folder for packed weights; auto (default) or off"             \
    }
#define MD_FLAG_PRECISION                                                      \
    {                                                                          \
        .name = "precision", .type = MD_OPT_CHOICE, .arg = "P",                \
        .choices = "fp32|strict|bf16|auto",                                    \
        .help = "fp32 (default), strict, bf16 or auto"                         \
    }

#endif
