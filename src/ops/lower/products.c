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
    const int64_t macs = md_max_i64(1, p->n * p->k), mr = p->kernel->mr;
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

/* Bytes of a chunk: copied rows of A, and B unless it is packed apart. */
static bool scratch_size(size_t *out, const md_products *p)
{
    const int64_t rows = copies_a(p) ? md_min_i64(p->m, ROWS) : 0;

    return md_mul_size(out, (size_t)p->k * sizeof(float), (size_t)rows) &&
           md_add_size(out, *out, p->n_b > 0 ? 0 : p->b_size);
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
    if (!md_gemm_f32_packed_size(&p->b_size, p->k, p->n) ||
        !md_add_size(&p->b_size, p->b_size, MD_CACHE_LINE))
        return md_fail_nomem(err, SIZE_MAX);
    p->b_size &= ~(size_t)(MD_CACHE_LINE - 1);
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
    p->n_parts =
        md_max_i64(1, md_div_up(p->n, (int64_t)p->kernel->nr * PACK_PANELS));
    p->b_at = st->shared_size;
    if (!md_mul_size(&total, p->b_size, (size_t)p->n_b) ||
        !md_add_size(&st->shared_size, st->shared_size, total))
        return md_fail_nomem(err, SIZE_MAX);
    set_phase(st, phase, p->n_b * p->n_parts);
    set_phase(st, phase + 1, p->n_products * p->m_parts);
    return MD_OK;
}

static float *packed(const md_products *p, const md_step *st, int64_t b)
{
    return (float *)((char *)st->shared + p->b_at + (size_t)b * p->b_size);
}

static void pack(const md_products *p, float *to, const float *b, int64_t n0,
                 int64_t n1)
{
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

static void pack_part(const md_products *p, const md_step *st, const float *b,
                      int64_t chunk)
{
    const int64_t i = chunk / p->n_parts;
    const int64_t step = (int64_t)p->kernel->nr * PACK_PANELS;
    const int64_t n0 = chunk % p->n_parts * step;

    pack(p, packed(p, st, i), b + b_offset(p, i), n0,
         md_min_i64(n0 + step, p->n));
}

/* Rows of A as neighbours, in tiles: they are long apart. */
static void copy_rows(const md_products *p, float *to, const float *a,
                      int64_t rows)
{
    for (int64_t k0 = 0; k0 < p->k; k0 += TILE) {
        const int64_t k1 = md_min_i64(k0 + TILE, p->k);

        for (int64_t i = 0; i < rows; i++) {
            for (int64_t k = k0; k < k1; k++)
                to[i * p->k + k] = a[i * p->a_row + k * p->a_col];
        }
    }
}

/* Rows m0 .. m1 of one product; a, c and the residual are those of row 0. */
static void multiply(const md_products *p, md_gemm_f32_args g, int64_t m0,
                     int64_t m1, float *copy)
{
    const float *a = g.a, *residual = g.ep.residual;
    float *c = g.c;

    for (int64_t i = m0; i < m1; i += ROWS) {
        g.m = md_min_i64(ROWS, m1 - i);
        g.a = a + i * p->a_row;
        g.c = c + i * p->c_row;
        if (residual)
            g.ep.residual = residual + i * p->c_row;
        if (copies_a(p)) {
            copy_rows(p, copy, g.a, g.m);
            g.a = copy;
            g.lda = p->k;
        }
        p->kernel->run(&g, 0, g.m, 0, g.n);
    }
}

void md_products__run(const md_products *p, const md_step *st, const float *a,
                      const float *b, float *c, const md_epilogue *ep,
                      int64_t chunk, void *scratch)
{
    const int64_t i = chunk / md_max_i64(1, p->m_parts);
    const int64_t at = offset(p, p->c_step, i);
    md_gemm_f32_args g = { .n = p->n,
                           .k = p->k,
                           .a = a + offset(p, p->a_step, i),
                           .lda = p->a_row,
                           .b = scratch,
                           .ldc = p->c_row,
                           .ep = *ep,
                           .strict = p->strict };

    g.c = c + at;
    if (p->n_b > 0 && st->phase == p->phase) {
        pack_part(p, st, b, chunk);
        return;
    }
    if (ep->residual)
        g.ep.residual += at;
    if (p->n_b > 0) {
        const int64_t m0 = chunk % p->m_parts * p->m_step;

        g.b = packed(p, st, offset(p, p->b_index, i));
        multiply(p, g, m0, md_min_i64(m0 + p->m_step, p->m), scratch);
        return;
    }
    pack(p, scratch, b + offset(p, p->b_step, i), 0, p->n);
    multiply(p, g, 0, p->m, (float *)((char *)scratch + p->b_size));
}
