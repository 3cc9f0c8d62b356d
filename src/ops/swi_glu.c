/* a * sigmoid(alpha * a) * b. */
#include <math.h>

#include "kernels/binary_f32.h"
#include "kernels/unary_f32.h"
#include "ops/common/util.h"

enum {
    CHUNK = 1 << 14 /* elements that one thread computes at a time */
};

static md_status infer(const md_infer *c, md_error *err)
{
    md_type t;

    MD_TRY(md_infer__need(c, 0, MD_TYPES_FLOAT, err));
    MD_TRY(md_infer__need(c, 1, MD_TYPES_FLOAT, err));
    MD_TRY(md_infer__same_dtype(c, 0, 1, err));
    t = c->in[0]->has_rank ? *c->in[0] : *c->in[1];
    MD_TRY(md_infer__rank(c, 1, t.has_rank ? t.rank : 0,
                          t.has_rank ? t.rank : MD_RANK_MAX, err));
    for (int i = 0; c->in[1]->has_rank && i < t.rank; i++) {
        MD_TRY(md_infer__must_equal(c, c->in[1]->dim[i], t.dim[i],
                                    "a dimension of input 1", err));
        if (md_dim_is_const(c->in[1]->dim[i]))
            t.dim[i] = c->in[1]->dim[i];
    }
    md_infer__give(c, 0, &t);
    return MD_OK;
}

typedef struct job {
    const md_tensor *a, *b;
    md_tensor *out;
    float alpha;
    const md_unary_f32_kernel *gate;
    const md_binary_f32_kernel *product;
} job;

/* Through a buffer: the output may lie over a. */
static void run_f32(const job *j, int64_t at, int64_t n)
{
    static const md_binary_op mul = { .op = MD_BINARY_MUL };
    const float *a = (const float *)j->a->data + at;
    const float *b = (const float *)j->b->data + at;
    float *y = (float *)j->out->data + at, gate[MD_CHUNK];

    if (j->alpha == 1.0f) {
        j->gate->act(gate, a, (size_t)n, MD_ACT_SILU, 0.0f, 0.0f);
    } else {
        for (int64_t i = 0; i < n; i++)
            gate[i] = j->alpha * a[i];
        j->gate->act(gate, gate, (size_t)n, MD_ACT_SIGMOID, 0.0f, 0.0f);
        j->product->run(gate, gate, a, (size_t)n, 1, 1, &mul);
    }
    j->product->run(y, gate, b, (size_t)n, 1, 1, &mul);
}

static void run_f64(const job *j, int64_t at, int64_t n)
{
    double a[MD_CHUNK], b[MD_CHUNK];

    md_load_f64(a, j->a, at, n);
    md_load_f64(b, j->b, at, n);
    for (int64_t i = 0; i < n; i++)
        a[i] = a[i] / (1.0 + exp(-(double)j->alpha * a[i])) * b[i];
    md_store_f64(j->out, at, a, n);
}

static void run_chunk(void *ctx, int64_t chunk, int worker)
{
    const job *j = ctx;
    int64_t at = chunk * CHUNK, end = md_tensor_n(j->out);

    (void)worker;
    end = md_min_i64(end, at + CHUNK);
    for (; at < end; at += MD_CHUNK) {
        int64_t n = md_min_i64(end - at, MD_CHUNK);

        if (j->out->dtype == MD_DTYPE_F32)
            run_f32(j, at, n);
        else
            run_f64(j, at, n);
    }
}

static md_status compute(md_exec *x, md_tensor *out, md_arena *ar,
                         md_error *err)
{
    job j = { .a = x->in[0],
              .b = x->in[1],
              .out = out,
              .alpha = md_node_attr_f(x->node, "alpha", 1.0f),
              .gate = md_unary_f32_select(md_cpu_flags()),
              .product = md_binary_f32_select(md_cpu_flags()) };

    (void)ar;
    (void)err;
    md_pool_run(x->pool, MD_POOL_WIDTH_MAX, md_div_up(md_tensor_n(out), CHUNK),
                run_chunk, &j);
    return MD_OK;
}

static md_status run(md_exec *x, md_error *err)
{
    return md_exec__single(x, infer, compute, err);
}

const md_op md_op_swi_glu = {
    .domain = "",
    .name = "SwiGLU",
    .since = 28,
    .in_min = 2,
    .in_max = 2,
    .out_min = 1,
    .out_max = 1,
    .flags = MD_OP_INPLACE | MD_OP_SYMBOLIC,
    .infer = infer,
    .run = run,
};
