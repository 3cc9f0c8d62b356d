#include "optimize/weight_only.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/size.h"
#include "optimize/moments.h"
#include "optimize/rewrite.h"
#include "train/runner.h"

enum {
    SHRINKS = 8,    /* ranges that are tried for a block of 4 bits: 1, 0.96,
                         * 0.92, ... of what it holds */
    HALF_MIN = 64,  /* elements: smaller constants are not worth a Cast */
    OPSET_MIN = 13, /* DequantizeLinear with an axis */
    BLOCK_MIN = 16,
    BLOCK_MAX = 256,
    INPUTS_MAX = 2048, /* of a product whose errors are fed back */
    BATCH = 16         /* samples in one execution */
};

static const float half_max = 65504.0f;

typedef struct store {
    md_graph *g;
    md_weight_mode mode;
    int64_t block;
    md_value_id *made; /* by constant: its codes, for nodes that share it */
    md_value_id *scale, *zero;
    bool *turned;  /* by constant: how its codes were made */
    md_moments *m; /* of the inputs of products, with data */
    uint32_t n_m;
    md_quantize_report *report;
    md_arena ar;
} store;

/* ---- blocks ---- */

/* code = clamp(round(x / scale) + zero, 0, top) */
typedef struct grid {
    float scale;
    int zero;
} grid;

static grid grid_for(float low, float high, int top)
{
    grid q = { .scale = (high - low) / (float)top };

    if (!(q.scale > 0.0f))
        return (grid){ 1.0f, 0 };
    q.zero = (int)fminf(fmaxf(nearbyintf(-low / q.scale), 0.0f), (float)top);
    return q;
}

static int code_of(grid q, float x, int top)
{
    const float c = nearbyintf(x / q.scale) + (float)q.zero;

    return (int)fminf(fmaxf(c, 0.0f), (float)top);
}

static double error_of(grid q, const float *x, int64_t n, int top)
{
    double sum = 0.0;

    for (int64_t i = 0; i < n; i++) {
        const float d =
            x[i] - (float)(code_of(q, x[i], top) - q.zero) * q.scale;

        sum += (double)d * (double)d;
    }
    return sum;
}

/* The range that holds 0 and loses least. */
static grid best_grid(const float *x, int64_t n, int bits)
{
    const int top = (1 << bits) - 1;
    float low = 0.0f, high = 0.0f;
    double least = INFINITY;
    grid best = { 1.0f, 0 };

    for (int64_t i = 0; i < n; i++) {
        low = fminf(low, x[i]);
        high = fmaxf(high, x[i]);
    }
    for (int k = 0; k < (bits == 4 ? SHRINKS : 1); k++) {
        const float by = 1.0f - 0.04f * (float)k;
        const grid q = grid_for(low * by, high * by, top);
        const double e = error_of(q, x, n, top);

        if (e < least) {
            least = e;
            best = q;
        }
    }
    return best;
}

/* What MatMulNBits reads, for one matrix. */
typedef struct blocks {
    int64_t n, k, count, blob; /* count blocks of `blob` bytes for each of n */
    int bits;
    uint8_t *codes, *zeros; /* [n, count, blob], [n, zeros_size] */
    int64_t zeros_size;
    float *scales; /* [n, count] */
} blocks;

/* Code i of a row of them, low bits first. */
static void put_code(uint8_t *row, int64_t i, int bits, int code)
{
    if (bits == 8)
        row[i] = (uint8_t)code;
    else
        row[i / 2] = (uint8_t)(row[i / 2] | code << (i % 2 * 4));
}

/* The codes of a row's block from `x` on, n of them.  With u, the rows of U that
 * belong to them ([n, k], of which `rest` columns from the block's first on are
 * left), each error goes to what is behind it in x. */
static void fill_block(blocks *b, int64_t row, int64_t at, float *x, int64_t n,
                       const double *u, int64_t rest)
{
    const grid q = best_grid(x, n, b->bits);
    uint8_t *to = b->codes + (row * b->count + at) * b->blob;

    b->scales[row * b->count + at] = q.scale;
    put_code(b->zeros + row * b->zeros_size, at, b->bits, q.zero);
    for (int64_t i = 0; i < n; i++) {
        const int code = code_of(q, x[i], (1 << b->bits) - 1);
        const double *ui = u ? u + i * (b->k + 1) : NULL;
        double by;

        put_code(to, i, b->bits, code);
        if (!ui)
            continue;
        by =
            ((double)x[i] - (double)((float)(code - q.zero) * q.scale)) / ui[0];
        for (int64_t j = 1; j < rest - i; j++)
            x[i + j] = (float)((double)x[i + j] - by * ui[j]);
    }
    for (int64_t i = n; i < b->blob * 8 / b->bits; i++)
        put_code(to, i, b->bits, q.zero); /* behind the end: 0 */
}

/* u is [k, k], upper, or NULL; x has room for k. */
static void fill_blocks(blocks *b, const float *w, bool turned, int64_t block,
                        const double *u, float *x)
{
    for (int64_t row = 0; row < b->n; row++) {
        for (int64_t i = 0; i < b->k; i++)
            x[i] = turned ? w[row * b->k + i] : w[i * b->n + row];
        for (int64_t at = 0; at < b->count; at++) {
            const int64_t from = at * block;

            fill_block(b, row, at, x + from, md_min_i64(block, b->k - from),
                       u ? u + from * (b->k + 1) : NULL, b->k - from);
        }
    }
}

/* ---- what data tell ---- */

static const md_moments *moments_of(const store *s, md_value_id x, int64_t k)
{
    for (uint32_t i = 0; i < s->n_m; i++) {
        if (strcmp(s->m[i].name, s->g->values[x].name) == 0 && s->m[i].n == k)
            return &s->m[i];
    }
    return NULL;
}

/* Moments of what products read, once for each value. */
static md_status gather(store *s, const md_weights_opts *o, md_error *err)
{
    const md_sweep sweep = { .data = o->data, .batch = BATCH, .pool = o->pool };

    if (!o->data)
        return MD_OK;
    s->report->n_samples = o->data->n;
    s->m = md_arena_calloc(&s->ar, s->g->n_nodes + 1u, sizeof(*s->m));
    if (!s->m)
        return md_fail_nomem(err, s->g->n_nodes * sizeof(*s->m));
    for (uint32_t i = 0; i < s->g->n_nodes; i++) {
        const md_node *n = s->g->nodes[i];
        const md_shape *w;
        bool turned;

        if (!md_rewrite__is_product(s->g, n, &turned) ||
            s->g->values[n->in[0]].cdata || !s->g->values[n->in[0]].name[0])
            continue;
        w = &s->g->values[n->in[1]].cdata->shape;
        if (w->dim[turned ? 1 : 0] > INPUTS_MAX ||
            moments_of(s, n->in[0], w->dim[turned ? 1 : 0]))
            continue;
        s->m[s->n_m++] = (md_moments){ .name = md_arena_strdup(
                                           &s->ar, s->g->values[n->in[0]].name),
                                       .axis = -1,
                                       .n = w->dim[turned ? 1 : 0] };
        if (!s->m[s->n_m - 1].name)
            return md_fail_nomem(err, 64);
    }
    return md_moments_gather(s->m, s->n_m, s->g->model, &sweep, &s->ar, err);
}

/* U of H^-1 = U' U, upper, with a hundredth of its mean diagonal added to H: *out
 * is NULL where H is not known, or is the caller's to free. */
static md_status make_factor(double **out, const store *s, const md_moments *m,
                             md_error *err)
{
    const md_alloc *alloc = s->g->model->alloc;
    const int64_t k = m ? m->n : 0;
    const size_t size = (size_t)k * (size_t)k + 1;
    double *a, *u, trace = 0.0;
    bool known;

    *out = NULL;
    if (!m || !(m->count > 0.0))
        return MD_OK;
    a = md_calloc(alloc, size, sizeof(*a));
    u = md_calloc(alloc, size, sizeof(*u));
    if (!a || !u) {
        md_free(alloc, a);
        md_free(alloc, u);
        return md_fail_nomem(err, size * sizeof(*a));
    }
    for (int64_t i = 0; i < k; i++)
        trace += m->h[i * (k + 1) + i];
    for (int64_t i = 0; i < k; i++) {
        memcpy(a + i * k, m->h + i * (k + 1), (size_t)(i + 1) * sizeof(*a));
        a[i * k + i] += 0.01 * trace / (double)k + 1e-12;
    }
    known = md_moments_invert(u, a, k) && md_moments_factor(u, k);
    for (int64_t i = 0; i < k && known; i++) { /* U = L' */
        for (int64_t j = 0; j < i; j++)
            u[j * k + i] = u[i * k + j];
    }
    md_free(alloc, a);
    if (known)
        *out = u;
    else
        md_free(alloc, u);
    return MD_OK;
}

/* Fill b, whose arrays are there, from the weights. */
static md_status fill(store *s, blocks *b, const md_tensor *w, bool turned,
                      md_value_id x, md_error *err)
{
    const md_alloc *alloc = s->g->model->alloc;
    float *row = md_calloc(alloc, (size_t)b->k, sizeof(*row));
    double *u;

    if (!row)
        return md_fail_nomem(err, (size_t)b->k * sizeof(*row));
    if (make_factor(&u, s, moments_of(s, x, b->k), err) != MD_OK) {
        md_free(alloc, row);
        return MD_NOMEM;
    }
    fill_blocks(b, w->data, turned, s->block, u, row);
    s->report->n_corrected += u != NULL;
    md_free(alloc, u);
    md_free(alloc, row);
    return MD_OK;
}

static md_status make_blocks(store *s, md_value_id id, bool turned,
                             md_value_id x, md_error *err)
{
    const md_tensor *w = s->g->values[id].cdata;
    const char *name = s->g->values[id].name;
    blocks b = { .n = w->shape.dim[turned ? 0 : 1],
                 .k = w->shape.dim[turned ? 1 : 0],
                 .bits = s->mode == MD_WEIGHTS_INT4 ? 4 : 8 };
    md_tensor codes, scales, zeros;

    b.count = md_div_up(b.k, s->block);
    b.blob = s->block / 8 * b.bits;
    b.zeros_size = md_div_up(b.count * b.bits, 8);
    MD_TRY(md_rewrite__check_finite(s->g, id, err));
    MD_TRY(md_rewrite__new_const(
        &s->made[id], &codes, s->g, name, "codes", MD_DTYPE_U8,
        &(md_shape){ 3, { b.n, b.count, b.blob } }, err));
    MD_TRY(md_rewrite__new_const(&s->scale[id], &scales, s->g, name, "scales",
                                 MD_DTYPE_F32,
                                 &(md_shape){ 1, { b.n * b.count } }, err));
    MD_TRY(md_rewrite__new_const(
        &s->zero[id], &zeros, s->g, name, "zeros", MD_DTYPE_U8,
        &(md_shape){ 1, { b.n * b.zeros_size } }, err));
    b.codes = codes.data;
    b.scales = scales.data;
    b.zeros = zeros.data;
    s->turned[id] = turned;
    MD_TRY(fill(s, &b, w, turned, x, err));
    s->report->weights_float += md_tensor_size(w);
    s->report->weights_int += md_tensor_size(&codes) + md_tensor_size(&scales) +
                              md_tensor_size(&zeros);
    return MD_OK;
}

/* Would blocks take less than floats? */
static bool is_worth_it(const store *s, const md_tensor *w, bool turned)
{
    const int64_t n = w->shape.dim[turned ? 0 : 1];
    const int64_t k = w->shape.dim[turned ? 1 : 0];
    const int64_t bits = s->mode == MD_WEIGHTS_INT4 ? 4 : 8;

    return n * md_div_up(k, s->block) * (s->block * bits / 8 + 5) < 3 * n * k;
}

/* n becomes MatMulNBits, and an Add behind it for a bias. */
static md_status store_product(store *s, md_node *n, bool turned, md_error *err)
{
    md_graph *g = s->g;
    const md_value_id w = n->in[1], y = n->out[0];
    const md_tensor *t = g->values[w].cdata;
    const bool has_bias = n->n_in > 2 && n->in[2] != MD_VALUE_NONE;
    md_value_id in[4] = { n->in[0] }, sum = has_bias ? MD_VALUE_NONE : y;
    uint32_t at = md_rewrite__position(g, n);
    md_node *made;

    if (!is_worth_it(s, t, turned) ||
        (s->made[w] != MD_VALUE_NONE && s->turned[w] != turned)) {
        s->report->n_left++;
        return MD_OK;
    }
    if (s->made[w] == MD_VALUE_NONE)
        MD_TRY(make_blocks(s, w, turned, n->in[0], err));
    in[1] = s->made[w];
    in[2] = s->scale[w];
    in[3] = s->zero[w];
    n->dead = true;
    g->values[y].def = NULL;
    MD_TRY(md_rewrite__node(&made, &sum, g, at,
                            &(md_node_spec){ .domain = "com.microsoft",
                                             .op = "MatMulNBits",
                                             .in = in,
                                             .n_in = 4 },
                            "product", err));
    MD_TRY(md_node_set_attr_i(g, made, "K", t->shape.dim[turned ? 1 : 0], err));
    MD_TRY(md_node_set_attr_i(g, made, "N", t->shape.dim[turned ? 0 : 1], err));
    MD_TRY(md_node_set_attr_i(g, made, "bits",
                              s->mode == MD_WEIGHTS_INT4 ? 4 : 8, err));
    MD_TRY(md_node_set_attr_i(g, made, "block_size", s->block, err));
    s->report->n_nodes++;
    if (!has_bias)
        return MD_OK;
    in[0] = sum;
    in[1] = n->in[2];
    sum = y;
    return md_rewrite__node(
        &made, &sum, g, at + 1,
        &(md_node_spec){ .domain = "", .op = "Add", .in = in, .n_in = 2 }, "",
        err);
}

/* ---- convolutions ---- */

static md_status make_rows(store *s, md_value_id id, int axis, md_error *err)
{
    const md_tensor *w = s->g->values[id].cdata;
    const char *name = s->g->values[id].name;
    const int64_t n = w->shape.dim[axis];
    const int64_t inner = md_shape_span(&w->shape, axis + 1, w->shape.rank);
    const float *from = w->data;
    md_tensor codes, scales;
    float *scale;

    MD_TRY(md_rewrite__check_finite(s->g, id, err));
    MD_TRY(md_rewrite__new_const(&s->made[id], &codes, s->g, name, "int8",
                                 MD_DTYPE_I8, &w->shape, err));
    MD_TRY(md_rewrite__new_const(&s->scale[id], &scales, s->g, name, "scales",
                                 MD_DTYPE_F32, &(md_shape){ 1, { n } }, err));
    scale = scales.data;
    for (int64_t i = 0; i < md_tensor_n(w); i++) {
        float *c = &scale[i / inner % n];

        *c = fmaxf(*c, fabsf(from[i]) / 127.0f);
    }
    for (int64_t c = 0; c < n; c++)
        scale[c] = scale[c] > 0.0f ? scale[c] : 1.0f;
    for (int64_t i = 0; i < md_tensor_n(w); i++)
        ((int8_t *)codes.data)[i] = (int8_t)fminf(
            fmaxf(nearbyintf(from[i] / scale[i / inner % n]), -127.0f), 127.0f);
    s->report->weights_float += md_tensor_size(w);
    s->report->weights_int += md_tensor_size(&codes) + md_tensor_size(&scales);
    return MD_OK;
}

/* The weights of n come from a DequantizeLinear. */
static md_status store_conv(store *s, md_node *n, int axis, md_error *err)
{
    md_graph *g = s->g;
    const md_value_id w = n->in[1];
    const md_tensor *t = g->values[w].cdata;
    md_value_id in[2], real = MD_VALUE_NONE;
    md_node *made;

    if (!t || t->dtype != MD_DTYPE_F32 || t->shape.rank < 3 ||
        md_tensor_n(t) == 0 || s->made[w] != MD_VALUE_NONE) {
        s->report->n_left++;
        return MD_OK;
    }
    MD_TRY(make_rows(s, w, axis, err));
    in[0] = s->made[w];
    in[1] = s->scale[w];
    MD_TRY(md_rewrite__node(
        &made, &real, g, 0,
        &(md_node_spec){
            .domain = "", .op = "DequantizeLinear", .in = in, .n_in = 2 },
        "weights", err));
    s->report->n_nodes++;
    MD_TRY(md_node_set_attr_i(g, made, "axis", axis, err));
    return md_node_set_input(g, n, 1, real, err);
}

static md_status store_ints(store *s, md_error *err)
{
    const uint32_t n_old = s->g->n_nodes;
    md_node **old = md_arena_calloc(&s->ar, n_old + 1u, sizeof(md_node *));

    if (!old)
        return md_fail_nomem(err, n_old * sizeof(md_node *));
    memcpy(old, s->g->nodes, n_old * sizeof(md_node *));
    for (uint32_t i = 0; i < n_old; i++) {
        bool turned;

        if (md_rewrite__is_product(s->g, old[i], &turned))
            MD_TRY(store_product(s, old[i], turned, err));
        else if (!old[i]->domain[0] && strcmp(old[i]->op, "Conv") == 0)
            MD_TRY(store_conv(s, old[i], 0, err));
        else if (!old[i]->domain[0] && strcmp(old[i]->op, "ConvTranspose") == 0)
            MD_TRY(store_conv(s, old[i], 1, err));
    }
    md_graph_compact(s->g);
    return md_model_set_opset(s->g->model, "com.microsoft", 1, err);
}

/* ---- floats of 16 bits ---- */

static bool fits_half(const md_tensor *t)
{
    for (int64_t i = 0; i < md_tensor_n(t); i++) {
        if (fabsf(((const float *)t->data)[i]) > half_max)
            return false;
    }
    return true;
}

/* Constant id is what a Cast makes of a smaller one. */
static md_status store_half(store *s, md_value_id id, md_error *err)
{
    md_graph *g = s->g;
    const md_tensor *t = g->values[id].cdata;
    const md_dtype dtype =
        s->mode == MD_WEIGHTS_FP16 ? MD_DTYPE_F16 : MD_DTYPE_BF16;
    md_value_id half, out = id;
    md_tensor to;
    md_node *cast;

    MD_TRY(md_rewrite__check_finite(g, id, err));
    if (dtype == MD_DTYPE_F16 && !fits_half(t)) {
        s->report->n_left++;
        return MD_OK;
    }
    MD_TRY(md_rewrite__new_const(&half, &to, g, g->values[id].name,
                                 md_dtype_name(dtype), dtype, &t->shape, err));
    for (int64_t i = 0; i < md_tensor_n(t); i++)
        md_tensor_set_f64(&to, i, (double)((const float *)t->data)[i]);
    s->report->weights_float += md_tensor_size(t);
    s->report->weights_int += md_tensor_size(&to);
    s->report->n_nodes++;
    g->values[id].cdata = NULL;
    MD_TRY(md_rewrite__node(
        &cast, &out, g, 0,
        &(md_node_spec){ .domain = "", .op = "Cast", .in = &half, .n_in = 1 },
        "", err));
    return md_node_set_attr_i(g, cast, "to", MD_DTYPE_F32, err);
}

static md_status store_halves(store *s, md_error *err)
{
    const uint32_t n = s->g->n_values;

    for (uint32_t i = 0; i < n; i++) {
        const md_value *v = &s->g->values[i];

        if (v->cdata && v->cdata->dtype == MD_DTYPE_F32 && v->name[0] &&
            !v->is_output && !v->def && md_tensor_n(v->cdata) >= HALF_MIN)
            MD_TRY(store_half(s, i, err));
    }
    return MD_OK;
}

/* ---- the whole ---- */

static md_status open_store(store *s, md_error *err)
{
    const size_t n = s->g->n_values + 1u;

    s->made = md_arena_calloc(&s->ar, n, sizeof(*s->made));
    s->scale = md_arena_calloc(&s->ar, n, sizeof(*s->scale));
    s->zero = md_arena_calloc(&s->ar, n, sizeof(*s->zero));
    s->turned = md_arena_calloc(&s->ar, n, sizeof(*s->turned));
    if (!s->made || !s->scale || !s->zero || !s->turned)
        return md_fail_nomem(err, n * sizeof(*s->made));
    for (size_t i = 0; i < n; i++)
        s->made[i] = MD_VALUE_NONE;
    return MD_OK;
}

static md_status check(const md_model *m, int64_t block, md_error *err)
{
    if (block < BLOCK_MIN || block > BLOCK_MAX || (block & (block - 1)))
        return md_fail(err, MD_INVALID,
                       "a block of %lld given, a power of 2 from %d to %d "
                       "expected",
                       (long long)block, BLOCK_MIN, BLOCK_MAX);
    if (md_model_opset(m, "") < OPSET_MIN)
        return md_fail(err, MD_UNSUPPORTED,
                       "the model imports opset %lld, %d or later expected",
                       (long long)md_model_opset(m, ""), OPSET_MIN);
    return MD_OK;
}

static md_status set_origin(md_model *m, uint64_t parent,
                            const md_weights_opts *o, md_error *err)
{
    static const char *const modes[] = { [MD_WEIGHTS_INT8] = "int8w",
                                         [MD_WEIGHTS_INT4] = "int4w",
                                         [MD_WEIGHTS_FP16] = "fp16",
                                         [MD_WEIGHTS_BF16] = "bf16" };
    char text[120];

    if (o->mode > MD_WEIGHTS_INT4)
        snprintf(text, sizeof(text), "quantize %s", modes[o->mode]);
    else
        snprintf(text, sizeof(text), "quantize %s block=%lld samples=%lld",
                 modes[o->mode], (long long)o->block,
                 o->data ? (long long)o->data->n : 0LL);
    return md_rewrite__origin(m, parent, text, err);
}

md_status md_quantize_weights(md_model *model, const md_weights_opts *opts,
                              md_quantize_report *report, md_error *err)
{
    store s = { .mode = opts->mode, .block = opts->block, .report = report };
    uint64_t parent;
    md_status st;

    *report = (md_quantize_report){ .n_nodes = 0 };
    MD_TRY(check(model, opts->block, err));
    MD_TRY(md_rewrite__parent(&parent, model, err));
    MD_TRY(md_model_inline(model, err));
    MD_TRY(md_graph_lift_constants(model->graph, err));
    s.g = model->graph;
    md_arena_init(&s.ar, model->alloc, 0);
    st = open_store(&s, err);
    if (st == MD_OK && opts->mode <= MD_WEIGHTS_INT4)
        st = gather(&s, opts, err);
    if (st == MD_OK)
        st = opts->mode <= MD_WEIGHTS_INT4 ? store_ints(&s, err)
                                           : store_halves(&s, err);
    md_arena_release(&s.ar);
    MD_TRY(st);
    if (report->n_nodes == 0)
        return md_fail(err, MD_UNSUPPORTED,
                       "no constant float32 weights that would become smaller");
    MD_TRY(set_origin(model, parent, opts, err));
    return md_graph_verify(model->graph, err);
}
