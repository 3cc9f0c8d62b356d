/*
 * From a verified graph to nodes that are resolved, typed, folded and fused.
 */
#include <stdio.h>
#include <string.h>

#include "base/size.h"
#include "engine/body.h"
#include "engine/exec.h"
#include "engine/gradient.h"
#include "engine/pass.h"
#include "engine/program.h"

enum {
    NODE_ARITY_MAX = 1 << 16,  /* inputs or outputs of one node */
    FOLD_SIZE_MAX = 256 << 20, /* bytes of one folded constant */
};

static md_status check_arity(const md_graph *g, const md_node *n,
                             const md_op *op, md_error *err)
{
    int n_in = (int)n->n_in;
    int n_out = (int)n->n_out;
    int missing;

    if (n->n_in > NODE_ARITY_MAX || n_in < op->in_min ||
        (op->in_max >= 0 && n_in > op->in_max))
        return md_fail(err, MD_CORRUPT,
                       "node '%s' (%s): %u inputs given, %d to %d expected",
                       md_graph_label(g, n), n->op, n->n_in, op->in_min,
                       op->in_max);
    if (n->n_out > NODE_ARITY_MAX || n_out < op->out_min ||
        (op->out_max >= 0 && n_out > op->out_max))
        return md_fail(err, MD_CORRUPT,
                       "node '%s' (%s): %u outputs given, %d to %d expected",
                       md_graph_label(g, n), n->op, n->n_out, op->out_min,
                       op->out_max);
    missing = md_op_missing(op, n);
    if (missing >= 0)
        return md_fail(err, MD_CORRUPT, "node '%s' (%s): input %d is missing",
                       md_graph_label(g, n), n->op, missing);
    return MD_OK;
}

static md_status check_node(const md_graph *g, const md_node *n,
                            const md_op *op, int64_t opset, md_error *err)
{
    md_status s;

    MD_TRY(check_arity(g, n, op, err));
    s = md_op_check_attrs(n, opset, err);
    if (s != MD_OK)
        return md_wrap(err, s, "node '%s' (%s): ", md_graph_label(g, n), n->op);
    return MD_OK;
}

/* Append "Op (domain, opset 9)" to the list of missing operators once. */
static void note_missing(char *list, size_t size, const md_node *n,
                         int64_t opset)
{
    char item[160];
    size_t used = strlen(list);

    snprintf(item, sizeof(item), "%s%s%s (opset %lld)", n->domain,
             n->domain[0] ? "." : "", n->op, (long long)opset);
    if (!strstr(list, item) && used + strlen(item) + 3 < size)
        snprintf(list + used, size - used, "%s%s", used ? ", " : "", item);
}

/* What no operator will ever be, with what to do instead. */
static md_status refuse_node(const md_graph *g, const md_node *n, md_error *err)
{
    static const char *const loops[] = { "BeamSearch", "GreedySearch",
                                         "Sampling", "WhisperBeamSearch" };

    if (strcmp(n->domain, "com.microsoft.nchwc") == 0)
        return md_fail(err, MD_UNSUPPORTED,
                       "node '%s': operator %s.%s is of a layout that "
                       "onnxruntime chose for one CPU, a model saved with "
                       "at most its extended optimizations expected",
                       md_graph_label(g, n), n->domain, n->op);
    for (size_t i = 0;
         i < MD_COUNT(loops) && strcmp(n->domain, "com.microsoft") == 0; i++) {
        if (strcmp(n->op, loops[i]) == 0)
            return md_fail(err, MD_UNSUPPORTED,
                           "node '%s': operator %s.%s is a loop of text "
                           "generation, a model of one step (its decoder "
                           "attribute) expected",
                           md_graph_label(g, n), n->domain, n->op);
    }
    return MD_OK;
}

/* Find each node's operator, in subgraphs too, and note what is missing. */
static md_status resolve_graph(md_graph *g, char *missing, size_t size,
                               md_error *err)
{
    for (uint32_t i = 0; i < g->n_nodes; i++) {
        md_node *n = g->nodes[i];
        int64_t opset = md_node_opset(g->model, n);
        const md_op *op = md_op_find(n->domain, n->op, opset);

        n->impl = op;
        if (!op)
            MD_TRY(refuse_node(g, n, err));
        if (!op)
            note_missing(missing, size, n, opset);
        else
            MD_TRY(check_node(g, n, op, opset, err));
        for (uint32_t k = 0; md_node_graph(n, k); k++)
            MD_TRY(resolve_graph(md_node_graph(n, k), missing, size, err));
    }
    return MD_OK;
}

/* All missing operators in one message. */
static md_status resolve(md_session *s, md_error *err)
{
    char missing[360] = "";

    MD_TRY(resolve_graph(s->graph, missing, sizeof(missing), err));
    if (missing[0])
        return md_fail(err, MD_UNSUPPORTED, "operators not supported: %s",
                       missing);
    return MD_OK;
}

/* What inference sees of one node, in arrays of its own. */
typedef struct view {
    md_infer c;
    const md_type **in;
    const md_tensor **cin;
    const md_dim **din;
    md_type *out;
    const md_dim **dout;
} view;

static md_status make_view(view *v, const md_node *n, const md_facts *k,
                           md_arena *ar, md_error *err)
{
    size_t n_in = n->n_in + 1u, n_out = n->n_out + 1u;

    v->in = md_arena_calloc(ar, n_in, sizeof(*v->in));
    v->cin = md_arena_calloc(ar, n_in, sizeof(*v->cin));
    v->din = md_arena_calloc(ar, n_in, sizeof(*v->din));
    v->out = md_arena_calloc(ar, n_out, sizeof(*v->out));
    v->dout = md_arena_calloc(ar, n_out, sizeof(*v->dout));
    if (!v->in || !v->cin || !v->din || !v->out || !v->dout)
        return md_fail_nomem(err, n_out * sizeof(*v->out));
    for (uint32_t i = 0; i < n->n_in; i++) {
        md_value_id id = n->in[i];

        if (id == MD_VALUE_NONE)
            continue;
        v->in[i] = &k->types[id];
        v->cin[i] = k->cdata[id];
        v->din[i] = k->data ? k->data[id] : NULL;
    }
    v->c.in = v->in;
    v->c.cin = v->cin;
    v->c.out = v->out;
    if (v->c.model) {
        v->c.din = v->din;
        v->c.dout = v->dout;
    }
    return MD_OK;
}

static md_status infer_view(view *v, const md_node *n, md_facts *k,
                            md_error *err)
{
    const md_op *op = n->impl;

    MD_TRY(op->infer(&v->c, err));
    if (v->c.model && op->data)
        MD_TRY(op->data(&v->c, err));
    for (uint32_t i = 0; i < n->n_out; i++) {
        if (n->out[i] == MD_VALUE_NONE)
            continue;
        k->types[n->out[i]] = v->out[i];
        if (v->c.model && k->data)
            k->data[n->out[i]] = v->dout[i];
    }
    return MD_OK;
}

/* The same of a node of g: what it derives is what it demands, but of a
 * subgraph, which may never run. */
static md_status infer_asking(view *v, const md_graph *g, const md_node *n,
                              md_facts *k, md_error *err)
{
    md_model *m = v->c.model;
    const md_node *outer;
    md_status s;

    if (!m)
        return infer_view(v, n, k, err);
    outer = m->asking;
    m->asking = g == m->graph ? n : NULL;
    s = infer_view(v, n, k, err);
    m->asking = outer;
    return s;
}

md_status md_session__infer_node(const md_graph *g, const md_node *n,
                                 md_model *model, md_facts *k, md_look *look,
                                 md_error *err)
{
    view v = { .c = { .node = n,
                      .model = model,
                      .opset = md_node_opset(g->model, n),
                      .body = md_body__infer,
                      .ctx = look } };
    md_arena ar;
    md_status s;

    md_arena_init(&ar, g->model->alloc, 0);
    s = make_view(&v, n, k, &ar, err);
    if (s == MD_OK) {
        s = infer_asking(&v, g, n, k, err);
        if (s != MD_OK)
            md_wrap(err, s, "node '%s' (%s): ", md_graph_label(g, n), n->op);
    }
    md_arena_release(&ar);
    return s;
}

/* Bytes that folding n would make; false when they are not known. */
static bool folded_size(const md_graph *g, const md_node *n, size_t *size)
{
    *size = 0;
    for (uint32_t i = 0; i < n->n_out; i++) {
        const md_value *v = md_graph_value(g, n->out[i]);
        md_shape shape;
        size_t bytes;

        if (!v)
            continue;
        if (!md_type_static(&v->type, &shape) ||
            md_tensor_bytes(&bytes, v->type.dtype, &shape, NULL) != MD_OK)
            return false;
        *size += bytes;
    }
    return true;
}

static bool foldable(const md_graph *g, const md_node *n, bool keep_dequantize)
{
    const md_op *op = n->impl;
    size_t size;

    if ((md_op_flags(op, g, n) & MD_OP_IMPURE) || md_pass__has_subgraph(n) ||
        n->n_in > 64 || n->n_out > 16)
        return false;
    for (uint32_t i = 0; i < n->n_out; i++) { /* constants are tensors */
        if (n->out[i] != MD_VALUE_NONE &&
            g->values[n->out[i]].type.kind != MD_KIND_TENSOR)
            return false;
    }
    if (keep_dequantize && strcmp(n->op, "DequantizeLinear") == 0)
        return false;
    /* A shape is known before the value it is the shape of. */
    if (strcmp(n->op, "Shape") == 0 || strcmp(n->op, "Size") == 0) {
        md_shape shape;

        return md_type_static(&g->values[n->in[0]].type, &shape);
    }
    for (uint32_t i = 0; i < n->n_in; i++) {
        if (n->in[i] != MD_VALUE_NONE && !g->values[n->in[i]].cdata)
            return false;
    }
    return !folded_size(g, n, &size) || size <= FOLD_SIZE_MAX;
}

/* Compute n now and make its outputs constants.  Their text is their own: the
 * constants that it came from are freed when nothing else reads them. */
static md_status fold(md_session *s, md_node *n, md_error *err)
{
    md_graph *g = s->graph;
    const md_tensor *in[64] = { NULL };
    md_tensor out[16] = { 0 };
    md_tensor hollow = MD_TENSOR_INIT;
    md_arena text;
    md_status st;

    MD_TRY(md_session__align_inputs(s, n, err));
    for (uint32_t i = 0; i < n->n_in; i++) {
        if (n->in[i] == MD_VALUE_NONE)
            continue;
        in[i] = g->values[n->in[i]].cdata;
        if (!in[i]) { /* Shape, Size: only the header is read */
            const md_type *t = &g->values[n->in[i]].type;

            hollow.dtype = t->dtype;
            (void)md_type_static(t, &hollow.shape);
            in[i] = &hollow;
        }
    }
    md_arena_init(&text, s->alloc, 0);
    st = md_exec_node(g, n, in, out,
                      &(md_exec_env){ .alloc = s->alloc,
                                      .text = &text,
                                      .pool = s->pool,
                                      .cpu = s->reference ? 0 : s->cpu },
                      err);
    for (uint32_t i = 0; i < n->n_out && st == MD_OK; i++)
        st = md_tensor_own_text(&out[i], err);
    md_arena_release(&text);
    for (uint32_t i = 0; i < n->n_out; i++) {
        if (st == MD_OK && n->out[i] != MD_VALUE_NONE) {
            st = md_graph_set_const(g, n->out[i], out[i], err);
            if (st == MD_OK) {
                g->values[n->out[i]].def = NULL;
                continue;
            }
        }
        md_tensor_release(&out[i]);
    }
    if (st == MD_OK)
        n->dead = true;
    return st;
}

/* Are the contents of id known, and do they depend on no size? */
static bool is_settled(const md_graph *g, md_value_id id)
{
    const md_value *v = &g->values[id];
    md_shape shape;

    if (!v->data || !md_type_static(&v->type, &shape))
        return false;
    for (int64_t i = 0; i < md_shape_n(&shape); i++) {
        if (!md_dim_is_const(v->data[i]))
            return false;
    }
    return true;
}

static md_status settle_value(md_session *s, md_value_id id, md_error *err)
{
    const md_value *v = &s->graph->values[id];
    md_tensor t = MD_TENSOR_INIT;
    md_shape shape;
    md_status st;

    (void)md_type_static(&v->type, &shape);
    MD_TRY(md_tensor_alloc(&t, v->type.dtype, &shape, s->alloc, err));
    for (int64_t i = 0; i < md_shape_n(&shape); i++) {
        if (md_dtype_is_float(t.dtype))
            md_tensor_set_f64(&t, i, (double)v->data[i].k);
        else
            md_tensor_set_i64(&t, i, v->data[i].k);
    }
    st = md_graph_set_const(s->graph, id, t, err);
    if (st != MD_OK)
        md_tensor_release(&t);
    else
        s->graph->values[id].def = NULL;
    return st;
}

/* Make n's outputs constants when the shapes known say what they are, though
 * not all inputs are: the channels in the shape of a picture of any size. */
static md_status settle(md_session *s, md_node *n, md_error *err)
{
    for (uint32_t i = 0; i < n->n_out; i++) {
        if (n->out[i] != MD_VALUE_NONE && !is_settled(s->graph, n->out[i]))
            return MD_OK;
    }
    for (uint32_t i = 0; i < n->n_out; i++) {
        if (n->out[i] != MD_VALUE_NONE)
            MD_TRY(settle_value(s, n->out[i], err));
    }
    n->dead = n->n_out > 0;
    return MD_OK;
}

static md_status load_tables(md_facts *t, md_arena *ar, const md_graph *g,
                             md_error *err)
{
    t->types = md_arena_calloc(ar, g->n_values + 1u, sizeof(*t->types));
    t->cdata = md_arena_calloc(ar, g->n_values + 1u, sizeof(*t->cdata));
    t->data = md_arena_calloc(ar, g->n_values + 1u, sizeof(*t->data));
    if (!t->types || !t->cdata || !t->data)
        return md_fail_nomem(err, g->n_values * sizeof(*t->types));
    for (uint32_t i = 0; i < g->n_values; i++) {
        t->types[i] = g->values[i].type;
        t->cdata[i] = g->values[i].cdata;
    }
    return MD_OK;
}

/* What the definitions take may be more than the standard allows. */
static md_status check_types(const md_graph *g, const md_node *n, md_error *err)
{
    int64_t opset = md_node_opset(g->model, n);
    md_status s = MD_OK;

    for (uint32_t i = 0; i < n->n_in - n->n_captures && s == MD_OK; i++) {
        const md_value *v = md_graph_value(g, n->in[i]);

        if (v && v->type.kind == MD_KIND_TENSOR)
            s = md_op_check_type(n, opset, i, v->type.dtype, err);
    }
    if (s != MD_OK)
        return md_wrap(err, s, "node '%s' (%s): ", md_graph_label(g, n), n->op);
    return MD_OK;
}

static md_status propagate_node(md_session *s, md_facts *t, md_node *n,
                                bool keep_dequantize, md_error *err)
{
    md_look look = { MD_LOOK_MAX, true };
    md_graph *g = s->graph;

    MD_TRY(check_types(g, n, err));
    MD_TRY(md_session__infer_node(g, n, g->model, t, &look, err));
    MD_TRY(md_body__compile(s, n, !keep_dequantize, err));
    for (uint32_t i = 0; i < n->n_out; i++) {
        if (n->out[i] == MD_VALUE_NONE)
            continue;
        g->values[n->out[i]].type = t->types[n->out[i]];
        g->values[n->out[i]].data = t->data[n->out[i]];
    }
    if (foldable(g, n, keep_dequantize))
        MD_TRY(fold(s, n, err));
    else
        MD_TRY(settle(s, n, err));
    if (!n->dead)
        return MD_OK;
    for (uint32_t i = 0; i < n->n_out; i++) {
        if (n->out[i] == MD_VALUE_NONE)
            continue;
        t->types[n->out[i]] = g->values[n->out[i]].type;
        t->cdata[n->out[i]] = g->values[n->out[i]].cdata;
    }
    return MD_OK;
}

md_status md_session__propagate(md_session *s, bool keep_dequantize,
                                md_error *err)
{
    md_graph *g = s->graph;
    md_arena ar;
    md_facts t;
    md_status st;

    md_arena_init(&ar, s->alloc, 0);
    st = load_tables(&t, &ar, g, err);
    for (uint32_t i = 0; i < g->n_nodes && st == MD_OK;) {
        bool inlined = false;

        if (!g->nodes[i]->dead)
            st = md_branch__inline(&inlined, g, i, err);
        if (inlined && st == MD_OK) { /* its nodes come next, from i on */
            st = load_tables(&t, &ar, g, err);
            continue;
        }
        if (!g->nodes[i]->dead && st == MD_OK)
            st = propagate_node(s, &t, g->nodes[i], keep_dequantize, err);
        i++;
    }
    md_arena_release(&ar);
    if (st == MD_OK)
        md_graph_compact(g);
    return st;
}

md_status md_session__compile(md_session *s, md_error *err)
{
    MD_TRY(md_model_inline(s->model, err));
    MD_TRY(resolve(s, err));
    MD_TRY(md_model_close(s->model, err));
    MD_TRY(md_body__make_sessions(s, s->graph, err));
    MD_TRY(md_gradient_expand(s->model, err));
    MD_TRY(md_session__align(s, err));
    MD_TRY(md_pass__drop_unused(s->graph, err));
    MD_TRY(md_session__propagate(s, true, err));
    if (!s->reference) {
        MD_TRY(md_passes_run(s->graph, s->precision, err));
        MD_TRY(md_pass__drop_unused(s->graph, err));
    }
    MD_TRY(md_session__propagate(s, false, err));
    return md_pass__drop_unused(s->graph, err);
}
