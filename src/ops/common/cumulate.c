#include "ops/common/cumulate.h"

#include <string.h>

#include "base/size.h"
#include "kernels/cumsum_f32.h"
#include "kernels/vbinary.h"
#include "kernels/vcast.h"

md_status md_cumulate__infer(const md_infer *c, const md_cumulate *how,
                             md_error *err)
{
    const md_type *in;
    int axis;

    MD_TRY(md_infer__need(c, 0, how->types, err));
    MD_TRY(md_infer__need(c, 1, MD_TYPES_INDEX, err));
    MD_TRY(md_infer__length(c, c->in[1], MD_DIM(1), "axis", err));
    in = c->in[0];
    if (in->has_rank && c->cin[1])
        MD_TRY(md_axis_normalize(&axis, md_tensor_get_i64(c->cin[1], 0),
                                 in->rank, err));
    md_infer__give(c, 0, in);
    return MD_OK;
}

enum {
    BLOCK = 64,   /* rows of the last axis in a part, at most MD_CHUNK */
    COLUMNS = 128 /* columns of a part are a multiple of it */
};

typedef struct job {
    const md_tensor *in;
    md_tensor *out;
    const md_cumulate *how;
    const md_cumsum_f32_kernel *kernel;
    /* Of columns, in their own type or, where `widen` is given, in double. */
    md_vbinary_fn *combine;
    md_vcast_fn *widen, *narrow;
    int64_t n, inner; /* elements of the axis, and behind it */
    int64_t block;    /* columns of a part */
    bool exclusive, reverse;
} job;

/* A piece of a row, and what was combined before it. */
typedef struct piece {
    double f64, v[MD_CHUNK];
    uint64_t u64, u[MD_CHUNK];
} piece;

static void reverse_f64(double *v, int64_t n)
{
    for (int64_t i = 0; i < n / 2; i++) {
        double other = v[n - 1 - i];

        v[n - 1 - i] = v[i];
        v[i] = other;
    }
}

static void reverse_u64(uint64_t *v, int64_t n)
{
    for (int64_t i = 0; i < n / 2; i++) {
        uint64_t other = v[n - 1 - i];

        v[n - 1 - i] = v[i];
        v[i] = other;
    }
}

/* v[i] becomes all up to it combined, beginning with *acc, which goes on. */
#define COMBINE(T, acc, v, op)                                                 \
    do {                                                                       \
        T sum = *(acc);                                                        \
                                                                               \
        for (int64_t i = 0; i < n; i++) {                                      \
            const T before = sum;                                              \
                                                                               \
            sum = before op(v)[i];                                             \
            (v)[i] = j->exclusive ? before : sum;                              \
        }                                                                      \
        *(acc) = sum;                                                          \
    } while (0)

static void combine_f64(const job *j, piece *p, int64_t at, int64_t n)
{
    md_load_f64(p->v, j->in, at, n);
    if (j->reverse)
        reverse_f64(p->v, n);
    if (j->how->product)
        COMBINE(double, &p->f64, p->v, *);
    else
        COMBINE(double, &p->f64, p->v, +);
    if (j->reverse)
        reverse_f64(p->v, n);
    md_store_f64(j->out, at, p->v, n);
}

static void combine_u64(const job *j, piece *p, int64_t at, int64_t n)
{
    md_load_i64((int64_t *)p->u, j->in, at, n);
    if (j->reverse)
        reverse_u64(p->u, n);
    if (j->how->product)
        COMBINE(uint64_t, &p->u64, p->u, *);
    else
        COMBINE(uint64_t, &p->u64, p->u, +);
    if (j->reverse)
        reverse_u64(p->u, n);
    md_store_i64(j->out, at, (const int64_t *)p->u, n);
}

static bool is_sum_f32(const job *j)
{
    return j->in->dtype == MD_DTYPE_F32 && !j->how->product;
}

/* Rows are read best as they lie: as many columns at a time as leave each
 * thread some. */
static int64_t block_of(const job *j, const md_exec *x)
{
    int64_t width = x->width > 0 ? x->width : md_pool_width(x->pool);

    if (j->inner == 1)
        return BLOCK;
    return md_div_up(md_div_up(j->inner, width), COLUMNS) * COLUMNS;
}

/* Sums of float32 as they are; `at` is where the row or the columns begin. */
static void sum_row_f32(const job *j, int64_t at)
{
    const float *x = (const float *)j->in->data + at;
    float *y = (float *)j->out->data + at;
    double sum = 0.0;

    for (int64_t i = 0; i < j->n; i++) {
        int64_t k = j->reverse ? j->n - 1 - i : i;
        double before = sum;

        sum += x[k];
        y[k] = (float)(j->exclusive ? before : sum);
    }
}

static void sum_columns_f32(const job *j, int64_t at, int64_t m)
{
    int64_t first = at + (j->reverse ? (j->n - 1) * j->inner : 0);

    j->kernel->run(
        &(md_cumsum_f32_args){ .y = (float *)j->out->data + first,
                               .x = (const float *)j->in->data + first,
                               .n = j->n,
                               .columns = m,
                               .step = j->reverse ? -j->inner : j->inner,
                               .exclusive = j->exclusive });
}

/* m columns from `at` on, each row from the one before. */
static void combine_columns(const job *j, int64_t at, int64_t m)
{
    const int64_t size = md_dtype_bits(j->out->dtype) / 8;
    const int64_t step = (j->reverse ? -j->inner : j->inner) * size;
    const char *x = (const char *)j->in->data + at * size;
    char *y = (char *)j->out->data + at * size;

    if (j->reverse) {
        x -= (j->n - 1) * step;
        y -= (j->n - 1) * step;
    }
    if (!j->exclusive)
        memcpy(y, x, (size_t)(m * size));
    else
        for (int64_t i = 0; i < m; i++)
            md_tensor_set_i64(j->out, (y - (char *)j->out->data) / size + i,
                              (int64_t)j->how->start);
    for (int64_t k = 1; k < j->n; k++, x += step, y += step)
        j->combine(y + step, y, j->exclusive ? x : x + step, (size_t)m, 1);
}

/* The same in double, m <= MD_CHUNK. */
static void combine_widened(const job *j, int64_t at, int64_t m)
{
    const int64_t size = md_dtype_bits(j->out->dtype) / 8;
    double sum[MD_CHUNK], v[MD_CHUNK];

    for (int64_t i = 0; i < m; i++)
        sum[i] = (double)j->how->start;
    for (int64_t k = 0; k < j->n; k++) {
        const int64_t row = j->reverse ? j->n - 1 - k : k;
        const int64_t from = (at + row * j->inner) * size;
        char *y = (char *)j->out->data + from;

        if (j->exclusive)
            j->narrow(y, sum, (size_t)m);
        j->widen(v, (const char *)j->in->data + from, (size_t)m);
        j->combine(sum, sum, v, (size_t)m, 1);
        if (!j->exclusive)
            j->narrow(y, sum, (size_t)m);
    }
}

/* A row that begins at `at`. */
static void combine_row(const job *j, int64_t at)
{
    piece p;

    p.f64 = (double)j->how->start;
    p.u64 = j->how->start;
    for (int64_t done = 0; done < j->n; done += MD_CHUNK) {
        int64_t n = md_min_i64(MD_CHUNK, j->n - done);
        int64_t k = j->reverse ? j->n - done - n : done;

        (md_dtype_is_float(j->out->dtype) ? combine_f64
                                          : combine_u64)(j, &p, at + k, n);
    }
}

/* m columns of an outer index or, where the axis is the last, a row. */
static void combine(const job *j, int64_t at, int64_t m)
{
    if (j->inner == 1 && is_sum_f32(j))
        sum_row_f32(j, at);
    else if (j->inner == 1)
        combine_row(j, at);
    else if (is_sum_f32(j))
        sum_columns_f32(j, at, m);
    else if (!j->widen)
        combine_columns(j, at, m);
    else
        for (int64_t i = 0; i < m; i += MD_CHUNK)
            combine_widened(j, at + i, md_min_i64(MD_CHUNK, m - i));
}

/* Blocks [from, to) of columns, of all outer indices. */
static void combine_part(void *ctx, int64_t from, int64_t to)
{
    const job *j = ctx;
    int64_t blocks = md_div_up(j->inner, j->block);

    for (int64_t b = from; b < to; b++) {
        int64_t column = b % blocks * j->block;

        combine(j, b / blocks * j->n * j->inner + column,
                md_min_i64(j->block, j->inner - column));
    }
}

/* Loops for columns. */
static void set_loops(job *j, uint32_t cpu)
{
    const md_vbinary op = j->how->product ? MD_VBINARY_MUL : MD_VBINARY_ADD;
    const md_dtype type = j->out->dtype;
    const bool wide = md_dtype_is_float(type) && type != MD_DTYPE_F64;

    j->kernel = md_cumsum_f32_select(cpu);
    j->combine = md_vbinary_select(cpu)->find(op, wide ? MD_DTYPE_F64 : type);
    if (wide) {
        j->widen = md_vcast_select(cpu)->find(MD_DTYPE_F64, type);
        j->narrow = md_vcast_select(cpu)->find(type, MD_DTYPE_F64);
    }
}

md_status md_cumulate__compute(md_exec *x, md_tensor *out,
                               const md_cumulate *how, md_error *err)
{
    const md_shape *s = &out->shape;
    job j = { .in = x->in[0],
              .out = out,
              .how = how,
              .exclusive = md_node_attr_i(x->node, "exclusive", 0) != 0,
              .reverse = md_node_attr_i(x->node, "reverse", 0) != 0 };
    double part;
    int axis;

    MD_TRY(
        md_axis_normalize(&axis, md_tensor_get_i64(x->in[1], 0), s->rank, err));
    j.n = s->dim[axis];
    j.inner = md_shape_span(s, axis + 1, s->rank);
    set_loops(&j, x->cpu);
    j.block = block_of(&j, x);
    part = (double)(j.n * md_min_i64(j.inner, j.block));
    md_exec__share(x,
                   md_shape_n(s) / j.n / j.inner * md_div_up(j.inner, j.block),
                   2.0 + part * (j.inner > 1 ? 0.25 : 1.0), combine_part, &j);
    return MD_OK;
}
