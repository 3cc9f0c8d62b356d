/*
 * What a model gives, a tensor or a container, as commands show and write it.
 *
 * In files: the tensors of a sequence called NAME are NAME_0.npy, NAME_1.npy,
 * ...; an optional is NAME.npy where it holds a tensor, and no file where it
 * is empty; a map is NAME_keys.npy and NAME_values.npy.  Containers in
 * containers are named part by part (NAME_0_keys.npy).
 */
#ifndef MD_CLI_VALUE_H
#define MD_CLI_VALUE_H

#include <stdio.h>

#include "base/arena.h"
#include "base/json.h"
#include "tensor/container.h"

/* Write v to files; `path` is NAME.npy, in the arena what is made of it. */
md_status md_cli_value_save(const md_tensor *v, const char *path,
                            md_arena *arena, md_error *err);

/*
 * Members of an open JSON object: "type", "shape" and "data" of a tensor;
 * "type" and "items", a list of such objects, of a sequence; "type" and
 * "value", which may be null, of an optional; "type", "keys" and "values",
 * lists, of a map.
 */
void md_cli_value_json(md_json_writer *w, const md_tensor *v);

/* A line for each tensor, with its first elements. */
void md_cli_value_text(FILE *f, const char *name, const md_tensor *v,
                       md_arena *arena);

#endif
