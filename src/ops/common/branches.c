#include "ops/common/branches.h"

#include <stdio.h>

#include "ops/common/util.h"

/* The last axis as C branches. */
static md_status split_last(md_compose *m, md_part x, int64_t branches,
                            md_part *out, md_error *err)
{
    int64_t dims[MD_RANK_MAX + 1] = { 0 }; /* 0: as it is */
    const md_type *t = &m->part[x].type;
    int rank;

    MD_TRY(md_compose_rank(m, x, &rank, err));
    if (rank < 1 || rank == MD_RANK_MAX)
        return md_fail(err, MD_INVALID, "rank %d of what has branches", rank);
    if (md_dim_is_const(t->dim[rank - 1]) && t->dim[rank - 1].k % branches)
        return md_fail(err, MD_INVALID,
                       "rows of %lld elements do not divide into %lld branches",
                       (long long)t->dim[rank - 1].k, (long long)branches);
    dims[rank - 1] = branches;
    dims[rank] = -1;
    MD_TRY(md_compose_reshape(m, x, dims, rank + 1, out, err));
    for (int d = 0; d < rank - 1; d++)
        m->part[*out].type.dim[d] = t->dim[d];
    return MD_OK;
}

/* There are branches, and they have elements. */
static md_status check_streams(md_compose *m, md_part x, md_error *err)
{
    const md_type *t = &m->part[x].type;
    int rank;

    MD_TRY(md_compose_rank(m, x, &rank, err));
    for (int d = rank - 2; d < rank; d++) {
        if (md_dim_equal(t->dim[d], MD_DIM(0)))
            return md_fail(err, MD_INVALID, "%s of 0, 1 and more expected",
                           d == rank - 1 ? "branches" : "a number of branches");
    }
    return MD_OK;
}

md_status md_branches__split(md_compose *m, uint32_t i, md_part *out,
                             md_error *err)
{
    int64_t n = md_node_attr_i(m->node, "num_branches", 0);

    if (n < 0 || n > INT32_MAX)
        return md_fail(err, MD_INVALID, "num_branches is %lld", (long long)n);
    MD_TRY(md_compose_check(m, i, MD_BRANCHES_TYPES, n ? 1 : 2, MD_RANK_MAX - 1,
                            err));
    MD_TRY(md_compose_cast(m, md_compose_in(m, i), MD_DTYPE_F32, out, err));
    if (n)
        MD_TRY(split_last(m, *out, n, out, err));
    return check_streams(m, *out, err);
}

md_status md_branches__lead(const md_compose *m, md_part p, md_part streams,
                            int n, const char *what, md_error *err)
{
    const md_type *a = &m->part[p].type, *b = &m->part[streams].type;

    for (int d = 0; d < n; d++)
        MD_TRY(md_compose_equal(m, a->dim[d], b->dim[d], what, err));
    return MD_OK;
}

/* Gates of the rank of the streams: one for each branch, or for each element. */
static md_status check_gates(const md_compose *m, md_part gates,
                             md_part streams, int rank, const char *what,
                             md_error *err)
{
    md_dim last = m->part[gates].type.dim[rank - 1];
    md_dim whole = m->part[streams].type.dim[rank - 1];

    MD_TRY(md_branches__lead(m, gates, streams, rank - 1, what, err));
    if (md_dim_equal(last, MD_DIM(1)))
        return MD_OK;
    if (!md_dim_is_const(last))
        return md_compose_spreads(m, last, whole, err);
    return md_compose_equal(m, last, whole, what, err);
}

md_status md_branches__gates(md_compose *m, uint32_t i, md_part streams,
                             md_part *out, md_error *err)
{
    static const int64_t last = -1;
    md_part axes;
    int rank, full;
    md_dim end, c;
    char what[32];

    snprintf(what, sizeof(what), "a dimension of input %u", (unsigned)i);
    MD_TRY(md_compose_check(m, i, MD_BRANCHES_TYPES, 1, MD_RANK_MAX, err));
    MD_TRY(md_compose_cast(m, md_compose_in(m, i), MD_DTYPE_F32, out, err));
    MD_TRY(md_compose_rank(m, *out, &rank, err));
    MD_TRY(md_compose_rank(m, streams, &full, err));
    if (rank == full)
        return check_gates(m, *out, streams, rank, what, err);
    if (rank != full - 1)
        return md_fail(err, MD_INVALID,
                       "input %u has rank %d, %d or %d expected", i, rank,
                       full - 1, full);
    MD_TRY(md_branches__lead(m, *out, streams, rank - 1, what, err));
    end = m->part[*out].type.dim[rank - 1];
    c = m->part[streams].type.dim[full - 2];
    if (!md_dim_is_const(end) || !md_dim_is_const(c)) {
        m->open = true;
        return md_fail(err, MD_UNSUPPORTED, "the number of gates is not known");
    }
    if (end.k != c.k) {
        MD_TRY(split_last(m, *out, c.k, out, err));
        return check_gates(m, *out, streams, full, what, err);
    }
    MD_TRY(md_compose_ints(m, &last, 1, &axes, err));
    return md_compose_binary(m, "Unsqueeze", *out, axes, out, err);
}
