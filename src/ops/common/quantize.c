#include "ops/common/quantize.h"

#include <math.h>
#include <stdio.h>

#include "base/attr.h"
#include "base/size.h"
#include "kernels/quantize.h"
#include "kernels/requant_s8.h"
#include "ops/common/elementwise.h"
#include "tensor/float.h"

/* ceil(d / block) */
static md_status n_blocks(const md_infer *c, md_dim *d, int64_t block,
                          md_error *err)
{
    MD_TRY(md_dim__affine(d, *d, 1, block - 1, err));
    return md_dim__derive(c, d, MD_EXPR_DIV, *d, MD_DIM(block), err);
}

/* Scale or zero point `s` of a blocked axis: like x but for ceil(n / block) on
 * the axis. */
static md_status check_blocks(const md_infer *c, const md_type *s, int axis,
                              int64_t block, const char *what, md_error *err)
{
    const md_type *x = c->in[0];
    char dim[48];

    if (!s->has_rank)
        return MD_OK;
    if (s->rank != x->rank)
        return md_fail(err, MD_INVALID, "%s has rank %d, %d expected", what,
                       s->rank, x->rank);
    snprintf(dim, sizeof(dim), "a dimension of %s", what);
    for (int i = 0; i < x->rank; i++) {
        md_dim want = x->dim[i];

        if (i == axis)
            MD_TRY(n_blocks(c, &want, block, err));
        MD_TRY(md_infer__must_equal(c, s->dim[i], want, dim, err));
    }
    return MD_OK;
}

/* One scale for all, or, where the length is not known, one for each element of
 * the axis. */
static md_status may_be_one(const md_infer *c, md_error *err)
{
    int64_t axis = md_node_attr_i(c->node, "axis", 1);
    const md_type *x = c->in[0];
    md_dim n = c->in[1]->dim[0];

    axis += axis < 0 ? x->rank : 0;
    if (axis >= 0 && axis < x->rank)
        MD_TRY(md_infer__spreads(c, n, x->dim[axis], err));
    if (!md_infer_has(c, 2))
        return MD_OK;
    MD_TRY(md_infer__rank(c, 2, 0, 1, err));
    if (md_dim_is_const(n))
        return MD_OK; /* of constants, running them tells */
    return md_infer__length(c, c->in[2], n, "zero point", err);
}

md_status md_qmap__infer(const md_infer *c, md_error *err)
{
    int64_t block = md_node_attr_i(c->node, "block_size", 0);
    const md_type *x = c->in[0], *s = c->in[1];
    int axis;

    if (!x->has_rank || !s->has_rank)
        return MD_OK;
    if (s->rank == 0)
        return MD_OK;
    if (s->rank == 1 && block == 0 &&
        (!md_dim_is_const(s->dim[0]) || s->dim[0].k == 1))
        return may_be_one(c, err);
    MD_TRY(md_axis_normalize(&axis, md_node_attr_i(c->node, "axis", 1), x->rank,
                             err));
    if (block < 0 || block > INT32_MAX)
        return md_fail(err, MD_INVALID, "block_size is %lld", (long long)block);
    if (block) {
        MD_TRY(check_blocks(c, s, axis, block, "scale", err));
        if (md_infer_has(c, 2))
            MD_TRY(check_blocks(c, c->in[2], axis, block, "zero point", err));
        return MD_OK;
    }
    MD_TRY(md_infer__length(c, s, x->dim[axis], "scale", err));
    if (md_infer_has(c, 2))
        MD_TRY(md_infer__length(c, c->in[2], x->dim[axis], "zero point", err));
    return MD_OK;
}

md_status md_qmap__make(md_qmap *out, const md_exec *x, md_error *err)
{
    const md_shape *shape = &x->in[0]->shape, *scale = &x->in[1]->shape;
    int64_t n_scales = md_tensor_n(x->in[1]);
    int axis;

    if (md_exec_has(x, 2) && md_tensor_n(x->in[2]) != n_scales)
        return md_fail(err, MD_INVALID, "%lld scales and %lld zero points",
                       (long long)n_scales, (long long)md_tensor_n(x->in[2]));
    *out = (md_qmap){ .one = n_scales == 1 };
    if (out->one)
        return MD_OK;
    MD_TRY(md_axis_normalize(&axis, md_node_attr_i(x->node, "axis", 1),
                             shape->rank, err));
    out->inner = md_shape_span(shape, axis + 1, shape->rank);
    out->n = shape->dim[axis];
    out->block = md_node_attr_i(x->node, "block_size", 0);
    out->n_blocks = out->block ? scale->dim[axis] : out->n;
    return MD_OK;
}

int64_t md_qmap__n_runs(const md_qmap *m, int64_t n)
{
    if (m->one)
        return md_div_up(n, MD_CHUNK);
    if (m->inner > 1)
        return n / m->inner;
    return n / m->n * (m->block ? m->n_blocks : 1);
}

md_qrun md_qmap__run(const md_qmap *m, int64_t n, int64_t i)
{
    int64_t from;

    if (m->one)
        return (md_qrun){ .from = i * MD_CHUNK,
                          .n = md_min_i64(n - i * MD_CHUNK, MD_CHUNK) };
    if (m->inner > 1 && m->block)
        return (md_qrun){
            .from = i * m->inner,
            .n = m->inner,
            .scale = (i / m->n * m->n_blocks + i % m->n / m->block) * m->inner,
            .step = 1
        };
    if (m->inner > 1)
        return (
            md_qrun){ .from = i * m->inner, .n = m->inner, .scale = i % m->n };
    if (!m->block)
        return (md_qrun){ .from = i * m->n, .n = m->n, .step = 1 };
    from = i % m->n_blocks * m->block;
    return (md_qrun){ .from = i / m->n_blocks * m->n + from,
                      .n = md_min_i64(m->n - from, m->block),
                      .scale = i };
}

void md_qmap__share(const md_qmap *m, const md_exec *x, int64_t n,
                    md_dtype type, md_part_fn *fn, void *ctx)
{
    int64_t n_runs = md_qmap__n_runs(m, n), run;

    if (n_runs == 0)
        return;
    run = n / n_runs;
    if (md_dtype_bits(type) < 8 && !m->one)
        fn(ctx, 0, n_runs);
    else
        md_exec__share(x, n_runs, 20.0 + (double)run, fn, ctx);
}

void md_qrun__scales(float *out, const md_qrun *r, const md_tensor *scale,
                     int64_t at, int64_t n)
{
    md_load_f32(out, scale, r->scale + at * r->step, r->step ? n : 1);
    for (int64_t i = 1; i < n && !r->step; i++)
        out[i] = out[0];
}

void md_qrun__zeros(int32_t *out, const md_qrun *r, const md_tensor *zero,
                    int64_t at, int64_t n)
{
    out[0] = 0;
    if (zero)
        md_load_i32(out, zero, r->scale + at * r->step, r->step ? n : 1);
    for (int64_t i = 1; i < n && !(zero && r->step); i++)
        out[i] = out[0];
}

int32_t md_quantize__round(float t, int32_t zero, int32_t lo, int32_t hi)
{
    float min = (float)(lo - zero), max = (float)(hi - zero);

    t = t > min ? t : min;
    t = t < max ? t : max;
    return (int32_t)nearbyintf(t) + zero;
}

void md_quantize__set(md_tensor *t, int64_t i, float x, float scale,
                      int64_t zero, bool saturate)
{
    float v = x / scale;

    if (t->dtype == MD_DTYPE_F4E2M1)
        md_tensor_set_f64(t, i, v);
    else if (md_dtype_is_float(t->dtype))
        ((uint8_t *)t->data)[i] = md_f32_to_f8(t->dtype, v, saturate);
    else
        md_tensor_set_i64(
            t, i,
            md_quantize__round(v, (int32_t)zero,
                               (int32_t)md_dtype_int_min(t->dtype),
                               (int32_t)md_dtype_int_max(t->dtype)));
}

void md_quantize__span(float *scale, uint8_t *zero, float lo, float hi)
{
    *scale = (hi - lo) / 255.0f;
    if (*scale == 0.0f)
        *scale = 1.0f;
    *zero = (uint8_t)md_quantize__round(0.0f - lo / *scale, 0, 0, 255);
}

void md_quantize__range(float *scale, uint8_t *zero, const float *v, int64_t n)
{
    float lo, hi;

    md_quantize_limits__ref(&lo, &hi, v, (size_t)n);
    md_quantize__span(scale, zero, lo, hi);
}

md_status md_qlinear__check(const md_infer *c, uint32_t scale, uint32_t zero,
                            uint32_t like, md_error *err)
{
    MD_TRY(md_infer__need(c, scale, MD_TYPES_FLOAT, err));
    MD_TRY(md_infer__rank(c, scale, 0, 1, err));
    MD_TRY(md_infer__may(c, zero, MD_TYPES_Q8 | MD_T(I32) | MD_TYPES_F8, err));
    MD_TRY(md_infer__rank(c, zero, 0, 1, err));
    return md_infer__same_dtype(c, zero, like, err);
}

/* Every input but tensors 0 and `other` is one number. */
static md_status check_scalars(const md_infer *c, uint32_t other, md_error *err)
{
    for (uint32_t i = 1; i < c->node->n_in; i++) {
        if (i != other && md_infer_has(c, i))
            MD_TRY(md_infer__length(c, c->in[i], MD_DIM(1),
                                    "scale or zero point", err));
    }
    return MD_OK;
}

md_status md_qlinear__check_unary(const md_infer *c, md_error *err)
{
    MD_TRY(md_infer__need(c, 0, MD_TYPES_Q8, err));
    MD_TRY(md_qlinear__check(c, 1, 2, 0, err));
    MD_TRY(md_qlinear__check(c, 3, 4, 0, err));
    return check_scalars(c, 0, err);
}

md_status md_qlinear__infer_unary(const md_infer *c, md_error *err)
{
    MD_TRY(md_qlinear__check_unary(c, err));
    md_infer__give(c, 0, c->in[0]);
    return MD_OK;
}

void md_qlinear__unary(const md_exec *x, md_tensor *out,
                       float (*f)(float v, float param), float param)
{
    float scale = (float)md_exec__scalar(x, 1, 1.0);
    int64_t zero = (int64_t)md_exec__scalar(x, 2, 0.0);
    float out_scale = (float)md_exec__scalar(x, 3, 1.0);
    int64_t out_zero = (int64_t)md_exec__scalar(x, 4, 0.0);

    for (int64_t i = 0; i < md_tensor_n(out); i++) {
        float v = scale * (float)(md_tensor_get_i64(x->in[0], i) - zero);

        md_quantize__set(out, i, f(v, param), out_scale, out_zero, true);
    }
}

md_status md_qlinear__infer_binary(const md_infer *c, md_error *err)
{
    md_type t = { 0 };

    MD_TRY(md_infer__need(c, 0, MD_TYPES_Q8, err));
    MD_TRY(md_infer__need(c, 3, MD_TYPES_Q8, err));
    MD_TRY(md_infer__same_dtype(c, 0, 3, err));
    MD_TRY(md_qlinear__check(c, 1, 2, 0, err));
    MD_TRY(md_qlinear__check(c, 4, 5, 0, err));
    MD_TRY(md_qlinear__check(c, 6, 7, 0, err));
    MD_TRY(check_scalars(c, 3, err));
    MD_TRY(md_infer__broadcast(c, &t, c->in[0], c->in[3], err));
    t.dtype = c->in[0]->dtype ? c->in[0]->dtype : c->in[3]->dtype;
    md_infer__give(c, 0, &t);
    return MD_OK;
}

void md_qlinear__binary(const md_exec *x, md_tensor *out,
                        float (*f)(float a, float b))
{
    const md_tensor *in[2] = { x->in[0], x->in[3] };
    float scale[2] = { (float)md_exec__scalar(x, 1, 1.0),
                       (float)md_exec__scalar(x, 4, 1.0) };
    int64_t zero[2] = { (int64_t)md_exec__scalar(x, 2, 0.0),
                        (int64_t)md_exec__scalar(x, 5, 0.0) };
    float out_scale = (float)md_exec__scalar(x, 6, 1.0);
    int64_t out_zero = (int64_t)md_exec__scalar(x, 7, 0.0);
    md_rows r;

    md_rows__begin(&r, &out->shape, 2, in);
    while (md_rows__next(&r)) {
        for (int64_t i = 0; i < r.n; i++) {
            float v[2];

            for (int k = 0; k < 2; k++)
                v[k] =
                    scale[k] *
                    (float)(md_tensor_get_i64(in[k], r.at[k] + i * r.step[k]) -
                            zero[k]);
            md_quantize__set(out, r.row * r.n + i, f(v[0], v[1]), out_scale,
                             out_zero, true);
        }
    }
}

/* Sixteen columns at a time, which is what the kernel takes. */
void md_quantize__rows(md_tensor *out, int64_t at, const int32_t *acc,
                       int64_t rows, int64_t n, const md_requantize *r)
{
    md_requant q = { .out = MD_QOUT_Q8,
                     .zero = r->zero,
                     .q_min = (int32_t)md_dtype_int_min(out->dtype),
                     .q_max = (int32_t)md_dtype_int_max(out->dtype) };

    for (int64_t i = 0; i < rows; i++) {
        for (int64_t j = 0; j < n; j += MD_LANES) {
            float mult[MD_LANES];
            md_requant_tile t = { .acc = acc + i * n + j,
                                  .out = (uint8_t *)out->data + at + i * n + j,
                                  .rows = 1,
                                  .lanes = (int)md_min_i64(n - j, MD_LANES) };

            for (int k = 0; k < t.lanes; k++)
                mult[k] = r->mult[(j + k) * r->mult_step];
            q.mult = mult;
            md_requant_s8__ref(&q, 0, &t);
        }
    }
}

md_status md_quantize__centre(int32_t **out, const md_tensor *q,
                              const md_tensor *zero, int64_t per, md_arena *ar,
                              md_error *err)
{
    int64_t n = md_tensor_n(q), n_zero = zero ? md_tensor_n(zero) : 0;

    MD_TRY(md_exec__scratch(out, ar, n, sizeof(**out), err));
    md_load_i32(*out, q, 0, n);
    for (int64_t i = 0; i < n && n_zero > 0; i++)
        (*out)[i] -= (int32_t)md_tensor_get_i64(zero, i / per % n_zero);
    return MD_OK;
}

md_status md_quantize__mult(float **out, float xs, const md_tensor *ws,
                            float ys, md_arena *ar, md_error *err)
{
    int64_t n = md_tensor_n(ws);

    MD_TRY(md_exec__scratch(out, ar, n, sizeof(**out), err));
    md_load_f32(*out, ws, 0, n);
    for (int64_t i = 0; i < n; i++)
        (*out)[i] = xs * (*out)[i] / ys;
    return MD_OK;
}
