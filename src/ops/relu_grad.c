/* modeld's own: the gradient of Relu.  Input 0, what flows into its output,
 * where input 1, its output, is above 0; else 0. */
#include "ops/common/util.h"
#include "ops/grad.h"
#include "ops/lower.h"

static md_status infer(const md_infer *c, md_error *err)
{
    MD_TRY(md_infer__need(c, 0, MD_TYPES_FLOAT, err));
    MD_TRY(md_infer__need(c, 1, MD_TYPES_FLOAT, err));
    MD_TRY(md_infer__same_dtype(c, 0, 1, err));
    md_infer__give(c, 0, c->in[1]);
    return MD_OK;
}

static md_status run(md_exec *x, md_error *err)
{
    const int64_t n = md_tensor_n(x->in[0]);
    double dy[MD_CHUNK], y[MD_CHUNK];
    md_tensor *out;

    MD_TRY(md_exec__outputs(x, infer, &out, 1, err));
    if (!md_shape_equal(&x->in[0]->shape, &x->in[1]->shape))
        return md_fail(err, MD_INVALID, "input 0 is not of input 1's shape");
    for (int64_t at = 0; at < n && out; at += MD_CHUNK) {
        const int64_t m = n - at < MD_CHUNK ? n - at : MD_CHUNK;

        md_load_f64(dy, x->in[0], at, m);
        md_load_f64(y, x->in[1], at, m);
        for (int64_t i = 0; i < m; i++)
            dy[i] = y[i] > 0.0 ? dy[i] : 0.0;
        md_store_f64(out, at, dy, m);
    }
    return MD_OK;
}

static void unfold(md_grad *g)
{
    md_part y = md_grad_in(g, 1), zero = md_grad_num(g, y, 0);

    md_grad_result(g, 0,
                   md_grad_where(g, md_grad_2(g, "Greater", y, zero),
                                 md_grad_in(g, 0), zero));
}

const md_op md_op_relu_grad = {
    .domain = "modeld",
    .name = "ReluGrad",
    .since = 1,
    .in_min = 2,
    .in_max = 2,
    .out_min = 1,
    .out_max = 1,
    .flags = MD_OP_INPLACE | MD_OP_SYMBOLIC,
    .infer = infer,
    .run = run,
    .fast = &md_fast_binary,
    .unfold = unfold,
};
