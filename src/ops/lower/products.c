#include "ops/lower/products.h"

#include "base/size.h"

enum {
    APART_SIZE = 1 << 18, /* bytes of a packed B that is better shared */
    ROWS = 192,           /* of A that stay in L2 while panels pass by */
    PACK_PANELS = 8,      /* that one chunk packs */
    CHUNK_MACS = 1 << 17, /* worth handing over */
    TILE = 16             /* of a transposed copy */
};

/* How far product i is moved. */
static int64_t offset(const md_products *p, const int64_t *step, int64_t i)
{
    int64_t at = 0;

    for (int d = p->rank; d-- > 0; i /= p->dim[d])
        at += i % p->dim[d] * step[d];
    return at;
}

/* Number the different B, and tell how many there are. */
static int64_t number_b(md_products *p)
{
    int64_t n = 1;

    for (int d = p->rank; d-- > 0;) {
        p->b_index[d] = p->b_step[d] ? n : 0;
        if (p->b_step[d])
            n *= p->dim[d];
    }
    return n;
}

/* Are rows of A copied, as their elements are no neighbours? */
static bool copies_a(const md_products *p)
{
    return p->a_col != 1 && p->k > 1;
}

/* Rows of a chunk of one product, whole tiles of them. */
static void cut_rows(md_products *p, int width)
{
    const int64_t macs = md_max_i64(1, p->n * p->k);
    const int64_t mr = p->f64 ? p->f64->mr : p->kernel->mr;
    const int64_t rows_min = md_div_up(CHUNK_MACS, macs);
    const int64_t pieces = md_div_up((int64_t)width * 2, p->n_products);
    int64_t rows = md_max_i64(md_div_up(p->m, pieces), rows_min);

    rows = md_min_i64(rows, ROWS);
    p->m_step = md_max_i64(1, md_div_up(rows, mr)) * mr;
    p->m_parts = md_max_i64(1, md_div_up(p->m, p->m_step));
}

static void set_phase(md_step *st, int phase, int64_t n)
{
    if (phase == 0)
        st->n_chunks = n;
    else
        st->n_more[phase - 1] = n;
}

static size_t element_size(const md_products *p)
{
    return p->f64 ? sizeof(double) : sizeof(float);
}

static int64_t panel(const md_products *p)
{
    return p->f64 ? p->f64->nr : p->kernel->nr;
}

/* Bytes of a chunk: copied rows of A, and B unless it is packed apart. */
static bool scratch_size(size_t *out, const md_products *p)
{
    const int64_t rows = copies_a(p) ? md_min_i64(p->m, ROWS) : 0;

    return md_mul_size(out, (size_t)p->k * element_size(p), (size_t)rows) &&
           md_add_size(out, *out, p->n_b > 0 ? 0 : p->b_size);
}

/* Bytes of a packed B, whole cache lines. */
static bool set_b_size(md_products *p)
{
    const bool fits =
        p->f64 ? md_gemm_f64_packed_size(&p->b_size, p->f64, p->k, p->n)
               : md_gemm_f32_packed_size(&p->b_size, p->k, p->n);

    if (!fits || !md_add_size(&p->b_size, p->b_size, MD_CACHE_LINE))
        return false;
    p->b_size &= ~(size_t)(MD_CACHE_LINE - 1);
    return true;
}

/* Nothing is packed: B is, or few rows read it once.  These are cut by
 * columns, others by rows. */
static md_status plan_direct(md_products *p, md_step *st, int phase, int width,
                             md_error *err)
{
    const int64_t macs = md_max_i64(1, p->m * p->k * p->n);

    p->direct = true;
    p->b_size = 0;
    if (!scratch_size(&st->scratch_size, p))
        return md_fail_nomem(err, SIZE_MAX);
    cut_rows(p, width);
    p->n_parts = 1;
    if (p->m_parts == 1) {
        p->n_parts = md_div_up((int64_t)width, p->n_products);
        p->n_parts = md_min_i64(p->n_parts, md_div_up(macs, CHUNK_MACS));
        p->n_parts = md_min_i64(p->n_parts, md_div_up(p->n, panel(p)));
    }
    set_phase(st, phase, p->n_products * p->m_parts * p->n_parts);
    return MD_OK;
}

typedef struct pack_job {
    const md_gemm_f64_kernel *kernel;
    const md_gemm_f64_b *from;
    double *to;
} pack_job;

static void pack_panels(void *ctx, int64_t chunk, int worker)
{
    const pack_job *j = ctx;
    const int64_t step = (int64_t)j->kernel->nr * PACK_PANELS;

    (void)worker;
    md_gemm_f64_pack(j->to, j->kernel, j->from, chunk * step,
                     md_min_i64((chunk + 1) * step, j->from->n));
}

md_status md_products__pack_f64(double **out, const md_gemm_f64_kernel *kernel,
                                const md_lower *lo, const md_tensor *b,
                                bool trans, md_error *err)
{
    const md_gemm_f64_b from = { .b = b->data,
                                 .rs = trans ? 1 : b->shape.dim[1],
                                 .cs = trans ? b->shape.dim[1] : 1,
                                 .k = b->shape.dim[trans],
                                 .n = b->shape.dim[!trans] };
    size_t size;
    bool ready;

    if (!md_gemm_f64_packed_size(&size, kernel, from.k, from.n))
        return md_fail_nomem(err, SIZE_MAX);
    MD_TRY(md_lower__pack(lo, (void *)out, size, &ready, err));
    if (!ready)
        md_pool_run(lo->pool, MD_POOL_WIDTH_MAX,
                    md_div_up(from.n, (int64_t)kernel->nr * PACK_PANELS),
                    pack_panels, &(pack_job){ kernel, &from, *out });
    return MD_OK;
}

md_status md_products__plan(md_products *p, md_step *st, int phase, int width,
                            md_error *err)
{
    const int64_t n_b = number_b(p);
    size_t total;

    p->phase = phase;
    p->n_products = 1;
    for (int d = 0; d < p->rank; d++)
        p->n_products *= p->dim[d];
    if (p->constant ||
        (p->f64 && p->b_col == 1 && p->b_row >= p->n && p->m <= p->f64->mr))
        return plan_direct(p, st, phase, width, err);
    if (!set_b_size(p))
        return md_fail_nomem(err, SIZE_MAX);
    /* used by several products, large, or of products that are too few */
    if (n_b < p->n_products || p->b_size > APART_SIZE ||
        (width > 1 && p->n_products < (int64_t)width * 2))
        p->n_b = n_b;
    if (!scratch_size(&st->scratch_size, p))
        return md_fail_nomem(err, SIZE_MAX);
    if (p->n_b == 0) {
        set_phase(st, phase, p->n_products);
        return MD_OK;
    }
    cut_rows(p, width);
    p->n_parts = md_max_i64(1, md_div_up(p->n, panel(p) * PACK_PANELS));
    p->b_at = st->shared_size;
    if (!md_mul_size(&total, p->b_size, (size_t)p->n_b) ||
        !md_add_size(&st->shared_size, st->shared_size, total))
        return md_fail_nomem(err, SIZE_MAX);
    set_phase(st, phase, p->n_b * p->n_parts);
    set_phase(st, phase + 1, p->n_products * p->m_parts);
    return MD_OK;
}

static void *packed(const md_products *p, const md_step *st, int64_t b)
{
    return (char *)st->shared + p->b_at + (size_t)b * p->b_size;
}

/* Element `at` of a tensor. */
static const void *element(const md_products *p, const void *t, int64_t at)
{
    return (const char *)t + (size_t)at * element_size(p);
}

static void pack(const md_products *p, void *to, const void *b, int64_t n0,
                 int64_t n1)
{
    if (p->f64)
        md_gemm_f64_pack(
            to, p->f64,
            &(md_gemm_f64_b){
                .b = b, .rs = p->b_row, .cs = p->b_col, .k = p->k, .n = p->n },
            n0, n1);
    else
        p->kernel->pack_b(
            to,
            &(md_gemm_f32_b){
                .b = b, .rs = p->b_row, .cs = p->b_col, .k = p->k, .n = p->n },
            n0, n1);
}

/* The address of the b-th different B. */
static int64_t b_offset(const md_products *p, int64_t b)
{
    int64_t at = 0;

    for (int d = p->rank; d-- > 0;) {
        if (!p->b_step[d])
            continue;
        at += b % p->dim[d] * p->b_step[d];
        b /= p->dim[d];
    }
    return at;
}

static void pack_part(const md_products *p, const md_step *st, const void *b,
                      int64_t chunk)
{
    const int64_t i = chunk / p->n_parts;
    const int64_t step = panel(p) * PACK_PANELS;
    const int64_t n0 = chunk % p->n_parts * step;

    pack(p, packed(p, st, i), element(p, b, b_offset(p, i)), n0,
         md_min_i64(n0 + step, p->n));
}

/* Rows of A as neighbours, in tiles: they are long apart. */
#define COPY_ROWS(name, T)                                                     \
    static void name(const md_products *p, T *to, const T *a, int64_t rows)    \
    {                                                                          \
        for (int64_t k0 = 0; k0 < p->k; k0 += TILE) {                          \
            const int64_t k1 = md_min_i64(k0 + TILE, p->k);                    \
                                                                               \
            for (int64_t i = 0; i < rows; i++) {                               \
                for (int64_t k = k0; k < k1; k++)                              \
                    to[i * p->k + k] = a[i * p->a_row + k * p->a_col];         \
            }                                                                  \
        }                                                                      \
    }
COPY_ROWS(copy_rows, float)
COPY_ROWS(copy_rows_f64, double)

/* What a chunk multiplies: rows m0 .. m1, columns n0 .. n1 of one product; a,
 * c and the residual are those of row 0. */
typedef struct part {
    const void *a, *b;
    void *c, *copy;
    int64_t m0, m1, n0, n1;
} part;

static void multiply_f64(const md_products *p, const part *t)
{
    md_gemm_f64_args g = { .n = p->n,
                           .k = p->k,
                           .lda = p->a_row,
                           .b = t->b,
                           .ldb = p->direct && !p->constant ? p->b_row : 0,
                           .ldc = p->c_row,
                           .scale = p->scale };

    for (int64_t i = t->m0; i < t->m1; i += ROWS) {
        g.m = md_min_i64(ROWS, t->m1 - i);
        g.a = (const double *)t->a + i * p->a_row;
        g.c = (double *)t->c + i * p->c_row;
        if (copies_a(p)) {
            copy_rows_f64(p, t->copy, g.a, g.m);
            g.a = t->copy;
            g.lda = p->k;
        }
        p->f64->run(&g, 0, g.m, t->n0, t->n1);
    }
}

static void multiply(const md_products *p, const md_epilogue *ep, const part *t)
{
    md_gemm_f32_args g = { .n = p->n,
                           .k = p->k,
                           .lda = p->a_row,
                           .b = t->b,
                           .ldc = p->c_row,
                           .ep = *ep,
                           .strict = p->strict };

    if (p->f64) {
        multiply_f64(p, t);
        return;
    }
    for (int64_t i = t->m0; i < t->m1; i += ROWS) {
        g.m = md_min_i64(ROWS, t->m1 - i);
        g.a = (const float *)t->a + i * p->a_row;
        g.c = (float *)t->c + i * p->c_row;
        if (ep->residual)
            g.ep.residual = ep->residual + i * p->c_row;
        if (copies_a(p)) {
            copy_rows(p, t->copy, g.a, g.m);
            g.a = t->copy;
            g.lda = p->k;
        }
        p->kernel->run(&g, 0, g.m, t->n0, t->n1);
    }
}

/* Rows and columns of chunk i of a product. */
static void cut(const md_products *p, part *t, int64_t i)
{
    const int64_t nr = panel(p), n_panels = md_div_up(p->n, nr);
    const int64_t column = i / p->m_parts;

    t->m0 = i % p->m_parts * p->m_step;
    t->m1 = md_min_i64(t->m0 + p->m_step, p->m);
    if (!p->direct)
        return;
    t->n0 = n_panels * column / p->n_parts * nr;
    t->n1 = md_min_i64(n_panels * (column + 1) / p->n_parts * nr, p->n);
}

void md_products__run(const md_products *p, const md_step *st, const void *a,
                      const void *b, void *c, const md_epilogue *ep,
                      int64_t chunk, void *scratch)
{
    const int64_t n_chunks =
        md_max_i64(1, p->m_parts) * (p->direct ? p->n_parts : 1);
    const int64_t i = chunk / n_chunks, at = offset(p, p->c_step, i);
    md_epilogue own = *ep;
    part t = { .a = element(p, a, offset(p, p->a_step, i)),
               .c = (char *)c + (size_t)at * element_size(p),
               .copy = scratch,
               .m1 = p->m,
               .n1 = p->n };

    if (p->n_b > 0 && st->phase == p->phase) {
        pack_part(p, st, b, chunk);
        return;
    }
    if (ep->residual)
        own.residual += at;
    if (p->n_b > 0 || p->direct)
        cut(p, &t, chunk % n_chunks);
    if (p->n_b > 0) {
        t.b = packed(p, st, offset(p, p->b_index, i));
    } else if (p->direct) {
        t.b =
            p->constant ? p->constant : element(p, b, offset(p, p->b_step, i));
    } else {
        pack(p, scratch, element(p, b, offset(p, p->b_step, i)), 0, p->n);
        t.b = scratch;
        t.copy = (char *)scratch + p->b_size;
    }
    multiply(p, &own, &t);
}
