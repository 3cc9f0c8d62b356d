/* com.microsoft's GatedRMSNorm: groups of as many elements as scale has, each
 * divided by the root of its mean square, times scale and an activated gate; in
 * float32. */
#include <string.h>

#include "ops/common/util.h"
#include "ops/compose.h"

#define TYPES (MD_T(F32) | MD_T(F16) | MD_T(BF16))

static md_status activate(md_compose *m, md_part *gate, md_error *err)
{
    const char *how = md_node_attr_s(m->node, "activation", "silu");
    md_part s;

    if (strcmp(how, "silu") != 0 && strcmp(how, "swish") != 0 &&
        strcmp(how, "sigmoid") != 0)
        return md_fail(err, MD_INVALID,
                       "activation is '%s', silu, swish or sigmoid expected",
                       how);
    MD_TRY(md_compose_unary(m, "Sigmoid", *gate, &s, err));
    if (how[2] == 'g') {
        *gate = s;
        return MD_OK;
    }
    return md_compose_binary(m, "Mul", *gate, s, gate, err);
}

/* As many rows as there are groups: [-1, C]. */
static md_status group_rows(md_compose *m, md_part *x, md_part scale,
                            md_error *err)
{
    const md_type *s = &m->part[scale].type, *t = &m->part[*x].type;
    md_dim row = t->has_rank ? t->dim[t->rank - 1] : (md_dim){ .sym = 1 };

    if (!s->has_rank || !md_dim_is_const(s->dim[0])) {
        m->open = true;
        return md_fail(err, MD_UNSUPPORTED, "the size of a group is not known");
    }
    if (s->dim[0].k < 1 || (md_dim_is_const(row) && row.k % s->dim[0].k))
        return md_fail(err, MD_INVALID,
                       "rows of %lld elements do not divide into groups of "
                       "%lld",
                       (long long)row.k, (long long)s->dim[0].k);
    return md_compose_reshape(m, *x, (const int64_t[]){ -1, s->dim[0].k }, 2, x,
                              err);
}

/* The groups of *y, in float32, shaped as x again. */
static md_status normalize(md_compose *m, md_part *y, md_part x, md_error *err)
{
    float epsilon = md_node_attr_f(m->node, "epsilon", 1e-5f);
    md_part scale = md_compose_in(m, 1);

    MD_TRY(group_rows(m, y, scale, err));
    MD_TRY(md_compose_cast(m, scale, MD_DTYPE_F32, &scale, err));
    MD_TRY(md_compose_emit(
        m,
        &(md_compose_step){ .op = "RMSNormalization",
                            .in = { *y, scale },
                            .n_in = 2,
                            .attr = { MD_GIVE_F("epsilon", epsilon) },
                            .n_attr = 1 },
        y, err));
    return md_compose_reshape_like(m, *y, x, y, err);
}

static md_status recipe(md_compose *m, md_error *err)
{
    md_part x = md_compose_in(m, 0), gate, y;

    MD_TRY(md_compose_check(m, 0, TYPES, 1, MD_RANK_MAX, err));
    MD_TRY(md_compose_check(m, 1, TYPES, 1, 1, err));
    MD_TRY(md_compose_check(m, 2, TYPES, 1, MD_RANK_MAX, err));
    MD_TRY(md_compose_same_dtype(m, 0, 1, err));
    MD_TRY(md_compose_same_dtype(m, 0, 2, err));
    MD_TRY(md_compose_same(m, 0, 2, err));
    MD_TRY(md_compose_cast(m, x, MD_DTYPE_F32, &y, err));
    MD_TRY(md_compose_cast(m, md_compose_in(m, 2), MD_DTYPE_F32, &gate, err));
    MD_TRY(normalize(m, &y, x, err));
    MD_TRY(activate(m, &gate, err));
    MD_TRY(md_compose_binary(m, "Mul", y, gate, &y, err));
    MD_TRY(md_compose_cast(m, y, m->part[x].type.dtype, &y, err));
    md_compose_give(m, 0, y);
    return MD_OK;
}

MD_COMPOSE_FUNCTIONS

const md_op md_op_ms_gated_rms_norm = {
    .domain = "com.microsoft",
    .name = "GatedRMSNorm",
    .since = 1,
    .in_min = 3,
    .in_max = 3,
    .out_min = 1,
    .out_max = 1,
    .infer = infer,
    .run = run,
    .compose = recipe,
};
