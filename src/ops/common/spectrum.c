#include "ops/common/spectrum.h"

md_status md_spectrum__length(const md_infer *c, uint32_t i, const char *what,
                              int64_t *out, md_error *err)
{
    if (!md_infer_has(c, i))
        return MD_OK;
    MD_TRY(md_infer__need(c, i, MD_TYPES_INDEX, err));
    MD_TRY(md_infer__length(c, c->in[i], MD_DIM(1), what, err));
    if (!c->cin[i])
        return MD_OK;
    *out = md_tensor_get_i64(c->cin[i], 0);
    if (*out < 1)
        return md_fail(err, MD_INVALID, "%s is %lld, at least 1 expected", what,
                       (long long)*out);
    return MD_OK;
}

typedef struct job {
    const md_spectrum *s;
    double *memory;
    int64_t each; /* doubles for a thread */
} job;

static double load(const md_tensor *t, int64_t i)
{
    double v;

    if (t->dtype == MD_DTYPE_F32)
        return ((const float *)t->data)[i];
    md_load_f64(&v, t, i, 1);
    return v;
}

static void store(md_tensor *t, int64_t i, double v)
{
    if (t->dtype == MD_DTYPE_F32)
        ((float *)t->data)[i] = (float)v;
    else
        md_store_f64(t, i, &v, 1);
}

/* Row r into re, and into im when it is complex. */
static void read_row(const md_spectrum *s, int64_t r, double *re, double *im)
{
    int64_t parts = s->in_complex ? 2 : 1, at = s->in_at(s, r) * parts;
    int64_t n = md_min_i64(s->n_in, s->fft.n), step = s->in_step * parts;

    for (int64_t i = 0; i < n; i++, at += step) {
        double w = s->window ? s->window[i] : 1.0;

        re[i] = load(s->in, at) * w;
        if (s->in_complex)
            im[i] = load(s->in, at + 1) * w;
    }
    for (int64_t i = n; i < s->fft.n; i++)
        re[i] = 0.0;
    for (int64_t i = n; s->in_complex && i < s->fft.n; i++)
        im[i] = 0.0;
}

/* Of a real signal's spectrum the second half is the first one's conjugate;
 * what is its own conjugate is real. */
static void mirror(double *re, double *im, int64_t n)
{
    im[0] = 0.0;
    if (n % 2 == 0)
        im[n / 2] = 0.0;
    for (int64_t i = n / 2 + 1; i < n; i++) {
        re[i] = re[n - i];
        im[i] = -im[n - i];
    }
}

static void write_row(const md_spectrum *s, int64_t r, const double *re,
                      const double *im, double scale)
{
    int64_t parts = s->out_complex ? 2 : 1, at = s->out_at(s, r) * parts;

    for (int64_t i = 0; i < s->n_out; i++, at += s->out_step * parts) {
        store(s->out, at, re[i] * scale);
        if (s->out_complex)
            store(s->out, at + 1, im[i] * scale);
    }
}

/* Rows r and r + 1 from the spectrum of x = row r + i row (r + 1): a real
 * signal's is even in its real part and odd in the imaginary one. */
static void write_pair(const md_spectrum *s, int64_t r, const double *re,
                       const double *im, double scale)
{
    int64_t at = s->out_at(s, r) * 2, at_next = s->out_at(s, r + 1) * 2;

    scale *= 0.5;
    for (int64_t i = 0; i < s->n_out; i++) {
        int64_t k = i ? s->fft.n - i : 0;

        store(s->out, at, (re[i] + re[k]) * scale);
        store(s->out, at + 1, (im[i] - im[k]) * scale);
        store(s->out, at_next, (im[i] + im[k]) * scale);
        store(s->out, at_next + 1, (re[k] - re[i]) * scale);
        at += 2 * s->out_step;
        at_next += 2 * s->out_step;
    }
}

/* Two rows. */
static void transform(void *ctx, int64_t chunk, int worker)
{
    const job *j = ctx;
    const md_spectrum *s = j->s;
    int64_t n = s->fft.n, first = 2 * chunk;
    int64_t end = md_min_i64(s->n_rows, first + 2);
    double *re = j->memory + worker * j->each, *im = re + n;
    double scale = s->inverse ? 1.0 / (double)n : 1.0;
    bool pair = !s->in_complex && !s->inverse && end - first == 2;

    for (int64_t r = first; r < end; r += pair ? 2 : 1) {
        read_row(s, r, re, im);
        if (pair)
            read_row(s, r + 1, im, NULL);
        for (int64_t i = 0; !pair && !s->in_complex && i < n; i++)
            im[i] = 0.0;
        if (s->mirrored)
            mirror(re, im, n);
        if (s->inverse)
            md_fft__run(&s->fft, im, re, im + n);
        else
            md_fft__run(&s->fft, re, im, im + n);
        if (pair)
            write_pair(s, r, re, im, scale);
        else
            write_row(s, r, re, im, scale);
    }
}

md_status md_spectrum__run(md_spectrum *s, int64_t n, md_pool *pool,
                           md_arena *ar, md_error *err)
{
    job j = { .s = s };

    MD_TRY(md_fft__plan(&s->fft, n, ar, err));
    j.each = 2 * n + md_fft__scratch(&s->fft);
    MD_TRY(md_exec__scratch(&j.memory, ar, md_pool_width(pool),
                            (size_t)j.each * sizeof(*j.memory), err));
    md_pool_run(pool, MD_POOL_WIDTH_MAX, md_div_up(s->n_rows, 2), transform,
                &j);
    return MD_OK;
}

md_status md_spectrum__check(md_compose *m, int pairs, int64_t *n, int *rank,
                             md_error *err)
{
    const md_type *t = &m->part[md_compose_in(m, 0)].type;
    md_dim last;

    *n = md_node_attr_i(m->node, "signal_ndim", 1);
    if (!md_node_attr(m->node, "signal_ndim"))
        return md_fail(err, MD_INVALID, "signal_ndim is missing");
    if (*n < 1 || *n > 3)
        return md_fail(err, MD_INVALID, "signal_ndim is %lld, 1 to 3 expected",
                       (long long)*n);
    if (md_node_attr_i(m->node, "onesided", 1) != 1 ||
        md_node_attr_i(m->node, "normalized", 0) != 0)
        return md_fail(err, MD_INVALID, "onesided 1 and normalized 0 expected");
    MD_TRY(md_compose_check(m, 0, MD_T(F32) | MD_T(F64) | MD_T(F16),
                            (int)*n + pairs, MD_RANK_MAX - 1, err));
    MD_TRY(md_compose_rank(m, md_compose_in(m, 0), rank, err));
    last = t->dim[*rank - 1];
    if (pairs && md_dim_is_const(last) && last.k != 2)
        return md_fail(err, MD_INVALID,
                       "the last axis has %lld elements, 2 expected",
                       (long long)last.k);
    last = t->dim[*rank - 1 - pairs];
    if (md_dim_is_const(last) && (pairs ? last.k < 2 : last.k % 2 != 0))
        return md_fail(
            err, MD_INVALID, "the signal has %lld elements, %s expected",
            (long long)last.k, pairs ? "2 or more" : "an even number");
    return MD_OK;
}

md_status md_spectrum__transform(md_compose *m, md_part *y, int64_t axis,
                                 bool inverse, bool onesided, md_error *err)
{
    md_part at;

    MD_TRY(md_compose_scalar(m, MD_DTYPE_I64, (double)axis, &at, err));
    return md_compose_emit(
        m,
        &(md_compose_step){ .op = "DFT",
                            .in = { *y, MD_PART_NONE, at },
                            .n_in = 3,
                            .attr = { MD_GIVE_I("inverse", inverse),
                                      MD_GIVE_I("onesided", onesided) },
                            .n_attr = 2 },
        y, err);
}
