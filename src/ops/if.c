/* If: one of two subgraphs, whose outputs are the node's (ONNX operators,
 * "If", versions 1 to 25). */
#include "ops/common/body.h"

static md_status find(const md_graph **out, const md_node *n, bool cond,
                      md_error *err)
{
    return md_body__find(out, n, cond ? "then_branch" : "else_branch", 0,
                         n->n_out, err);
}

/* The branch that cannot work on these types is never taken, or fails when it
 * is: then the outputs are those of the other. */
static md_status infer_both(const md_infer *c, const md_graph *const *branch,
                            md_arena *ar, md_error *err)
{
    uint32_t n = c->node->n_out;
    md_status st[2];
    md_type *of[2];

    for (int i = 0; i < 2; i++) {
        MD_TRY(md_exec__scratch(&of[i], ar, n, sizeof(**of), err));
        st[i] = c->body(c, branch[i], NULL, of[i], i ? err : NULL);
        if (st[i] == MD_NOMEM || st[i] == MD_TOO_LARGE)
            return st[i];
    }
    if (st[0] != MD_OK && st[1] != MD_OK)
        return st[1];
    for (uint32_t i = 0; i < n; i++) {
        const md_type *a = &of[st[1] == MD_OK][i], *b = &of[st[0] != MD_OK][i];

        MD_TRY(md_body__join(c, &c->out[i], a, b, "an output of the branches",
                             err));
    }
    return MD_OK;
}

static md_status infer(const md_infer *c, md_error *err)
{
    const md_tensor *cond = c->cin[0];
    bool known = cond && cond->data && md_tensor_n(cond) == 1;
    const md_graph *branch[2];
    md_arena ar;
    md_status s;

    MD_TRY(find(&branch[0], c->node, false, err));
    MD_TRY(find(&branch[1], c->node, true, err));
    MD_TRY(md_infer__need(c, 0, MD_T(BOOL), err));
    MD_TRY(md_body__one(c, 0, "the condition", err));
    if (!c->body)
        return MD_OK;
    if (known)
        return c->body(c, branch[md_tensor_get_i64(cond, 0) != 0], NULL, c->out,
                       err);
    md_arena_init(&ar, md_alloc_default(), 0);
    s = infer_both(c, branch, &ar, err);
    md_arena_release(&ar);
    return s;
}

static md_status run(md_exec *x, md_error *err)
{
    const md_node *n = x->node;
    const md_graph *branch;
    md_tensor *out = NULL;
    md_arena ar;
    md_status s;

    if (!md_exec_has(x, 0) || md_tensor_n(x->in[0]) != 1)
        return md_fail(err, MD_INVALID, "the condition is not one element");
    MD_TRY(find(&branch, n, md_tensor_get_i64(x->in[0], 0) != 0, err));
    if (!x->body)
        return md_fail(err, MD_UNSUPPORTED, "subgraphs are not run here");
    md_arena_init(&ar, x->alloc, 0);
    MD_GOTO(md_body__tensors(&out, &ar, n->n_out, err));
    MD_GOTO(x->body(x, branch, NULL, out, err));
    for (uint32_t i = 0; i < n->n_out; i++)
        MD_GOTO(md_exec_give(x, i, &out[i], err));
out:
    md_body__release(out, n->n_out);
    md_arena_release(&ar);
    return s;
}

const md_op md_op_if = {
    .domain = "",
    .name = "If",
    .since = 1,
    .in_min = 1,
    .in_max = 1,
    .out_min = 1,
    .out_max = -1,
    .infer = infer,
    .run = run,
};
