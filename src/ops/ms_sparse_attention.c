/*
 * com.microsoft's SparseAttention (Phi-3-small): GroupQueryAttention over a
 * cache, where a query sees only keys in the blocks that its own block names.
 */
#include "ops/common/util.h"
#include "ops/compose.h"

enum { /* inputs */
    IN_Q,
    IN_K,
    IN_V,
    IN_PAST_K,
    IN_PAST_V,
    IN_ROWS,
    IN_COLUMNS,
    IN_TOTAL,
    IN_LENGTHS,
    IN_COS,
    IN_SIN
};

#define TYPES (MD_T(F32) | MD_T(F16))

static md_status make_bias(md_compose *m, md_part *out, md_error *err)
{
    static const char *const keep[] = { "num_heads", "sparse_block_size",
                                        NULL };

    return md_compose_emit(
        m,
        &(md_compose_step){
            .op = "BlockBias",
            .domain = "modeld",
            .in = { md_compose_in(m, IN_Q), md_compose_in(m, IN_PAST_K),
                    md_compose_in(m, IN_ROWS), md_compose_in(m, IN_COLUMNS),
                    md_compose_in(m, IN_TOTAL), md_compose_in(m, IN_LENGTHS) },
            .n_in = 6,
            .keep = keep },
        out, err);
}

static md_status recipe(md_compose *m, md_error *err)
{
    static const char *const keep[] = {
        "num_heads", "kv_num_heads",       "scale",
        "do_rotary", "rotary_interleaved", NULL
    };
    md_part bias, one, last, out[3];

    MD_TRY(md_compose_check(m, IN_Q, TYPES, 3, 3, err));
    MD_TRY(md_compose_check(m, IN_PAST_K, TYPES, 4, 4, err));
    MD_TRY(md_compose_check(m, IN_PAST_V, TYPES, 4, 4, err));
    MD_TRY(make_bias(m, &bias, err));
    MD_TRY(md_compose_scalar(m, MD_DTYPE_I32, 1, &one, err));
    MD_TRY(md_compose_binary(m, "Sub", md_compose_in(m, IN_LENGTHS), one, &last,
                             err));
    MD_TRY(md_compose_emit(
        m,
        &(md_compose_step){
            .op = "GroupQueryAttention",
            .domain = "com.microsoft",
            .in = { md_compose_in(m, IN_Q), md_compose_in(m, IN_K),
                    md_compose_in(m, IN_V), md_compose_in(m, IN_PAST_K),
                    md_compose_in(m, IN_PAST_V), last,
                    md_compose_in(m, IN_TOTAL), md_compose_in(m, IN_COS),
                    md_compose_in(m, IN_SIN), MD_PART_NONE, bias },
            .n_in = 11,
            .n_out = 3,
            .keep = keep },
        out, err));
    for (uint32_t i = 0; i < 3; i++)
        md_compose_give(m, i, out[i]);
    return MD_OK;
}

MD_COMPOSE_FUNCTIONS

const md_op md_op_ms_sparse_attention = {
    .domain = "com.microsoft",
    .name = "SparseAttention",
    .since = 1,
    .in_min = 9,
    .in_max = 11,
    .out_min = 1,
    .out_max = 3,
    .may_lack = 1u << IN_K | 1u << IN_V,
    .infer = infer,
    .run = run,
    .compose = recipe,
};
