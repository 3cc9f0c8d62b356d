/* Transpose: a permutation of strides, copied in tiles. */
#include <string.h>

#include "base/size.h"
#include "kernels/reorder.h"
#include "ops/lower/common.h"

typedef struct args {
    int rank;
    int64_t dims[MD_RANK_MAX];   /* of the output, a chunk's part of dim 0 */
    int64_t stride[MD_RANK_MAX]; /* of the input, in the output's order */
    int64_t step;                /* rows of dim 0 in a chunk */
    int64_t row;                 /* output elements of one index of dim 0 */
    int size;
} args;

static md_status lower(md_lower *lo, md_error *err)
{
    const md_type *t = lo->in[0];
    void *state;

    if (!t->has_rank || md_dtype_bits(t->dtype) % 8 != 0 ||
        md_dtype_bits(t->dtype) > 64)
        return md_fail(err, MD_UNSUPPORTED, "needs elements of 1 to 8 bytes");
    lo->kernel = "transpose";
    return md_lower__state(lo, (void *)&state, 1, err);
}

/* Dims of size 1 at the front give nothing to share: move the first real one
 * there (strides make that free). */
static void drop_ones(args *a)
{
    int kept = 0;

    for (int i = 0; i < a->rank; i++) {
        if (a->dims[i] == 1 && a->rank > 1)
            continue;
        a->dims[kept] = a->dims[i];
        a->stride[kept] = a->stride[i];
        kept++;
    }
    if (kept == 0) {
        a->dims[0] = 1;
        a->stride[0] = 1;
        kept = 1;
    }
    a->rank = kept;
}

static md_status plan(md_step *st, int width, md_arena *arena, md_error *err)
{
    const md_shape *x = &st->in_shape[0], *y = &st->out_shape[0];
    int64_t strides[MD_RANK_MAX];
    uint32_t n_perm;
    const int64_t *perm = md_node_attr_is(st->node, "perm", &n_perm);
    args *a;

    MD_TRY(md_step__args(st, arena, (void *)&a, sizeof(*a), err));
    md_shape_strides(strides, x);
    a->rank = y->rank;
    a->size = (int)md_dtype_bits(st->in_dtype[0]) / 8;
    for (int i = 0; i < y->rank; i++) {
        a->dims[i] = y->dim[i];
        a->stride[i] = strides[perm ? perm[i] : y->rank - 1 - i];
    }
    drop_ones(a);
    a->row = 1;
    for (int i = 1; i < a->rank; i++)
        a->row *= a->dims[i];
    st->n_chunks = md_step__chunks(a->row * a->dims[0] / 2, a->dims[0], width);
    a->step = md_div_up(a->dims[0], st->n_chunks);
    return MD_OK;
}

static void run(const md_step *st, int64_t chunk, void *scratch)
{
    const args *a = st->args;
    int64_t at = chunk * a->step;
    int64_t dims[MD_RANK_MAX];

    (void)scratch;
    memcpy(dims, a->dims, sizeof(dims));
    dims[0] = md_min_i64(a->dims[0] - at, a->step);
    if (dims[0] > 0)
        md_transpose((char *)st->out[0] + at * a->row * a->size,
                     (const char *)st->in[0] + at * a->stride[0] * a->size,
                     a->rank, dims, a->stride, a->size);
}

const md_fast md_fast_transpose = { lower, plan, run, NULL, NULL };
