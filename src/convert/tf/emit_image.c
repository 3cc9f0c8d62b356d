/* Pools over volumes, pictures, boxes, spectra. */
#include <string.h>

#include "base/size.h"
#include "convert/tf/emit.h"

enum {
    AXES = 3,
    COUNT_MAX = 1 << 20,
    SAME = 0
};

static md_value_id scalar(md_tfl_build *b, uint32_t i)
{
    return md_emit_reshape(&b->e, md_tfl_x(b, i), NULL, 0);
}

/* padding 0, strides 1 to 3, sizes 4 to 6 */
void md_tf_emit_pool_3d(md_tfl_build *b)
{
    const md_fb_table *o = &b->op->options;
    md_tfl_value *v = md_tfl_in(b, 0);
    bool same = md_fb_i32(o, 0, 0) == SAME;
    int64_t stride[AXES], size[AXES], pads[2 * AXES] = { 0 };
    bool free = false;
    md_value_id x;

    if (md_tfl_rank_in(b, 0) != AXES + 2) {
        md_emit_fail(&b->e, MD_CORRUPT, "its input is no tensor of rank 5");
        return;
    }
    for (unsigned i = 0; i < AXES; i++) {
        int64_t in = md_tfl_size(b, v, (int)i + 1);
        int64_t total;

        stride[i] = md_fb_i32(o, 1 + i, 0);
        size[i] = md_fb_i32(o, 4 + i, 0);
        if (stride[i] < 1 || size[i] < 1) {
            md_emit_fail(&b->e, MD_CORRUPT, "kernel %lld, stride %lld",
                         (long long)size[i], (long long)stride[i]);
            return;
        }
        free = free || in < 0;
        total = (md_div_up(in, stride[i]) - 1) * stride[i] + size[i] - in;
        if (!same || in < 0 || total <= 0)
            continue;
        pads[i] = total / 2;
        pads[AXES + i] = total - total / 2;
    }
    x = md_tfl_real(b, v, MD_TFL_FIRST);
    x = md_emit_op(&b->e, md_tfl_row_now(b)->onnx, &x, 1,
                   same && free
                       ? EMIT_ATTRS(EMIT_IS("kernel_shape", size, AXES),
                                    EMIT_IS("strides", stride, AXES),
                                    EMIT_S("auto_pad", "SAME_UPPER"))
                       : EMIT_ATTRS(EMIT_IS("kernel_shape", size, AXES),
                                    EMIT_IS("strides", stride, AXES),
                                    EMIT_IS("pads", pads, (size_t)2 * AXES)));
    md_tfl_set(b, 0, x, MD_TFL_FIRST);
}

/* [h, w, c, m] to TensorFlow Lite's [1, h, w, c * m]. */
void md_tf_emit_depthwise_kernel(md_tfl_build *b)
{
    const md_tfl_value *v = md_tfl_in(b, 0);
    int64_t dim[4] = { 1, md_tfl_size(b, v, 0), md_tfl_size(b, v, 1), -1 };

    if (md_tfl_rank_in(b, 0) != 4 || dim[1] < 1 || dim[2] < 1) {
        md_emit_fail(&b->e, MD_UNSUPPORTED, "its kernel has no fixed size");
        return;
    }
    md_tfl_set(b, 0, md_emit_reshape(&b->e, md_tfl_x(b, 0), dim, 4),
               MD_TFL_LAST);
}

/* align_corners 0, half_pixel_centers 1; without these TensorFlow's kernel is
 * a = -0.75, with them -0.5 and weights of what lies outside given to the
 * rest. */
void md_tf_emit_resize_cubic(md_tfl_build *b)
{
    static const int64_t axes[] = { 2, 3 };
    bool align = md_fb_bool(&b->op->options, 0, false);
    bool half = md_fb_bool(&b->op->options, 1, false);
    md_value_id in[4] = { md_tfl_real(b, md_tfl_in(b, 0), MD_TFL_FIRST),
                          MD_VALUE_NONE, MD_VALUE_NONE,
                          md_emit_cast(&b->e, md_tfl_x(b, 1), MD_DTYPE_I64) };
    const char *where = align  ? "align_corners"
                        : half ? "half_pixel"
                               : "asymmetric";

    md_tfl_set(
        b, 0,
        md_emit_op(&b->e, "Resize", in, 4,
                   EMIT_ATTRS(EMIT_S("mode", "cubic"),
                              EMIT_S("coordinate_transformation_mode", where),
                              EMIT_F("cubic_coeff_a", half ? -0.5f : -0.75f),
                              EMIT_I("exclude_outside", half),
                              EMIT_IS("axes", axes, 2))),
        MD_TFL_FIRST);
}

/* Contrast around the mean of each channel. */
void md_tf_emit_adjust_contrast(md_tfl_build *b)
{
    static const int64_t places[] = { -3, -2 };
    md_value_id x = md_tfl_x(b, 0);
    md_value_id mean = md_emit_op(
        &b->e, "ReduceMean",
        (md_value_id[]){ x, md_emit_ints(&b->e, places, 2) }, 2, NULL);
    md_value_id far = md_emit_op2(
        &b->e, "Mul", md_emit_op2(&b->e, "Sub", x, mean), scalar(b, 1));

    md_tfl_set(b, 0, md_emit_op2(&b->e, "Add", far, mean), MD_TFL_LAST);
}

/* The window, as a convolution with one kernel per place: padding 0, ksizes
 * 1, strides 2, rates 3.  Depth is (row, column, channel). */
void md_tf_emit_patches(md_tfl_build *b)
{
    const md_fb_table *o = &b->op->options;
    md_fb_vector k = md_fb_vec(o, 1, 4);
    md_fb_vector s = md_fb_vec(o, 2, 4);
    md_fb_vector r = md_fb_vec(o, 3, 4);
    md_tfl_value *v = md_tfl_in(b, 0);
    int64_t c = v ? md_tfl_size(b, v, 3) : -1;
    int64_t kernel[2], stride[2], rate[2];
    md_shape shape = { 4, { 0 } };
    md_tensor w = MD_TENSOR_INIT;
    md_value_id in[2];

    if (md_tfl_rank_in(b, 0) != 4 || k.n != 4 || s.n != 4 || r.n != 4 ||
        c < 1) {
        md_emit_fail(&b->e, MD_UNSUPPORTED, "sizes that are free");
        return;
    }
    for (uint32_t i = 0; i < 2; i++) {
        kernel[i] = md_fb_vec_i32(&k, i + 1);
        stride[i] = md_fb_vec_i32(&s, i + 1);
        rate[i] = md_fb_vec_i32(&r, i + 1);
        if (kernel[i] < 1 || stride[i] < 1 || rate[i] < 1 ||
            kernel[i] * c > 4096) {
            md_emit_fail(&b->e, MD_CORRUPT, "kernel %lld, stride %lld",
                         (long long)kernel[i], (long long)stride[i]);
            return;
        }
    }
    shape.dim[0] = kernel[0] * kernel[1] * c;
    shape.dim[1] = c;
    shape.dim[2] = kernel[0];
    shape.dim[3] = kernel[1];
    if (shape.dim[0] * c * kernel[0] * kernel[1] > COUNT_MAX) {
        md_emit_fail(&b->e, MD_UNSUPPORTED, "patches of %lld numbers",
                     (long long)shape.dim[0]);
        return;
    }
    in[0] = md_tfl_real(b, v, MD_TFL_FIRST);
    if (b->e.status != MD_OK ||
        !md_emit_ok(&b->e,
                    md_tensor_alloc(&w, md_emit_type(&b->e, in[0])->dtype,
                                    &shape, b->e.model->alloc, b->e.err)))
        return;
    for (int64_t i = 0; i < shape.dim[0]; i++) {
        int64_t place = i / c;

        md_tensor_set_f64(&w, (i * c + i % c) * kernel[0] * kernel[1] + place,
                          1);
    }
    in[1] = md_emit_const(&b->e, w);
    in[0] = md_emit_op(
        &b->e, "Conv", in, 2,
        EMIT_ATTRS(EMIT_IS("kernel_shape", kernel, 2),
                   EMIT_IS("strides", stride, 2), EMIT_IS("dilations", rate, 2),
                   EMIT_S("auto_pad", md_fb_i32(o, 0, 0) == SAME ? "SAME_UPPER"
                                                                 : "VALID")));
    md_tfl_set(b, 0, in[0], MD_TFL_FIRST);
}

/* --- boxes --- */

/* Indices of the boxes that are kept, the best first. */
static md_value_id suppress(md_tfl_build *b, md_value_id iou,
                            md_value_id threshold)
{
    md_value_id n = md_emit_cast(&b->e, md_tfl_x(b, 2), MD_DTYPE_I64);
    md_value_id in[] = {
        md_emit_unsqueeze(&b->e, md_tfl_x(b, 0), 0),
        md_emit_unsqueeze(&b->e, md_emit_unsqueeze(&b->e, md_tfl_x(b, 1), 0),
                          0),
        md_emit_reshape(&b->e, n, (const int64_t[]){ 1 }, 1), iou, threshold
    };
    md_value_id at = md_emit_op(&b->e, "NonMaxSuppression", in,
                                threshold == MD_VALUE_NONE ? 4 : 5, NULL);

    return md_emit_op(&b->e, "Gather",
                      (md_value_id[]){ at, md_emit_int(&b->e, 2) }, 2,
                      EMIT_ATTRS(EMIT_I("axis", 1)));
}

/* boxes, scores, count[, iou[, threshold]]; iou_threshold 0 */
void md_tf_emit_nms(md_tfl_build *b)
{
    uint32_t n = b->op->n_in;
    md_value_id iou =
        n > 3
            ? scalar(b, 3)
            : md_emit_float(&b->e, (double)md_fb_f32(&b->op->options, 0, 0.5f));

    md_tfl_set(b, 0, suppress(b, iou, n > 4 ? scalar(b, 4) : MD_VALUE_NONE),
               MD_TFL_LAST);
}

/* pad_to_max_output_size 0: as TensorFlow Lite has it, else without zeros. */
void md_tf_emit_nms_padded(md_tfl_build *b)
{
    bool soft = b->op->n_in > 5;
    double sigma = 0;
    md_value_id at;
    md_value_id n;

    if (md_fb_bool(&b->op->options, 0, false)) {
        md_tfl_emit_nms(b);
        return;
    }
    if (soft && !md_tfl_read_float(b, 5, &sigma))
        return;
    if (sigma != 0) {
        md_emit_fail(&b->e, MD_UNSUPPORTED, "sigma %g", sigma);
        return;
    }
    at = suppress(b, scalar(b, 3), scalar(b, 4));
    md_tfl_set(b, 0, at, MD_TFL_LAST);
    if (soft)
        md_tfl_set(b, 1,
                   md_emit_op(&b->e, "Gather",
                              (md_value_id[]){ md_tfl_x(b, 1), at }, 2, NULL),
                   MD_TFL_LAST);
    n = md_emit_op1(&b->e, "Shape", at);
    md_tfl_set(b, soft ? 2 : 1, md_emit_reshape(&b->e, n, NULL, 0),
               MD_TFL_LAST);
}

/* --- spectra: complex numbers are pairs on a last axis of 2 --- */

/* The last axis; "real": of the length in input 1, half of it comes out. */
void md_tf_emit_fft(md_tfl_build *b)
{
    const char *how = md_tfl_row_now(b)->onnx;
    bool real = how[0] == 'r';
    int rank = md_tfl_rank_in(b, 0);
    int64_t size = 0;
    uint32_t n = 0;
    md_value_id x = md_tfl_x(b, 0);
    md_value_id in[3] = { x, MD_VALUE_NONE, MD_VALUE_NONE };

    if (real) {
        if (!md_tfl_read_ints(b, 1, &size, 1, &n) || n != 1)
            return;
        in[0] = md_emit_unsqueeze(&b->e, x, -1);
        in[1] = md_emit_int(&b->e, size);
        in[2] = md_emit_int(&b->e, rank - 1);
    } else {
        in[2] = md_emit_int(&b->e, rank - 2);
    }
    md_tfl_set(b, 0,
               md_emit_op(&b->e, "DFT", in, 3,
                          EMIT_ATTRS(EMIT_I("onesided", real),
                                     EMIT_I("inverse", how[0] == 'i'))),
               MD_TFL_LAST);
}

/* What CombinedNonMaxSuppression knows: boxes [batch, n, 1, 4], scores [batch,
 * n, classes]. */
typedef struct combined {
    int64_t n, classes, total;
    md_value_id boxes;  /* [batch, n, 4] */
    md_value_id scores; /* [batch, classes, n] */
} combined;

static bool read_combined(md_tfl_build *b, combined *c)
{
    static const int64_t perm[] = { 0, 2, 1 };
    static const int64_t axis = 2;
    int64_t per_class = 0;
    uint32_t n = 0;

    if (md_tfl_rank_in(b, 0) != 4 || md_tfl_rank_in(b, 1) != 3) {
        md_emit_fail(&b->e, MD_CORRUPT, "boxes of rank %d, scores of rank %d",
                     md_tfl_rank_in(b, 0), md_tfl_rank_in(b, 1));
        return false;
    }
    c->n = md_tfl_size(b, md_tfl_in(b, 1), 1);
    c->classes = md_tfl_size(b, md_tfl_in(b, 1), 2);
    if (!md_tfl_read_ints(b, 2, &per_class, 1, &n) ||
        !md_tfl_read_ints(b, 3, &c->total, 1, &n))
        return false;
    if (c->n < 1 || c->classes < 1 || c->total < 1 || c->total > COUNT_MAX ||
        md_tfl_size(b, md_tfl_in(b, 0), 2) != 1) {
        md_emit_fail(&b->e, MD_UNSUPPORTED,
                     "boxes of any number, or per class");
        return false;
    }
    if (md_fb_bool(&b->op->options, 0, false) && per_class > 0 &&
        per_class <= c->total / c->classes)
        c->total = per_class * c->classes;
    c->boxes = md_emit_op2(&b->e, "Squeeze", md_tfl_x(b, 0),
                           md_emit_ints(&b->e, &axis, 1));
    c->scores = md_emit_transpose(&b->e, md_tfl_x(b, 1), perm, 3);
    return b->e.status == MD_OK;
}

/* Scores of what is kept, the lowest number for the rest: [batch, classes *
 * n], at least `total` of them. */
static md_value_id kept_scores(md_tfl_build *b, const combined *c,
                               md_value_id lowest)
{
    int64_t dim[] = { 0, c->classes * c->n };
    int64_t ends[] = { 0, 0, 0, c->total - c->classes * c->n };
    md_value_id n = md_emit_cast(&b->e, md_tfl_x(b, 2), MD_DTYPE_I64);
    md_value_id in[] = { c->boxes, c->scores,
                         md_emit_reshape(&b->e, n, (const int64_t[]){ 1 }, 1),
                         scalar(b, 4), scalar(b, 5) };
    md_value_id at = md_emit_op(&b->e, "NonMaxSuppression", in, 5, NULL);
    md_value_id all = md_emit_op2(&b->e, "Expand", lowest,
                                  md_emit_op1(&b->e, "Shape", c->scores));
    md_value_id given = md_emit_op2(&b->e, "GatherND", c->scores, at);

    all = md_emit_op(&b->e, "ScatterND", (md_value_id[]){ all, at, given }, 3,
                     NULL);
    all = md_emit_reshape(&b->e, all, dim, 2);
    if (ends[3] > 0)
        all = md_emit_op(
            &b->e, "Pad",
            (md_value_id[]){ all, md_emit_ints(&b->e, ends, 4), lowest }, 3,
            NULL);
    return all;
}

/* pad_per_class 0, clip_boxes 1 */
void md_tf_emit_combined_nms(md_tfl_build *b)
{
    static const int64_t one = 1;
    bool clip = md_fb_bool(&b->op->options, 1, true);
    md_value_id lowest = md_emit_float(&b->e, -3.4028234663852886e38);
    md_value_id zero = md_emit_float(&b->e, 0);
    md_value_id out[2];
    md_value_id valid;
    md_value_id at;
    md_value_id x;
    combined c;

    if (!read_combined(b, &c))
        return;
    x = kept_scores(b, &c, lowest);
    md_emit_op_n(&b->e, out, 2, "TopK",
                 (md_value_id[]){ x, md_emit_ints(&b->e, &c.total, 1) }, 2,
                 EMIT_ATTRS(EMIT_I("axis", 1)));
    valid = md_emit_op2(&b->e, "Greater", out[0], lowest);
    at = md_emit_unsqueeze(
        &b->e, md_emit_op2(&b->e, "Mod", out[1], md_emit_int(&b->e, c.n)), -1);
    x = md_emit_op(&b->e, "GatherND", (md_value_id[]){ c.boxes, at }, 2,
                   EMIT_ATTRS(EMIT_I("batch_dims", 1)));
    if (clip)
        x = md_emit_op(&b->e, "Clip",
                       (md_value_id[]){ x, zero, md_emit_float(&b->e, 1) }, 3,
                       NULL);
    x = md_emit_op(
        &b->e, "Where",
        (md_value_id[]){ md_emit_unsqueeze(&b->e, valid, -1), x, zero }, 3,
        NULL);
    md_tfl_set(b, 0, x, MD_TFL_LAST);
    md_tfl_set(b, 1,
               md_emit_op(&b->e, "Where",
                          (md_value_id[]){ valid, out[0], zero }, 3, NULL),
               MD_TFL_LAST);
    x = md_emit_op2(&b->e, "Div", out[1], md_emit_int(&b->e, c.n));
    x = md_emit_op(
        &b->e, "Where",
        (md_value_id[]){ valid, md_emit_cast(&b->e, x, MD_DTYPE_F32), zero }, 3,
        NULL);
    md_tfl_set(b, 2, x, MD_TFL_LAST);
    x = md_emit_op(&b->e, "ReduceSum",
                   (md_value_id[]){ md_emit_cast(&b->e, valid, MD_DTYPE_I32),
                                    md_emit_ints(&b->e, &one, 1) },
                   2, EMIT_ATTRS(EMIT_I("keepdims", 0)));
    md_tfl_set(b, 3, x, MD_TFL_LAST);
}
