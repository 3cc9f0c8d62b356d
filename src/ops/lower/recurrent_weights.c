/* Weights of fast recurrent nets: where they lie, and packing them. */
#include <string.h>

#include "base/size.h"
#include "ops/lower/recurrent.h"

enum {
    UNITS_MIN = 32, /* of a block: two vectors of each gate */
    IN_W_SCALE = 8, /* of codes; each is followed by a zero point */
    IN_R_SCALE = 10
};

void md_recurrent_fast__release(void *state, const md_alloc *alloc)
{
    md_recurrent_fast *s = state;

    md_free(alloc, s->weights);
    md_codes__release(&s->w, alloc);
    md_codes__release(&s->r, alloc);
}

/* --- places ------------------------------------------------------------ */

/* Room for n floats behind what is there; false on overflow. */
static bool take(size_t *at, size_t *end, size_t n)
{
    *at = *end;
    return md_add_size(end, *end, n + MD_BLOCK) &&
           (*end &= ~(size_t)(MD_BLOCK - 1), true);
}

/* Room for a packed matrix of `n` columns to each unit, in every block. */
static bool take_packed(const md_recurrent_fast *s, size_t *at, size_t *step,
                        size_t *end, int64_t k, int64_t n)
{
    size_t size;

    *step = 0;
    return md_gemm_f32_packed_size(&size, k, n * s->n_units) &&
           md_add_size(step, size / sizeof(float), MD_BLOCK - 1) &&
           (*step &= ~(size_t)(MD_BLOCK - 1), true) &&
           md_mul_size(&size, *step, (size_t)s->n_blocks) &&
           take(at, end, size);
}

bool md_recurrent_fast__cut(md_recurrent_fast *s, int width, bool constant)
{
    const int64_t n = s->n_hidden, n_max = constant ? n / UNITS_MIN : 1;
    md_recurrent_places *p = &s->at;
    size_t end = 0, total;
    int64_t n_blocks = md_max_i64(1, md_min_i64(width, n_max));

    s->n_units = md_div_up(n, n_blocks);
    if (n_blocks > 1)
        s->n_units = md_div_up(s->n_units, MD_BLOCK) * MD_BLOCK;
    s->n_blocks = s->n_units > 0 ? md_div_up(n, s->n_units) : 1;
    return (s->quantized ||
            (take_packed(s, &p->w, &p->w_step, &end, s->n_in, s->n_together) &&
             take_packed(s, &p->r, &p->r_step, &end, n, s->n_together) &&
             take_packed(s, &p->w_alone, &p->w_alone_step, &end, s->n_in,
                         s->n_alone) &&
             take_packed(s, &p->r_alone, &p->r_alone_step, &end, n,
                         s->n_alone))) &&
           take(&p->bias, &end, (size_t)(s->n_gates * n)) &&
           take(&p->bias_alone, &end, (size_t)(s->n_alone * n)) &&
           take(&p->peephole, &end, 3 * (size_t)n) &&
           (p->size = end, md_mul_size(&total, end, 2 * sizeof(float)));
}

/* --- packing ----------------------------------------------------------- */

/* The row of W, R and the bias that is column j of a row's gates. */
static int64_t row_of(const md_recurrent_fast *s, int64_t j)
{
    int64_t b, units, at;

    if (j >= s->n_together * s->n_hidden)
        return j;
    b = j / (s->n_together * s->n_units);
    units = md_recurrent_fast__units(s, b);
    at = j - md_recurrent_fast__column(s, b);
    return at / units * s->n_hidden + b * s->n_units + at % units;
}

/* Columns of the product: rows `row` .. row + n of w[][k]. */
static void pack_rows(const md_recurrent_fast *s, float *to, const float *w,
                      int64_t row, int64_t n, int64_t k)
{
    s->gemm->pack_b(
        to,
        &(md_gemm_f32_b){ .b = w + row * k, .rs = 1, .cs = k, .k = k, .n = n },
        0, n);
}

/* W or R, [n_gates * n_hidden][k], to `to` and `alone`.  scratch: the rows of a
 * block; NULL: there is but one. */
static void pack_matrix(const md_recurrent_fast *s, float *to, size_t step,
                        float *alone, size_t alone_step, const float *w,
                        int64_t k, float *scratch)
{
    for (int64_t b = 0; b < s->n_blocks; b++) {
        const int64_t units = md_recurrent_fast__units(s, b);
        const int64_t n = s->n_together * units;
        const int64_t from = md_recurrent_fast__column(s, b);

        for (int64_t i = 0; scratch && i < n; i++)
            memcpy(scratch + i * k, w + row_of(s, from + i) * k,
                   (size_t)k * sizeof(*w));
        pack_rows(s, to + (size_t)b * step, scratch ? scratch : w, 0, n, k);
        if (s->n_alone > 0)
            pack_rows(s, alone + (size_t)b * alone_step, w,
                      s->n_together * s->n_hidden + b * s->n_units, units, k);
    }
}

static void pack_all(const md_recurrent_fast *s, float *to,
                     const float *const *in, int d, float *scratch)
{
    const int64_t n = s->n_hidden, n_rows = s->n_gates * n;
    const int64_t first = s->n_together * n;
    const md_recurrent_places *p = &s->at;
    const float *b = in[MD_RECURRENT_B];

    memset(to, 0, p->size * sizeof(*to));
    if (!s->quantized) {
        pack_matrix(s, to + p->w, p->w_step, to + p->w_alone, p->w_alone_step,
                    in[MD_RECURRENT_W] + d * n_rows * s->n_in, s->n_in,
                    scratch);
        pack_matrix(s, to + p->r, p->r_step, to + p->r_alone, p->r_alone_step,
                    in[MD_RECURRENT_R] + d * n_rows * n, n, scratch);
    }
    if (in[MD_RECURRENT_PEEPHOLE])
        memcpy(to + p->peephole, in[MD_RECURRENT_PEEPHOLE] + (int64_t)d * 3 * n,
               3 * (size_t)n * sizeof(*to));
    if (!b)
        return;
    b += 2 * n_rows * d;
    for (int64_t i = 0; i < n_rows; i++) {
        const int64_t row = row_of(s, i);

        to[p->bias + (size_t)i] =
            b[row] + (s->variant && i >= first ? 0 : b[n_rows + row]);
    }
    for (int64_t i = first; i < n_rows; i++)
        to[p->bias_alone + (size_t)(i - first)] = b[n_rows + i];
}

void md_recurrent_fast__pack_direction(const md_recurrent_fast *s, float *to,
                                       const float *const *in, int d)
{
    pack_all(s, to, in, d, NULL);
}

static bool is_packed(const md_recurrent_fast *s, const md_lower *lo,
                      uint32_t i)
{
    const bool is_matrix = i == MD_RECURRENT_W || i == MD_RECURRENT_R;

    return i < lo->node->n_in && lo->in[i] &&
           ((is_matrix && !s->quantized) || i == MD_RECURRENT_B ||
            i == MD_RECURRENT_PEEPHOLE);
}

bool md_recurrent_fast__is_constant(const md_recurrent_fast *s,
                                    const md_lower *lo)
{
    for (uint32_t i = 0; i < lo->node->n_in; i++) {
        if (is_packed(s, lo, i) && !md_lower__const(lo, i, MD_DTYPE_F32))
            return false;
    }
    return true;
}

/* Rows of a block, of W or of R; *out is NULL where it needs none. */
static md_status new_scratch(float **out, const md_recurrent_fast *s,
                             const md_lower *lo, md_error *err)
{
    size_t size;

    *out = NULL;
    if (s->quantized || s->n_blocks == 1)
        return MD_OK;
    if (!md_mul_size(&size, (size_t)(s->n_together * s->n_units),
                     sizeof(float)) ||
        !md_mul_size(&size, size,
                     (size_t)md_max_i64(1, md_max_i64(s->n_in, s->n_hidden))))
        return md_fail_nomem(err, SIZE_MAX);
    *out = md_malloc(lo->alloc, size);
    return *out ? MD_OK : md_fail_nomem(err, size);
}

static md_status pack_floats(md_recurrent_fast *s, md_lower *lo, md_error *err)
{
    const float *in[MD_RECURRENT_PEEPHOLE + 1] = { NULL };
    size_t size = s->at.size * sizeof(float) * (size_t)s->n_dirs;
    float *scratch;

    MD_TRY(new_scratch(&scratch, s, lo, err));
    s->weights = md_malloc_aligned(lo->alloc, size + MD_CACHE_LINE);
    if (!s->weights) {
        md_free(lo->alloc, scratch);
        return md_fail_nomem(err, size);
    }
    for (uint32_t i = MD_RECURRENT_W; i <= MD_RECURRENT_PEEPHOLE; i++) {
        if (!is_packed(s, lo, i))
            continue;
        in[i] = lo->cin[i]->data;
        lo->packed[i] = true;
    }
    for (int d = 0; d < s->n_dirs; d++)
        pack_all(s, s->weights + (size_t)d * s->at.size, in, d, scratch);
    md_free(lo->alloc, scratch);
    return MD_OK;
}

/* Codes of W and R, whose columns come as gates do. */
static md_status pack_codes(md_recurrent_fast *s, md_lower *lo, md_error *err)
{
    const int64_t n = s->n_gates * s->n_hidden;
    int64_t *order = md_malloc(lo->alloc, (size_t)n * sizeof(*order) + 1);
    md_status st;

    if (!order)
        return md_fail_nomem(err, (size_t)n * sizeof(*order));
    for (int64_t i = 0; i < n; i++)
        order[i] = row_of(s, i);
    st = md_codes__make(&s->w, lo, MD_RECURRENT_W, IN_W_SCALE, order, err);
    if (st == MD_OK)
        st = md_codes__make(&s->r, lo, MD_RECURRENT_R, IN_R_SCALE, order, err);
    md_free(lo->alloc, order);
    return st;
}

md_status md_recurrent_fast__pack(md_recurrent_fast *s, md_lower *lo,
                                  md_error *err)
{
    md_status st = MD_OK;

    if (!md_recurrent_fast__is_constant(s, lo))
        return s->quantized ? md_fail(err, MD_UNSUPPORTED, "needs constants")
                            : MD_OK;
    if (s->quantized)
        st = pack_codes(s, lo, err);
    if (st == MD_OK)
        st = pack_floats(s, lo, err);
    if (st != MD_OK) {
        md_recurrent_fast__release(s, lo->alloc);
        return st;
    }
    if (s->quantized)
        lo->packed[MD_RECURRENT_W] = lo->packed[MD_RECURRENT_R] = true;
    return MD_OK;
}
