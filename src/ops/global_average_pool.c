#include "ops/common/pool.h"
#include "ops/grad.h"
#include "ops/lower.h"

static md_status infer(const md_infer *c, md_error *err)
{
    MD_TRY(md_infer__need(c, 0, MD_TYPES_FLOAT, err));
    return md_pool__infer_global(c, err);
}

static md_status compute(md_exec *x, md_tensor *out, md_arena *ar,
                         md_error *err)
{
    const md_shape *in = &x->in[0]->shape;
    int64_t size = md_shape_span(in, 2, in->rank);
    int64_t n = md_tensor_n(out);

    (void)ar;
    (void)err;
    if (out->dtype == MD_DTYPE_F64) {
        md_pool__planes_f64(x, out, true);
        return MD_OK;
    }
    for (int64_t i = 0; i < n; i++) {
        double acc = 0.0;

        for (int64_t j = 0; j < size; j++) {
            double v;

            md_load_f64(&v, x->in[0], i * size + j, 1);
            acc += v;
        }
        /* of no pixels 0, as a window of AveragePool that has none */
        md_tensor_set_f64(out, i, size > 0 ? acc / (double)size : 0.0);
    }
    return MD_OK;
}

static md_status run(md_exec *x, md_error *err)
{
    return md_exec__single(x, infer, compute, err);
}

static void grad(md_grad *g)
{
    md_part x = md_grad_in(g, 0), n = md_grad_ratio(g, x, md_grad_out(g, 0));

    md_grad_give(g, 0,
                 md_grad_expand(g, md_grad_div(g, md_grad_of(g, 0), n), x));
}

const md_op md_op_global_average_pool = {
    .domain = "",
    .name = "GlobalAveragePool",
    .since = 1,
    .in_min = 1,
    .in_max = 1,
    .out_min = 1,
    .out_max = 1,
    .flags = MD_OP_SYMBOLIC,
    .infer = infer,
    .run = run,
    .fast = &md_fast_global_pool,
    .grad = grad,
};
