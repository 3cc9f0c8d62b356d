#include "ops/common/matmul_fused.h"

#include "ops/common/util.h"

/* The first axis goes behind the batch where `batch` is set, the last two
 * change places where `swap` is. */
static md_status move_axes(md_compose *m, md_part x, bool batch, bool swap,
                           md_part *out, md_error *err)
{
    int64_t perm[MD_RANK_MAX] = { 0 };
    int rank;

    *out = x;
    if (!batch && !swap)
        return MD_OK;
    MD_TRY(md_compose_rank(m, x, &rank, err));
    if (rank < 2) /* a vector is a row on the left, a column on the right */
        return MD_OK;
    for (int i = 0; i < rank; i++)
        perm[i] = !batch || i == rank - 1 ? i : i == rank - 2 ? 0 : i + 1;
    if (swap) {
        int64_t last = perm[rank - 1];

        perm[rank - 1] = perm[rank - 2];
        perm[rank - 2] = last;
    }
    return md_compose_transpose(m, x, perm, out, err);
}

md_status md_matmul_fused__recipe(md_compose *m, md_error *err)
{
    const md_node *n = m->node;
    float alpha = md_node_attr_f(n, "alpha", 1.0f);
    md_part a, b, y, factor;

    MD_TRY(md_compose_check(m, 0, MD_TYPES_FLOAT, 1, MD_RANK_MAX, err));
    MD_TRY(md_compose_check(m, 1, MD_TYPES_FLOAT, 1, MD_RANK_MAX, err));
    MD_TRY(move_axes(m, md_compose_in(m, 0),
                     md_node_attr_i(n, "transBatchA", 0) != 0,
                     md_node_attr_i(n, "transA", 0) != 0, &a, err));
    MD_TRY(move_axes(m, md_compose_in(m, 1),
                     md_node_attr_i(n, "transBatchB", 0) != 0,
                     md_node_attr_i(n, "transB", 0) != 0, &b, err));
    MD_TRY(md_compose_binary(m, "MatMul", a, b, &y, err));
    if (alpha != 1.0f) {
        MD_TRY(
            md_compose_scalar(m, m->part[y].type.dtype, alpha, &factor, err));
        MD_TRY(md_compose_binary(m, "Mul", y, factor, &y, err));
    }
    md_compose_give(m, 0, y);
    return MD_OK;
}

md_status md_matmul_fused__expand(md_compose *m, md_error *err)
{
    const md_node *n = m->node;

    if (md_node_attr_i(n, "transA", 0) || md_node_attr_i(n, "transBatchA", 0) ||
        md_node_attr_i(n, "transBatchB", 0))
        return md_matmul_fused__recipe(m, err);
    return md_fail(err, MD_UNSUPPORTED, "one product is better");
}

int64_t md_matmul_fused__macs(const md_node *n, const md_shape *const *in,
                              const md_shape *const *out)
{
    int last = in[0]->rank - 1;
    bool swap = md_node_attr_i(n, "transA", 0) != 0 && last > 0;
    int64_t k = in[0]->dim[last];

    if (swap)
        k = in[0]->dim[md_node_attr_i(n, "transBatchA", 0) ? 0 : last - 1];
    return md_macs__times(md_shape_n(out[0]), k);
}
