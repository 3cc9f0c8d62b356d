#include "support/opeval.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "graph/expr.h"
#include "ops/eval.h"
#include "support/fail_alloc.h"
#include "support/test.h"
#include "support/text.h"
#include "tensor/compare.h"

enum {
    IO_MAX = 20
};

typedef struct line {
    text_reader t;
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
    md_status status;    /* expected */
    const char *message; /* a part of it */
} line;

static void take_head(line *l)
{
    md_value_id none[1] = { MD_VALUE_NONE };
    char domain[TEXT_WORD] = "", op[TEXT_WORD];
    size_t n = strcspn(l->t.p, " ");
    const char *dash = l->t.p, *dot = NULL;

    for (size_t i = 0; i < n; i++) {
        dash = l->t.p[i] == '-' ? l->t.p + i : dash;
        dot = l->t.p[i] == '.' ? l->t.p + i : dot;
    }
    if (dot)
        snprintf(domain, sizeof(domain), "%.*s", (int)(dot - l->t.p), l->t.p);
    dot = dot ? dot + 1 : l->t.p;
    snprintf(op, sizeof(op), "%.*s", (int)(dash - dot), dot);
    l->opset = atoi(dash + 1);
    l->t.p += n;
    if (dash <= dot ||
        md_graph_add_node(&l->node, l->model->graph,
                          &(md_node_spec){ domain, op, "", none, 0, none, 0 },
                          NULL) != MD_OK)
        l->t.fault = "operator and opset expected";
}

/* Attributes and inputs up to "->". */
static void take_inputs(line *l)
{
    for (;;) {
        char word[TEXT_WORD];

        text_space(&l->t);
        if (strncmp(l->t.p, "->", 2) == 0 || !*l->t.p || l->t.fault)
            break;
        text_word(&l->t, word);
        if (*l->t.p == '=') {
            text_attr(&l->t, l->model->graph, l->node, word);
        } else if (l->n_in == IO_MAX) {
            l->t.fault = "too many inputs";
        } else if (strcmp(word, "_") == 0) {
            l->n_in++;
        } else {
            l->has_in[l->n_in] = true;
            text_tensor(&l->t, word, &l->in[l->n_in++]);
        }
    }
    if (!l->t.fault && *l->t.p != '-')
        l->t.fault = "-> expected";
    l->t.p += l->t.fault ? 0 : 2;
}

static void take_outputs(line *l)
{
    for (text_space(&l->t); *l->t.p && !l->t.fault; text_space(&l->t)) {
        char word[TEXT_WORD];

        text_word(&l->t, word);
        for (int s = MD_OK + 1; s <= MD_INTERNAL; s++) {
            if (strcmp(word, md_status_name((md_status)s)) == 0) {
                l->status = (md_status)s;
                l->n_out = l->n_out ? l->n_out : 1;
                l->has_out[0] = true;
                text_space(&l->t);
                l->message = l->t.p;
                return;
            }
        }
        if (l->n_out == IO_MAX) {
            l->t.fault = "too many outputs";
        } else if (strcmp(word, "_") == 0) {
            l->n_out++;
        } else {
            l->has_out[l->n_out] = true;
            text_tensor(&l->t, word, &l->want[l->n_out]);
            l->tolerance[l->n_out] = 0;
            if (*l->t.p == '~') {
                l->t.p++;
                l->tolerance[l->n_out] = text_number(&l->t);
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
        l->t.fault = "out of memory";
        return;
    }
    for (uint32_t i = 0; i < 2 * IO_MAX; i++) {
        uint32_t k = i % IO_MAX;

        ids[i] = MD_VALUE_NONE;
        if ((i < IO_MAX ? l->has_in[k] : l->has_out[k]) &&
            md_graph_add_value(&ids[i], g, NULL, NULL) != MD_OK)
            l->t.fault = "value refused";
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
    if (t->kind == MD_KIND_TENSOR && t->dtype == MD_DTYPE_NONE && !t->has_rank)
        return true;
    if (t->kind != v->kind || t->of != v->of)
        return false;
    if (t->dtype != MD_DTYPE_NONE && t->dtype != v->dtype)
        return false;
    for (int64_t i = 0; v->kind != MD_KIND_TENSOR && i < md_tensor_n(v); i++) {
        md_type item = *t;

        item.kind = t->of;
        item.of = MD_KIND_TENSOR;
        if (v->kind != MD_KIND_MAP && !holds(&item, md_container_item(v, i)))
            return false;
    }
    if (v->kind != MD_KIND_TENSOR)
        return true;
    if (t->has_rank && t->rank != v->shape.rank)
        return false;
    for (int i = 0; t->has_rank && i < t->rank; i++) {
        if (md_dim_is_const(t->dim[i]) && t->dim[i].k != v->shape.dim[i])
            return false;
    }
    return true;
}

/* What inference is told about an input. */
enum knowledge {
    KNOW_SHAPE,    /* its type */
    KNOW_RANK,     /* element type and rank; each dimension is a symbol */
    KNOW_NOTHING,  /* that it is there */
    KNOW_CONTENTS, /* everything */
};

static md_type type_as_known(md_model *m, const md_tensor *t,
                             enum knowledge know)
{
    md_type type = md_type_of_value(t);

    if (know == KNOW_NOTHING)
        return (md_type){ .kind = t->kind, .of = t->of, .key = t->key };
    for (int d = 0; know == KNOW_RANK && d < type.rank; d++) {
        uint32_t sym = 0;

        (void)md_model_symbol(&sym, m, NULL, NULL);
        type.dim[d] = (md_dim){ .scale = 1, .sym = sym };
    }
    return type;
}

/* Of input `one` so much is known, of all others `know`. */
static bool infer_once(md_model *m, const md_node *n, int64_t opset,
                       const md_tensor *const *in, const md_tensor *out,
                       enum knowledge know, uint32_t one, enum knowledge of_one)
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
        enum knowledge k = i == one ? of_one : know;

        if (!in[i])
            continue;
        types[i] = type_as_known(m, in[i], k);
        pt[i] = &types[i];
        cin[i] =
            k == KNOW_CONTENTS && in[i]->kind == MD_KIND_TENSOR ? in[i] : NULL;
    }
    if (md_op_infer(op, &c, &err) != MD_OK) {
        print_error("inference %d, input %u %d, fails: %s\n", know,
                    (unsigned)one, of_one, err.msg);
        return false;
    }
    for (uint32_t i = 0; i < n->n_out; i++) {
        char a[256], b[MD_SHAPE_TEXT];

        if (n->out[i] == MD_VALUE_NONE || holds(&got[i], &out[i]))
            continue;
        print_error("inference %d, input %u %d, gives %s for output %u, which "
                    "is %s%s\n",
                    know, (unsigned)one, of_one,
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
    for (int know = KNOW_SHAPE; know <= KNOW_CONTENTS; know++) {
        for (int of = KNOW_SHAPE; of <= KNOW_CONTENTS; of++) {
            for (uint32_t i = 0; i < n->n_in; i++) {
                if (!infer_once(m, n, opset, in, out, (enum knowledge)know, i,
                                (enum knowledge)of))
                    return false;
            }
        }
        if (n->n_in == 0 &&
            !infer_once(m, n, opset, in, out, (enum knowledge)know, 0,
                        (enum knowledge)know))
            return false;
    }
    return true;
}

/* Inference of one node over types that have symbols. */
typedef struct exact {
    const md_op *op;
    md_infer c, concrete;
    md_sym *sym;
    uint32_t n_sym; /* of inputs */
    int64_t size[IO_MAX * MD_RANK_MAX];
} exact;

/* Do the contents of this input say what shape comes out? */
static bool steers(const md_tensor *t)
{
    return (t->dtype == MD_DTYPE_I64 || t->dtype == MD_DTYPE_I32 ||
            t->dtype == MD_DTYPE_F32) &&
           t->shape.rank <= 1 && md_tensor_n(t) <= 2 * MD_RANK_MAX;
}

/* Types of the inputs; input 0 is always one of symbols. */
static bool make_types(exact *e, md_model *m, const md_tensor *const *in)
{
    const md_node *n = e->c.node;
    md_type *types = md_arena_calloc(&m->arena, n->n_in + 1u, sizeof(*types));
    md_type *plain = md_arena_calloc(&m->arena, n->n_in + 1u, sizeof(*plain));
    const md_type **pt = md_arena_calloc(&m->arena, n->n_in + 1u, sizeof(*pt));
    const md_type **pp = md_arena_calloc(&m->arena, n->n_in + 1u, sizeof(*pp));
    const md_tensor **cin =
        md_arena_calloc(&m->arena, n->n_in + 1u, sizeof(*cin));

    if (!types || !plain || !pt || !pp || !cin)
        return false;
    for (uint32_t i = 0; i < n->n_in; i++) {
        if (!in[i])
            continue;
        plain[i] = types[i] = md_type_of_value(in[i]);
        pt[i] = &types[i];
        pp[i] = &plain[i];
        cin[i] = i > 0 && steers(in[i]) ? in[i] : NULL;
        if (in[i]->kind != MD_KIND_TENSOR)
            continue;
        for (int d = 0; d < types[i].rank && !cin[i]; d++) {
            uint32_t sym = 0;

            if (md_model_symbol(&sym, m, NULL, NULL) != MD_OK)
                return false;
            e->size[e->n_sym++] = types[i].dim[d].k;
            types[i].dim[d] = (md_dim){ .scale = 1, .sym = sym };
        }
    }
    e->c.in = pt;
    e->c.cin = cin;
    e->concrete = e->c;
    e->concrete.in = pp;
    e->concrete.model = NULL;
    return true;
}

static bool sizes_hold(const exact *e, const md_model *m, const md_tensor *out)
{
    for (uint32_t o = 0; o < e->c.node->n_out; o++) {
        const md_type *t = &e->c.out[o];

        for (int d = 0;
             e->c.node->out[o] != MD_VALUE_NONE && t->has_rank && d < t->rank;
             d++) {
            char text[120];
            int64_t v;

            if (!md_dim_value(&v, t->dim[d], e->sym) ||
                v == out[o].shape.dim[d])
                continue;
            print_error("dimension %d of output %u is %s = %lld, which is "
                        "%lld\n",
                        d, (unsigned)o,
                        md_dim_format(text, sizeof(text), m, t->dim[d]),
                        (long long)v, (long long)out[o].shape.dim[d]);
            return false;
        }
    }
    return true;
}

static bool all_closed(const exact *e)
{
    int64_t v;

    for (uint32_t o = 0; o < e->c.node->n_out; o++) {
        const md_type *t = &e->c.out[o];

        if (e->c.node->out[o] != MD_VALUE_NONE && !t->has_rank)
            return false;
        for (int d = 0; d < t->rank; d++) {
            if (!md_dim_value(&v, t->dim[d], e->sym))
                return false;
        }
    }
    return true;
}

/* What inference demands of sizes has to hold where the node computes. */
static bool demands_hold(const exact *e, const md_model *m)
{
    md_error err = MD_ERROR_INIT;

    if (md_model_check(m, e->sym, &err) == MD_OK)
        return true;
    print_error("refused by its symbols: %s\n", err.msg);
    return false;
}

/* May the node take sizes that are not as its symbols demand?  A session infers
 * it by its shapes then. */
static bool may_leave_out(const md_node *n, const md_tensor *const *in)
{
    bool nothing = false;

    for (uint32_t i = 0; i < n->n_in; i++)
        nothing |= in[i] && md_tensor_n(in[i]) == 0;
    return nothing && strcmp(n->op, "Concat") == 0;
}

bool opeval_symbols_agree(md_model *m, const md_node *n, int64_t opset,
                          const md_tensor *const *in, const md_tensor *out)
{
    uint32_t first = m->n_symbols;
    exact e = { .op = md_op_find(n->domain, n->op, opset) };
    md_error err = MD_ERROR_INIT;
    md_status s;
    bool fits;

    e.c = (md_infer){ .node = n, .model = m, .opset = opset };
    e.c.out = md_arena_calloc(&m->arena, n->n_out + 1u, sizeof(*e.c.out));
    if (!e.op || n->n_in > IO_MAX)
        return true;
    if (!e.c.out || !make_types(&e, m, in))
        return false;
    m->asking = n;
    s = md_op_infer(e.op, &e.c, &err);
    m->asking = NULL;
    if (s != MD_OK) {
        if (out)
            print_error("inference with symbols fails: %s\n", err.msg);
        return out == NULL;
    }
    e.sym = md_arena_calloc(&m->arena, m->n_symbols, sizeof(*e.sym));
    if (!e.sym)
        return false;
    for (uint32_t i = 0; i < e.n_sym; i++)
        e.sym[first + i] = (md_sym){ e.size[i], MD_SYM_KNOWN };
    fits = md_model_solve(m, e.sym);
    if (out && !fits && may_leave_out(n, in))
        return true;
    if (out && !demands_hold(&e, m))
        return false;
    if (!(e.op->flags & MD_OP_SYMBOLIC))
        return true;
    if (out)
        return sizes_hold(&e, m, out);
    if (!fits || !all_closed(&e) ||
        md_op_infer(e.op, &e.concrete, &err) == MD_OK)
        return true;
    print_error("symbols let pass: %s\n", err.msg);
    return false;
}

/* Comparison takes -0 for 0; here -0 has to be met. */
static bool zeros_agree(const md_tensor *got, const md_tensor *want)
{
    int64_t n = want->kind == MD_KIND_TENSOR && md_dtype_is_float(want->dtype)
                    ? md_tensor_n(want)
                    : 0;

    for (int64_t i = 0; i < n; i++) {
        double w = md_tensor_get_f64(want, i);

        if (w == 0.0 && signbit(w) && !signbit(md_tensor_get_f64(got, i))) {
            print_error("element %lld is 0, -0 expected\n", (long long)i);
            return false;
        }
    }
    return true;
}

static bool check_result(line *l, md_status s, const md_tensor *got,
                         md_error *err, const md_tensor *const *in)
{
    if (s != l->status || (s != MD_OK && !strstr(err->msg, l->message))) {
        print_error("%s: %s\n", md_status_name(s), err->msg);
        return false;
    }
    if (s != MD_OK)
        return opeval_symbols_agree(l->model, l->node, l->opset, in, NULL);
    for (uint32_t i = 0; i < l->n_out; i++) {
        double tol = l->tolerance[i];

        if (l->has_out[i] && md_tensor_compare(NULL, &got[i], &l->want[i], tol,
                                               tol, err) != MD_OK) {
            print_error("output %u: %s\n", (unsigned)i, err->msg);
            return false;
        }
        if (l->has_out[i] && !zeros_agree(&got[i], &l->want[i]))
            return false;
    }
    return opeval_infer_agrees(l->model, l->node, l->opset, in, got) &&
           opeval_symbols_agree(l->model, l->node, l->opset, in, got);
}

/* Read the line; false after printing what is wrong with it. */
static bool read_line(line *l, const char *text)
{
    *l = (line){ .t.p = text };
    if (md_model_new(&l->model, md_alloc_default(), 0, NULL) != MD_OK)
        return false;
    take_head(l);
    if (!l->t.fault)
        take_inputs(l);
    if (!l->t.fault)
        take_outputs(l);
    if (!l->t.fault)
        connect_node(l);
    if (l->t.fault)
        print_error("%s, at '%s'\n", l->t.fault, l->t.p);
    return !l->t.fault;
}

static void release_line(line *l)
{
    for (uint32_t i = 0; i < IO_MAX; i++) {
        md_tensor_release(&l->in[i]);
        md_tensor_release(&l->want[i]);
    }
    md_model_free(l->model);
}

static md_status eval_line(line *l, md_tensor *got, const md_tensor **in,
                           const md_alloc *alloc, md_error *err)
{
    for (uint32_t i = 0; i < l->n_in; i++)
        in[i] = l->has_in[i] ? &l->in[i] : NULL;
    return md_node_eval(got, l->node, l->opset, in, alloc, NULL, err);
}

static void release_results(const line *l, md_status s, md_tensor *got)
{
    for (uint32_t i = 0; s == MD_OK && i < l->n_out; i++)
        md_tensor_release(&got[i]);
}

bool opeval_line(const char *text, const char *file, int line_no)
{
    const md_tensor *in[IO_MAX] = { 0 };
    md_tensor got[IO_MAX];
    md_error err = MD_ERROR_INIT;
    bool ok;
    line l;

    ok = read_line(&l, text);
    if (ok) {
        md_status s = eval_line(&l, got, in, md_alloc_default(), &err);

        ok = check_result(&l, s, got, &err, in);
        release_results(&l, s, got);
    }
    if (!ok)
        print_error("%s:%d: %s\n", file, line_no, text);
    release_line(&l);
    return ok;
}

/* Once with allocation n failing.  *more is false when there are not so
 * many. */
static bool starve(line *l, fail_alloc *fa, int64_t n, bool *more)
{
    const md_tensor *in[IO_MAX] = { 0 };
    md_tensor got[IO_MAX];
    md_error err = MD_ERROR_INIT;
    md_status s;
    bool ok = true;

    fail_alloc_arm(fa, n);
    s = eval_line(l, got, in, &fa->alloc, &err);
    *more = fail_alloc_disarm(fa);
    if (*more && s != MD_NOMEM && s != l->status) {
        print_error("allocation %lld fails: %s: %s\n", (long long)n,
                    md_status_name(s), err.msg);
        ok = false;
    } else if (*more && s == MD_OK) {
        print_error("allocation %lld fails, and nobody tells\n", (long long)n);
        ok = false;
    } else if (!*more) {
        ok = check_result(l, s, got, &err, in);
    }
    release_results(l, s, got);
    if (atomic_load(&fa->n_live) != 0) {
        print_error("allocation %lld fails, and %lld blocks are left\n",
                    (long long)n, (long long)atomic_load(&fa->n_live));
        ok = false;
    }
    return ok;
}

bool opeval_line_starved(const char *text, const char *file, int line_no)
{
    bool more = true, ok;
    fail_alloc fa;
    line l;

    fail_alloc_init(&fa);
    ok = read_line(&l, text);
    for (int64_t n = 0; ok && more; n++)
        ok = starve(&l, &fa, n, &more);
    if (!ok)
        print_error("%s:%d: %s\n", file, line_no, text);
    release_line(&l);
    return ok;
}
