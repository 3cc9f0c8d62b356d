/*
 * Loops, branches and the lists that loops fill.
 *
 * A list is a tensor with one axis more.  One that a loop fills from its
 * beginning, an element each time, is what ONNX's Loop collects; one with a
 * single place, which the loop writes again and again, is the last element of
 * such.  Lists that are filled in another way are refused.
 */
#include <string.h>

#include "convert/tf/lower.h"

enum {
    ADD = 0,
    STRIDED_SLICE = 45,
    CAST = 53,
    IF = 118,
    WHILE = 119
};

/* --- lists --- */

md_status md_tf_list_reserve(md_tf_ref *out, uint32_t n_out, md_tf_lower *w,
                             const md_tf_frame *f, const md_tf_node *node)
{
    md_tf_ref n;

    (void)n_out;
    MD_TRY(md_tf_input(&n, w, f, node, 1));
    if (n.kind != MD_TF_REF_TENSOR)
        return MD_OK;
    out->kind = MD_TF_REF_LIST;
    out->tensor = n.tensor;
    return MD_OK;
}

md_status md_tf_list_empty(md_tf_ref *out, uint32_t n_out, md_tf_lower *w,
                           const md_tf_frame *f, const md_tf_node *node)
{
    static const int64_t unknown = -1;

    (void)n_out;
    (void)f;
    out->kind = MD_TF_REF_LIST;
    return md_tf_add_ints(&out->tensor, w, node->name, &unknown, 1);
}

/* The only element of a constant of integers. */
static bool read_int(int64_t *out, const md_tf_lower *w, int32_t tensor)
{
    const md_tflite_tensor *t = &w->made->tensors[tensor];
    int32_t narrow;

    if (!t->data)
        return false;
    if (t->dtype == MD_DTYPE_I32 && t->size == 4) {
        memcpy(&narrow, t->data, 4);
        *out = narrow;
        return true;
    }
    if (t->dtype == MD_DTYPE_I64 && t->size == 8) {
        memcpy(out, t->data, 8);
        return true;
    }
    return false;
}

static md_status fill(md_tf_ref *out, md_tf_lower *w, const md_tf_ref *list,
                      const md_tf_ref *item, int32_t at)
{
    int64_t place;

    if (item->kind != MD_TF_REF_TENSOR || list->kind == MD_TF_REF_NONE)
        return MD_OK;
    if (list->kind != MD_TF_REF_LIST)
        return md_tf_refuse(w, "a list that is filled in another way than "
                               "element by element in a loop");
    out->kind = MD_TF_REF_FILLED;
    if (at >= 0 && read_int(&place, w, at) && place == 0)
        out->kind = MD_TF_REF_REPLACED;
    out->tensor = item->tensor;
    out->list = list->tensor;
    out->at = at;
    return MD_OK;
}

/* TensorListSetItem(list, index, item) */
md_status md_tf_list_set(md_tf_ref *out, uint32_t n_out, md_tf_lower *w,
                         const md_tf_frame *f, const md_tf_node *node)
{
    md_tf_ref list;
    md_tf_ref at;
    md_tf_ref item;

    (void)n_out;
    MD_TRY(md_tf_input(&list, w, f, node, 0));
    MD_TRY(md_tf_input(&at, w, f, node, 1));
    MD_TRY(md_tf_input(&item, w, f, node, 2));
    if (at.kind != MD_TF_REF_TENSOR)
        return MD_OK;
    return fill(out, w, &list, &item, at.tensor);
}

/* TensorListPushBack(list, item) */
md_status md_tf_list_push(md_tf_ref *out, uint32_t n_out, md_tf_lower *w,
                          const md_tf_frame *f, const md_tf_node *node)
{
    md_tf_ref list;
    md_tf_ref item;

    (void)n_out;
    MD_TRY(md_tf_input(&list, w, f, node, 0));
    MD_TRY(md_tf_input(&item, w, f, node, 1));
    return fill(out, w, &list, &item, -1);
}

/* --- graphs of their own --- */

/* A function as a graph: its arguments and what they are inside, its results.
 * Arguments that are variables stay outside. */
typedef struct body {
    const md_tf_ref *from; /* outside */
    md_tf_ref *args, *rets;
    uint32_t n_args, n_rets;
    int32_t *inputs, *outputs; /* of the graph: of n tensors, and lists */
    uint32_t n_inputs, n_outputs;
} body;

static bool is_carried(const md_tf_ref *r)
{
    return r->kind == MD_TF_REF_TENSOR || r->kind == MD_TF_REF_LIST;
}

static md_status open_body(body *b, md_tf_lower *w, const md_tf_function *fn,
                           const md_tf_made *outer)
{
    b->args =
        md_arena_calloc(w->arena, (size_t)b->n_args + 1, sizeof(*b->args));
    b->rets =
        md_arena_calloc(w->arena, (size_t)b->n_rets + 1, sizeof(*b->rets));
    b->inputs =
        md_arena_calloc(w->arena, (size_t)b->n_args + 1, sizeof(*b->inputs));
    b->outputs =
        md_arena_calloc(w->arena, (size_t)b->n_rets + 1, sizeof(*b->outputs));
    if (!b->args || !b->rets || !b->inputs || !b->outputs)
        return md_fail_nomem(w->err, b->n_args);
    b->n_inputs = b->n_outputs = 0;
    for (uint32_t i = 0; i < b->n_args; i++) {
        md_dtype dtype = MD_DTYPE_NONE;

        b->args[i] = b->from[i];
        b->args[i].condition = -1;
        if (!is_carried(&b->from[i]))
            continue;
        if (b->from[i].kind == MD_TF_REF_TENSOR)
            dtype = outer->tensors[b->from[i].tensor].dtype;
        MD_TRY(
            md_tf_add_tensor(&b->args[i].tensor, w, fn->args[i].name, dtype));
        b->inputs[b->n_inputs++] = b->args[i].tensor;
    }
    return MD_OK;
}

/* Lower a function into the graph that has begun. */
static md_status fill_body(body *b, md_tf_lower *w, const char *name,
                           const md_tf_made *outer)
{
    const md_tf_function *fn =
        name ? md_tf_find_function(w->graph, name) : NULL;

    if (!fn || fn->n_args != b->n_args)
        return md_tf_fail(w, MD_CORRUPT,
                          "function '%.80s' with %u arguments is not there",
                          name ? name : "", b->n_args);
    MD_TRY(open_body(b, w, fn, outer));
    return md_tf_call(b->rets, w, name, b->args, b->n_args, b->n_rets);
}

/* A graph's name, with which those of its values begin: none of the graph
 * around it begins so. */
static const char *name_of(md_tf_lower *w, const char *what)
{
    const char *name =
        md_arena_printf(w->arena, "%.300s_%.60s", w->node->name, what);

    return name ? name : what;
}

/* --- loops --- */

typedef struct loop {
    md_tf_ref *from; /* what goes in */
    uint32_t n;
    int32_t *collects; /* those of the operator's inputs that are lists */
    uint32_t n_collects;
    bool *last; /* by n: a list of which the last element counts */
    uint32_t cond, body;
} loop;

static const md_tflite_op *producer(const md_tf_made *g, int32_t tensor)
{
    for (uint32_t i = g->n_ops; i-- > 0;) {
        if (g->ops[i].n_out == 1 && g->ops[i].out[0] == tensor)
            return &g->ops[i];
    }
    return NULL;
}

/* Does argument `at` of the body begin at 0 and grow by 1? */
static bool counts(const loop *l, const body *b, const md_tf_lower *w,
                   const md_tf_made *outer, int32_t at)
{
    md_tf_lower outside = *w;
    const md_tflite_op *op;
    int64_t v;
    uint32_t i = 0;

    outside.made = (md_tf_made *)(uintptr_t)outer;
    while (i < b->n_args &&
           (b->args[i].kind != MD_TF_REF_TENSOR || b->args[i].tensor != at))
        i++;
    if (i == b->n_args || b->rets[i].kind != MD_TF_REF_TENSOR ||
        !read_int(&v, &outside, l->from[i].tensor) || v != 0)
        return false;
    op = producer(w->made, b->rets[i].tensor);
    if (!op || op->code != ADD || op->n_in != 2)
        return false;
    for (int k = 0; k < 2; k++) {
        if (op->in[k] == at && read_int(&v, w, op->in[1 - k]) && v == 1)
            return true;
    }
    return false;
}

/* The results of the body, which must be as the arguments are. */
static md_status close_body(loop *l, body *b, md_tf_lower *w,
                            const md_tf_made *outer)
{
    for (uint32_t i = 0; b->rets && i < l->n; i++) {
        const md_tf_ref *ret = &b->rets[i];
        bool filled =
            ret->kind == MD_TF_REF_FILLED || ret->kind == MD_TF_REF_REPLACED;

        if (!is_carried(&l->from[i])) {
            if (ret->kind == MD_TF_REF_RESOURCE &&
                ret->resource != l->from[i].resource)
                return md_tf_refuse(w, "a variable that the loop exchanges");
            continue;
        }
        if (l->from[i].kind == MD_TF_REF_LIST) {
            if (!filled || ret->list != b->args[i].tensor ||
                (ret->kind == MD_TF_REF_FILLED && ret->at >= 0 &&
                 !counts(l, b, w, outer, ret->at)))
                return md_tf_refuse(w, "a list that is filled in another way "
                                       "than from its beginning");
            l->last[i] = ret->kind == MD_TF_REF_REPLACED;
            l->collects[l->n_collects++] = (int32_t)b->n_outputs;
        } else if (ret->kind != MD_TF_REF_TENSOR) {
            return md_tf_refuse(w, "a state that becomes something else");
        }
        b->outputs[b->n_outputs++] = ret->tensor;
    }
    return MD_OK;
}

static md_status make_body(loop *l, md_tf_lower *w, const char *name)
{
    md_tf_made *outer = w->made;
    body b = { .from = l->from, .n_args = l->n, .n_rets = l->n };
    md_tf_made made;

    md_tf_begin_graph(w, &made);
    MD_TRY(fill_body(&b, w, name, outer));
    MD_TRY(close_body(l, &b, w, outer));
    return md_tf_end_graph(&l->body, w, outer, name_of(w, "body"), b.inputs,
                           b.n_inputs, b.outputs, b.n_outputs);
}

static md_status make_condition(loop *l, md_tf_lower *w, const char *name)
{
    md_tf_made *outer = w->made;
    body b = { .from = l->from, .n_args = l->n, .n_rets = 1 };
    md_tf_made made;

    md_tf_begin_graph(w, &made);
    MD_TRY(fill_body(&b, w, name, outer));
    if (!b.rets ||
        !b.outputs) /* they are there: the analyser does not see it */
        return md_fail_nomem(w->err, 1);
    if (b.rets[0].kind != MD_TF_REF_TENSOR && w->n_refusals == 0)
        MD_TRY(md_tf_refuse(w, "its condition is no tensor"));
    b.outputs[0] = b.rets[0].tensor;
    return md_tf_end_graph(&l->cond, w, outer, name_of(w, "cond"), b.inputs,
                           b.n_inputs, b.outputs, 1);
}

/* The last of what was collected, as a list of one. */
static md_status take_last(int32_t *out, md_tf_lower *w, int32_t list)
{
    static const int64_t minus_one = -1;
    static const int64_t zero = 0;
    static const int64_t one = 1;
    static const md_tf_field fields[] = { { .kind = MD_TF_FIELD_INT },
                                          { .kind = MD_TF_FIELD_INT, .i = 1 } };
    md_fb_table options;
    int32_t in[4] = { list };

    MD_TRY(md_tf_make_options(&options, w, fields, 2));
    MD_TRY(md_tf_add_ints(&in[1], w, "", &minus_one, 1));
    MD_TRY(md_tf_add_ints(&in[2], w, "", &zero, 1));
    MD_TRY(md_tf_add_ints(&in[3], w, "", &one, 1));
    return md_tf_add_simple(out, w, STRIDED_SLICE, in, 4, MD_DTYPE_NONE,
                            options);
}

static md_status add_loop(md_tf_ref *out, loop *l, md_tf_lower *w,
                          const md_tf_node *node)
{
    static const int64_t unknown = -1;
    int64_t *wide = md_arena_calloc(w->arena, (size_t)l->n + 1, sizeof(*wide));
    int32_t *in = md_arena_calloc(w->arena, (size_t)l->n + 1, sizeof(*in));
    int32_t *outs = md_arena_calloc(w->arena, (size_t)l->n + 1, sizeof(*outs));
    md_tf_field fields[3] = { { .kind = MD_TF_FIELD_INT, .i = l->cond },
                              { .kind = MD_TF_FIELD_INT, .i = l->body },
                              { .kind = MD_TF_FIELD_INTS,
                                .n = l->n_collects } };
    md_tflite_op op = {
        .code = WHILE, .custom = node->op, .in = in, .out = outs
    };

    if (!wide || !in || !outs)
        return md_fail_nomem(w->err, l->n);
    for (uint32_t i = 0; i < l->n_collects; i++)
        wide[i] = l->collects[i];
    fields[2].is = wide;
    MD_TRY(md_tf_make_options(&op.options, w, fields, 3));
    for (uint32_t i = 0; i < l->n; i++) {
        out[i] = l->from[i];
        if (!is_carried(&l->from[i]))
            continue;
        in[op.n_in] = l->from[i].tensor;
        if (l->last[i]) /* all are collected, how many nobody says */
            MD_TRY(md_tf_add_ints(&in[op.n_in], w, "", &unknown, 1));
        op.n_in++;
        out[i].kind = MD_TF_REF_TENSOR;
        MD_TRY(
            md_tf_add_tensor(&out[i].tensor, w, node->name,
                             l->from[i].kind == MD_TF_REF_LIST
                                 ? MD_DTYPE_NONE
                                 : w->made->tensors[l->from[i].tensor].dtype));
        outs[op.n_out++] = out[i].tensor;
    }
    MD_TRY(md_tf_add_op(w, &op));
    for (uint32_t i = 0; i < l->n; i++) {
        if (l->last[i])
            MD_TRY(take_last(&out[i].tensor, w, out[i].tensor));
    }
    return MD_OK;
}

md_status md_tf_lower_while(md_tf_ref *out, uint32_t n_out, md_tf_lower *w,
                            const md_tf_frame *f, const md_tf_node *node)
{
    loop l = { .n = md_tf_n_inputs(node) };
    bool usable = true;
    const char *names[2];

    l.from = md_arena_calloc(w->arena, (size_t)l.n + 1, sizeof(*l.from));
    l.collects =
        md_arena_calloc(w->arena, (size_t)l.n + 1, sizeof(*l.collects));
    l.last = md_arena_calloc(w->arena, (size_t)l.n + 1, sizeof(*l.last));
    if (!l.from || !l.collects || !l.last)
        return md_fail_nomem(w->err, l.n);
    if (n_out != l.n)
        return md_tf_fail(w, MD_CORRUPT, "%u inputs and %u outputs", l.n,
                          n_out);
    for (uint32_t i = 0; i < l.n; i++) {
        MD_TRY(md_tf_input(&l.from[i], w, f, node, i));
        usable = usable && (is_carried(&l.from[i]) ||
                            l.from[i].kind == MD_TF_REF_RESOURCE);
    }
    if (!usable)
        return w->n_refusals > 0 ? MD_OK : md_tf_refuse(w, "its input");
    MD_TRY(md_tf_attr_function(&names[0], node, "cond", w->arena, w->err));
    MD_TRY(md_tf_attr_function(&names[1], node, "body", w->arena, w->err));
    MD_TRY(make_condition(&l, w, names[0]));
    MD_TRY(make_body(&l, w, names[1]));
    w->node = node;
    return w->n_refusals > 0 ? MD_OK : add_loop(out, &l, w, node);
}

/* --- branches --- */

static md_status make_branch(uint32_t *index, md_tf_lower *w, const char *name,
                             const md_tf_ref *from, uint32_t n, uint32_t n_out)
{
    md_tf_made *outer = w->made;
    body b = { .from = from, .n_args = n, .n_rets = n_out };
    md_tf_made made;

    md_tf_begin_graph(w, &made);
    MD_TRY(fill_body(&b, w, name, outer));
    for (uint32_t i = 0; b.rets && b.outputs && i < n_out; i++) {
        if (b.rets[i].kind != MD_TF_REF_TENSOR && w->n_refusals == 0)
            MD_TRY(md_tf_refuse(w, "a branch that gives no tensor"));
        b.outputs[i] = b.rets[i].tensor;
    }
    return md_tf_end_graph(index, w, outer, name_of(w, name), b.inputs,
                           b.n_inputs, b.outputs, n_out);
}

static md_status add_if(md_tf_ref *out, uint32_t n_out, md_tf_lower *w,
                        const md_tf_ref *from, uint32_t n,
                        const md_tf_field fields[2])
{
    static const md_fb_table none = { .fb = NULL };
    const md_tf_node *node = w->node;
    int32_t *in = md_arena_calloc(w->arena, (size_t)n + 1, sizeof(*in));
    int32_t *outs = md_arena_calloc(w->arena, (size_t)n_out + 1, sizeof(*outs));
    md_tflite_op op = {
        .code = IF, .custom = node->op, .in = in, .out = outs, .n_out = n_out
    };

    if (!in || !outs)
        return md_fail_nomem(w->err, n);
    MD_TRY(md_tf_make_options(&op.options, w, fields, 2));
    for (uint32_t i = 0; i < n; i++) {
        if (is_carried(&from[i]))
            in[op.n_in++] = from[i].tensor;
    }
    if (w->made->tensors[in[0]].dtype != MD_DTYPE_BOOL)
        MD_TRY(md_tf_add_simple(&in[0], w, CAST, in, 1, MD_DTYPE_BOOL, none));
    for (uint32_t i = 0; i < n_out; i++) {
        out[i].kind = MD_TF_REF_TENSOR;
        MD_TRY(md_tf_add_tensor(&out[i].tensor, w, node->name, MD_DTYPE_NONE));
        outs[i] = out[i].tensor;
    }
    return md_tf_add_op(w, &op);
}

md_status md_tf_lower_if(md_tf_ref *out, uint32_t n_out, md_tf_lower *w,
                         const md_tf_frame *f, const md_tf_node *node)
{
    static const char *const names[] = { "then_branch", "else_branch" };
    uint32_t n = md_tf_n_inputs(node);
    md_tf_ref *from = md_arena_calloc(w->arena, (size_t)n + 1, sizeof(*from));
    md_tf_field fields[2] = { { .kind = MD_TF_FIELD_NONE } };

    if (!from)
        return md_fail_nomem(w->err, n);
    for (uint32_t i = 0; i < n; i++)
        MD_TRY(md_tf_input(&from[i], w, f, node, i));
    if (n < 1)
        return md_tf_fail(w, MD_CORRUPT, "it has no condition");
    if (from[0].kind != MD_TF_REF_TENSOR)
        return w->n_refusals > 0 ? MD_OK : md_tf_refuse(w, "its condition");
    for (int i = 0; i < 2; i++) {
        const char *name;
        uint32_t index;

        MD_TRY(md_tf_attr_function(&name, node, names[i], w->arena, w->err));
        MD_TRY(make_branch(&index, w, name, from + 1, n - 1, n_out));
        w->node = node;
        fields[i] = (md_tf_field){ .kind = MD_TF_FIELD_INT, .i = index };
    }
    return w->n_refusals > 0 ? MD_OK : add_if(out, n_out, w, from, n, fields);
}
