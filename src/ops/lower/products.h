/*
 * Many products of one size, C[i] = epilogue(A[i] B[i]): MatMul and Gemm of
 * activations, Einsum.  Of float32, none of them by packed constants, or of
 * double, which have no epilogue.
 *
 * Where products are many and small, a chunk packs its B into its own
 * scratch; otherwise all B are packed in a phase of their own and each product
 * is cut by rows.  Doubles of few rows take B as it lies and are cut by
 * columns.  None of this changes a bit.
 */
#ifndef MD_OPS_LOWER_PRODUCTS_H
#define MD_OPS_LOWER_PRODUCTS_H

#include "kernels/gemm_f32.h"
#include "kernels/gemm_f64.h"
#include "ops/lower/common.h"

typedef struct md_products {
    const md_gemm_f32_kernel *kernel;
    const md_gemm_f64_kernel *f64; /* not NULL: doubles, by this one */
    bool strict;
    double scale;           /* of doubles: of their products; 1: none */
    const double *constant; /* B of all products, packed already; or NULL */
    int64_t m, n, k;
    int64_t a_row, a_col; /* strides in elements */
    int64_t b_row, b_col;
    int64_t c_row; /* columns of C are neighbours */
    /* Product i has index (i / ... % dim[d]) in each of `rank` dims; the
     * steps say how far the matrices are moved by it. */
    int rank;
    int64_t dim[MD_RANK_MAX];
    int64_t a_step[MD_RANK_MAX], b_step[MD_RANK_MAX], c_step[MD_RANK_MAX];
    /* Set by plan. */
    int64_t n_products;
    int64_t n_b;                  /* different B, if they are packed apart; 0 */
    int64_t b_index[MD_RANK_MAX]; /* their numbers, as b_step */
    int64_t m_step, m_parts;      /* rows of a chunk, chunks of a product */
    int64_t n_parts;              /* of packing one B, or of its columns */
    bool direct;                  /* B is not packed in a run */
    size_t b_size;                /* bytes of a packed B */
    size_t b_at;                  /* of the first one in shared memory */
    int phase; /* of the step in which the first of ours is */
} md_products;

/* Adds one or two phases to the step, of which `phase` are taken, and shared
 * memory behind what is in use.  There is something to compute. */
md_status md_products__plan(md_products *p, md_step *st, int phase, int width,
                            md_error *err);

/* Do a chunk of one of these phases.  ep's residual is moved with C. */
void md_products__run(const md_products *p, const md_step *st, const void *a,
                      const void *b, void *c, const md_epilogue *ep,
                      int64_t chunk, void *scratch);

/* Pack the constant b [k, n], or [n, k] if `trans`, for p->constant; freed with
 * md_free of lo->alloc. */
md_status md_products__pack_f64(double **out, const md_gemm_f64_kernel *kernel,
                                const md_lower *lo, const md_tensor *b,
                                bool trans, md_error *err);

/* Phases that plan has added. */
static inline int md_products__n_phases(const md_products *p)
{
    return p->n_b > 0 ? 2 : 1;
}

#endif
