/* Dense, Embedding, and layers that change the shape. */
#include <string.h>

#include "base/size.h"
#include "convert/keras/layer.h"

/*
 * Rows of a dense kernel [in, out] that follows a flattened image: Keras
 * counts them (hw, c), the value lies (c, hw).  The result is [out, in].
 */
static md_status dense_after_flat(md_value_id *out, md_keras_build *b,
                                  const md_keras_value *x, const md_tensor *w,
                                  md_error *err)
{
    int64_t n_in = w->shape.dim[0];
    int64_t n_out = w->shape.dim[1];
    md_shape shape = { 2, { n_out, n_in } };
    md_tensor plain = MD_TENSOR_INIT;
    md_tensor t = MD_TENSOR_INIT;
    const float *from;
    float *to;
    md_status s;

    MD_TRY(md_keras_weight_copy(&plain, b, w, NULL, err));
    s = md_tensor_alloc(&t, MD_DTYPE_F32, &shape, b->model->alloc, err);
    if (s != MD_OK) {
        md_tensor_release(&plain);
        return s;
    }
    from = plain.data;
    to = t.data;
    for (int64_t o = 0; o < n_out; o++) {
        for (int64_t c = 0; c < x->flat_c; c++) {
            for (int64_t i = 0; i < x->flat_hw; i++)
                *to++ = from[(i * x->flat_c + c) * n_out + o];
        }
    }
    md_tensor_release(&plain);
    b->n_parameters += (uint64_t)(n_in * n_out);
    return md_keras_const(out, b, "kernel", t, err);
}

static md_status dense_2d(md_keras_value *out, md_keras_build *b,
                          const md_keras_value *x, const md_tensor *w,
                          const md_value_id *bias, md_error *err)
{
    static const int perm[] = { 1, 0 };
    md_value_id in[3] = { x->id };
    md_node *node;

    if (x->flat_c > 0)
        MD_TRY(dense_after_flat(&in[1], b, x, w, err));
    else
        MD_TRY(md_keras_weight_const(&in[1], b, 0, "kernel", perm, NULL, err));
    if (bias)
        in[2] = *bias;
    MD_TRY(md_keras_op(&out->id, b, "Gemm", in, bias ? 3 : 2, &node, err));
    out->flat_c = out->flat_hw = 0;
    return md_node_set_attr_i(b->g, node, "transB", 1, err);
}

static md_status dense_nd(md_keras_value *out, md_keras_build *b,
                          const md_keras_value *x, const md_value_id *bias,
                          md_error *err)
{
    md_value_id in[2];

    MD_TRY(md_keras_last(out, b, x, err));
    in[0] = out->id;
    MD_TRY(md_keras_weight_const(&in[1], b, 0, "kernel", NULL, NULL, err));
    MD_TRY(md_keras_op(&out->id, b, "MatMul", in, 2, NULL, err));
    if (!bias)
        return MD_OK;
    in[0] = out->id;
    in[1] = *bias;
    return md_keras_op(&out->id, b, "Add", in, 2, NULL, err);
}

md_status md_keras_emit_dense(md_keras_build *b, const md_keras_value *x,
                              uint32_t n_x, md_keras_value *out, md_error *err)
{
    const json_t *c = b->layer->config;
    bool has_bias = md_keras_bool(c, "use_bias", true);
    int64_t dim[2] = { x->dim[x->rank - 1], md_keras_int(c, "units", 0) };
    const md_tensor *w;
    md_keras_value y;
    md_value_id bias;

    (void)n_x;
    if (x->rank < 2 || dim[0] < 1 || dim[1] < 1)
        return md_keras_fail(b, err, MD_CORRUPT,
                             "%lld units on %lld features, both expected to "
                             "be fixed",
                             (long long)dim[1], (long long)dim[0]);
    MD_TRY(md_keras_expect_weights(b, has_bias ? 2 : 1, err));
    MD_TRY(md_keras_weight(&w, b, 0, 2, dim, err));
    if (has_bias) {
        const md_tensor *t;

        MD_TRY(md_keras_weight(&t, b, 1, 1, &dim[1], err));
        MD_TRY(md_keras_weight_const(&bias, b, 1, "bias", NULL, NULL, err));
    }
    MD_TRY(md_keras_weight(&w, b, 0, 2, dim, err));
    y = *x;
    if (x->rank == 2 && !b->plain)
        MD_TRY(dense_2d(&y, b, x, w, has_bias ? &bias : NULL, err));
    else
        MD_TRY(dense_nd(&y, b, x, has_bias ? &bias : NULL, err));
    y.dim[y.rank - 1] = dim[1];
    return md_keras_activate(out, b, &y, md_keras_activation(c), err);
}

/* Index 0 is padding. */
static md_status mask_zero(md_keras_value *v, md_keras_build *b, md_error *err)
{
    md_tensor t = MD_TENSOR_INIT;
    md_value_id zero;

    MD_TRY(md_tensor_alloc(&t, v->dtype, &(md_shape){ 0, { 0 } },
                           b->model->alloc, err));
    memset(t.data, 0, md_tensor_size(&t));
    MD_TRY(md_keras_const(&zero, b, "zero", t, err));
    return md_keras_mask_unlike(v, b, v->id, zero, err);
}

/* A step counts when one of its features differs from mask_value; the others
 * become zeros. */
md_status md_keras_emit_masking(md_keras_build *b, const md_keras_value *x,
                                uint32_t n_x, md_keras_value *out,
                                md_error *err)
{
    const float value =
        (float)md_keras_number(b->layer->config, "mask_value", 0);
    static const int64_t last = -1;
    md_value_id in[2];
    md_node *node;

    (void)n_x;
    MD_TRY(md_keras_last(out, b, x, err));
    if (out->rank != 3)
        return md_keras_fail(b, err, MD_UNSUPPORTED,
                             "input of rank %d, 3 expected", out->rank);
    MD_TRY(md_keras_const_floats(&in[1], b, "padding", &value, NULL, err));
    MD_TRY(md_keras_mask_unlike(out, b, out->id, in[1], err));
    MD_TRY(md_keras_mask_number(&in[0], b, out, MD_DTYPE_F32, err));
    MD_TRY(md_keras_const_ints(&in[1], b, "axes", &last, 1, err));
    MD_TRY(md_keras_op(&in[0], b, "ReduceMax", in, 2, NULL, err));
    in[1] = in[0];
    in[0] = out->id;
    MD_TRY(md_keras_op(&out->id, b, "Mul", in, 2, NULL, err));
    MD_TRY(md_keras_squeeze(&in[0], b, "Squeeze", in[1], -1, err));
    MD_TRY(md_keras_op(&in[0], b, "Cast", in, 1, &node, err));
    out->mask = in[0] + 1;
    return md_node_set_attr_i(b->g, node, "to", MD_DTYPE_BOOL, err);
}

md_status md_keras_emit_embedding(md_keras_build *b, const md_keras_value *x,
                                  uint32_t n_x, md_keras_value *out,
                                  md_error *err)
{
    static const char *const key[] = { "input_dim", "output_dim" };
    const json_t *c = b->layer->config;
    const md_tensor *w;
    md_value_id in[2];
    int64_t dim[2];

    (void)n_x;
    for (int i = 0; i < 2; i++) {
        dim[i] = md_keras_int(c, key[i], -1); /* -1: not given */
        if (dim[i] < 1 && json_is_integer(json_object_get(c, key[i])))
            return md_keras_refuse(b, err, key[i]);
    }
    if (x->rank + 1 > MD_RANK_MAX)
        return md_keras_fail(b, err, MD_CORRUPT, "input of rank %d", x->rank);
    MD_TRY(md_keras_expect_weights(b, 1, err));
    MD_TRY(md_keras_weight(&w, b, 0, 2, dim, err));
    MD_TRY(md_keras_last(out, b, x, err));
    if (x->dtype != MD_DTYPE_I32 && x->dtype != MD_DTYPE_I64) {
        md_node *node;

        MD_TRY(md_keras_op(&out->id, b, "Cast", &out->id, 1, &node, err));
        MD_TRY(md_node_set_attr_i(b->g, node, "to", MD_DTYPE_I32, err));
        out->dtype = MD_DTYPE_I32;
    }
    out->mask = 0;
    if (md_keras_bool(c, "mask_zero", false))
        MD_TRY(mask_zero(out, b, err));
    MD_TRY(md_keras_weight_const(&in[0], b, 0, "embeddings", NULL, NULL, err));
    in[1] = out->id;
    MD_TRY(md_keras_op(&out->id, b, "Gather", in, 2, NULL, err));
    out->dtype = MD_DTYPE_F32;
    out->dim[out->rank++] = w->shape.dim[1];
    return MD_OK;
}

/* Elements lie channels first: the next Dense turns its rows instead. */
md_status md_keras_emit_flatten(md_keras_build *b, const md_keras_value *x,
                                uint32_t n_x, md_keras_value *out,
                                md_error *err)
{
    int64_t c = x->dim[x->rank - 1];
    int64_t hw = md_keras_span(x, 1, x->rank - 1);

    (void)n_x;
    *out = *x;
    if (x->rank == 1)
        return md_keras_fail(b, err, MD_CORRUPT, "input of rank 1");
    if (x->rank == 2)
        return MD_OK;
    if (x->cf && (c < 1 || hw < 1)) /* free sizes: turn it now */
        MD_TRY(md_keras_last(out, b, x, err));
    MD_TRY(md_keras_op(&out->id, b, "Flatten", &out->id, 1, NULL, err));
    if (out->cf && c > 1 && hw > 1) {
        out->flat_c = c;
        out->flat_hw = hw;
    }
    out->cf = false;
    out->rank = 2;
    out->dim[1] = md_keras_span(x, 1, x->rank);
    return MD_OK;
}

/* Keras' target shape has no batch and at most one -1. */
static md_status target_shape(int64_t *dim, int *rank, const md_keras_build *b,
                              const md_keras_value *x, md_error *err)
{
    const json_t *v = json_object_get(b->layer->config, "target_shape");
    int64_t total = md_keras_span(x, 1, x->rank);
    size_t n = json_array_size(v);
    int64_t known = 1;
    int open = -1;

    if (!json_is_array(v) || n + 1 > MD_RANK_MAX)
        return md_keras_fail(b, err, MD_CORRUPT,
                             "target_shape is not a list of up to %d numbers",
                             MD_RANK_MAX - 1);
    for (size_t i = 0; i < n; i++) {
        const json_t *e = json_array_get(v, i);
        int64_t d = json_is_null(e) ? -1 : json_integer_value(e);

        dim[i + 1] = d;
        if (d == -1 && open < 0)
            open = (int)i + 1;
        else if (d < 1 || !md_mul_i64(&known, known, d))
            return md_keras_fail(b, err, MD_CORRUPT, "target_shape[%zu] = %lld",
                                 i, (long long)d);
    }
    if (total >= 0 && (open < 0 ? total != known : total % known != 0))
        return md_keras_fail(b, err, MD_CORRUPT,
                             "%lld elements do not fit the target shape",
                             (long long)total);
    if (open > 0 && total >= 0)
        dim[open] = total / known;
    *rank = (int)n + 1;
    return MD_OK;
}

md_status md_keras_emit_reshape(md_keras_build *b, const md_keras_value *x,
                                uint32_t n_x, md_keras_value *out,
                                md_error *err)
{
    int64_t dim[MD_RANK_MAX] = { 0 };
    int rank = 0;

    (void)n_x;
    MD_TRY(target_shape(dim, &rank, b, x, err));
    MD_TRY(md_keras_last(out, b, x, err));
    /* dim[0] = 0 copies the batch. */
    MD_TRY(md_keras_reshape(&out->id, b, out->id, dim, (uint32_t)rank, err));
    out->rank = rank;
    for (int i = 1; i < rank; i++)
        out->dim[i] = dim[i];
    return MD_OK;
}

md_status md_keras_emit_permute(md_keras_build *b, const md_keras_value *x,
                                uint32_t n_x, md_keras_value *out,
                                md_error *err)
{
    int64_t dims[MD_RANK_MAX];
    int64_t perm[MD_RANK_MAX] = { 0 };
    unsigned seen = 0;

    (void)n_x;
    *out = *x;
    MD_TRY(
        md_keras_ints(dims, (uint32_t)x->rank - 1, b->layer, "dims", 0, err));
    for (int i = 1; i < x->rank; i++) {
        int64_t d = dims[i - 1];

        if (d < 1 || d >= x->rank || (seen & (1u << d)))
            return md_keras_fail(b, err, MD_CORRUPT,
                                 "dims is not a permutation of 1 to %d",
                                 x->rank - 1);
        seen |= 1u << d;
        perm[i] = md_keras_axis(x, (int)d);
        out->dim[i] = x->dim[d];
    }
    out->cf = false;
    return md_keras_transpose(&out->id, b, x->id, perm, (uint32_t)x->rank, err);
}

md_status md_keras_emit_repeat_vector(md_keras_build *b,
                                      const md_keras_value *x, uint32_t n_x,
                                      md_keras_value *out, md_error *err)
{
    int64_t n = md_keras_int(b->layer->config, "n", 0);
    int64_t shape[] = { 1, n, 1 };
    md_value_id in[2];

    (void)n_x;
    if (x->rank != 2 || n < 1 || n > INT32_MAX)
        return md_keras_fail(b, err, MD_CORRUPT, "%lld copies of rank %d",
                             (long long)n, x->rank);
    MD_TRY(md_keras_last(out, b, x, err));
    MD_TRY(md_keras_squeeze(&in[0], b, "Unsqueeze", out->id, 1, err));
    MD_TRY(md_keras_const_ints(&in[1], b, "shape", shape, 3, err));
    MD_TRY(md_keras_op(&out->id, b, "Expand", in, 2, NULL, err));
    out->rank = 3;
    out->dim[2] = x->dim[1];
    out->dim[1] = n;
    return MD_OK;
}
