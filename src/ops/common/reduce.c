#include "ops/common/reduce.h"

/* The reduced axes as bits.  *known is false when they are not known. */
static md_status find_axes(uint32_t *bits, bool *known, const md_infer *c,
                           const md_reduce *r, md_error *err)
{
    int rank = c->in[0]->rank;
    md_ints axes;

    MD_TRY(md_infer__moved_ints(c, "axes", r->axes_input, 1, &axes, err));
    *known = axes.known;
    *bits = 0;
    if (!axes.known)
        return MD_OK;
    if (axes.n == 0) {
        if (!md_node_attr_i(c->node, "noop_with_empty_axes", 0))
            *bits = (UINT32_C(1) << rank) - 1;
        return MD_OK;
    }
    MD_TRY(md_infer__axes(&axes, rank, err));
    for (int i = 0; i < axes.n; i++)
        *bits |= UINT32_C(1) << axes.v[i];
    return MD_OK;
}

md_status md_reduce__infer(const md_infer *c, const md_reduce *r, md_error *err)
{
    bool keep = md_node_attr_i(c->node, "keepdims", 1) != 0;
    const md_type *in = c->in[0];
    md_type t = { 0 };
    uint32_t bits = 0;
    bool known;

    MD_TRY(md_infer__need(c, 0, r->types, err));
    t.dtype = in->dtype;
    if (!in->has_rank) {
        md_infer__give(c, 0, &t);
        return MD_OK;
    }
    MD_TRY(find_axes(&bits, &known, c, r, err));
    if (known || keep)
        t.has_rank = true;
    for (int i = 0; t.has_rank && i < in->rank; i++) {
        if (!known)
            MD_TRY(md_infer__fresh(c, &t.dim[t.rank++], err));
        else if (!(bits >> i & 1))
            t.dim[t.rank++] = in->dim[i];
        else if (keep)
            t.dim[t.rank++] = MD_DIM(1);
    }
    md_infer__give(c, 0, &t);
    return MD_OK;
}

/* Shapes and strides of the kept and of the reduced axes. */
typedef struct parts {
    md_shape kept, gone;
    int64_t kept_stride[MD_RANK_MAX], gone_stride[MD_RANK_MAX];
} parts;

static void split_axes(parts *p, const md_shape *in, uint32_t bits)
{
    int64_t stride[MD_RANK_MAX];

    *p = (parts){ 0 };
    md_shape_strides(stride, in);
    for (int i = 0; i < in->rank; i++) {
        bool gone = bits >> i & 1;
        md_shape *s = gone ? &p->gone : &p->kept;

        (gone ? p->gone_stride : p->kept_stride)[s->rank] = stride[i];
        s->dim[s->rank++] = in->dim[i];
    }
}

static int64_t offset(const int64_t *index, const int64_t *stride, int rank)
{
    int64_t at = 0;

    for (int i = 0; i < rank; i++)
        at += index[i] * stride[i];
    return at;
}

static void reduce_f64(const md_reduce *r, const parts *p, md_tensor *out,
                       int64_t o, const md_tensor *in, int64_t base)
{
    int64_t index[MD_RANK_MAX] = { 0 }, n = md_shape_n(&p->gone);
    double acc = r->start;

    for (int64_t i = 0; i < n; i++) {
        double v;

        md_load_f64(&v, in, base + offset(index, p->gone_stride, p->gone.rank),
                    1);
        acc = r->step(acc, v);
        (void)md_step_index(index, p->gone.dim, p->gone.rank);
    }
    md_tensor_set_f64(out, o, r->finish ? r->finish(acc, n) : acc);
}

static void reduce_i64(const md_reduce *r, const parts *p, md_tensor *out,
                       int64_t o, const md_tensor *in, int64_t base)
{
    int64_t index[MD_RANK_MAX] = { 0 }, n = md_shape_n(&p->gone);
    int64_t acc = r->start_of ? r->start_of(in->dtype) : r->start_int;
    bool wide = r->step_u64 && in->dtype == MD_DTYPE_U64;

    for (int64_t i = 0; i < n; i++) {
        int64_t v = md_tensor_get_i64(
            in, base + offset(index, p->gone_stride, p->gone.rank));

        acc = wide ? (int64_t)r->step_u64((uint64_t)acc, (uint64_t)v)
                   : r->step_int(acc, v);
        (void)md_step_index(index, p->gone.dim, p->gone.rank);
    }
    md_tensor_set_i64(out, o, acc);
}

md_status md_reduce__compute(md_exec *x, const md_reduce *r, md_tensor *out,
                             md_arena *ar, md_error *err)
{
    bool ints = r->step_int && !md_dtype_is_float(out->dtype);
    int64_t index[MD_RANK_MAX] = { 0 }, n = md_tensor_n(out);
    uint32_t bits;
    md_infer c;
    bool known;
    parts p;

    MD_TRY(md_exec__infer_view(x, &c, ar, err));
    MD_TRY(find_axes(&bits, &known, &c, r, err));
    split_axes(&p, &x->in[0]->shape, bits);
    for (int64_t o = 0; o < n; o++) {
        int64_t base = offset(index, p.kept_stride, p.kept.rank);

        (ints ? reduce_i64 : reduce_f64)(r, &p, out, o, x->in[0], base);
        (void)md_step_index(index, p.kept.dim, p.kept.rank);
    }
    return MD_OK;
}

md_status md_reduce__run(md_exec *x, const md_reduce *r, md_infer_fn *infer,
                         md_error *err)
{
    md_tensor *out;
    md_arena ar;
    md_status s;

    MD_TRY(md_exec__outputs(x, infer, &out, 1, err));
    if (!out)
        return MD_OK;
    md_arena_init(&ar, x->alloc, 0);
    s = md_reduce__compute(x, r, out, &ar, err);
    md_arena_release(&ar);
    return s;
}
