#include "ops/common/reduce.h"

#include <math.h>
#include <string.h>

#include "kernels/array_f64.h"
#include "kernels/vbinary.h"
#include "ops/common/reduce_int.h"

enum {
    FOLDED = 512,  /* outputs at once, which stay in the first cache */
    WIDE = 16,     /* integers that are worth a call */
    COLUMNS = 64,  /* outputs side by side that are folded at once */
    SIDE = 512,    /* bytes of a long row that are folded side by side */
    NEAR = 1 << 20 /* bytes that the second cache holds */
};

/* The reduced axes as bits.  *known is false when they are not known. */
static md_status find_axes(uint32_t *bits, bool *known, const md_infer *c,
                           const md_reduction *r, md_error *err)
{
    int rank = c->in[0]->rank;
    md_ints axes;

    MD_TRY(md_infer__moved_ints(c, "axes", r->axes_input, 1, &axes, err));
    *known = axes.known;
    *bits = 0;
    if (!axes.known)
        return MD_OK;
    if (axes.n == 0) {
        if (!md_node_attr_i(c->node, "noop_with_empty_axes", 0))
            *bits = (UINT32_C(1) << rank) - 1;
        return MD_OK;
    }
    MD_TRY(md_infer__axes(&axes, rank, err));
    for (int i = 0; i < axes.n; i++)
        *bits |= UINT32_C(1) << axes.v[i];
    return MD_OK;
}

md_status md_reduce__infer(const md_infer *c, const md_reduction *r,
                           md_error *err)
{
    bool keep = md_node_attr_i(c->node, "keepdims", 1) != 0;
    const md_type *in = c->in[0];
    md_type t = { 0 };
    uint32_t bits = 0;
    bool known;

    MD_TRY(md_infer__need(c, 0, r->types, err));
    t.dtype = in->dtype;
    if (!in->has_rank) {
        md_infer__give(c, 0, &t);
        return MD_OK;
    }
    MD_TRY(find_axes(&bits, &known, c, r, err));
    if (known || keep)
        t.has_rank = true;
    for (int i = 0; t.has_rank && i < in->rank; i++) {
        if (!known)
            MD_TRY(md_infer__fresh(c, &t.dim[t.rank++], err));
        else if (!(bits >> i & 1))
            t.dim[t.rank++] = in->dim[i];
        else if (keep)
            t.dim[t.rank++] = MD_DIM(1);
    }
    md_infer__give(c, 0, &t);
    return MD_OK;
}

/* Axes that are alike and lie behind each other are one, axes of 1 none. */
typedef struct axes {
    md_shape shape;
    int64_t stride[MD_RANK_MAX];
} axes;

static void add_axis(axes *a, bool merge, int64_t dim, int64_t stride)
{
    md_shape *s = &a->shape;

    if (!merge)
        s->dim[s->rank++] = 1;
    s->dim[s->rank - 1] *= dim;
    a->stride[s->rank - 1] = stride;
}

static void split_axes(axes *kept, axes *gone, const md_shape *in,
                       uint32_t bits)
{
    int64_t stride[MD_RANK_MAX];
    axes *last = NULL;

    *kept = *gone = (axes){ 0 };
    md_shape_strides(stride, in);
    for (int i = 0; i < in->rank; i++) {
        axes *a = bits >> i & 1 ? gone : kept;

        if (in->dim[i] == 1)
            continue;
        add_axis(a, a == last, in->dim[i], stride[i]);
        last = a;
    }
}

static int64_t offset(const int64_t *index, const int64_t *stride, int rank)
{
    int64_t at = 0;

    for (int i = 0; i < rank; i++)
        at += index[i] * stride[i];
    return at;
}

/* Where element o of those that are kept lies in the input. */
static int64_t locate(const axes *kept, int64_t o)
{
    int64_t at = 0;

    for (int i = kept->shape.rank; i-- > 0;) {
        at += o % kept->shape.dim[i] * kept->stride[i];
        o /= kept->shape.dim[i];
    }
    return at;
}

/* v as it is added up; element i of LOG_SUM_EXP is scaled by
 * top[i * step]. */
static void terms_f64(md_reduce op, double *v, int64_t n, const double *top,
                      int64_t step)
{
    for (int64_t i = 0; i < n && op == MD_REDUCE_L1; i++)
        v[i] = fabs(v[i]);
    if (op == MD_REDUCE_SUM_SQUARE || op == MD_REDUCE_L2)
        for (int64_t i = 0; i < n; i++)
            v[i] *= v[i];
    for (int64_t i = 0; i < n && op == MD_REDUCE_LOG_SUM_EXP; i++)
        v[i] = exp(v[i] - top[i * step]);
}

/* Integers wrap. */
static void terms_u64(md_reduce op, uint64_t *v, int64_t n, bool is_signed)
{
    for (int64_t i = 0; i < n && op == MD_REDUCE_L1 && is_signed; i++)
        v[i] = v[i] >> 63 ? 0 - v[i] : v[i];
    for (int64_t i = 0; i < n && op == MD_REDUCE_SUM_SQUARE; i++)
        v[i] *= v[i];
}

#define EACH(expr)                                                             \
    for (int64_t i = 0; i < n; i++)                                            \
    a[i] = (expr)

/* a[i] with v[i]; NaN wins. */
static void fold_f64(md_reduce op, double *a, const double *v, int64_t n)
{
    if (op == MD_REDUCE_MAX)
        EACH(v[i] > a[i] || isnan(v[i]) ? v[i] : a[i]);
    else if (op == MD_REDUCE_MIN)
        EACH(v[i] < a[i] || isnan(v[i]) ? v[i] : a[i]);
    else if (op == MD_REDUCE_PROD)
        EACH(a[i] * v[i]);
    else
        EACH(a[i] + v[i]);
}

static void fold_u64(md_reduce op, uint64_t *a, const uint64_t *v, int64_t n,
                     bool is_signed)
{
    /* turned so, signed numbers have the order of unsigned ones */
    const uint64_t turn = is_signed ? UINT64_C(1) << 63 : 0;

    if (op == MD_REDUCE_MAX)
        EACH((v[i] ^ turn) > (a[i] ^ turn) ? v[i] : a[i]);
    else if (op == MD_REDUCE_MIN)
        EACH((v[i] ^ turn) < (a[i] ^ turn) ? v[i] : a[i]);
    else if (op == MD_REDUCE_PROD)
        EACH(a[i] * v[i]);
    else
        EACH(a[i] + v[i]);
}

static double start_f64(md_reduce op)
{
    return op == MD_REDUCE_MAX    ? -INFINITY
           : op == MD_REDUCE_MIN  ? INFINITY
           : op == MD_REDUCE_PROD ? 1.0
                                  : 0.0;
}

/* MAX: the lowest value of the type, which nothing is below, and so on. */
static uint64_t start_u64(md_reduce op, md_dtype t)
{
    if (op == MD_REDUCE_MAX)
        return (uint64_t)md_dtype_int_min(t);
    if (op == MD_REDUCE_MIN)
        return t == MD_DTYPE_BOOL  ? 1
               : t == MD_DTYPE_U64 ? UINT64_MAX
                                   : (uint64_t)md_dtype_int_max(t);
    return op == MD_REDUCE_PROD;
}

typedef struct job {
    const md_tensor *in;
    md_tensor *out;
    axes kept, gone;
    md_reduce op;
    bool ints;
    const md_array_f64_kernel *kernel; /* of float64 */
    md_vbinary_fn *divide;             /* the same */
    md_fold_int_fn *fold;              /* of integers, or NULL */
    md_vbinary_fn *columns;            /* the same of rows of columns */
    int64_t unit;                      /* outputs that no part divides */
} job;

/* What is added up for up to MD_CHUNK outputs that lie side by side. */
typedef struct piece {
    md_reduce op;
    int64_t n;
    const double *top; /* by output, for LOG_SUM_EXP */
    double f64[MD_CHUNK];
    uint64_t u64[MD_CHUNK];
} piece;

/* n <= MD_CHUNK elements from `at` on: one for each output or, when `row` is
 * set, all for the only one; these in pairs, pairs of pairs and so on, for
 * the least error. */
static void add(const job *j, piece *p, int64_t at, int64_t n, bool row)
{
    bool is_signed = j->in->dtype != MD_DTYPE_U64;
    double v[MD_CHUNK];
    uint64_t u[MD_CHUNK];

    if (j->ints) {
        md_load_i64((int64_t *)u, j->in, at, n);
        terms_u64(p->op, u, n, is_signed);
        for (int64_t half; row && n > 1; n -= half) {
            half = n / 2;
            fold_u64(p->op, u, u + n - half, half, is_signed);
        }
        fold_u64(p->op, p->u64, u, n, is_signed);
        return;
    }
    md_load_f64(v, j->in, at, n);
    terms_f64(p->op, v, n, p->top, !row);
    for (int64_t half; row && n > 1; n -= half) {
        half = n / 2;
        fold_f64(p->op, v, v + n - half, half);
    }
    fold_f64(p->op, p->f64, v, n);
}

/* All that is reduced into the piece, whose first element is at `base`. */
static void add_all(const job *j, piece *p, int64_t base)
{
    const md_shape *s = &j->gone.shape;
    int64_t index[MD_RANK_MAX] = { 0 };
    bool row = s->rank > 0 && j->gone.stride[s->rank - 1] == 1;
    int outer = s->rank - row;

    for (int64_t i = 0; i < p->n; i++) {
        p->f64[i] = start_f64(p->op);
        p->u64[i] = start_u64(p->op, j->in->dtype);
    }
    if (md_shape_n(s) == 0)
        return;
    do {
        int64_t at = base + offset(index, j->gone.stride, outer);

        if (!row)
            add(j, p, at, p->n, false);
        for (int64_t i = 0; row && i < s->dim[outer]; i += MD_CHUNK)
            add(j, p, at + i, md_min_i64(MD_CHUNK, s->dim[outer] - i), true);
    } while (md_step_index(index, s->dim, outer));
}

static void finish(const job *j, const piece *p, int64_t o, const double *top)
{
    int64_t count = md_shape_n(&j->gone.shape);
    double v[MD_CHUNK];

    if (j->ints) {
        md_store_i64(j->out, o, (const int64_t *)p->u64, p->n);
        return;
    }
    for (int64_t i = 0; i < p->n; i++)
        v[i] = md_reduce_finish(j->op, p->f64[i], top[i], count);
    md_store_f64(j->out, o, v, p->n);
}

/* Outputs [from, to). */
static void reduce_part(void *ctx, int64_t from, int64_t to)
{
    const job *j = ctx;
    const md_shape *s = &j->kept.shape;
    bool side = s->rank > 0 && j->kept.stride[s->rank - 1] == 1;
    int64_t inner = side ? s->dim[s->rank - 1] : 1;
    double top[MD_CHUNK] = { 0 };
    piece p;

    for (int64_t o = from; o < to; o += p.n) {
        int64_t base = locate(&j->kept, o);

        p.n = md_min_i64(md_min_i64(to - o, inner - o % inner), MD_CHUNK);
        p.op = j->op;
        p.top = top;
        if (j->op == MD_REDUCE_LOG_SUM_EXP) {
            p.op = MD_REDUCE_MAX;
            add_all(j, &p, base);
            memcpy(top, p.f64, (size_t)p.n * sizeof(*top));
            p.op = j->op;
        }
        add_all(j, &p, base);
        finish(j, &p, o, top);
    }
}

static md_fold_f64 fold_of(md_reduce op)
{
    switch (op) {
    case MD_REDUCE_L1:
        return MD_FOLD_F64_SUM_ABS;
    case MD_REDUCE_L2:
    case MD_REDUCE_SUM_SQUARE:
        return MD_FOLD_F64_SUM_SQUARE;
    case MD_REDUCE_PROD:
        return MD_FOLD_F64_PROD;
    case MD_REDUCE_MAX:
        return MD_FOLD_F64_MAX;
    case MD_REDUCE_MIN:
        return MD_FOLD_F64_MIN;
    default:
        return MD_FOLD_F64_SUM;
    }
}

/* Numbers of a long row that are folded side by side. */
static int64_t side_of(const job *j)
{
    return SIDE * 8 / md_dtype_bits(j->in->dtype);
}

/* One output of a row of n integers, more than side_of: that many columns,
 * whose results are then folded by halves. */
static void fold_long(const job *j, char *y, const char *x, int64_t n)
{
    const int64_t side = side_of(j), size = SIDE / side;
    int64_t v[SIDE / sizeof(int64_t)];

    memcpy(v, x, SIDE);
    for (x += SIDE, n -= side; n >= side; n -= side, x += SIDE)
        j->columns(v, v, x, (size_t)side, 1);
    for (int64_t half = side / 2; half >= side / 8; half /= 2)
        j->columns(v, v, (char *)v + half * size, (size_t)half, 1);
    j->fold(y, v, 1, 0, side / 8, 1);
    j->fold(y, x, 1, 0, n, 1);
}

/* n outputs at y, of `rows` elements each, `stride` apart. */
static void fold_some(const job *j, char *y, const char *x, int64_t n,
                      int64_t step, int64_t rows, int64_t stride)
{
    const md_fold_f64 op = fold_of(j->op);
    const int64_t size = md_dtype_bits(j->in->dtype) / 8;

    if (j->fold && stride == 1 && rows >= 2 * side_of(j))
        for (int64_t i = 0; i < n; i++)
            fold_long(j, y + i * size, x + i * step * size, rows);
    else if (j->fold && (stride == 1 || n < WIDE))
        j->fold(y, x, n, step, rows, stride);
    else if (j->fold)
        for (int64_t r = 0; r < rows; r++)
            j->columns(y, y, x + r * stride * size, (size_t)n, 1);
    else if (stride == 1)
        j->kernel->fold_rows(op, (double *)(void *)y,
                             (const double *)(const void *)x, (size_t)n,
                             (size_t)step, (size_t)rows, 0);
    else
        j->kernel->fold_columns(op, (double *)(void *)y,
                                (const double *)(const void *)x, (size_t)rows,
                                (size_t)stride, (size_t)n);
}

/* n outputs from o on, whose first elements lie `step` apart, the first one
 * at `at`: rows where what is reduced ends with neighbours, else columns. */
static void fold_run(const job *j, int64_t o, int64_t n, int64_t at,
                     int64_t step)
{
    const int64_t size = md_dtype_bits(j->in->dtype) / 8;
    const md_shape *s = &j->gone.shape;
    const int last = s->rank - 1;
    const int64_t rows = s->rank > 0 ? s->dim[last] : 1;
    const int64_t stride = s->rank > 0 ? j->gone.stride[last] : 0;
    const char *x = (const char *)j->in->data + at * size;
    char *y = (char *)j->out->data + o * size;
    int64_t index[MD_RANK_MAX] = { 0 };

    do {
        fold_some(j, y, x + offset(index, j->gone.stride, last) * size, n, step,
                  rows, stride);
    } while (last > 0 && md_step_index(index, s->dim, last));
}

/* log(sum(exp(x))) of n rows of neighbours. */
static void log_sum_exp(const job *j, int64_t o, int64_t n, int64_t at,
                        int64_t step)
{
    const size_t count = (size_t)j->gone.shape.dim[0];

    for (int64_t i = 0; i < n; i++) {
        const double *x = (const double *)j->in->data + at + i * step;
        double top = -INFINITY, sum;

        j->kernel->fold_rows(MD_FOLD_F64_MAX, &top, x, 1, count, count, 0);
        sum = j->kernel->exp_sum(NULL, x, count, top);
        ((double *)j->out->data)[o + i] =
            md_reduce_finish(j->op, sum, top, (int64_t)count);
    }
}

static void finish_f64(const job *j, double *y, int64_t n)
{
    const int64_t count = md_shape_n(&j->gone.shape);

    if (j->op == MD_REDUCE_MEAN) {
        const double by = (double)count;

        j->divide(y, y, &by, (size_t)n, 0);
    } else if (j->op == MD_REDUCE_L2 || j->op == MD_REDUCE_LOG_SUM) {
        for (int64_t i = 0; i < n; i++)
            y[i] = md_reduce_finish(j->op, y[i], 0, count);
    }
}

/* What changes no result, at n <= FOLDED outputs from o on. */
static void set_start(const job *j, int64_t o, int64_t n)
{
    const int64_t start = (int64_t)start_u64(j->op, j->out->dtype);
    double *y = j->out->data;
    int64_t v[FOLDED];

    if (j->fold) {
        for (int64_t i = 0; i < n; i++)
            v[i] = start;
        md_store_i64(j->out, o, v, n);
        return;
    }
    for (int64_t i = o; i < o + n; i++)
        y[i] = start_f64(j->op);
}

/* Units [from, to) of outputs of float64 or integers. */
static void fold_part(void *ctx, int64_t from, int64_t to)
{
    const job *j = ctx;
    const md_shape *s = &j->kept.shape;
    const int64_t inner = s->rank > 0 ? s->dim[s->rank - 1] : 1;
    const int64_t step = s->rank > 0 ? j->kept.stride[s->rank - 1] : 1;
    const int64_t count = md_shape_n(&j->gone.shape);
    int64_t n;

    from *= j->unit;
    to = md_min_i64(to * j->unit, md_tensor_n(j->out));
    for (int64_t o = from; o < to; o += n) {
        n = md_min_i64(md_min_i64(to - o, inner - o % inner), FOLDED);
        if (j->op == MD_REDUCE_LOG_SUM_EXP) {
            log_sum_exp(j, o, n, locate(&j->kept, o), step);
            continue;
        }
        set_start(j, o, n);
        if (count > 0)
            fold_run(j, o, n, locate(&j->kept, o), step);
        if (!j->fold)
            finish_f64(j, (double *)j->out->data + o, n);
    }
}

/* Loops for integers, where they are folded as they are. */
static void set_int_loops(job *j, uint32_t cpu)
{
    static const md_vbinary op[MD_REDUCE_COUNT] = {
        [MD_REDUCE_SUM] = MD_VBINARY_ADD,
        [MD_REDUCE_PROD] = MD_VBINARY_MUL,
        [MD_REDUCE_MAX] = MD_VBINARY_MAX,
        [MD_REDUCE_MIN] = MD_VBINARY_MIN,
    };

    if (!j->ints)
        return;
    j->fold = md_fold_int__find(j->op, j->in->dtype);
    if (j->fold)
        j->columns = md_vbinary_select(cpu)->find(op[j->op], j->in->dtype);
}

/* float64 by vectors, exponentials only of rows; integers. */
static bool folds(const job *j)
{
    const axes *gone = &j->gone;

    if (j->fold)
        return true;
    return j->in->dtype == MD_DTYPE_F64 && j->kernel->required &&
           (j->op != MD_REDUCE_LOG_SUM_EXP ||
            (gone->shape.rank == 1 && gone->stride[0] == 1));
}

/* Short rows from beyond the second cache come a seventh faster by half cache
 * lines, of which fewer lie in two: tensors seldom begin with a line. */
static uint32_t cpu_for(const job *j, uint32_t cpu)
{
    const axes *gone = &j->gone;
    const bool rows =
        gone->shape.rank > 0 && gone->stride[gone->shape.rank - 1] == 1;

    return rows && j->in->dtype == MD_DTYPE_F64 &&
                   md_tensor_n(j->in) > NEAR / (int64_t)sizeof(double)
               ? cpu & ~(uint32_t)MD_CPU_AVX512
               : cpu;
}

md_status md_reduce__compute(md_exec *x, const md_reduction *r, md_tensor *out,
                             md_arena *ar, md_error *err)
{
    job j = { .in = x->in[0],
              .out = out,
              .op = r->op,
              .ints = r->ints && !md_dtype_is_float(out->dtype) };
    bool exp = r->op == MD_REDUCE_LOG_SUM_EXP;
    uint32_t bits;
    md_infer c;
    bool known;

    MD_TRY(md_exec__infer_view(x, &c, ar, err));
    MD_TRY(find_axes(&bits, &known, &c, r, err));
    split_axes(&j.kept, &j.gone, &x->in[0]->shape, bits);
    j.kernel = md_array_f64_select(cpu_for(&j, x->cpu));
    j.divide = md_vbinary_select(x->cpu)->find(MD_VBINARY_DIV, MD_DTYPE_F64);
    set_int_loops(&j, x->cpu);
    if (folds(&j)) {
        const double cost =
            5.0 + (exp ? 2.0 : 0.4) * (double)md_shape_n(&j.gone.shape);
        const int last = j.kept.shape.rank - 1;

        j.unit = last >= 0 && j.kept.stride[last] == 1 ? COLUMNS : 1;
        md_exec__share(x, md_div_up(md_tensor_n(out), j.unit),
                       cost * (double)j.unit, fold_part, &j);
        return MD_OK;
    }
    md_exec__share(x, md_tensor_n(out),
                   2.0 + (exp ? 15.0 : 1.5) * (double)md_shape_n(&j.gone.shape),
                   reduce_part, &j);
    return MD_OK;
}

md_status md_reduce__run(md_exec *x, const md_reduction *r, md_infer_fn *infer,
                         md_error *err)
{
    md_tensor *out;
    md_arena ar;
    md_status s;

    MD_TRY(md_exec__outputs(x, infer, &out, 1, err));
    if (!out)
        return MD_OK;
    md_arena_init(&ar, x->alloc, 0);
    s = md_reduce__compute(x, r, out, &ar, err);
    md_arena_release(&ar);
    return s;
}
