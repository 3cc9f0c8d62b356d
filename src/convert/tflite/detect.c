/* Detections: non-maximum suppression, and the custom operator around it. */
#include <string.h>

#include "convert/tflite/build.h"
#include "formats/flexbuf.h"

enum {
    COUNT_MAX = 1 << 20 /* detections */
};

static md_value_id gather(md_tfl_build *b, md_value_id x, md_value_id at,
                          int64_t axis)
{
    return md_emit_op(&b->e, "Gather", (md_value_id[]){ x, at }, 2,
                      EMIT_ATTRS(EMIT_I("axis", axis)));
}

/* Elements [from, to) of the last axis. */
static md_value_id part(md_tfl_build *b, md_value_id x, int64_t from,
                        int64_t to)
{
    static const int64_t last = -1;

    return md_emit_op(&b->e, "Slice",
                      (md_value_id[]){ x, md_emit_ints(&b->e, &from, 1),
                                       md_emit_ints(&b->e, &to, 1),
                                       md_emit_ints(&b->e, &last, 1) },
                      4, NULL);
}

/* Column i of ONNX's [n, 3] selection (batch, class, box), as [n]. */
static md_value_id column(md_tfl_build *b, md_value_id x, int64_t i)
{
    return gather(b, x, md_emit_int(&b->e, i), 1);
}

/* x, whose first axis has any size, followed by zeros up to n of them. */
static md_value_id pad_to(md_tfl_build *b, md_value_id x, int64_t n)
{
    static const int64_t zero = 0;
    const md_type *t = md_emit_type(&b->e, x);
    md_value_id rest;
    int64_t dim[] = { n, 4 };

    rest = md_emit_op2(&b->e, "Expand", md_emit_number(&b->e, t->dtype, 0),
                       md_emit_ints(&b->e, dim, t->rank));
    x = md_emit_op(&b->e, "Concat", (md_value_id[]){ x, rest }, 2,
                   EMIT_ATTRS(EMIT_I("axis", 0)));
    return md_emit_op(&b->e, "Slice",
                      (md_value_id[]){ x, md_emit_ints(&b->e, &zero, 1),
                                       md_emit_ints(&b->e, &n, 1),
                                       md_emit_ints(&b->e, &zero, 1) },
                      4, NULL);
}

/* How many there are, as int32. */
static md_value_id length(md_tfl_build *b, md_value_id x)
{
    x = md_emit_op(&b->e, "Shape", &x, 1,
                   EMIT_ATTRS(EMIT_I("start", 0), EMIT_I("end", 1)));
    return md_emit_cast(&b->e, md_emit_reshape(&b->e, x, NULL, 0),
                        MD_DTYPE_I32);
}

static md_value_id suppress(md_tfl_build *b, md_value_id boxes,
                            md_value_id scores, md_value_id n, md_value_id iou,
                            md_value_id threshold)
{
    return md_emit_op(&b->e, "NonMaxSuppression",
                      (md_value_id[]){ boxes, scores, n, iou, threshold }, 5,
                      NULL);
}

/* boxes [n, 4], scores [n], count, IoU and score thresholds[, sigma]; selected
 * indices[, scores], how many. */
void md_tfl_emit_nms(md_tfl_build *b)
{
    bool soft = b->op->n_in > 5;
    md_value_id scores = md_tfl_x(b, 1);
    double sigma = 0;
    int64_t n = 0;
    uint32_t got = 0;
    md_value_id at;

    if (!md_tfl_read_ints(b, 2, &n, 1, &got) || got != 1 ||
        (soft && !md_tfl_read_float(b, 5, &sigma)))
        return;
    if (n < 0 || n > COUNT_MAX || sigma != 0) {
        md_emit_fail(&b->e, MD_UNSUPPORTED, "%lld boxes, sigma %g",
                     (long long)n, sigma);
        return;
    }
    at = md_emit_unsqueeze(&b->e, md_emit_unsqueeze(&b->e, scores, 0), 0);
    at = suppress(b, md_emit_unsqueeze(&b->e, md_tfl_x(b, 0), 0), at,
                  md_emit_ints(&b->e, &n, 1),
                  md_emit_reshape(&b->e, md_tfl_x(b, 3), NULL, 0),
                  md_emit_reshape(&b->e, md_tfl_x(b, 4), NULL, 0));
    at = column(b, at, 2);
    md_tfl_set(b, 0, pad_to(b, at, n), MD_TFL_LAST);
    if (soft)
        md_tfl_set(b, 1, pad_to(b, gather(b, scores, at, 0), n), MD_TFL_LAST);
    md_tfl_set(b, soft ? 2 : 1, length(b, at), MD_TFL_LAST);
}

/* --- TFLite_Detection_PostProcess --- */

static double option(const md_tfl_build *b, const char *key, double otherwise)
{
    const md_fb_vector *v = &b->op->custom_options;
    double x;

    return md_flexbuf_number(&x, md_fb_vec_bytes(v), v->n, key) ? x : otherwise;
}

/* Centres and sizes relative to anchors: corners [n, 4]. */
static md_value_id decode(md_tfl_build *b)
{
    md_value_id x = md_emit_squeeze(&b->e, md_tfl_x(b, 0), 0);
    md_value_id anchors = md_tfl_x(b, 2);
    md_value_id low[2], high[2];

    for (int i = 0; i < 2; i++) { /* y, x */
        md_value_id at = part(b, anchors, i, i + 1);
        md_value_id size = part(b, anchors, i + 2, i + 3);
        double by = option(b, i == 0 ? "y_scale" : "x_scale", 1);
        double size_by = option(b, i == 0 ? "h_scale" : "w_scale", 1);
        md_value_id centre = md_emit_op2(&b->e, "Mul", part(b, x, i, i + 1),
                                         md_emit_float(&b->e, 1 / by));
        md_value_id half = md_emit_op2(&b->e, "Mul", part(b, x, i + 2, i + 3),
                                       md_emit_float(&b->e, 1 / size_by));

        centre = md_emit_op2(&b->e, "Add",
                             md_emit_op2(&b->e, "Mul", centre, size), at);
        half = md_emit_op2(&b->e, "Mul", md_emit_op1(&b->e, "Exp", half), size);
        half = md_emit_op2(&b->e, "Mul", half, md_emit_float(&b->e, 0.5));
        low[i] = md_emit_op2(&b->e, "Sub", centre, half);
        high[i] = md_emit_op2(&b->e, "Add", centre, half);
    }
    return md_emit_op(&b->e, "Concat",
                      (md_value_id[]){ low[0], low[1], high[0], high[1] }, 4,
                      EMIT_ATTRS(EMIT_I("axis", -1)));
}

static void set_detections(md_tfl_build *b, md_value_id boxes,
                           md_value_id classes, md_value_id scores,
                           md_value_id n)
{
    classes = md_emit_cast(&b->e, classes, MD_DTYPE_F32);
    md_tfl_set(b, 0, md_emit_unsqueeze(&b->e, boxes, 0), MD_TFL_LAST);
    md_tfl_set(b, 1, md_emit_unsqueeze(&b->e, classes, 0), MD_TFL_LAST);
    md_tfl_set(b, 2, md_emit_unsqueeze(&b->e, scores, 0), MD_TFL_LAST);
    n = md_emit_cast(&b->e, n, MD_DTYPE_F32);
    md_tfl_set(b, 3, md_emit_reshape(&b->e, n, (const int64_t[]){ 1 }, 1),
               MD_TFL_LAST);
}

/* Each box by its best class; those suppress each other whatever they are. */
static void detect_fast(md_tfl_build *b, md_value_id boxes, md_value_id scores,
                        int64_t max, md_value_id iou, md_value_id threshold)
{
    static const int64_t last = -1;
    md_value_id best =
        md_emit_op(&b->e, "ReduceMax",
                   (md_value_id[]){ scores, md_emit_ints(&b->e, &last, 1) }, 2,
                   EMIT_ATTRS(EMIT_I("keepdims", 0)));
    md_value_id classes =
        md_emit_op(&b->e, "ArgMax", &scores, 1,
                   EMIT_ATTRS(EMIT_I("axis", -1), EMIT_I("keepdims", 0)));
    md_value_id at =
        md_emit_unsqueeze(&b->e, md_emit_unsqueeze(&b->e, best, 0), 0);

    at = suppress(b, md_emit_unsqueeze(&b->e, boxes, 0), at,
                  md_emit_ints(&b->e, &max, 1), iou, threshold);
    at = column(b, at, 2);
    set_detections(b, pad_to(b, gather(b, boxes, at, 0), max),
                   pad_to(b, gather(b, classes, at, 0), max),
                   pad_to(b, gather(b, best, at, 0), max), length(b, at));
}

/* Each class for itself, then the best of all. */
static void detect_by_class(md_tfl_build *b, md_value_id boxes,
                            md_value_id scores, int64_t max, md_value_id iou,
                            md_value_id threshold)
{
    int64_t each = (int64_t)option(b, "detections_per_class", 100);
    md_value_id by_class =
        md_emit_transpose(&b->e, scores, (const int64_t[]){ 1, 0 }, 2);
    md_value_id picked =
        suppress(b, md_emit_unsqueeze(&b->e, boxes, 0),
                 md_emit_unsqueeze(&b->e, by_class, 0),
                 md_emit_ints(&b->e, &each, 1), iou, threshold);
    md_value_id classes = column(b, picked, 1);
    md_value_id at = column(b, picked, 2);
    md_value_id pairs = part(b, picked, 1, 3);
    md_value_id found = md_emit_op2(&b->e, "GatherND", by_class, pairs);
    md_value_id n = length(b, at);
    md_value_id top[2];
    md_value_id all[3] = { gather(b, boxes, at, 0), classes, found };

    /* Zeros behind them, so that there are enough to choose from. */
    for (int i = 0; i < 3; i++) {
        const md_type *t = md_emit_type(&b->e, all[i]);
        int64_t dim[] = { max, 4 };

        all[i] = md_emit_op(
            &b->e, "Concat",
            (md_value_id[]){ all[i],
                             md_emit_op2(&b->e, "Expand",
                                         md_emit_number(&b->e, t->dtype, 0),
                                         md_emit_ints(&b->e, dim, t->rank)) },
            2, EMIT_ATTRS(EMIT_I("axis", 0)));
    }
    md_emit_op_n(&b->e, top, 2, "TopK",
                 (md_value_id[]){ all[2], md_emit_ints(&b->e, &max, 1) }, 2,
                 NULL);
    n = md_emit_op2(&b->e, "Min", n,
                    md_emit_number(&b->e, MD_DTYPE_I32, (double)max));
    set_detections(b, gather(b, all[0], top[1], 0),
                   gather(b, all[1], top[1], 0), top[0], n);
}

void md_tfl_emit_custom_detection(md_tfl_build *b)
{
    const md_tfl_value *v = md_tfl_in(b, 1);
    int64_t given = v ? md_tfl_size(b, v, 2) : -1;
    int64_t n = (int64_t)option(b, "num_classes", (double)given);
    int64_t max = (int64_t)option(b, "max_detections", 10);
    double each = option(b, "max_classes_per_detection", 1);
    md_value_id iou = md_emit_float(&b->e, option(b, "nms_iou_threshold", 0.6));
    md_value_id threshold =
        md_emit_float(&b->e, option(b, "nms_score_threshold", 0));
    md_value_id scores;
    md_value_id boxes;

    if (!v || md_tfl_rank(b, v) != 3 || md_tfl_size(b, v, 0) != 1 || n < 1 ||
        given < n || max < 1 || max > COUNT_MAX) {
        md_emit_fail(&b->e, MD_UNSUPPORTED,
                     "%lld of %lld classes, %lld detections", (long long)n,
                     (long long)given, (long long)max);
        return;
    }
    boxes = decode(b);
    /* The background comes first. */
    scores =
        part(b, md_emit_squeeze(&b->e, md_tfl_x(b, 1), 0), given - n, given);
    if (option(b, "use_regular_nms", 0) != 0)
        detect_by_class(b, boxes, scores, max, iou, threshold);
    else if (each == 1)
        detect_fast(b, boxes, scores, max, iou, threshold);
    else
        md_emit_fail(&b->e, MD_UNSUPPORTED, "%g classes per detection", each);
}
