/*
 * The boxes with the highest scores that do not overlap one another too much,
 * for each class of each batch element.
 *
 * Workload: a detector's 8400 boxes and 80 classes, of which nearly all scores
 * are below the threshold.
 */
#include <math.h>
#include <string.h>

#include "ops/common/util.h"

enum { /* inputs */
    IN_BOXES,
    IN_SCORES,
    IN_MOST,
    IN_IOU,
    IN_SCORE
};

/* --- inference --------------------------------------------------------- */

static md_status check_scalars(const md_infer *c, md_error *err)
{
    static const char *const what[] = { "max_output_boxes_per_class",
                                        "iou_threshold", "score_threshold" };

    for (uint32_t i = IN_MOST; i <= IN_SCORE; i++) {
        MD_TRY(md_infer__may(c, i, i == IN_MOST ? MD_T(I64) : MD_T(F32), err));
        if (md_infer_has(c, i))
            MD_TRY(md_infer__length(c, c->in[i], MD_DIM(1), what[i - IN_MOST],
                                    err));
    }
    if (md_infer_has(c, IN_IOU) && c->cin[IN_IOU]) {
        double v = md_tensor_get_f64(c->cin[IN_IOU], 0);

        if (!(v >= 0.0 && v <= 1.0))
            return md_fail(err, MD_INVALID,
                           "iou_threshold is %g, 0 to 1 expected", v);
    }
    return MD_OK;
}

static md_status infer(const md_infer *c, md_error *err)
{
    md_type t = { .dtype = MD_DTYPE_I64, .has_rank = true, .rank = 2 };
    const md_type *boxes = c->in[IN_BOXES], *scores = c->in[IN_SCORES];

    MD_TRY(md_infer__need(c, IN_BOXES, MD_T(F32), err));
    MD_TRY(md_infer__need(c, IN_SCORES, MD_T(F32), err));
    MD_TRY(md_infer__rank(c, IN_BOXES, 3, 3, err));
    MD_TRY(md_infer__rank(c, IN_SCORES, 3, 3, err));
    if (boxes->has_rank)
        MD_TRY(md_infer__must_equal(c, boxes->dim[2], MD_DIM(4),
                                    "the boxes' last axis", err));
    if (boxes->has_rank && scores->has_rank) {
        MD_TRY(md_infer__must_equal(c, scores->dim[0], boxes->dim[0],
                                    "the scores' batch", err));
        MD_TRY(md_infer__must_equal(c, scores->dim[2], boxes->dim[1],
                                    "the number of scores", err));
    }
    MD_TRY(check_scalars(c, err));
    MD_TRY(md_infer__fresh(c, &t.dim[0], err));
    t.dim[1] = MD_DIM(3);
    md_infer__give(c, 0, &t);
    return MD_OK;
}

/* --- execution --------------------------------------------------------- */

typedef struct box {
    float x0, y0, x1, y1, area;
} box;

typedef struct suppression {
    int64_t n_batch, n_classes, n_boxes;
    int64_t limit;       /* selected boxes of a class, at most */
    const float *scores; /* [n_batch, n_classes, n_boxes] */
    bool has_score_threshold;
    float score_threshold, iou_threshold;
    box *boxes;        /* [n_batch, n_boxes] */
    int32_t *selected; /* [n_batch * n_classes, limit] */
    int64_t *n;        /* of each class, selected */
    uint64_t *heaps;   /* n_boxes for each thread */
} suppression;

static box read_box(const float *v, bool center)
{
    box b;

    if (center) {
        float half_w = v[2] / 2, half_h = v[3] / 2;

        b = (box){ .x0 = v[0] - half_w,
                   .x1 = v[0] + half_w,
                   .y0 = v[1] - half_h,
                   .y1 = v[1] + half_h };
    } else {
        b = (box){ .x0 = fminf(v[1], v[3]),
                   .x1 = fmaxf(v[1], v[3]),
                   .y0 = fminf(v[0], v[2]),
                   .y1 = fmaxf(v[0], v[2]) };
    }
    b.area = (b.x1 - b.x0) * (b.y1 - b.y0);
    return b;
}

/* Boxes without an area overlap nothing. */
static bool overlap(const box *a, const box *b, float threshold)
{
    float x0 = a->x0 > b->x0 ? a->x0 : b->x0;
    float x1 = a->x1 < b->x1 ? a->x1 : b->x1;
    float y0 = a->y0 > b->y0 ? a->y0 : b->y0;
    float y1 = a->y1 < b->y1 ? a->y1 : b->y1;
    float both, either;

    if (!(x1 > x0) || !(y1 > y0))
        return false;
    both = (x1 - x0) * (y1 - y0);
    either = a->area + b->area - both;
    return both > 0 && a->area > 0 && b->area > 0 && either > 0 &&
           both / either > threshold;
}

/* One number for score and index, that is larger for a higher score and, of
 * equal ones, for a lower index.  Adding 0 makes one zero of two. */
static uint64_t key_of(float score, int64_t i)
{
    uint32_t bits;

    score += 0.0f;
    memcpy(&bits, &score, sizeof(bits));
    bits ^= bits >> 31 ? UINT32_MAX : UINT32_C(1) << 31;
    return (uint64_t)bits << 32 | (UINT32_MAX - (uint32_t)i);
}

static void sink(uint64_t *heap, int64_t n, int64_t i)
{
    uint64_t key = heap[i];

    for (int64_t child = 2 * i + 1; child < n; child = 2 * i + 1) {
        child += child + 1 < n && heap[child + 1] > heap[child];
        if (heap[child] <= key)
            break;
        heap[i] = heap[child];
        i = child;
    }
    heap[i] = key;
}

/* A NaN is no score. */
static int64_t collect(const suppression *s, const float *scores,
                       uint64_t *heap)
{
    int64_t n = 0;

    for (int64_t i = 0; i < s->n_boxes; i++) {
        if (s->has_score_threshold ? scores[i] > s->score_threshold
                                   : !isnan(scores[i]))
            heap[n++] = key_of(scores[i], i);
    }
    for (int64_t i = n / 2; i-- > 0;)
        sink(heap, n, i);
    return n;
}

/* Class `chunk` of all. */
static void select_class(void *ctx, int64_t chunk, int worker)
{
    const suppression *s = ctx;
    const box *boxes = s->boxes + chunk / s->n_classes * s->n_boxes;
    uint64_t *heap = s->heaps + worker * s->n_boxes;
    int32_t *selected = s->selected + chunk * s->limit;
    int64_t n = collect(s, s->scores + chunk * s->n_boxes, heap), k = 0;

    while (n > 0 && k < s->limit) {
        int64_t i = (int64_t)(UINT32_MAX - (uint32_t)heap[0]), j = 0;

        while (j < k &&
               !overlap(&boxes[i], &boxes[selected[j]], s->iou_threshold))
            j++;
        if (j == k)
            selected[k++] = (int32_t)i;
        heap[0] = heap[--n];
        sink(heap, n, 0);
    }
    s->n[chunk] = k;
}

static md_status prepare(suppression *s, const md_exec *x, md_arena *ar,
                         md_error *err)
{
    const md_shape *scores = &x->in[IN_SCORES]->shape;
    bool center = md_node_attr_i(x->node, "center_point_box", 0) != 0;
    const float *boxes = x->in[IN_BOXES]->data;
    int64_t classes, most = 0;

    if (md_exec_has(x, IN_MOST))
        most = md_max_i64(0, md_tensor_get_i64(x->in[IN_MOST], 0));
    *s = (suppression){ .n_batch = scores->dim[0],
                        .n_classes = scores->dim[1],
                        .n_boxes = scores->dim[2],
                        .scores = x->in[IN_SCORES]->data };
    if (s->n_boxes > INT32_MAX)
        return md_fail(err, MD_UNSUPPORTED, "%lld boxes, at most %d expected",
                       (long long)s->n_boxes, INT32_MAX);
    s->limit = md_min_i64(most, s->n_boxes);
    s->has_score_threshold = md_exec_has(x, IN_SCORE);
    s->score_threshold = (float)md_exec__scalar(x, IN_SCORE, 0.0);
    s->iou_threshold = (float)md_exec__scalar(x, IN_IOU, 0.0);
    classes = s->limit > 0 ? s->n_batch * s->n_classes : 0;
    MD_TRY(md_exec__scratch(&s->n, ar, classes, sizeof(*s->n), err));
    MD_TRY(md_exec__scratch(&s->selected, ar, classes * s->limit,
                            sizeof(*s->selected), err));
    MD_TRY(md_exec__scratch(&s->heaps, ar, md_pool_width(x->pool) * s->n_boxes,
                            sizeof(*s->heaps), err));
    MD_TRY(md_exec__scratch(&s->boxes, ar, s->n_batch * s->n_boxes,
                            sizeof(*s->boxes), err));
    for (int64_t i = 0; classes > 0 && i < s->n_batch * s->n_boxes; i++)
        s->boxes[i] = read_box(boxes + 4 * i, center);
    if (classes > 0)
        md_pool_run(x->pool, MD_POOL_WIDTH_MAX, classes, select_class, s);
    return MD_OK;
}

static md_status give(md_exec *x, const suppression *s, md_error *err)
{
    int64_t classes = s->limit > 0 ? s->n_batch * s->n_classes : 0, *to;
    md_shape shape = { 2, { 0, 3 } };
    md_tensor *out;

    for (int64_t i = 0; i < classes; i++)
        shape.dim[0] += s->n[i];
    MD_TRY(md_exec_output(x, 0, MD_DTYPE_I64, &shape, &out, err));
    if (!out)
        return MD_OK;
    to = out->data;
    for (int64_t i = 0; i < classes; i++) {
        for (int64_t k = 0; k < s->n[i]; k++) {
            *to++ = i / s->n_classes;
            *to++ = i % s->n_classes;
            *to++ = s->selected[i * s->limit + k];
        }
    }
    return MD_OK;
}

static md_status compute(md_exec *x, const md_infer *c, md_arena *ar,
                         md_error *err)
{
    suppression s;

    (void)c;
    MD_TRY(prepare(&s, x, ar, err));
    return give(x, &s, err);
}

static md_status run(md_exec *x, md_error *err)
{
    return md_exec__open(x, infer, compute, err);
}

const md_op md_op_non_max_suppression = {
    .domain = "",
    .name = "NonMaxSuppression",
    .since = 10,
    .in_min = 2,
    .in_max = 5,
    .out_min = 1,
    .out_max = 1,
    .flags = MD_OP_SYMBOLIC,
    .infer = infer,
    .run = run,
};
