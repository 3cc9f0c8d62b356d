#include "ops/common/project.h"

#include "ops/common/util.h"

static const char *const attributes[] = {
    "do_rotary",        "mask_filter_value",
    "num_heads",        "past_present_share_buffer",
    "qkv_hidden_sizes", "scale",
    "unidirectional",   NULL
};

md_status md_project__attend(md_compose *m, md_part qkv, const md_projected *p,
                             md_error *err)
{
    uint32_t n_out = md_compose_wants(m, 1) ? 2 : 1;
    md_part out[MD_COMPOSE_OUTPUTS];

    MD_TRY(
        md_compose_emit(m,
                        &(md_compose_step){ .op = "QkvAttention",
                                            .domain = "modeld",
                                            .in = { qkv, p->mask, p->past,
                                                    p->bias, p->past_length },
                                            .n_in = 5,
                                            .n_out = n_out,
                                            .keep = attributes },
                        out, err));
    md_compose_give(m, 0, out[0]);
    if (n_out > 1)
        md_compose_give(m, 1, out[1]);
    return MD_OK;
}

md_status md_project__rows(md_compose *m, md_part x, md_part weights,
                           md_part bias, md_part *qkv, md_error *err)
{
    MD_TRY(md_compose_binary(m, "MatMul", x, weights, qkv, err));
    if (bias == MD_PART_NONE)
        return MD_OK;
    return md_compose_binary(m, "Add", *qkv, bias, qkv, err);
}
