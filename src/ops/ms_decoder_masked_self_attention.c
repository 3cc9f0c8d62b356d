/* com.microsoft's DecoderMaskedSelfAttention: Attention of one new position
 * with a past.  One beam: cache_indirection is refused, as is the order of
 * keys that goes with a shared buffer, which is one GPU's. */
#include "ops/common/project.h"
#include "ops/common/util.h"

#define TYPES (MD_T(F32) | MD_T(F16))

static md_status check(const md_compose *m, md_error *err)
{
    const md_type *t = &m->part[md_compose_in(m, 0)].type;

    MD_TRY(md_compose_check(m, 0, TYPES, 3, 3, err));
    MD_TRY(md_compose_check(m, 1, TYPES, 2, 2, err));
    MD_TRY(md_compose_check(m, 2, TYPES, 1, 1, err));
    MD_TRY(md_compose_row(m, 1, 2, err));
    if (md_compose_in(m, 4) == MD_PART_NONE)
        return md_fail(err, MD_INVALID, "the past is missing");
    if (md_compose_in(m, 8) != MD_PART_NONE)
        return md_fail(err, MD_UNSUPPORTED, "cache_indirection");
    if (md_node_attr_i(m->node, "past_present_share_buffer", 0))
        return md_fail(err, MD_UNSUPPORTED, "past_present_share_buffer");
    if (t->has_rank)
        MD_TRY(md_infer__same_dim(t->dim[1], MD_DIM(1),
                                  "the number of new positions", err));
    return MD_OK;
}

static md_status recipe(md_compose *m, md_error *err)
{
    const md_projected p = { .mask = md_compose_in(m, 3),
                             .past = md_compose_in(m, 4),
                             .bias = md_compose_in(m, 5),
                             .past_length = MD_PART_NONE };
    md_part qkv;

    MD_TRY(check(m, err));
    MD_TRY(md_project__rows(m, md_compose_in(m, 0), md_compose_in(m, 1),
                            md_compose_in(m, 2), &qkv, err));
    return md_project__attend(m, qkv, &p, err);
}

MD_COMPOSE_FUNCTIONS

const md_op md_op_ms_decoder_masked_self_attention = {
    .domain = "com.microsoft",
    .name = "DecoderMaskedSelfAttention",
    .since = 1,
    .in_min = 3,
    .in_max = 9,
    .out_min = 1,
    .out_max = 2,
    .flags = MD_OP_WEIGHTS,
    .infer = infer,
    .run = run,
    .compose = recipe,
};
