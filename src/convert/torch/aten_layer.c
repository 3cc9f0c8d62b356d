/* Convolutions and normalizations. */
#include <string.h>

#include "convert/torch/build.h"

enum {
    AXES_MAX = 3 /* spatial ones */
};

/* --- convolutions --- */

typedef struct conv {
    md_value_id x, w, bias; /* bias MD_VALUE_NONE: none */
    int n;                  /* spatial axes */
    int64_t stride[AXES_MAX], dilation[AXES_MAX], more[AXES_MAX];
    int64_t pads[2 * AXES_MAX];
    int64_t groups;
    bool transposed, alone; /* alone: without an axis of the batch */
} conv;

static void emit_conv(md_torch_call *c, const conv *v)
{
    md_emit *e = c->e;
    md_value_id in[3] = { v->x, v->w, v->bias };
    md_value_id y;
    md_emit_attr attrs[7] = {
        EMIT_IS("strides", v->stride, v->n),
        EMIT_IS("dilations", v->dilation, v->n),
        EMIT_IS("pads", v->pads, 2 * v->n),
        EMIT_I("group", v->groups),
        { 0 },
    };

    if (v->transposed)
        attrs[4] = (md_emit_attr)EMIT_IS("output_padding", v->more, v->n);
    if (v->alone)
        in[0] = md_emit_unsqueeze(e, in[0], 0);
    y = md_emit_op(e, v->transposed ? "ConvTranspose" : "Conv", in,
                   v->bias == MD_VALUE_NONE ? 2 : 3, attrs);
    md_torch_ret(c, v->alone ? md_emit_squeeze(e, y, 0) : y);
}

/* Input, weight and bias, which every form has first. */
static bool begin_conv(md_torch_call *c, conv *v)
{
    int rank;

    v->x = md_torch_x(c, 0);
    v->w = md_torch_x(c, 1);
    v->bias = md_torch_given(c, 2) ? md_torch_x(c, 2) : MD_VALUE_NONE;
    v->n = md_torch_rank(c, v->w) - 2;
    rank = md_torch_rank(c, v->x);
    if (c->e->status == MD_OK &&
        (v->n < 1 || v->n > AXES_MAX ||
         (rank != v->n + 2 && (rank != v->n + 1 || c->b->wants_batch))))
        md_emit_fail(c->e, MD_INVALID, "input of rank %d, %d expected", rank,
                     v->n + 2);
    if (c->e->status == MD_OK && !md_dtype_is_float(md_torch_dtype_of(c, v->x)))
        md_emit_fail(c->e, MD_INVALID, "input of %s",
                     md_dtype_name(md_torch_dtype_of(c, v->x)));
    v->alone = rank == v->n + 1;
    return c->e->status == MD_OK;
}

/* "same" puts what is odd at the end. */
static void pads_of(md_torch_call *c, uint32_t i, conv *v)
{
    int64_t p[AXES_MAX] = { 0 };

    if (c->arg[i].kind != MD_TV_TEXT) {
        md_torch_spatial(c, i, p, v->n);
        for (int k = 0; k < v->n; k++)
            v->pads[k] = v->pads[v->n + k] = p[k];
        return;
    }
    for (int k = 0; k < v->n && strcmp(md_torch_s(c, i), "same") == 0; k++) {
        int64_t total = v->dilation[k] * (md_torch_size(c, v->w, 2 + k) - 1);

        v->pads[k] = total / 2;
        v->pads[v->n + k] = total - total / 2;
    }
}

static void learn_channels(md_torch_call *c, const conv *v)
{
    int64_t k = md_torch_size(c, v->w, v->transposed ? 0 : 1);

    md_torch_learn(c, v->x, v->alone ? 0 : 1,
                   v->transposed ? k : k * v->groups);
}

void md_torch_emit_conv(md_torch_call *c)
{
    conv v = { .groups = md_torch_i(c, 6) };

    if (!begin_conv(c, &v))
        return;
    md_torch_spatial(c, 3, v.stride, v.n);
    md_torch_spatial(c, 5, v.dilation, v.n);
    pads_of(c, 4, &v);
    learn_channels(c, &v);
    emit_conv(c, &v);
}

void md_torch_emit_conv_transpose(md_torch_call *c)
{
    conv v = { .groups = md_torch_i(c, 6), .transposed = true };

    if (!begin_conv(c, &v))
        return;
    md_torch_spatial(c, 3, v.stride, v.n);
    md_torch_spatial(c, 7, v.dilation, v.n);
    md_torch_spatial(c, 5, v.more, v.n);
    pads_of(c, 4, &v);
    learn_channels(c, &v);
    emit_conv(c, &v);
}

void md_torch_emit_convolution(md_torch_call *c)
{
    conv v = { .groups = md_torch_i(c, 8), .transposed = md_torch_b(c, 6) };

    if (!begin_conv(c, &v))
        return;
    md_torch_spatial(c, 3, v.stride, v.n);
    md_torch_spatial(c, 5, v.dilation, v.n);
    md_torch_spatial(c, 7, v.more, v.n);
    pads_of(c, 4, &v);
    learn_channels(c, &v);
    emit_conv(c, &v);
}

void md_torch_emit_mkldnn_conv(md_torch_call *c)
{
    conv v = { .groups = md_torch_i(c, 6) };

    if (!begin_conv(c, &v))
        return;
    md_torch_spatial(c, 4, v.stride, v.n);
    md_torch_spatial(c, 5, v.dilation, v.n);
    pads_of(c, 3, &v);
    learn_channels(c, &v);
    emit_conv(c, &v);
}

/* --- normalizations --- */

/* Argument i, or n times `otherwise`. */
static md_value_id or_all(md_torch_call *c, uint32_t i, md_value_id n,
                          md_dtype t, double otherwise)
{
    if (md_torch_given(c, i))
        return md_torch_x(c, i);
    return md_emit_op2(c->e, "Expand", md_emit_number(c->e, t, otherwise), n);
}

/* [c] as [c, 1, ...] for axis 1 of a tensor of that rank. */
static md_value_id channel(md_torch_call *c, md_value_id v, int rank)
{
    int64_t dim[MD_RANK_MAX] = { -1, 1, 1, 1, 1, 1, 1, 1 };

    return rank > 2 ? md_emit_reshape(c->e, v, dim, rank - 1) : v;
}

static md_value_id mean(md_torch_call *c, md_value_id x, const int64_t *axes,
                        int n)
{
    return md_emit_op2(c->e, "ReduceMean", x, md_emit_ints(c->e, axes, n));
}

/* (x - mean) / sqrt(var + eps) */
static md_value_id whiten(md_torch_call *c, md_value_id x, md_value_id m,
                          md_value_id var, double eps)
{
    md_emit *e = c->e;
    md_value_id s = md_emit_op2(
        e, "Add", var, md_emit_number(e, md_torch_dtype_of(c, var), eps));

    return md_emit_op2(e, "Div", md_emit_op2(e, "Sub", x, m),
                       md_emit_op1(e, "Sqrt", s));
}

/* Normalized by x's own mean and variance over the axes. */
static md_value_id whiten_own(md_torch_call *c, md_value_id x,
                              const int64_t *axes, int n, double eps)
{
    md_value_id m = mean(c, x, axes, n);
    md_value_id d = md_emit_op2(c->e, "Sub", x, m);

    return whiten(c, x, m, mean(c, md_emit_op2(c->e, "Mul", d, d), axes, n),
                  eps);
}

static md_value_id scaled(md_torch_call *c, md_value_id x, md_value_id scale,
                          md_value_id bias)
{
    if (scale != MD_VALUE_NONE)
        x = md_emit_op2(c->e, "Mul", x, scale);
    return bias == MD_VALUE_NONE ? x : md_emit_op2(c->e, "Add", x, bias);
}

static md_value_id opt(md_torch_call *c, uint32_t i)
{
    return md_torch_given(c, i) ? md_torch_x(c, i) : MD_VALUE_NONE;
}

/* Results beside the first are for training. */
static void ret_first(md_torch_call *c, md_value_id y, uint32_t n)
{
    md_tv out;

    if (!c->row->onnx[0]) {
        md_torch_ret(c, y);
        return;
    }
    out = md_tv_list(c->b, MD_TV_TUPLE, n);
    for (uint32_t i = 0; i < n && out.kind == MD_TV_TUPLE; i++)
        md_tv_append(c->b, out.v.list,
                     i == 0 ? md_tv_tensor(c->b, y)
                            : (md_tv){ .kind = MD_TV_LOST,
                                       .v.s = "that is for training" });
    c->out = out;
}

/* By the batch's own statistics: over all axes but the channels'. */
static void own_statistics(md_torch_call *c, md_value_id x, double eps)
{
    int rank = md_torch_rank(c, x);
    int64_t axes[MD_RANK_MAX];
    int n = 0;
    md_value_id w = opt(c, 1), b = opt(c, 2);

    for (int i = 0; i < rank; i++) {
        if (i != 1)
            axes[n++] = i;
    }
    w = w == MD_VALUE_NONE ? w : channel(c, w, rank);
    b = b == MD_VALUE_NONE ? b : channel(c, b, rank);
    ret_first(c, scaled(c, whiten_own(c, x, axes, n, eps), w, b), 3);
}

void md_torch_emit_batch_norm_own(md_torch_call *c)
{
    own_statistics(c, md_torch_x(c, 0), md_torch_f(c, 5));
}

/* The convolution of constant weights that gives x; NULL: something else. */
static const md_node *conv_of(md_torch_call *c, md_value_id x)
{
    const md_node *n =
        c->e->status == MD_OK ? md_graph_value(c->e->s->g, x)->def : NULL;

    if (!n || strcmp(n->op, "Conv") != 0 || !md_emit_cdata(c->e, n->in[1]) ||
        (n->n_in > 2 && !md_emit_cdata(c->e, n->in[2])))
        return NULL;
    return n;
}

/* in: x, scale, bias, mean, variance.  The convolution before it with
 * w * s and (b - mean) * s + bias, s = scale / sqrt(variance + eps); the old
 * one goes when nobody else reads it. */
static md_value_id into_conv(md_torch_call *c, const md_node *n,
                             const md_value_id in[5], double eps)
{
    md_emit *e = c->e;
    int rank = md_torch_rank(c, n->in[1]);
    md_value_id s = md_emit_op2(
        e, "Add", in[4], md_emit_number(e, md_torch_dtype_of(c, in[4]), eps));
    md_value_id args[3];
    md_emit_attr attrs[5] = { { 0 } };
    static const char *const lists[] = { "strides", "dilations", "pads" };
    int64_t dim[MD_RANK_MAX] = { -1, 1, 1, 1, 1, 1, 1, 1 };

    s = md_emit_op2(e, "Div", in[1], md_emit_op1(e, "Sqrt", s));
    args[0] = n->in[0];
    args[1] = md_emit_op2(e, "Mul", n->in[1], md_emit_reshape(e, s, dim, rank));
    args[2] = n->n_in > 2 ? md_emit_op2(e, "Sub", n->in[2], in[3])
                          : md_emit_op1(e, "Neg", in[3]);
    args[2] = md_emit_op2(e, "Add", md_emit_op2(e, "Mul", args[2], s), in[2]);
    for (int i = 0; i < 3; i++) {
        uint32_t k;
        const int64_t *v = md_node_attr_is(n, lists[i], &k);

        attrs[i] = (md_emit_attr)EMIT_IS(lists[i], v, k);
    }
    attrs[3] = (md_emit_attr)EMIT_I("group", md_node_attr_i(n, "group", 1));
    return md_emit_op(e, "Conv", args, 3, attrs);
}

void md_torch_emit_batch_norm(md_torch_call *c)
{
    bool has_flag = strcmp(c->row->onnx, "no training") != 0;
    double eps = md_torch_f(c, has_flag ? 7 : 6);
    md_value_id x = md_torch_x(c, 0);
    md_dtype t = md_torch_dtype_of(c, x);
    int rank = md_torch_rank(c, x);
    const md_node *before;
    md_value_id in[5], n;

    if (!md_torch_given(c, 3) || (has_flag && md_torch_b(c, 5))) {
        own_statistics(c, x, eps);
        return;
    }
    in[0] = x;
    in[3] = md_torch_x(c, 3);
    in[4] = md_torch_x(c, 4);
    n = md_emit_op1(c->e, "Shape", in[3]);
    in[1] = or_all(c, 1, n, t, 1);
    in[2] = or_all(c, 2, n, t, 0);
    if (c->e->status == MD_OK && rank < 2)
        md_emit_fail(c->e, MD_INVALID, "input of rank %d", rank);
    md_torch_learn(c, x, 1, md_torch_size(c, in[3], 0));
    if (c->b->plain) {
        for (int i = 1; i < 5; i++)
            in[i] = channel(c, in[i], rank);
        ret_first(c, scaled(c, whiten(c, x, in[3], in[4], eps), in[1], in[2]),
                  3);
        return;
    }
    before = conv_of(c, x);
    n = before ? into_conv(c, before, in, eps)
               : md_emit_op(c->e, "BatchNormalization", in, 5,
                            EMIT_ATTRS(EMIT_F("epsilon", (float)eps)));
    ret_first(c, n, 3);
}

void md_torch_emit_layer_norm(md_torch_call *c)
{
    md_value_id x = md_torch_x(c, 0);
    int64_t shape[MD_RANK_MAX], axes[MD_RANK_MAX];
    int n = md_torch_ints(c, 1, shape, MD_RANK_MAX);
    int rank = md_torch_rank(c, x);
    md_value_id in[3] = { x, opt(c, 2), opt(c, 3) };
    double eps = md_torch_f(c, 4);

    if (n < 1 || n > rank) {
        md_emit_fail(c->e, MD_INVALID, "%d axes of %d", n, rank);
        return;
    }
    for (int i = 0; i < n; i++) {
        axes[i] = rank - n + i;
        md_torch_learn(c, x, (int)axes[i], shape[i]);
    }
    if (c->b->plain) {
        ret_first(c, scaled(c, whiten_own(c, x, axes, n, eps), in[1], in[2]),
                  3);
        return;
    }
    if (in[1] == MD_VALUE_NONE)
        in[1] = or_all(c, 2, md_emit_ints(c->e, shape, n),
                       md_torch_dtype_of(c, x), 1);
    ret_first(c,
              md_emit_op(c->e, "LayerNormalization", in,
                         in[2] == MD_VALUE_NONE ? 2 : 3,
                         EMIT_ATTRS(EMIT_I("axis", rank - n),
                                    EMIT_F("epsilon", (float)eps))),
              3);
}

/* x / sqrt(mean(x * x) + eps) * weight; eps left out is float32's. */
void md_torch_emit_rms_norm(md_torch_call *c)
{
    md_emit *e = c->e;
    md_value_id x = md_torch_x(c, 0);
    int64_t shape[MD_RANK_MAX], axes[MD_RANK_MAX];
    int n = md_torch_ints(c, 1, shape, MD_RANK_MAX);
    int rank = md_torch_rank(c, x);
    double eps = md_torch_given(c, 3) ? md_torch_f(c, 3) : 1.1920929e-07;
    md_value_id s;

    for (int i = 0; i < n; i++)
        axes[i] = rank - n + i;
    s = mean(c, md_emit_op2(e, "Mul", x, x), axes, n);
    s = md_emit_op2(e, "Add", s,
                    md_emit_number(e, md_torch_dtype_of(c, x), eps));
    s = md_emit_op1(e, "Reciprocal", md_emit_op1(e, "Sqrt", s));
    ret_first(
        c, scaled(c, md_emit_op2(e, "Mul", x, s), opt(c, 2), MD_VALUE_NONE), 2);
}

/* GroupNormalization of opset 21 has scale and bias per channel. */
static void emit_group_norm(md_torch_call *c, int64_t groups, uint32_t weight,
                            double eps)
{
    md_emit *e = c->e;
    md_value_id x = md_torch_x(c, 0);
    md_dtype t = md_torch_dtype_of(c, x);
    md_value_id n = md_emit_op(
        e, "Shape", &x, 1, EMIT_ATTRS(EMIT_I("start", 1), EMIT_I("end", 2)));
    md_value_id w = or_all(c, weight, n, t, 1);
    md_value_id b = or_all(c, weight + 1, n, t, 0);
    int rank = md_torch_rank(c, x);

    if (rank < 2) {
        md_emit_fail(e, MD_INVALID, "input of rank %d", rank);
        return;
    }
    md_torch_learn(c, x, 1, md_torch_size(c, w, 0));
    if (c->b->plain) {
        int64_t axis = 2;
        md_value_id y = md_emit_reshape(e, x, (int64_t[]){ 0, groups, -1 }, 3);

        y = md_emit_op2(e, "Reshape", whiten_own(c, y, &axis, 1, eps),
                        md_emit_op1(c->e, "Shape", x));
        md_torch_ret(c, scaled(c, y, channel(c, w, rank), channel(c, b, rank)));
        return;
    }
    md_torch_ret(c, md_emit_op(e, "GroupNormalization",
                               (md_value_id[]){ x, w, b }, 3,
                               EMIT_ATTRS(EMIT_I("num_groups", groups),
                                          EMIT_F("epsilon", (float)eps))));
}

void md_torch_emit_group_norm(md_torch_call *c)
{
    emit_group_norm(c, md_torch_i(c, 1), 2, md_torch_f(c, 4));
}

void md_torch_emit_native_group_norm(md_torch_call *c)
{
    md_tv y;
    md_tv out;

    emit_group_norm(c, md_torch_i(c, 6), 1, md_torch_f(c, 7));
    y = c->out;
    out = md_tv_list(c->b, MD_TV_TUPLE, 3);
    for (int i = 0; i < 3 && out.kind == MD_TV_TUPLE; i++)
        md_tv_append(c->b, out.v.list,
                     i == 0 ? y
                            : (md_tv){ .kind = MD_TV_LOST,
                                       .v.s = "that is for training" });
    c->out = out;
}

void md_torch_emit_instance_norm(md_torch_call *c)
{
    md_emit *e = c->e;
    md_value_id x = md_torch_x(c, 0);
    md_dtype t = md_torch_dtype_of(c, x);
    double eps = md_torch_f(c, 7);
    md_value_id n = md_emit_op(
        e, "Shape", &x, 1, EMIT_ATTRS(EMIT_I("start", 1), EMIT_I("end", 2)));
    md_value_id in[5] = { x, or_all(c, 1, n, t, 1), or_all(c, 2, n, t, 0) };

    if (md_torch_given(c, 1))
        md_torch_learn(c, x, 1, md_torch_size(c, in[1], 0));
    if (md_torch_b(c, 5)) {
        md_torch_ret(c, md_emit_op(e, "InstanceNormalization", in, 3,
                                   EMIT_ATTRS(EMIT_F("epsilon", (float)eps))));
        return;
    }
    in[3] = md_torch_x(c, 3);
    in[4] = md_torch_x(c, 4);
    md_torch_ret(c, md_emit_op(e, "BatchNormalization", in, 5,
                               EMIT_ATTRS(EMIT_F("epsilon", (float)eps))));
}

void md_torch_emit_lrn(md_torch_call *c)
{
    md_value_id x = md_torch_x(c, 0);

    md_torch_ret(
        c, md_emit_op(c->e, "LRN", &x, 1,
                      EMIT_ATTRS(EMIT_I("size", md_torch_i(c, 1)),
                                 EMIT_F("alpha", (float)md_torch_f(c, 2)),
                                 EMIT_F("beta", (float)md_torch_f(c, 3)),
                                 EMIT_F("bias", (float)md_torch_f(c, 4)))));
}

void md_torch_emit_dropout(md_torch_call *c)
{
    if (md_torch_b(c, 2))
        md_emit_fail(c->e, MD_UNSUPPORTED,
                     "in training: export the model after eval()");
    c->out = c->arg[0];
}

void md_torch_emit_native_dropout(md_torch_call *c)
{
    md_value_id x = md_torch_x(c, 0);

    if (md_torch_given(c, 2) && md_torch_b(c, 2))
        md_emit_fail(c->e, MD_UNSUPPORTED,
                     "in training: export the model after eval()");
    md_torch_ret_n(c, (md_value_id[]){ x, x }, 2);
}
