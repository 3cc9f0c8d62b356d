/* Models and sessions for commands. */
#ifndef MD_CLI_MODEL_H
#define MD_CLI_MODEL_H

#include "cli/args.h"
#include "convert/convert.h"
#include "engine/session.h"
#include "serve/model.h"

/* What --precision says. */
md_precision md_cli_precision(const md_args *a);

/* The folder that --weight-cache or the program's option weight_cache names,
 * for md_session_opts; NULL for none. */
md_status md_cli_weight_cache(const char **out, const md_args *a,
                              md_error *err);

/* One line on where the packed weights of a session are, into buf; "" where
 * that is not known. */
char *md_cli_packed_format(char *buf, size_t size, const md_session *s);

/* A session for `model`, which it takes over on success, on `pool` (NULL: one
 * thread) and with --precision. */
md_status md_cli_session_new(md_session **out, md_model *model, md_pool *pool,
                             const md_args *a, md_error *err);

/* What the flags of MD_FLAGS_SOURCE say; their texts live as long as a. */
md_convert_how md_cli_source(const md_args *a);

/* Read any model file: ONNX, or what a converter reads, converted in memory.
 * The caller frees the model. */
md_status md_cli_model_load(md_model **out, const char *path, md_load use,
                            const md_args *a, md_error *err);

/* A session with its pool; zeroed when nothing is open. */
typedef struct md_cli_session {
    md_session *session;
    md_serve_model *serve; /* owns session once it is there */
    md_pool *pool;
    int width; /* threads */
    int64_t load_ns;
} md_cli_session;

/*
 * Load the model at `path` and make it ready, with the values of --threads
 * and --precision (flags of the command) or the program's options.
 */
md_status md_cli_session_open(md_cli_session *out, const char *path,
                              const md_args *a, md_error *err);

/* Make `model` ready instead; taken over on success. */
md_status md_cli_session_take(md_cli_session *out, md_model *model,
                              const md_args *a, md_error *err);

/* The session as a server sees it, which knows about pictures and labels. */
md_status md_cli_session_serve(md_cli_session *s, md_error *err);

void md_cli_session_close(md_cli_session *s);

/*
 * A shape for every input (n_inputs of them): constants as they are, the
 * first dim `batch` where it is a symbol, other symbols 1, or what a
 * --shape NAME=D,D,... of the command says.  MD_INVALID when batch is not 1
 * and the first dim is another constant.
 */
md_status md_cli_shapes(md_shape *shapes, const md_cli_session *s,
                        int64_t batch, const md_args *a, md_error *err);

/* The `check` of commands with MD_FLAG_SHAPE: what can be told about the
 * values without a model. */
md_status md_cli_check_shapes(const md_args *a, md_error *err);

/* "float32[batch,3]" of an input or output, into buf; returns buf. */
char *md_cli_io_format(char *buf, size_t size, const md_session *s,
                       const md_io *io);

#define MD_FLAG_SHAPE                                                          \
    {                                                                          \
        .name = "shape", .type = MD_OPT_TEXT, .arg = "NAME=D,D,...",           \
        .help = "shape of an input whose dims are open"                        \
    }

#endif
