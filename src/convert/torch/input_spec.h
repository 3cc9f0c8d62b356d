/*
 * What the user says of a program's inputs, where the file says nothing:
 *
 *   x=float32[batch,3,?,224];mask=int64[?,?];sr=16000
 *
 * Sizes are numbers, "?" (free) or names of free sizes; a number alone fixes
 * an input that is one.
 */
#ifndef MD_CONVERT_TORCH_INPUT_SPEC_H
#define MD_CONVERT_TORCH_INPUT_SPEC_H

#include "base/arena.h"
#include "graph/graph.h"

typedef struct md_input_spec {
    const char *name;
    bool is_number; /* value instead of a type */
    bool is_float;
    double value;
    md_dtype dtype;
    int rank;
    int64_t dim[MD_RANK_MAX];        /* -1: free */
    const char *symbol[MD_RANK_MAX]; /* of a free size; or NULL */
} md_input_spec;

typedef struct md_input_specs {
    md_input_spec *s;
    uint32_t n, cap;
} md_input_specs;

/* Read the text; NULL is none.  Everything lies in the arena.  MD_INVALID
 * says what is wrong where. */
md_status md_input_specs_read(md_input_specs *out, const char *text,
                              md_arena *arena, md_error *err);

/* By name; NULL when nothing is said of it. */
const md_input_spec *md_input_specs_find(const md_input_specs *x,
                                         const char *name);

#endif
