#include "ops/common/data.h"

#include "graph/expr.h"
#include "ops/common/util.h"

#define TYPES (MD_T(I64) | MD_T(I32) | MD_T(F32) | MD_T(F64) | MD_T(BOOL))

/* Shape and number of elements of a type that is small and of a type whose
 * contents are followed. */
static bool is_small(const md_type *t, md_shape *shape, int64_t *n)
{
    return t->kind == MD_KIND_TENSOR && (TYPES >> t->dtype & 1) &&
           md_type_static(t, shape) &&
           md_shape_count(n, shape, NULL) == MD_OK && *n <= MD_DATA_MAX;
}

/* The elements of input i, or NULL where they are not known. */
static const md_dim *elements(const md_infer *c, uint32_t i, md_dim *buf,
                              md_shape *shape, int64_t *n)
{
    const md_tensor *t;

    if (!md_infer_has(c, i) || !is_small(c->in[i], shape, n))
        return NULL;
    if (c->din && c->din[i])
        return c->din[i];
    t = c->cin[i];
    for (int64_t k = 0; t && k < *n; k++) {
        if (md_dtype_is_float(t->dtype)) {
            double v = md_tensor_get_f64(t, k);

            if (!(v >= -0x1p24 && v <= 0x1p24) || v != (double)(int64_t)v)
                return NULL;
            buf[k] = MD_DIM((int64_t)v);
        } else {
            buf[k] = MD_DIM(md_tensor_get_i64(t, k));
        }
    }
    return t ? buf : NULL;
}

/* Set output o to n elements. */
static md_status give(const md_infer *c, uint32_t o, const md_dim *v, int64_t n,
                      md_error *err)
{
    size_t size = ((size_t)n + 1) * sizeof(*v); /* n may be 0 */
    md_dim *copy = md_arena_alloc(&c->model->arena, size);

    if (!copy)
        return md_fail_nomem(err, size);
    for (int64_t i = 0; i < n; i++)
        copy[i] = v[i];
    c->dout[o] = copy;
    return MD_OK;
}

/* MD_OK for what only means that a value cannot be told. */
static md_status tolerate(bool *known, md_status s)
{
    *known = s == MD_OK;
    return s == MD_NOMEM ? s : MD_OK;
}

static md_status derive(const md_infer *c, bool *known, md_dim *out,
                        md_expr_kind kind, md_dim a, md_dim b)
{
    return tolerate(known, md_dim_derive(out, c->model, kind, a, b, NULL));
}

/* A type with fewer bits, or that rounds, holds the value: noted for sizes
 * that are not known yet. */
static md_status fits(const md_infer *c, bool *known, md_dtype dtype, md_dim d,
                      md_error *err)
{
    int64_t most = dtype == MD_DTYPE_I32   ? INT32_MAX
                   : dtype == MD_DTYPE_F32 ? INT64_C(1) << 24
                   : dtype == MD_DTYPE_F64 ? INT64_C(1) << 53
                                           : INT64_MAX;
    md_dim unused;
    md_status s;

    *known = true;
    if (most == INT64_MAX)
        return MD_OK;
    if (md_dim_is_const(d)) {
        *known = d.k >= -most && d.k <= most;
        return MD_OK;
    }
    if (!md_dim_natural(c->model, d)) {
        *known = false;
        return MD_OK;
    }
    s = derive(c, known, &unused, MD_EXPR_AT_LEAST, MD_DIM(most), d);
    return s == MD_OK ? s : md_fail_nomem(err, sizeof(d));
}

/* ---- moving ---- */

/* Input i as a tensor: what it holds when it steers the operator, numbers that
 * stand for its elements when it is moved. */
enum {
    HANDLES_MAX = 8 * MD_DATA_MAX
};

typedef struct handles {
    md_dim dim[HANDLES_MAX];
    int n;
} handles;

static bool fill_input(const md_infer *c, uint32_t i, bool moved, handles *h,
                       md_tensor *t, int64_t *own)
{
    md_dim buf[MD_DATA_MAX] = { { 0 } };
    const md_dim *v;
    md_shape shape;
    int64_t n = 0;

    if (!moved && c->cin[i]) {
        *t = *c->cin[i];
        return true;
    }
    v = elements(c, i, buf, &shape, &n);
    if (!v || (moved && h->n + n > HANDLES_MAX))
        return false;
    *t = (md_tensor){
        .dtype = moved ? MD_DTYPE_I64 : c->in[i]->dtype,
        .shape = shape,
        .data = own,
    };
    for (int64_t k = 0; k < n; k++) {
        if (moved) {
            h->dim[h->n] = v[k];
            own[k] = h->n++;
        } else if (!md_dim_is_const(v[k])) {
            return false;
        } else if (md_dtype_is_float(t->dtype)) {
            md_tensor_set_f64(t, k, (double)v[k].k);
        } else {
            md_tensor_set_i64(t, k, v[k].k);
        }
    }
    return true;
}

typedef struct sink {
    md_arena *ar;
    md_tensor *out;
} sink;

static md_status take_output(md_exec *x, uint32_t i, md_dtype dtype,
                             const md_shape *shape, md_tensor **out,
                             md_error *err)
{
    sink *k = x->ctx;

    *out = NULL;
    if (i >= x->node->n_out || x->node->out[i] == MD_VALUE_NONE)
        return MD_OK;
    k->out[i] = (md_tensor){ .dtype = dtype, .shape = *shape };
    k->out[i].data = md_arena_alloc(k->ar, MD_DATA_MAX * sizeof(int64_t));
    if (!k->out[i].data)
        return md_fail_nomem(err, MD_DATA_MAX * sizeof(int64_t));
    *out = &k->out[i];
    return MD_OK;
}

/* Run the operator on numbers, and read which elements came out where. */
static md_status run_on_numbers(const md_infer *c, const md_tensor *const *in,
                                const handles *h, md_arena *ar, md_error *err)
{
    const md_op *op = md_op_find(c->node->domain, c->node->op, c->opset);
    md_tensor *out = md_arena_calloc(ar, c->node->n_out, sizeof(*out));
    sink k = { ar, out };
    md_exec x = { .node = c->node,
                  .opset = c->opset,
                  .in = in,
                  .alloc = c->model->alloc,
                  .text = ar,
                  .output = take_output,
                  .ctx = &k };
    bool ran;

    if (!out)
        return md_fail_nomem(err, sizeof(*out));
    if (!op)
        return MD_OK;
    if (tolerate(&ran, op->run(&x, NULL)) != MD_OK)
        return md_fail_nomem(err, sizeof(*out));
    for (uint32_t o = 0; ran && o < c->node->n_out; o++) {
        md_dim v[MD_DATA_MAX] = { { 0 } };
        int64_t n = md_tensor_n(&out[o]);

        if (!out[o].data)
            continue;
        for (int64_t i = 0; i < n; i++)
            v[i] = h->dim[md_tensor_get_i64(&out[o], i)];
        MD_TRY(give(c, o, v, n, err));
    }
    return MD_OK;
}

static md_status move(const md_infer *c, uint32_t moved, md_arena *ar,
                      md_error *err)
{
    uint32_t n_in = c->node->n_in;
    const md_tensor **in = md_arena_calloc(ar, n_in + 1u, sizeof(*in));
    md_tensor *t = md_arena_calloc(ar, n_in + 1u, sizeof(*t));
    int64_t *own =
        md_arena_calloc(ar, (n_in + 1u) * (size_t)MD_DATA_MAX, sizeof(*own));
    handles h = { .n = 0 };

    if (!in || !t || !own)
        return md_fail_nomem(err, n_in * sizeof(*t));
    for (uint32_t i = 0; i < n_in; i++) {
        if (!md_infer_has(c, i))
            continue;
        if (!fill_input(c, i, i >= 32 || (moved >> i & 1), &h, &t[i],
                        own + (size_t)i * MD_DATA_MAX))
            return MD_OK;
        in[i] = &t[i];
    }
    return run_on_numbers(c, in, &h, ar, err);
}

static md_status moves(const md_infer *c, uint32_t moved, md_error *err)
{
    md_arena ar;
    md_status s;

    for (uint32_t o = 0; o < c->node->n_out; o++) {
        md_shape shape;
        int64_t n;

        if (!is_small(&c->out[o], &shape, &n))
            return MD_OK;
    }
    for (uint32_t i = 0; i < c->node->n_in && i < 32; i++) {
        if ((moved >> i & 1) && md_infer_has(c, i) && !c->din[i] && !c->cin[i])
            return MD_OK;
    }
    md_arena_init(&ar, c->model->alloc, 0);
    s = move(c, moved, &ar, err);
    md_arena_release(&ar);
    return s;
}

md_status md_data__moves_0(const md_infer *c, md_error *err)
{
    return moves(c, 1, err);
}

md_status md_data__moves_0_2(const md_infer *c, md_error *err)
{
    return moves(c, 1 | 4, err);
}

md_status md_data__moves_1_2(const md_infer *c, md_error *err)
{
    return moves(c, 2 | 4, err);
}

md_status md_data__moves_all(const md_infer *c, md_error *err)
{
    return moves(c, UINT32_MAX, err);
}

/* ---- shapes ---- */

md_status md_data__shape(const md_infer *c, md_error *err)
{
    const md_type *t = c->in[0];
    md_shape shape;
    int64_t n, from;

    if (!t->has_rank || !is_small(&c->out[0], &shape, &n))
        return MD_OK;
    from = md_node_attr_i(c->node, "start", 0);
    from = from < 0 ? from + t->rank : from;
    from = from < 0 ? 0 : from;
    if (from + n > t->rank)
        return MD_OK;
    return give(c, 0, t->dim + from, n, err);
}

md_status md_data__size(const md_infer *c, md_error *err)
{
    md_dim n = MD_DIM(1);
    bool known = c->in[0]->has_rank;

    for (int i = 0; known && i < c->in[0]->rank; i++)
        MD_TRY(derive(c, &known, &n, MD_EXPR_MUL, n, c->in[0]->dim[i]));
    return known ? give(c, 0, &n, 1, err) : MD_OK;
}

md_status md_data__range(const md_infer *c, md_error *err)
{
    md_dim buf[3] = { { 0 } }, v[MD_DATA_MAX] = { { 0 } };
    const md_dim *start, *delta;
    md_shape shape;
    int64_t n, one;
    bool known = true;

    start = elements(c, 0, &buf[0], &shape, &one);
    delta = elements(c, 2, &buf[2], &shape, &one);
    if (!start || !delta || !is_small(&c->out[0], &shape, &n))
        return MD_OK;
    for (int64_t i = 0; known && i < n; i++) {
        md_dim step = { 0 };

        MD_TRY(derive(c, &known, &step, MD_EXPR_MUL, *delta, MD_DIM(i)));
        if (known)
            MD_TRY(derive(c, &known, &v[i], MD_EXPR_ADD, *start, step));
        if (known)
            MD_TRY(fits(c, &known, c->out[0].dtype, v[i], err));
    }
    return known ? give(c, 0, v, n, err) : MD_OK;
}

/* ---- elementwise ---- */

/* out = f(a, b); *known false where it cannot be told. */
typedef md_status element_fn(const md_infer *c, bool *known, md_dim *out,
                             md_dim a, md_dim b);

static md_status unary(const md_infer *c, element_fn *f, md_error *err)
{
    md_dim buf[MD_DATA_MAX] = { { 0 } }, v[MD_DATA_MAX] = { { 0 } };
    md_shape shape;
    bool known = true;
    int64_t n;
    const md_dim *in = elements(c, 0, buf, &shape, &n);

    if (!in || !is_small(&c->out[0], &shape, &n))
        return MD_OK;
    for (int64_t i = 0; known && i < n; i++) {
        MD_TRY(f(c, &known, &v[i], in[i], in[i]));
        if (known)
            MD_TRY(fits(c, &known, c->out[0].dtype, v[i], err));
    }
    return known ? give(c, 0, v, n, err) : MD_OK;
}

/* v = f(v, input i), both broadcast to `out`. */
static md_status combine(const md_infer *c, uint32_t i, element_fn *f,
                         const md_shape *out, md_dim *v, bool *known,
                         md_error *err)
{
    int64_t stride[MD_RANK_MAX], index[MD_RANK_MAX] = { 0 }, n, at = 0;
    md_dim buf[MD_DATA_MAX] = { { 0 } };
    md_shape shape;
    const md_dim *in = elements(c, i, buf, &shape, &n);

    *known = in != NULL && md_shape_n(out) > 0;
    if (!*known)
        return MD_OK;
    md_shape_broadcast_strides(stride, &shape, out);
    do {
        int64_t from = 0;

        for (int d = 0; d < out->rank; d++)
            from += index[d] * stride[d];
        if (f)
            MD_TRY(f(c, known, &v[at], v[at], in[from]));
        else
            v[at] = in[from];
        if (*known)
            MD_TRY(fits(c, known, c->out[0].dtype, v[at], err));
        at++;
    } while (*known && md_step_index(index, out->dim, out->rank));
    return MD_OK;
}

static md_status variadic(const md_infer *c, element_fn *f, md_error *err)
{
    md_dim v[MD_DATA_MAX] = { { 0 } };
    md_shape out;
    int64_t n;
    bool known;

    if (!is_small(&c->out[0], &out, &n) ||
        md_node_attr(c->node, "axis")) /* before opset 7: where b begins */
        return MD_OK;
    MD_TRY(combine(c, 0, NULL, &out, v, &known, err));
    for (uint32_t i = 1; known && i < c->node->n_in; i++)
        MD_TRY(combine(c, i, f, &out, v, &known, err));
    return known ? give(c, 0, v, n, err) : MD_OK;
}

static md_status element_same(const md_infer *c, bool *known, md_dim *out,
                              md_dim a, md_dim b)
{
    (void)c;
    (void)b;
    *known = true;
    *out = a;
    return MD_OK;
}

static md_status element_mul(const md_infer *c, bool *known, md_dim *out,
                             md_dim a, md_dim b)
{
    return derive(c, known, out, MD_EXPR_MUL, a, b);
}

static md_status element_add(const md_infer *c, bool *known, md_dim *out,
                             md_dim a, md_dim b)
{
    return derive(c, known, out, MD_EXPR_ADD, a, b);
}

static md_status element_neg(const md_infer *c, bool *known, md_dim *out,
                             md_dim a, md_dim b)
{
    (void)b;
    return derive(c, known, out, MD_EXPR_MUL, a, MD_DIM(-1));
}

static md_status element_sub(const md_infer *c, bool *known, md_dim *out,
                             md_dim a, md_dim b)
{
    md_dim minus;

    MD_TRY(element_neg(c, known, &minus, b, b));
    return *known ? derive(c, known, out, MD_EXPR_ADD, a, minus) : MD_OK;
}

/* Division cuts towards 0, which is floor where nothing is negative. */
static md_status element_div(const md_infer *c, bool *known, md_dim *out,
                             md_dim a, md_dim b)
{
    *known = !md_dtype_is_float(c->out[0].dtype) &&
             md_dim_natural(c->model, a) && md_dim_natural(c->model, b);
    return *known ? derive(c, known, out, MD_EXPR_DIV, a, b) : MD_OK;
}

static md_status element_mod(const md_infer *c, bool *known, md_dim *out,
                             md_dim a, md_dim b)
{
    *known = !md_dtype_is_float(c->out[0].dtype) &&
             md_dim_natural(c->model, a) && md_dim_natural(c->model, b);
    return *known ? derive(c, known, out, MD_EXPR_MOD, a, b) : MD_OK;
}

static md_status element_min(const md_infer *c, bool *known, md_dim *out,
                             md_dim a, md_dim b)
{
    return derive(c, known, out, MD_EXPR_MIN, a, b);
}

static md_status element_max(const md_infer *c, bool *known, md_dim *out,
                             md_dim a, md_dim b)
{
    return derive(c, known, out, MD_EXPR_MAX, a, b);
}

static md_status element_abs(const md_infer *c, bool *known, md_dim *out,
                             md_dim a, md_dim b)
{
    (void)b;
    *out = a;
    *known = md_dim_natural(c->model, a);
    return MD_OK;
}

static md_status element_not(const md_infer *c, bool *known, md_dim *out,
                             md_dim a, md_dim b)
{
    (void)c;
    (void)b;
    *known = md_dim_is_const(a);
    *out = MD_DIM(a.k == 0);
    return MD_OK;
}

/* Is a < b whatever the sizes? */
static md_status is_less(const md_infer *c, bool *is, md_dim a, md_dim b)
{
    md_dim minus, d;
    bool known;

    *is = false;
    MD_TRY(element_neg(c, &known, &minus, a, a));
    if (!known)
        return MD_OK;
    MD_TRY(derive(c, &known, &d, MD_EXPR_ADD, b, minus));
    *is = known && md_add_i64(&d.k, d.k, -1) && md_dim_natural(c->model, d);
    return MD_OK;
}

/* Whether a (relation) b, where that holds or fails for all sizes. */
static md_status compare(const md_infer *c, bool *known, md_dim *out, md_dim a,
                         md_dim b, bool less, bool equal, bool greater)
{
    bool is_below, is_above;

    if (md_dim_equal(a, b)) {
        *known = true;
        *out = MD_DIM(equal);
        return MD_OK;
    }
    MD_TRY(is_less(c, &is_below, a, b));
    MD_TRY(is_less(c, &is_above, b, a));
    *known = is_below || is_above;
    *out = MD_DIM(is_below ? less : greater);
    return MD_OK;
}

#define COMPARE(name, less, equal, greater)                                    \
    static md_status name(const md_infer *c, bool *known, md_dim *out,         \
                          md_dim a, md_dim b)                                  \
    {                                                                          \
        return compare(c, known, out, a, b, less, equal, greater);             \
    }

COMPARE(element_equal, false, true, false)
COMPARE(element_less, true, false, false)
COMPARE(element_less_or_equal, true, true, false)
COMPARE(element_greater, false, false, true)
COMPARE(element_greater_or_equal, false, true, true)

md_status md_data__cast(const md_infer *c, md_error *err)
{
    md_dtype to = c->out[0].dtype;

    if (to == MD_DTYPE_BOOL || c->in[0]->dtype == MD_DTYPE_BOOL)
        return MD_OK;
    return unary(c, element_same, err);
}

md_status md_data__same(const md_infer *c, md_error *err)
{
    return unary(c, element_same, err);
}

md_status md_data__neg(const md_infer *c, md_error *err)
{
    return unary(c, element_neg, err);
}

md_status md_data__abs(const md_infer *c, md_error *err)
{
    return unary(c, element_abs, err);
}

md_status md_data__not(const md_infer *c, md_error *err)
{
    return unary(c, element_not, err);
}

#define VARIADIC(name)                                                         \
    md_status md_data__##name(const md_infer *c, md_error *err)                \
    {                                                                          \
        return variadic(c, element_##name, err);                               \
    }

VARIADIC(add)
VARIADIC(sub)
VARIADIC(mul)
VARIADIC(div)
VARIADIC(mod)
VARIADIC(min)
VARIADIC(max)
VARIADIC(equal)
VARIADIC(less)
VARIADIC(less_or_equal)
VARIADIC(greater)
VARIADIC(greater_or_equal)

/* ---- reductions ---- */

static md_status reduce(const md_infer *c, element_fn *f, md_error *err)
{
    md_dim buf[MD_DATA_MAX] = { { 0 } }, v;
    md_shape shape, out;
    bool known = true;
    int64_t n, one;
    const md_dim *in = elements(c, 0, buf, &shape, &n);

    /* A vector that gives one element: none of its axes is kept. */
    if (!in || n == 0 || shape.rank != 1 || !is_small(&c->out[0], &out, &one) ||
        one != 1 || (n > 1 && out.rank > 1))
        return MD_OK;
    v = in[0];
    for (int64_t i = 1; known && i < n; i++)
        MD_TRY(f(c, &known, &v, v, in[i]));
    if (known)
        MD_TRY(fits(c, &known, c->out[0].dtype, v, err));
    return known ? give(c, 0, &v, 1, err) : MD_OK;
}

md_status md_data__reduce_sum(const md_infer *c, md_error *err)
{
    return reduce(c, element_add, err);
}

md_status md_data__reduce_prod(const md_infer *c, md_error *err)
{
    return reduce(c, element_mul, err);
}

md_status md_data__reduce_min(const md_infer *c, md_error *err)
{
    return reduce(c, element_min, err);
}

md_status md_data__reduce_max(const md_infer *c, md_error *err)
{
    return reduce(c, element_max, err);
}
