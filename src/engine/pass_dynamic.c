/*
 * Products of codes that are quantized while a model runs, as onnxruntime's
 * quantize_dynamic writes them:
 *
 *   q, xs, xz = DynamicQuantizeLinear(x)
 *   float(MatMulInteger(q, w, xz, wz)) * (xs * ws)
 *
 * becomes MatMulIntegerToFloat(q, w, xs, ws, xz, wz), and where nobody else
 * reads q, xs and xz DynamicQuantizeMatMul(x, w, ws, wz); both are of
 * com.microsoft and round where the spelled form does.  ConvInteger becomes
 * modeld's ConvIntegerToFloat.  Several DynamicQuantizeMatMul of one x, which
 * onnxruntime's optimizer leaves, share a DynamicQuantizeLinear.
 */
#include <string.h>

#include "engine/pass.h"

static bool is_op(const md_node *n, const char *domain, const char *op)
{
    return n && !n->dead && strcmp(n->domain, domain) == 0 &&
           strcmp(n->op, op) == 0;
}

/* Number of elements of a constant, or of what has one for certain; 0: not
 * known. */
static int64_t count_of(const md_graph *g, md_value_id id)
{
    const md_value *v = md_graph_value(g, id);

    if (!v)
        return 0;
    if (v->cdata)
        return md_tensor_n(v->cdata);
    if (!v->type.has_rank || v->type.rank > 1)
        return 0;
    return v->type.rank == 0 || md_dim_equal(v->type.dim[0], MD_DIM(1));
}

static bool is_f32(const md_graph *g, md_value_id id)
{
    const md_value *v = md_graph_value(g, id);

    return v && v->type.dtype == MD_DTYPE_F32;
}

/* Input i of n, where there is one. */
static md_value_id input(const md_node *n, uint32_t i)
{
    return i < n->n_in ? n->in[i] : MD_VALUE_NONE;
}

/* The integer product whose sums, as floats that only one node reads, are
 * value id. */
static const md_node *product_of(const md_graph *g, const uint32_t *uses,
                                 md_value_id id)
{
    const md_node *cast = md_pass__def(g, id, "Cast");
    const md_node *n;

    if (!cast || uses[id] != 1 || g->values[id].is_output || !is_f32(g, id) ||
        uses[cast->in[0]] != 1)
        return NULL;
    n = md_pass__def(g, cast->in[0], "MatMulInteger");
    return n ? n : md_pass__def(g, cast->in[0], "ConvInteger");
}

/* Columns or channels that product n has; 0: not known. */
static int64_t n_columns(const md_graph *g, const md_node *n, bool conv)
{
    const md_type *w = &g->values[n->in[1]].type;
    md_dim d;

    if (!w->has_rank || w->rank < 2)
        return 0;
    d = w->dim[conv ? 0 : w->rank - 1];
    return md_dim_is_const(d) ? d.k : 0;
}

/*
 * Constant id holds one number for all or one for each column of product n,
 * where broadcasting brings it: as [n] behind a MatMul, [n,1,1] behind a Conv
 * of an image.
 */
static bool is_scale(const md_graph *g, const md_node *n, bool conv,
                     md_value_id id)
{
    const md_tensor *t = g->values[id].cdata;
    const int64_t columns = n_columns(g, n, conv);
    int at;

    if (!t || t->dtype != MD_DTYPE_F32)
        return false;
    if (md_tensor_n(t) == 1)
        return true;
    at = conv ? t->shape.rank - g->values[n->in[1]].type.rank + 1
              : t->shape.rank - 1;
    return columns > 0 && md_tensor_n(t) == columns && at >= 0 &&
           t->shape.dim[at] == columns;
}

/* What the sums of n are multiplied by: one number known while running, times
 * constants (MD_VALUE_NONE: none). */
typedef struct scales {
    md_value_id x, w;
    md_value_id by; /* their product, or x */
} scales;

static bool find_scales(scales *out, const md_graph *g, const md_node *n,
                        bool conv, md_value_id by)
{
    const md_node *mul = md_pass__def(g, by, "Mul");

    for (uint32_t i = 0; mul && i < 2; i++) {
        *out = (scales){ mul->in[1 - i], mul->in[i], by };
        if (!is_scale(g, n, conv, out->w) || !is_f32(g, out->x) ||
            count_of(g, out->x) != 1)
            continue;
        /* one of more dimensions than the sums would give the result theirs */
        if (g->values[by].type.rank <= g->values[n->out[0]].type.rank)
            return true;
    }
    *out = (scales){ by, MD_VALUE_NONE, by };
    return is_f32(g, by) && count_of(g, by) == 1 && !g->values[by].cdata;
}

/* As a vector, or a scalar 1 where there is none. */
static md_status flat_scale(md_value_id *out, md_graph *g, md_value_id id,
                            md_error *err)
{
    md_shape shape = { 0, { 0 } };
    md_tensor t;

    if (id != MD_VALUE_NONE && g->values[id].cdata->shape.rank <= 1) {
        *out = id;
        return MD_OK;
    }
    if (id != MD_VALUE_NONE) {
        MD_TRY(md_tensor_copy(&t, g->values[id].cdata, g->model->alloc, err));
        if (md_tensor_n(&t) == 1)
            t.shape.rank = 0;
        else
            t.shape = (md_shape){ 1, { md_tensor_n(&t) } };
    } else {
        MD_TRY(md_tensor_alloc(&t, MD_DTYPE_F32, &shape, g->model->alloc, err));
        *(float *)t.data = 1.0f;
    }
    return md_pass__add_const(out, g, t, err);
}

/* n becomes domain.op of these inputs. */
static md_status become(md_graph *g, md_node *n, const char *domain,
                        const char *op, const md_value_id *in, uint32_t n_in,
                        md_error *err)
{
    for (uint32_t i = 0; i < n_in; i++)
        MD_TRY(md_node_set_input(g, n, i, in[i], err));
    n->n_in = n_in;
    n->op = op;
    n->domain = domain;
    n->opset = 0;
    if (md_model_opset(g->model, domain) == 0)
        MD_TRY(md_model_set_opset(g->model, domain, 1, err));
    return md_pass__resolve(g, n, err);
}

/* The DynamicQuantizeLinear whose results, read by nobody else, are the code,
 * the scale and the zero point. */
static const md_node *own_quantizer(const md_graph *g, const uint32_t *uses,
                                    md_value_id q, md_value_id scale,
                                    md_value_id zero)
{
    const md_node *n = md_pass__def(g, q, "DynamicQuantizeLinear");
    const md_value_id want[] = { q, scale, zero };

    if (!n || n->n_out != MD_COUNT(want))
        return NULL;
    for (uint32_t i = 0; i < MD_COUNT(want); i++) {
        if (n->out[i] != want[i] || want[i] == MD_VALUE_NONE ||
            uses[want[i]] != 1)
            return NULL;
    }
    return n;
}

/* Mul n: does it scale a product? */
static md_status match(md_graph *g, const uint32_t *uses, md_node *mul,
                       md_error *err)
{
    const md_node *n = NULL, *quantizer;
    scales s = { MD_VALUE_NONE, MD_VALUE_NONE, MD_VALUE_NONE };
    md_value_id ws, xz, wz;
    bool conv = false;

    for (uint32_t i = 0; i < 2 && !n; i++) {
        n = product_of(g, uses, mul->in[i]);
        conv = n && strcmp(n->op, "ConvInteger") == 0;
        if (n && !find_scales(&s, g, n, conv, mul->in[1 - i]))
            n = NULL;
    }
    if (!n)
        return MD_OK;
    xz = input(n, 2);
    wz = input(n, 3);
    if (xz != MD_VALUE_NONE && count_of(g, xz) != 1)
        return MD_OK;
    MD_TRY(flat_scale(&ws, g, s.w, err));
    quantizer = conv || uses[s.by] != 1
                    ? NULL
                    : own_quantizer(g, uses, n->in[0], s.x, xz);
    mul->name = n->name;
    mul->attr = n->attr;
    mul->n_attr = n->n_attr;
    if (conv)
        return become(g, mul, "modeld", "ConvIntegerToFloat",
                      (md_value_id[]){ n->in[0], n->in[1], xz, wz, s.x, ws }, 6,
                      err);
    if (quantizer)
        return become(g, mul, "com.microsoft", "DynamicQuantizeMatMul",
                      (md_value_id[]){ quantizer->in[0], n->in[1], ws, wz }, 4,
                      err);
    return become(g, mul, "com.microsoft", "MatMulIntegerToFloat",
                  (md_value_id[]){ n->in[0], n->in[1], s.x, ws, xz, wz }, 6,
                  err);
}

/* --- one DynamicQuantizeLinear for each value -------------------------- */

/* By value id: how many products quantize it, and the node that does it for
 * all. */
typedef struct sharing {
    uint32_t *products;
    md_node **quantizer;
} sharing;

static bool quantizes(const md_node *n)
{
    return is_op(n, "com.microsoft", "DynamicQuantizeMatMul");
}

static md_status add_quantizer(sharing *s, md_graph *g, uint32_t at,
                               md_value_id x, md_error *err)
{
    md_value_id out[3];
    md_type one = { .dtype = MD_DTYPE_F32, .has_rank = true };
    md_node *n;

    for (int i = 0; i < 3; i++)
        MD_TRY(md_graph_add_value(&out[i], g, "", err));
    g->values[out[0]].type = g->values[x].type;
    g->values[out[0]].type.dtype = MD_DTYPE_U8;
    g->values[out[1]].type = one;
    one.dtype = MD_DTYPE_U8;
    g->values[out[2]].type = one;
    MD_TRY(md_graph_insert_node(&n, g, at,
                                &(md_node_spec){ .domain = "",
                                                 .op = "DynamicQuantizeLinear",
                                                 .name = "",
                                                 .in = &x,
                                                 .n_in = 1,
                                                 .out = out,
                                                 .n_out = 3 },
                                err));
    s->quantizer[x] = n;
    return md_pass__resolve(g, n, err);
}

static md_status share_quantizer(sharing *s, md_graph *g, uint32_t *at,
                                 md_error *err)
{
    md_node *n = g->nodes[*at];
    const md_value_id x = n->in[0];
    const md_node *q;

    if (!s->quantizer[x]) {
        MD_TRY(add_quantizer(s, g, *at, x, err));
        ++*at; /* n is behind it now */
    }
    q = s->quantizer[x];
    return become(g, n, "com.microsoft", "MatMulIntegerToFloat",
                  (md_value_id[]){ q->out[0], n->in[1], q->out[1], n->in[2],
                                   q->out[2], input(n, 3), input(n, 4) },
                  7, err);
}

/* A second DynamicQuantizeLinear of a value reads the results of the first. */
static void merge_quantizer(sharing *s, md_graph *g, md_node *n)
{
    md_node *first = s->quantizer[n->in[0]];

    if (!first) {
        s->quantizer[n->in[0]] = n;
        return;
    }
    for (uint32_t i = 0; i < n->n_out && i < first->n_out; i++) {
        if (n->out[i] == MD_VALUE_NONE || first->out[i] == MD_VALUE_NONE ||
            g->values[n->out[i]].is_output)
            return;
    }
    for (uint32_t i = 0; i < n->n_out; i++)
        md_graph_replace_uses(g, n->out[i], first->out[i]);
    n->dead = true;
}

static md_status share_quantizers(md_graph *g, md_arena *ar, md_error *err)
{
    const size_t n = g->n_values + 1u;
    sharing s = { md_arena_calloc(ar, n, sizeof(*s.products)),
                  md_arena_calloc(ar, n, sizeof(md_node *)) };

    if (!s.products || !s.quantizer)
        return md_fail_nomem(err, n * sizeof(md_node *));
    for (uint32_t i = 0; i < g->n_nodes; i++) {
        if (quantizes(g->nodes[i]))
            s.products[g->nodes[i]->in[0]]++;
    }
    for (uint32_t i = 0; i < g->n_nodes; i++) {
        md_node *nd = g->nodes[i];

        if (is_op(nd, "", "DynamicQuantizeLinear"))
            merge_quantizer(&s, g, nd);
        else if (quantizes(nd) &&
                 (s.products[nd->in[0]] > 1 || s.quantizer[nd->in[0]]))
            MD_TRY(share_quantizer(&s, g, &i, err));
    }
    return MD_OK;
}

static md_status run(md_graph *g, md_precision precision, md_error *err)
{
    md_status s = MD_OK;
    uint32_t *uses;
    md_arena ar;

    (void)precision;
    md_arena_init(&ar, g->model->alloc, 0);
    s = share_quantizers(g, &ar, err);
    md_arena_release(&ar);
    if (s != MD_OK)
        return s;
    MD_TRY(md_pass__drop_unused(g, err));
    MD_TRY(md_pass__uses(&uses, g, err));
    for (uint32_t i = 0; i < g->n_nodes && s == MD_OK; i++) {
        if (is_op(g->nodes[i], "", "Mul") && g->nodes[i]->n_in == 2)
            s = match(g, uses, g->nodes[i], err);
    }
    md_free(g->model->alloc, uses);
    return s;
}

const md_pass md_pass_dynamic = { "dynamic",
                                  "products quantized while running, to one "
                                  "node",
                                  run };
