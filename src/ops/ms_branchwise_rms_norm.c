/* com.microsoft's BranchwiseRMSNorm: each branch divided by the root of its
 * mean square, in float32.  Branches are the last axis but one, or the last one
 * holds num_branches of them. */
#include "ops/common/util.h"
#include "ops/compose.h"

#define TYPES (MD_T(F32) | MD_T(F16) | MD_T(BF16))

static md_status split(md_compose *m, md_part x, int64_t *branches, int64_t *h,
                       md_error *err)
{
    const md_type *t = &m->part[x].type;
    int64_t n = md_node_attr_i(m->node, "num_branches", 0);
    bool flat = n > 0;

    if (n < 0)
        return md_fail(err, MD_INVALID, "num_branches is %lld", (long long)n);
    if (t->has_rank && t->rank < 2 - flat)
        return md_fail(err, MD_INVALID, "input 0 has rank %d, %d expected",
                       t->rank, 2 - flat);
    if (!t->has_rank || !md_dim_is_const(t->dim[t->rank - 1]) ||
        (!flat && !md_dim_is_const(t->dim[t->rank - 2]))) {
        m->open = true;
        return md_fail(err, MD_UNSUPPORTED,
                       "the size of a branch is not known");
    }
    *branches = flat ? n : t->dim[t->rank - 2].k;
    *h = t->dim[t->rank - 1].k;
    if (flat && *h % n)
        return md_fail(err, MD_INVALID,
                       "rows of %lld elements do not divide into %lld branches",
                       (long long)*h, (long long)n);
    *h = flat ? *h / n : *h;
    return MD_OK;
}

static md_status scaled(md_compose *m, md_part *y, int64_t branches, int64_t h,
                        md_error *err)
{
    md_part scale = md_compose_in(m, 1);
    const md_type *t = scale == MD_PART_NONE ? NULL : &m->part[scale].type;
    bool one, known;

    if (!t)
        return MD_OK;
    known = t->has_rank && t->rank > 0;
    for (int i = 0; known && i < t->rank; i++)
        known = md_dim_is_const(t->dim[i]);
    if (!known) {
        m->open = true;
        return md_fail(err, MD_UNSUPPORTED, "the size of scale is not known");
    }
    one = t->rank == 1 && t->dim[0].k == h;
    if (!one && !(t->rank == 1 && t->dim[0].k == branches * h) &&
        !(t->rank == 2 && t->dim[0].k == branches && t->dim[1].k == h))
        return md_fail(err, MD_INVALID,
                       "scale does not fit %lld branches of %lld elements",
                       (long long)branches, (long long)h);
    MD_TRY(md_compose_cast(m, scale, MD_DTYPE_F32, &scale, err));
    if (!one)
        MD_TRY(md_compose_reshape(m, scale, (const int64_t[]){ branches, h }, 2,
                                  &scale, err));
    return md_compose_binary(m, "Mul", *y, scale, y, err);
}

/* *y by the root of its mean square along the last axis. */
static md_status normalize(md_compose *m, md_part *y, md_error *err)
{
    static const int64_t last = -1;
    md_part square, axes, epsilon;

    MD_TRY(md_compose_binary(m, "Mul", *y, *y, &square, err));
    MD_TRY(md_compose_ints(m, &last, 1, &axes, err));
    MD_TRY(md_compose_binary(m, "ReduceMean", square, axes, &square, err));
    MD_TRY(md_compose_scalar(m, MD_DTYPE_F32,
                             md_node_attr_f(m->node, "epsilon", 1e-5f),
                             &epsilon, err));
    MD_TRY(md_compose_binary(m, "Add", square, epsilon, &square, err));
    MD_TRY(md_compose_unary(m, "Sqrt", square, &square, err));
    return md_compose_binary(m, "Div", *y, square, y, err);
}

static md_status recipe(md_compose *m, md_error *err)
{
    md_part x = md_compose_in(m, 0), y;
    int64_t branches = 0, h = 0;

    MD_TRY(md_compose_check(m, 0, TYPES, 1, MD_RANK_MAX, err));
    MD_TRY(md_compose_check(m, 1, TYPES, 1, 2, err));
    MD_TRY(split(m, x, &branches, &h, err));
    MD_TRY(md_compose_cast(m, x, MD_DTYPE_F32, &y, err));
    MD_TRY(md_compose_reshape(m, y, (const int64_t[]){ -1, branches, h }, 3, &y,
                              err));
    MD_TRY(normalize(m, &y, err));
    MD_TRY(scaled(m, &y, branches, h, err));
    MD_TRY(md_compose_reshape_like(m, y, x, &y, err));
    MD_TRY(md_compose_cast(m, y, m->part[x].type.dtype, &y, err));
    md_compose_give(m, 0, y);
    return MD_OK;
}

MD_COMPOSE_FUNCTIONS

const md_op md_op_ms_branchwise_rms_norm = {
    .domain = "com.microsoft",
    .name = "BranchwiseRMSNorm",
    .since = 1,
    .in_min = 1,
    .in_max = 2,
    .out_min = 1,
    .out_max = 1,
    .infer = infer,
    .run = run,
    .compose = recipe,
};
