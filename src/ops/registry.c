/* The list of operators and the search in it. */
#include <stddef.h>
#include <string.h>

#include "ops/op.h"

/* Declared here, not in op.h: one more operator compiles two files, not all. */
#define OP(id) extern const md_op md_op_##id;
#include "ops/ops.def"
#undef OP

static const md_op *const ops[] = {
#define OP(id) &md_op_##id,
#include "ops/ops.def"
#undef OP
    NULL
};

const md_op *const *md_op_list(void)
{
    return ops;
}

/* A walk over some 150 rows is well below a microsecond: the first letter
 * alone rejects nearly all of them. */
const md_op *md_op_find(const char *domain, const char *name, int64_t opset)
{
    if (strcmp(domain, "ai.onnx") == 0)
        domain = "";
    for (size_t i = 0; ops[i]; i++) {
        const md_op *op = ops[i];

        if (op->name[0] == name[0] && strcmp(op->name, name) == 0 &&
            strcmp(op->domain, domain) == 0 && opset >= op->since &&
            (op->until == 0 || opset <= op->until))
            return op;
    }
    return NULL;
}

unsigned md_op_flags(const md_op *op, const md_graph *g, const md_node *n)
{
    if (!op->flags_of)
        return op->flags;
    return op->flags_of(g, n, md_node_opset(g->model, n));
}

static md_status check_count(const char *op, const char *what, uint32_t n,
                             int min, int max, md_error *err)
{
    if (n >= (uint32_t)min && (max < 0 || n <= (uint32_t)max))
        return MD_OK;
    if (max < 0)
        return md_fail(err, MD_INVALID, "%s has %u %s, at least %d expected",
                       op, (unsigned)n, what, min);
    return md_fail(err, MD_INVALID, "%s has %u %s, %d to %d expected", op,
                   (unsigned)n, what, min, max);
}

int md_op_missing(const md_op *op, const md_node *n)
{
    for (int i = 0; i < op->in_min; i++) {
        bool needed = i >= 32 || !(op->may_lack >> i & 1);

        if (needed && n->in[i] == MD_VALUE_NONE)
            return i;
    }
    return -1;
}

md_status md_op_check(const md_op *op, const md_node *n, int64_t opset,
                      md_error *err)
{
    int missing;

    MD_TRY(
        check_count(op->name, "inputs", n->n_in, op->in_min, op->in_max, err));
    MD_TRY(check_count(op->name, "outputs", n->n_out, op->out_min, op->out_max,
                       err));
    missing = md_op_missing(op, n);
    if (missing >= 0)
        return md_fail(err, MD_INVALID, "input %d of %s is missing", missing,
                       op->name);
    return md_op_check_attrs(n, opset, err);
}

md_status md_op_infer(const md_op *op, const md_infer *c, md_error *err)
{
    MD_TRY(md_op_check(op, c->node, c->opset, err));
    for (uint32_t i = 0; i < c->node->n_in; i++) {
        if (c->in[i] && c->in[i]->kind == MD_KIND_TENSOR)
            MD_TRY(
                md_op_check_type(c->node, c->opset, i, c->in[i]->dtype, err));
    }
    return op->infer(c, err);
}

md_status md_op_run(const md_op *op, md_exec *x, md_error *err)
{
    MD_TRY(md_op_check(op, x->node, x->opset, err));
    for (uint32_t i = 0; i < x->node->n_in; i++) {
        if (x->in[i] && x->in[i]->kind == MD_KIND_TENSOR)
            MD_TRY(
                md_op_check_type(x->node, x->opset, i, x->in[i]->dtype, err));
    }
    return op->run(x, err);
}
