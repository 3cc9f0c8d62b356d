/*
 * Quantized regions: DequantizeLinear -> op -> QuantizeLinear becomes the
 * integer operator that computes the same (ONNX QLinear*, com.microsoft).
 * Relu and Clip between op and Q are clamps of the integer result.  Data
 * movement with the same scale and zero point on both sides is done on the
 * integers as they are.
 */
#include <float.h>
#include <math.h>
#include <string.h>

#include "engine/pass.h"

typedef struct matcher {
    md_graph *g;
    md_pass_links at;
} matcher;

/* One quantized value: x = (q - zp) * scale. */
typedef struct quantized {
    md_value_id q, scale, zp; /* zp may be MD_VALUE_NONE */
} quantized;

static bool is_const(const md_graph *g, md_value_id id)
{
    const md_value *v = md_graph_value(g, id);

    return v && v->cdata;
}

static bool read_quant(quantized *out, const md_graph *g, const md_node *n)
{
    /* Scales of more dimensions stand for blocks. */
    if (!n || n->n_in < 2 || !is_const(g, n->in[1]) ||
        g->values[n->in[1]].cdata->shape.rank > 1)
        return false;
    out->q = n->in[0];
    out->scale = n->in[1];
    out->zp = n->n_in > 2 ? n->in[2] : MD_VALUE_NONE;
    return out->zp == MD_VALUE_NONE || is_const(g, out->zp);
}

/* Do integer operators take codes of this type? */
static bool is_code(md_dtype t)
{
    return t == MD_DTYPE_U8 || t == MD_DTYPE_I8;
}

/* id as DequantizeLinear of 8 bits by one scale. */
static bool activation_in(quantized *out, const md_graph *g, md_value_id id)
{
    const md_node *dq = md_pass__def(g, id, "DequantizeLinear");

    return read_quant(out, g, dq) && md_pass__is_scalar(g, out->scale) &&
           is_code(g->values[out->q].type.dtype);
}

/* id as DequantizeLinear of constant 8-bit weights; *axis counts from the
 * front. */
static bool weights_in(quantized *out, const md_graph *g, md_value_id id,
                       int64_t *axis)
{
    const md_node *dq = md_pass__def(g, id, "DequantizeLinear");

    if (!read_quant(out, g, dq) || !is_const(g, out->q) ||
        g->values[out->q].cdata->dtype != MD_DTYPE_I8)
        return false;
    *axis = md_node_attr_i(dq, "axis", 1);
    if (*axis < 0)
        *axis += g->values[out->q].cdata->shape.rank;
    return true;
}

/* The QuantizeLinear behind `from`, through at most one Relu or Clip whose
 * clamp goes to f.  NULL: there is none. */
static md_node *quantize_after(const matcher *m, md_value_id from, md_fused *f,
                               md_node **between)
{
    const md_graph *g = m->g;
    md_node *n = md_pass__only_user(g, &m->at, from);

    *between = NULL;
    if (n && !n->domain[0] &&
        (strcmp(n->op, "Relu") == 0 || strcmp(n->op, "Clip") == 0)) {
        f->act = MD_ACT_RELU;
        if (n->op[0] == 'C') {
            f->act = MD_ACT_CLIP;
            f->a = md_node_attr_f(n, "min", -FLT_MAX);
            f->b = md_node_attr_f(n, "max", FLT_MAX);
            if ((n->n_in > 1 && n->in[1] != MD_VALUE_NONE &&
                 !md_pass__scalar(g, n->in[1], &f->a)) ||
                (n->n_in > 2 && n->in[2] != MD_VALUE_NONE &&
                 !md_pass__scalar(g, n->in[2], &f->b)))
                return NULL;
        }
        *between = n;
        n = md_pass__only_user(g, &m->at, n->out[0]);
    }
    if (!n || n->domain[0] || strcmp(n->op, "QuantizeLinear") != 0 ||
        n->n_in < 3 || !md_pass__is_scalar(g, n->in[1]) ||
        !md_pass__is_scalar(g, n->in[2]) ||
        !is_code(g->values[n->in[2]].cdata->dtype))
        return NULL;
    return n;
}

/* A zero zero-point of type t where a file left it out. */
static md_status need_zp(md_graph *g, quantized *q, md_error *err)
{
    md_shape scalar = { 0, { 0 } };
    md_tensor t;

    if (q->zp != MD_VALUE_NONE)
        return MD_OK;
    MD_TRY(md_tensor_alloc(&t, g->values[q->q].type.dtype, &scalar,
                           g->model->alloc, err));
    return md_pass__add_const(&q->zp, g, t, err);
}

static float scale_at(const md_tensor *t, int64_t i)
{
    return ((const float *)t->data)[md_tensor_n(t) == 1 ? 0 : i];
}

/* Does DequantizeLinear dq give exactly codes * xs * ws[c], zero point 0? */
static bool bias_scale_fits(const md_graph *g, const md_node *dq, float xs,
                            const md_tensor *ws)
{
    const md_tensor *q = g->values[dq->in[0]].cdata;
    quantized b;

    if (!q || q->dtype != MD_DTYPE_I32 || !read_quant(&b, g, dq) ||
        g->values[b.scale].cdata->dtype != MD_DTYPE_F32)
        return false;
    for (int64_t i = 0; i < md_tensor_n(q); i++) {
        const md_tensor *bs = g->values[b.scale].cdata;
        double want = (double)xs * scale_at(ws, i);

        if (md_tensor_n(bs) != 1 && md_tensor_n(bs) != md_tensor_n(q))
            return false;
        if (!(fabs(scale_at(bs, i) - want) <= 1e-5 * fabs(want)))
            return false;
    }
    for (int64_t i = 0;
         b.zp != MD_VALUE_NONE && i < md_tensor_n(g->values[b.zp].cdata); i++) {
        if (md_tensor_get_i64(g->values[b.zp].cdata, i) != 0)
            return false;
    }
    return true;
}

/* Is b one number for each of n columns or channels? */
static bool is_row(const md_tensor *b, int64_t n)
{
    return b && b->shape.rank >= 1 && md_tensor_n(b) == n &&
           b->shape.dim[b->shape.rank - 1] == n;
}

/*
 * The int32 bias for a float one: round(b / (xs * ws[c])).  A bias that is
 * DequantizeLinear of int32 at those scales is taken as it is.  *ok false:
 * the product, whose columns are along `axis` of w, stays in float.
 */
static md_status int_bias(md_value_id *out, md_graph *g, md_value_id bias,
                          const quantized *x, const quantized *w, int64_t axis,
                          bool *ok, md_error *err)
{
    const md_node *dq = md_pass__def(g, bias, "DequantizeLinear");
    const md_tensor *b =
        dq ? g->values[dq->in[0]].cdata : g->values[bias].cdata;
    const md_tensor *ws = g->values[w->scale].cdata;
    float xs = scale_at(g->values[x->scale].cdata, 0);
    md_tensor t;

    *ok = is_row(b, g->values[w->q].cdata->shape.dim[axis]) &&
          ws->dtype == MD_DTYPE_F32 &&
          g->values[x->scale].cdata->dtype == MD_DTYPE_F32 &&
          (md_tensor_n(ws) == 1 || md_tensor_n(ws) == md_tensor_n(b));
    if (*ok && dq) {
        *ok = bias_scale_fits(g, dq, xs, ws);
        *out = dq->in[0];
        return MD_OK;
    }
    *ok = *ok && b->dtype == MD_DTYPE_F32;
    if (!*ok)
        return MD_OK;
    MD_TRY(md_tensor_alloc(&t, MD_DTYPE_I32, &b->shape, g->model->alloc, err));
    for (int64_t i = 0; i < md_tensor_n(b); i++) {
        double v = (double)((const float *)b->data)[i] /
                   ((double)xs * scale_at(ws, i));

        *ok = *ok && isfinite(v);
        if (*ok)
            md_tensor_set_i64(
                &t, i, (int64_t)nearbyint(fmin(fmax(v, INT32_MIN), INT32_MAX)));
    }
    return md_pass__add_const(out, g, t, err);
}

/* Turn n into `to`, of which domain, operator and inputs count, writing what q
 * (QuantizeLinear) wrote. */
static md_status rewrite(const matcher *m, md_node *n, const md_node_spec *to,
                         md_node *between, md_node *q, const md_fused *f,
                         md_error *err)
{
    md_graph *g = m->g;
    uint32_t keep = 0;

    for (; keep < to->n_in; keep++)
        MD_TRY(md_node_set_input(g, n, keep, to->in[keep], err));
    n->n_in = to->n_in;
    n->op = to->op;
    if (strcmp(n->domain, to->domain) != 0)
        n->opset = 0;
    n->domain = to->domain;
    if (n->domain[0] && md_model_opset(g->model, n->domain) == 0)
        MD_TRY(md_model_set_opset(g->model, n->domain, 1, err));
    if (f->act != MD_ACT_NONE) {
        md_fused *copy = md_arena_alloc(&g->model->arena, sizeof(*copy));

        if (!copy)
            return md_fail_nomem(err, sizeof(*copy));
        *copy = *f;
        n->fused = copy;
    }
    if (q) {
        g->values[n->out[0]].def = NULL;
        n->out[0] = q->out[0];
        g->values[n->out[0]].def = n;
        q->dead = true;
        q->n_out = 0;
        if (between) {
            between->dead = true;
            between->n_out = 0;
        }
    }
    return md_pass__resolve(g, n, err);
}

static md_status match_conv(const matcher *m, md_node *n, md_error *err)
{
    md_graph *g = m->g;
    md_fused f = { .residual = MD_VALUE_NONE };
    quantized x, w;
    md_node *between, *q;
    int64_t axis;
    md_value_id in[9];
    bool ok = true;
    uint32_t n_in = 8;

    if (!activation_in(&x, g, n->in[0]) ||
        !weights_in(&w, g, n->in[1], &axis) ||
        (axis != 0 && !md_pass__is_scalar(g, w.scale)))
        return MD_OK;
    q = quantize_after(m, n->out[0], &f, &between);
    if (!q)
        return MD_OK;
    MD_TRY(need_zp(g, &x, err));
    MD_TRY(need_zp(g, &w, err));
    memcpy(in,
           (md_value_id[]){ x.q, x.scale, x.zp, w.q, w.scale, w.zp, q->in[1],
                            q->in[2] },
           8 * sizeof(*in));
    if (n->n_in > 2 && n->in[2] != MD_VALUE_NONE) {
        MD_TRY(int_bias(&in[8], g, n->in[2], &x, &w, 0, &ok, err));
        n_in = 9;
    }
    if (!ok)
        return MD_OK;
    return rewrite(
        m, n,
        &(md_node_spec){
            .domain = "", .op = "QLinearConv", .in = in, .n_in = n_in },
        between, q, &f, err);
}

/* Gemm: also without a QuantizeLinear behind it (float result). */
static md_status match_gemm(const matcher *m, md_node *n, md_error *err)
{
    md_graph *g = m->g;
    md_fused f = { .residual = MD_VALUE_NONE };
    quantized x, w;
    md_node *between = NULL, *q;
    int64_t axis;
    md_value_id in[9];
    bool ok = true;
    int64_t columns = md_node_attr_i(n, "transB", 0) ? 0 : 1;

    if (!activation_in(&x, g, n->in[0]) ||
        !weights_in(&w, g, n->in[1], &axis) ||
        (axis != columns && !md_pass__is_scalar(g, w.scale)) ||
        md_node_attr_i(n, "transA", 0) ||
        md_node_attr_f(n, "alpha", 1.0f) != 1.0f ||
        md_node_attr_f(n, "beta", 1.0f) != 1.0f)
        return MD_OK;
    q = quantize_after(m, n->out[0], &f, &between);
    MD_TRY(need_zp(g, &x, err));
    MD_TRY(need_zp(g, &w, err));
    in[6] = MD_VALUE_NONE;
    if (n->n_in > 2 && n->in[2] != MD_VALUE_NONE)
        MD_TRY(int_bias(&in[6], g, n->in[2], &x, &w, columns, &ok, err));
    if (!ok)
        return MD_OK;
    memcpy(in, (md_value_id[]){ x.q, x.scale, x.zp, w.q, w.scale, w.zp },
           6 * sizeof(*in));
    if (!q)
        return rewrite(
            m, n,
            &(md_node_spec){
                .domain = "com.microsoft", .op = "QGemm", .in = in, .n_in = 7 },
            NULL, NULL, &(md_fused){ .residual = MD_VALUE_NONE }, err);
    in[7] = q->in[1];
    in[8] = q->in[2];
    return rewrite(
        m, n,
        &(md_node_spec){
            .domain = "com.microsoft", .op = "QGemm", .in = in, .n_in = 9 },
        between, q, &f, err);
}

static md_status match_matmul(const matcher *m, md_node *n, md_error *err)
{
    md_graph *g = m->g;
    md_fused f = { .residual = MD_VALUE_NONE };
    quantized x, w;
    md_node *between, *q;
    int64_t axis;

    if (!activation_in(&x, g, n->in[0]) ||
        !weights_in(&w, g, n->in[1], &axis) ||
        !(md_pass__is_scalar(g, w.scale) ||
          (axis == 1 && g->values[w.q].cdata->shape.rank == 2)))
        return MD_OK;
    q = quantize_after(m, n->out[0], &f, &between);
    if (!q)
        return MD_OK;
    MD_TRY(need_zp(g, &x, err));
    MD_TRY(need_zp(g, &w, err));
    return rewrite(m, n,
                   &(md_node_spec){ .domain = "",
                                    .op = "QLinearMatMul",
                                    .in = (md_value_id[]){ x.q, x.scale, x.zp,
                                                           w.q, w.scale, w.zp,
                                                           q->in[1], q->in[2] },
                                    .n_in = 8 },
                   between, q, &f, err);
}

static md_status match_add(const matcher *m, md_node *n, md_error *err)
{
    md_graph *g = m->g;
    md_fused f = { .residual = MD_VALUE_NONE };
    quantized a, b;
    md_node *between, *q;

    if (!activation_in(&a, g, n->in[0]) || !activation_in(&b, g, n->in[1]) ||
        g->values[a.q].type.dtype != g->values[b.q].type.dtype)
        return MD_OK;
    q = quantize_after(m, n->out[0], &f, &between);
    if (!q || g->values[q->in[2]].cdata->dtype != g->values[a.q].type.dtype)
        return MD_OK;
    MD_TRY(need_zp(g, &a, err));
    MD_TRY(need_zp(g, &b, err));
    return rewrite(m, n,
                   &(md_node_spec){ .domain = "com.microsoft",
                                    .op = "QLinearAdd",
                                    .in = (md_value_id[]){ a.q, a.scale, a.zp,
                                                           b.q, b.scale, b.zp,
                                                           q->in[1], q->in[2] },
                                    .n_in = 8 },
                   between, q, &f, err);
}

static md_status match_gap(const matcher *m, md_node *n, md_error *err)
{
    md_graph *g = m->g;
    md_fused f = { .residual = MD_VALUE_NONE };
    quantized x;
    md_node *between, *q;

    if (!activation_in(&x, g, n->in[0]))
        return MD_OK;
    q = quantize_after(m, n->out[0], &f, &between);
    if (!q || between ||
        g->values[q->in[2]].cdata->dtype != g->values[x.q].type.dtype)
        return MD_OK;
    MD_TRY(need_zp(g, &x, err));
    return rewrite(m, n,
                   &(md_node_spec){ .domain = "com.microsoft",
                                    .op = "QLinearGlobalAveragePool",
                                    .in = (md_value_id[]){ x.q, x.scale, x.zp,
                                                           q->in[1], q->in[2] },
                                    .n_in = 5 },
                   NULL, q, &f, err);
}

/* Data movement: read and write the integers themselves. */
static md_status match_move(const matcher *m, md_node *n, md_error *err)
{
    md_graph *g = m->g;
    md_fused f = { .residual = MD_VALUE_NONE };
    quantized x;
    md_node *between, *q;
    md_value_id in[4];

    if (n->n_in > MD_COUNT(in) || n->n_out != 1 ||
        !activation_in(&x, g, n->in[0]) || x.zp == MD_VALUE_NONE)
        return MD_OK;
    q = quantize_after(m, n->out[0], &f, &between);
    if (!q || between || !md_pass__same_const(g, q->in[1], x.scale) ||
        !md_pass__same_const(g, q->in[2], x.zp))
        return MD_OK;
    memcpy(in, n->in, n->n_in * sizeof(*in));
    in[0] = x.q;
    return rewrite(
        m, n,
        &(md_node_spec){ .domain = "", .op = n->op, .in = in, .n_in = n->n_in },
        NULL, q, &f, err);
}

/* Relu alone between DQ and Q of the same parameters: a clamp at zero is a
 * Max with the zero point; when that is the lowest code nothing is left. */
static md_status match_requantize(const matcher *m, md_node *q, md_error *err)
{
    md_graph *g = m->g;
    const md_node *dq = md_pass__def(g, q->in[0], "DequantizeLinear");
    quantized x;

    (void)err;
    if (!dq || q->n_in < 3 || !read_quant(&x, g, dq) || x.zp == MD_VALUE_NONE ||
        !md_pass__same_const(g, q->in[1], x.scale) ||
        !md_pass__same_const(g, q->in[2], x.zp) ||
        g->values[q->out[0]].is_output)
        return MD_OK;
    md_graph_replace_uses(g, q->out[0], x.q);
    q->dead = true;
    return MD_OK;
}

static const struct {
    const char *op;
    md_status (*match)(const matcher *m, md_node *n, md_error *err);
} rules[] = {
    { "Conv", match_conv },
    { "Gemm", match_gemm },
    { "MatMul", match_matmul },
    { "Add", match_add },
    { "GlobalAveragePool", match_gap },
    { "MaxPool", match_move },
    { "Flatten", match_move },
    { "Reshape", match_move },
    { "Transpose", match_move },
    { "Squeeze", match_move },
    { "Unsqueeze", match_move },
    { "QuantizeLinear", match_requantize },
};

static md_status match_all(matcher *m, md_error *err)
{
    for (uint32_t i = 0; i < m->g->n_nodes; i++) {
        md_node *n = m->g->nodes[i];

        for (size_t k = 0; k < MD_COUNT(rules); k++) {
            if (n->dead || n->domain[0] || strcmp(n->op, rules[k].op) != 0)
                continue;
            MD_TRY(rules[k].match(m, n, err));
            break;
        }
    }
    return MD_OK;
}

static md_status run(md_graph *g, md_precision precision, md_error *err)
{
    matcher m = { .g = g };
    md_status s = md_pass_links_init(&m.at, g, err);

    (void)precision;
    if (s == MD_OK)
        s = match_all(&m, err);
    md_pass_links_release(&m.at, g);
    return s;
}

const md_pass md_pass_qdq = { "qdq",
                              "DequantizeLinear, op, QuantizeLinear to "
                              "an integer operator",
                              run };
