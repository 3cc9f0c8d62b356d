#include "ops/common/training.h"

enum { /* inputs */
    IN_RATE,
    IN_STEP,
    IN_FIRST
};

md_status md_training__infer(const md_infer *c, uint32_t n_kept, md_error *err)
{
    uint32_t types = MD_T(F32) | MD_T(F64), lists = 2 + n_kept;
    uint32_t n = (c->node->n_in - IN_FIRST) / lists;

    MD_TRY(md_infer__need(c, IN_RATE, types, err));
    MD_TRY(md_infer__need(c, IN_STEP, MD_T(I64), err));
    MD_TRY(md_infer__length(c, c->in[IN_RATE], MD_DIM(1), "R", err));
    MD_TRY(md_infer__length(c, c->in[IN_STEP], MD_DIM(1), "T", err));
    if ((c->node->n_in - IN_FIRST) % lists)
        return md_fail(err, MD_INVALID,
                       "%u inputs after R and T, a multiple of %u expected",
                       (unsigned)(c->node->n_in - IN_FIRST), (unsigned)lists);
    for (uint32_t i = IN_FIRST; i < c->node->n_in; i++) {
        uint32_t x = IN_FIRST + (i - IN_FIRST) % n, list = (i - IN_FIRST) / n;
        const md_type *t;

        MD_TRY(md_infer__need(c, i, types, err));
        MD_TRY(md_infer__same_dtype(c, x, i, err));
        t = c->in[x];
        if (t->has_rank)
            MD_TRY(md_infer__rank(c, i, t->rank, t->rank, err));
        for (int d = 0; t->has_rank && c->in[i]->has_rank && d < t->rank; d++)
            MD_TRY(md_infer__must_equal(c, c->in[i]->dim[d], t->dim[d],
                                        "a dimension", err));
        if (list != 1) /* all but the gradients */
            md_infer__give(c, (list ? list - 1 : 0) * n + x - IN_FIRST, t);
    }
    if (c->node->n_out != n * (1 + n_kept))
        return md_fail(err, MD_INVALID, "%s has %u outputs, %u expected",
                       c->node->op, (unsigned)c->node->n_out,
                       (unsigned)(n * (1 + n_kept)));
    return MD_OK;
}

/* Tensor i of n. */
static void step_tensor(const md_exec *x, const md_training *o, uint32_t i,
                        uint32_t n, uint32_t n_kept, md_tensor **out,
                        md_training_fn *step)
{
    double v[2 + MD_TRAINING_KEPT][MD_CHUNK];
    md_training_rows r = { v[0], v[1], { v[2], v[3] }, 0 };
    int64_t total = md_tensor_n(x->in[IN_FIRST + i]);

    for (int64_t at = 0; at < total; at += MD_CHUNK) {
        r.n = md_min_i64(total - at, MD_CHUNK);
        for (uint32_t k = 0; k < 2 + n_kept; k++)
            md_load_f64(v[k], x->in[IN_FIRST + k * n + i], at, r.n);
        step(o, &r);
        for (uint32_t k = 0; k < 1 + n_kept; k++) {
            if (out[k * n + i])
                md_store_f64(out[k * n + i], at, v[k ? k + 1 : 0], r.n);
        }
    }
}

md_status md_training__run(md_exec *x, uint32_t n_kept, md_infer_fn *infer,
                           md_training_fn *step, md_error *err)
{
    md_training o = { .node = x->node };
    uint32_t n = (x->node->n_in - IN_FIRST) / (2 + n_kept);
    md_tensor **out;
    md_arena ar;
    md_status s;

    md_arena_init(&ar, x->alloc, 0);
    s = md_exec__all_outputs(x, infer, &out, &ar, err);
    if (s == MD_OK) {
        o.rate = md_exec__scalar(x, IN_RATE, 0.0);
        o.t = md_exec__scalar(x, IN_STEP, 0.0);
        for (uint32_t i = 0; i < n; i++)
            step_tensor(x, &o, i, n, n_kept, out, step);
    }
    md_arena_release(&ar);
    return s;
}
