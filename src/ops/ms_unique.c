/* com.microsoft's Unique: the values of a vector in the order in which they
 * come, where each element went, and how often each value is there. */
#include <stdlib.h>

#include "ops/common/util.h"

static md_status infer(const md_infer *c, md_error *err)
{
    md_type values, places, counts;

    MD_TRY(md_infer__need(c, 0, MD_T(F32), err));
    MD_TRY(md_infer__rank(c, 0, 1, 1, err));
    MD_TRY(md_infer__fresh_type(c, &values, MD_DTYPE_F32, 1, err));
    places = *c->in[0];
    places.dtype = MD_DTYPE_I64;
    counts = values;
    counts.dtype = MD_DTYPE_I64;
    md_infer__give(c, 0, &values);
    md_infer__give(c, 1, &places);
    md_infer__give(c, 2, &counts);
    return MD_OK;
}

typedef struct entry {
    float v;
    int64_t at;
} entry;

/* NaN is behind all and equals NaN. */
static int compare(const void *a, const void *b)
{
    const entry *x = a, *y = b;
    bool nx = x->v != x->v, ny = y->v != y->v;

    if (nx != ny)
        return nx ? 1 : -1;
    if (!nx && x->v != y->v)
        return x->v < y->v ? -1 : 1;
    return x->at < y->at ? -1 : 1;
}

/* leader[i]: the first element with the value of element i. */
static void find_leaders(int64_t *leader, entry *e, int64_t n)
{
    qsort(e, (size_t)n, sizeof(*e), compare);
    for (int64_t i = 0, first = 0; i < n; i++) {
        bool same = i > 0 && (e[i].v == e[i - 1].v ||
                              (e[i].v != e[i].v && e[i - 1].v != e[i - 1].v));

        first = same ? first : e[i].at;
        leader[e[i].at] = first;
    }
}

static md_status compute(md_exec *x, const md_infer *c, md_arena *ar,
                         md_error *err)
{
    const md_tensor *in = x->in[0];
    int64_t n = md_tensor_n(in), n_unique = 0, *leader, *place;
    md_tensor *out[3] = { NULL };
    md_shape few = { 1, { 0 } };
    entry *e;

    (void)c;
    MD_TRY(md_exec__scratch(&e, ar, n, sizeof(*e), err));
    MD_TRY(md_exec__scratch(&leader, ar, n, sizeof(*leader), err));
    MD_TRY(md_exec__scratch(&place, ar, n, sizeof(*place), err));
    for (int64_t i = 0; i < n; i++)
        e[i] = (entry){ ((const float *)in->data)[i], i };
    if (n > 0)
        find_leaders(leader, e, n);
    for (int64_t i = 0; i < n; i++) {
        if (leader[i] == i)
            place[i] = n_unique++;
    }
    few.dim[0] = n_unique;
    for (uint32_t k = 0; k < x->node->n_out && k < 3; k++)
        MD_TRY(md_exec_output(x, k, k == 0 ? MD_DTYPE_F32 : MD_DTYPE_I64,
                              k == 1 ? &in->shape : &few, &out[k], err));
    for (int64_t i = 0; i < n; i++) {
        int64_t to = place[leader[i]];

        if (out[0] && leader[i] == i)
            ((float *)out[0]->data)[to] = ((const float *)in->data)[i];
        if (out[1])
            ((int64_t *)out[1]->data)[i] = to;
        if (out[2])
            ((int64_t *)out[2]->data)[to] =
                leader[i] == i ? 1 : ((int64_t *)out[2]->data)[to] + 1;
    }
    return MD_OK;
}

static md_status run(md_exec *x, md_error *err)
{
    return md_exec__open(x, infer, compute, err);
}

const md_op md_op_ms_unique = {
    .domain = "com.microsoft",
    .name = "Unique",
    .since = 1,
    .in_min = 1,
    .in_max = 1,
    .out_min = 1,
    .out_max = 3,
    .infer = infer,
    .run = run,
};
