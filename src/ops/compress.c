/* The slices (or, without axis, the elements) where the condition holds; a
 * condition that is too short says nothing of the rest. */
#include <string.h>

#include "ops/common/util.h"
#include "ops/grad.h"

static md_status infer(const md_infer *c, md_error *err)
{
    const md_attr *attr = md_node_attr(c->node, "axis");
    const md_type *in = c->in[0];
    md_type t = { 0 };
    md_dim n;
    int axis = 0;

    MD_TRY(md_infer__need(c, 0, MD_TYPES_ANY, err));
    MD_TRY(md_infer__need(c, 1, MD_T(BOOL), err));
    MD_TRY(md_infer__rank(c, 0, 1, MD_RANK_MAX, err));
    MD_TRY(md_infer__rank(c, 1, 1, 1, err));
    t.dtype = in->dtype;
    if (in->has_rank && attr)
        MD_TRY(md_axis_normalize(&axis, md_node_attr_i(c->node, "axis", 0),
                                 in->rank, err));
    MD_TRY(md_infer__fresh(c, &n, err));
    if (c->cin[1] && in->has_rank) {
        int64_t limit = md_tensor_n(c->cin[1]), kept = 0;
        md_dim all = in->dim[axis];

        if (!attr)
            MD_TRY(md_dim__span(c, &all, in, 0, in->rank, err));
        if (md_dim_is_const(all)) {
            const uint8_t *given = c->cin[1]->data;

            for (int64_t i = 0; i < limit && i < all.k; i++)
                kept += given[i] != 0;
            n = MD_DIM(kept);
        }
    }
    if (!attr) {
        t.has_rank = true;
        t.rank = 1;
        t.dim[0] = n;
    } else if (in->has_rank) {
        t = *in;
        t.dim[axis] = n;
    }
    md_infer__give(c, 0, &t);
    return MD_OK;
}

/* Rows of `inner` elements at indices at[n] of each of `outer` blocks. */
typedef struct job {
    md_tensor *out;
    const md_tensor *in;
    const int64_t *at;
    int64_t n, inner, size; /* rows kept, of how many */
} job;

/* Rows [from, to) of the result. */
static void copy_part(void *ctx, int64_t from, int64_t to)
{
    const job *j = ctx;
    const size_t row = (size_t)j->inner * md_dtype_bits(j->out->dtype) / 8;

    int64_t block = from / j->n, k = from % j->n;

    for (int64_t i = from, n; i < to; i += n, k += n) {
        if (k == j->n) {
            k = 0;
            block++;
        }
        for (n = 1; i + n < to && k + n < j->n && j->at[k + n] == j->at[k] + n;)
            n++; /* rows that lie side by side */
        memcpy((char *)j->out->data + (size_t)i * row,
               (const char *)j->in->data +
                   (size_t)(block * j->size + j->at[k]) * row,
               (size_t)n * row);
    }
}

/* The same of elements that share bytes: n rows. */
static void copy_packed(const job *j, int64_t n)
{
    md_place y = { .t = j->out, .stride = { 1 } };
    md_place x = { .t = (md_tensor *)j->in, .stride = { 1 } };

    for (int64_t i = 0; i < n; i++) {
        y.at = i * j->inner;
        x.at = (i / j->n * j->size + j->at[i % j->n]) * j->inner;
        md_move(&y, &x, &(md_shape){ 1, { j->inner } });
    }
}

/* Indices below n where the condition holds. */
static md_status find_kept(job *j, const md_tensor *condition, int64_t n,
                           md_arena *ar, md_error *err)
{
    const uint8_t *c = condition->data;
    int64_t *at, kept = 0;

    n = md_min_i64(n, md_tensor_n(condition));
    MD_TRY(md_exec__scratch(&at, ar, n, sizeof(*at), err));
    for (int64_t i = 0; i < n; i++) { /* no branch, which nobody foresees */
        at[kept] = i;
        kept += c[i] != 0;
    }
    j->at = at;
    j->n = kept;
    return MD_OK;
}

static md_status compute(md_exec *x, md_tensor *out, md_arena *ar,
                         md_error *err)
{
    const md_shape *s = &x->in[0]->shape;
    bool flat = md_node_attr(x->node, "axis") == NULL;
    job j = { .out = out, .in = x->in[0], .inner = 1, .size = md_shape_n(s) };
    unsigned bits = md_dtype_bits(out->dtype);
    int64_t outer = 1;
    int axis;

    if (!flat) {
        MD_TRY(md_axis_normalize(&axis, md_node_attr_i(x->node, "axis", 0),
                                 s->rank, err));
        j.size = s->dim[axis];
        outer = md_shape_span(s, 0, axis);
        j.inner = md_shape_span(s, axis + 1, s->rank);
    }
    MD_TRY(find_kept(&j, x->in[1], j.size, ar, err));
    if (bits < 8)
        copy_packed(&j, outer * j.n);
    else
        md_exec__share(x, outer * j.n, 8.0 + (double)(j.inner * bits) / 64.0,
                       copy_part, &j);
    return MD_OK;
}

static md_status run(md_exec *x, md_error *err)
{
    return md_exec__single(x, infer, compute, err);
}

const md_op md_op_compress = {
    .domain = "",
    .name = "Compress",
    .since = 9,
    .in_min = 2,
    .in_max = 2,
    .out_min = 1,
    .out_max = 1,
    .flags = MD_OP_SYMBOLIC,
    .infer = infer,
    .run = run,
    .grad = md_grad_moved,
};
