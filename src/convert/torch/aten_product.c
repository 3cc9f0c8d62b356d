/* Products of matrices, attention. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "convert/torch/build.h"

static md_value_id swap_last(md_torch_call *c, md_value_id x)
{
    int rank = md_torch_rank(c, x);
    int64_t perm[MD_RANK_MAX];

    for (int i = 0; i < rank; i++)
        perm[i] = i;
    if (rank > 1) {
        perm[rank - 1] = rank - 2;
        perm[rank - 2] = rank - 1;
    }
    return md_emit_transpose(c->e, x, perm, rank);
}

/* x [.., in], w [out, in] */
void md_torch_emit_linear(md_torch_call *c)
{
    md_value_id in[3] = { md_torch_x(c, 0), md_torch_x(c, 1), MD_VALUE_NONE };
    int rank = md_torch_rank(c, in[0]);
    md_value_id y;

    if (md_torch_given(c, 2))
        in[2] = md_torch_x(c, 2);
    if (rank < 1) {
        md_emit_fail(c->e, MD_INVALID, "input without axes");
        return;
    }
    md_torch_learn(c, in[0], rank - 1, md_torch_size(c, in[1], 1));
    if (rank == 2 && !c->b->plain) {
        md_torch_ret(c, md_emit_op(c->e, "Gemm", in,
                                   in[2] == MD_VALUE_NONE ? 2 : 3,
                                   EMIT_ATTRS(EMIT_I("transB", 1))));
        return;
    }
    y = md_emit_op2(c->e, "MatMul", in[0], swap_last(c, in[1]));
    if (in[2] != MD_VALUE_NONE)
        y = md_emit_op2(c->e, "Add", y, in[2]);
    md_torch_ret(c, y);
}

void md_torch_emit_matmul(md_torch_call *c)
{
    md_torch_ret(
        c, md_emit_op2(c->e, "MatMul", md_torch_x(c, 0), md_torch_x(c, 1)));
}

void md_torch_emit_outer(md_torch_call *c)
{
    md_torch_ret(c, md_emit_op2(c->e, "Mul",
                                md_emit_unsqueeze(c->e, md_torch_x(c, 0), 1),
                                md_torch_x(c, 1)));
}

void md_torch_emit_addmm(md_torch_call *c)
{
    md_value_id in[3] = { md_torch_x(c, 1), md_torch_x(c, 2),
                          md_torch_x(c, 0) };

    md_torch_ret(
        c, md_emit_op(c->e, "Gemm", in, 3,
                      EMIT_ATTRS(EMIT_F("beta", (float)md_torch_f(c, 3)),
                                 EMIT_F("alpha", (float)md_torch_f(c, 4)))));
}

static md_value_id times(md_torch_call *c, md_value_id x, uint32_t i)
{
    double k = md_torch_f(c, i);

    if (k == 1)
        return x;
    return md_emit_op2(c->e, "Mul", x,
                       md_emit_number(c->e, md_torch_dtype_of(c, x), k));
}

void md_torch_emit_baddbmm(md_torch_call *c)
{
    md_value_id p =
        md_emit_op2(c->e, "MatMul", md_torch_x(c, 1), md_torch_x(c, 2));

    if (c->row->onnx[0])
        p = md_emit_op(c->e, "ReduceSum",
                       (md_value_id[]){ p, MD_TORCH_INTS(c, 0) }, 2,
                       EMIT_ATTRS(EMIT_I("keepdims", 0)));
    p = times(c, p, 4);
    if (md_torch_f(c, 3) != 0)
        p = md_emit_op2(c->e, "Add", times(c, md_torch_x(c, 0), 3), p);
    md_torch_ret(c, p);
}

void md_torch_emit_einsum(md_torch_call *c)
{
    uint32_t n = md_torch_n(c, 1);
    md_value_id *in = md_emit_alloc(c->e, n, sizeof(*in));

    for (uint32_t i = 0; in && i < n; i++)
        in[i] = md_torch_item(c, 1, i);
    if (in)
        md_torch_ret(
            c, md_emit_op(c->e, "Einsum", in, n,
                          EMIT_ATTRS(EMIT_S("equation", md_torch_s(c, 0)))));
}

/* x1 [.., a], x2 [.., b], w [o, a, b] */
void md_torch_emit_bilinear(md_torch_call *c)
{
    md_value_id in[3] = { md_torch_x(c, 0), md_torch_x(c, 2),
                          md_torch_x(c, 1) };
    md_value_id y;

    md_torch_learn(c, in[0], md_torch_rank(c, in[0]) - 1,
                   md_torch_size(c, in[1], 1));
    md_torch_learn(c, in[2], md_torch_rank(c, in[2]) - 1,
                   md_torch_size(c, in[1], 2));
    y = md_emit_op(c->e, "Einsum", in, 3,
                   EMIT_ATTRS(EMIT_S("equation", "...a,oab,...b->...o")));
    if (md_torch_given(c, 3))
        y = md_emit_op2(c->e, "Add", y, md_torch_x(c, 3));
    md_torch_ret(c, y);
}

static md_value_id unsqueezed(md_torch_call *c, uint32_t i, uint32_t axes)
{
    md_value_id x = md_torch_x(c, i);
    int64_t at[MD_RANK_MAX];
    int n = md_torch_ints(c, axes, at, MD_RANK_MAX);

    return n > 0 ? md_emit_op2(c->e, "Unsqueeze", x, md_emit_ints(c->e, at, n))
                 : x;
}

/* Three tensors, given new axes, multiplied and summed: the first two with
 * the axes of the third's own. */
void md_torch_emit_trilinear(md_torch_call *c)
{
    md_value_id y = unsqueezed(c, 0, 3);
    int64_t sum[MD_RANK_MAX];
    int n = md_torch_ints(c, 6, sum, MD_RANK_MAX);

    y = md_emit_op2(c->e, "Mul", y, unsqueezed(c, 1, 4));
    y = md_emit_op2(c->e, "Mul", y, unsqueezed(c, 2, 5));
    md_torch_ret(c, md_emit_op(c->e, "ReduceSum",
                               (md_value_id[]){ y, md_emit_ints(c->e, sum, n) },
                               2, EMIT_ATTRS(EMIT_I("keepdims", 0))));
}

/* As an Einsum: axes of the first tensor are a, b, ...; those of the second
 * that are summed have the same letters. */
void md_torch_emit_tensordot(md_torch_call *c)
{
    md_value_id in[2] = { md_torch_x(c, 0), md_torch_x(c, 1) };
    int rank[2] = { md_torch_rank(c, in[0]), md_torch_rank(c, in[1]) };
    int64_t axes[2][MD_RANK_MAX];
    char text[3][MD_RANK_MAX * 2 + 1] = { "", "", "" };
    char eq[64];
    int n = md_torch_ints(c, 2, axes[0], MD_RANK_MAX), k = 0;

    (void)md_torch_ints(c, 3, axes[1], MD_RANK_MAX);
    for (int i = 0; i < rank[0]; i++)
        text[0][i] = (char)('a' + i);
    for (int i = 0; i < rank[1]; i++)
        text[1][i] = (char)('n' + i);
    for (int i = 0; i < n; i++) {
        int a = md_torch_axis(c, axes[0][i], rank[0]);

        text[1][md_torch_axis(c, axes[1][i], rank[1])] = text[0][a];
    }
    for (int t = 0; t < 2; t++) {
        for (int i = 0; i < rank[t]; i++) {
            if (!strchr(text[1 - t], text[t][i]))
                text[2][k++] = text[t][i];
        }
    }
    snprintf(eq, sizeof(eq), "%s,%s->%s", text[0], text[1], text[2]);
    if (c->e->status == MD_OK)
        md_torch_ret(c, md_emit_op(c->e, "Einsum", in, 2,
                                   EMIT_ATTRS(EMIT_S("equation", eq))));
}

/* --- attention --- */

typedef struct attention {
    md_value_id q, k, v, mask; /* mask MD_VALUE_NONE: none */
    bool causal, grouped;
    double scale; /* 0: 1 / sqrt(width) */
} attention;

/* [.., heads, rows, width]: heads of keys stand for several of queries. */
static md_value_id repeat_heads(md_torch_call *c, md_value_id x, md_value_id q)
{
    int rank = md_torch_rank(c, x);
    int64_t have = md_torch_size(c, x, rank - 3);
    int64_t want = md_torch_size(c, q, rank - 3);
    md_tv args[3] = { md_tv_tensor(c->b, x), md_tv_int(0),
                      md_tv_int(rank - 3) };

    if (have == want)
        return x;
    if (have <= 0 || want <= 0 || want % have != 0) {
        md_emit_fail(c->e, MD_UNSUPPORTED, "%lld heads for %lld",
                     (long long)have, (long long)want);
        return x;
    }
    args[1] = md_tv_int(want / have);
    args[0] =
        md_torch_call_op(c->b, "repeat_interleave", args, 3, NULL, NULL, 0);
    return md_tv_id(c->b, &args[0]);
}

/* What is added to the products: 0 or -inf. */
static md_value_id additive(md_torch_call *c, md_value_id mask, md_dtype t)
{
    if (md_torch_dtype_of(c, mask) != MD_DTYPE_BOOL)
        return mask;
    return md_emit_op(c->e, "Where",
                      (md_value_id[]){ mask, md_emit_number(c->e, t, 0),
                                       md_emit_number(c->e, t, -INFINITY) },
                      3, NULL);
}

/* Row i sees columns up to i. */
static md_value_id causal_mask(md_torch_call *c, const attention *a, md_dtype t)
{
    md_emit *e = c->e;
    int rank = md_torch_rank(c, a->q);
    md_value_id shape = md_emit_op(
        e, "Concat",
        (md_value_id[]){ md_torch_dims(c, a->q, rank - 2, rank - 1),
                         md_torch_dims(c, a->k, rank - 2, rank - 1) },
        2, EMIT_ATTRS(EMIT_I("axis", 0)));
    md_value_id x =
        md_emit_op2(e, "Expand", md_emit_number(e, t, -INFINITY), shape);

    return md_emit_op2(e, "Trilu", x, md_emit_int(e, 1));
}

static md_value_id emit_attention(md_torch_call *c, attention *a)
{
    md_emit *e = c->e;
    md_dtype t = md_torch_dtype_of(c, a->q);
    int rank = md_torch_rank(c, a->q);
    int64_t width = md_torch_size(c, a->q, rank - 1);
    md_value_id s;

    if (rank < 2 || (a->scale == 0 && width <= 0)) {
        md_emit_fail(e, MD_UNSUPPORTED, "queries of rank %d and width %lld",
                     rank, (long long)width);
        return MD_VALUE_NONE;
    }
    if (a->grouped && rank > 2) {
        a->k = repeat_heads(c, a->k, a->q);
        a->v = repeat_heads(c, a->v, a->q);
    }
    s = md_emit_op2(e, "MatMul", a->q, swap_last(c, a->k));
    s = md_emit_op2(
        e, "Mul", s,
        md_emit_number(e, t,
                       a->scale != 0 ? a->scale : 1 / sqrt((double)width)));
    if (a->causal)
        s = md_emit_op2(e, "Add", s, causal_mask(c, a, t));
    if (a->mask != MD_VALUE_NONE)
        s = md_emit_op2(e, "Add", s, additive(c, a->mask, t));
    s = md_emit_op(e, "Softmax", &s, 1, EMIT_ATTRS(EMIT_I("axis", -1)));
    return md_emit_op2(e, "MatMul", s, a->v);
}

static attention begin_attention(md_torch_call *c, uint32_t scale)
{
    return (attention){ .q = md_torch_x(c, 0),
                        .k = md_torch_x(c, 1),
                        .v = md_torch_x(c, 2),
                        .mask = MD_VALUE_NONE,
                        .scale = md_torch_given(c, scale) ? md_torch_f(c, scale)
                                                          : 0 };
}

void md_torch_emit_attention(md_torch_call *c)
{
    attention a = begin_attention(c, 6);

    a.causal = md_torch_b(c, 5);
    a.grouped = md_torch_b(c, 7);
    if (md_torch_given(c, 3))
        a.mask = md_torch_x(c, 3);
    md_torch_ret(c, emit_attention(c, &a));
}

/* The logarithms of sums beside the result are for training. */
static void ret_attention(md_torch_call *c, attention *a)
{
    md_value_id y = emit_attention(c, a);

    md_torch_ret_n(c, (md_value_id[]){ y, y }, 2);
    if (c->out.kind == MD_TV_TUPLE && c->e->status == MD_OK)
        c->out.v.list->item[1] =
            (md_tv){ .kind = MD_TV_LOST, .v.s = "that is for training" };
}

void md_torch_emit_flash_attention(md_torch_call *c)
{
    attention a = begin_attention(c, 6);

    a.causal = md_torch_b(c, 4);
    if (!c->row->onnx[0] && md_torch_given(c, 5))
        a.mask = md_torch_x(c, 5);
    ret_attention(c, &a);
}

void md_torch_emit_efficient_attention(md_torch_call *c)
{
    attention a = begin_attention(c, 7);

    a.causal = md_torch_b(c, 6);
    if (md_torch_given(c, 3))
        a.mask = md_torch_x(c, 3);
    ret_attention(c, &a);
}

/* [batch, rows, heads * width] to [batch, heads, rows, width] */
static md_value_id to_heads(md_torch_call *c, md_value_id x, int64_t heads,
                            int64_t width)
{
    x = md_emit_reshape(c->e, x, (int64_t[]){ 0, 0, heads, width }, 4);
    return md_emit_transpose(c->e, x, (int64_t[]){ 0, 2, 1, 3 }, 4);
}

static md_value_id project(md_torch_call *c, md_value_id x, md_value_id w,
                           md_value_id b)
{
    return md_emit_op2(c->e, "Add",
                       md_emit_op2(c->e, "MatMul", x, swap_last(c, w)), b);
}

/* One projection for queries, keys and values; attention; another one. */
void md_torch_emit_native_mha(md_torch_call *c)
{
    md_emit *e = c->e;
    int64_t width = md_torch_i(c, 3), heads = md_torch_i(c, 4);
    md_value_id w[3], b[3], y[3];
    attention a = { .mask = MD_VALUE_NONE };

    if (heads < 1 || width % heads != 0 || md_torch_b(c, 10)) {
        md_emit_fail(e, MD_UNSUPPORTED, "%lld heads of %lld%s",
                     (long long)heads, (long long)width,
                     md_torch_b(c, 10) ? ", weights wanted" : "");
        return;
    }
    md_emit_op_n(e, w, 3, "Split", (md_value_id[]){ md_torch_x(c, 5) }, 1,
                 EMIT_ATTRS(EMIT_I("axis", 0), EMIT_I("num_outputs", 3)));
    md_emit_op_n(e, b, 3, "Split", (md_value_id[]){ md_torch_x(c, 6) }, 1,
                 EMIT_ATTRS(EMIT_I("axis", 0), EMIT_I("num_outputs", 3)));
    for (uint32_t i = 0; i < 3; i++)
        y[i] = to_heads(c, project(c, md_torch_x(c, i), w[i], b[i]), heads,
                        width / heads);
    a.q = y[0];
    a.k = y[1];
    a.v = y[2];
    if (md_torch_given(c, 9)) {
        /* True leaves out here; of keys [batch, rows] or of pairs. */
        md_value_id m = md_torch_x(c, 9);

        m = md_emit_op1(e, "Not", md_emit_cast(e, m, MD_DTYPE_BOOL));
        if (md_torch_given(c, 12) && md_torch_i(c, 12) == 1)
            m = md_emit_op2(e, "Unsqueeze", m, MD_TORCH_INTS(c, 1, 2));
        a.mask = m;
    }
    y[0] = md_emit_transpose(e, emit_attention(c, &a),
                             (int64_t[]){ 0, 2, 1, 3 }, 4);
    y[0] = md_emit_reshape(e, y[0], (int64_t[]){ 0, 0, width }, 3);
    y[0] = project(c, y[0], md_torch_x(c, 7), md_torch_x(c, 8));
    md_torch_ret_n(c, (md_value_id[]){ y[0], y[0] }, 2);
    if (c->out.kind == MD_TV_TUPLE && e->status == MD_OK)
        c->out.v.list->item[1] = md_tv_none();
}

static md_value_id rolled_pair(md_torch_call *c, uint32_t i, int axis,
                               int64_t a, int64_t b, int64_t d)
{
    return md_emit_op(
        c->e, "Gather",
        (md_value_id[]){ md_torch_x(c, i), MD_TORCH_INTS(c, a, b, d) }, 2,
        EMIT_ATTRS(EMIT_I("axis", axis)));
}

void md_torch_emit_cross(md_torch_call *c)
{
    int rank = md_torch_rank(c, md_torch_x(c, 0));
    int axis =
        md_torch_axis(c, md_torch_given(c, 2) ? md_torch_i(c, 2) : -1, rank);

    md_torch_ret(
        c,
        md_emit_op2(c->e, "Sub",
                    md_emit_op2(c->e, "Mul", rolled_pair(c, 0, axis, 1, 2, 0),
                                rolled_pair(c, 1, axis, 2, 0, 1)),
                    md_emit_op2(c->e, "Mul", rolled_pair(c, 0, axis, 2, 0, 1),
                                rolled_pair(c, 1, axis, 1, 2, 0))));
}
