/* Numbers, lists and texts: computed by the converter where they are known,
 * in the graph where they depend on data or free sizes. */
#include <math.h>
#include <string.h>

#include "base/size.h"
#include "convert/torch/build.h"

static bool is(const md_torch_call *c, const char *what)
{
    return strcmp(c->row->onnx, what) == 0;
}

static bool known(const md_tv *v)
{
    return !v->computed;
}

static double as_double(const md_tv *v)
{
    return v->kind == MD_TV_FLOAT ? v->v.f : (double)v->v.i;
}

static int64_t floor_div(int64_t a, int64_t b)
{
    int64_t q = a / b;

    return q - (a % b != 0 && (a < 0) != (b < 0));
}

/* --- two numbers --- */

/* False: no such number (overflow, division by zero). */
static bool fold_ints(int64_t *out, const md_torch_call *c, int64_t a,
                      int64_t b)
{
    if (is(c, "add"))
        return md_add_i64(out, a, b);
    if (is(c, "sub"))
        return md_sub_i64(out, a, b);
    if (is(c, "mul"))
        return md_mul_i64(out, a, b);
    if (is(c, "max") || is(c, "min")) {
        *out = is(c, "max") == (a > b) ? a : b;
        return true;
    }
    if (b == 0 || (a == INT64_MIN && b == -1))
        return false;
    *out = floor_div(a, b);
    if (is(c, "mod"))
        *out = a - *out * b;
    return true;
}

static double fold_floats(const md_torch_call *c, double a, double b)
{
    if (is(c, "add"))
        return a + b;
    if (is(c, "sub"))
        return a - b;
    if (is(c, "mul"))
        return a * b;
    if (is(c, "div"))
        return a / b;
    if (is(c, "floordiv"))
        return floor(a / b);
    if (is(c, "mod"))
        return a - floor(a / b) * b;
    if (is(c, "pow"))
        return pow(a, b);
    return is(c, "max") == (a > b) ? a : b;
}

static void fold2(md_torch_call *c, bool floats)
{
    const md_tv *a = &c->arg[0];
    const md_tv *b = &c->arg[1];
    int64_t v = 0;

    if (floats) {
        c->out = md_tv_float(fold_floats(c, as_double(a), as_double(b)));
        return;
    }
    if (is(c, "pow"))
        v = (int64_t)pow(as_double(a), as_double(b));
    else if (!fold_ints(&v, c, a->v.i, b->v.i))
        md_emit_fail(c->e, MD_INVALID, "%lld and %lld", (long long)a->v.i,
                     (long long)b->v.i);
    c->out = md_tv_int(v);
}

/* Div truncates: what the sizes of a model are divided by is positive. */
static md_value_id floor_div_ids(md_torch_call *c, md_value_id a, md_value_id b)
{
    return md_emit_op2(
        c->e, "Div",
        md_emit_op2(c->e, "Sub", a, md_emit_op2(c->e, "Mod", a, b)), b);
}

static md_value_id emit2(md_torch_call *c, md_value_id a, md_value_id b,
                         bool floats)
{
    md_emit *e = c->e;

    if (is(c, "add"))
        return md_emit_op2(e, "Add", a, b);
    if (is(c, "sub"))
        return md_emit_op2(e, "Sub", a, b);
    if (is(c, "mul"))
        return md_emit_op2(e, "Mul", a, b);
    if (is(c, "div"))
        return md_emit_op2(e, "Div", a, b);
    if (is(c, "pow"))
        return md_emit_op2(e, "Pow", a, b);
    if (is(c, "max"))
        return md_emit_op2(e, "Max", a, b);
    if (is(c, "min"))
        return md_emit_op2(e, "Min", a, b);
    if (!floats)
        return is(c, "mod") ? md_emit_op2(e, "Mod", a, b)
                            : floor_div_ids(c, a, b);
    if (is(c, "floordiv"))
        return md_emit_op1(e, "Floor", md_emit_op2(e, "Div", a, b));
    return md_emit_op2(
        e, "Sub", a,
        md_emit_op2(e, "Mul",
                    md_emit_op1(e, "Floor", md_emit_op2(e, "Div", a, b)), b));
}

/* Where a size is divided by what is known, Div alone will do: sizes are not
 * negative, and inference knows Div's result. */
static bool is_plain_div(md_torch_call *c)
{
    md_dim d;

    return is(c, "floordiv") && known(&c->arg[1]) && c->arg[1].v.i > 0 &&
           md_tv_dim(&d, c->b, &c->arg[0]);
}

void md_torch_emit_number2(md_torch_call *c)
{
    bool floats = c->arg[0].kind == MD_TV_FLOAT ||
                  c->arg[1].kind == MD_TV_FLOAT || is(c, "div");
    md_dtype type = floats ? MD_DTYPE_F64 : MD_DTYPE_I64;
    md_value_id a, b;

    if (known(&c->arg[0]) && known(&c->arg[1])) {
        fold2(c, floats);
        return;
    }
    a = md_tv_as(c->b, &c->arg[0], type);
    b = md_tv_as(c->b, &c->arg[1], type);
    c->out = md_tv_computed(c->b, floats ? MD_TV_FLOAT : MD_TV_INT,
                            !floats && is_plain_div(c)
                                ? md_emit_op2(c->e, "Div", a, b)
                                : emit2(c, a, b, floats));
}

/* --- one number --- */

static double fold_float1(const md_torch_call *c, double a)
{
    if (is(c, "neg"))
        return -a;
    if (is(c, "abs"))
        return fabs(a);
    if (is(c, "floor"))
        return floor(a);
    if (is(c, "ceil"))
        return ceil(a);
    if (is(c, "trunc"))
        return trunc(a);
    return is(c, "round") ? nearbyint(a) : sqrt(a);
}

static md_tv fold1(const md_torch_call *c)
{
    const md_tv *a = &c->arg[0];
    double v;

    if (a->kind != MD_TV_FLOAT && !is(c, "sqrt")) {
        if (is(c, "neg") || (is(c, "abs") && a->v.i < 0))
            return md_tv_int((int64_t)(0 - (uint64_t)a->v.i));
        return md_tv_int(a->v.i);
    }
    v = fold_float1(c, as_double(a));
    /* Python's floor and ceil give ints. */
    if ((is(c, "floor") || is(c, "ceil") || is(c, "round") || is(c, "trunc")) &&
        fabs(v) < 9e15)
        return md_tv_int((int64_t)v);
    return md_tv_float(v);
}

void md_torch_emit_number1(md_torch_call *c)
{
    static const char *const ops[][2] = {
        { "neg", "Neg" },   { "abs", "Abs" },     { "floor", "Floor" },
        { "ceil", "Ceil" }, { "round", "Round" }, { "trunc", "Floor" },
        { "sqrt", "Sqrt" },
    };
    const md_tv *a = &c->arg[0];
    bool to_int =
        is(c, "floor") || is(c, "ceil") || is(c, "round") || is(c, "trunc");
    md_value_id x;

    if (known(a)) {
        c->out = fold1(c);
        return;
    }
    if (a->kind != MD_TV_FLOAT && to_int) {
        c->out = *a;
        return;
    }
    x = md_tv_as(c->b, a,
                 a->kind == MD_TV_FLOAT || is(c, "sqrt") ? MD_DTYPE_F64
                                                         : MD_DTYPE_I64);
    for (size_t i = 0; i < MD_COUNT(ops); i++) {
        if (is(c, ops[i][0]))
            x = md_emit_op1(c->e, ops[i][1], x);
    }
    if (to_int)
        x = md_emit_cast(c->e, x, MD_DTYPE_I64);
    c->out = md_tv_computed(
        c->b, md_torch_dtype_of(c, x) == MD_DTYPE_I64 ? MD_TV_INT : MD_TV_FLOAT,
        x);
}

/* --- comparisons --- */

/* The least that d can be: free sizes are at least 1, as PyTorch has it. */
static bool least(int64_t *out, const md_model *m, md_dim d)
{
    bool named;

    if (d.sym == 0) {
        *out = d.k;
        return true;
    }
    /* Free sizes of inputs have names; others may be 0, as what NonZero
     * found. */
    named = m->exprs[d.sym].kind == MD_EXPR_FREE && m->symbols[d.sym][0];
    if (d.scale <= 0 || (!named && !m->exprs[d.sym].natural))
        return false;
    *out = d.k + (named ? d.scale : 0);
    return true;
}

/* a - b, where that has a simple form. */
static bool minus(md_dim *out, md_dim a, md_dim b)
{
    *out = a;
    if (a.sym != b.sym && a.sym && b.sym)
        return false;
    if (!a.sym)
        *out = (md_dim){ .sym = b.sym };
    if (!md_sub_i64(&out->k, a.k, b.k) ||
        !md_sub_i64(&out->scale, a.sym ? a.scale : 0, b.sym ? b.scale : 0))
        return false;
    if (out->scale == 0)
        out->sym = 0;
    return true;
}

static bool fold_compare(const md_torch_call *c, double a, double b)
{
    return is(c, "eq")   ? a == b
           : is(c, "ne") ? a != b
           : is(c, "lt") ? a < b
           : is(c, "le") ? a <= b
           : is(c, "gt") ? a > b
                         : a >= b;
}

/* Comparisons of sizes that hold whatever the free ones are. */
static bool compare_dims(bool *out, md_torch_call *c)
{
    const md_model *m = c->e->model;
    md_dim a, b, d;
    int64_t lo;

    if (!md_tv_dim(&a, c->b, &c->arg[0]) || !md_tv_dim(&b, c->b, &c->arg[1]))
        return false;
    if (minus(&d, a, b) && d.sym == 0) {
        *out = fold_compare(c, (double)d.k, 0);
        return true;
    }
    if (minus(&d, a, b) && least(&lo, m, d) && lo > 0) {
        *out = fold_compare(c, 1, 0);
        return true;
    }
    if (minus(&d, b, a) && least(&lo, m, d) && lo > 0) {
        *out = fold_compare(c, 0, 1);
        return true;
    }
    if (minus(&d, a, b) && least(&lo, m, d) && lo == 0 &&
        (is(c, "ge") || is(c, "lt"))) {
        *out = is(c, "ge");
        return true;
    }
    return false;
}

void md_torch_emit_number_compare(md_torch_call *c)
{
    static const char *const ops[][2] = {
        { "eq", "Equal" },   { "ne", "Equal" },
        { "lt", "Less" },    { "le", "LessOrEqual" },
        { "gt", "Greater" }, { "ge", "GreaterOrEqual" },
    };
    md_dtype type =
        c->arg[0].kind == MD_TV_FLOAT || c->arg[1].kind == MD_TV_FLOAT
            ? MD_DTYPE_F64
            : MD_DTYPE_I64;
    md_value_id x = MD_VALUE_NONE;
    bool v;

    if (known(&c->arg[0]) && known(&c->arg[1])) {
        c->out = md_tv_bool(
            fold_compare(c, as_double(&c->arg[0]), as_double(&c->arg[1])));
        return;
    }
    if (compare_dims(&v, c)) {
        c->out = md_tv_bool(v);
        return;
    }
    for (size_t i = 0; i < MD_COUNT(ops); i++) {
        if (is(c, ops[i][0]))
            x = md_emit_op2(c->e, ops[i][1], md_tv_as(c->b, &c->arg[0], type),
                            md_tv_as(c->b, &c->arg[1], type));
    }
    if (is(c, "ne"))
        x = md_emit_op1(c->e, "Not", x);
    c->out = md_tv_computed(c->b, MD_TV_BOOL, x);
}

void md_torch_emit_text_equal(md_torch_call *c)
{
    bool same = strcmp(md_torch_s(c, 0), md_torch_s(c, 1)) == 0;

    c->out = md_tv_bool(same == is(c, "eq"));
}

/* --- conversions --- */

static md_tv_kind kind_of(md_dtype t)
{
    return t == MD_DTYPE_BOOL       ? MD_TV_BOOL
           : md_dtype_is_integer(t) ? MD_TV_INT
                                    : MD_TV_FLOAT;
}

static md_dtype type_of(md_tv_kind kind)
{
    return kind == MD_TV_BOOL  ? MD_DTYPE_BOOL
           : kind == MD_TV_INT ? MD_DTYPE_I64
                               : MD_DTYPE_F64;
}

/* A size that cannot be zero is true. */
static bool is_positive(md_torch_call *c, const md_tv *v)
{
    md_dim d;
    int64_t lo;

    return md_tv_dim(&d, c->b, v) && least(&lo, c->e->model, d) && lo > 0;
}

void md_torch_emit_to_number(md_torch_call *c)
{
    const md_tv *v = &c->arg[0];
    md_tv_kind to = is(c, "int")     ? MD_TV_INT
                    : is(c, "float") ? MD_TV_FLOAT
                    : is(c, "bool")  ? MD_TV_BOOL
                                     : MD_TV_NONE;
    md_value_id x;

    if (v->kind != MD_TV_TENSOR && known(v)) {
        if (to == MD_TV_FLOAT)
            c->out = md_tv_float(as_double(v));
        else if (to == MD_TV_BOOL)
            c->out = md_tv_bool(as_double(v) != 0);
        else
            c->out =
                md_tv_int(v->kind == MD_TV_FLOAT ? (int64_t)v->v.f : v->v.i);
        return;
    }
    if (to == MD_TV_BOOL && v->kind == MD_TV_INT && is_positive(c, v)) {
        c->out = md_tv_bool(true);
        return;
    }
    x = md_torch_x(c, 0);
    if (to == MD_TV_NONE)
        to = kind_of(md_torch_dtype_of(c, x));
    if (md_torch_type(c, x)->rank != 0)
        x = md_emit_reshape(c->e, x, NULL, 0);
    c->out = md_tv_computed(c->b, to, md_emit_cast(c->e, x, type_of(to)));
}

void md_torch_emit_num_to_tensor(md_torch_call *c)
{
    const md_tv *v = &c->arg[0];

    md_torch_ret(
        c, md_tv_as(c->b, v,
                    v->kind == MD_TV_FLOAT ? MD_DTYPE_F32 : type_of(v->kind)));
}

/* --- logic --- */

void md_torch_emit_logic_number(md_torch_call *c)
{
    const md_tv *a = &c->arg[0];
    const md_tv *b = &c->arg[1];
    bool both = is(c, "and");

    if (known(a) || known(b)) {
        const md_tv *k = known(a) ? a : b;

        c->out = (k->v.i != 0) == both ? (k == a ? *b : *a) : md_tv_bool(!both);
        return;
    }
    c->out = md_tv_computed(c->b, MD_TV_BOOL,
                            md_emit_op2(c->e, both ? "And" : "Or",
                                        md_torch_x(c, 0), md_torch_x(c, 1)));
}

void md_torch_emit_not(md_torch_call *c)
{
    md_torch_call as_bool = *c;

    as_bool.row = &(md_torch_row){ .onnx = "bool" };
    if (!md_tv_is_number(&c->arg[0]) && c->arg[0].kind != MD_TV_TENSOR) {
        md_emit_fail(c->e, MD_UNSUPPORTED, "not of a %s",
                     md_tv_kind_text(&c->arg[0]));
        return;
    }
    md_torch_emit_to_number(&as_bool);
    if (known(&as_bool.out))
        c->out = md_tv_bool(!as_bool.out.v.i);
    else
        c->out = md_tv_computed(
            c->b, MD_TV_BOOL,
            md_emit_op1(c->e, "Not", md_tv_id(c->b, &as_bool.out)));
}

static bool same(const md_tv *a, const md_tv *b)
{
    if (a->kind != b->kind || a->computed != b->computed)
        return false;
    switch (a->kind) {
    case MD_TV_NONE:
        return true;
    case MD_TV_FLOAT:
        return a->computed ? a->v.t == b->v.t : a->v.f == b->v.f;
    case MD_TV_TEXT:
        return strcmp(a->v.s, b->v.s) == 0;
    case MD_TV_BOOL:
    case MD_TV_INT:
        return a->computed ? a->v.t == b->v.t : a->v.i == b->v.i;
    default:
        return a->v.t == b->v.t;
    }
}

void md_torch_emit_is(md_torch_call *c)
{
    c->out = md_tv_bool(same(&c->arg[0], &c->arg[1]) == is(c, "is"));
}

void md_torch_emit_contains(md_torch_call *c)
{
    const md_torch_list *l = c->arg[0].v.list;
    uint32_t step = c->arg[0].kind == MD_TV_DICT ? 2 : 1;

    c->out = md_tv_bool(false);
    for (uint32_t i = 0; i < l->n; i += step) {
        md_tv args[2] = { l->item[i], c->arg[1] };
        md_tv eq;

        if (same(&args[0], &args[1])) {
            c->out = md_tv_bool(true);
            return;
        }
        if (!args[0].computed && !args[1].computed)
            continue;
        eq = md_torch_call_op(c->b, "eq", args, 2, NULL, NULL, 0);
        args[0] = eq;
        args[1] = c->out;
        c->out = md_torch_call_op(c->b, "__or__", args, 2, NULL, NULL, 0);
    }
}

void md_torch_emit_any_of(md_torch_call *c)
{
    const md_torch_list *l = c->arg[0].v.list;

    c->out = md_tv_bool(is(c, "all"));
    for (uint32_t i = 0; i < l->n; i++) {
        md_tv x = md_torch_call_op(c->b, "bool", &l->item[i], 1, NULL, NULL, 0);
        md_tv args[2] = { c->out, x };

        c->out = md_torch_call_op(c->b, is(c, "all") ? "__and__" : "__or__",
                                  args, 2, NULL, NULL, 0);
    }
}

/* --- lists --- */

void md_torch_emit_length(md_torch_call *c)
{
    const md_tv *v = &c->arg[0];

    if (v->kind == MD_TV_TEXT) {
        c->out = md_tv_int((int64_t)strlen(v->v.s));
        return;
    }
    if (v->kind == MD_TV_TENSOR) {
        md_tv args[2] = { *v, md_tv_int(0) };

        c->out = md_torch_call_op(c->b, "size", args, 2, NULL, NULL, 0);
        return;
    }
    if (v->v.list->stacked) {
        md_tv args[2] = { { .kind = MD_TV_TENSOR, .v.t = v->v.list->stacked },
                          md_tv_int(0) };

        c->out = md_torch_call_op(c->b, "size", args, 2, NULL, NULL, 0);
        return;
    }
    c->out = md_tv_int(v->kind == MD_TV_DICT ? v->v.list->n / 2 : v->v.list->n);
}

static void note_list(md_torch_call *c, md_torch_list *l)
{
    if (l->stacked)
        md_emit_fail(c->e, MD_UNSUPPORTED,
                     "a list that a loop filled is changed again");
    md_torch_note(c->b, (md_torch_change){ .kind = MD_TORCH_CHANGE_LIST,
                                           .what = l,
                                           .old_n = l->n });
}

void md_torch_emit_append(md_torch_call *c)
{
    note_list(c, c->arg[0].v.list);
    md_tv_append(c->b, c->arg[0].v.list, c->arg[1]);
    c->out = c->arg[0];
}

void md_torch_emit_extend(md_torch_call *c)
{
    const md_torch_list *from = c->arg[1].v.list;
    uint32_t n = from->n;

    note_list(c, c->arg[0].v.list);
    for (uint32_t i = 0; i < n; i++)
        md_tv_append(c->b, c->arg[0].v.list, from->item[i]);
    c->out = c->arg[0];
}

/* Taking away is not undone: not where only the data tells whether it is
 * done. */
static bool may_shrink(md_torch_call *c)
{
    if (c->b->noting || c->arg[0].v.list->stacked)
        md_emit_fail(c->e, MD_UNSUPPORTED,
                     "a list is changed where only the data tells whether");
    return c->e->status == MD_OK;
}

void md_torch_emit_pop(md_torch_call *c)
{
    md_torch_list *l = c->arg[0].v.list;
    int64_t at = md_torch_i(c, 1);

    at += at < 0 ? l->n : 0;
    if (!may_shrink(c))
        return;
    if (at < 0 || at >= l->n) {
        md_emit_fail(c->e, MD_INVALID, "item %lld of %u", (long long)at, l->n);
        return;
    }
    c->out = l->item[at];
    memmove(l->item + at, l->item + at + 1,
            (l->n - (size_t)at - 1) * sizeof(*l->item));
    l->n--;
}

void md_torch_emit_clear(md_torch_call *c)
{
    if (may_shrink(c))
        c->arg[0].v.list->n = 0;
}

static md_tv copy_of(md_torch_call *c, const md_tv *v, md_tv_kind kind)
{
    const md_torch_list *from = v->v.list;
    md_tv out = md_tv_list(c->b, kind, from->n);

    for (uint32_t i = 0; out.kind == kind && i < from->n; i++)
        md_tv_append(c->b, out.v.list, from->item[i]);
    if (out.kind == kind)
        out.v.list->stacked = from->stacked;
    return out;
}

void md_torch_emit_copy_list(md_torch_call *c)
{
    c->out = copy_of(c, &c->arg[0],
                     c->arg[0].kind == MD_TV_DICT ? MD_TV_DICT : MD_TV_LIST);
}

void md_torch_emit_list_add(md_torch_call *c)
{
    const md_torch_list *more = c->arg[1].v.list;

    c->out = copy_of(c, &c->arg[0], c->arg[0].kind);
    if (more->stacked || c->arg[0].v.list->stacked)
        md_emit_fail(c->e, MD_UNSUPPORTED, "a list that a loop filled");
    for (uint32_t i = 0; md_tv_is_list(&c->out) && i < more->n; i++)
        md_tv_append(c->b, c->out.v.list, more->item[i]);
}

void md_torch_emit_list_repeat(md_torch_call *c)
{
    const md_torch_list *from = c->arg[0].v.list;
    int64_t n = md_torch_i(c, 1);
    md_tv out = md_tv_list(c->b, c->arg[0].kind, 0);

    for (int64_t k = 0; k < n && c->e->status == MD_OK && from->n > 0; k++) {
        for (uint32_t i = 0; md_tv_is_list(&out) && i < from->n; i++)
            md_tv_append(c->b, out.v.list, from->item[i]);
    }
    c->out = out;
}

void md_torch_emit_list_equal(md_torch_call *c)
{
    const md_torch_list *a = c->arg[0].v.list;
    const md_torch_list *b = c->arg[1].v.list;
    md_tv all = md_tv_bool(a->n == b->n);

    for (uint32_t i = 0; a->n == b->n && i < a->n; i++) {
        md_tv args[2] = { a->item[i], b->item[i] };
        md_tv both[2] = { all, md_torch_call_op(c->b, "eq", args, 2, NULL, NULL,
                                                0) };

        all = md_torch_call_op(c->b, "__and__", both, 2, NULL, NULL, 0);
    }
    c->out = is(c, "eq")
                 ? all
                 : md_torch_call_op(c->b, "__not__", &all, 1, NULL, NULL, 0);
}

void md_torch_emit_list_fold(md_torch_call *c)
{
    const md_torch_list *l = c->arg[0].v.list;
    const char *op = is(c, "add")   ? "add"
                     : is(c, "max") ? "prim.max"
                                    : "prim.min";

    c->out = l->n > 0 ? l->item[0] : md_tv_int(0);
    for (uint32_t i = 1; i < l->n; i++) {
        md_tv args[2] = { c->out, l->item[i] };

        c->out = md_torch_call_op(c->b, op, args, 2, NULL, NULL, 0);
    }
}

void md_torch_emit_dict_part(md_torch_call *c)
{
    const md_torch_list *d = c->arg[0].v.list;
    md_tv out = md_tv_list(c->b, MD_TV_LIST, d->n / 2);

    for (uint32_t i = is(c, "values"); out.kind == MD_TV_LIST && i < d->n;
         i += 2)
        md_tv_append(c->b, out.v.list, d->item[i]);
    c->out = out;
}

void md_torch_emit_set_item(md_torch_call *c)
{
    md_torch_list *l = c->arg[0].v.list;
    int64_t at;

    if (!may_shrink(c))
        return;
    if (c->arg[0].kind == MD_TV_DICT) {
        for (uint32_t i = 0; i < l->n; i += 2) {
            if (same(&l->item[i], &c->arg[1])) {
                l->item[i + 1] = c->arg[2];
                return;
            }
        }
        md_tv_append(c->b, l, c->arg[1]);
        md_tv_append(c->b, l, c->arg[2]);
        return;
    }
    at = md_torch_i(c, 1);
    at += at < 0 ? l->n : 0;
    if (at >= 0 && at < l->n)
        l->item[at] = c->arg[2];
    else
        md_emit_fail(c->e, MD_INVALID, "item %lld of %u", (long long)at, l->n);
}

void md_torch_emit_text_add(md_torch_call *c)
{
    c->out = md_tv_text(md_arena_printf(c->e->arena, "%.200s%.200s",
                                        md_torch_s(c, 0), md_torch_s(c, 1)));
}

/* --- ranges --- */

static md_tv call2(md_torch_call *c, const char *op, md_tv a, md_tv b)
{
    return md_torch_call_op(c->b, op, (md_tv[]){ a, b }, 2, NULL, NULL, 0);
}

/* max(0, (hi - lo + step - 1) // step) for step > 0 */
void md_torch_emit_range_length(md_torch_call *c)
{
    md_tv step = c->arg[2];
    md_tv n;

    if (!known(&step) || step.kind == MD_TV_FLOAT || step.v.i == 0) {
        md_emit_fail(c->e, MD_UNSUPPORTED, "a range's step is not known");
        return;
    }
    n = call2(c, "sub", c->arg[1], c->arg[0]);
    if (step.v.i < 0) {
        n = call2(c, "sub", c->arg[0], c->arg[1]);
        step.v.i = -step.v.i;
    }
    n = call2(c, "add", n, md_tv_int(step.v.i - 1));
    n = call2(c, "floordiv", n, step);
    c->out = call2(c, "prim.max", n, md_tv_int(0));
}

void md_torch_emit_derive_index(md_torch_call *c)
{
    c->out = call2(c, "add", c->arg[1], call2(c, "mul", c->arg[0], c->arg[2]));
}

/* --- what is known of tensors --- */

void md_torch_emit_dim(md_torch_call *c)
{
    c->out = md_tv_int(md_torch_rank(c, md_torch_x(c, 0)));
}

static md_tv size_of(md_torch_call *c, md_value_id x, int axis)
{
    md_value_id s;

    if (md_torch_size(c, x, axis) >= 0)
        return md_tv_int(md_torch_size(c, x, axis));
    s = md_emit_op(c->e, "Shape", &x, 1,
                   EMIT_ATTRS(EMIT_I("start", axis), EMIT_I("end", axis + 1)));
    return md_tv_computed(c->b, MD_TV_INT, md_emit_squeeze(c->e, s, 0));
}

void md_torch_emit_size(md_torch_call *c)
{
    md_value_id x = md_torch_x(c, 0);
    int rank = md_torch_rank(c, x);
    int axis = md_torch_axis(c, md_torch_i(c, 1), rank);

    if (c->e->status == MD_OK && rank == 0)
        md_emit_fail(c->e, MD_INVALID, "size of a scalar");
    c->out = c->e->status == MD_OK ? size_of(c, x, axis) : md_tv_none();
}

void md_torch_emit_sizes(md_torch_call *c)
{
    md_value_id x = md_torch_x(c, 0);
    int rank = md_torch_rank(c, x);

    c->out = md_tv_list(c->b, MD_TV_LIST, (uint32_t)rank);
    for (int i = 0; i < rank && c->out.kind == MD_TV_LIST; i++)
        md_tv_append(c->b, c->out.v.list, size_of(c, x, i));
}

void md_torch_emit_numel(md_torch_call *c)
{
    c->out = md_tv_computed(c->b, MD_TV_INT,
                            md_emit_op1(c->e, "Size", md_torch_x(c, 0)));
}

void md_torch_emit_dtype(md_torch_call *c)
{
    c->out =
        md_tv_int(md_torch_scalar_type(md_torch_dtype_of(c, md_torch_x(c, 0))));
}

void md_torch_emit_is_type(md_torch_call *c)
{
    md_dtype t = md_torch_dtype_of(c, md_torch_x(c, 0));

    c->out = md_tv_bool(is(c, "float") ? md_dtype_is_float(t)
                        : is(c, "complex")
                            ? t == MD_DTYPE_C64
                            : md_dtype_is_float(t) || md_dtype_is_signed(t));
}

/* --- answers that are always the same here --- */

void md_torch_emit_text(md_torch_call *c)
{
    c->out = md_tv_text(c->row->onnx);
}

void md_torch_emit_number(md_torch_call *c)
{
    c->out = md_tv_int(c->row->onnx[0] - '0');
}

void md_torch_emit_truth(md_torch_call *c)
{
    c->out = md_tv_bool(is(c, "True"));
}

void md_torch_emit_nothing(md_torch_call *c)
{
    c->out = md_tv_none();
}
