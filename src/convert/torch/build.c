/* Calls of operators: rows, arguments, what is refused. */
#include "convert/torch/build.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    CALLS_MAX = 1 << 20, /* bodies of loops count each time */
    SHOWN_MAX = 8,       /* refusals in one message */
    NAME_MAX_SIZE = 64   /* of an operator or an argument */
};

static const md_torch_row rows[] = {
#define ATEN(name, args, fn, onnx) { name, args, md_torch_emit_##fn, onnx },
#include "convert/torch/aten.def"
#undef ATEN
    { 0 }
};

bool md_torch_has_op(const char *name)
{
    for (const md_torch_row *r = rows; r->name; r++) {
        if (strcmp(r->name, name) == 0)
            return true;
    }
    return false;
}

/* --- arguments --- */

/* One argument of a row's list. */
typedef struct formal {
    bool named; /* given by its name alone */
    const char *name;
    size_t n_name;
    char type;
    const char *otherwise; /* text of the default; NULL: needed */
    size_t n_otherwise;
} formal;

/* Read the next argument of the list; false at its end. */
static bool next_formal(formal *f, const char **at)
{
    const char *p = *at;
    const char *end;

    while (*p == ' ')
        p++;
    if (*p == '*') {
        f->named = true;
        for (p++; *p == ' '; p++)
            ;
    }
    if (*p == '\0')
        return false;
    end = p + strcspn(p, " ");
    f->name = p;
    f->n_name = strcspn(p, ":");
    f->type = p[f->n_name + 1];
    p += f->n_name + 2;
    f->otherwise = *p == '=' ? p + 1 : NULL;
    f->n_otherwise = *p == '=' ? (size_t)(end - p - 1) : 0;
    *at = end;
    return true;
}

static bool all_of(const md_tv *v, md_tv_kind a, md_tv_kind b)
{
    if (!md_tv_is_list(v))
        return false;
    for (uint32_t i = 0; i < v->v.list->n; i++) {
        if (v->v.list->item[i].kind != a && v->v.list->item[i].kind != b)
            return false;
    }
    return true;
}

/* Tensors, Nones, and what an operator that is not supported gave. */
static bool all_of_three(const md_tv *v)
{
    if (!md_tv_is_list(v))
        return false;
    for (uint32_t i = 0; i < v->v.list->n; i++) {
        md_tv_kind k = v->v.list->item[i].kind;

        if (k != MD_TV_TENSOR && k != MD_TV_NONE && k != MD_TV_LOST)
            return false;
    }
    return true;
}

static bool fits(char type, const md_tv *v)
{
    if (type >= 'A' && type <= 'Z' && type != 'X') {
        if (v->kind == MD_TV_NONE)
            return true;
        type = (char)(type - 'A' + 'a');
    }
    switch (type) {
    case 't':
        return v->kind == MD_TV_TENSOR || v->kind == MD_TV_LOST;
    case 'a':
        return v->kind == MD_TV_TENSOR || v->kind == MD_TV_LOST ||
               md_tv_is_number(v);
    case 'n':
        return md_tv_is_number(v);
    case 'i':
        return v->kind == MD_TV_INT;
    case 'f':
        return v->kind == MD_TV_FLOAT || v->kind == MD_TV_INT;
    case 'b':
        return v->kind == MD_TV_BOOL || (v->kind == MD_TV_INT && !v->computed);
    case 's':
        return v->kind == MD_TV_TEXT;
    case 'l':
        return v->kind == MD_TV_INT || all_of(v, MD_TV_INT, MD_TV_INT);
    case 'q':
        return v->kind == MD_TV_FLOAT || all_of(v, MD_TV_FLOAT, MD_TV_INT);
    case 'x':
        return (v->kind == MD_TV_LIST && v->v.list->stacked) ||
               all_of(v, MD_TV_TENSOR, MD_TV_LOST);
    case 'X':
        return all_of_three(v);
    case 'v':
        return md_tv_is_list(v) || v->kind == MD_TV_DICT;
    default:
        return true;
    }
}

static md_tv default_of(md_torch *b, const formal *f)
{
    char text[NAME_MAX_SIZE];
    size_t n =
        f->n_otherwise < sizeof(text) - 1 ? f->n_otherwise : sizeof(text) - 1;

    memcpy(text, f->otherwise, n);
    text[n] = '\0';
    if (strcmp(text, "None") == 0)
        return md_tv_none();
    if (strcmp(text, "True") == 0 || strcmp(text, "False") == 0)
        return md_tv_bool(text[0] == 'T');
    if (strcmp(text, "[]") == 0)
        return md_tv_list(b, MD_TV_LIST, 0);
    if (f->type == 's')
        return md_tv_text(md_arena_strdup(b->e.arena, text));
    if (f->type == 'f' || strpbrk(text, ".e"))
        return md_tv_float(strtod(text, NULL));
    return md_tv_int(strtoll(text, NULL, 10));
}

/* What the caller gave. */
typedef struct actual {
    const md_tv *args;
    uint32_t n;
    const char *const *names;
    const md_tv *named;
    uint32_t n_named;
} actual;

static const md_tv *find_named(const actual *a, const formal *f)
{
    for (uint32_t i = 0; i < a->n_named; i++) {
        if (strlen(a->names[i]) == f->n_name &&
            memcmp(a->names[i], f->name, f->n_name) == 0)
            return &a->named[i];
    }
    return NULL;
}

/* Can the row be called like this?  Then c's arguments are set. */
static bool bind(md_torch_call *c, const md_torch_row *row, const actual *a)
{
    const char *at = row->args;
    uint32_t used = 0, n = 0, i = 0;
    formal f = { .named = false };

    for (; next_formal(&f, &at); i++) {
        const md_tv *v = i < a->n && !f.named ? &a->args[i] : find_named(a, &f);

        n += !f.named;
        if (v && (i >= a->n || f.named))
            used++;
        if (v && !fits(f.type, v))
            return false;
        if (!v && !f.otherwise)
            return false;
        c->arg[i] = v ? *v : default_of(c->b, &f);
    }
    c->row = row;
    return a->n <= n && used == a->n_named;
}

static bool find_row(md_torch_call *c, const char *name, const actual *a)
{
    for (const md_torch_row *r = rows; r->name; r++) {
        if (strcmp(r->name, name) == 0 && bind(c, r, a))
            return true;
    }
    return false;
}

/* --- refusals --- */

static const char *copy_text(md_torch *b, const char *text)
{
    const char *p = md_arena_strdup(b->e.arena, text);

    return p ? p : "";
}

void md_torch_refuse(md_torch *b, const char *op, const char *why)
{
    for (uint32_t i = 0; i < b->n_refusals; i++) {
        if (strcmp(b->refusals[i].op, op) == 0 &&
            strcmp(b->refusals[i].why, why) == 0) {
            b->refusals[i].n++;
            return;
        }
    }
    if (md_emit_ok(&b->e, md_arena_grow(b->e.arena, &b->refusals,
                                        &b->cap_refusals, b->n_refusals,
                                        sizeof(*b->refusals), b->e.err)))
        b->refusals[b->n_refusals++] =
            (md_torch_refusal){ copy_text(b, op), copy_text(b, why),
                                copy_text(b, b->where ? b->where : ""), 1 };
}

/* The failure of an operator becomes one of the list. */
static void note_failure(md_torch *b, const char *op)
{
    char why[MD_ERROR_MSG_SIZE];
    const char *text = b->e.err ? b->e.err->msg : "";
    size_t n = strlen(b->e.source);

    /* Without "torch: " and the operator's name in front. */
    if (strncmp(text, b->e.source, n) == 0 && strncmp(text + n, ": ", 2) == 0)
        text += n + 2;
    n = strlen(op);
    if (strncmp(text, op, n) == 0 && strncmp(text + n, ": ", 2) == 0)
        text += n + 2;
    snprintf(why, sizeof(why), "%s", text);
    b->e.status = MD_OK;
    md_torch_refuse(b, op, why);
}

void md_torch_tell(md_torch *b)
{
    char text[MD_ERROR_MSG_SIZE] = "";
    uint32_t shown = 0;

    /* A failure after a refusal is one of its consequences. */
    if (b->n_refusals == 0 ||
        (b->e.status != MD_OK && b->e.status != MD_UNSUPPORTED &&
         b->e.status != MD_INVALID))
        return;
    for (; shown < b->n_refusals && shown < SHOWN_MAX; shown++) {
        const md_torch_refusal *r = &b->refusals[shown];
        size_t n = strlen(text);

        if (n > sizeof(text) - 190)
            break;
        snprintf(text + n, sizeof(text) - n, "%s%.40s (%u%s%.80s%s%.40s)",
                 n ? ", " : "", r->op, r->n, r->why[0] ? ": " : "", r->why,
                 r->where[0] ? ", at " : "", r->where);
    }
    if (shown < b->n_refusals) {
        size_t n = strlen(text);

        snprintf(text + n, sizeof(text) - n, ", and %u more",
                 b->n_refusals - shown);
    }
    b->e.status = md_fail(b->e.err, MD_UNSUPPORTED, "%s: not supported: %s",
                          b->e.source, text);
}

/* --- calls --- */

static const md_tv lost = { .kind = MD_TV_LOST,
                            .v.s = "of an operator that is not supported" };

/* The other form of an in-place name; false when it is none. */
static bool out_of_place(char name[NAME_MAX_SIZE], const char *inplace)
{
    size_t n = strlen(inplace);

    if (n < 2 || n >= NAME_MAX_SIZE || inplace[n - 1] != '_' ||
        inplace[n - 2] == '_')
        return false;
    memcpy(name, inplace, n - 1);
    name[n - 1] = '\0';
    return true;
}

static bool is_lost(const actual *a)
{
    for (uint32_t i = 0; i < a->n; i++) {
        const md_tv *v = &a->args[i];

        if (v->kind == MD_TV_LOST)
            return true;
        for (uint32_t k = 0; md_tv_is_list(v) && k < v->v.list->n; k++) {
            if (v->v.list->item[k].kind == MD_TV_LOST)
                return true;
        }
    }
    return false;
}

static void refuse_call(md_torch *b, const char *name, const actual *a)
{
    char why[160] = "";

    if (md_torch_has_op(name)) {
        snprintf(why, sizeof(why), "such arguments:");
        for (uint32_t i = 0; i < a->n && strlen(why) < 120; i++)
            snprintf(why + strlen(why), sizeof(why) - strlen(why), " %s",
                     md_tv_kind_text(&a->args[i]));
    }
    md_torch_refuse(b, name, why);
}

static md_tv run_row(md_torch *b, md_torch_call *c, const char *name,
                     bool in_place)
{
    const char *outer = b->e.op;
    md_torch_tensor *into =
        in_place && c->arg[0].kind == MD_TV_TENSOR ? c->arg[0].v.t : NULL;

    b->e.op = name;
    c->out = md_tv_none();
    c->row->emit(c);
    if (into && c->out.kind == MD_TV_TENSOR && b->e.status == MD_OK) {
        md_value_id old = md_tv_id(b, &c->arg[0]);

        md_torch_write(b, into,
                       md_emit_cast(&b->e, md_tv_id(b, &c->out),
                                    md_emit_type(&b->e, old)->dtype));
        c->out = c->arg[0];
    }
    /* What a program asks of shapes that do not fit is not supported for these
     * inputs either. */
    if (b->e.status == MD_UNSUPPORTED || b->e.status == MD_INVALID) {
        note_failure(b, name);
        c->out = lost;
    }
    b->e.op = outer;
    return c->out;
}

static bool has_row(const char *name)
{
    char plain[NAME_MAX_SIZE];

    return md_torch_has_op(name) ||
           (out_of_place(plain, name) && md_torch_has_op(plain));
}

md_tv md_torch_call_op(md_torch *b, const char *name, const md_tv *args,
                       uint32_t n, const char *const *names, const md_tv *named,
                       uint32_t n_named)
{
    actual a = { args, n, names, named, n_named };
    md_torch_call c = { .b = b, .e = &b->e };
    char plain[NAME_MAX_SIZE];

    if (b->e.status != MD_OK)
        return lost;
    if (++b->n_calls > CALLS_MAX) {
        md_emit_fail(&b->e, MD_TOO_LARGE, "more than %d operators", CALLS_MAX);
        return lost;
    }
    if (find_row(&c, name, &a)) {
        if (is_lost(&a))
            return lost;
        return run_row(b, &c, name, false);
    }
    if (out_of_place(plain, name) && find_row(&c, plain, &a))
        return is_lost(&a) ? lost : run_row(b, &c, name, true);
    /* One without a row is missing whatever it is called with. */
    if (!is_lost(&a) || !has_row(name))
        refuse_call(b, name, &a);
    return lost;
}

/* --- for emitters --- */

md_value_id md_torch_x(md_torch_call *c, uint32_t i)
{
    return md_tv_id(c->b, &c->arg[i]);
}

bool md_torch_given(const md_torch_call *c, uint32_t i)
{
    return c->arg[i].kind != MD_TV_NONE;
}

static bool is_known(md_torch_call *c, uint32_t i)
{
    if (!c->arg[i].computed && md_tv_is_number(&c->arg[i]))
        return true;
    md_emit_fail(c->e, MD_UNSUPPORTED,
                 "argument %u is a %s that only the data tells", i + 1,
                 md_tv_kind_text(&c->arg[i]));
    return false;
}

int64_t md_torch_i(md_torch_call *c, uint32_t i)
{
    if (!is_known(c, i))
        return 0;
    return c->arg[i].kind == MD_TV_FLOAT ? (int64_t)c->arg[i].v.f
                                         : c->arg[i].v.i;
}

double md_torch_f(md_torch_call *c, uint32_t i)
{
    if (!is_known(c, i))
        return 0;
    return c->arg[i].kind == MD_TV_FLOAT ? c->arg[i].v.f
                                         : (double)c->arg[i].v.i;
}

bool md_torch_b(md_torch_call *c, uint32_t i)
{
    return is_known(c, i) && c->arg[i].v.i != 0;
}

const char *md_torch_s(md_torch_call *c, uint32_t i)
{
    return c->arg[i].kind == MD_TV_TEXT ? c->arg[i].v.s : "";
}

int md_torch_ints(md_torch_call *c, uint32_t i, int64_t *out, int max)
{
    const md_tv *v = &c->arg[i];
    const md_tv *item = md_tv_is_list(v) ? v->v.list->item : v;
    int n = md_tv_is_list(v) ? (int)v->v.list->n : v->kind != MD_TV_NONE;

    if (n > max) {
        md_emit_fail(c->e, MD_CORRUPT,
                     "argument %u has %d numbers, at most %d"
                     " expected",
                     i + 1, n, max);
        return 0;
    }
    for (int k = 0; k < n; k++) {
        if (item[k].computed || item[k].kind == MD_TV_FLOAT) {
            md_emit_fail(c->e, MD_UNSUPPORTED,
                         "argument %u has a number that only the data tells",
                         i + 1);
            return 0;
        }
        out[k] = item[k].v.i;
    }
    return n;
}

void md_torch_spatial(md_torch_call *c, uint32_t i, int64_t *out, int n)
{
    int got = md_torch_ints(c, i, out, n);

    if (got == n)
        return;
    if (got != 1 && c->e->status == MD_OK)
        md_emit_fail(c->e, MD_CORRUPT,
                     "argument %u has %d numbers, 1 or %d expected", i + 1, got,
                     n);
    for (int k = 1; k < n; k++)
        out[k] = out[0];
}

/* A computed number as a tensor [1]: what it was squeezed from, where it was. */
static md_value_id as_list(md_torch *b, const md_tv *v)
{
    md_emit *e = &b->e;
    const md_node *n = NULL;
    const md_type *t;

    if (e->status == MD_OK && v->v.t->home == e->s)
        n = md_graph_value(e->s->g, v->v.t->id)->def;
    if (n && strcmp(n->op, "Squeeze") == 0) {
        t = md_emit_type(e, n->in[0]);
        if (t->dtype == MD_DTYPE_I64 && t->has_rank && t->rank == 1)
            return n->in[0];
    }
    return md_emit_unsqueeze(e, md_tv_id(b, v), 0);
}

md_value_id md_torch_list_id(md_torch *b, const md_torch_list *list)
{
    md_emit *e = &b->e;
    md_value_id *part = md_emit_alloc(e, list->n, sizeof(*part));
    int64_t *known = md_emit_alloc(e, list->n, sizeof(*known));
    bool all = true;

    if (!part || !known)
        return MD_VALUE_NONE;
    for (uint32_t i = 0; i < list->n; i++) {
        all = all && !list->item[i].computed;
        known[i] = list->item[i].v.i;
    }
    if (all)
        return md_emit_ints(e, known, list->n);
    for (uint32_t i = 0; i < list->n; i++)
        part[i] = list->item[i].computed
                      ? as_list(b, &list->item[i])
                      : md_emit_ints(e, &list->item[i].v.i, 1);
    return list->n == 1 ? part[0]
                        : md_emit_op(e, "Concat", part, list->n,
                                     EMIT_ATTRS(EMIT_I("axis", 0)));
}

md_value_id md_torch_sizes(md_torch_call *c, uint32_t i)
{
    if (md_tv_is_list(&c->arg[i]))
        return md_torch_list_id(c->b, c->arg[i].v.list);
    return md_emit_reshape(c->e, md_torch_x(c, i), (int64_t[]){ 1 }, 1);
}

uint32_t md_torch_n(const md_torch_call *c, uint32_t i)
{
    return md_tv_is_list(&c->arg[i]) ? c->arg[i].v.list->n : 0;
}

md_value_id md_torch_item(md_torch_call *c, uint32_t i, uint32_t k)
{
    return md_tv_id(c->b, &c->arg[i].v.list->item[k]);
}

const md_type *md_torch_type(const md_torch_call *c, md_value_id id)
{
    return md_emit_type(c->e, id);
}

int md_torch_rank(md_torch_call *c, md_value_id id)
{
    const md_type *t = md_emit_type(c->e, id);

    if (!t->has_rank && c->e->status == MD_OK)
        md_emit_fail(c->e, MD_UNSUPPORTED,
                     "a tensor of which not even the rank is known");
    return t->rank;
}

md_dtype md_torch_dtype_of(const md_torch_call *c, md_value_id id)
{
    return md_emit_type(c->e, id)->dtype;
}

int md_torch_axis(md_torch_call *c, int64_t axis, int rank)
{
    int64_t n = rank > 0 ? rank : 1;

    if (axis >= -n && axis < n)
        return (int)(axis < 0 ? axis + n : axis);
    md_emit_fail(c->e, MD_INVALID, "axis %lld of a tensor of rank %d",
                 (long long)axis, rank);
    return 0;
}

int64_t md_torch_size(md_torch_call *c, md_value_id id, int axis)
{
    const md_type *t = md_emit_type(c->e, id);

    if (!t->has_rank || axis >= t->rank || !md_dim_is_const(t->dim[axis]))
        return -1;
    return t->dim[axis].k;
}

void md_torch_learn(md_torch_call *c, md_value_id x, int axis, int64_t size)
{
    const md_type *t = md_torch_type(c, x);
    const md_model *m = c->e->model;
    md_torch *b = c->b;
    const md_dim *d = &t->dim[axis];

    if (c->e->status != MD_OK || size < 0 || axis >= t->rank || d->sym == 0 ||
        d->scale != 1 || d->k != 0 || !m->symbols[d->sym][0] ||
        m->exprs[d->sym].kind != MD_EXPR_FREE)
        return;
    if (md_emit_ok(c->e,
                   md_arena_grow(c->e->arena, &b->learned, &b->cap_learned,
                                 b->n_learned, sizeof(*b->learned), c->e->err)))
        b->learned[b->n_learned++] = (md_torch_learned){ d->sym, size };
}

void md_torch_ret(md_torch_call *c, md_value_id id)
{
    c->out = md_tv_tensor(c->b, id);
}

void md_torch_ret_n(md_torch_call *c, const md_value_id *ids, uint32_t n)
{
    md_tv out = md_tv_list(c->b, MD_TV_TUPLE, n);

    for (uint32_t i = 0; i < n && out.kind == MD_TV_TUPLE; i++)
        md_tv_append(c->b, out.v.list, md_tv_tensor(c->b, ids[i]));
    c->out = out;
}

void md_torch_ret_view(md_torch_call *c, md_value_id id,
                       md_torch_view_kind kind, int axis, md_tv start,
                       md_tv end)
{
    md_torch_call *made;
    md_torch_tensor *t;

    md_torch_ret(c, id);
    if (c->out.kind != MD_TV_TENSOR || c->arg[0].kind != MD_TV_TENSOR)
        return;
    made = md_emit_alloc(c->e, 1, sizeof(*made));
    if (!made)
        return;
    *made = *c;
    made->out = md_tv_none();
    t = c->out.v.t;
    t->made = made;
    t->base = c->arg[0].v.t;
    t->seen = t->base->version;
    t->view = kind;
    t->axis = axis;
    t->start = start;
    t->end = end;
}

/* --- types --- */

/* bool < integers < floats < complex */
static int category(md_dtype t)
{
    if (t == MD_DTYPE_BOOL)
        return 0;
    if (md_dtype_is_integer(t))
        return 1;
    return md_dtype_is_float(t) ? 2 : 3;
}

static int order(md_dtype t)
{
    static const md_dtype by_size[] = {
        MD_DTYPE_BOOL, MD_DTYPE_U8,  MD_DTYPE_I8,   MD_DTYPE_I16, MD_DTYPE_I32,
        MD_DTYPE_I64,  MD_DTYPE_F16, MD_DTYPE_BF16, MD_DTYPE_F32, MD_DTYPE_F64,
    };

    for (size_t i = 0; i < MD_COUNT(by_size); i++) {
        if (by_size[i] == t)
            return (int)i;
    }
    return 0;
}

static md_dtype wider(md_dtype a, md_dtype b)
{
    if (a == MD_DTYPE_NONE)
        return b;
    if (b == MD_DTYPE_NONE || a == b)
        return a;
    if ((a == MD_DTYPE_U8 && b == MD_DTYPE_I8) ||
        (a == MD_DTYPE_I8 && b == MD_DTYPE_U8))
        return MD_DTYPE_I16;
    if ((a == MD_DTYPE_F16 && b == MD_DTYPE_BF16) ||
        (a == MD_DTYPE_BF16 && b == MD_DTYPE_F16))
        return MD_DTYPE_F32;
    return order(a) > order(b) ? a : b;
}

static md_dtype number_type(const md_tv *v)
{
    return v->kind == MD_TV_BOOL  ? MD_DTYPE_BOOL
           : v->kind == MD_TV_INT ? MD_DTYPE_I64
                                  : MD_DTYPE_F32;
}

/* Tensors with axes decide; scalars, then numbers, only where they are of a
 * higher category. */
md_dtype md_torch_promote(md_torch_call *c, const md_tv *v, uint32_t n)
{
    md_dtype by_class[3] = { MD_DTYPE_NONE, MD_DTYPE_NONE, MD_DTYPE_NONE };
    md_dtype out;

    for (uint32_t i = 0; i < n; i++) {
        bool is_tensor = v[i].kind == MD_TV_TENSOR;
        const md_type *t =
            is_tensor ? md_emit_type(c->e, md_tv_id(c->b, &v[i])) : NULL;
        int k = !t ? 2 : t->has_rank && t->rank == 0;

        by_class[k] = wider(by_class[k], t ? t->dtype : number_type(&v[i]));
    }
    out = by_class[0];
    for (int k = 1; k < 3; k++) {
        if (out == MD_DTYPE_NONE || (by_class[k] != MD_DTYPE_NONE &&
                                     category(by_class[k]) > category(out)))
            out = by_class[k];
    }
    return out;
}

md_value_id md_torch_operand(md_torch_call *c, const md_tv *v, md_dtype dtype)
{
    if (v->kind == MD_TV_TENSOR)
        return md_emit_cast(c->e, md_tv_id(c->b, v), dtype);
    return md_tv_as(c->b, v, dtype);
}

md_value_id md_torch_to_arg(md_torch_call *c, md_value_id x, uint32_t i)
{
    md_dtype to;

    if (!md_torch_given(c, i))
        return x;
    to = md_torch_dtype(md_torch_i(c, i));
    if (to == MD_DTYPE_NONE) {
        md_emit_fail(c->e, MD_UNSUPPORTED, "type %lld",
                     (long long)md_torch_i(c, i));
        return x;
    }
    return md_emit_cast(c->e, x, to);
}
