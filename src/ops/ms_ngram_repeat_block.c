/* com.microsoft's NGramRepeatBlock: the scores of tokens that would repeat an
 * n-gram of the sequence become -Inf. */
#include <math.h>

#include "ops/common/util.h"

static md_status infer(const md_infer *c, md_error *err)
{
    int64_t n = md_node_attr_i(c->node, "ngram_size", 0);
    const md_type *ids = c->in[0], *scores = c->in[1];

    MD_TRY(md_infer__need(c, 0, MD_T(I64), err));
    MD_TRY(md_infer__need(c, 1, MD_T(F32), err));
    MD_TRY(md_infer__rank(c, 0, 2, 2, err));
    MD_TRY(md_infer__rank(c, 1, 2, 2, err));
    if (n < 1)
        return md_fail(err, MD_INVALID,
                       "ngram_size is %lld, at least 1 expected", (long long)n);
    if (ids->has_rank && scores->has_rank)
        MD_TRY(md_infer__must_equal(c, scores->dim[0], ids->dim[0],
                                    "the batch of the scores", err));
    md_infer__give(c, 0, scores);
    return MD_OK;
}

/* The n - 1 tokens from `at` on are the last ones. */
static bool is_tail(const int64_t *ids, int64_t length, int64_t at, int64_t n)
{
    for (int64_t i = 0; i < n - 1; i++) {
        if (ids[at + i] != ids[length - n + 1 + i])
            return false;
    }
    return true;
}

static md_status compute(md_exec *x, md_tensor *out, md_arena *ar,
                         md_error *err)
{
    int64_t n = md_node_attr_i(x->node, "ngram_size", 0);
    int64_t length = x->in[0]->shape.dim[1], vocabulary = out->shape.dim[1];

    (void)ar;
    md_move_all(out, x->in[1]);
    for (int64_t b = 0; b < out->shape.dim[0]; b++) {
        const int64_t *ids = (const int64_t *)x->in[0]->data + b * length;

        for (int64_t i = 0; i + n <= length; i++) {
            int64_t next = ids[i + n - 1];

            if (!is_tail(ids, length, i, n))
                continue;
            if (next < 0 || next >= vocabulary)
                return md_fail(err, MD_INVALID,
                               "a token is %lld, 0 to %lld expected",
                               (long long)next, (long long)vocabulary - 1);
            ((float *)out->data)[b * vocabulary + next] = -INFINITY;
        }
    }
    return MD_OK;
}

static md_status run(md_exec *x, md_error *err)
{
    return md_exec__single(x, infer, compute, err);
}

const md_op md_op_ms_ngram_repeat_block = {
    .domain = "com.microsoft",
    .name = "NGramRepeatBlock",
    .since = 1,
    .in_min = 2,
    .in_max = 2,
    .out_min = 1,
    .out_max = 1,
    .infer = infer,
    .run = run,
};
