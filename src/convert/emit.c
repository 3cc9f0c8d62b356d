/* Nodes, constants and names of the ONNX model under construction. */
#include "convert/emit.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/size.h"
#include "ops/eval.h"

enum {
    FOLD_SIZE_MAX = 64 << 20, /* bytes of a constant computed from others */
    SHARED_SIZE_MAX = 64,     /* bytes of a constant that is looked for */
    CAPTURED_SIZE_MAX = 4096, /* bytes of a constant that bodies repeat */
    OUTPUTS_MAX = 16,         /* of a node that is computed here */
    INPUTS_MAX = 16,
    NEAR = 64 /* nodes among which one is looked for */
};

/* --- failures --- */

void md_emit_fail(md_emit *b, md_status s, const char *fmt, ...)
{
    char text[MD_ERROR_MSG_SIZE];
    va_list ap;

    if (b->status != MD_OK)
        return;
    va_start(ap, fmt);
    vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    b->status = md_fail(b->err, s, "%s: %s%s%s", b->source, b->op ? b->op : "",
                        b->op ? ": " : "", text);
}

bool md_emit_ok(md_emit *b, md_status s)
{
    if (b->status == MD_OK)
        b->status = s;
    return b->status == MD_OK;
}

void *md_emit_alloc(md_emit *b, size_t n, size_t size)
{
    void *p = md_arena_calloc(b->arena, n + 1, size);

    if (!p && b->status == MD_OK)
        b->status = md_fail_nomem(b->err, n * size);
    return p;
}

/* --- names --- */

/* A name that no value of the scope has, nor any that it can see. */
static bool is_free(const md_emit_scope *s, const char *name)
{
    for (; s; s = s->parent) {
        if (md_graph_find(s->g, name) != MD_VALUE_NONE)
            return false;
    }
    return true;
}

void md_emit_name(md_emit *b, md_value_id id, const char *name)
{
    const char *tried = name[0] ? name : "value";

    if (b->status != MD_OK || md_graph_value(b->s->g, id)->name[0])
        return;
    /* No name of a body is one of the graphs around it. */
    if (b->s->parent)
        tried =
            md_arena_printf(b->arena, "%.200s/%.400s", b->s->g->name, tried);
    if (!tried) {
        b->status = md_fail_nomem(b->err, strlen(name));
        return;
    }
    name = tried;
    while (!is_free(b->s, tried)) {
        tried = md_arena_printf(b->arena, "%.400s_%u", name,
                                b->s->g->next_unique++);
        if (!tried) {
            b->status = md_fail_nomem(b->err, strlen(name));
            return;
        }
    }
    md_emit_ok(b, md_graph_name_value(b->s->g, id, tried, b->err));
}

static bool make_room(md_emit *b, md_value_id id)
{
    md_emit_scope *s = b->s;

    while (b->status == MD_OK && id >= s->cap_stems)
        md_emit_ok(b, md_arena_grow(b->arena, &s->stems, &s->cap_stems,
                                    s->cap_stems, sizeof(*s->stems), b->err));
    return b->status == MD_OK;
}

void md_emit_stem(md_emit *b, md_value_id id, const char *name)
{
    if (id != MD_VALUE_NONE && make_room(b, id) && !b->s->stems[id].is_own)
        b->s->stems[id] = (md_emit_stem_of){ name, true };
}

/* --- types --- */

const md_type *md_emit_type(const md_emit *b, md_value_id id)
{
    static const md_type unknown;

    if (b->status != MD_OK || id == MD_VALUE_NONE)
        return &unknown;
    return &md_graph_value(b->s->g, id)->type;
}

const md_tensor *md_emit_cdata(const md_emit *b, md_value_id id)
{
    if (b->status != MD_OK || id == MD_VALUE_NONE)
        return NULL;
    return md_graph_value(b->s->g, id)->cdata;
}

/* The output's contents are known, and depend on no size. */
static bool is_settled(const md_value *v, const md_dim *data)
{
    md_shape shape;

    if (!data || !md_type_static(&v->type, &shape))
        return false;
    for (int64_t i = 0; i < md_shape_n(&shape); i++) {
        if (!md_dim_is_const(data[i]))
            return false;
    }
    return true;
}

static md_status settle(md_graph *g, md_value_id id, const md_dim *data,
                        md_error *err)
{
    md_tensor t = MD_TENSOR_INIT;
    md_shape shape;
    md_status s;

    (void)md_type_static(&g->values[id].type, &shape);
    MD_TRY(md_tensor_alloc(&t, g->values[id].type.dtype, &shape,
                           g->model->alloc, err));
    for (int64_t i = 0; i < md_shape_n(&shape); i++)
        md_tensor_set_i64(&t, i, data[i].k);
    s = md_graph_set_const(g, id, t, err);
    if (s != MD_OK)
        md_tensor_release(&t);
    return s;
}

/* What inference sees of a node. */
typedef struct view {
    const md_type **in;
    const md_tensor **cin;
    const md_dim **din, **dout;
    md_type *out;
} view;

static bool make_view(view *v, md_emit *b, const md_node *n)
{
    v->in = md_emit_alloc(b, n->n_in, sizeof(*v->in));
    v->cin = md_emit_alloc(b, n->n_in, sizeof(*v->cin));
    v->din = md_emit_alloc(b, n->n_in, sizeof(*v->din));
    v->out = md_emit_alloc(b, n->n_out, sizeof(*v->out));
    v->dout = md_emit_alloc(b, n->n_out, sizeof(*v->dout));
    for (uint32_t i = 0; b->status == MD_OK && i < n->n_in; i++) {
        const md_value *value = md_graph_value(b->s->g, n->in[i]);

        if (!value)
            continue;
        v->in[i] = &value->type;
        v->cin[i] = value->cdata;
        v->din[i] = value->data;
    }
    return b->status == MD_OK;
}

static void infer(md_emit *b, md_node *n)
{
    const md_op *op = md_op_find(n->domain, n->op, md_node_opset(b->model, n));
    md_graph *g = b->s->g;
    bool settled = n->n_out > 0;
    view v;

    if (!op || !make_view(&v, b, n)) {
        if (!op)
            md_emit_fail(b, MD_INTERNAL, "no operator %s", n->op);
        return;
    }
    md_infer c = { .node = n,
                   .model = b->model,
                   .opset = md_node_opset(b->model, n),
                   .in = v.in,
                   .cin = v.cin,
                   .out = v.out,
                   .din = v.din,
                   .dout = v.dout };
    if (!md_emit_ok(b, md_op_infer(op, &c, b->err)) ||
        (op->data && !md_emit_ok(b, op->data(&c, b->err)))) {
        md_wrap(b->err, b->status, "%s: %s (%s): ", b->source,
                b->op ? b->op : "end", n->op);
        return;
    }
    for (uint32_t i = 0; i < n->n_out; i++) {
        md_value *value = md_graph_value(g, n->out[i]);

        value->type = v.out[i];
        value->data = v.dout[i];
        settled = settled && is_settled(value, v.dout[i]);
    }
    for (uint32_t i = 0; settled && i < n->n_out; i++) {
        if (!md_emit_ok(b, settle(g, n->out[i], v.dout[i], b->err)))
            return;
        md_graph_value(g, n->out[i])->def = NULL;
        n->dead = true;
    }
}

static bool is_foldable(const md_emit *b, const md_node *n)
{
    const md_op *op = md_op_find(n->domain, n->op, md_node_opset(b->model, n));
    size_t total = 0;

    if (n->dead || n->n_in > INPUTS_MAX || n->n_out > OUTPUTS_MAX ||
        md_node_graph(n, 0) || strcmp(n->op, "QuantizeLinear") == 0 ||
        strcmp(n->op, "DequantizeLinear") == 0 ||
        (md_op_flags(op, b->s->g, n) & MD_OP_IMPURE))
        return false;
    for (uint32_t i = 0; i < n->n_in; i++) {
        if (n->in[i] != MD_VALUE_NONE && !b->s->g->values[n->in[i]].cdata)
            return false;
    }
    for (uint32_t i = 0; i < n->n_out; i++) {
        const md_type *t = &b->s->g->values[n->out[i]].type;
        md_shape shape;
        size_t size;

        if (!md_type_static(t, &shape) ||
            md_tensor_bytes(&size, t->dtype, &shape, NULL) != MD_OK ||
            size > FOLD_SIZE_MAX)
            return false;
        total += size;
    }
    return total <= FOLD_SIZE_MAX;
}

static md_status keep_folded(md_graph *g, md_value_id id, md_tensor *t,
                             md_error *err)
{
    md_status s = md_tensor_own_text(t, err);

    if (s == MD_OK)
        s = md_graph_set_const(g, id, *t, err);
    if (s != MD_OK) {
        md_tensor_release(t);
        return s;
    }
    md_graph_value(g, id)->def = NULL;
    return MD_OK;
}

static void fold(md_emit *b, md_node *n)
{
    const md_tensor *in[INPUTS_MAX] = { NULL };
    md_tensor out[OUTPUTS_MAX] = { 0 };
    md_graph *g = b->s->g;

    if (b->status != MD_OK || !is_foldable(b, n))
        return;
    for (uint32_t i = 0; i < n->n_in; i++) {
        if (n->in[i] != MD_VALUE_NONE)
            in[i] = g->values[n->in[i]].cdata;
    }
    if (!md_emit_ok(b, md_node_eval(out, n, md_node_opset(b->model, n), in,
                                    b->model->alloc, NULL, b->err)))
        return;
    for (uint32_t i = 0; i < n->n_out; i++) {
        if (b->status == MD_OK)
            md_emit_ok(b, keep_folded(g, n->out[i], &out[i], b->err));
        else
            md_tensor_release(&out[i]);
    }
    n->dead = true;
}

/* --- nodes --- */

static md_status set_attr(md_graph *g, md_node *n, const md_emit_attr *a,
                          md_error *err)
{
    md_attr given = { .name = a->name, .type = a->type };
    md_str *text;

    switch (a->type) {
    case MD_ATTR_INT:
        return md_node_set_attr_i(g, n, a->name, a->i, err);
    case MD_ATTR_FLOAT:
        return md_node_set_attr_f(g, n, a->name, a->f, err);
    case MD_ATTR_STRING:
        return md_node_set_attr_s(g, n, a->name, a->s, err);
    case MD_ATTR_INTS:
        return md_node_set_attr_is(g, n, a->name, a->is, a->n, err);
    case MD_ATTR_FLOATS:
        given.v.fs = a->fs;
        given.n = a->n;
        return md_node_add_attr(g, n, &given, err);
    case MD_ATTR_STRINGS:
        if (a->ss) {
            given.v.ss = a->ss;
            given.n = a->n;
            return md_node_add_attr(g, n, &given, err);
        }
        text = md_arena_alloc(&g->model->arena, sizeof(*text));
        if (!text)
            return md_fail_nomem(err, sizeof(*text));
        *text = (md_str){ a->s, strlen(a->s) };
        given.v.ss = text;
        given.n = 1;
        return md_node_add_attr(g, n, &given, err);
    case MD_ATTR_TENSOR:
        given.v.t = a->t;
        return md_node_add_attr(g, n, &given, err);
    default:
        given.v.g = a->g;
        return md_node_add_attr(g, n, &given, err);
    }
}

/* What a value is called when it has no name of its own: after what is being
 * made, and what it is. */
static void default_stem(md_emit *b, md_value_id id, const char *op)
{
    const char *of = b->stem ? b->stem : "";
    char *stem;

    if (!make_room(b, id))
        return;
    stem = md_arena_printf(b->arena, "%.400s%s%s", of, of[0] ? "/" : "", op);
    if (!stem)
        b->status = md_fail_nomem(b->err, strlen(of));
    b->s->stems[id] = (md_emit_stem_of){ stem, false };
}

/* A node of that domain, its types inferred, its outputs in out. */
static void add_node(md_emit *b, md_value_id *out, uint32_t n_out,
                     const md_node_spec *wanted, const md_emit_attr *attrs)
{
    md_node_spec spec = *wanted;
    md_node *n = NULL;

    for (uint32_t i = 0; i < n_out; i++)
        out[i] = MD_VALUE_NONE;
    for (uint32_t i = 0; b->status == MD_OK && i < n_out; i++)
        md_emit_ok(b, md_graph_add_value(&out[i], b->s->g, NULL, b->err));
    if (b->status != MD_OK)
        return;
    spec.out = out;
    spec.n_out = n_out;
    if (!md_emit_ok(b, md_graph_add_node(&n, b->s->g, &spec, b->err)))
        return;
    for (; attrs && attrs->name && b->status == MD_OK; attrs++)
        md_emit_ok(b, set_attr(b->s->g, n, attrs, b->err));
    for (uint32_t i = 0; i < n_out; i++)
        default_stem(b, out[i], spec.op);
    if (b->status == MD_OK && !md_node_graph(n, 0))
        infer(b, n);
    fold(b, n);
}

void md_emit_op_n(md_emit *b, md_value_id *out, uint32_t n_out, const char *op,
                  const md_value_id *in, uint32_t n_in,
                  const md_emit_attr *attrs)
{
    add_node(b, out, n_out,
             &(md_node_spec){ .domain = "", .op = op, .in = in, .n_in = n_in },
             attrs);
}

md_value_id md_emit_op_ml(md_emit *b, const char *op, const md_value_id *in,
                          uint32_t n_in, const md_emit_attr *attrs)
{
    enum {
        ML_OPSET = 4
    };
    md_node_spec spec = {
        .domain = "ai.onnx.ml", .op = op, .in = in, .n_in = n_in
    };
    md_value_id out = MD_VALUE_NONE;

    if (md_emit_ok(
            b, md_model_set_opset(b->model, "ai.onnx.ml", ML_OPSET, b->err)))
        add_node(b, &out, 1, &spec, attrs);
    return b->status == MD_OK ? out : MD_VALUE_NONE;
}

md_value_id md_emit_op(md_emit *b, const char *op, const md_value_id *in,
                       uint32_t n_in, const md_emit_attr *attrs)
{
    md_value_id out;

    md_emit_op_n(b, &out, 1, op, in, n_in, attrs);
    return b->status == MD_OK ? out : MD_VALUE_NONE;
}

md_value_id md_emit_op1(md_emit *b, const char *op, md_value_id x)
{
    return md_emit_op(b, op, &x, 1, NULL);
}

md_value_id md_emit_op2(md_emit *b, const char *op, md_value_id x,
                        md_value_id y)
{
    return md_emit_op(b, op, (md_value_id[]){ x, y }, 2, NULL);
}

/* --- constants --- */

/* FNV-1a; the result of a conversion must not depend on a key. */
static uint32_t slot_of(const md_tensor *t)
{
    const unsigned char *p = t->data;
    uint32_t h = 2166136261u ^ (uint32_t)t->dtype;

    for (size_t i = 0; i < md_tensor_size(t); i++)
        h = (h ^ p[i]) * 16777619u;
    return h % MD_EMIT_SHARED;
}

static bool is_equal(const md_tensor *a, const md_tensor *b)
{
    return a->dtype == b->dtype && md_shape_equal(&a->shape, &b->shape) &&
           memcmp(a->data, b->data, md_tensor_size(a)) == 0;
}

md_value_id md_emit_const(md_emit *b, md_tensor t)
{
    md_value_id id = MD_VALUE_NONE;
    md_value_id *slot = NULL;

    if (b->status == MD_OK && t.data && t.dtype != MD_DTYPE_STRING &&
        md_tensor_size(&t) <= SHARED_SIZE_MAX) {
        slot = &b->s->shared[slot_of(&t)];
        if (*slot != MD_VALUE_NONE &&
            is_equal(&t, md_graph_value(b->s->g, *slot)->cdata)) {
            md_tensor_release(&t);
            return *slot;
        }
    }
    if (b->status != MD_OK ||
        !md_emit_ok(b, md_graph_add_const(&id, b->s->g, NULL, t, b->err))) {
        md_tensor_release(&t);
        return MD_VALUE_NONE;
    }
    default_stem(b, id, "const");
    if (slot)
        *slot = id;
    return id;
}

static md_value_id numbers(md_emit *b, md_dtype dtype, const int64_t *v,
                           const double *f, const md_shape *shape)
{
    md_tensor t = MD_TENSOR_INIT;

    if (b->status != MD_OK ||
        !md_emit_ok(b,
                    md_tensor_alloc(&t, dtype, shape, b->model->alloc, b->err)))
        return MD_VALUE_NONE;
    for (int64_t i = 0; i < md_tensor_n(&t); i++) {
        if (v)
            md_tensor_set_i64(&t, i, v[i]);
        else
            md_tensor_set_f64(&t, i, f[i]);
    }
    return md_emit_const(b, t);
}

md_value_id md_emit_ints(md_emit *b, const int64_t *v, int64_t n)
{
    return numbers(b, MD_DTYPE_I64, v, NULL, &(md_shape){ 1, { n } });
}

md_value_id md_emit_int(md_emit *b, int64_t v)
{
    return numbers(b, MD_DTYPE_I64, &v, NULL, &(md_shape){ 0, { 0 } });
}

md_value_id md_emit_float(md_emit *b, double v)
{
    return md_emit_number(b, MD_DTYPE_F32, v);
}

md_value_id md_emit_number(md_emit *b, md_dtype dtype, double v)
{
    return numbers(b, dtype, NULL, &v, &(md_shape){ 0, { 0 } });
}

/* --- common nodes --- */

md_value_id md_emit_cast(md_emit *b, md_value_id x, md_dtype to)
{
    if (md_emit_type(b, x)->dtype == to)
        return x;
    return md_emit_op(b, "Cast", &x, 1, EMIT_ATTRS(EMIT_I("to", to)));
}

md_value_id md_emit_reshape(md_emit *b, md_value_id x, const int64_t *dim,
                            int rank)
{
    return md_emit_op2(b, "Reshape", x, md_emit_ints(b, dim, rank));
}

/* The order of the Transpose that made x, when it is one of these sizes. */
static const int64_t *turned_by(const md_emit *b, md_value_id x, int rank)
{
    const md_node *n = md_graph_value(b->s->g, x)->def;
    const int64_t *perm;
    uint32_t n_perm = 0;

    if (!n || strcmp(n->op, "Transpose") != 0)
        return NULL;
    perm = md_node_attr_is(n, "perm", &n_perm);
    return n_perm == (uint32_t)rank ? perm : NULL;
}

/* A Transpose of x by that order which is there already. */
static md_value_id find_turned(const md_emit *b, md_value_id x,
                               const int64_t *perm, int rank)
{
    const md_graph *g = b->s->g;
    const uint32_t first = g->n_nodes > NEAR ? g->n_nodes - NEAR : 0;

    for (uint32_t i = g->n_nodes; i-- > first;) {
        const md_node *n = g->nodes[i];
        const int64_t *p;

        if (n->dead || n->n_in != 1 || n->in[0] != x || n->n_out != 1)
            continue;
        p = turned_by(b, n->out[0], rank);
        if (p && memcmp(p, perm, (size_t)rank * sizeof(*p)) == 0)
            return n->out[0];
    }
    return MD_VALUE_NONE;
}

md_value_id md_emit_transpose(md_emit *b, md_value_id x, const int64_t *perm,
                              int rank)
{
    int64_t both[MD_RANK_MAX];
    const int64_t *before = NULL;
    md_value_id found;
    bool same = true;

    if (b->status != MD_OK || x == MD_VALUE_NONE)
        return MD_VALUE_NONE;
    before = b->plain ? NULL : turned_by(b, x, rank);
    for (int i = 0; i < rank; i++) {
        both[i] = before ? before[perm[i]] : perm[i];
        same = same && both[i] == i;
    }
    if (before)
        x = md_graph_value(b->s->g, x)->def->in[0];
    if (same)
        return x;
    perm = both;
    found = b->plain ? MD_VALUE_NONE : find_turned(b, x, perm, rank);
    if (found != MD_VALUE_NONE)
        return found;
    return md_emit_op(b, "Transpose", &x, 1,
                      EMIT_ATTRS(EMIT_IS("perm", perm, rank)));
}

md_value_id md_emit_squeeze(md_emit *b, md_value_id x, int64_t axis)
{
    return md_emit_op2(b, "Squeeze", x, md_emit_ints(b, &axis, 1));
}

md_value_id md_emit_unsqueeze(md_emit *b, md_value_id x, int64_t axis)
{
    return md_emit_op2(b, "Unsqueeze", x, md_emit_ints(b, &axis, 1));
}

/* A small constant is repeated, so that the body's sizes are known. */
static md_value_id repeat(md_emit *b, const md_tensor *t)
{
    md_tensor copy = MD_TENSOR_INIT;

    if (!md_emit_ok(b, md_tensor_copy(&copy, t, b->model->alloc, b->err)))
        return MD_VALUE_NONE;
    return md_emit_const(b, copy);
}

md_value_id md_emit_capture(md_emit *b, md_emit_scope *from, md_value_id id)
{
    md_value_id got = MD_VALUE_NONE;
    md_emit_scope *to = b->s;
    md_value *v;

    if (b->status != MD_OK || from == to)
        return id;
    v = md_graph_value(from->g, id);
    if (v->cdata && v->cdata->dtype != MD_DTYPE_STRING &&
        md_tensor_size(v->cdata) <= CAPTURED_SIZE_MAX)
        return repeat(b, v->cdata);
    b->s = from;
    if (make_room(b, id))
        md_emit_name(b, id, from->stems[id].name ? from->stems[id].name : "");
    b->s = to;
    if (!md_emit_ok(b, md_arena_grow(b->arena, &from->captured,
                                     &from->cap_captured, from->n_captured,
                                     sizeof(*from->captured), b->err)))
        return MD_VALUE_NONE;
    from->captured[from->n_captured++] = id;
    got = md_graph_find(to->g, v->name);
    if (got != MD_VALUE_NONE ||
        !md_emit_ok(b, md_graph_add_value(&got, to->g, v->name, b->err)))
        return got;
    md_graph_value(to->g, got)->type = v->type;
    md_graph_value(to->g, got)->data = v->data;
    return got;
}

/* --- graphs --- */

bool md_emit_scope_init(md_emit *b, md_emit_scope *s, md_graph *g)
{
    s->g = g;
    s->parent = b->s;
    s->shared = md_emit_alloc(b, MD_EMIT_SHARED, sizeof(*s->shared));
    if (!s->shared)
        return false;
    for (uint32_t i = 0; i < MD_EMIT_SHARED; i++)
        s->shared[i] = MD_VALUE_NONE;
    return b->status == MD_OK;
}

md_emit_scope *md_emit_scope_new(md_emit *b, md_graph *g)
{
    md_emit_scope *s = md_emit_alloc(b, 1, sizeof(*s));

    return s && md_emit_scope_init(b, s, g) ? s : NULL;
}

md_value_id md_emit_input(md_emit *b, const md_type *t, const char *name)
{
    md_value_id id = MD_VALUE_NONE;

    if (b->status != MD_OK ||
        !md_emit_ok(b, md_graph_add_value(&id, b->s->g, NULL, b->err)))
        return id;
    md_graph_value(b->s->g, id)->type = *t;
    md_emit_name(b, id, name);
    md_emit_ok(b, md_graph_add_input(b->s->g, id, b->err));
    return id;
}

void md_emit_join(md_emit *b, md_type *t, const md_type *other)
{
    if (!t->has_rank || !other->has_rank || t->rank != other->rank) {
        t->has_rank = false;
        t->rank = 0;
        return;
    }
    for (int i = 0; i < t->rank; i++) {
        if (md_dim_equal(t->dim[i], other->dim[i]))
            continue;
        t->dim[i] = (md_dim){ .scale = 1 };
        md_emit_ok(b, md_model_symbol(&t->dim[i].sym, b->model, NULL, b->err));
    }
}

void md_emit_add_output(md_emit *b, md_value_id id, const char *name)
{
    const md_value *v;

    if (b->status != MD_OK)
        return;
    v = md_graph_value(b->s->g, id);
    /* An output is the result of a node, once, and under its own name. */
    if (!v->def || v->is_output || (name && v->name[0]))
        id = md_emit_op1(b, "Identity", id);
    if (b->status != MD_OK)
        return;
    /* A tensor's output keeps its name: whoever else has it gets another. */
    md_emit_name(b, id, name ? name : "out");
    if (b->status == MD_OK)
        md_emit_ok(b, md_graph_add_output(b->s->g, id, b->err));
}

/* Mark what the outputs and bodies do not need; nodes lie in order. */
static void drop_unused(md_emit_scope *s, bool *used)
{
    md_graph *g = s->g;

    for (uint32_t i = 0; i < g->n_outputs; i++)
        used[g->outputs[i]] = true;
    for (uint32_t i = 0; i < s->n_captured; i++)
        used[s->captured[i]] = true;
    for (uint32_t i = g->n_nodes; i-- > 0;) {
        md_node *n = g->nodes[i];
        bool wanted = false;

        for (uint32_t k = 0; k < n->n_out; k++)
            wanted = wanted || (n->out[k] != MD_VALUE_NONE && used[n->out[k]]);
        n->dead = n->dead || !wanted;
        for (uint32_t k = 0; !n->dead && k < n->n_in; k++) {
            if (n->in[k] != MD_VALUE_NONE)
                used[n->in[k]] = true;
        }
    }
    for (uint32_t i = 0; i < g->n_values; i++) {
        if (used[i] || !g->values[i].cdata)
            continue;
        md_graph_forget_const(g, i);
        g->values[i].cdata = NULL;
    }
    md_graph_compact(g);
}

void md_emit_finish(md_emit *b)
{
    md_emit_scope *s = b->s;
    md_graph *g = s->g;
    bool *used = md_emit_alloc(b, g->n_values, sizeof(*used));

    if (!used || b->status != MD_OK)
        return;
    drop_unused(s, used);
    for (uint32_t i = 0; i < g->n_nodes; i++) {
        md_node *n = g->nodes[i];

        for (uint32_t k = 0; k < n->n_out; k++)
            used[n->out[k]] = true; /* all have names */
    }
    for (int own = 1; own >= 0; own--) {
        for (uint32_t i = 0; i < g->n_values && i < s->cap_stems; i++) {
            if (used[i] && !g->values[i].name[0] && s->stems[i].name &&
                s->stems[i].is_own == own)
                md_emit_name(b, i, s->stems[i].name);
        }
    }
    for (uint32_t i = 0; b->status == MD_OK && i < g->n_nodes; i++)
        g->nodes[i]->name = g->values[g->nodes[i]->out[0]].name;
}
