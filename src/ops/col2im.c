/* Columns of blocks added into the image that they overlap in. */
#include "kernels/vbinary.h"
#include "ops/common/util.h"

typedef struct blocks {
    int n; /* spatial axes */
    md_ints image, block, stride, dilation, pad;
    int64_t count[MD_RANK_MAX]; /* blocks along each axis */
} blocks;

/* An attribute of n positive values, or ones. */
static md_status read_list(const md_infer *c, const char *name, int n,
                           int64_t least, md_ints *out, md_error *err)
{
    MD_TRY(md_infer__attr_ints(c->node, name, out, err));
    if (out->given && out->n != n)
        return md_fail(err, MD_INVALID, "%s has %d values, %d expected", name,
                       out->n, n);
    for (int i = 0; i < n; i++) {
        if (!out->given)
            out->v[i] = least;
        if (out->v[i] < least || out->v[i] > INT32_MAX)
            return md_fail(err, MD_INVALID, "%s has the value %lld", name,
                           (long long)out->v[i]);
    }
    return MD_OK;
}

/* All but the counts; *known is false when an input's contents are not. */
static md_status read_blocks(const md_infer *c, blocks *b, bool *known,
                             md_error *err)
{
    MD_TRY(md_infer__shape_input(c, 1, &b->image, err));
    MD_TRY(md_infer__shape_input(c, 2, &b->block, err));
    b->n = b->image.n >= 0 ? b->image.n : b->block.n;
    *known = b->image.known && b->block.known;
    if (b->n < 0)
        return MD_OK;
    if (b->n < 1 || b->n > MD_RANK_MAX - 2 ||
        (b->image.n >= 0 && b->block.n >= 0 && b->image.n != b->block.n))
        return md_fail(err, MD_INVALID,
                       "image_shape has %d values and block_shape %d, as many "
                       "expected, 1 to %d",
                       b->image.n, b->block.n, MD_RANK_MAX - 2);
    MD_TRY(read_list(c, "strides", b->n, 1, &b->stride, err));
    MD_TRY(read_list(c, "dilations", b->n, 1, &b->dilation, err));
    return read_list(c, "pads", 2 * b->n, 0, &b->pad, err);
}

/* The counts, checked against the input. */
static md_status count_blocks(const md_infer *c, blocks *b, md_dim *channels,
                              md_error *err)
{
    int64_t all = 1, size = 1;

    for (int i = 0; i < b->n; i++) {
        int64_t room = b->image.v[i], span;

        if (b->block.v[i] < 1 || b->block.v[i] > INT32_MAX || room > INT32_MAX)
            return md_fail(err, MD_INVALID, "axis %d: a block of %lld in %lld",
                           i, (long long)b->block.v[i], (long long)room);
        span = (b->block.v[i] - 1) * b->dilation.v[i] + 1;
        room += b->pad.v[i] + b->pad.v[b->n + i] - span;
        if (room < 0)
            return md_fail(err, MD_INVALID,
                           "axis %d: a block of %lld does not fit", i,
                           (long long)span);
        b->count[i] = room / b->stride.v[i] + 1;
        if (!md_mul_i64(&all, all, b->count[i]) ||
            !md_mul_i64(&size, size, b->block.v[i]))
            return md_fail(err, MD_TOO_LARGE, "the number of blocks overflows");
    }
    if (!c->in[0]->has_rank)
        return MD_OK;
    MD_TRY(md_infer__must_equal(c, c->in[0]->dim[2], MD_DIM(all),
                                "the number of columns", err));
    if (!md_dim_is_const(c->in[0]->dim[1]))
        return MD_OK;
    if (c->in[0]->dim[1].k % size)
        return md_fail(err, MD_INVALID,
                       "%lld rows do not divide by blocks of %lld",
                       (long long)c->in[0]->dim[1].k, (long long)size);
    *channels = MD_DIM(c->in[0]->dim[1].k / size);
    return MD_OK;
}

static md_status infer(const md_infer *c, md_error *err)
{
    md_type t = { 0 };
    blocks b;
    bool known;

    MD_TRY(md_infer__need(c, 0, MD_TYPES_NUMBER, err));
    MD_TRY(md_infer__need(c, 1, MD_T(I64), err));
    MD_TRY(md_infer__need(c, 2, MD_T(I64), err));
    MD_TRY(md_infer__rank(c, 0, 3, 3, err));
    MD_TRY(read_blocks(c, &b, &known, err));
    t.dtype = c->in[0]->dtype;
    if (b.n >= 0) {
        MD_TRY(md_infer__fresh_type(c, &t, t.dtype, 2 + b.n, err));
        if (c->in[0]->has_rank)
            t.dim[0] = c->in[0]->dim[0];
        for (int i = 0; b.image.known && i < b.n; i++)
            t.dim[2 + i] = MD_DIM(b.image.v[i]);
        if (known)
            MD_TRY(count_blocks(c, &b, &t.dim[1], err));
    }
    md_infer__give(c, 0, &t);
    return MD_OK;
}

typedef struct job {
    const blocks *b;
    md_tensor *out;
    const md_tensor *in;
    md_vbinary_fn *add; /* NULL: one element at a time */
    int64_t size;       /* bytes of an element, of a whole number of them */
    int64_t plane;      /* elements of an image */
    int64_t taps;       /* elements of a block */
    int64_t columns;
} job;

/* out[at + i * step] += in[from + i] for i in [0, n). */
static void add_elements(const job *j, int64_t at, int64_t step, int64_t from,
                         int64_t n)
{
    const md_tensor *in = j->in;
    md_tensor *out = j->out;

    if (step == 1 && j->add) {
        char *to = (char *)out->data + at * j->size;

        j->add(to, to, (const char *)in->data + from * j->size, (size_t)n, 1);
        return;
    }
    if (out->dtype == MD_DTYPE_F32) {
        float *to = (float *)out->data + at;
        const float *v = (const float *)in->data + from;

        for (int64_t i = 0; i < n; i++)
            to[i * step] += v[i];
        return;
    }
    for (int64_t i = 0; i < n; i++, at += step) {
        if (md_dtype_is_float(out->dtype))
            md_tensor_set_f64(out, at,
                              md_tensor_get_f64(out, at) +
                                  md_tensor_get_f64(in, from + i));
        else
            md_tensor_set_i64(
                out, at,
                (int64_t)((uint64_t)md_tensor_get_i64(out, at) +
                          (uint64_t)md_tensor_get_i64(in, from + i)));
    }
}

/* The blocks [*lo, *hi) along axis i in which the tap lies in the image, and
 * where it is in block 0. */
static void find_range(const blocks *b, int i, int64_t tap, int64_t *lo,
                       int64_t *hi, int64_t *at)
{
    int64_t stride = b->stride.v[i];

    *at = tap * b->dilation.v[i] - b->pad.v[i];
    *lo = *at < 0 ? md_div_up(-*at, stride) : 0;
    *hi = md_div_up(b->image.v[i] - *at, stride);
    *hi = md_min_i64(md_max_i64(*hi, *lo), b->count[i]);
    *lo = md_min_i64(*lo, *hi);
}

/* Add what lies under one tap of all blocks to a plane: row after row, which are
 * one where rows of blocks and of the image are the same. */
static void add_tap(const job *j, int64_t plane, int64_t from,
                    const int64_t *tap)
{
    const blocks *b = j->b;
    const int last = b->n - 1, near = last - 1;
    const int64_t width = b->image.v[last], count = b->count[last];
    int64_t index[MD_RANK_MAX] = { 0 };
    int64_t lo, hi, first, top = 0, end = 1, down = 0;

    find_range(b, last, tap[last], &lo, &hi, &first);
    if (near >= 0)
        find_range(b, near, tap[near], &top, &end, &down);
    do {
        int64_t at = 0, n = hi - lo;
        bool inside = n > 0 && end > top;

        for (int i = 0; i < near; i++) {
            int64_t p = index[i] * b->stride.v[i] + tap[i] * b->dilation.v[i] -
                        b->pad.v[i];

            inside = inside && p >= 0 && p < b->image.v[i];
            at = at * b->image.v[i] + p;
        }
        if (near >= 0)
            at = at * b->image.v[near] + down;
        at = plane + at * width + first + lo * b->stride.v[last];
        if (inside && n == width && n == count && near >= 0 &&
            b->stride.v[near] == 1) {
            add_elements(j, at + top * width, 1, from + top * count,
                         (end - top) * n);
            inside = false;
        }
        for (int64_t r = top; r < end && inside; r++)
            add_elements(j,
                         at + r * (near >= 0 ? b->stride.v[near] : 0) * width,
                         b->stride.v[last], from + r * count + lo, n);
        from += (near >= 0 ? b->count[near] : 1) * count;
    } while (near > 0 && md_step_index(index, b->count, near));
}

/* Images [first, end). */
static void add_images(void *ctx, int64_t first, int64_t end)
{
    const job *j = ctx;
    for (int64_t i = first; i < end; i++) {
        int64_t tap[MD_RANK_MAX] = { 0 }, from = i * j->taps * j->columns;

        do {
            add_tap(j, i * j->plane, from, tap);
            from += j->columns;
        } while (md_step_index(tap, j->b->block.v, j->b->n));
    }
}

static md_status compute(md_exec *x, md_tensor *out, md_arena *ar,
                         md_error *err)
{
    int64_t n = out->shape.dim[0] * out->shape.dim[1];
    md_dim channels;
    md_infer c;
    blocks b;
    job j = { .b = &b,
              .out = out,
              .in = x->in[0],
              .add =
                  md_vbinary_select(x->cpu)->find(MD_VBINARY_ADD, out->dtype),
              .size = md_dtype_bits(out->dtype) / 8,
              .plane = md_shape_span(&out->shape, 2, out->shape.rank),
              .taps = x->in[0]->shape.dim[1] / out->shape.dim[1],
              .columns = x->in[0]->shape.dim[2] };
    bool known;

    MD_TRY(md_exec__infer_view(x, &c, ar, err));
    MD_TRY(read_blocks(&c, &b, &known, err));
    MD_TRY(count_blocks(&c, &b, &channels, err));
    md_exec__zero(out);
    if (md_dtype_bits(out->dtype) < 8) /* images share bytes */
        add_images(&j, 0, n);
    else
        md_exec__share(x, n,
                       10.0 + 0.2 * (double)md_tensor_n(x->in[0]) / (double)n,
                       add_images, &j);
    return MD_OK;
}

static md_status run(md_exec *x, md_error *err)
{
    return md_exec__single(x, infer, compute, err);
}

const md_op md_op_col2im = {
    .domain = "",
    .name = "Col2Im",
    .since = 18,
    .in_min = 3,
    .in_max = 3,
    .out_min = 1,
    .out_max = 1,
    .infer = infer,
    .run = run,
};
