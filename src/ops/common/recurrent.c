#include "ops/common/recurrent.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { /* outputs */
    OUT_Y,
    OUT_H,
    OUT_C,
    OUT_N
};

/* --- activations ------------------------------------------------------- */

static double relu(double x, double a, double b)
{
    (void)a;
    (void)b;
    return x < 0.0 ? 0.0 : x;
}

static double tangent(double x, double a, double b)
{
    (void)a;
    (void)b;
    return tanh(x);
}

static double sigmoid(double x, double a, double b)
{
    (void)a;
    (void)b;
    return 1.0 / (1.0 + exp(-x));
}

static double affine(double x, double a, double b)
{
    return a * x + b;
}

static double leaky_relu(double x, double a, double b)
{
    (void)b;
    return x < 0.0 ? a * x : x;
}

static double thresholded_relu(double x, double a, double b)
{
    (void)b;
    return x < a ? 0.0 : x;
}

static double scaled_tanh(double x, double a, double b)
{
    return a * tanh(b * x);
}

static double hard_sigmoid(double x, double a, double b)
{
    double y = a * x + b;

    y = y < 0.0 ? 0.0 : y;
    return y > 1.0 ? 1.0 : y;
}

static double elu(double x, double a, double b)
{
    (void)b;
    return x < 0.0 ? a * expm1(x) : x;
}

static double softsign(double x, double a, double b)
{
    (void)a;
    (void)b;
    return x / (1.0 + fabs(x));
}

static double softplus(double x, double a, double b)
{
    (void)a;
    (void)b;
    return x > 0.0 ? x + log1p(exp(-x)) : log1p(exp(x));
}

/* With the defaults of the parameters that a function has. */
static const struct activation {
    const char *name;
    md_act_fn *f;
    bool has_alpha, has_beta;
    double alpha, beta;
} activations[] = {
    { "Relu", relu, false, false, 0, 0 },
    { "Tanh", tangent, false, false, 0, 0 },
    { "Sigmoid", sigmoid, false, false, 0, 0 },
    { "Affine", affine, true, true, 1, 0 },
    { "LeakyRelu", leaky_relu, true, false, 0.01f, 0 },
    { "ThresholdedRelu", thresholded_relu, true, false, 1, 0 },
    { "ScaledTanh", scaled_tanh, true, true, 1, 1 },
    { "HardSigmoid", hard_sigmoid, true, true, 0.2f, 0.5 },
    { "Elu", elu, true, false, 1, 0 },
    { "Softsign", softsign, false, false, 0, 0 },
    { "Softplus", softplus, false, false, 0, 0 },
};

static const struct activation *find_activation(md_str name)
{
    for (size_t i = 0; i < MD_COUNT(activations); i++) {
        if (strlen(activations[i].name) == name.n &&
            memcmp(activations[i].name, name.p, name.n) == 0)
            return &activations[i];
    }
    return NULL;
}

/* alpha and beta are consumed by the functions that have them, over both
 * directions. */
void md_recurrent__acts(md_recurrent_act out[MD_RECURRENT_ACTS],
                        const md_node *n, const md_recurrent *r, int d)
{
    const md_attr *names = md_node_attr(n, "activations");
    uint32_t n_alpha, n_beta, at_alpha = 0, at_beta = 0;
    const float *alpha = md_node_attr_fs(n, "activation_alpha", &n_alpha);
    const float *beta = md_node_attr_fs(n, "activation_beta", &n_beta);

    for (int i = 0; i < (d + 1) * r->n_acts; i++) {
        const char *otherwise = r->acts[i % r->n_acts];
        const struct activation *a = find_activation(
            names ? names->v.ss[i] : (md_str){ otherwise, strlen(otherwise) });
        double va = a->alpha, vb = a->beta;

        if (a->has_alpha && at_alpha < n_alpha)
            va = alpha[at_alpha++];
        if (a->has_beta && at_beta < n_beta)
            vb = beta[at_beta++];
        out[i % r->n_acts] = (md_recurrent_act){ a->name, a->f, va, vb };
    }
}

/* n values in place; those that every net has by vectors. */
static void apply(const md_recurrent_cell *s, int i, double *v, int64_t n)
{
    const md_recurrent_act *a = &s->act[i];

    if (a->f == tangent) {
        s->array->map(MD_MAP_F64_TANH, v, v, (size_t)n, 0, 0);
        return;
    }
    if (a->f == sigmoid) {
        s->array->map(MD_MAP_F64_NEG, v, v, (size_t)n, 0, 0);
        s->array->map(MD_MAP_F64_EXP, v, v, (size_t)n, 0, 0);
        for (int64_t k = 0; k < n; k++)
            v[k] = 1.0 / (1.0 + v[k]);
        return;
    }
    for (int64_t k = 0; k < n; k++)
        v[k] = a->f(v[k], a->alpha, a->beta);
}

void md_recurrent__act(const md_recurrent_cell *s, int i, double *v, int64_t n)
{
    if (s->clip > 0.0)
        s->array->map(MD_MAP_F64_CLIP, v, v, (size_t)n, -s->clip, s->clip);
    apply(s, i, v, n);
}

void md_recurrent__multiply(const md_recurrent_cell *s, int g0, int g1,
                            const double *h)
{
    const int64_t n = s->n_hidden;
    md_gemm_f64_args g = {
        .m = 1, .n = n, .k = n, .a = h, .lda = n, .ldc = n, .scale = 1.0
    };

    for (int i = g0; i < g1; i++) {
        g.b = s->r + (size_t)i * s->r_step;
        g.c = s->sums + i * n;
        s->gemm->run(&g, 0, 1, 0, n);
    }
    for (int64_t k = g0 * n; k < g1 * n; k++)
        s->sums[k] += s->r_bias[k];
}

/* Gates i (input), o (output), f (forget) and c (cell), in this order;
 * peepholes i, o, f. */
void md_recurrent__lstm(const md_recurrent_cell *s, const double *h)
{
    int64_t n = s->n_hidden;
    double *in = s->x, *out = s->x + n, *forget = s->x + 2 * n;
    double *cell = s->x + 3 * n;
    const double *pi = s->peephole, *po = pi + n, *pf = po + n;

    md_recurrent__multiply(s, 0, 4, h);
    for (int64_t i = 0; i < 4 * n; i++)
        s->x[i] += s->sums[i];
    for (int64_t i = 0; i < n; i++) {
        in[i] += pi[i] * s->c[i];
        forget[i] += pf[i] * s->c[i];
    }
    md_recurrent__act(s, 0, in, n);
    md_recurrent__act(s, 0, forget, n);
    md_recurrent__act(s, 1, cell, n);
    for (int64_t i = 0; i < n; i++) {
        double vf = s->variant ? 1.0 - in[i] : forget[i]; /* input_forget */

        s->c[i] = vf * s->c[i] + in[i] * cell[i];
        out[i] += po[i] * s->c[i];
        s->h[i] = s->c[i];
    }
    md_recurrent__act(s, 0, out, n);
    apply(s, 2, s->h, n); /* what is not clipped */
    for (int64_t i = 0; i < n; i++)
        s->h[i] *= out[i];
}

/* --- inference --------------------------------------------------------- */

md_status md_recurrent__directions(const md_node *n, int *out, md_error *err)
{
    const char *d = md_node_attr_s(n, "direction", "forward");

    *out = 1;
    if (strcmp(d, "bidirectional") == 0)
        *out = 2;
    else if (strcmp(d, "forward") != 0 && strcmp(d, "reverse") != 0)
        return md_fail(err, MD_INVALID,
                       "direction is '%s', forward, reverse or bidirectional "
                       "expected",
                       d);
    return MD_OK;
}

bool md_recurrent__is_backward(const md_node *n, int d)
{
    const char *direction = md_node_attr_s(n, "direction", "forward");

    return d == 1 || strcmp(direction, "reverse") == 0;
}

bool md_recurrent__is_batch_first(const md_node *n, int64_t opset)
{
    return opset >= 14 && md_node_attr_i(n, "layout", 0) != 0;
}

static md_status check_clip(const md_node *n, md_error *err)
{
    double clip = md_node_attr_f(n, "clip", 1.0f);

    if (clip > 0.0)
        return MD_OK;
    return md_fail(err, MD_INVALID, "clip is %g, a number above 0 expected",
                   clip);
}

static md_status check_activations(const md_node *n, uint32_t expected,
                                   md_error *err)
{
    const md_attr *a = md_node_attr(n, "activations");

    if (!a)
        return MD_OK;
    if (a->type != MD_ATTR_STRINGS || a->n != expected)
        return md_fail(err, MD_INVALID, "activations has %u names, %u expected",
                       (unsigned)a->n, (unsigned)expected);
    for (uint32_t i = 0; i < a->n; i++) {
        if (!find_activation(a->v.ss[i]))
            return md_fail(err, MD_INVALID,
                           "activation '%.*s' is not one that the standard "
                           "names",
                           (int)(a->v.ss[i].n < 40 ? a->v.ss[i].n : 40),
                           a->v.ss[i].p);
    }
    return MD_OK;
}

/* Input i, if it is there, has these dimensions (dim.sym marks unknown). */
static md_status check_shape(const md_infer *c, uint32_t i, int rank,
                             const md_dim *dim, md_error *err)
{
    char what[40];

    MD_TRY(md_infer__rank(c, i, rank, rank, err));
    if (!md_infer_has(c, i) || !c->in[i]->has_rank)
        return MD_OK;
    for (int d = 0; d < rank; d++) {
        snprintf(what, sizeof(what), "axis %d of input %u", d, (unsigned)i);
        MD_TRY(md_infer__must_equal(c, c->in[i]->dim[d], dim[d], what, err));
    }
    return MD_OK;
}

static md_status check_types(const md_infer *c, md_error *err)
{
    for (uint32_t i = 0; i < c->node->n_in; i++) {
        if (i == MD_RECURRENT_LENGTHS) {
            MD_TRY(md_infer__may(c, i, MD_T(I32), err));
            continue;
        }
        MD_TRY(i <= MD_RECURRENT_R ? md_infer__need(c, i, MD_TYPES_FLOAT, err)
                                   : md_infer__may(c, i, MD_TYPES_FLOAT, err));
        MD_TRY(md_infer__same_dtype(c, MD_RECURRENT_X, i, err));
    }
    return MD_OK;
}

/* The number of hidden values: from R, else from the attribute. */
static md_status find_hidden(const md_infer *c, md_dim *out, md_error *err)
{
    const bool is_given = md_node_attr(c->node, "hidden_size") != NULL;
    int64_t given = md_node_attr_i(c->node, "hidden_size", 0);
    const md_type *r = c->in[MD_RECURRENT_R];

    if (given < 0)
        return md_fail(err, MD_INVALID, "hidden_size is %lld",
                       (long long)given);
    if (r->has_rank && md_dim_is_const(r->dim[2])) {
        *out = r->dim[2];
        if (is_given)
            return md_infer__must_equal(c, *out, MD_DIM(given),
                                        "axis 2 of input 2, the hidden size,",
                                        err);
        return MD_OK;
    }
    *out = MD_DIM(given);
    return is_given ? MD_OK : md_infer__fresh(c, out, err);
}

typedef struct sizes {
    md_dim time, batch, input, hidden;
    int n_dirs;
    bool batch_first;
} sizes;

static md_status check_shapes(const md_infer *c, const md_recurrent *r,
                              const sizes *z, md_error *err)
{
    md_dim dirs = MD_DIM(z->n_dirs), rows, biases, peepholes;
    md_dim state[3] = { dirs, z->batch, z->hidden };

    MD_TRY(md_dim__affine(&rows, z->hidden, r->n_gates, 0, err));
    MD_TRY(md_dim__affine(&biases, rows, 2, 0, err));
    MD_TRY(md_dim__affine(&peepholes, z->hidden, 3, 0, err));
    if (z->batch_first) {
        state[0] = z->batch;
        state[1] = dirs;
    }
    MD_TRY(check_shape(c, MD_RECURRENT_W, 3, (md_dim[]){ dirs, rows, z->input },
                       err));
    MD_TRY(check_shape(c, MD_RECURRENT_R, 3,
                       (md_dim[]){ dirs, rows, z->hidden }, err));
    MD_TRY(check_shape(c, MD_RECURRENT_B, 2, (md_dim[]){ dirs, biases }, err));
    MD_TRY(
        check_shape(c, MD_RECURRENT_LENGTHS, 1, (md_dim[]){ z->batch }, err));
    MD_TRY(check_shape(c, MD_RECURRENT_H, 3, state, err));
    MD_TRY(check_shape(c, MD_RECURRENT_C, 3, state, err));
    return check_shape(c, MD_RECURRENT_PEEPHOLE, 2,
                       (md_dim[]){ dirs, peepholes }, err);
}

static md_status find_sizes(const md_infer *c, const md_recurrent *r, sizes *z,
                            md_error *err)
{
    const md_type *x = c->in[MD_RECURRENT_X];

    MD_TRY(md_recurrent__directions(c->node, &z->n_dirs, err));
    MD_TRY(check_activations(c->node, (uint32_t)(r->n_acts * z->n_dirs), err));
    MD_TRY(check_clip(c->node, err));
    z->batch_first = md_recurrent__is_batch_first(c->node, c->opset);
    MD_TRY(md_infer__rank(c, MD_RECURRENT_X, 3, 3, err));
    MD_TRY(md_infer__rank(c, MD_RECURRENT_R, 3, 3, err));
    MD_TRY(md_infer__fresh(c, &z->time, err));
    MD_TRY(md_infer__fresh(c, &z->batch, err));
    MD_TRY(md_infer__fresh(c, &z->input, err));
    if (x->has_rank) {
        z->time = x->dim[z->batch_first ? 1 : 0];
        z->batch = x->dim[z->batch_first ? 0 : 1];
        z->input = x->dim[2];
    }
    MD_TRY(find_hidden(c, &z->hidden, err));
    return check_shapes(c, r, z, err);
}

md_status md_recurrent__infer(const md_infer *c, const md_recurrent *r,
                              md_error *err)
{
    md_type y = { .has_rank = true, .rank = 4 };
    md_type state = { .has_rank = true, .rank = 3 };
    md_dim dirs;
    sizes z;

    MD_TRY(check_types(c, err));
    MD_TRY(find_sizes(c, r, &z, err));
    dirs = MD_DIM(z.n_dirs);
    y.dtype = state.dtype = c->in[MD_RECURRENT_X]->dtype;
    y.dim[0] = z.batch_first ? z.batch : z.time;
    y.dim[1] = z.batch_first ? z.time : dirs;
    y.dim[2] = z.batch_first ? dirs : z.batch;
    state.dim[0] = z.batch_first ? z.batch : dirs;
    state.dim[1] = z.batch_first ? dirs : z.batch;
    y.dim[3] = state.dim[2] = z.hidden;
    md_infer__give(c, OUT_Y, &y);
    md_infer__give(c, OUT_H, &state);
    md_infer__give(c, OUT_C, &state);
    return MD_OK;
}

/* --- execution --------------------------------------------------------- */

enum {
    TIMES = 64 /* of one product with the input */
};

typedef struct layer {
    md_exec *x;
    md_tensor *out[OUT_N];
    int64_t n_time, n_batch, n_in, n_hidden, n_rows; /* rows: of W, R */
    int n_dirs;
    bool batch_first;
    double *w, *w_bias, *r, *r_bias, *peephole; /* of one direction */
    double *raw;                                /* W or R before it is packed */
    double *in, *g; /* [TIMES, n_in], [TIMES, n_rows]: W x with its bias */
    md_recurrent_cell cell;
} layer;

/* Memory for a packed [k, n]. */
static md_status new_packed(double **out, const layer *l, int64_t k, int64_t n,
                            int64_t count, md_arena *ar, md_error *err)
{
    size_t size;

    if (!md_gemm_f64_packed_size(&size, l->cell.gemm, k, n))
        return md_fail_nomem(err, SIZE_MAX);
    return md_exec__scratch(out, ar, count, size, err);
}

/* Memory for parameters and one element's times. */
static md_status allocate(layer *l, int64_t n_gates, md_arena *ar,
                          md_error *err)
{
    const int64_t n = l->n_rows, h = l->n_hidden;
    const int64_t times = md_min_i64(l->n_time, TIMES), d = sizeof(double);

    MD_TRY(new_packed(&l->w, l, l->n_in, n, 1, ar, err));
    MD_TRY(new_packed(&l->r, l, h, h, n_gates, ar, err));
    MD_TRY(md_exec__scratch(&l->raw, ar, md_max_i64(l->n_in, h),
                            (size_t)(n * d), err));
    MD_TRY(md_exec__scratch(&l->w_bias, ar, n, sizeof(double), err));
    MD_TRY(md_exec__scratch(&l->r_bias, ar, n, sizeof(double), err));
    MD_TRY(md_exec__scratch(&l->peephole, ar, 3 * h, sizeof(double), err));
    MD_TRY(md_exec__scratch(&l->in, ar, times, (size_t)(l->n_in * d), err));
    return md_exec__scratch(&l->g, ar, times, (size_t)(n * d), err);
}

static md_status prepare(layer *l, const md_recurrent *r, md_arena *ar,
                         md_error *err)
{
    const int64_t h = l->n_hidden;
    md_recurrent_cell *s = &l->cell;
    size_t size;

    s->gemm = md_gemm_f64_select(l->x->cpu);
    s->array = md_array_f64_select(l->x->cpu);
    MD_TRY(allocate(l, r->n_gates, ar, err));
    MD_TRY(md_exec__scratch(&s->sums, ar, l->n_rows, sizeof(double), err));
    MD_TRY(md_exec__scratch(&s->h, ar, h, sizeof(double), err));
    MD_TRY(md_exec__scratch(&s->c, ar, h, sizeof(double), err));
    MD_TRY(md_exec__scratch(&s->scratch, ar, h, sizeof(double), err));
    (void)md_gemm_f64_packed_size(&size, s->gemm, h, h);
    s->n_hidden = h;
    s->r = l->r;
    s->r_step = size / sizeof(double);
    s->r_bias = l->r_bias;
    s->peephole = l->peephole;
    s->clip = md_node_attr_f(l->x->node, "clip", 0.0f);
    s->variant = r->variant && md_node_attr_i(l->x->node, r->variant, 0) != 0;
    return MD_OK;
}

/* n rows of l->raw as the columns of a right side. */
static void pack_rows(const layer *l, double *to, int64_t row, int64_t n,
                      int64_t k)
{
    md_gemm_f64_pack(
        to, l->cell.gemm,
        &(md_gemm_f64_b){
            .b = l->raw + row * k, .rs = 1, .cs = k, .k = k, .n = n },
        0, n);
}

/* The parameters of direction d; what is absent stays 0. */
static void load_direction(layer *l, const md_recurrent *r, int d)
{
    const md_exec *x = l->x;
    int64_t n = l->n_rows, h = l->n_hidden, dir = d;

    md_load_f64(l->raw, x->in[MD_RECURRENT_W], dir * n * l->n_in, n * l->n_in);
    pack_rows(l, l->w, 0, n, l->n_in);
    md_load_f64(l->raw, x->in[MD_RECURRENT_R], dir * n * h, n * h);
    for (int64_t i = 0; i < r->n_gates; i++)
        pack_rows(l, l->r + (size_t)i * l->cell.r_step, i * h, h, h);
    if (md_exec_has(x, MD_RECURRENT_B)) {
        md_load_f64(l->w_bias, x->in[MD_RECURRENT_B], 2 * dir * n, n);
        md_load_f64(l->r_bias, x->in[MD_RECURRENT_B], (2 * dir + 1) * n, n);
    }
    if (md_exec_has(x, MD_RECURRENT_PEEPHOLE))
        md_load_f64(l->peephole, x->in[MD_RECURRENT_PEEPHOLE], 3 * dir * h,
                    3 * h);
    md_recurrent__acts(l->cell.act, x->node, r, d);
}

/* Gates from the input at m times of element b, from t on in steps of +-1. */
static void load_inputs(layer *l, int64_t t, int64_t step, int64_t m, int64_t b)
{
    for (int64_t i = 0; i < m; i++, t += step) {
        int64_t row = l->batch_first ? b * l->n_time + t : t * l->n_batch + b;

        md_load_f64(l->in + i * l->n_in, l->x->in[MD_RECURRENT_X],
                    row * l->n_in, l->n_in);
    }
    l->cell.gemm->run(&(md_gemm_f64_args){ .m = m,
                                           .n = l->n_rows,
                                           .k = l->n_in,
                                           .a = l->in,
                                           .lda = l->n_in,
                                           .b = l->w,
                                           .c = l->g,
                                           .ldc = l->n_rows,
                                           .scale = 1.0 },
                      0, m, 0, l->n_rows);
    for (int64_t i = 0; i < m; i++) {
        for (int64_t k = 0; k < l->n_rows; k++)
            l->g[i * l->n_rows + k] += l->w_bias[k];
    }
}

static void load_state(const layer *l, double *out, uint32_t input, int64_t row)
{
    if (md_exec_has(l->x, input))
        md_load_f64(out, l->x->in[input], row * l->n_hidden, l->n_hidden);
    else
        memset(out, 0, (size_t)l->n_hidden * sizeof(*out));
}

/* Element b in direction d, over its first n times. */
static void run_sequence(layer *l, const md_recurrent *r, int d, int64_t b,
                         int64_t n)
{
    bool backward = md_recurrent__is_backward(l->x->node, d);
    int64_t state = l->batch_first ? b * l->n_dirs + d : d * l->n_batch + b;

    load_state(l, l->cell.h, MD_RECURRENT_H, state);
    load_state(l, l->cell.c, MD_RECURRENT_C, state);
    for (int64_t i = 0; i < n; i++) {
        int64_t t = backward ? n - 1 - i : i;
        int64_t y = l->batch_first ? (b * l->n_time + t) * l->n_dirs + d
                                   : (t * l->n_dirs + d) * l->n_batch + b;

        if (i % TIMES == 0)
            load_inputs(l, t, backward ? -1 : 1, md_min_i64(TIMES, n - i), b);
        l->cell.x = l->g + i % TIMES * l->n_rows;
        r->step(&l->cell);
        if (l->out[OUT_Y])
            md_store_f64(l->out[OUT_Y], y * l->n_hidden, l->cell.h,
                         l->n_hidden);
    }
    if (l->out[OUT_H])
        md_store_f64(l->out[OUT_H], state * l->n_hidden, l->cell.h,
                     l->n_hidden);
    if (l->out[OUT_C])
        md_store_f64(l->out[OUT_C], state * l->n_hidden, l->cell.c,
                     l->n_hidden);
}

md_status md_recurrent__length(int64_t *out, const int32_t *lengths, int64_t b,
                               int64_t n_time, md_error *err)
{
    *out = lengths ? lengths[b] : n_time;
    if (*out >= 0 && *out <= n_time)
        return MD_OK;
    return md_fail(err, MD_INVALID,
                   "sequence %lld has length %lld, 0 to %lld expected",
                   (long long)b, (long long)*out, (long long)n_time);
}

static md_status run_layer(layer *l, const md_recurrent *r, md_arena *ar,
                           md_error *err)
{
    const md_tensor *lengths = md_exec_has(l->x, MD_RECURRENT_LENGTHS)
                                   ? l->x->in[MD_RECURRENT_LENGTHS]
                                   : NULL;
    md_infer c;
    sizes z;

    MD_TRY(md_exec__infer_view(l->x, &c, ar, err));
    MD_TRY(find_sizes(&c, r, &z, err));
    l->n_time = z.time.k;
    l->n_batch = z.batch.k;
    l->n_in = z.input.k;
    l->n_hidden = z.hidden.k;
    l->n_rows = r->n_gates * z.hidden.k;
    l->n_dirs = z.n_dirs;
    l->batch_first = z.batch_first;
    MD_TRY(prepare(l, r, ar, err));
    if (l->out[OUT_Y]) /* zeros behind the end of a sequence */
        md_exec__zero(l->out[OUT_Y]);
    for (int d = 0; d < l->n_dirs; d++) {
        load_direction(l, r, d);
        for (int64_t b = 0; b < l->n_batch; b++) {
            int64_t n;

            MD_TRY(md_recurrent__length(&n, lengths ? lengths->data : NULL, b,
                                        l->n_time, err));
            run_sequence(l, r, d, b, n);
        }
    }
    return MD_OK;
}

md_status md_recurrent__run(md_exec *x, const md_recurrent *r,
                            md_infer_fn *infer, md_error *err)
{
    layer l = { .x = x };
    md_arena ar;
    md_status s;

    MD_TRY(md_exec__outputs(x, infer, l.out, OUT_N, err));
    md_arena_init(&ar, x->alloc, 0);
    s = run_layer(&l, r, &ar, err);
    md_arena_release(&ar);
    return s;
}
