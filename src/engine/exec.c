#include "engine/exec.h"

#include <assert.h>
#include <math.h>
#include <string.h>

#include "ops/common/util.h"

typedef struct sink {
    md_tensor *out;
    const md_exec_env *env;
} sink;

/* Elements are as an execution before left them, as in planned memory; those
 * that point somewhere point nowhere. */
static md_status allocate(md_tensor *t, md_dtype dtype, const md_shape *shape,
                          const md_alloc *alloc, md_error *err)
{
    return dtype == MD_DTYPE_STRING
               ? md_tensor_alloc(t, dtype, shape, alloc, err)
               : md_tensor_alloc_unset(t, dtype, shape, alloc, err);
}

static md_status give_output(md_exec *x, uint32_t i, md_dtype dtype,
                             const md_shape *shape, md_tensor **out,
                             md_error *err)
{
    sink *k = x->ctx;
    md_tensor *t;

    *out = NULL;
    if (i >= x->node->n_out || x->node->out[i] == MD_VALUE_NONE)
        return MD_OK;
    t = &k->out[i];
    if (t->data) {
        if (t->dtype != dtype || !md_shape_equal(&t->shape, shape)) {
            char a[MD_SHAPE_TEXT], b[MD_SHAPE_TEXT];

            return md_fail(
                err, MD_INTERNAL, "output %u is %s %s, planned as %s %s", i,
                md_dtype_name(dtype), md_shape_format(a, sizeof(a), shape),
                md_dtype_name(t->dtype),
                md_shape_format(b, sizeof(b), &t->shape));
        }
    } else {
        MD_TRY(allocate(t, dtype, shape, t->owner ? t->owner : k->env->alloc,
                        err));
    }
    *out = t;
    return MD_OK;
}

/* Into memory that a plan holds; text goes where it lives as long. */
static md_status copy_given(md_exec *x, md_tensor *to, const md_tensor *t,
                            md_error *err)
{
    int64_t n = t->dtype == MD_DTYPE_STRING ? md_tensor_n(t) : 0;
    md_str *s = to->data;

    md_move_all(to, t);
    for (int64_t k = 0; k < n; k++) {
        s[k].p = md_arena_strndup(x->text, s[k].p, s[k].n);
        if (!s[k].p)
            return md_fail_nomem(err, s[k].n);
    }
    return MD_OK;
}

static md_status take_given(md_exec *x, uint32_t i, md_tensor *t, md_error *err)
{
    sink *k = x->ctx;
    md_tensor *to;
    md_status s;

    if (i < x->node->n_out && x->node->out[i] != MD_VALUE_NONE &&
        !k->out[i].data) {
        k->out[i] = *t;
        *t = (md_tensor)MD_TENSOR_INIT;
        return MD_OK;
    }
    s = give_output(x, i, t->dtype, &t->shape, &to, err);
    if (s == MD_OK && to)
        s = copy_given(x, to, t, err);
    md_tensor_release(t);
    return s;
}

/* + bias along the channels, + residual, activation: what md_fused says, on
 * a row-major float result. */
static void apply_fused(const md_node *n, const md_tensor *residual,
                        md_tensor *out)
{
    const md_fused *f = n->fused;
    float *y = out->data;
    const float *r = residual ? residual->data : NULL;
    int64_t total = md_tensor_n(out);
    int axis = out->shape.rank - 1;
    int64_t inner;
    int64_t channels;

    assert(out->dtype == MD_DTYPE_F32);
    if (strncmp(n->op, "Conv", 4) == 0) /* Conv, ConvIntegerToFloat */
        axis = 1;
    inner = md_shape_span(&out->shape, axis + 1, out->shape.rank);
    channels = out->shape.dim[axis];
    for (int64_t i = 0; i < total; i++) {
        float v = y[i];

        if (f->bias)
            v += f->bias[i / inner % channels];
        if (r)
            v += r[i];
        y[i] = md_act_apply(f->act, f->a, f->b, v);
    }
}

static int64_t clamped(int64_t x, int64_t lo, int64_t hi)
{
    return x < lo ? lo : x > hi ? hi : x;
}

/* The code of q with r added to it. */
static int64_t add_codes(const md_code_add *c, int64_t q, int64_t r)
{
    const float lo = (float)(c->q_min - c->zero);
    const float hi = (float)(c->q_max - c->zero);
    float t = (float)(q - c->own_zero) * c->own_mult +
              (float)(r - c->res_zero) * c->res_mult;

    t = t > lo ? t : lo;
    t = t < hi ? t : hi;
    return (int64_t)nearbyintf(t) + c->zero;
}

/* Relu or Clip on codes: y_scale and y_zero_point stand at fixed places of
 * each quantized operator.  Then the sum with a residual. */
static void clamp_fused(const md_node *n, const md_tensor *const *in,
                        md_tensor *out)
{
    uint32_t at = strcmp(n->op, "QGemm") == 0 ? 7 : 6;
    const md_fused *f = n->fused;
    int64_t total = md_tensor_n(out);
    int32_t lo, hi;

    md_fused_clamp(f, (float)md_tensor_get_f64(in[at], 0),
                   (int32_t)md_tensor_get_i64(in[at + 1], 0), out->dtype, &lo,
                   &hi);
    for (int64_t i = 0; i < total; i++) {
        int64_t q = clamped(md_tensor_get_i64(out, i), lo, hi);

        if (f->codes)
            q = add_codes(f->codes, q, md_tensor_get_i64(in[n->n_in - 1], i));
        md_tensor_set_i64(out, i, q);
    }
}

static md_status run_body(md_exec *x, const md_graph *body,
                          const md_tensor *const *in, md_tensor *out,
                          md_error *err)
{
    const sink *k = x->ctx;

    return k->env->body(k->env->body_ctx, x, body, in, out, err);
}

md_status md_exec_node(const md_graph *g, const md_node *n,
                       const md_tensor *const *in, md_tensor *out,
                       const md_exec_env *env, md_error *err)
{
    const md_op *op = n->impl;
    const md_fused *f = n->fused;
    sink k = { out, env };
    md_exec x = { .node = n,
                  .opset = md_node_opset(g->model, n),
                  .in = in,
                  .alloc = env->alloc,
                  .text = env->text,
                  .pool = env->pool,
                  .width = env->width,
                  .cpu = env->cpu,
                  .output = give_output,
                  .give = take_given,
                  .body = env->body ? run_body : NULL,
                  .ctx = &k };
    md_status s = op->run(&x, err);

    if (s != MD_OK)
        return md_wrap(err, s, "node '%s' (%s): ", n->name, n->op);
    if (f && out[0].dtype == MD_DTYPE_F32)
        apply_fused(n, f->residual != MD_VALUE_NONE ? in[n->n_in - 1] : NULL,
                    &out[0]);
    else if (f)
        clamp_fused(n, in, &out[0]);
    return MD_OK;
}
