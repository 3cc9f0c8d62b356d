#include "ops/lower/codes.h"

#include <assert.h>
#include <string.h>

#include "base/attr.h"
#include "base/size.h"
#include "ops/lower/range.h"

void md_codes__as_s8(int8_t *to, const uint8_t *from, int64_t n, bool is_signed)
{
    const uint8_t flip = is_signed ? 0 : 0x80;

    for (int64_t i = 0; i < n; i++)
        to[i] = (int8_t)(from[i] ^ flip);
}

void md_codes__pack(int8_t *packed, int32_t *columns,
                    const md_gemm_s8_kernel *kernel, const md_gemm_s8_b *b)
{
    md_gemm_s8_pack(packed, kernel, b, 0, b->n);
    /* the start values for a zero point of -1 */
    md_gemm_s8_start(columns, packed, b->n, md_gemm_s8_packed_k(kernel, b->k),
                     NULL, -1, false);
}

int32_t md_codes__zero(const void *zero, int64_t n_zero, bool is_signed,
                       int64_t i)
{
    if (!zero)
        return is_signed ? 0 : -128;
    if (n_zero == 1)
        i = 0;
    return is_signed ? ((const int8_t *)zero)[i]
                     : ((const uint8_t *)zero)[i] - 128;
}

uint32_t md_codes__sum(const uint8_t *q, int64_t n, bool is_signed)
{
    enum {
        LANES = 16
    };
    const uint8_t flip = is_signed ? 0x80 : 0;
    const int64_t whole = n / LANES * LANES;
    uint32_t lane[LANES] = { 0 }, sum = 0;

    for (int64_t i = 0; i < whole; i += LANES) {
        MD_SIMD
        for (int j = 0; j < LANES; j++)
            lane[j] += q[i + j] ^ flip;
    }
    for (int64_t i = whole; i < n; i++)
        sum += q[i] ^ flip;
    for (int j = 0; j < LANES; j++)
        sum += lane[j];
    return sum - (is_signed ? 128 * (uint32_t)n : 0);
}

/* --- constant matrices ------------------------------------------------- */

void md_codes__release(const md_codes *c, const md_alloc *alloc)
{
    md_free(alloc, c->packed);
    md_free(alloc, c->columns);
    md_free(alloc, c->zero);
    md_free(alloc, c->scale);
}

static bool allocate(md_codes *c, const md_alloc *alloc, int64_t n_matrices)
{
    size_t size, lanes;

    if (!md_mul_size(&size, (size_t)c->size, (size_t)n_matrices) ||
        !md_add_size(&size, size, MD_CACHE_LINE) ||
        !md_mul_size(&lanes, (size_t)c->width, (size_t)n_matrices) ||
        !md_mul_size(&lanes, lanes, sizeof(int32_t)) ||
        !md_add_size(&lanes, lanes, MD_CACHE_LINE))
        return false;
    c->packed = md_malloc_aligned(alloc, size);
    c->columns = md_malloc_aligned(alloc, lanes);
    c->zero = md_malloc_aligned(alloc, lanes);
    c->scale = md_malloc_aligned(alloc, lanes);
    if (!c->packed || !c->columns || !c->zero || !c->scale)
        return false;
    memset(c->zero, 0, lanes);
    memset(c->scale, 0, lanes);
    return true;
}

/* Scales and zero points of a matrix; whether one of these is not 0. */
static bool set_params(md_codes *c, const md_tensor *scale,
                       const md_tensor *zero, int64_t matrix,
                       const int64_t *order)
{
    const bool is_signed = zero->dtype == MD_DTYPE_I8;
    bool any = false;

    for (int64_t j = 0; j < c->n; j++) {
        const int64_t from = matrix * c->n + order[j];
        const int64_t s = scale->shape.rank == 2 ? from : matrix;
        const int64_t z = zero->shape.rank == 2 ? from : matrix;
        const int64_t at = matrix * c->width + j;

        c->scale[at] = ((const float *)scale->data)[s];
        /* -1: each has its own */
        c->zero[at] = md_codes__zero(zero->data, -1, is_signed, z);
        any |= c->zero[at] != 0;
    }
    return any;
}

/* Codes [k][n] as int8, columns in this order. */
static void arrange(int8_t *to, const md_tensor *w, int64_t matrix,
                    const int64_t *order)
{
    const int64_t k = w->shape.dim[1], n = w->shape.dim[2];
    const uint8_t *from = (const uint8_t *)w->data + matrix * k * n;
    const uint8_t flip = w->dtype == MD_DTYPE_I8 ? 0 : 0x80;

    for (int64_t i = 0; i < k; i++) {
        for (int64_t j = 0; j < n; j++)
            to[i * n + j] = (int8_t)(from[i * n + order[j]] ^ flip);
    }
}

static md_status fill(md_codes *c, const md_lower *lo, uint32_t matrix,
                      uint32_t scale, const int64_t *order, md_error *err)
{
    const md_tensor *w = lo->cin[matrix];
    const int64_t n = w->shape.dim[0], each = c->k * c->n;
    int8_t *codes = md_malloc_aligned(lo->alloc, (size_t)each + 1);
    bool any = false;

    if (!codes || !allocate(c, lo->alloc, n)) {
        md_free(lo->alloc, codes);
        md_codes__release(c, lo->alloc);
        return md_fail_nomem(err, (size_t)each);
    }
    for (int64_t i = 0; i < n; i++) {
        arrange(codes, w, i, order);
        md_codes__pack(c->packed + i * c->size, c->columns + i * c->width,
                       c->kernel,
                       &(md_gemm_s8_b){ .b = codes,
                                        .n = c->n,
                                        .k = c->k,
                                        .stride_n = 1,
                                        .stride_k = c->n });
        any |= set_params(c, lo->cin[scale], lo->cin[scale + 1], i, order);
    }
    md_free(lo->alloc, codes);
    if (!any) {
        md_free(lo->alloc, c->zero);
        c->zero = NULL;
    }
    return MD_OK;
}

md_status md_codes__make(md_codes *out, const md_lower *lo, uint32_t matrix,
                         uint32_t scale, const int64_t *order, md_error *err)
{
    const md_tensor *w = matrix < lo->node->n_in ? lo->cin[matrix] : NULL;

    *out = (md_codes){ .k = 0 };
    if (!w || scale + 1 >= lo->node->n_in || !lo->cin[scale] ||
        !lo->cin[scale + 1])
        return md_fail(err, MD_UNSUPPORTED, "needs constant codes");
    /* A tile of AMX has sixteen rows, most of them empty here. */
    out->kernel = md_gemm_s8_select(lo->cpu & ~(uint32_t)MD_CPU_AMX_INT8);
    out->requant = md_requant_s8_select(lo->cpu);
    out->quantize = md_quantize_select(lo->cpu);
    out->k = w->shape.dim[1];
    out->n = w->shape.dim[2];
    out->k_padded = md_gemm_s8_packed_k(out->kernel, out->k);
    out->width = md_div_up(out->n, MD_BLOCK) * MD_BLOCK;
    out->size = (int64_t)md_gemm_s8_packed_size(out->kernel, out->n, out->k);
    return fill(out, lo, matrix, scale, order, err);
}

/* --- products ---------------------------------------------------------- */

/* Memory of a product. */
typedef struct parts {
    uint8_t *q; /* [m][k_padded] */
    float *scale;
    int32_t *row[MD_REQUANT_TERMS];
} parts;

bool md_codes__scratch_size(size_t *out, const md_codes *c, int64_t m)
{
    const size_t each = (size_t)c->k_padded + 3 * sizeof(int32_t);

    return md_mul_size(out, (size_t)m, each) &&
           md_add_size(out, *out, MD_CACHE_LINE);
}

static parts cut(int64_t m, void *scratch)
{
    parts p = { .scale = scratch };

    p.row[0] = (int32_t *)(p.scale + m);
    p.row[1] = p.row[0] + m;
    p.q = (uint8_t *)(p.row[1] + m);
    return p;
}

/* Row i as codes, and what they lack. */
static void quantize_row(const md_codes *c, const md_codes_product *p,
                         const parts *t, int64_t i)
{
    const float *a = p->a + i * p->lda;
    uint8_t *q = t->q + i * c->k_padded;
    md_qparam param = { .q_max = 255 };

    if (p->given) {
        param = *p->given;
    } else {
        md_range range;
        uint8_t zero;

        md_range__find(c->quantize, &range, a, c->k, 1, 0);
        md_range__params(&param.scale, &zero, &range, 1);
        param.zero = zero;
    }
    c->quantize->quantize(q, a, (size_t)c->k, &param);
    memset(q + c->k, 0, (size_t)(c->k_padded - c->k)); /* meets zeros */
    t->scale[i] = param.scale;
    t->row[0][i] = -param.zero;
    if (!c->zero)
        return;
    t->row[1][i] = (int32_t)((uint32_t)c->k * (uint32_t)param.zero -
                             md_codes__sum(q, c->k, false));
}

void md_codes__multiply(const md_codes *c, const md_codes_product *p,
                        void *scratch)
{
    const parts t = cut(p->m, scratch);
    const int64_t at = p->matrix * c->width + p->n0;
    md_gemm_s8_args g = {
        .kernel = c->kernel,
        .requant = c->requant,
        .m = p->m,
        .n = p->n1 - p->n0,
        .k = c->k_padded,
        .a = t.q,
        .lda = c->k_padded,
        .b = c->packed + p->matrix * c->size + p->n0 * c->k_padded,
        .ldc = p->ldc,
        .rq = { .out = MD_QOUT_F32,
                .mult = c->scale + at,
                .bias = p->bias ? p->bias + p->n0 : NULL,
                .column = { c->columns + at, c->zero ? c->zero + at : NULL } },
        .row = { t.row[0], t.row[1] },
        .row_mult = t.scale,
        .ep = { .residual = p->residual ? p->residual + p->n0 : NULL },
    };
    int64_t n_chunks;

    assert(p->n0 % MD_BLOCK == 0 && (p->n1 % MD_BLOCK == 0 || p->n1 == c->n));
    g.c = p->c + p->n0;
    for (int64_t i = 0; i < p->m; i++)
        quantize_row(c, p, &t, i);
    n_chunks = md_gemm_s8_n_chunks(&g);
    for (int64_t i = 0; i < n_chunks; i++)
        md_gemm_s8_run(&g, i, NULL);
}
