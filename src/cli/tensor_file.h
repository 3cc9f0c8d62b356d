/* Tensors in files of every kind that commands read, and what they write. */
#ifndef MD_CLI_TENSOR_FILE_H
#define MD_CLI_TENSOR_FILE_H

#include "base/json.h"
#include "cli/model.h"

/* What the files of a command gave to the inputs of a session. */
typedef struct md_cli_inputs {
    md_cli_session *cli;
    const md_session *session; /* cli's */
    md_tensor *tensors;        /* n_inputs; MD_DTYPE_NONE: not given */
    md_arena *arena;
} md_cli_inputs;

md_status md_cli_inputs_init(md_cli_inputs *in, md_cli_session *s,
                             md_arena *arena, md_error *err);
void md_cli_inputs_release(md_cli_inputs *in);

/*
 * Read a file: .json is a value or {"NAME": value, ...}, .npz named arrays, a
 * picture (.png, .jpg, .jpeg) is for a model that takes one, anything else is
 * one tensor in a format that its contents tell (.npy, .pb).  `name` is the
 * input it is for; NULL where the file names them or the model has one input.
 */
md_status md_cli_inputs_read(md_cli_inputs *in, const char *name,
                             const char *path, md_error *err);

/* All of them are there; MD_INVALID names the one that is missing. */
md_status md_cli_inputs_check(const md_cli_inputs *in, md_error *err);

/*
 * Make t what input io takes: floats and integers change to another width of
 * their kind, values that were read from JSON to any type, and a missing
 * batch dim of 1 is put in front.  MD_INVALID tells both types, or the integer
 * that does not fit.
 */
md_status md_cli_fit(md_tensor *t, const md_session *s, const md_io *io,
                     bool any_type, md_error *err);

/* Make the folder that outputs go to, unless it is there. */
md_status md_cli_output_folder(const char *dir, md_error *err);

/* DIR/NAME.npy, in the arena: what is no letter, digit, '.', '_' or '-' in
 * the name becomes '_'. */
md_status md_cli_output_path(char **out, const char *dir, const char *name,
                             md_arena *arena, md_error *err);

/* The elements as nested JSON arrays. */
void md_cli_tensor_json(md_json_writer *w, const md_tensor *t);

#endif
