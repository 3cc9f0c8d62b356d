/* What the readers of programs share (pt2.c, script.c). */
#ifndef MD_CONVERT_TORCH_PROGRAM_H
#define MD_CONVERT_TORCH_PROGRAM_H

#include "convert/convert.h"
#include "convert/torch/build.h"

/* How one conversion goes about it. */
typedef struct md_torch_task {
    md_model *model; /* to fill */
    md_arena *arena;
    const md_convert_source *src;
    md_convert_report *report;
} md_torch_task;

/* Read a program and fill the model. */
md_status md_torch_export(const md_torch_task *t, md_error *err);
md_status md_torch_script(const md_torch_task *t, md_error *err);
md_status md_torch_state(const md_torch_task *t, md_error *err);

/* A build of the task's model, its main graph in scope. */
md_status md_torch_begin(md_torch *b, const md_torch_task *t, md_model *model,
                         md_error *err);

/* A symbol for axis `axis` of the input: "batch" for the first, else
 * "<input>_<axis>". */
md_dim md_torch_free_size(md_torch *b, const char *input, int axis);

/* A constant of the file: parameters count. */
md_tv md_torch_constant(md_torch *b, const md_torch_view *v, const char *name);

/* Flatten results, name them `name` or "<name>_<i>", and make them outputs. */
void md_torch_outputs(md_torch *b, const md_tv *v, const char *name);

/* One output. */
void md_torch_output(md_torch *b, const md_tv *v, const char *name);

/* Names, unused nodes, metadata, what was refused. */
md_status md_torch_end(md_torch *b, const md_torch_task *t, const char *kind,
                       const char *version);

#endif
