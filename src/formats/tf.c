/* Nodes, functions, signatures; what is in attributes is in tf_attr.c. */
#include "formats/tf.h"

#include <stdlib.h>
#include <string.h>

/* Field numbers, by message. */
enum {
    SAVED_META = 2,
    META_INFO = 1,
    META_GRAPH = 2,
    META_SIGNATURE = 5,
    META_ASSET = 6,
    INFO_TAG = 4,
    INFO_VERSION = 5,
    GRAPH_NODE = 1,
    GRAPH_LIBRARY = 2,
    LIBRARY_FUNCTION = 1,
    FUNCTION_SIGNATURE = 1,
    FUNCTION_NODE = 3,
    FUNCTION_RET = 4,
    OPDEF_NAME = 1,
    OPDEF_INPUT = 2,
    OPDEF_OUTPUT = 3,
    ARG_NAME = 1,
    ARG_TYPE = 3,
    NODE_NAME = 1,
    NODE_OP = 2,
    NODE_INPUT = 3,
    NODE_ATTR = 5,
    MAP_KEY = 1,
    MAP_VALUE = 2,
    SIGNATURE_INPUT = 1,
    SIGNATURE_OUTPUT = 2,
    INFO_NAME = 1,
    INFO_TYPE = 2,
    INFO_SHAPE = 3,
    ASSET_TENSOR = 1,
    ASSET_FILE = 2
};

/* What every reader needs. */
typedef struct reader {
    md_arena *ar;
    md_error *err;
} reader;

md_dtype md_tf_dtype(int type)
{
    static const md_dtype types[] = {
        [1] = MD_DTYPE_F32,    [2] = MD_DTYPE_F64,   [3] = MD_DTYPE_I32,
        [4] = MD_DTYPE_U8,     [5] = MD_DTYPE_I16,   [6] = MD_DTYPE_I8,
        [7] = MD_DTYPE_STRING, [8] = MD_DTYPE_C64,   [9] = MD_DTYPE_I64,
        [10] = MD_DTYPE_BOOL,  [11] = MD_DTYPE_I8,   [12] = MD_DTYPE_U8,
        [13] = MD_DTYPE_I32,   [14] = MD_DTYPE_BF16, [15] = MD_DTYPE_I16,
        [16] = MD_DTYPE_U16,   [17] = MD_DTYPE_U16,  [18] = MD_DTYPE_C128,
        [19] = MD_DTYPE_F16,   [22] = MD_DTYPE_U32,  [23] = MD_DTYPE_U64,
    };

    /* Types above 100 are references to variables of TensorFlow 1. */
    if (type > 100)
        type -= 100;
    if (type < 0 || (size_t)type >= sizeof(types) / sizeof(types[0]))
        return MD_DTYPE_NONE;
    return types[type];
}

/* --- what a file is --- */

/* Does the message begin with field `number`, a message that begins with
 * fields in [1, max] only?  A few fields are looked at. */
static bool begins_with(const void *bytes, size_t size, uint32_t number,
                        uint32_t max)
{
    md_pb r = md_pb_init(bytes, size);
    md_pb_field f;
    md_pb inner;

    if (size == 0 || md_pb_next(&f, &r, NULL) != MD_OK || f.number != number ||
        md_pb_message(&inner, &f, NULL) != MD_OK)
        return false;
    for (int i = 0; i < 4; i++) {
        if (md_pb_next(&f, &inner, NULL) != MD_OK || f.number > max)
            return false;
    }
    return true;
}

/* A node begins with its name and its operator, a word. */
bool md_tf_probe_graph(const void *bytes, size_t size)
{
    md_pb r = md_pb_init(bytes, size);
    md_pb_field f;
    md_pb node;

    if (size == 0 || md_pb_next(&f, &r, NULL) != MD_OK ||
        f.number != GRAPH_NODE || md_pb_message(&node, &f, NULL) != MD_OK ||
        md_pb_next(&f, &node, NULL) != MD_OK || f.number != NODE_NAME ||
        f.wire != MD_PB_LEN || md_pb_next(&f, &node, NULL) != MD_OK ||
        f.number != NODE_OP || f.wire != MD_PB_LEN || md_pb_size(&f.bytes) == 0)
        return false;
    for (const unsigned char *p = f.bytes.p; p < f.bytes.end; p++) {
        if (!(*p >= 'a' && *p <= 'z') && !(*p >= 'A' && *p <= 'Z') &&
            !(*p >= '0' && *p <= '9') && *p != '_' && *p != '>' && *p != '.')
            return false;
    }
    return true;
}

/* Version 1, then a meta graph; in ONNX's first version this would be a text. */
bool md_tf_probe_saved(const void *bytes, size_t size)
{
    md_pb r = md_pb_init(bytes, size);
    md_pb_field f;
    md_pb meta;

    return size > 0 && md_pb_next(&f, &r, NULL) == MD_OK && f.number == 1 &&
           f.value == 1 && f.wire == MD_PB_VARINT &&
           md_pb_next(&f, &r, NULL) == MD_OK && f.number == SAVED_META &&
           md_pb_message(&meta, &f, NULL) == MD_OK &&
           md_pb_next(&f, &meta, NULL) == MD_OK && f.wire == MD_PB_LEN &&
           (f.number == META_INFO || f.number == META_GRAPH);
}

/* Its information, with operators (2), tags (4), versions (5, 6) and so on,
 * behind which a graph comes. */
bool md_tf_probe_meta(const void *bytes, size_t size)
{
    md_pb r = md_pb_init(bytes, size);
    md_pb_field f;

    if (!begins_with(bytes, size, META_INFO, 9))
        return false;
    (void)md_pb_next(&f, &r, NULL); /* the first one again */
    if (md_pb_next(&f, &r, NULL) != MD_OK)
        return false;
    return f.number == META_GRAPH && f.wire == MD_PB_LEN &&
           md_tf_probe_graph(f.bytes.p, md_pb_size(&f.bytes));
}

/* --- names --- */

static int by_name(const void *a, const void *b)
{
    const md_tf_name *x = a;
    const md_tf_name *y = b;
    int d = strcmp(x->name, y->name);

    return d ? d : x->i < y->i ? -1 : x->i > y->i;
}

static const md_tf_name *find(const md_tf_index *x, const char *name, size_t n)
{
    uint32_t lo = 0;
    uint32_t hi = x->n;

    while (lo < hi) {
        uint32_t mid = lo + (hi - lo) / 2;
        int d = strncmp(x->names[mid].name, name, n);

        if (d < 0)
            lo = mid + 1;
        else
            hi = mid;
    }
    if (lo == x->n || strncmp(x->names[lo].name, name, n) != 0 ||
        x->names[lo].name[n] != '\0')
        return NULL;
    return &x->names[lo];
}

static md_status index_nodes(md_tf_nodes *b, reader *r)
{
    b->index.names =
        md_arena_calloc(r->ar, (size_t)b->n + 1, sizeof(*b->index.names));
    if (!b->index.names)
        return md_fail_nomem(r->err, b->n);
    for (uint32_t i = 0; i < b->n; i++)
        b->index.names[i] = (md_tf_name){ b->nodes[i].name, i };
    b->index.n = b->n;
    qsort(b->index.names, b->n, sizeof(*b->index.names), by_name);
    for (uint32_t i = 1; i < b->n; i++) {
        if (strcmp(b->index.names[i - 1].name, b->index.names[i].name) == 0)
            return md_fail(r->err, MD_CORRUPT,
                           "tensorflow: two nodes are called '%.80s'",
                           b->index.names[i].name);
    }
    return MD_OK;
}

const md_tf_node *md_tf_find_node(const md_tf_nodes *nodes, const char *name,
                                  size_t n_name)
{
    const md_tf_name *e = find(&nodes->index, name, n_name);

    return e ? &nodes->nodes[e->i] : NULL;
}

const md_tf_function *md_tf_find_function(const md_tf_graph *g,
                                          const char *name)
{
    const md_tf_name *e = find(&g->index, name, strlen(name));

    return e ? &g->functions[e->i] : NULL;
}

int64_t md_tf_find_arg(const md_tf_function *fn, const char *name)
{
    const md_tf_name *e = find(&fn->arg_index, name, strlen(name));

    return e ? (int64_t)e->i : -1;
}

/* --- nodes --- */

static md_status read_attr(md_tf_node *n, const md_pb_field *f, reader *r)
{
    md_tf_attr *a;
    md_pb bytes;
    md_pb_field g;

    MD_TRY(md_pb_message(&bytes, f, r->err));
    MD_TRY(md_arena_grow(r->ar, &n->attrs, &n->cap_attrs, n->n_attrs,
                         sizeof(*n->attrs), r->err));
    a = &n->attrs[n->n_attrs];
    *a = (md_tf_attr){ .name = "" };
    for (;;) {
        MD_TRY(md_pb_next(&g, &bytes, r->err));
        if (g.number == 0)
            break;
        if (g.number == MAP_KEY)
            MD_TRY(md_pb_text(&a->name, &g, r->ar, r->err));
        if (g.number == MAP_VALUE)
            MD_TRY(md_pb_message(&a->value, &g, r->err));
    }
    /* Notes of Grappler's and of Keras, which are nobody's business here. */
    if (a->name[0] != '_')
        n->n_attrs++;
    return MD_OK;
}

static md_status read_node(md_tf_nodes *b, const md_pb_field *f, reader *r)
{
    md_tf_node *n;
    md_pb bytes;
    md_pb_field g;

    MD_TRY(md_pb_message(&bytes, f, r->err));
    MD_TRY(md_arena_grow(r->ar, &b->nodes, &b->cap, b->n, sizeof(*b->nodes),
                         r->err));
    n = &b->nodes[b->n++];
    *n = (md_tf_node){ .name = "", .op = "" };
    for (;;) {
        MD_TRY(md_pb_next(&g, &bytes, r->err));
        switch (g.number) {
        case 0:
            if (n->op[0] && n->name[0])
                return MD_OK;
            return md_fail(r->err, MD_CORRUPT, "tensorflow: node %u has no %s",
                           b->n - 1, n->name[0] ? "operator" : "name");
        case NODE_NAME:
            MD_TRY(md_pb_text(&n->name, &g, r->ar, r->err));
            break;
        case NODE_OP:
            MD_TRY(md_pb_text(&n->op, &g, r->ar, r->err));
            break;
        case NODE_INPUT:
            MD_TRY(md_arena_grow(r->ar, &n->inputs, &n->cap_inputs, n->n_inputs,
                                 sizeof(*n->inputs), r->err));
            MD_TRY(md_pb_text(&n->inputs[n->n_inputs++], &g, r->ar, r->err));
            break;
        case NODE_ATTR:
            MD_TRY(read_attr(n, &g, r));
            break;
        default:
            break;
        }
    }
}

/* --- functions --- */

static md_status read_arg(md_tf_arg **args, uint32_t *n, uint32_t *cap,
                          const md_pb_field *f, reader *r)
{
    md_tf_arg *a;
    md_pb bytes;
    md_pb_field g;
    int64_t type = 0;

    MD_TRY(md_pb_message(&bytes, f, r->err));
    MD_TRY(md_arena_grow(r->ar, args, cap, *n, sizeof(**args), r->err));
    a = &(*args)[(*n)++];
    *a = (md_tf_arg){ .name = "", .value = "" };
    for (;;) {
        MD_TRY(md_pb_next(&g, &bytes, r->err));
        if (g.number == 0)
            break;
        if (g.number == ARG_NAME)
            MD_TRY(md_pb_text(&a->name, &g, r->ar, r->err));
        if (g.number == ARG_TYPE)
            MD_TRY(md_pb_int(&type, &g, r->err));
    }
    a->type = type > 0 && type < INT32_MAX ? (int)type : 0;
    return MD_OK;
}

static md_status read_opdef(md_tf_function *fn, const md_pb_field *f, reader *r)
{
    md_pb bytes;
    md_pb_field g;

    MD_TRY(md_pb_message(&bytes, f, r->err));
    for (;;) {
        MD_TRY(md_pb_next(&g, &bytes, r->err));
        if (g.number == 0)
            return MD_OK;
        if (g.number == OPDEF_NAME)
            MD_TRY(md_pb_text(&fn->name, &g, r->ar, r->err));
        if (g.number == OPDEF_INPUT)
            MD_TRY(read_arg(&fn->args, &fn->n_args, &fn->cap_args, &g, r));
        if (g.number == OPDEF_OUTPUT)
            MD_TRY(read_arg(&fn->rets, &fn->n_rets, &fn->cap_rets, &g, r));
    }
}

/* Two texts of a map's entry. */
static md_status read_pair(const char **key, const char **value,
                           const md_pb_field *f, reader *r)
{
    md_pb bytes;
    md_pb_field g;

    *key = *value = "";
    MD_TRY(md_pb_message(&bytes, f, r->err));
    for (;;) {
        MD_TRY(md_pb_next(&g, &bytes, r->err));
        if (g.number == 0)
            return MD_OK;
        if (g.number == MAP_KEY)
            MD_TRY(md_pb_text(key, &g, r->ar, r->err));
        if (g.number == MAP_VALUE)
            MD_TRY(md_pb_text(value, &g, r->ar, r->err));
    }
}

/* Which tensor each result is; the signature may come behind. */
static md_status read_rets(md_tf_function *fn, md_pb bytes, reader *r)
{
    md_pb_field f;

    for (;;) {
        const char *key;
        const char *value;

        MD_TRY(md_pb_next(&f, &bytes, r->err));
        if (f.number == 0)
            break;
        if (f.number != FUNCTION_RET)
            continue;
        MD_TRY(read_pair(&key, &value, &f, r));
        for (uint32_t i = 0; i < fn->n_rets; i++) {
            if (strcmp(fn->rets[i].name, key) == 0)
                fn->rets[i].value = value;
        }
    }
    for (uint32_t i = 0; i < fn->n_rets; i++) {
        if (!fn->rets[i].value[0])
            return md_fail(r->err, MD_CORRUPT,
                           "tensorflow: function '%.80s' never gives its "
                           "result '%.80s'",
                           fn->name, fn->rets[i].name);
    }
    return MD_OK;
}

static md_status index_args(md_tf_function *fn, reader *r)
{
    md_tf_index *x = &fn->arg_index;

    x->n = fn->n_args;
    x->names = md_arena_calloc(r->ar, (size_t)x->n + 1, sizeof(*x->names));
    if (!x->names)
        return md_fail_nomem(r->err, x->n);
    for (uint32_t i = 0; i < x->n; i++)
        x->names[i] = (md_tf_name){ fn->args[i].name, i };
    qsort(x->names, x->n, sizeof(*x->names), by_name);
    return MD_OK;
}

static md_status read_function(md_tf_graph *g, const md_pb_field *f, reader *r)
{
    md_tf_function *fn;
    md_pb bytes;
    md_pb all;
    md_pb_field x;

    MD_TRY(md_pb_message(&all, f, r->err));
    MD_TRY(md_arena_grow(r->ar, &g->functions, &g->cap_functions,
                         g->n_functions, sizeof(*g->functions), r->err));
    fn = &g->functions[g->n_functions++];
    *fn = (md_tf_function){ .name = "" };
    bytes = all;
    for (;;) {
        MD_TRY(md_pb_next(&x, &bytes, r->err));
        if (x.number == 0)
            break;
        if (x.number == FUNCTION_SIGNATURE)
            MD_TRY(read_opdef(fn, &x, r));
        if (x.number == FUNCTION_NODE)
            MD_TRY(read_node(&fn->body, &x, r));
    }
    MD_TRY(read_rets(fn, all, r));
    MD_TRY(index_args(fn, r));
    return index_nodes(&fn->body, r);
}

static md_status read_library(md_tf_graph *g, const md_pb_field *f, reader *r)
{
    md_pb bytes;
    md_pb_field x;

    MD_TRY(md_pb_message(&bytes, f, r->err));
    for (;;) {
        MD_TRY(md_pb_next(&x, &bytes, r->err));
        if (x.number == 0)
            return MD_OK;
        if (x.number == LIBRARY_FUNCTION)
            MD_TRY(read_function(g, &x, r));
    }
}

md_status md_tf_read_graph(md_tf_graph *out, md_pb bytes, md_arena *ar,
                           md_error *err)
{
    reader r = { ar, err };
    md_pb_field f;

    *out = (md_tf_graph){ .n_functions = 0 };
    for (;;) {
        MD_TRY(md_pb_next(&f, &bytes, err));
        if (f.number == 0)
            break;
        if (f.number == GRAPH_NODE)
            MD_TRY(read_node(&out->main, &f, &r));
        if (f.number == GRAPH_LIBRARY)
            MD_TRY(read_library(out, &f, &r));
    }
    MD_TRY(index_nodes(&out->main, &r));
    out->index.n = out->n_functions;
    out->index.names = md_arena_calloc(ar, (size_t)out->n_functions + 1,
                                       sizeof(*out->index.names));
    if (!out->index.names)
        return md_fail_nomem(err, out->n_functions);
    for (uint32_t i = 0; i < out->n_functions; i++)
        out->index.names[i] = (md_tf_name){ out->functions[i].name, i };
    qsort(out->index.names, out->n_functions, sizeof(*out->index.names),
          by_name);
    return MD_OK;
}

/* --- signatures --- */

static md_status read_info(md_tf_port *p, const md_pb_field *f, reader *r)
{
    int64_t type = 0;
    md_pb bytes;
    md_pb shape;
    md_pb_field g;

    MD_TRY(md_pb_message(&bytes, f, r->err));
    for (;;) {
        MD_TRY(md_pb_next(&g, &bytes, r->err));
        if (g.number == 0)
            break;
        if (g.number == INFO_NAME)
            MD_TRY(md_pb_text(&p->tensor, &g, r->ar, r->err));
        if (g.number == INFO_TYPE)
            MD_TRY(md_pb_int(&type, &g, r->err));
        if (g.number == INFO_SHAPE) {
            MD_TRY(md_pb_message(&shape, &g, r->err));
            MD_TRY(md_tf_read_shape(&p->shape, &p->has_rank, shape, r->err));
        }
    }
    p->type = type > 0 && type < INT32_MAX ? (int)type : 0;
    return MD_OK;
}

static md_status read_port(md_tf_port **ports, uint32_t *n, uint32_t *cap,
                           const md_pb_field *f, reader *r)
{
    md_tf_port *p;
    md_pb bytes;
    md_pb_field g;

    MD_TRY(md_pb_message(&bytes, f, r->err));
    MD_TRY(md_arena_grow(r->ar, ports, cap, *n, sizeof(**ports), r->err));
    p = &(*ports)[(*n)++];
    *p = (md_tf_port){ .name = "", .tensor = "" };
    for (;;) {
        MD_TRY(md_pb_next(&g, &bytes, r->err));
        if (g.number == 0)
            return MD_OK;
        if (g.number == MAP_KEY)
            MD_TRY(md_pb_text(&p->name, &g, r->ar, r->err));
        if (g.number == MAP_VALUE)
            MD_TRY(read_info(p, &g, r));
    }
}

static int by_port(const void *a, const void *b)
{
    return strcmp(((const md_tf_port *)a)->name, ((const md_tf_port *)b)->name);
}

static int by_signature(const void *a, const void *b)
{
    return strcmp(((const md_tf_signature *)a)->name,
                  ((const md_tf_signature *)b)->name);
}

static md_status read_ports(md_tf_signature *s, const md_pb_field *f, reader *r)
{
    md_pb bytes;
    md_pb_field g;

    MD_TRY(md_pb_message(&bytes, f, r->err));
    for (;;) {
        MD_TRY(md_pb_next(&g, &bytes, r->err));
        if (g.number == 0)
            break;
        if (g.number == SIGNATURE_INPUT)
            MD_TRY(read_port(&s->inputs, &s->n_inputs, &s->cap_inputs, &g, r));
        if (g.number == SIGNATURE_OUTPUT)
            MD_TRY(
                read_port(&s->outputs, &s->n_outputs, &s->cap_outputs, &g, r));
    }
    /* Maps have no order in a file. */
    if (s->n_inputs > 0)
        qsort(s->inputs, s->n_inputs, sizeof(*s->inputs), by_port);
    if (s->n_outputs > 0)
        qsort(s->outputs, s->n_outputs, sizeof(*s->outputs), by_port);
    return MD_OK;
}

static md_status read_signature(md_tf_meta *m, const md_pb_field *f, reader *r)
{
    md_tf_signature *s;
    md_pb bytes;
    md_pb_field g;

    MD_TRY(md_pb_message(&bytes, f, r->err));
    MD_TRY(md_arena_grow(r->ar, &m->signatures, &m->cap_signatures,
                         m->n_signatures, sizeof(*m->signatures), r->err));
    s = &m->signatures[m->n_signatures++];
    *s = (md_tf_signature){ .name = "" };
    for (;;) {
        MD_TRY(md_pb_next(&g, &bytes, r->err));
        if (g.number == 0)
            return MD_OK;
        if (g.number == MAP_KEY)
            MD_TRY(md_pb_text(&s->name, &g, r->ar, r->err));
        if (g.number == MAP_VALUE)
            MD_TRY(read_ports(s, &g, r));
    }
}

static md_status read_asset(md_tf_meta *m, const md_pb_field *f, reader *r)
{
    md_tf_port info = { .tensor = "" };
    const char *file = "";
    md_pb bytes;
    md_pb_field g;

    MD_TRY(md_pb_message(&bytes, f, r->err));
    for (;;) {
        MD_TRY(md_pb_next(&g, &bytes, r->err));
        if (g.number == 0)
            break;
        if (g.number == ASSET_TENSOR)
            MD_TRY(read_info(&info, &g, r));
        if (g.number == ASSET_FILE)
            MD_TRY(md_pb_text(&file, &g, r->ar, r->err));
    }
    MD_TRY(md_arena_grow(r->ar, &m->assets, &m->cap_assets, m->n_assets,
                         sizeof(*m->assets), r->err));
    m->assets[m->n_assets++] = (md_tf_asset){ info.tensor, file };
    return MD_OK;
}

static md_status read_version(md_tf_meta *m, const md_pb_field *f, reader *r)
{
    md_pb bytes;
    md_pb_field g;

    MD_TRY(md_pb_message(&bytes, f, r->err));
    for (;;) {
        MD_TRY(md_pb_next(&g, &bytes, r->err));
        if (g.number == 0)
            return MD_OK;
        if (g.number == INFO_VERSION)
            MD_TRY(md_pb_text(&m->version, &g, r->ar, r->err));
    }
}

md_status md_tf_read_meta(md_tf_meta *out, md_pb bytes, md_arena *ar,
                          md_error *err)
{
    reader r = { ar, err };
    md_pb_field f;
    md_pb graph;

    *out = (md_tf_meta){ .version = "" };
    MD_TRY(md_tf_read_graph(&out->graph, md_pb_init(NULL, 0), ar, err));
    for (;;) {
        MD_TRY(md_pb_next(&f, &bytes, err));
        if (f.number == 0)
            break;
        if (f.number == META_INFO)
            MD_TRY(read_version(out, &f, &r));
        if (f.number == META_GRAPH) {
            MD_TRY(md_pb_message(&graph, &f, err));
            MD_TRY(md_tf_read_graph(&out->graph, graph, ar, err));
        }
        if (f.number == META_SIGNATURE)
            MD_TRY(read_signature(out, &f, &r));
        if (f.number == META_ASSET)
            MD_TRY(read_asset(out, &f, &r));
    }
    if (out->n_signatures > 0)
        qsort(out->signatures, out->n_signatures, sizeof(*out->signatures),
              by_signature);
    return MD_OK;
}

/* --- SavedModel --- */

/* Has the meta graph the tag "serve"?  *tags gets all of them. */
static md_status read_tags(bool *serves, const char **tags, md_pb meta,
                           reader *r)
{
    md_pb_field f;
    md_pb info;

    *serves = false;
    for (;;) {
        MD_TRY(md_pb_next(&f, &meta, r->err));
        if (f.number == 0)
            return MD_OK;
        if (f.number != META_INFO)
            continue;
        MD_TRY(md_pb_message(&info, &f, r->err));
        for (;;) {
            const char *tag;

            MD_TRY(md_pb_next(&f, &info, r->err));
            if (f.number == 0)
                break;
            if (f.number != INFO_TAG)
                continue;
            MD_TRY(md_pb_text(&tag, &f, r->ar, r->err));
            *serves = *serves || strcmp(tag, "serve") == 0;
            *tags = md_arena_printf(r->ar, "%.200s%s%.60s", *tags,
                                    (*tags)[0] ? ", " : "", tag);
            if (!*tags)
                return md_fail_nomem(r->err, 1);
        }
    }
}

md_status md_tf_read_saved(md_tf_meta *out, md_pb bytes, md_arena *ar,
                           md_error *err)
{
    reader r = { ar, err };
    const char *tags = "";
    md_pb chosen = md_pb_init(NULL, 0);
    bool found = false;
    uint32_t n = 0;
    md_pb_field f;

    for (;;) {
        bool serves;
        md_pb meta;

        MD_TRY(md_pb_next(&f, &bytes, err));
        if (f.number == 0)
            break;
        if (f.number != SAVED_META)
            continue;
        MD_TRY(md_pb_message(&meta, &f, err));
        MD_TRY(read_tags(&serves, &tags, meta, &r));
        if ((serves && !found) || n == 0)
            chosen = meta;
        found = found || serves;
        n++;
    }
    if (n == 0 || (n > 1 && !found))
        return md_fail(err, MD_NOT_FOUND,
                       "savedmodel: %u meta graphs (tags: %s), one with the "
                       "tag 'serve' expected",
                       n, tags[0] ? tags : "none");
    return md_tf_read_meta(out, chosen, ar, err);
}
