/* md_graph to GraphProto and FunctionProto. */
#include <stdio.h>
#include <string.h>

#include "formats/onnx_impl.h"

enum {
    NAME_SIZE = 48,
    DIM_VALUE = 1, /* TensorShapeProto.Dimension */
    DIM_PARAM = 2,
    SHAPE_DIM = 1,
    TYPE_ELEM = 1,  /* TypeProto.Tensor, .Sequence, .Optional; .Map's key */
    TYPE_SHAPE = 2, /* TypeProto.Tensor; .Map's value */
};

static unsigned depth_of(const md_graph *g)
{
    unsigned n = 0;

    for (; g->parent; g = g->parent)
        n++;
    return n;
}

/* The value's name, "" when absent; unnamed ones get one made into buf. */
static const char *name_of(char buf[NAME_SIZE], const md_graph *g,
                           md_value_id id)
{
    const md_value *v = md_graph_value(g, id);

    if (!v)
        return "";
    if (v->name[0])
        return v->name;
    for (unsigned i = 0;; i++) {
        snprintf(buf, NAME_SIZE, "unnamed_%u_%u_%u", depth_of(g), id, i);
        if (md_graph_find(g, buf) == MD_VALUE_NONE)
            return buf;
    }
}

static void put_dim(md_onnx_writer *w, const md_model *m, md_dim d)
{
    md_pb_mark mark = md_pb_begin(&w->pb, SHAPE_DIM);
    const char *name = m->symbols[d.sym];
    char text[160];

    if (d.sym == 0) {
        md_pb_put_int(&w->pb, DIM_VALUE, d.k);
    } else if (name[0] && d.scale == 1 && d.k == 0) {
        md_pb_put_text(&w->pb, DIM_PARAM, name);
    } else if (strlen(name) < 80 &&
               (name[0] || m->exprs[d.sym].kind != MD_EXPR_FREE)) {
        /* The standard gives no meaning to the text, but readers take equal
         * texts for equal dimensions. */
        md_dim_format(text, sizeof(text), m, d);
        if (strlen(text) + 1 < sizeof(text))
            md_pb_put_text(&w->pb, DIM_PARAM, text);
    }
    md_pb_end(&w->pb, mark);
}

static void put_tensor_type(md_onnx_writer *w, const md_model *m,
                            const md_type *t)
{
    md_pb_mark tensor = md_pb_begin(&w->pb, MD_ONNX_TYPE_TENSOR);

    md_pb_put_int(&w->pb, TYPE_ELEM, t->dtype);
    if (t->has_rank) {
        md_pb_mark shape = md_pb_begin(&w->pb, TYPE_SHAPE);

        for (int i = 0; i < t->rank; i++)
            put_dim(w, m, t->dim[i]);
        md_pb_end(&w->pb, shape);
    }
    md_pb_end(&w->pb, tensor);
}

static void put_type(md_onnx_writer *w, uint32_t number, const md_model *m,
                     const md_type *t)
{
    md_pb_mark mark = md_pb_begin(&w->pb, number);
    md_type inner = *t;
    md_pb_mark holder;

    inner.kind = t->of;
    inner.of = MD_KIND_TENSOR;
    switch (t->kind) {
    case MD_KIND_TENSOR:
        put_tensor_type(w, m, t);
        break;
    case MD_KIND_SEQUENCE:
        holder = md_pb_begin(&w->pb, MD_ONNX_TYPE_SEQUENCE);
        put_type(w, TYPE_ELEM, m, &inner);
        md_pb_end(&w->pb, holder);
        break;
    case MD_KIND_OPTIONAL:
        holder = md_pb_begin(&w->pb, MD_ONNX_TYPE_OPTIONAL);
        put_type(w, TYPE_ELEM, m, &inner);
        md_pb_end(&w->pb, holder);
        break;
    case MD_KIND_MAP:
        holder = md_pb_begin(&w->pb, MD_ONNX_TYPE_MAP);
        md_pb_put_int(&w->pb, TYPE_ELEM, t->key);
        put_type(w, TYPE_SHAPE, m, &inner);
        md_pb_end(&w->pb, holder);
        break;
    }
    md_pb_end(&w->pb, mark);
}

static void put_value_info(md_onnx_writer *w, uint32_t number,
                           const md_graph *g, md_value_id id)
{
    md_pb_mark mark = md_pb_begin(&w->pb, number);
    const md_value *v = md_graph_value(g, id);
    char name[NAME_SIZE];

    md_pb_put_text(&w->pb, MD_ONNX_VALUE_NAME, name_of(name, g, id));
    if (v->type.dtype != MD_DTYPE_NONE)
        put_type(w, MD_ONNX_VALUE_TYPE, g->model, &v->type);
    md_pb_end(&w->pb, mark);
}

static void put_attr_value(md_onnx_writer *w, const md_model *m,
                           const md_attr *a)
{
    md_pb_writer *pb = &w->pb;

    switch (a->type) {
    case MD_ATTR_FLOAT:
        md_pb_put_float(pb, MD_ONNX_ATTR_F, a->v.f);
        break;
    case MD_ATTR_INT:
        md_pb_put_int(pb, MD_ONNX_ATTR_I, a->v.i);
        break;
    case MD_ATTR_STRING:
        md_pb_put_bytes(pb, MD_ONNX_ATTR_S, a->v.s.p, a->v.s.n);
        break;
    case MD_ATTR_TENSOR:
        md_onnx__put_tensor(w, MD_ONNX_ATTR_T, "", a->v.t, false);
        break;
    case MD_ATTR_GRAPH:
        md_onnx__put_graph(w, MD_ONNX_ATTR_G, a->v.g);
        break;
    case MD_ATTR_TYPE_PROTO:
        put_type(w, MD_ONNX_ATTR_TYPE_PROTO, m, a->v.type_proto);
        break;
    default:
        break;
    }
}

static void put_attr_list(md_onnx_writer *w, const md_model *m,
                          const md_attr *a)
{
    md_pb_writer *pb = &w->pb;

    if (a->type == MD_ATTR_FLOATS)
        md_pb_put_floats(pb, MD_ONNX_ATTR_FLOATS, a->v.fs, a->n);
    if (a->type == MD_ATTR_INTS)
        md_pb_put_ints(pb, MD_ONNX_ATTR_INTS, a->v.is, a->n);
    for (uint32_t i = 0; i < a->n; i++) {
        if (a->type == MD_ATTR_STRINGS)
            md_pb_put_bytes(pb, MD_ONNX_ATTR_STRINGS, a->v.ss[i].p,
                            a->v.ss[i].n);
        if (a->type == MD_ATTR_TENSORS)
            md_onnx__put_tensor(w, MD_ONNX_ATTR_TENSORS, "", a->v.ts[i], false);
        if (a->type == MD_ATTR_GRAPHS)
            md_onnx__put_graph(w, MD_ONNX_ATTR_GRAPHS, a->v.gs[i]);
        if (a->type == MD_ATTR_TYPE_PROTOS)
            put_type(w, MD_ONNX_ATTR_TYPE_PROTOS, m, &a->v.type_proto[i]);
    }
}

static void put_attr(md_onnx_writer *w, uint32_t number, const md_model *m,
                     const md_attr *a)
{
    md_pb_mark mark = md_pb_begin(&w->pb, number);

    md_pb_put_text(&w->pb, MD_ONNX_ATTR_NAME, a->name);
    if (a->ref) {
        md_pb_put_text(&w->pb, MD_ONNX_ATTR_REF, a->ref);
    } else {
        put_attr_value(w, m, a);
        put_attr_list(w, m, a);
    }
    md_pb_put_int(&w->pb, MD_ONNX_ATTR_TYPE, a->type);
    md_pb_end(&w->pb, mark);
}

static void put_node(md_onnx_writer *w, uint32_t number, const md_graph *g,
                     const md_node *n)
{
    md_pb_mark mark = md_pb_begin(&w->pb, number);
    char name[NAME_SIZE];

    for (uint32_t i = 0; i < n->n_in; i++)
        md_pb_put_text(&w->pb, MD_ONNX_NODE_INPUT, name_of(name, g, n->in[i]));
    for (uint32_t i = 0; i < n->n_out; i++)
        md_pb_put_text(&w->pb, MD_ONNX_NODE_OUTPUT,
                       name_of(name, g, n->out[i]));
    if (n->name[0])
        md_pb_put_text(&w->pb, MD_ONNX_NODE_NAME, n->name);
    md_pb_put_text(&w->pb, MD_ONNX_NODE_OP, n->op);
    for (uint32_t i = 0; i < n->n_attr; i++)
        put_attr(w, MD_ONNX_NODE_ATTRIBUTE, g->model, &n->attr[i]);
    if (n->domain[0])
        md_pb_put_text(&w->pb, MD_ONNX_NODE_DOMAIN, n->domain);
    if (n->overload[0])
        md_pb_put_text(&w->pb, MD_ONNX_NODE_OVERLOAD, n->overload);
    md_pb_end(&w->pb, mark);
}

/* Mark what subgraphs of n read from g. */
static void mark_captures(bool *used, const md_graph *g, const md_node *n)
{
    for (uint32_t i = 0; i < n->n_attr; i++) {
        const md_attr *a = &n->attr[i];
        bool one = a->type == MD_ATTR_GRAPH && a->v.g;
        uint32_t n_subs = one ? 1 : a->type == MD_ATTR_GRAPHS ? a->n : 0;

        for (uint32_t k = 0; k < n_subs; k++) {
            const md_graph *sub = one ? a->v.g : a->v.gs[k];

            for (uint32_t v = 0; v < sub->n_values; v++) {
                md_value_id id = md_graph_find(g, sub->values[v].name);

                if (id != MD_VALUE_NONE)
                    used[id] = true;
            }
            for (uint32_t j = 0; j < sub->n_nodes; j++)
                mark_captures(used, g, sub->nodes[j]);
        }
    }
}

/* Which values are read, by id; one more element than there are values. */
static bool *find_used(const md_graph *g)
{
    bool *used = md_calloc(g->model->alloc, (size_t)g->n_values + 1, 1);

    if (!used)
        return NULL;
    for (uint32_t i = 0; i < g->n_nodes; i++) {
        const md_node *n = g->nodes[i];

        if (n->dead)
            continue;
        for (uint32_t k = 0; k < n->n_in; k++) {
            if (n->in[k] != MD_VALUE_NONE)
                used[n->in[k]] = true;
        }
        mark_captures(used, g, n);
    }
    for (uint32_t i = 0; i < g->n_outputs; i++)
        used[g->outputs[i]] = true;
    return used;
}

static bool has_def(const md_value *v)
{
    return v->def && !v->def->dead;
}

static bool is_constant(const md_value *v)
{
    return v->cdata && !v->is_input && !has_def(v);
}

static void put_constants(md_onnx_writer *w, const md_graph *g,
                          const bool *used)
{
    char name[NAME_SIZE];

    for (uint32_t i = 0; i < g->n_values; i++) {
        if (!used[i] || !is_constant(&g->values[i]) ||
            md_onnx__put_sparse(w, MD_ONNX_GRAPH_SPARSE_INITIALIZER,
                                name_of(name, g, i), g->values[i].cdata))
            continue;
        md_onnx__put_tensor(w, MD_ONNX_GRAPH_INITIALIZER, name_of(name, g, i),
                            g->values[i].cdata, true);
    }
}

static void put_hints(md_onnx_writer *w, uint32_t number, const md_graph *g)
{
    for (uint32_t i = 0; i < g->n_values; i++) {
        const md_value *v = &g->values[i];

        if (has_def(v) && !v->is_output && v->type.dtype != MD_DTYPE_NONE)
            put_value_info(w, number, g, i);
    }
}

void md_onnx__put_graph(md_onnx_writer *w, uint32_t number, const md_graph *g)
{
    md_pb_mark mark = md_pb_begin(&w->pb, number);
    bool *used = find_used(g);

    if (!used && w->pb.status == MD_OK)
        w->pb.status = md_fail_nomem(&w->pb.error, g->n_values);
    if (!used)
        return;
    for (uint32_t i = 0; i < g->n_nodes; i++) {
        if (!g->nodes[i]->dead)
            put_node(w, MD_ONNX_GRAPH_NODE, g, g->nodes[i]);
    }
    /* The checker wants a name. */
    md_pb_put_text(&w->pb, MD_ONNX_GRAPH_NAME, g->name[0] ? g->name : "graph");
    put_constants(w, g, used);
    for (uint32_t i = 0; i < g->n_inputs; i++)
        put_value_info(w, MD_ONNX_GRAPH_INPUT, g, g->inputs[i]);
    for (uint32_t i = 0; i < g->n_outputs; i++)
        put_value_info(w, MD_ONNX_GRAPH_OUTPUT, g, g->outputs[i]);
    put_hints(w, MD_ONNX_GRAPH_VALUE_INFO, g);
    md_pb_end(&w->pb, mark);
    md_free(g->model->alloc, used);
}

/* Functions have no initializers: a constant is a Constant node. */
static void put_constant_node(md_onnx_writer *w, const md_graph *g,
                              md_value_id id)
{
    md_pb_mark mark = md_pb_begin(&w->pb, MD_ONNX_FUNCTION_NODE);
    md_attr a = { .name = "value", .type = MD_ATTR_TENSOR };
    char name[NAME_SIZE];

    a.v.t = md_graph_value(g, id)->cdata;
    md_pb_put_text(&w->pb, MD_ONNX_NODE_OUTPUT, name_of(name, g, id));
    md_pb_put_text(&w->pb, MD_ONNX_NODE_OP, "Constant");
    put_attr(w, MD_ONNX_NODE_ATTRIBUTE, g->model, &a);
    md_pb_end(&w->pb, mark);
}

void md_onnx__put_function(md_onnx_writer *w, uint32_t number,
                           const md_function *f)
{
    md_pb_mark mark = md_pb_begin(&w->pb, number);
    const md_graph *g = f->body;
    char name[NAME_SIZE];

    md_pb_put_text(&w->pb, MD_ONNX_FUNCTION_NAME, f->name);
    for (uint32_t i = 0; i < g->n_inputs; i++)
        md_pb_put_text(&w->pb, MD_ONNX_FUNCTION_INPUT,
                       name_of(name, g, g->inputs[i]));
    for (uint32_t i = 0; i < g->n_outputs; i++)
        md_pb_put_text(&w->pb, MD_ONNX_FUNCTION_OUTPUT,
                       name_of(name, g, g->outputs[i]));
    for (uint32_t i = 0; i < f->n_attrs; i++)
        md_pb_put_text(&w->pb, MD_ONNX_FUNCTION_ATTRIBUTE, f->attr_names[i]);
    for (uint32_t i = 0; i < g->n_values; i++) {
        if (is_constant(&g->values[i]))
            put_constant_node(w, g, i);
    }
    for (uint32_t i = 0; i < g->n_nodes; i++) {
        if (!g->nodes[i]->dead)
            put_node(w, MD_ONNX_FUNCTION_NODE, g, g->nodes[i]);
    }
    for (uint32_t i = 0; i < f->n_opsets; i++)
        md_onnx__put_opset(w, MD_ONNX_FUNCTION_OPSET, &f->opsets[i]);
    md_pb_put_text(&w->pb, MD_ONNX_FUNCTION_DOMAIN, f->domain);
    for (uint32_t i = 0; i < f->n_attr_defaults; i++)
        put_attr(w, MD_ONNX_FUNCTION_DEFAULT, g->model, &f->attr_defaults[i]);
    put_hints(w, MD_ONNX_FUNCTION_VALUE_INFO, g);
    if (f->overload[0])
        md_pb_put_text(&w->pb, MD_ONNX_FUNCTION_OVERLOAD, f->overload);
    md_pb_end(&w->pb, mark);
}
