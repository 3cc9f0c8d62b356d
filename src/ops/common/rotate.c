#include "ops/common/rotate.h"

#include <string.h>

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

void md_rotate__turn(const md_rotate_f32_kernel *k, const md_rotate_f32_args *a,
                     int64_t size)
{
    const int64_t turned = 2 * a->half;

    k->run(a);
    for (int64_t r = 0; r < a->rows && turned < size && a->y != a->x; r++)
        memcpy(a->y + r * a->step + turned, a->x + r * a->step + turned,
               (size_t)(size - turned) * sizeof(float));
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
    const bool alike = in->head == out->head;
    md_rotate_f32_args a = { .c = c,
                             .s = s,
                             .rows = alike ? heads : 1,
                             .step = in->head,
                             .half = r->turn / 2,
                             .pairs = r->interleaved };

    for (int64_t h = 0; h < heads; h += a.rows) {
        a.x = (const float *)in->t->data + in->at + b * in->batch +
              h * in->head + i * in->row;
        a.y = (float *)out->t->data + out->at + b * out->batch + h * out->head +
              i * out->row;
        md_rotate__turn(r->kernel, &a, in->size);
        if (r->scale == 1.0)
            continue;
        for (int64_t k = 0; k < a.rows * r->turn; k++) {
            float *y = a.y + k / r->turn * a.step + k % r->turn;

            *y = (float)(*y * r->scale);
        }
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
