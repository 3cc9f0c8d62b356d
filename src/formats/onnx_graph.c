/* GraphProto and FunctionProto to md_graph. */
#include <string.h>

#include "formats/onnx_impl.h"

enum {
    ATTRS_MAX = 1024 /* of one node: they are searched one by one */
};

/* Handles one field of a message that describes g. */
typedef md_status visit(md_graph *g, md_onnx_reader *r, const md_pb_field *f,
                        md_error *err);

static md_status each(md_graph *g, md_onnx_reader *r, md_pb bytes,
                      uint32_t number, visit *fn, md_error *err)
{
    md_pb_field f;

    for (;;) {
        MD_TRY(md_pb_next(&f, &bytes, err));
        if (f.number == 0)
            return MD_OK;
        if (f.number == number)
            MD_TRY(fn(g, r, &f, err));
    }
}

static md_status read_name(md_graph *g, md_onnx_reader *r, const md_pb_field *f,
                           md_error *err)
{
    return md_pb_text(&g->name, f, &r->model->arena, err);
}

static md_status add_const(md_graph *g, md_onnx_tensor *t, md_error *err)
{
    md_value_id id;
    md_status s;

    if (t->name[0] == '\0')
        s = md_fail(err, MD_CORRUPT, "initializer without a name");
    else
        s = md_graph_add_const(&id, g, t->name, t->t, err);
    if (s != MD_OK)
        md_tensor_release(&t->t);
    return s;
}

static md_status read_initializer(md_graph *g, md_onnx_reader *r,
                                  const md_pb_field *f, md_error *err)
{
    md_onnx_place place = MD_ONNX_OWNED;
    md_onnx_tensor t;
    md_pb bytes;

    MD_TRY(md_pb_message(&bytes, f, err));
    /* Bodies read their parents' constants by name, so nobody knows who. */
    if (r->opts.unaligned && g == r->model->graph)
        place = MD_ONNX_ANYWHERE;
    MD_TRY(md_onnx__read_tensor(&t, r, bytes, place, "initializer", err));
    return add_const(g, &t, err);
}

static md_status read_sparse_initializer(md_graph *g, md_onnx_reader *r,
                                         const md_pb_field *f, md_error *err)
{
    md_onnx_tensor t;
    md_pb bytes;

    MD_TRY(md_pb_message(&bytes, f, err));
    MD_TRY(
        md_onnx__read_sparse(&t, r, bytes, MD_ONNX_OWNED, "initializer", err));
    return add_const(g, &t, err);
}

/* A ValueInfoProto. */
static md_status read_value_info(const char **name, md_type *type,
                                 md_onnx_reader *r, const md_pb_field *f,
                                 md_error *err)
{
    md_pb bytes;
    md_pb part;
    md_pb_field in;
    md_status s = MD_OK;

    *name = "";
    *type = (md_type){ 0 };
    MD_TRY(md_pb_message(&bytes, f, err));
    for (;;) {
        MD_TRY(md_pb_next(&in, &bytes, err));
        if (in.number == 0)
            break;
        if (in.number == MD_ONNX_VALUE_NAME)
            MD_TRY(md_pb_text(name, &in, &r->model->arena, err));
        if (in.number == MD_ONNX_VALUE_TYPE) {
            MD_TRY(md_pb_message(&part, &in, err));
            s = md_onnx__read_type(type, r, part, err);
        }
        if (s != MD_OK)
            return md_wrap(err, s, "value '%s': ", *name);
    }
    return MD_OK;
}

static md_status add_input(md_graph *g, const char *name, const md_type *type,
                           md_error *err)
{
    md_value_id id = md_graph_find(g, name);

    if (name[0] == '\0')
        return md_fail(err, MD_CORRUPT, "graph input without a name");
    if (id != MD_VALUE_NONE && md_graph_value(g, id)->cdata)
        return MD_OK; /* a constant, see onnx.h */
    MD_TRY(md_graph_add_value(&id, g, name, err));
    md_graph_value(g, id)->type = *type;
    return md_graph_add_input(g, id, err);
}

static md_status read_input(md_graph *g, md_onnx_reader *r,
                            const md_pb_field *f, md_error *err)
{
    const char *name;
    md_type type;

    MD_TRY(read_value_info(&name, &type, r, f, err));
    return add_input(g, name, &type, err);
}

static md_status find_or_add(md_value_id *out, md_graph *g, const char *name,
                             md_error *err)
{
    *out = md_graph_find(g, name);
    if (*out != MD_VALUE_NONE)
        return MD_OK;
    return md_graph_add_value(out, g, name, err);
}

/* What the file says about a value, unless that is known better. */
static void set_type(md_value *v, const md_type *type)
{
    if (!v->cdata && !v->is_input &&
        (type->dtype != MD_DTYPE_NONE || type->has_rank))
        v->type = *type;
}

static md_status add_output(md_graph *g, const char *name, const md_type *type,
                            md_error *err)
{
    md_value_id id;

    if (name[0] == '\0')
        return md_fail(err, MD_CORRUPT, "graph output without a name");
    MD_TRY(find_or_add(&id, g, name, err));
    set_type(md_graph_value(g, id), type);
    return md_graph_add_output(g, id, err);
}

static md_status read_output(md_graph *g, md_onnx_reader *r,
                             const md_pb_field *f, md_error *err)
{
    const char *name;
    md_type type;

    MD_TRY(read_value_info(&name, &type, r, f, err));
    return add_output(g, name, &type, err);
}

static md_status read_hint(md_graph *g, md_onnx_reader *r, const md_pb_field *f,
                           md_error *err)
{
    const char *name;
    md_type type;
    md_value_id id;

    MD_TRY(read_value_info(&name, &type, r, f, err));
    id = md_graph_find(g, name);
    if (id != MD_VALUE_NONE && !md_graph_value(g, id)->is_output)
        set_type(md_graph_value(g, id), &type);
    return MD_OK;
}

/* Append the value called what field f holds to r->ids. */
static md_status push_id(md_graph *g, md_onnx_reader *r, const md_pb_field *f,
                         md_error *err)
{
    const char *name;
    md_value_id id = MD_VALUE_NONE;

    MD_TRY(md_pb_text(&name, f, &r->model->arena, err));
    if (name[0])
        MD_TRY(find_or_add(&id, g, name, err));
    MD_TRY(md_grow(r->model->alloc, (void *)&r->ids, &r->cap_ids, r->n_ids,
                   sizeof(id), err));
    r->ids[r->n_ids++] = id;
    return MD_OK;
}

typedef struct node_names {
    const char *name, *op, *domain, *overload;
} node_names;

static md_status read_node_names(node_names *x, md_onnx_reader *r, md_pb bytes,
                                 md_error *err)
{
    md_arena *ar = &r->model->arena;
    md_pb_field f;

    *x = (node_names){ "", "", "", "" };
    for (;;) {
        MD_TRY(md_pb_next(&f, &bytes, err));
        if (f.number == 0)
            break;
        if (f.number == MD_ONNX_NODE_NAME)
            MD_TRY(md_pb_text(&x->name, &f, ar, err));
        if (f.number == MD_ONNX_NODE_OP)
            MD_TRY(md_pb_text(&x->op, &f, ar, err));
        if (f.number == MD_ONNX_NODE_DOMAIN)
            MD_TRY(md_pb_text(&x->domain, &f, ar, err));
        if (f.number == MD_ONNX_NODE_OVERLOAD)
            MD_TRY(md_pb_text(&x->overload, &f, ar, err));
    }
    if (x->op[0] == '\0')
        return md_fail(err, MD_CORRUPT, "node '%s' names no operator", x->name);
    if (strcmp(x->domain, "ai.onnx") == 0)
        x->domain = "";
    return MD_OK;
}

static md_status read_attrs(md_graph *g, md_node *n, md_onnx_reader *r,
                            md_pb bytes, md_error *err)
{
    md_pb_field f;
    md_pb part;
    md_attr a;

    for (;;) {
        MD_TRY(md_pb_next(&f, &bytes, err));
        if (f.number == 0)
            return MD_OK;
        if (f.number != MD_ONNX_NODE_ATTRIBUTE)
            continue;
        MD_TRY(md_pb_message(&part, &f, err));
        MD_TRY(md_onnx__read_attr(&a, g, r, part, err));
        if (md_node_attr(n, a.name))
            return md_fail(err, MD_CORRUPT, "attribute '%s' is given twice",
                           a.name);
        if (n->n_attr == ATTRS_MAX)
            return md_fail(err, MD_TOO_LARGE, "more than %d attributes",
                           ATTRS_MAX);
        MD_TRY(md_node_add_attr(g, n, &a, err));
    }
}

static md_status add_node(md_graph *g, md_onnx_reader *r, const node_names *x,
                          md_pb bytes, md_error *err)
{
    md_node *n;
    md_value_id *out;
    uint32_t n_in;

    r->n_ids = 0;
    MD_TRY(each(g, r, bytes, MD_ONNX_NODE_INPUT, push_id, err));
    n_in = r->n_ids;
    MD_TRY(each(g, r, bytes, MD_ONNX_NODE_OUTPUT, push_id, err));
    out = r->ids ? r->ids + n_in : NULL;
    MD_TRY(md_graph_add_node(&n, g,
                             &(md_node_spec){ x->domain, x->op, x->name, r->ids,
                                              n_in, out, r->n_ids - n_in },
                             err));
    n->overload = x->overload;
    return read_attrs(g, n, r, bytes, err);
}

static md_status read_node(md_graph *g, md_onnx_reader *r, const md_pb_field *f,
                           md_error *err)
{
    node_names x;
    md_pb bytes;
    md_status s;

    MD_TRY(md_pb_message(&bytes, f, err));
    MD_TRY(read_node_names(&x, r, bytes, err));
    s = add_node(g, r, &x, bytes, err);
    return s == MD_OK ? s : md_wrap(err, s, "node '%s' (%s): ", x.name, x.op);
}

md_status md_onnx__read_graph(md_graph *g, md_onnx_reader *r, md_pb bytes,
                              md_error *err)
{
    static const struct {
        uint32_t number;
        visit *fn;
    } passes[] = {
        { MD_ONNX_GRAPH_NAME, read_name },
        { MD_ONNX_GRAPH_INITIALIZER, read_initializer },
        { MD_ONNX_GRAPH_SPARSE_INITIALIZER, read_sparse_initializer },
        { MD_ONNX_GRAPH_INPUT, read_input },
        { MD_ONNX_GRAPH_NODE, read_node },
        { MD_ONNX_GRAPH_OUTPUT, read_output },
        { MD_ONNX_GRAPH_VALUE_INFO, read_hint },
    };

    for (size_t i = 0; i < MD_COUNT(passes); i++)
        MD_TRY(each(g, r, bytes, passes[i].number, passes[i].fn, err));
    return MD_OK;
}

static md_status read_parameter(md_graph *g, md_onnx_reader *r,
                                const md_pb_field *f, md_error *err)
{
    const char *name;

    MD_TRY(md_pb_text(&name, f, &r->model->arena, err));
    return add_input(g, name, &(md_type){ 0 }, err);
}

static md_status read_result(md_graph *g, md_onnx_reader *r,
                             const md_pb_field *f, md_error *err)
{
    const char *name;

    MD_TRY(md_pb_text(&name, f, &r->model->arena, err));
    return add_output(g, name, &(md_type){ 0 }, err);
}

static md_status count_fields(uint32_t *out, md_pb bytes, uint32_t number,
                              md_error *err)
{
    md_pb_field f;

    *out = 0;
    for (;;) {
        MD_TRY(md_pb_next(&f, &bytes, err));
        if (f.number == 0)
            return MD_OK;
        *out += f.number == number;
        if (*out > 65536)
            return md_fail(err, MD_TOO_LARGE,
                           "more than 65536 entries in field %u", number);
    }
}

static md_status make_lists(md_function *out, md_onnx_reader *r, md_pb bytes,
                            md_error *err)
{
    md_arena *ar = &r->model->arena;
    uint32_t n_attrs;
    uint32_t n_defaults;
    uint32_t n_opsets;

    MD_TRY(count_fields(&n_attrs, bytes, MD_ONNX_FUNCTION_ATTRIBUTE, err));
    MD_TRY(count_fields(&n_defaults, bytes, MD_ONNX_FUNCTION_DEFAULT, err));
    MD_TRY(count_fields(&n_opsets, bytes, MD_ONNX_FUNCTION_OPSET, err));
    out->attr_names =
        md_arena_calloc(ar, n_attrs + 1u, sizeof(*out->attr_names));
    out->attr_defaults =
        md_arena_calloc(ar, n_defaults + 1u, sizeof(*out->attr_defaults));
    out->opsets = md_arena_calloc(ar, n_opsets + 1u, sizeof(*out->opsets));
    if (!out->attr_names || !out->attr_defaults || !out->opsets)
        return md_fail_nomem(err, sizeof(*out->opsets));
    return MD_OK;
}

static md_status read_function_field(md_function *out, md_onnx_reader *r,
                                     const md_pb_field *f, md_error *err)
{
    md_arena *ar = &r->model->arena;
    md_pb bytes;

    switch (f->number) {
    case MD_ONNX_FUNCTION_NAME:
        return md_pb_text(&out->name, f, ar, err);
    case MD_ONNX_FUNCTION_DOMAIN:
        return md_pb_text(&out->domain, f, ar, err);
    case MD_ONNX_FUNCTION_OVERLOAD:
        return md_pb_text(&out->overload, f, ar, err);
    case MD_ONNX_FUNCTION_ATTRIBUTE:
        return md_pb_text(&out->attr_names[out->n_attrs++], f, ar, err);
    case MD_ONNX_FUNCTION_DEFAULT:
        MD_TRY(md_pb_message(&bytes, f, err));
        return md_onnx__read_attr(&out->attr_defaults[out->n_attr_defaults++],
                                  out->body, r, bytes, err);
    case MD_ONNX_FUNCTION_OPSET:
        return md_onnx__read_opset(&out->opsets[out->n_opsets++], r, f, err);
    default:
        return MD_OK;
    }
}

static md_status read_body(md_graph *g, md_onnx_reader *r, md_pb bytes,
                           md_error *err)
{
    static const struct {
        uint32_t number;
        visit *fn;
    } passes[] = {
        { MD_ONNX_FUNCTION_INPUT, read_parameter },
        { MD_ONNX_FUNCTION_NODE, read_node },
        { MD_ONNX_FUNCTION_OUTPUT, read_result },
        { MD_ONNX_FUNCTION_VALUE_INFO, read_hint },
    };

    for (size_t i = 0; i < MD_COUNT(passes); i++)
        MD_TRY(each(g, r, bytes, passes[i].number, passes[i].fn, err));
    return md_graph_verify(g, err);
}

md_status md_onnx__read_function(md_function *out, md_onnx_reader *r,
                                 md_pb bytes, md_error *err)
{
    md_pb fields = bytes;
    md_pb_field f;
    md_status s;

    *out = (md_function){ .name = "", .domain = "", .overload = "" };
    MD_TRY(md_graph_new(&out->body, r->model, NULL, "", err));
    MD_TRY(make_lists(out, r, bytes, err));
    for (;;) {
        MD_TRY(md_pb_next(&f, &fields, err));
        if (f.number == 0)
            break;
        MD_TRY(read_function_field(out, r, &f, err));
    }
    r->in_function = true;
    s = read_body(out->body, r, bytes, err);
    r->in_function = false;
    return s == MD_OK ? s : md_wrap(err, s, "function '%s': ", out->name);
}
