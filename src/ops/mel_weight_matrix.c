/*
 * Weights of the bins of a spectrum in triangles that are evenly spread over
 * the mel scale: mel(f) = 2595 log10(1 + f / 700).
 */
#include <math.h>

#include "ops/common/util.h"

enum { /* inputs */
    IN_BANDS,
    IN_LENGTH,
    IN_RATE,
    IN_LOW,
    IN_HIGH
};

/* Whole numbers of inputs 0 to 2, at least 1. */
static md_status check_number(const md_infer *c, uint32_t i, int64_t *out,
                              md_error *err)
{
    static const char *const what[] = { "num_mel_bins", "dft_length",
                                        "sample_rate" };

    *out = -1;
    MD_TRY(md_infer__need(c, i, MD_TYPES_INDEX, err));
    MD_TRY(md_infer__length(c, c->in[i], MD_DIM(1), what[i], err));
    if (!c->cin[i])
        return MD_OK;
    *out = md_tensor_get_i64(c->cin[i], 0);
    if (*out < 1 || *out > INT32_MAX)
        return md_fail(err, MD_INVALID, "%s is %lld, 1 to %d expected", what[i],
                       (long long)*out, INT32_MAX);
    return MD_OK;
}

static md_status check_edges(const md_infer *c, md_error *err)
{
    double low, high;

    for (uint32_t i = IN_LOW; i <= IN_HIGH; i++) {
        MD_TRY(md_infer__need(c, i, MD_TYPES_FLOAT, err));
        MD_TRY(md_infer__length(c, c->in[i], MD_DIM(1), "an edge", err));
    }
    if (!c->cin[IN_LOW] || !c->cin[IN_HIGH])
        return MD_OK;
    low = md_tensor_get_f64(c->cin[IN_LOW], 0);
    high = md_tensor_get_f64(c->cin[IN_HIGH], 0);
    if (!(low >= 0.0 && low <= high && isfinite(high)))
        return md_fail(
            err, MD_INVALID,
            "the edges are %g and %g Hz, an ascending pair from 0 on "
            "expected",
            low, high);
    return MD_OK;
}

static md_status infer(const md_infer *c, md_error *err)
{
    int64_t dtype = md_node_attr_i(c->node, "output_datatype", MD_DTYPE_F32);
    md_type t = { .has_rank = true, .rank = 2 };
    int64_t bands, length, rate;

    if (dtype < 0 || dtype >= MD_DTYPE_N || !(MD_TYPES_NUMBER >> dtype & 1))
        return md_fail(err, MD_INVALID,
                       "output_datatype is %lld, a number type expected",
                       (long long)dtype);
    t.dtype = (md_dtype)dtype;
    MD_TRY(check_number(c, IN_BANDS, &bands, err));
    MD_TRY(check_number(c, IN_LENGTH, &length, err));
    MD_TRY(check_number(c, IN_RATE, &rate, err));
    MD_TRY(check_edges(c, err));
    MD_TRY(md_infer__fresh(c, &t.dim[0], err));
    MD_TRY(md_infer__fresh(c, &t.dim[1], err));
    if (length > 0)
        t.dim[0] = MD_DIM(length / 2 + 1);
    if (bands > 0)
        t.dim[1] = MD_DIM(bands);
    md_infer__give(c, 0, &t);
    return MD_OK;
}

/* Bins of the corners of all triangles. */
static md_status find_corners(const md_exec *x, int64_t *corner, int64_t bands,
                              int64_t n_bins, md_error *err)
{
    double length = (double)md_tensor_get_i64(x->in[IN_LENGTH], 0);
    double rate = (double)md_tensor_get_i64(x->in[IN_RATE], 0);
    double low = md_tensor_get_f64(x->in[IN_LOW], 0);
    double high = md_tensor_get_f64(x->in[IN_HIGH], 0);
    double from = 2595.0 * log10(1.0 + low / 700.0);
    double step =
        (2595.0 * log10(1.0 + high / 700.0) - from) / (double)(bands + 2);

    for (int64_t i = 0; i < bands + 2; i++) {
        double mel = (double)i * step + from;
        double hertz = 700.0 * (pow(10.0, mel / 2595.0) - 1.0);
        double bin = floor((length + 1.0) * hertz / rate);

        if (bin >= (double)n_bins + (i == bands + 1))
            return md_fail(err, MD_INVALID,
                           "%g Hz is beyond the %lld bins of a spectrum of "
                           "%g Hz",
                           hertz, (long long)n_bins, rate / 2.0);
        corner[i] = (int64_t)fmax(bin, 0.0);
    }
    return MD_OK;
}

static void put(md_tensor *out, int64_t at, double w)
{
    if (out->dtype == MD_DTYPE_F32)
        ((float *)out->data)[at] = (float)w;
    else
        md_store_f64(out, at, &w, 1);
}

/* Weights of the bins in the triangle over bins from, top and to; its column
 * of out begins at `at`. */
static void fill_triangle(md_tensor *out, int64_t at, const int64_t *corner)
{
    int64_t from = corner[0], top = corner[1], to = corner[2];
    int64_t bands = out->shape.dim[1];

    for (int64_t i = from; i < top; i++)
        put(out, at + i * bands, (double)(i - from) / (double)(top - from));
    put(out, at + top * bands, 1.0);
    for (int64_t i = top + 1; i < to; i++)
        put(out, at + i * bands, (double)(to - i) / (double)(to - top));
}

static md_status compute(md_exec *x, md_tensor *out, md_arena *ar,
                         md_error *err)
{
    int64_t n_bins = out->shape.dim[0], bands = out->shape.dim[1], *corner;

    MD_TRY(md_exec__scratch(&corner, ar, bands + 2, sizeof(*corner), err));
    MD_TRY(find_corners(x, corner, bands, n_bins, err));
    md_exec__zero(out);
    for (int64_t b = 0; b < bands; b++)
        fill_triangle(out, b, corner + b);
    return MD_OK;
}

static md_status run(md_exec *x, md_error *err)
{
    return md_exec__single(x, infer, compute, err);
}

const md_op md_op_mel_weight_matrix = {
    .domain = "",
    .name = "MelWeightMatrix",
    .since = 17,
    .in_min = 5,
    .in_max = 5,
    .out_min = 1,
    .out_max = 1,
    .infer = infer,
    .run = run,
};
