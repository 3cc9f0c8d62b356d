/*
 * MaxPool undone: each element goes to the index that MaxPool told, 0 lies
 * between.  The indices are those of the size that follows from kernel, strides
 * and pads; a larger output_shape adds zeros behind.
 */
#include "ops/common/window.h"

enum { /* inputs */
    IN_X,
    IN_INDICES,
    IN_SHAPE
};

static md_status parse(md_window *w, const md_node *n, int axes, md_error *err)
{
    return md_window__parse(w, n, axes, NULL, err);
}

/* The size that follows from the attributes. */
static md_status find_size(const md_infer *c, md_type *t, md_error *err)
{
    const md_type *x = c->in[IN_X];
    md_window w;

    MD_TRY(parse(&w, c->node, x->rank - 2, err));
    *t = *x;
    for (int i = 0; i < w.n; i++) {
        int64_t more = w.kernel[i] - w.stride[i] - w.lo[i] - w.hi[i];

        MD_TRY(md_dim__affine(&t->dim[2 + i], x->dim[2 + i], w.stride[i], more,
                              err));
    }
    return MD_OK;
}

static md_status check_shape(const md_type *t, const md_ints *dims,
                             md_error *err)
{
    if (dims->n >= 0 && dims->n != t->rank)
        return md_fail(err, MD_INVALID,
                       "output_shape has %d sizes, %d expected", dims->n,
                       t->rank);
    for (int i = 0; dims->known && i < t->rank; i++) {
        int64_t least = t->dim[i].k;

        if (!md_dim_is_const(t->dim[i]) ||
            (i < 2 ? dims->v[i] == least : dims->v[i] >= least))
            continue;
        return md_fail(err, MD_INVALID,
                       "axis %d of output_shape is %lld, %s%lld expected", i,
                       (long long)dims->v[i], i < 2 ? "" : "at least ",
                       (long long)least);
    }
    return MD_OK;
}

static md_status infer(const md_infer *c, md_error *err)
{
    const md_type *x = c->in[IN_X], *at = c->in[IN_INDICES];
    md_type t = { .dtype = md_infer__dtype(c, IN_X) };
    md_ints dims;

    MD_TRY(md_infer__need(c, IN_X, MD_TYPES_FLOAT, err));
    MD_TRY(md_infer__need(c, IN_INDICES, MD_T(I64), err));
    MD_TRY(md_infer__may(c, IN_SHAPE, MD_T(I64), err));
    MD_TRY(md_infer__rank(c, IN_X, 3, 2 + MD_SPATIAL_MAX, err));
    if (x->has_rank) {
        MD_TRY(md_infer__rank(c, IN_INDICES, x->rank, x->rank, err));
        for (int i = 0; at->has_rank && i < x->rank; i++)
            MD_TRY(md_infer__must_equal(c, at->dim[i], x->dim[i],
                                        "a dimension of the indices", err));
        MD_TRY(find_size(c, &t, err));
    }
    MD_TRY(md_infer__shape_input(c, IN_SHAPE, &dims, err));
    if (!dims.given) {
        md_infer__give(c, 0, &t);
        return MD_OK;
    }
    if (x->has_rank)
        MD_TRY(check_shape(&t, &dims, err));
    t.has_rank = false;
    return md_infer__give_shape(c, &t, &dims, err);
}

/* Where element i of a tensor of shape `from` lies in the larger `to`. */
static int64_t move_index(int64_t i, const md_shape *from,
                          const int64_t *stride)
{
    int64_t at = 0;

    for (int d = from->rank; d-- > 0;) {
        at += i % from->dim[d] * stride[d];
        i /= from->dim[d];
    }
    return at;
}

typedef struct job {
    md_tensor *out;
    const md_tensor *in;
    const int64_t *index;
    int64_t n, total;            /* indices, and the end of them */
    md_shape size;               /* that they are of */
    int64_t stride[MD_RANK_MAX]; /* of out */
} job;

/* Returns the first of the indices that is out of range, n for none.  Floats
 * are of 2, 4 or 8 bytes. */
#define PUT(T, place)                                                          \
    do {                                                                       \
        const int64_t *index = j->index, n = j->n, total = j->total;           \
        const T *x = j->in->data;                                              \
        T *y = j->out->data;                                                   \
                                                                               \
        for (int64_t i = 0; i < n; i++) {                                      \
            const int64_t at = index[i];                                       \
                                                                               \
            if ((uint64_t)at >= (uint64_t)total)                               \
                return i;                                                      \
            y[place] = x[i];                                                   \
        }                                                                      \
        return n;                                                              \
    } while (0)

static int64_t put_same(const job *j)
{
    if (j->out->dtype == MD_DTYPE_F32)
        PUT(uint32_t, at);
    if (j->out->dtype == MD_DTYPE_F64)
        PUT(uint64_t, at);
    PUT(uint16_t, at);
}

static int64_t put_moved(const job *j)
{
    if (j->out->dtype == MD_DTYPE_F32)
        PUT(uint32_t, move_index(at, &j->size, j->stride));
    if (j->out->dtype == MD_DTYPE_F64)
        PUT(uint64_t, move_index(at, &j->size, j->stride));
    PUT(uint16_t, move_index(at, &j->size, j->stride));
}

#undef PUT

static md_status compute(md_exec *x, md_tensor *out, md_arena *ar,
                         md_error *err)
{
    job j = { .out = out,
              .in = x->in[IN_X],
              .index = x->in[IN_INDICES]->data,
              .n = md_tensor_n(x->in[IN_X]) };
    int64_t done;
    md_infer c;
    md_type t;

    MD_TRY(md_exec__infer_view(x, &c, ar, err));
    MD_TRY(find_size(&c, &t, err));
    (void)md_type_static(&t, &j.size);
    j.total = md_shape_n(&j.size);
    md_shape_strides(j.stride, &out->shape);
    md_exec__zero(out);
    done = md_shape_equal(&j.size, &out->shape) ? put_same(&j) : put_moved(&j);
    if (done < j.n)
        return md_fail(err, MD_INVALID,
                       "index %lld is out of range for %lld elements",
                       (long long)j.index[done], (long long)j.total);
    return MD_OK;
}

static md_status run(md_exec *x, md_error *err)
{
    return md_exec__single(x, infer, compute, err);
}

const md_op md_op_max_unpool = {
    .domain = "",
    .name = "MaxUnpool",
    .since = 9,
    .in_min = 2,
    .in_max = 3,
    .out_min = 1,
    .out_max = 1,
    .infer = infer,
    .run = run,
};
