#include "train/optimizer.h"

#include <math.h>
#include <string.h>

#include "base/size.h"

enum {
    PIECE = 1 << 14 /* elements that are handed over, and summed, at once */
};

#define PI 3.14159265358979323846

double md_optimizer_rate(const md_optimizer_opts *o, int64_t t)
{
    const int64_t rest = o->total - o->warmup;

    if (t < o->warmup)
        return o->rate * (double)(t + 1) / (double)o->warmup;
    if (rest <= 0 || t >= o->total)
        return rest <= 0 ? o->rate : 0.0;
    return o->rate * 0.5 *
           (1.0 + cos(PI * (double)(t - o->warmup) / (double)rest));
}

/* ---- pieces of all parameters ---- */

typedef struct job {
    const md_optimizer_opts *o;
    const md_params *params;
    const md_slot *slots;
    const float *const *gradient;
    double rate, scale;    /* scale: of gradients */
    double grown1, grown2; /* 1 - beta^t */
    float keep;            /* of averages */
    double sum[256];       /* of squares, by piece */
    int64_t first, n_pieces;
} job;

static int64_t count_pieces(const md_params *p)
{
    int64_t n = 0;

    for (uint32_t i = 0; i < p->n; i++)
        n += md_div_up(p->p[i].n, PIECE);
    return n;
}

/* The parameter of a piece; elements [*from, *to) of it. */
static uint32_t find_piece(const md_params *p, int64_t piece, int64_t *from,
                           int64_t *to)
{
    uint32_t i = 0;

    for (; piece >= md_div_up(p->p[i].n, PIECE); i++)
        piece -= md_div_up(p->p[i].n, PIECE);
    *from = piece * PIECE;
    *to = md_min_i64(p->p[i].n, *from + PIECE);
    return i;
}

/* ---- the norm ---- */

static void square_piece(void *ctx, int64_t chunk, int worker)
{
    job *j = ctx;
    int64_t from, to;
    uint32_t i = find_piece(j->params, j->first + chunk, &from, &to);
    double sum = 0.0;

    (void)worker;
    for (int64_t k = from; k < to && md_param_is_learned(j->params->p[i].kind);
         k++)
        sum += (double)j->gradient[i][k] * (double)j->gradient[i][k];
    j->sum[chunk] = sum;
}

double md_gradient_norm(const md_params *params, const float *const *gradient,
                        md_pool *pool)
{
    job j = { .params = params, .gradient = gradient };
    const int64_t n = count_pieces(params);
    double sum = 0.0;

    for (; j.first < n; j.first += (int64_t)MD_COUNT(j.sum)) {
        int64_t some = md_min_i64(n - j.first, (int64_t)MD_COUNT(j.sum));

        md_pool_run(pool, MD_POOL_WIDTH_MAX, some, square_piece, &j);
        for (int64_t i = 0; i < some; i++)
            sum += j.sum[i];
    }
    return sqrt(sum);
}

/* ---- the step ---- */

static void step_sgd(const job *j, const md_slot *s, const float *g,
                     float decay, int64_t from, int64_t to)
{
    const float rate = (float)j->rate, scale = (float)j->scale,
                momentum = (float)j->o->momentum;

    for (int64_t k = from; k < to; k++) {
        float v = momentum * s->first[k] + scale * g[k] + decay * s->value[k];

        s->first[k] = v;
        s->value[k] -= rate * v;
    }
}

static void step_adamw(const job *j, const md_slot *s, const float *g,
                       float decay, int64_t from, int64_t to)
{
    const float rate = (float)(j->rate / j->grown1), scale = (float)j->scale,
                b1 = (float)j->o->beta1, b2 = (float)j->o->beta2,
                shrink = (float)(1.0 - j->rate * (double)decay),
                root = (float)(1.0 / sqrt(j->grown2)),
                epsilon = (float)j->o->epsilon;

    for (int64_t k = from; k < to; k++) {
        float d = scale * g[k];
        float m = b1 * s->first[k] + (1.0f - b1) * d;
        float v = b2 * s->second[k] + (1.0f - b2) * d * d;

        s->first[k] = m;
        s->second[k] = v;
        s->value[k] =
            s->value[k] * shrink - rate * m / (sqrtf(v) * root + epsilon);
    }
}

static void step_piece(void *ctx, int64_t chunk, int worker)
{
    const job *j = ctx;
    int64_t from, to;
    uint32_t i = find_piece(j->params, chunk, &from, &to);
    const md_param *p = &j->params->p[i];
    const md_slot *s = &j->slots[i];
    const float *g = j->gradient[i];
    float decay = p->kind == MD_PARAM_KERNEL || p->kind == MD_PARAM_TABLE
                      ? (float)j->o->decay
                      : 0.0f;

    (void)worker;
    if (!md_param_is_learned(p->kind))
        memcpy(s->value + from, g + from, (size_t)(to - from) * sizeof(*g));
    else if (j->o->kind == MD_OPTIMIZER_SGD)
        step_sgd(j, s, g, decay, from, to);
    else
        step_adamw(j, s, g, decay, from, to);
    for (int64_t k = from; s->average && k < to; k++)
        s->average[k] =
            j->keep * s->average[k] + (1.0f - j->keep) * s->value[k];
}

void md_optimizer_step(const md_optimizer_opts *o, const md_params *params,
                       const md_slot *slots, const float *const *gradient,
                       double norm, int64_t t, md_pool *pool)
{
    job j = { .o = o,
              .params = params,
              .slots = slots,
              .gradient = gradient,
              .rate = md_optimizer_rate(o, t),
              .scale = o->clip > 0.0 && norm > o->clip ? o->clip / norm : 1.0,
              .grown1 = 1.0 - pow(o->beta1, (double)t + 1.0),
              .grown2 = 1.0 - pow(o->beta2, (double)t + 1.0) };

    /* Early averages forget the values that training began with. */
    j.keep = (float)fmin(o->ema, ((double)t + 1.0) / ((double)t + 10.0));

    md_pool_run(pool, MD_POOL_WIDTH_MAX, count_pieces(params), step_piece, &j);
}
