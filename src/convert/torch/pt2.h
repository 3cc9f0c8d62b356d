/* An archive of torch.export being converted (pt2.c, pt2_graph.c). */
#ifndef MD_CONVERT_TORCH_PT2_H
#define MD_CONVERT_TORCH_PT2_H

#include <jansson.h>

#include "convert/torch/build.h"
#include "convert/torch/weights.h"

/* One graph's names. */
typedef struct md_pt2_env md_pt2_env;

struct md_pt2_env {
    json_t *index; /* name to place in v */
    md_tv *v;
    uint32_t n, cap;
    md_pt2_env *parent;
};

typedef struct md_pt2 {
    md_torch b;
    md_torch_file file;
    json_t *program, *weights, *constants; /* owned */
    md_torch_weights old[2]; /* state dict and constants before 2.8 */
    bool has_old[2];
    json_t *symbols; /* a free size's expression to its place in sizes */
    md_dim *sizes;
    uint32_t n_sizes, cap_sizes;
    md_pt2_env *e;
    uint32_t n_nodes;
} md_pt2;

/* Member `key`, a text; "" when it is none. */
const char *md_pt2__text(const json_t *o, const char *key);

/* Remember that the program is broken: "what 'name'". */
void md_pt2__corrupt(md_pt2 *p, const char *what, const char *name);

/* Numbers of types in this schema, as PyTorch's own. */
int64_t md_pt2__scalar_type(int64_t v);

/* Names of a graph, inside those at hand until it is closed; false after a
 * failure. */
bool md_pt2__open(md_pt2 *p, md_pt2_env *e);
void md_pt2__close(md_pt2 *p, md_pt2_env *e);

/* Give a value its name. */
void md_pt2__define(md_pt2 *p, const char *name, md_tv v);

/* The value of an Argument of the schema. */
md_tv md_pt2__argument(md_pt2 *p, const json_t *arg);

/* Call the graph's operators, one after another. */
void md_pt2__emit_nodes(md_pt2 *p, const json_t *graph);

#endif
