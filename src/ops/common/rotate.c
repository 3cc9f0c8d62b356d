#include "ops/common/rotate.h"

md_status md_rotate__check_caches(const md_infer *c, uint32_t icos,
                                  uint32_t isin, int64_t turn, md_error *err)
{
    const md_type *a = c->in[icos], *b = c->in[isin];

    if (a->has_rank && turn >= 0)
        MD_TRY(md_infer__same_dim(a->dim[1], MD_DIM(turn / 2),
                                  "axis 1 of the cosines", err));
    if (!a->has_rank || !b->has_rank)
        return MD_OK;
    MD_TRY(
        md_infer__same_dim(b->dim[0], a->dim[0], "the number of sines", err));
    return md_infer__same_dim(b->dim[1], a->dim[1], "axis 1 of the sines", err);
}

md_status md_rotate__begin(md_rotate *r, md_arena *ar, md_error *err)
{
    MD_TRY(md_exec__scratch(&r->row, ar, r->in.size, sizeof(double), err));
    MD_TRY(md_exec__scratch(&r->c, ar, r->turn / 2, sizeof(double), err));
    return md_exec__scratch(&r->s, ar, r->turn / 2, sizeof(double), err);
}

static void turn(const md_rotate *r, double *v)
{
    int64_t half = r->turn / 2;

    for (int64_t k = 0; k < half; k++) {
        double *x = &v[r->interleaved ? 2 * k : k];
        double *y = &v[r->interleaved ? 2 * k + 1 : k + half];
        double a = *x, b = *y;

        *x = (a * r->c[k] - b * r->s[k]) * r->scale;
        *y = (b * r->c[k] + a * r->s[k]) * r->scale;
    }
}

md_status md_rotate__row(const md_rotate *r, int64_t heads, int64_t b,
                         int64_t i, int64_t position, md_error *err)
{
    const md_heads *in = &r->in, *out = &r->out;
    int64_t n = r->cos->shape.dim[0], half = r->turn / 2;
    md_tensor to = *out->t;

    if (position < 0 || position >= n)
        return md_fail(err, MD_INVALID,
                       "position %lld is outside the cache, 0 to %lld expected",
                       (long long)position, (long long)n - 1);
    md_load_f64(r->c, r->cos, position * half, half);
    md_load_f64(r->s, r->sin, position * half, half);
    for (int64_t h = 0; h < heads; h++) {
        md_load_f64(r->row, in->t,
                    in->at + b * in->batch + h * in->head + i * in->row,
                    in->size);
        turn(r, r->row);
        md_store_f64(&to,
                     out->at + b * out->batch + h * out->head + i * out->row,
                     r->row, in->size);
    }
    return MD_OK;
}
