/*
 * modeld's own: Dropout whose choice is a function of a seed, input 1, and of
 * the attribute `index`, which tells the nodes of a model apart.  Each element
 * is 0 with the probability `ratio`, else x / (1 - ratio).  Which ones are
 * dropped depends on nothing else, so the gradient is the same operator, and
 * any number of threads gives the same bits.
 */
#include "base/rng.h"
#include "ops/common/util.h"
#include "ops/grad.h"

static md_status infer(const md_infer *c, md_error *err)
{
    MD_TRY(md_infer__need(c, 0, MD_TYPES_FLOAT, err));
    MD_TRY(md_infer__need(c, 1, MD_T(I64), err));
    MD_TRY(md_infer__length(c, c->in[1], MD_DIM(1), "seed", err));
    md_infer__give(c, 0, c->in[0]);
    return MD_OK;
}

typedef struct job {
    const md_tensor *in;
    md_tensor *out;
    uint64_t key, least; /* kept: numbers from `least` on */
    double scale;
} job;

/* Elements [from, to). */
static void drop(void *ctx, int64_t from, int64_t to)
{
    const job *j = ctx;
    double v[MD_CHUNK];

    for (int64_t at = from; at < to; at += MD_CHUNK) {
        const int64_t n = to - at < MD_CHUNK ? to - at : MD_CHUNK;

        md_load_f64(v, j->in, at, n);
        for (int64_t i = 0; i < n; i++)
            v[i] = md_rng_mix(j->key + (uint64_t)(at + i)) >> 11 >= j->least
                       ? v[i] * j->scale
                       : 0.0;
        md_store_f64(j->out, at, v, n);
    }
}

static md_status run(md_exec *x, md_error *err)
{
    const double ratio = md_node_attr_f(x->node, "ratio", 0.5f);
    md_tensor *out;
    job j = { .in = x->in[0], .scale = 1.0 / (1.0 - ratio) };

    MD_TRY(md_exec__outputs(x, infer, &out, 1, err));
    if (!(ratio >= 0.0 && ratio < 1.0))
        return md_fail(err, MD_INVALID,
                       "ratio is %g, at least 0 and below 1 expected", ratio);
    if (!out)
        return MD_OK;
    j.out = out;
    j.key = md_rng_make((uint64_t)md_tensor_get_i64(x->in[1], 0),
                        (uint64_t)md_node_attr_i(x->node, "index", 0))
                .state;
    j.least = (uint64_t)(ratio * 0x1p53);
    md_exec__share(x, md_tensor_n(out), 2.0, drop, &j);
    return MD_OK;
}

static void grad(md_grad *g)
{
    static const char *const keep[] = { "ratio", "index", NULL };

    md_grad_give(g, 0,
                 MD_GRAD_STEP(g, .domain = "modeld", .op = "SeededDropout",
                              .in = { md_grad_of(g, 0), md_grad_in(g, 1) },
                              .n_in = 2, .keep = keep));
}

const md_op md_op_seeded_dropout = {
    .domain = "modeld",
    .name = "SeededDropout",
    .since = 1,
    .in_min = 2,
    .in_max = 2,
    .out_min = 1,
    .out_max = 1,
    .flags = MD_OP_SYMBOLIC,
    .infer = infer,
    .run = run,
    .grad = grad,
};
