/* Each input element adds its weighted kernel to the output. */
#include "ops/common/deconvolve.h"
#include "ops/grad.h"
#include "ops/lower.h"

/* y[oz][oy][ox] += v * w at every tap; the roles of input and output of a
 * convolution are exchanged. */
static void scatter(const md_window *k, const int64_t *in, const int64_t *out,
                    double *y, const double *x, const double *w)
{
    int64_t lo[3], hi[3], at[3], tap = 0;
    int64_t t[3] = { 0 };

    do {
        for (int i = 0; i < 3; i++)
            md_window__range(k, i, t[i], out[i], in[i], &lo[i], &hi[i], &at[i]);
        for (int64_t z = lo[0]; z < hi[0]; z++) {
            for (int64_t r = lo[1]; r < hi[1]; r++) {
                const double *row = x + (z * in[1] + r) * in[2];
                double *o = y + ((at[0] + z * k->stride[0]) * out[1] + at[1] +
                                 r * k->stride[1]) *
                                    out[2];

                for (int64_t c = lo[2]; c < hi[2]; c++)
                    o[at[2] + c * k->stride[2]] += w[tap] * row[c];
            }
        }
        tap++;
    } while (md_step_index(t, k->kernel, 3));
}

static md_status load(double **out, const md_tensor *t, md_arena *ar,
                      md_error *err)
{
    int64_t n = md_tensor_n(t);

    MD_TRY(md_exec__scratch(out, ar, n, sizeof(**out), err));
    md_load_f64(*out, t, 0, n);
    return MD_OK;
}

/* In double, rounded once. */
static md_status compute(md_exec *x, md_tensor *out, md_arena *ar,
                         md_error *err)
{
    double *px, *pw, *y, *bias = NULL;
    int64_t cg, og, in_size, out_size, taps;
    md_convolve v;

    MD_TRY(md_deconvolve__sizes(&v, x->node, &x->in[0]->shape, &x->in[1]->shape,
                                err));
    cg = v.c / v.group;
    og = v.oc / v.group;
    in_size = v.in[0] * v.in[1] * v.in[2];
    out_size = v.out[0] * v.out[1] * v.out[2];
    taps = v.w.kernel[0] * v.w.kernel[1] * v.w.kernel[2];
    MD_TRY(load(&px, x->in[0], ar, err));
    MD_TRY(load(&pw, x->in[1], ar, err));
    if (md_exec_has(x, 2))
        MD_TRY(load(&bias, x->in[2], ar, err));
    MD_TRY(md_exec__scratch(&y, ar, md_tensor_n(out), sizeof(*y), err));
    for (int64_t i = 0; i < v.n * v.oc; i++) {
        int64_t n = i / v.oc, o = i % v.oc, g = o / og;

        for (int64_t k = 0; bias && k < out_size; k++)
            y[i * out_size + k] = bias[o];
        for (int64_t k = 0; k < cg; k++)
            scatter(&v.w, v.in, v.out, y + i * out_size,
                    px + (n * v.c + g * cg + k) * in_size,
                    pw + ((g * cg + k) * og + o % og) * taps);
    }
    md_store_f64(out, 0, y, md_tensor_n(out));
    return MD_OK;
}

static md_status run(md_exec *x, md_error *err)
{
    return md_exec__single(x, md_deconvolve__infer, compute, err);
}

static int64_t macs(const md_node *n, const md_shape *const *in,
                    const md_shape *const *out)
{
    (void)n;
    (void)out;
    return md_macs__times(md_shape_n(in[0]),
                          md_shape_span(in[1], 1, in[1]->rank));
}

static void grad(md_grad *g)
{
    md_deconvolve__grad(g);
}

const md_op md_op_conv_transpose = {
    .domain = "",
    .name = "ConvTranspose",
    .since = 1,
    .in_min = 2,
    .in_max = 3,
    .out_min = 1,
    .out_max = 1,
    .infer = md_deconvolve__infer,
    .run = run,
    .macs = macs,
    .flags = MD_OP_WEIGHTS | MD_OP_SYMBOLIC,
    .fast = &md_fast_conv_transpose,
    .grad = grad,
};
