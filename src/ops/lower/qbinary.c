/* QLinearAdd and QLinearMul (com.microsoft) of equal shapes or a scalar,
 * row-major or blocked. */
#include <string.h>

#include "base/size.h"
#include "kernels/binary_s8.h"
#include "ops/lower/common.h"

typedef struct state {
    const md_binary_s8_kernel *kernel;
    md_binary_s8_op op;
    bool blocked;
} state;

static bool same_dims(const md_type *a, const md_type *b)
{
    if (!a->has_rank || !b->has_rank || a->rank != b->rank)
        return false;
    for (int i = 0; i < a->rank; i++) {
        if (!md_dim_equal(a->dim[i], b->dim[i]))
            return false;
    }
    return true;
}

static void set_op(md_binary_s8_op *op, const md_lower *lo)
{
    float as = md_lower__scalar_f(lo, 1, 1.0f);
    float bs = md_lower__scalar_f(lo, 4, 1.0f);
    float ys = md_lower__scalar_f(lo, 6, 1.0f);

    op->mul = strcmp(lo->node->op, "QLinearMul") == 0;
    op->a_signed = lo->in[0]->dtype == MD_DTYPE_I8;
    op->b_signed = lo->in[3]->dtype == MD_DTYPE_I8;
    op->a_zero = md_lower__scalar_i(lo, 2, 0);
    op->b_zero = md_lower__scalar_i(lo, 5, 0);
    op->a_mult = op->mul ? as * bs / ys : as / ys;
    op->b_mult = bs / ys;
    op->zero = md_lower__scalar_i(lo, 7, 0);
    md_fused_clamp(lo->fused, ys, op->zero, lo->out[0]->dtype, &op->q_min,
                   &op->q_max);
}

static md_status lower(md_lower *lo, md_error *err)
{
    static const uint32_t constants[] = { 1, 2, 4, 5, 6, 7 };
    state *s;

    if (lo->node->n_in < 8 || lo->cin[0] || lo->cin[3] ||
        md_dtype_bits(lo->in[0]->dtype) != 8 ||
        md_dtype_bits(lo->in[3]->dtype) != 8 ||
        !same_dims(lo->in[0], lo->in[3]))
        return md_fail(err, MD_UNSUPPORTED,
                       "needs 8-bit operands of one shape");
    for (size_t i = 0; i < MD_COUNT(constants); i++) {
        if (!lo->cin[constants[i]] || md_tensor_n(lo->cin[constants[i]]) != 1)
            return md_fail(err, MD_UNSUPPORTED, "scales are no constants");
    }
    MD_TRY(md_lower__state(lo, (void *)&s, sizeof(*s), err));
    set_op(&s->op, lo);
    s->kernel = md_binary_s8_select(lo->cpu);
    lo->kernel = s->kernel->name;
    if (lo->have[0] == MD_LAYOUT_NC16 || lo->have[3] == MD_LAYOUT_NC16) {
        s->blocked = true;
        lo->want[0] = lo->want[3] = lo->give[0] = MD_LAYOUT_NC16;
    }
    return MD_OK;
}

static md_status plan(md_step *st, int width, md_arena *arena, md_error *err)
{
    const state *s = st->state;
    md_shape y = st->out_shape[0];
    const int64_t one = 1;
    int64_t total;
    md_binary_s8_args *g;

    if (!md_shape_equal(&st->in_shape[0], &st->in_shape[3]))
        return md_fail(err, MD_INVALID, "sizes of one name differ");
    MD_TRY(md_step__args(st, arena, (void *)&g, sizeof(*g), err));
    if (s->blocked)
        y.dim[1] = md_div_up(y.dim[1], MD_BLOCK) * MD_BLOCK;
    total = md_shape_n(&y);
    g->kernel = s->kernel;
    g->op = s->op;
    md_broadcast_init(&g->shape, 1, &total, &one, &one);
    md_broadcast_share(&g->shape, width);
    st->n_chunks = md_broadcast_n_chunks(&g->shape);
    return MD_OK;
}

static void run(const md_step *st, int64_t chunk, void *scratch)
{
    md_binary_s8_args g = *(const md_binary_s8_args *)st->args;

    (void)scratch;
    g.a = st->in[0];
    g.b = st->in[3];
    g.y = st->out[0];
    md_binary_s8_run(&g, chunk);
}

static int inplace(const md_node *n)
{
    (void)n;
    return 0;
}

const md_fast md_fast_qlinear_binary = { lower, plan, run, NULL, inplace };
