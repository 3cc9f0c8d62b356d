/* Pooling over windows and over whole images. */
#include <string.h>

#include "base/size.h"
#include "convert/keras/layer.h"

enum {
    AXES_MAX = 3
};

/* Pads of one axis as TensorFlow chooses them; the size becomes out. */
static md_status pool_axis(int64_t *size, int64_t *lo, int64_t *hi,
                           int64_t kernel, int64_t stride, bool same)
{
    int64_t in = *size;
    int64_t total;

    *lo = *hi = 0;
    if (same) {
        *size = md_div_up(in, stride);
        total = (*size - 1) * stride + kernel - in;
        if (total > 0) {
            *lo = total / 2;
            *hi = total - *lo;
        }
        return MD_OK;
    }
    if (kernel > in)
        return MD_CORRUPT;
    *size = (in - kernel) / stride + 1;
    return MD_OK;
}

md_status md_keras_emit_pool(md_keras_build *b, const md_keras_value *in,
                             uint32_t n_in, md_keras_value *out, md_error *err)
{
    const json_t *c = b->layer->config;
    const char *padding = md_keras_text(c, "padding", "valid");
    bool same = strcmp(padding, "same") == 0;
    bool max = b->layer->cls[0] == 'M';
    int64_t kernel[AXES_MAX];
    int64_t stride[AXES_MAX];
    int64_t pad[2 * AXES_MAX];
    bool free_axis = false;
    int n = in->rank - 2;
    md_node *node;

    (void)n_in;
    if (n < 1 || n > AXES_MAX)
        return md_keras_fail(b, err, MD_CORRUPT, "input of rank %d", in->rank);
    if (!same && strcmp(padding, "valid") != 0)
        return md_keras_fail(b, err, MD_UNSUPPORTED, "padding '%s'", padding);
    MD_TRY(md_keras_ints(kernel, (uint32_t)n, b->layer, "pool_size", 2, err));
    MD_TRY(md_keras_ints(stride, (uint32_t)n, b->layer, "strides", -1, err));
    MD_TRY(md_keras_first(out, b, in, err));
    for (int i = 0; i < n; i++) {
        if (stride[i] == -1) /* null: the window's size */
            stride[i] = kernel[i];
        if (kernel[i] < 1 || stride[i] < 1 || kernel[i] > INT32_MAX ||
            stride[i] > INT32_MAX)
            return md_keras_fail(b, err, MD_CORRUPT, "window %lld, stride %lld",
                                 (long long)kernel[i], (long long)stride[i]);
        pad[i] = pad[n + i] = 0;
        if (out->dim[i + 1] < 0)
            free_axis = true;
        else if (pool_axis(&out->dim[i + 1], &pad[i], &pad[n + i], kernel[i],
                           stride[i], same) != MD_OK)
            return md_keras_fail(
                b, err, MD_CORRUPT, "window of %lld over %lld elements",
                (long long)kernel[i], (long long)in->dim[i + 1]);
    }
    MD_TRY(md_keras_op(&out->id, b, max ? "MaxPool" : "AveragePool", &out->id,
                       1, &node, err));
    MD_TRY(md_node_set_attr_is(b->g, node, "kernel_shape", kernel, (uint32_t)n,
                               err));
    MD_TRY(
        md_node_set_attr_is(b->g, node, "strides", stride, (uint32_t)n, err));
    if (same && free_axis)
        return md_node_set_attr_s(b->g, node, "auto_pad", "SAME_UPPER", err);
    return md_node_set_attr_is(b->g, node, "pads", pad, 2 * (uint32_t)n, err);
}

/* A reduction over the spatial axes of a value as Keras has it. */
static md_status reduce(md_keras_value *out, md_keras_build *b, bool max,
                        bool keep, md_error *err)
{
    int64_t axes[MD_RANK_MAX];
    md_value_id in[2] = { out->id };
    md_node *node;

    for (int i = 0; i < out->rank - 2; i++)
        axes[i] = i + 1;
    MD_TRY(md_keras_const_ints(&in[1], b, "axes", axes, (uint32_t)out->rank - 2,
                               err));
    MD_TRY(md_keras_op(&out->id, b, max ? "ReduceMax" : "ReduceMean", in, 2,
                       &node, err));
    return md_node_set_attr_i(b->g, node, "keepdims", keep, err);
}

/* The mean of the steps that count: sum(x * mask) / sum(mask). */
static md_status masked_mean(md_keras_value *out, md_keras_build *b, bool keep,
                             md_error *err)
{
    static const int64_t time = 1;
    md_value_id mask, axes, sum[2];
    md_keras_value x = *out;
    md_node *node;

    MD_TRY(md_keras_last(out, b, &x, err));
    MD_TRY(md_keras_mask_number(&mask, b, out, MD_DTYPE_F32, err));
    MD_TRY(md_keras_squeeze(&mask, b, "Unsqueeze", mask, -1, err));
    MD_TRY(md_keras_op(&sum[0], b, "Mul", (md_value_id[]){ out->id, mask }, 2,
                       NULL, err));
    sum[1] = mask;
    MD_TRY(md_keras_const_ints(&axes, b, "axes", &time, 1, err));
    for (int i = 0; i < 2; i++) {
        MD_TRY(md_keras_op(&sum[i], b, "ReduceSum",
                           (md_value_id[]){ sum[i], axes }, 2, &node, err));
        MD_TRY(md_node_set_attr_i(b->g, node, "keepdims", keep, err));
    }
    return md_keras_op(&out->id, b, "Div", sum, 2, NULL, err);
}

md_status md_keras_emit_global_pool(md_keras_build *b, const md_keras_value *in,
                                    uint32_t n_in, md_keras_value *out,
                                    md_error *err)
{
    bool max = strncmp(b->layer->cls, "GlobalMax", 9) == 0;
    bool keep = md_keras_bool(b->layer->config, "keepdims", false);

    (void)n_in;
    *out = *in;
    if (in->rank < 3)
        return md_keras_fail(b, err, MD_CORRUPT, "input of rank %d", in->rank);
    if (in->mask > 0 && !max && in->rank == 3) {
        MD_TRY(masked_mean(out, b, keep, err));
        out->cf = false;
    } else if (!in->cf) {
        MD_TRY(reduce(out, b, max, keep, err));
    } else {
        MD_TRY(md_keras_op(&out->id, b,
                           max ? "GlobalMaxPool" : "GlobalAveragePool",
                           &out->id, 1, NULL, err));
        if (!keep) /* [n, c, 1, ...] */
            MD_TRY(md_keras_op(&out->id, b, "Flatten", &out->id, 1, NULL, err));
    }
    for (int i = 1; i < in->rank - 1; i++)
        out->dim[i] = 1;
    if (!keep) {
        out->dim[1] = in->dim[in->rank - 1];
        out->rank = 2;
        out->cf = false;
    }
    return MD_OK;
}
