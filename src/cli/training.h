/* What the commands that train have in common: options, progress, accuracy. */
#ifndef MD_CLI_TRAINING_H
#define MD_CLI_TRAINING_H

#include "cli/args.h"
#include "train/trainer.h"

/* What is told while a training runs. */
typedef struct md_cli_watcher {
    FILE *f;
    bool is_terminal;
    bool quiet; /* of --quiet */
    int64_t last_ns;
} md_cli_watcher;

/* The options of MD_FLAGS_TRAINING; *w is set up and told. */
md_train_opts md_cli_train_opts(const md_args *a, md_pool *pool,
                                md_cli_watcher *w);

/* Share of the samples of --test on which the model is right, and how many
 * there are; *n is 0 without the flag. */
md_status md_cli_accuracy(double *out, int64_t *n, const md_model *m,
                          const md_args *a, md_pool *pool, md_error *err);

/* What a teacher's file says about --data. */
md_status md_cli_teacher(md_teacher *out, const char *path, const md_args *a,
                         md_pool *pool, md_error *err);

/* Bytes of a file; 0 when it cannot be told. */
long long md_cli_file_size(const char *path);

enum {
    MD_CLI_EPOCHS_MAX = 1000000,
    MD_CLI_BATCH_MAX = 1 << 20
};

/* clang-format off */
#define MD_FLAG_OUTPUT                                                         \
    { .name = "output", .letter = 'o', .type = MD_OPT_TEXT, .arg = "FILE",     \
      .required = true, .help = "the ONNX file to write" }
#define MD_FLAG_TEST                                                           \
    { .name = "test", .type = MD_OPT_TEXT, .arg = "DATA",                      \
      .help = "measure accuracy on this" }
#define MD_FLAG_QUIET                                                          \
    { .name = "quiet", .type = MD_OPT_BOOL, .help = "tell no progress" }

#define MD_FLAGS_TRAINING                                                      \
    { .name = "epochs", .type = MD_OPT_INT, .arg = "N", .min = 1,              \
      .max = MD_CLI_EPOCHS_MAX, .help = "times through the data (1)" },        \
    { .name = "batch", .type = MD_OPT_INT, .arg = "N", .min = 1,               \
      .max = MD_CLI_BATCH_MAX, .help = "samples of a step (64)" },             \
    { .name = "lr", .type = MD_OPT_REAL, .arg = "X", .max = 1000,              \
      .help = "highest rate (0.001; sgd 0.05): a rise, then half a cosine" },  \
    { .name = "optimizer", .type = MD_OPT_CHOICE, .arg = "O",                  \
      .choices = "adamw|sgd",                                                  \
      .help = "adamw (default) or sgd, with momentum" },                       \
    { .name = "smoothing", .type = MD_OPT_REAL, .arg = "X", .max = 1,          \
      .help = "share of a label that goes to all classes alike (0)" },         \
    { .name = "decay", .type = MD_OPT_REAL, .arg = "X", .max = 10,             \
      .help = "weight decay (0.01; sgd 0.0005)" },                             \
    { .name = "momentum", .type = MD_OPT_REAL, .arg = "X", .max = 1,           \
      .help = "of sgd (0.9)" },                                                \
    { .name = "warmup", .type = MD_OPT_REAL, .arg = "N",                       \
      .max = MD_CLI_EPOCHS_MAX,                                                \
      .help = "epochs in which the rate rises (0.5)" },                        \
    { .name = "clip", .type = MD_OPT_REAL, .arg = "X", .max = 1000000000,      \
      .help = "largest norm of a gradient (0: any)" },                         \
    { .name = "ema", .type = MD_OPT_REAL, .arg = "X", .max = 1,                \
      .help = "average weights, keeping X of them in a step (0: do not)" },    \
    MD_FLAG_QUIET

#define MD_FLAG_TEMPERATURE                                                    \
    { .name = "temperature", .type = MD_OPT_REAL, .arg = "T", .max = 1000,     \
      .help = "the teacher's scores are divided by this (2)" }
#define MD_FLAG_ALPHA                                                          \
    { .name = "alpha", .type = MD_OPT_REAL, .arg = "A", .max = 1,              \
      .help = "share of the labels in the loss, beside the teacher's (0.5)" }
/* clang-format on */

#endif
