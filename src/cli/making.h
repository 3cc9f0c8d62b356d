/* The frame of commands that make a model of another: what is between reading
 * the arguments and the command's own work, and what is told at the end. */
#ifndef MD_CLI_MAKING_H
#define MD_CLI_MAKING_H

#include "base/json.h"
#include "base/pool.h"
#include "cli/args.h"
#include "graph/graph.h"

/* `result` is the command's own, zeroed before. */
typedef struct md_cli_making {
    /* The model to begin with; NULL: the first argument's. */
    md_status (*open)(md_model **m, const md_args *a, md_pool *pool,
                      md_error *err);
    /* Make what is asked for of m, which may be changed, and write it to
     * --output. */
    md_status (*make)(void *result, md_model *m, const md_args *a,
                      md_pool *pool, md_error *err);
    void (*put_text)(const void *result, const char *dst, const md_args *a);
    /* Members behind "model" in the object of --json. */
    void (*put_json)(const void *result, const md_args *a, md_json_writer *w);
} md_cli_making;

md_status md_cli_make(void *result, const md_cli_making *how, const md_args *a,
                      md_error *err);

#endif
