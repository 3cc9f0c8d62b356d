#include "ops/common/rotate.h"

#include <string.h>

enum {
    LANES = 8 /* pairs turned together */
};

md_status md_rotate__check_caches(const md_infer *c, uint32_t icos,
                                  uint32_t isin, int64_t turn, md_error *err)
{
    const md_type *a = c->in[icos], *b = c->in[isin];

    if (a->has_rank && turn >= 0)
        MD_TRY(md_infer__must_equal(c, a->dim[1], MD_DIM(turn / 2),
                                    "axis 1 of the cosines", err));
    if (!a->has_rank || !b->has_rank)
        return MD_OK;
    MD_TRY(md_infer__must_equal(c, b->dim[0], a->dim[0], "the number of sines",
                                err));
    return md_infer__must_equal(c, b->dim[1], a->dim[1], "axis 1 of the sines",
                                err);
}

md_status md_rotate__begin(md_rotate *r, md_arena *ar, md_error *err)
{
    MD_TRY(md_exec__scratch(&r->row, ar, r->in.size, sizeof(double), err));
    MD_TRY(md_exec__scratch(&r->c, ar, r->turn / 2, sizeof(double), err));
    return md_exec__scratch(&r->s, ar, r->turn / 2, sizeof(double), err);
}

/* LANES pairs at a time: a constant, for vectors. */
static void turn_halves(float *restrict y, const float *x, const float *c,
                        const float *s, int64_t half)
{
    int64_t i = 0;

    for (; i + LANES <= half; i += LANES) {
        float near[LANES], far[LANES];

        for (int k = 0; k < LANES; k++) {
            float a = x[i + k], b = x[half + i + k];

            near[k] = c[i + k] * a - s[i + k] * b;
            far[k] = s[i + k] * a + c[i + k] * b;
        }
        memcpy(y + i, near, sizeof(near));
        memcpy(y + half + i, far, sizeof(far));
    }
    for (; i < half; i++) {
        float a = x[i], b = x[half + i];

        y[i] = c[i] * a - s[i] * b;
        y[half + i] = s[i] * a + c[i] * b;
    }
}

static void turn_pairs(float *restrict y, const float *x, const float *c,
                       const float *s, int64_t half)
{
    int64_t i = 0;

    for (; i + LANES <= half; i += LANES) {
        for (int k = 0; k < LANES; k++) {
            float a = x[2 * (i + k)], b = x[2 * (i + k) + 1];

            y[2 * (i + k)] = c[i + k] * a - s[i + k] * b;
            y[2 * (i + k) + 1] = s[i + k] * a + c[i + k] * b;
        }
    }
    for (; i < half; i++) {
        float a = x[2 * i], b = x[2 * i + 1];

        y[2 * i] = c[i] * a - s[i] * b;
        y[2 * i + 1] = s[i] * a + c[i] * b;
    }
}

void md_rotate__turn(float *restrict y, const float *x, const float *c,
                     const float *s, int64_t half, int64_t size,
                     bool interleaved)
{
    if (interleaved)
        turn_pairs(y, x, c, s, half);
    else
        turn_halves(y, x, c, s, half);
    for (int64_t i = 2 * half; i < size; i++)
        y[i] = x[i];
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

bool md_rotate__is_plain(const md_rotate *r)
{
    return r->in.t->dtype == MD_DTYPE_F32 && r->cos->dtype == MD_DTYPE_F32 &&
           r->sin->dtype == MD_DTYPE_F32 && r->out.t->dtype == MD_DTYPE_F32;
}

/* Row i of each head as it lies; the angles are those of c and s. */
static void turn_plain(const md_rotate *r, int64_t heads, int64_t b, int64_t i,
                       const float *c, const float *s)
{
    const md_heads *in = &r->in, *out = &r->out;

    for (int64_t h = 0; h < heads; h++) {
        const float *x = (const float *)in->t->data + in->at + b * in->batch +
                         h * in->head + i * in->row;
        float *y = (float *)out->t->data + out->at + b * out->batch +
                   h * out->head + i * out->row;

        md_rotate__turn(y, x, c, s, r->turn / 2, in->size, r->interleaved);
        for (int64_t k = 0; k < r->turn && r->scale != 1.0; k++)
            y[k] = (float)(y[k] * r->scale);
    }
}

md_status md_rotate__check_position(const md_rotate *r, int64_t position,
                                    md_error *err)
{
    int64_t n = r->cos->shape.dim[0];

    if (position < 0 || position >= n)
        return md_fail(err, MD_INVALID,
                       "position %lld is outside the cache, 0 to %lld expected",
                       (long long)position, (long long)n - 1);
    return MD_OK;
}

md_status md_rotate__row(const md_rotate *r, int64_t heads, int64_t b,
                         int64_t i, int64_t position, md_error *err)
{
    const md_heads *in = &r->in, *out = &r->out;
    int64_t half = r->turn / 2;
    md_tensor to = *out->t;

    MD_TRY(md_rotate__check_position(r, position, err));
    if (md_rotate__is_plain(r)) {
        turn_plain(r, heads, b, i,
                   (const float *)r->cos->data + position * half,
                   (const float *)r->sin->data + position * half);
        return MD_OK;
    }
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
