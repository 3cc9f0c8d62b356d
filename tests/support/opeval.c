#include "support/opeval.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ops/eval.h"
#include "support/test.h"
#include "tensor/compare.h"

enum {
    IO_MAX = 16,
    WORD_MAX = 64,
    LIST_MAX = 4096
};

typedef struct line {
    const char *p;
    md_model *model;
    md_node *node;
    int64_t opset;
    md_tensor in[IO_MAX];
    bool has_in[IO_MAX];
    uint32_t n_in;
    md_tensor want[IO_MAX];
    bool has_out[IO_MAX];
    double tolerance[IO_MAX];
    uint32_t n_out;
    md_status status; /* expected */
    const char *text; /* of the message */
    const char *fault;
} line;

static void skip_space(line *l)
{
    while (*l->p == ' ')
        l->p++;
}

static md_dtype short_type(const char *name)
{
    static const struct {
        const char *name;
        md_dtype t;
    } rows[] = {
        { "f32", MD_DTYPE_F32 },         { "f64", MD_DTYPE_F64 },
        { "f16", MD_DTYPE_F16 },         { "bf16", MD_DTYPE_BF16 },
        { "i8", MD_DTYPE_I8 },           { "u8", MD_DTYPE_U8 },
        { "i16", MD_DTYPE_I16 },         { "u16", MD_DTYPE_U16 },
        { "i32", MD_DTYPE_I32 },         { "u32", MD_DTYPE_U32 },
        { "i64", MD_DTYPE_I64 },         { "u64", MD_DTYPE_U64 },
        { "bool", MD_DTYPE_BOOL },       { "i4", MD_DTYPE_I4 },
        { "u4", MD_DTYPE_U4 },           { "i2", MD_DTYPE_I2 },
        { "u2", MD_DTYPE_U2 },           { "str", MD_DTYPE_STRING },
        { "e4m3fn", MD_DTYPE_F8E4M3FN }, { "e5m2", MD_DTYPE_F8E5M2 },
        { "f4", MD_DTYPE_F4E2M1 },
    };

    for (size_t i = 0; i < MD_COUNT(rows); i++) {
        if (strcmp(rows[i].name, name) == 0)
            return rows[i].t;
    }
    return MD_DTYPE_NONE;
}

/* Letters, digits and '_' into word. */
static void take_word(line *l, char *word)
{
    size_t n = 0;

    while ((isalnum((unsigned char)*l->p) || *l->p == '_') && n < WORD_MAX - 1)
        word[n++] = *l->p++;
    word[n] = '\0';
}

static double take_number(line *l)
{
    char *end;
    double v = strtod(l->p, &end);

    if (end == l->p)
        l->fault = "a number expected";
    l->p = end;
    return v;
}

/* Integers beyond 2^53 need their own reading. */
static void take_element(line *l, md_tensor *t, int64_t i, double add)
{
    const char *digits = *l->p == '-' ? l->p + 1 : l->p;
    size_t n = strspn(digits, "0123456789");
    char *end;

    if (n > 0 && digits[n] != '.' && digits[n] != 'e' &&
        (md_dtype_is_integer(t->dtype))) {
        int64_t v = *l->p == '-' ? strtoll(l->p, &end, 10)
                                 : (int64_t)strtoull(l->p, &end, 10);

        l->p = end;
        md_tensor_set_i64(t, i, v + (int64_t)add);
        return;
    }
    md_tensor_set_f64(t, i, take_number(l) + add);
}

static void take_string(line *l, md_tensor *t, int64_t i)
{
    size_t n = strcspn(l->p, " }");

    ((md_str *)t->data)[i] = (md_str){ l->p, n };
    l->p += n;
}

static void take_values(line *l, md_tensor *t)
{
    int64_t n = md_tensor_n(t);

    if (*l->p++ != '{') {
        l->fault = "{ expected";
        return;
    }
    if (*l->p == '=') {
        const char *at = ++l->p;

        for (int64_t i = 0; i < n; i++) {
            l->p = at;
            take_element(l, t, i, 0);
        }
    } else if (strstr(l->p, "..") && strstr(l->p, "..") < strchr(l->p, '}')) {
        double first = take_number(l);

        for (int64_t i = 0; i < n; i++)
            md_tensor_set_f64(t, i, first + (double)i);
        l->p = strchr(l->p, '}');
    } else {
        for (int64_t i = 0; i < n && !l->fault; i++) {
            skip_space(l);
            if (t->dtype == MD_DTYPE_STRING)
                take_string(l, t, i);
            else
                take_element(l, t, i, 0);
        }
    }
    skip_space(l);
    if (!l->fault && *l->p++ != '}')
        l->fault = "} expected: wrong number of elements";
}

/* "f32[2,3]{...}" after its type name was read. */
static void take_tensor(line *l, const char *type, md_tensor *t)
{
    md_dtype dtype = short_type(type);
    md_shape shape = { 0 };
    md_error err = MD_ERROR_INIT;

    if (dtype == MD_DTYPE_NONE || *l->p != '[') {
        l->fault = "a tensor expected";
        return;
    }
    l->p++;
    while (*l->p && *l->p != ']') {
        shape.dim[shape.rank++] = (int64_t)take_number(l);
        if (*l->p == ',')
            l->p++;
    }
    l->p++;
    if (md_tensor_alloc(t, dtype, &shape, md_alloc_default(), &err) != MD_OK) {
        l->fault = "tensor too large";
        return;
    }
    take_values(l, t);
}

static void take_list(line *l, const char *name)
{
    md_arena *ar = &l->model->arena;
    int64_t *ints = md_arena_calloc(ar, LIST_MAX, sizeof(*ints));
    float *floats = md_arena_calloc(ar, LIST_MAX, sizeof(*floats));
    bool real = false;
    md_attr a = { .name = name, .type = MD_ATTR_INTS };
    const char *end = strchr(l->p, ']');

    for (const char *c = l->p; end && c < end; c++)
        real = real || *c == '.';
    if (!ints || !floats) {
        l->fault = "out of memory";
        return;
    }
    l->p++;
    while (*l->p && *l->p != ']' && a.n < LIST_MAX && !l->fault) {
        double v = take_number(l);

        ints[a.n] = (int64_t)v;
        floats[a.n++] = (float)v;
        if (*l->p == ',')
            l->p++;
    }
    l->p++;
    a.v.is = ints;
    if (real) {
        a.type = MD_ATTR_FLOATS;
        a.v.fs = floats;
    }
    if (md_node_add_attr(l->model->graph, l->node, &a, NULL) != MD_OK)
        l->fault = "attribute refused";
}

static void take_attr(line *l, const char *name)
{
    md_graph *g = l->model->graph;
    md_status s = MD_OK;
    char text[WORD_MAX];
    const char *end;

    l->p++;
    if (*l->p == '[') {
        take_list(l, name);
        return;
    }
    if (*l->p == '"') {
        end = strchr(l->p + 1, '"');
        snprintf(text, sizeof(text), "%.*s", end ? (int)(end - l->p - 1) : 0,
                 l->p + 1);
        l->p = end ? end + 1 : "";
        s = md_node_set_attr_s(g, l->node, name, text, NULL);
    } else {
        size_t n = strcspn(l->p, " ");
        bool real = memchr(l->p, '.', n) != NULL;
        double v = take_number(l);

        s = real ? md_node_set_attr_f(g, l->node, name, (float)v, NULL)
                 : md_node_set_attr_i(g, l->node, name, (int64_t)v, NULL);
    }
    if (s != MD_OK)
        l->fault = "attribute refused";
}

static void take_head(line *l)
{
    md_value_id none[1] = { MD_VALUE_NONE };
    char domain[WORD_MAX] = "", op[WORD_MAX];
    size_t n = strcspn(l->p, " ");
    const char *dash = l->p, *dot = NULL;

    for (size_t i = 0; i < n; i++) {
        dash = l->p[i] == '-' ? l->p + i : dash;
        dot = l->p[i] == '.' ? l->p + i : dot;
    }
    if (dot)
        snprintf(domain, sizeof(domain), "%.*s", (int)(dot - l->p), l->p);
    dot = dot ? dot + 1 : l->p;
    snprintf(op, sizeof(op), "%.*s", (int)(dash - dot), dot);
    l->opset = atoi(dash + 1);
    l->p += n;
    if (dash <= dot || md_graph_add_node(&l->node, l->model->graph, domain, op,
                                         "", none, 0, none, 0, NULL) != MD_OK)
        l->fault = "operator and opset expected";
}

/* Attributes and inputs up to "->". */
static void take_inputs(line *l)
{
    for (;;) {
        char word[WORD_MAX];

        skip_space(l);
        if (strncmp(l->p, "->", 2) == 0 || !*l->p || l->fault)
            break;
        take_word(l, word);
        if (*l->p == '=') {
            take_attr(l, word);
        } else if (l->n_in == IO_MAX) {
            l->fault = "too many inputs";
        } else if (strcmp(word, "_") == 0) {
            l->n_in++;
        } else {
            l->has_in[l->n_in] = true;
            take_tensor(l, word, &l->in[l->n_in++]);
        }
    }
    if (!l->fault && *l->p != '-')
        l->fault = "-> expected";
    l->p += l->fault ? 0 : 2;
}

static void take_outputs(line *l)
{
    for (skip_space(l); *l->p && !l->fault; skip_space(l)) {
        char word[WORD_MAX];

        take_word(l, word);
        for (int s = MD_OK + 1; s <= MD_INTERNAL; s++) {
            if (strcmp(word, md_status_name((md_status)s)) == 0) {
                l->status = (md_status)s;
                l->n_out = l->n_out ? l->n_out : 1;
                l->has_out[0] = true;
                skip_space(l);
                l->text = l->p;
                return;
            }
        }
        if (l->n_out == IO_MAX) {
            l->fault = "too many outputs";
        } else if (strcmp(word, "_") == 0) {
            l->n_out++;
        } else {
            l->has_out[l->n_out] = true;
            take_tensor(l, word, &l->want[l->n_out]);
            l->tolerance[l->n_out] = 0;
            if (*l->p == '~') {
                l->p++;
                l->tolerance[l->n_out] = take_number(l);
            }
            l->n_out++;
        }
    }
}

static void connect_node(line *l)
{
    md_graph *g = l->model->graph;
    md_value_id *ids =
        md_arena_calloc(&l->model->arena, 2 * IO_MAX, sizeof(*ids));

    if (!ids) {
        l->fault = "out of memory";
        return;
    }
    for (uint32_t i = 0; i < 2 * IO_MAX; i++) {
        uint32_t k = i % IO_MAX;

        ids[i] = MD_VALUE_NONE;
        if ((i < IO_MAX ? l->has_in[k] : l->has_out[k]) &&
            md_graph_add_value(&ids[i], g, NULL, NULL) != MD_OK)
            l->fault = "value refused";
    }
    l->node->in = ids;
    l->node->n_in = l->n_in;
    l->node->out = ids + IO_MAX;
    l->node->n_out = l->n_out;
}

/* An inferred type that holds for this tensor: constants are equal, and a
 * symbol says nothing. */
static bool holds(const md_type *t, const md_tensor *v)
{
    if (t->dtype != MD_DTYPE_NONE && t->dtype != v->dtype)
        return false;
    if (t->has_rank && t->rank != v->shape.rank)
        return false;
    for (int i = 0; t->has_rank && i < t->rank; i++) {
        if (md_dim_is_const(t->dim[i]) && t->dim[i].k != v->shape.dim[i])
            return false;
    }
    return true;
}

static bool infer_once(md_model *m, const md_node *n, int64_t opset,
                       const md_tensor *const *in, const md_tensor *out,
                       int how)
{
    const md_op *op = md_op_find(n->domain, n->op, opset);
    md_type *types = md_arena_calloc(&m->arena, n->n_in + 1u, sizeof(*types));
    const md_type **pt = md_arena_calloc(&m->arena, n->n_in + 1u, sizeof(*pt));
    const md_tensor **cin =
        md_arena_calloc(&m->arena, n->n_in + 1u, sizeof(*cin));
    md_type *got = md_arena_calloc(&m->arena, n->n_out + 1u, sizeof(*got));
    md_error err = MD_ERROR_INIT;
    md_infer c = {
        .node = n, .model = m, .opset = opset, .in = pt, .cin = cin, .out = got
    };

    if (!op || !types || !pt || !cin || !got)
        return false;
    for (uint32_t i = 0; i < n->n_in; i++) {
        if (!in[i])
            continue;
        types[i] = md_type_of_tensor(in[i]->dtype, &in[i]->shape);
        for (int d = 0; how >= 1 && d < types[i].rank; d++) {
            uint32_t sym = 0;

            (void)md_model_symbol(&sym, m, NULL, NULL);
            types[i].dim[d] = (md_dim){ .scale = 1, .sym = sym };
        }
        if (how == 2)
            types[i] = (md_type){ .dtype = MD_DTYPE_NONE };
        pt[i] = &types[i];
    }
    if (md_op_infer(op, &c, &err) != MD_OK) {
        print_error("inference %d fails: %s\n", how, err.msg);
        return false;
    }
    for (uint32_t i = 0; i < n->n_out; i++) {
        char a[256], b[MD_SHAPE_TEXT];

        if (n->out[i] == MD_VALUE_NONE || holds(&got[i], &out[i]))
            continue;
        print_error("inference %d gives %s for output %u, which is %s%s\n", how,
                    md_type_format(a, sizeof(a), m, &got[i]), (unsigned)i,
                    md_dtype_name(out[i].dtype),
                    md_shape_format(b, sizeof(b), &out[i].shape));
        return false;
    }
    return true;
}

bool opeval_infer_agrees(md_model *m, const md_node *n, int64_t opset,
                         const md_tensor *const *in, const md_tensor *out)
{
    for (int how = 0; how < 3; how++) {
        if (!infer_once(m, n, opset, in, out, how))
            return false;
    }
    return true;
}

static bool check_result(line *l, md_status s, const md_tensor *got,
                         md_error *err, const md_tensor *const *in)
{
    if (s != l->status || (s != MD_OK && !strstr(err->msg, l->text))) {
        print_error("%s: %s\n", md_status_name(s), err->msg);
        return false;
    }
    if (s != MD_OK)
        return true;
    for (uint32_t i = 0; i < l->n_out; i++) {
        double tol = l->tolerance[i];

        if (l->has_out[i] && md_tensor_compare(NULL, &got[i], &l->want[i], tol,
                                               tol, err) != MD_OK) {
            print_error("output %u: %s\n", (unsigned)i, err->msg);
            return false;
        }
    }
    return opeval_infer_agrees(l->model, l->node, l->opset, in, got);
}

bool opeval_line(const char *text, const char *file, int line_no)
{
    line l = { .p = text };
    const md_tensor *in[IO_MAX] = { 0 };
    md_tensor got[IO_MAX];
    md_error err = MD_ERROR_INIT;
    bool ok = false;

    if (md_model_new(&l.model, md_alloc_default(), 0, &err) != MD_OK)
        return false;
    take_head(&l);
    if (!l.fault)
        take_inputs(&l);
    if (!l.fault)
        take_outputs(&l);
    if (!l.fault)
        connect_node(&l);
    if (l.fault) {
        print_error("%s, at '%s'\n", l.fault, l.p);
    } else {
        md_status s;

        for (uint32_t i = 0; i < l.n_in; i++)
            in[i] = l.has_in[i] ? &l.in[i] : NULL;
        s = md_node_eval(got, l.node, l.opset, in, md_alloc_default(), NULL,
                         &err);
        ok = check_result(&l, s, got, &err, in);
        for (uint32_t i = 0; s == MD_OK && i < l.n_out; i++)
            md_tensor_release(&got[i]);
    }
    if (!ok)
        print_error("%s:%d: %s\n", file, line_no, text);
    for (uint32_t i = 0; i < IO_MAX; i++) {
        md_tensor_release(&l.in[i]);
        md_tensor_release(&l.want[i]);
    }
    md_model_free(l.model);
    return ok;
}
