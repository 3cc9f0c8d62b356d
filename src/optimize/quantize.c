/*
 * The work is done in three steps: choose (which values become 8 bits), so
 * that whole chains of operators stay integer; calibrate; rewrite.
 */
#include "optimize/quantize.h"

#include <float.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/size.h"
#include "engine/pass.h"
#include "optimize/equalize.h"
#include "optimize/rewrite.h"
#include "train/runner.h"

enum {
    /* The largest code of a bias: as much again is left for the products. */
    BIAS_MAX = 1 << 30
};

typedef struct quantizer {
    md_graph *g;
    const md_quantize_opts *opts;
    md_arena ar;
    bool *chosen;          /* by value: becomes 8 bits */
    md_value_id *source;   /* by value: whose parameters it takes */
    uint32_t *index;       /* by value: row of params, for sources */
    md_value_id *real;     /* by value: its dequantized twin, once made */
    md_value_id *scale_id; /* by value: the constants of its parameters */
    md_value_id *zero_id;
    const char **names; /* of sources */
    md_qparams *params;
    uint32_t n_params;
    md_quantize_report *report;
} quantizer;

static bool is_op(const md_node *n, const char *op)
{
    return !n->domain[0] && strcmp(n->op, op) == 0;
}

/* A product with constant float weights that has an integer kernel. */
bool md_quantize__is_product(const md_graph *g, const md_node *n)
{
    const md_tensor *w;

    if (!is_op(n, "Conv") && !is_op(n, "Gemm") && !is_op(n, "MatMul"))
        return false;
    w = g->values[n->in[1]].cdata;
    if (!w || w->dtype != MD_DTYPE_F32 || md_tensor_n(w) == 0)
        return false;
    if (is_op(n, "Conv"))
        return w->shape.rank == 4;
    return w->shape.rank == 2 && !md_node_attr_i(n, "transA", 0) &&
           md_node_attr_f(n, "alpha", 1.0f) == 1.0f &&
           md_node_attr_f(n, "beta", 1.0f) == 1.0f;
}

/* Does the caller call it that? */
static bool is_named(const md_graph *g, const md_node *n, const char *name)
{
    return strcmp(n->name, name) == 0 ||
           strcmp(md_graph_label(g, n), name) == 0 ||
           strcmp(g->values[n->out[0]].name, name) == 0 ||
           strcmp(g->values[n->in[1]].name, name) == 0;
}

/* A product that is to be one of integers. */
static bool is_taken(const quantizer *q, const md_node *n)
{
    for (uint32_t i = 0; i < q->opts->n_keep; i++) {
        if (md_quantize__is_product(q->g, n) &&
            is_named(q->g, n, q->opts->keep[i]))
            return false;
    }
    return md_quantize__is_product(q->g, n);
}

static md_status check_keep(const quantizer *q, md_error *err)
{
    for (uint32_t i = 0; i < q->opts->n_keep; i++) {
        bool found = false;

        for (uint32_t k = 0; k < q->g->n_nodes; k++)
            found = found || (md_quantize__is_product(q->g, q->g->nodes[k]) &&
                              is_named(q->g, q->g->nodes[k], q->opts->keep[i]));
        if (!found)
            return md_fail(err, MD_INVALID,
                           "no Conv, Gemm or MatMul is called '%s'",
                           q->opts->keep[i]);
    }
    return MD_OK;
}

/* What could have been a product: counted when it stays in float. */
static bool is_costly(const md_node *n)
{
    return is_op(n, "Conv") || is_op(n, "ConvTranspose") || is_op(n, "Gemm") ||
           is_op(n, "MatMul");
}

/* Moves elements or drops some: out and in have the same parameters. */
static bool is_movement(const md_node *n)
{
    static const char *const ops[] = { "MaxPool", "Flatten",   "Reshape",
                                       "Squeeze", "Unsqueeze", "Transpose" };

    for (size_t i = 0; i < MD_COUNT(ops); i++) {
        if (is_op(n, ops[i]))
            return n->n_out == 1 && n->in[0] != MD_VALUE_NONE;
    }
    return false;
}

static bool is_float(const md_graph *g, md_value_id id)
{
    md_dtype t = g->values[id].type.dtype;

    return !g->values[id].cdata && g->values[id].name[0] &&
           (t == MD_DTYPE_F32 || t == MD_DTYPE_NONE);
}

static md_status alloc_tables(quantizer *q, md_error *err)
{
    size_t n = q->g->n_values + 1u;

    q->chosen = md_arena_calloc(&q->ar, n, sizeof(*q->chosen));
    q->source = md_arena_calloc(&q->ar, n, sizeof(*q->source));
    q->index = md_arena_calloc(&q->ar, n, sizeof(*q->index));
    q->real = md_arena_calloc(&q->ar, n, sizeof(*q->real));
    q->scale_id = md_arena_calloc(&q->ar, n, sizeof(*q->scale_id));
    q->zero_id = md_arena_calloc(&q->ar, n, sizeof(*q->zero_id));
    q->names = md_arena_calloc(&q->ar, n, sizeof(*q->names));
    if (!q->chosen || !q->source || !q->index || !q->real || !q->scale_id ||
        !q->zero_id || !q->names)
        return md_fail_nomem(err, n * sizeof(*q->names));
    for (uint32_t i = 0; i < q->g->n_values; i++) {
        q->source[i] = i;
        q->real[i] = q->scale_id[i] = q->zero_id[i] = MD_VALUE_NONE;
    }
    return MD_OK;
}

/* Both operands computed, so that the sum can be done on codes. */
static bool is_sum(const md_graph *g, const md_node *n)
{
    return is_op(n, "Add") && is_float(g, n->in[0]) && is_float(g, n->in[1]);
}

/*
 * Choose, last node first: what products, sums and global averages read, and
 * the inputs of movements whose result is chosen.
 */
static void choose(quantizer *q)
{
    md_graph *g = q->g;

    for (uint32_t i = g->n_nodes; i-- > 0;) {
        const md_node *n = g->nodes[i];

        if (is_taken(q, n)) {
            q->chosen[n->in[0]] |= is_float(g, n->in[0]);
        } else if (is_movement(n) && q->chosen[n->out[0]]) {
            q->chosen[n->in[0]] = true;
        } else if (is_op(n, "GlobalAveragePool") && q->chosen[n->out[0]]) {
            q->chosen[n->in[0]] = true;
        }
    }
    /* Sums between chosen values: read as codes too.  Forward, so that a sum
     * of sums is seen. */
    for (uint32_t i = 0; i < g->n_nodes; i++) {
        const md_node *n = g->nodes[i];

        if (is_sum(g, n) && (q->chosen[n->in[0]] || q->chosen[n->in[1]]))
            q->chosen[n->in[0]] = q->chosen[n->in[1]] = true;
        if (is_movement(n) && q->chosen[n->in[0]] && q->chosen[n->out[0]])
            q->source[n->out[0]] = q->source[n->in[0]];
    }
}

/* Number the sources and let calibration name their ranges. */
static md_status calibrate(quantizer *q, const md_dataset *data, md_error *err)
{
    md_graph *g = q->g;
    md_range *ranges;
    md_status s;

    for (uint32_t i = 0; i < g->n_values; i++) {
        if (!q->chosen[i] || q->source[i] != i)
            continue;
        q->index[i] = q->n_params;
        q->names[q->n_params++] = g->values[i].name;
    }
    if (q->n_params == 0)
        return md_fail(err, MD_UNSUPPORTED,
                       "no Conv, Gemm or MatMul with constant float32 weights "
                       "to quantize");
    ranges = md_calloc(data->alloc, q->n_params, sizeof(*ranges));
    q->params = md_arena_calloc(&q->ar, q->n_params, sizeof(*q->params));
    if (!ranges || !q->params) {
        md_free(data->alloc, ranges);
        return md_fail_nomem(err, q->n_params * sizeof(*ranges));
    }
    s = md_calibrate(ranges, g->model, q->names, q->n_params, data,
                     q->opts->pool, err);
    for (uint32_t i = 0; i < q->n_params && s == MD_OK; i++)
        q->params[i] = md_range_params(&ranges[i], q->opts->method);
    md_free(data->alloc, ranges);
    return s;
}

static md_status add_scalar(md_value_id *out, md_graph *g, const char *of,
                            const char *what, md_dtype dtype, double v,
                            md_error *err)
{
    const md_shape scalar = { 0, { 0 } };
    md_tensor t;

    MD_TRY(md_tensor_alloc(&t, dtype, &scalar, g->model->alloc, err));
    md_tensor_set_f64(&t, 0, v);
    return md_rewrite__const(out, g, of, what, t, err);
}

/* The constants of a value's parameters, shared by all that take them. */
static md_status param_consts(quantizer *q, md_value_id id, md_error *err)
{
    md_value_id src = q->source[id];
    md_qparams p = q->params[q->index[src]];
    const char *name = q->g->values[src].name;

    if (q->scale_id[src] != MD_VALUE_NONE)
        return MD_OK;
    MD_TRY(add_scalar(&q->scale_id[src], q->g, name, "scale", MD_DTYPE_F32,
                      p.scale, err));
    return add_scalar(&q->zero_id[src], q->g, name, "zero", MD_DTYPE_U8, p.zero,
                      err);
}

/* Position of the first node that reads id. */
static uint32_t first_reader(const md_graph *g, md_value_id id)
{
    for (uint32_t i = 0; i < g->n_nodes; i++) {
        for (uint32_t k = 0; k < g->nodes[i]->n_in; k++) {
            if (g->nodes[i]->in[k] == id)
                return i;
        }
    }
    return g->n_nodes;
}

/* id -> QuantizeLinear -> DequantizeLinear -> *real, in front of its first
 * reader. */
static md_status insert_pair(quantizer *q, md_value_id id, md_error *err)
{
    md_graph *g = q->g;
    char stem[120];
    md_value_id codes, real, src = q->source[id];
    uint32_t at = first_reader(g, id);

    MD_TRY(param_consts(q, id, err));
    snprintf(stem, sizeof(stem), "%.90s_q", g->values[id].name);
    MD_TRY(md_graph_add_unique(&codes, g, stem, err));
    snprintf(stem, sizeof(stem), "%.90s_dq", g->values[id].name);
    MD_TRY(md_graph_add_unique(&real, g, stem, err));
    MD_TRY(md_graph_insert_node(
        NULL, g, at,
        &(md_node_spec){
            "", "QuantizeLinear", "",
            (md_value_id[]){ id, q->scale_id[src], q->zero_id[src] }, 3, &codes,
            1 },
        err));
    MD_TRY(md_graph_insert_node(
        NULL, g, at + 1,
        &(md_node_spec){
            "", "DequantizeLinear", "",
            (md_value_id[]){ codes, q->scale_id[src], q->zero_id[src] }, 3,
            &real, 1 },
        err));
    q->real[id] = real;
    return MD_OK;
}

/* The scale of the codes of a chosen value. */
static float scale_of(const quantizer *q, md_value_id id)
{
    return q->params[q->index[q->source[id]]].scale;
}

/* Largest magnitude of channel c; a channel of zeros counts as 1. */
static float channel_max(const md_tensor *w, int64_t c, int64_t channels,
                         bool rows)
{
    int64_t each = md_tensor_n(w) / channels;
    const float *p = w->data;
    float max = 0.0f;

    for (int64_t i = 0; i < each; i++)
        max = fmaxf(max, fabsf(rows ? p[c * each + i] : p[i * channels + c]));
    return max > 0.0f ? max : 1.0f;
}

/* ids through DequantizeLinear along `axis`; *real is what it gives. */
static md_status dequantized(md_value_id *real, md_graph *g,
                             const md_value_id ids[3], int64_t axis,
                             const char *stem, md_error *err)
{
    md_node *dq;

    MD_TRY(md_graph_add_unique(real, g, stem, err));
    MD_TRY(md_graph_insert_node(
        &dq, g, 0,
        &(md_node_spec){ "", "DequantizeLinear", "", ids, 3, real, 1 }, err));
    return md_node_set_attr_i(g, dq, "axis", axis, err);
}

/*
 * The least scale for the weights of channel c at which the code of its bias,
 * bias / (scale_x * scale_w), fits.  Weights may be that small where a
 * normalization with next to no variance was folded in.
 */
static float least_scale(const md_tensor *bias, int64_t c, float scale_x)
{
    float b = bias ? fabsf(((const float *)bias->data)[c]) : 0.0f;

    return fmaxf(b / (float)BIAS_MAX, FLT_MIN) / scale_x;
}

/* codes = round(w / scale), one scale per channel: 127 is the largest. */
static void fill_weights(int8_t *codes, float *scale, const md_tensor *w,
                         int64_t channels, bool rows)
{
    int64_t each = md_tensor_n(w) / channels;
    const float *p = w->data;

    for (int64_t c = 0; c < channels; c++) {
        float s = fmaxf(channel_max(w, c, channels, rows) / 127.0f, scale[c]);

        scale[c] = s;
        for (int64_t i = 0; i < each; i++) {
            int64_t at = rows ? c * each + i : i * channels + c;

            codes[at] =
                (int8_t)fminf(fmaxf(nearbyintf(p[at] / s), -127.0f), 127.0f);
        }
    }
}

/* int8 weights with a scale per channel behind a DequantizeLinear; *scales
 * belongs to the graph.  bias may be NULL. */
static md_status quantize_weights(quantizer *q, md_node *n, bool rows,
                                  const md_tensor *bias, const float **scales,
                                  md_error *err)
{
    md_graph *g = q->g;
    const md_tensor *w = g->values[n->in[1]].cdata;
    const char *name = g->values[n->in[1]].name;
    int64_t channels = w->shape.dim[rows ? 0 : 1];
    const md_shape per_channel = { 1, { channels } };
    md_tensor codes, scale, zero;
    md_value_id ids[3];

    MD_TRY(md_rewrite__new_const(&ids[0], &codes, g, name, "int8", MD_DTYPE_I8,
                                 &w->shape, err));
    MD_TRY(md_rewrite__new_const(&ids[1], &scale, g, name, "scale",
                                 MD_DTYPE_F32, &per_channel, err));
    MD_TRY(md_rewrite__new_const(&ids[2], &zero, g, name, "zero", MD_DTYPE_I8,
                                 &per_channel, err));
    for (int64_t c = 0; c < channels; c++)
        ((float *)scale.data)[c] = least_scale(bias, c, scale_of(q, n->in[0]));
    fill_weights(codes.data, scale.data, w, channels, rows);
    q->report->weights_float += md_tensor_size(w);
    q->report->weights_int += md_tensor_size(&codes) + md_tensor_size(&scale);
    *scales = scale.data;
    return dequantized(&n->in[1], g, ids, rows ? 0 : 1, "weights_dq", err);
}

/* int32 bias at scale_x * scale_w, the codes within BIAS_MAX. */
static md_status quantize_bias(quantizer *q, md_node *n, float scale_x,
                               const float *scales, md_error *err)
{
    md_graph *g = q->g;
    const md_tensor *b = g->values[n->in[2]].cdata;
    const char *name = g->values[n->in[2]].name;
    md_tensor codes, scale, zero;
    md_value_id ids[3];

    MD_TRY(md_rewrite__new_const(&ids[0], &codes, g, name, "int32",
                                 MD_DTYPE_I32, &b->shape, err));
    MD_TRY(md_rewrite__new_const(&ids[1], &scale, g, name, "scale",
                                 MD_DTYPE_F32, &b->shape, err));
    MD_TRY(md_rewrite__new_const(&ids[2], &zero, g, name, "zero", MD_DTYPE_I32,
                                 &b->shape, err));
    for (int64_t c = 0; c < md_tensor_n(b); c++) {
        float s = scale_x * scales[c];
        double code = nearbyint((double)((const float *)b->data)[c] / s);

        ((float *)scale.data)[c] = s;
        ((int32_t *)codes.data)[c] =
            (int32_t)fmin(fmax(code, INT32_MIN), INT32_MAX);
    }
    return dequantized(&n->in[2], g, ids, 0, "bias_dq", err);
}

/* Is the bias absent or a constant row of the right length? */
static bool bias_fits(const md_graph *g, const md_node *n, int64_t channels)
{
    const md_tensor *b;

    if (n->n_in < 3 || n->in[2] == MD_VALUE_NONE)
        return true;
    b = g->values[n->in[2]].cdata;
    return b && b->dtype == MD_DTYPE_F32 && b->shape.rank == 1 &&
           md_tensor_n(b) == channels;
}

static md_status rewrite_product(quantizer *q, md_node *n, md_error *err)
{
    md_graph *g = q->g;
    const md_tensor *w = g->values[n->in[1]].cdata;
    bool rows = is_op(n, "Conv") || md_node_attr_i(n, "transB", 0);
    md_value_id x = n->in[0];
    const md_tensor *bias = NULL;
    const float *scales;

    if (!q->chosen[x] || !bias_fits(g, n, w->shape.dim[rows ? 0 : 1])) {
        q->report->n_left++;
        return MD_OK;
    }
    MD_TRY(md_rewrite__check_finite(g, n->in[1], err));
    if (n->n_in > 2 && n->in[2] != MD_VALUE_NONE) {
        MD_TRY(md_rewrite__check_finite(g, n->in[2], err));
        bias = g->values[n->in[2]].cdata;
    }
    MD_TRY(quantize_weights(q, n, rows, bias, &scales, err));
    if (bias)
        MD_TRY(quantize_bias(q, n, scale_of(q, x), scales, err));
    q->report->n_nodes++;
    return MD_OK;
}

/* Readers that take the dequantized twin: all that work on codes. */
static bool reads_codes(const quantizer *q, const md_node *n)
{
    const md_graph *g = q->g;

    return is_taken(q, n) || is_sum(g, n) || is_op(n, "GlobalAveragePool") ||
           (is_movement(n) && q->chosen[n->out[0]]);
}

static md_status rewrite(quantizer *q, md_error *err)
{
    md_graph *g = q->g;
    uint32_t n_old = g->n_nodes, n_values = g->n_values;
    md_node **old = md_arena_calloc(&q->ar, n_old + 1u, sizeof(*old));
    bool *codes = md_arena_calloc(&q->ar, n_old + 1u, sizeof(*codes));

    if (!old || !codes)
        return md_fail_nomem(err, n_old * sizeof(*old));
    memcpy(old, g->nodes, n_old * sizeof(*old));
    for (uint32_t i = 0; i < n_old; i++)
        codes[i] = reads_codes(q, old[i]);
    for (uint32_t i = 0; i < n_old; i++) {
        if (is_taken(q, old[i]))
            MD_TRY(rewrite_product(q, old[i], err));
        else
            q->report->n_left += is_costly(old[i]);
    }
    for (uint32_t i = 0; i < n_values; i++) {
        if (q->chosen[i])
            MD_TRY(insert_pair(q, i, err));
    }
    for (uint32_t i = 0; i < n_old; i++) {
        for (uint32_t k = 0; codes[i] && k < old[i]->n_in; k++) {
            md_value_id id = old[i]->in[k];

            if (id < n_values && q->chosen[id])
                old[i]->in[k] = q->real[id];
        }
    }
    q->report->n_activations = q->n_params;
    return md_graph_verify(g, err);
}

/* Operators that inference leaves without effect must not stand between. */
md_status md_quantize__prepare(md_graph *g, md_error *err)
{
    MD_TRY(md_graph_lift_constants(g, err));
    MD_TRY(md_pass_identity.run(g, MD_PRECISION_FP32, err));
    md_graph_compact(g);
    MD_TRY(md_pass_bn_conv.run(g, MD_PRECISION_FP32, err));
    md_graph_compact(g);
    return MD_OK;
}

/* DequantizeLinear with an axis came with opset 13. */
static md_status check_opset(const md_model *m, md_error *err)
{
    int64_t v = md_model_opset(m, "");

    if (v >= 13)
        return MD_OK;
    return md_fail(err, MD_UNSUPPORTED,
                   "the model imports opset %lld, 13 or later expected",
                   (long long)v);
}

/* The model as it is now, when biases are to be compared with its; else NULL. */
static md_status keep_original(md_model **out, const quantizer *q,
                               md_error *err)
{
    *out = NULL;
    return q->opts->correct_bias ? md_model_copy(out, q->g->model, err) : MD_OK;
}

static md_status quantize(quantizer *q, const md_dataset *data, md_error *err)
{
    md_model *original;
    md_status s;

    MD_TRY(check_keep(q, err));
    MD_TRY(alloc_tables(q, err));
    choose(q);
    MD_TRY(calibrate(q, data, err));
    MD_TRY(keep_original(&original, q, err));
    s = rewrite(q, err);
    if (s == MD_OK && original)
        s = md_quantize__correct(q->g->model, original, data, q->opts->pool,
                                 &q->report->n_corrected, err);
    md_model_free(original);
    return s;
}

static md_status set_origin(md_model *m, uint64_t parent,
                            const md_quantize_opts *o,
                            const md_quantize_report *r, md_error *err)
{
    char text[200];

    snprintf(text, sizeof(text),
             "quantize static method=%s samples=%lld equalize=%d smooth=%.9g "
             "kept=%u bias-correction=%d",
             md_calib_method_name(o->method), (long long)r->n_samples,
             o->equalize, o->smooth, o->n_keep, o->correct_bias);
    return md_rewrite__origin(m, parent, text, err);
}

static md_status equalize(md_model *m, const md_dataset *data,
                          const md_quantize_opts *o, uint32_t *n, md_error *err)
{
    if (o->equalize)
        MD_TRY(md_equalize_weights(m, n, err));
    if (o->smooth > 0.0)
        MD_TRY(md_equalize_smooth(m, data, o->smooth, o->pool, n, err));
    return MD_OK;
}

md_status md_quantize(md_model *model, const md_dataset *data,
                      const md_quantize_opts *opts, md_quantize_report *report,
                      md_error *err)
{
    static const md_quantize_opts defaults = MD_QUANTIZE_OPTS_INIT;
    md_quantize_report own;
    quantizer q = { .g = model->graph,
                    .opts = opts ? opts : &defaults,
                    .report = report ? report : &own };
    uint64_t parent;
    md_status s;

    *q.report = (md_quantize_report){ .n_samples = data->n };
    MD_TRY(check_opset(model, err));
    MD_TRY(md_rewrite__parent(&parent, model, err));
    MD_TRY(md_quantize__prepare(model->graph, err));
    MD_TRY(equalize(model, data, q.opts, &q.report->n_equalized, err));
    md_arena_init(&q.ar, model->alloc, 0);
    s = quantize(&q, data, err);
    md_arena_release(&q.ar);
    return s == MD_OK ? set_origin(model, parent, q.opts, q.report, err) : s;
}
