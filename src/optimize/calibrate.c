#include "optimize/calibrate.h"

#include <math.h>

#include "engine/session.h"
#include "formats/onnx.h"
#include "train/runner.h"

enum {
    BATCH = 16 /* samples in one execution */
};

static md_status widen(md_range *r, const md_tensor *t, const char *name,
                       md_error *err)
{
    const float *p = t->data;
    int64_t n = md_tensor_n(t);

    if (t->dtype != MD_DTYPE_F32 || t->kind != MD_KIND_TENSOR)
        return md_fail(err, MD_UNSUPPORTED,
                       "value '%s' is a %s of %s, a tensor of float32 expected",
                       name, md_kind_name(t->kind), md_dtype_name(t->dtype));
    for (int64_t i = 0; i < n; i++) {
        if (!isfinite(p[i]))
            return md_fail(err, MD_INVALID,
                           "value '%s' becomes %g on the calibration data",
                           name, (double)p[i]);
        r->min = fminf(r->min, p[i]);
        r->max = fmaxf(r->max, p[i]);
    }
    return MD_OK;
}

static void count(md_range *r, const md_tensor *t)
{
    const float *p = t->data;
    int64_t n = md_tensor_n(t);
    float width = (r->max - r->min) / MD_CALIB_BINS;

    for (int64_t i = 0; i < n && width > 0.0f; i++) {
        int64_t at = (int64_t)((p[i] - r->min) / width);

        r->bins[at < MD_CALIB_BINS ? at : MD_CALIB_BINS - 1]++;
    }
}

/* One pass over the data: ranges first, then histograms between them. */
typedef struct pass {
    md_range *ranges;
    const char *const *names;
    uint32_t n;
    bool counting;
} pass;

static md_status visit(void *ctx, const md_run *r, int64_t from, int64_t n,
                       md_error *err)
{
    const pass *p = ctx;

    (void)from;
    (void)n;
    for (uint32_t i = 0; i < p->n; i++) {
        const md_tensor *t = md_run_output(r, i);

        if (p->counting)
            count(&p->ranges[i], t);
        else
            MD_TRY(widen(&p->ranges[i], t, p->names[i], err));
    }
    return MD_OK;
}

md_status md_calibrate(md_range *ranges, const md_model *model,
                       const char *const *names, uint32_t n,
                       const md_dataset *data, md_pool *pool, md_error *err)
{
    const md_sweep sweep = { .data = data, .batch = BATCH, .pool = pool };
    pass p = { .ranges = ranges, .names = names, .n = n };
    md_session *s;
    md_status st;

    MD_TRY(md_taps_open(&s, model, names, n, pool, err));
    for (uint32_t i = 0; i < n; i++)
        ranges[i] = (md_range){ 0 };
    st = md_run_over(s, &sweep, visit, &p, err);
    p.counting = true;
    if (st == MD_OK)
        st = md_run_over(s, &sweep, visit, &p, err);
    md_session_free(s);
    return st;
}

/* Asymmetric parameters for [min, max], which holds 0. */
static md_qparams params_for(float min, float max)
{
    md_qparams p = { .scale = (max - min) / 255.0f };

    if (!(p.scale > 0.0f))
        return (md_qparams){ .scale = 1.0f, .zero = 0 };
    p.zero = (uint8_t)nearbyintf(fminf(fmaxf(-min / p.scale, 0.0f), 255.0f));
    return p;
}

static float bin_centre(const md_range *r, int i)
{
    float width = (r->max - r->min) / MD_CALIB_BINS;

    return r->min + ((float)i + 0.5f) * width;
}

static double squared_error(const md_range *r, md_qparams p)
{
    double sum = 0.0;

    for (int i = 0; i < MD_CALIB_BINS; i++) {
        float x, q;

        if (!r->bins[i])
            continue;
        x = bin_centre(r, i);
        q = nearbyintf(x / p.scale) + (float)p.zero;
        q = (fminf(fmaxf(q, 0.0f), 255.0f) - (float)p.zero) * p.scale;
        sum += (double)r->bins[i] * (double)(x - q) * (double)(x - q);
    }
    return sum;
}

/* Shrink both ends in steps of 1 % down to 40 %. */
static md_qparams least_error(const md_range *r)
{
    md_qparams best = params_for(r->min, r->max);
    double least = squared_error(r, best);

    for (int percent = 99; percent >= 40; percent--) {
        float k = (float)percent / 100.0f;
        md_qparams p = params_for(r->min * k, r->max * k);
        double e = squared_error(r, p);

        if (e < least) {
            least = e;
            best = p;
        }
    }
    return best;
}

/* The range without 0.01 % of the samples at either end; 0 stays inside. */
static md_qparams without_tails(const md_range *r)
{
    uint64_t total = 0, low = 0, high = 0, tail;
    int from = 0, to = MD_CALIB_BINS - 1;

    for (int i = 0; i < MD_CALIB_BINS; i++)
        total += r->bins[i];
    tail = total / 10000;
    while (from < to && low + r->bins[from] <= tail)
        low += r->bins[from++];
    while (to > from && high + r->bins[to] <= tail)
        high += r->bins[to--];
    return params_for(fminf(bin_centre(r, from), 0.0f),
                      fmaxf(bin_centre(r, to), 0.0f));
}

/* What a bin counts for divergence: the one of 0 does not. */
static double count_at(const md_range *r, int i, int zero)
{
    return i == zero ? 0.0 : (double)r->bins[i];
}

/* Bins [from, to) and what lies outside of them. */
typedef struct cutting {
    int zero, from, to;
    double below, above, inside;
} cutting;

static cutting cut_range(const md_range *r, int zero, int from, int to)
{
    cutting c = { .zero = zero, .from = from, .to = to };

    for (int i = 0; i < MD_CALIB_BINS; i++) {
        double *part = i < from ? &c.below : i >= to ? &c.above : &c.inside;

        *part += count_at(r, i, zero);
    }
    return c;
}

/* What the bins [first, last) of one code add to the divergence. */
static double code_divergence(const md_range *r, const cutting *c, int first,
                              int last)
{
    const double total = c->below + c->inside + c->above;
    double sum = 0.0, kl = 0.0;
    int filled = 0;

    for (int i = first; i < last; i++) {
        sum += count_at(r, i, c->zero);
        filled += count_at(r, i, c->zero) > 0.0;
    }
    for (int i = first; i < last; i++) {
        const double n = count_at(r, i, c->zero);
        const double p = n + (i == c->from ? c->below : 0.0) +
                         (i == c->to - 1 ? c->above : 0.0);
        /* What was clipped into an end is not in q: that is its price. */
        const double q = n > 0.0 ? sum / filled : 1e-4;

        if (p > 0.0)
            kl += p / total * log(p / total / (q / c->inside));
    }
    return kl;
}

/* KL(p || q): p are the bins that stay with what lies outside put into the
 * ends, q the same bins as 256 codes see them, each code's share spread over
 * its bins that hold something.  The bin of 0 is left out: 0 has a code of its
 * own, and as much of it as Relu makes would outweigh all else. */
static double divergence(const md_range *r, int zero, int from, int to)
{
    enum {
        CODES = 256
    };
    const cutting c = cut_range(r, zero, from, to);
    double kl = 0.0;

    if (c.inside <= 0.0)
        return c.below + c.above > 0.0 ? (double)INFINITY : 0.0;
    for (int64_t k = 0; k < CODES; k++)
        kl += code_divergence(r, &c, from + (int)(k * (to - from) / CODES),
                              from + (int)((k + 1) * (to - from) / CODES));
    return kl;
}

/* The bins that 0 lies in always stay. */
static md_qparams least_divergence(const md_range *r)
{
    const float width = (r->max - r->min) / MD_CALIB_BINS;
    int zero = width > 0.0f ? (int)(-r->min / width) : 0;
    double least = INFINITY;
    int from = 0, to = MD_CALIB_BINS;

    zero = zero < MD_CALIB_BINS ? zero : MD_CALIB_BINS - 1;
    for (int percent = 100; percent >= 20 && width > 0.0f; percent--) {
        const int low = zero - zero * percent / 100;
        const int high = zero + 1 + (MD_CALIB_BINS - zero - 1) * percent / 100;
        double kl;

        if (high - low < 256)
            break;
        kl = divergence(r, zero, low, high);
        if (kl < least) {
            least = kl;
            from = low;
            to = high;
        }
    }
    return params_for(fminf(r->min + (float)from * width, 0.0f),
                      fmaxf(r->min + (float)to * width, 0.0f));
}

const char *md_calib_method_name(md_calib_method m)
{
    static const char *const names[] = { "minmax", "percentile", "mse",
                                         "entropy" };

    return names[m];
}

md_qparams md_range_params(const md_range *r, md_calib_method method)
{
    if (method == MD_CALIB_PERCENTILE)
        return without_tails(r);
    if (method == MD_CALIB_MSE)
        return least_error(r);
    if (method == MD_CALIB_ENTROPY)
        return least_divergence(r);
    return params_for(r->min, r->max);
}
