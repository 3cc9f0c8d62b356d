/* Checks and results of shape inference. */
#include <string.h>

#include "base/size.h"
#include "ops/common/util.h"

static md_status check_type(const md_infer *c, uint32_t i, uint32_t types,
                            md_error *err)
{
    const md_type *t = c->in[i];

    if (t->kind != MD_KIND_TENSOR)
        return md_fail(err, MD_INVALID, "input %u is not a tensor",
                       (unsigned)i);
    if (t->dtype != MD_DTYPE_NONE && !(types >> t->dtype & 1))
        return md_fail(err, MD_INVALID,
                       "input %u has element type %s, which "
                       "%s does not take",
                       (unsigned)i, md_dtype_name(t->dtype), c->node->op);
    return MD_OK;
}

md_status md_infer__need(const md_infer *c, uint32_t i, uint32_t types,
                         md_error *err)
{
    if (!md_infer_has(c, i))
        return md_fail(err, MD_INVALID, "input %u of %s is missing",
                       (unsigned)i, c->node->op);
    return check_type(c, i, types, err);
}

md_status md_infer__may(const md_infer *c, uint32_t i, uint32_t types,
                        md_error *err)
{
    return md_infer_has(c, i) ? check_type(c, i, types, err) : MD_OK;
}

md_dtype md_infer__dtype(const md_infer *c, uint32_t i)
{
    return md_infer_has(c, i) ? c->in[i]->dtype : MD_DTYPE_NONE;
}

md_status md_infer__one_dtype(uint32_t i, md_dtype a, uint32_t j, md_dtype b,
                              md_error *err)
{
    if (a == b || a == MD_DTYPE_NONE || b == MD_DTYPE_NONE)
        return MD_OK;
    return md_fail(err, MD_INVALID,
                   "inputs %u and %u have element types %s and %s, "
                   "one type expected",
                   (unsigned)i, (unsigned)j, md_dtype_name(a),
                   md_dtype_name(b));
}

md_status md_infer__same_dtype(const md_infer *c, uint32_t i, uint32_t j,
                               md_error *err)
{
    return md_infer__one_dtype(i, md_infer__dtype(c, i), j,
                               md_infer__dtype(c, j), err);
}

md_status md_infer__rank(const md_infer *c, uint32_t i, int lo, int hi,
                         md_error *err)
{
    if (!md_infer_has(c, i) || !c->in[i]->has_rank ||
        (c->in[i]->rank >= lo && c->in[i]->rank <= hi))
        return MD_OK;
    if (lo == hi)
        return md_fail(err, MD_INVALID, "input %u has rank %d, %d expected",
                       (unsigned)i, c->in[i]->rank, lo);
    return md_fail(err, MD_INVALID, "input %u has rank %d, %d to %d expected",
                   (unsigned)i, c->in[i]->rank, lo, hi);
}

md_status md_infer__same_dim(md_dim a, md_dim b, const char *what,
                             md_error *err)
{
    if (!md_dim_is_const(a) || !md_dim_is_const(b) || a.k == b.k)
        return MD_OK;
    return md_fail(err, MD_INVALID, "%s is %lld, %lld expected", what,
                   (long long)a.k, (long long)b.k);
}

md_status md_infer__must_equal(const md_infer *c, md_dim a, md_dim b,
                               const char *what, md_error *err)
{
    md_dim unused;

    MD_TRY(md_infer__same_dim(a, b, what, err));
    return md_dim__derive(c, &unused, MD_EXPR_EQUAL, a, b, err);
}

md_status md_infer__at_least(const md_infer *c, md_dim a, md_dim b,
                             md_error *err)
{
    md_dim unused;

    return md_dim__derive(c, &unused, MD_EXPR_AT_LEAST, a, b, err);
}

md_status md_infer__spreads(const md_infer *c, md_dim part, md_dim whole,
                            md_error *err)
{
    md_dim unused, most;

    if (md_dim_equal(part, MD_DIM(1)) || md_dim_equal(part, whole))
        return MD_OK;
    MD_TRY(md_dim__derive(c, &unused, MD_EXPR_BROADCAST, part, whole, err));
    MD_TRY(md_dim__derive(c, &most, MD_EXPR_MAX, whole, MD_DIM(1), err));
    return md_infer__at_least(c, most, part, err);
}

md_status md_infer__length(const md_infer *c, const md_type *t, md_dim n,
                           const char *what, md_error *err)
{
    md_dim len = MD_DIM(1), unused;

    if (!t->has_rank)
        return MD_OK;
    if (t->rank > 1)
        return md_fail(err, MD_INVALID, "%s has rank %d, 1 expected", what,
                       t->rank);
    if (t->rank == 1)
        len = t->dim[0];
    if (md_dim_is_const(len) && md_dim_is_const(n) && len.k != n.k)
        return md_fail(err, MD_INVALID, "%s has %lld elements, %lld expected",
                       what, (long long)len.k, (long long)n.k);
    return md_dim__derive(c, &unused, MD_EXPR_EQUAL, len, n, err);
}

md_status md_infer__one_or(const md_infer *c, const md_type *t, md_dim n,
                           const char *what, md_error *err)
{
    if (t->has_rank &&
        (t->rank == 0 || (t->rank == 1 && md_dim_equal(t->dim[0], MD_DIM(1)))))
        return MD_OK;
    if (t->has_rank && t->rank == 1 && !md_dim_is_const(t->dim[0]))
        return md_infer__spreads(c, t->dim[0], n, err);
    return md_infer__length(c, t, n, what, err);
}

void md_infer__give(const md_infer *c, uint32_t o, const md_type *t)
{
    if (o < c->node->n_out)
        c->out[o] = *t;
}

void md_infer__like(const md_infer *c, uint32_t o, uint32_t i, md_dtype dtype)
{
    md_type t = *c->in[i];

    t.dtype = dtype;
    md_infer__give(c, o, &t);
}

md_status md_infer__fresh(const md_infer *c, md_dim *out, md_error *err)
{
    uint32_t sym = UINT32_MAX; /* without a model any symbol will do */

    if (c->model)
        MD_TRY(md_model_symbol(&sym, c->model, NULL, err));
    *out = (md_dim){ .scale = 1, .sym = sym };
    return MD_OK;
}

md_status md_infer__fresh_type(const md_infer *c, md_type *out, md_dtype dtype,
                               int rank, md_error *err)
{
    md_type t = { .dtype = dtype, .has_rank = true, .rank = rank };

    for (int i = 0; i < rank; i++)
        MD_TRY(md_infer__fresh(c, &t.dim[i], err));
    *out = t;
    return MD_OK;
}

static md_status broadcast_dim(const md_infer *c, md_dim *out, md_dim a,
                               md_dim b, md_error *err)
{
    if (md_dim_is_const(a) && md_dim_is_const(b) && a.k != b.k && a.k != 1 &&
        b.k != 1)
        return md_fail(err, MD_INVALID,
                       "dimensions %lld and %lld do not broadcast",
                       (long long)a.k, (long long)b.k);
    return md_dim__derive(c, out, MD_EXPR_BROADCAST, a, b, err);
}

md_status md_infer__broadcast(const md_infer *c, md_type *out, const md_type *a,
                              const md_type *b, md_error *err)
{
    md_type t = { .dtype = out->dtype };

    if (a->has_rank && b->has_rank) {
        t.has_rank = true;
        t.rank = a->rank > b->rank ? a->rank : b->rank;
        for (int i = 0; i < t.rank; i++) {
            int ia = i - (t.rank - a->rank);
            int ib = i - (t.rank - b->rank);

            MD_TRY(broadcast_dim(c, &t.dim[i], ia < 0 ? MD_DIM(1) : a->dim[ia],
                                 ib < 0 ? MD_DIM(1) : b->dim[ib], err));
        }
    }
    *out = t;
    return MD_OK;
}

md_status md_infer__elementwise(const md_infer *c, uint32_t types,
                                md_error *err)
{
    MD_TRY(md_infer__need(c, 0, types, err));
    md_infer__give(c, 0, c->in[0]);
    return MD_OK;
}

static md_status take_ints(md_ints *out, const char *what, int64_t n,
                           md_error *err)
{
    if (n > MD_INTS_MAX)
        return md_fail(err, MD_UNSUPPORTED,
                       "%s has %lld elements, at most %d expected", what,
                       (long long)n, MD_INTS_MAX);
    out->n = (int)n;
    return MD_OK;
}

md_status md_infer__attr_ints(const md_node *n, const char *name, md_ints *out,
                              md_error *err)
{
    uint32_t count;
    const int64_t *v = md_node_attr_is(n, name, &count);

    *out = (md_ints){ .given = md_node_attr(n, name) != NULL, .known = true };
    MD_TRY(take_ints(out, name, count, err));
    for (uint32_t i = 0; i < count; i++)
        out->v[i] = v[i];
    return MD_OK;
}

md_status md_infer__input_ints(const md_infer *c, uint32_t i, md_ints *out,
                               md_error *err)
{
    const md_tensor *v;
    char what[16] = "input i";

    *out = (md_ints){ .known = true };
    if (!md_infer_has(c, i))
        return MD_OK;
    MD_TRY(md_infer__need(c, i, MD_TYPES_INDEX, err));
    MD_TRY(md_infer__rank(c, i, 0, 1, err));
    what[6] = (char)('0' + i % 10);
    out->given = true;
    v = c->cin[i];
    out->known = v != NULL;
    out->n = -1;
    if (v) {
        MD_TRY(take_ints(out, what, md_tensor_n(v), err));
        md_load_i64(out->v, v, 0, out->n);
    } else if (c->in[i]->has_rank && c->in[i]->rank == 0) {
        out->n = 1;
    } else if (c->in[i]->has_rank && md_dim_is_const(c->in[i]->dim[0])) {
        MD_TRY(take_ints(out, what, c->in[i]->dim[0].k, err));
    }
    return MD_OK;
}

static md_dims as_dims(const md_ints *ints)
{
    md_dims d = { ints->given, ints->known, ints->n, { { 0 } } };

    for (int k = 0; ints->known && k < ints->n; k++)
        d.v[k] = MD_DIM(ints->v[k]);
    return d;
}

md_status md_infer__input_dims(const md_infer *c, uint32_t i, md_dims *out,
                               md_error *err)
{
    md_ints ints;

    MD_TRY(md_infer__input_ints(c, i, &ints, err));
    *out = as_dims(&ints);
    if (!ints.given || ints.known || ints.n < 0 || !c->din || !c->din[i])
        return MD_OK;
    out->known = true;
    for (int k = 0; k < ints.n; k++)
        out->v[k] = c->din[i][k];
    return MD_OK;
}

md_status md_infer__moved(const md_infer *c, const char *name, int64_t since,
                          uint32_t i, md_error *err)
{
    if (c->opset < since && md_infer_has(c, i))
        return md_fail(err, MD_INVALID,
                       "%s is an attribute before opset %lld, not input %u",
                       name, (long long)since, (unsigned)i);
    if (c->opset >= since && md_node_attr(c->node, name))
        return md_fail(err, MD_INVALID,
                       "%s is input %u from opset %lld on, not an attribute",
                       name, (unsigned)i, (long long)since);
    return MD_OK;
}

md_status md_infer__moved_ints(const md_infer *c, const char *name,
                               int64_t since, uint32_t i, md_ints *out,
                               md_error *err)
{
    MD_TRY(md_infer__moved(c, name, since, i, err));
    if (c->opset < since)
        return md_infer__attr_ints(c->node, name, out, err);
    return md_infer__input_ints(c, i, out, err);
}

md_status md_infer__check_shape(const md_ints *dims, md_error *err)
{
    if (dims->n > MD_RANK_MAX)
        return md_fail(err, MD_UNSUPPORTED, "rank %d, at most %d expected",
                       dims->n, MD_RANK_MAX);
    for (int k = 0; dims->known && k < dims->n; k++) {
        if (dims->v[k] < 0)
            return md_fail(err, MD_INVALID, "shape has the dimension %lld",
                           (long long)dims->v[k]);
    }
    return MD_OK;
}

md_status md_infer__moved_dims(const md_infer *c, const char *name,
                               int64_t since, uint32_t i, md_dims *out,
                               md_error *err)
{
    md_ints ints;

    MD_TRY(md_infer__moved(c, name, since, i, err));
    if (c->opset >= since)
        return md_infer__input_dims(c, i, out, err);
    MD_TRY(md_infer__attr_ints(c->node, name, &ints, err));
    *out = as_dims(&ints);
    return MD_OK;
}

md_status md_infer__shape_dims(const md_infer *c, uint32_t i, md_dims *out,
                               md_error *err)
{
    md_dim unused;

    MD_TRY(md_infer__input_dims(c, i, out, err));
    if (out->n > MD_RANK_MAX)
        return md_fail(err, MD_UNSUPPORTED, "rank %d, at most %d expected",
                       out->n, MD_RANK_MAX);
    for (int k = 0; out->known && k < out->n; k++) {
        if (md_dim_is_const(out->v[k]) && out->v[k].k < 0)
            return md_fail(err, MD_INVALID, "shape has the dimension %lld",
                           (long long)out->v[k].k);
        MD_TRY(md_dim__derive(c, &unused, MD_EXPR_AT_LEAST, out->v[k],
                              MD_DIM(0), err));
    }
    return MD_OK;
}

md_status md_infer__shape_input(const md_infer *c, uint32_t i, md_ints *out,
                                md_error *err)
{
    MD_TRY(md_infer__input_ints(c, i, out, err));
    return md_infer__check_shape(out, err);
}

md_status md_infer__give_dims(const md_infer *c, md_type *t,
                              const md_dims *dims, md_error *err)
{
    if (dims->n >= 0 && !dims->known) {
        MD_TRY(md_infer__fresh_type(c, t, t->dtype, dims->n, err));
    } else if (dims->known) {
        t->has_rank = true;
        t->rank = dims->n;
        for (int i = 0; i < dims->n; i++)
            t->dim[i] = dims->v[i];
    }
    md_infer__give(c, 0, t);
    return MD_OK;
}

md_status md_infer__give_shape(const md_infer *c, md_type *t,
                               const md_ints *dims, md_error *err)
{
    md_dims d = as_dims(dims);

    return md_infer__give_dims(c, t, &d, err);
}

md_status md_infer__axes(md_ints *axes, int rank, md_error *err)
{
    uint32_t seen = 0;

    for (int i = 0; i < axes->n; i++) {
        int axis;

        MD_TRY(md_axis_normalize(&axis, axes->v[i], rank, err));
        if (seen >> axis & 1)
            return md_fail(err, MD_INVALID, "axis %d is named twice", axis);
        seen |= UINT32_C(1) << axis;
        axes->v[i] = axis;
    }
    return MD_OK;
}

md_status md_dim__affine(md_dim *out, md_dim d, int64_t mul, int64_t add,
                         md_error *err)
{
    md_dim r = { .sym = d.sym };

    if (!md_mul_i64(&r.k, d.k, mul) || !md_add_i64(&r.k, r.k, add) ||
        !md_mul_i64(&r.scale, d.scale, mul))
        return md_fail(err, MD_TOO_LARGE, "a dimension overflows: %lld * %lld",
                       (long long)d.k, (long long)mul);
    if (r.scale == 0)
        r.sym = 0;
    if (r.sym == 0 && r.k < 0)
        return md_fail(err, MD_INVALID, "a dimension comes out as %lld",
                       (long long)r.k);
    *out = r;
    return MD_OK;
}

md_status md_dim__derive(const md_infer *c, md_dim *out, md_expr_kind kind,
                         md_dim a, md_dim b, md_error *err)
{
    if (c->model || (md_dim_is_const(a) && md_dim_is_const(b)))
        return md_dim_derive(out, c->model, kind, a, b, err);
    /* A symbol may stand for 1; against a constant above that the constant
     * wins. */
    if (kind == MD_EXPR_BROADCAST &&
        (md_dim_equal(a, b) || (md_dim_is_const(a) && a.k != 1) ||
         (md_dim_is_const(b) && b.k == 1))) {
        *out = a;
        return MD_OK;
    }
    if (kind == MD_EXPR_BROADCAST &&
        (md_dim_is_const(a) || md_dim_is_const(b))) {
        *out = b;
        return MD_OK;
    }
    return md_infer__fresh(c, out, err);
}

md_status md_dim__mul(const md_infer *c, md_dim *out, md_dim a, md_dim b,
                      md_error *err)
{
    if (md_dim_is_const(a))
        return md_dim__affine(out, b, a.k, 0, err);
    if (md_dim_is_const(b))
        return md_dim__affine(out, a, b.k, 0, err);
    return md_dim__derive(c, out, MD_EXPR_MUL, a, b, err);
}

md_status md_dim__add(const md_infer *c, md_dim *out, md_dim a, md_dim b,
                      md_error *err)
{
    if (md_dim_is_const(a))
        return md_dim__affine(out, b, 1, a.k, err);
    if (md_dim_is_const(b))
        return md_dim__affine(out, a, 1, b.k, err);
    return md_dim__derive(c, out, MD_EXPR_ADD, a, b, err);
}

md_status md_dim__span(const md_infer *c, md_dim *out, const md_type *t,
                       int from, int to, md_error *err)
{
    md_dim n = MD_DIM(1);

    for (int i = from; i < to; i++)
        MD_TRY(md_dim__mul(c, &n, n, t->dim[i], err));
    *out = n;
    return MD_OK;
}
