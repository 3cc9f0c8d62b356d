/* Elementwise operators of one float input: activations and functions.  Those
 * of float16 and bfloat16 are computed in float32, a block at a time. */
#include <float.h>
#include <math.h>
#include <string.h>

#include "base/size.h"
#include "kernels/unary_f32.h"
#include "kernels/vcast.h"
#include "ops/lower/common.h"

#define FLOATS (1u << MD_DTYPE_F32 | 1u << MD_DTYPE_F16 | 1u << MD_DTYPE_BF16)

typedef struct state {
    const md_unary_f32_kernel *kernel;
    bool is_act;
    md_act act;
    md_unary op;
    float a, b;
    md_layout layout;
    md_vcast_fn *widen, *narrow; /* of float16 and bfloat16; NULL: float32 */
} state;

/* Clip's bounds, from attributes (before opset 11) or constant inputs. */
static bool clip_bounds(const md_lower *lo, float *min, float *max)
{
    const md_node *n = lo->node;

    *min = md_node_attr_f(n, "min", -FLT_MAX);
    *max = md_node_attr_f(n, "max", FLT_MAX);
    for (uint32_t i = 1; i < n->n_in && i < 3; i++) {
        float *bound = i == 1 ? min : max;

        if (!lo->in[i])
            continue;
        if (!lo->cin[i] || md_tensor_n(lo->cin[i]) != 1)
            return false;
        *bound = (float)md_tensor_get_f64(lo->cin[i], 0);
    }
    return true;
}

/* Operators that are activations, with their parameters and defaults. */
static bool find_act(const md_lower *lo, state *s)
{
    static const struct {
        const char *op;
        md_act act;
        float alpha, beta;
    } rows[] = {
        { "Relu", MD_ACT_RELU, 0, 0 },
        { "Sigmoid", MD_ACT_SIGMOID, 0, 0 },
        { "Tanh", MD_ACT_TANH, 0, 0 },
        { "HardSwish", MD_ACT_HARD_SWISH, 0, 0 },
        { "LeakyRelu", MD_ACT_LEAKY_RELU, 0.01f, 0 },
        { "HardSigmoid", MD_ACT_HARD_SIGMOID, 0.2f, 0.5f },
        { "Clip", MD_ACT_CLIP, 0, 0 },
        { "Gelu", MD_ACT_GELU_ERF, 0, 0 },
        { "Swish", MD_ACT_SILU, 1, 0 },
    };
    const md_node *n = lo->node;

    for (size_t i = 0; i < MD_COUNT(rows); i++) {
        if (strcmp(n->op, rows[i].op) != 0)
            continue;
        s->act = rows[i].act;
        s->a = md_node_attr_f(n, "alpha", rows[i].alpha);
        s->b = md_node_attr_f(n, "beta", rows[i].beta);
        if (s->act == MD_ACT_GELU_ERF &&
            strcmp(md_node_attr_s(n, "approximate", "none"), "tanh") == 0)
            s->act = MD_ACT_GELU_TANH;
        if (s->act == MD_ACT_SILU && s->a != 1.0f)
            break; /* a function of the same name */
        return s->act != MD_ACT_CLIP || clip_bounds(lo, &s->a, &s->b);
    }
    return false;
}

static bool find_function(const md_lower *lo, state *s)
{
    const md_node *n = lo->node;

    for (int i = 0; i < MD_UNARY_COUNT; i++) {
        if (strcmp(n->op, md_unary_name((md_unary)i)) != 0)
            continue;
        s->op = (md_unary)i;
        s->a = md_node_attr_f(n, "alpha", 1.0f);
        if (s->op == MD_UNARY_SELU) {
            bool rounded = lo->opset < 6;

            s->a = md_node_attr_f(
                n, "alpha", rounded ? 1.6732f : 1.67326319217681884765625f);
            s->b = md_node_attr_f(
                n, "gamma", rounded ? 1.0507f : 1.05070102214813232421875f);
        }
        if (s->op == MD_UNARY_SHRINK) {
            s->a = md_node_attr_f(n, "lambd", 0.5f);
            s->b = md_node_attr_f(n, "bias", 0.0f);
        }
        return true;
    }
    return false;
}

/* Blocked input stays blocked when padding lanes stay zero. */
static bool keeps_padding(const md_lower *lo, const state *s)
{
    int64_t c = md_lower__dim(lo, 0, 1);
    float zero = s->is_act ? md_act_apply(s->act, s->a, s->b, 0.0f)
                           : md_unary_apply(s->op, s->a, s->b, 0.0f);

    return zero == 0.0f || (c > 0 && c % MD_BLOCK == 0);
}

static md_status lower(md_lower *lo, md_error *err)
{
    md_vcast_find *cast = md_vcast_select(lo->cpu)->find;
    md_dtype type = lo->in[0] ? lo->in[0]->dtype : MD_DTYPE_NONE;
    state *s;

    if (!(FLOATS >> type & 1) || !md_lower__may_be(lo, 0, type, -1))
        return md_fail(err, MD_UNSUPPORTED, "needs float32, float16, bfloat16");
    MD_TRY(md_lower__state(lo, (void *)&s, sizeof(*s), err));
    if (type != MD_DTYPE_F32) {
        s->widen = cast(MD_DTYPE_F32, type);
        s->narrow = cast(type, MD_DTYPE_F32);
    }
    s->is_act = find_act(lo, s);
    if (!s->is_act && !find_function(lo, s))
        return md_fail(err, MD_UNSUPPORTED, "no kernel for these parameters");
    s->kernel = md_unary_f32_select(lo->cpu);
    lo->kernel = s->kernel->name;
    if (lo->have[0] == MD_LAYOUT_NC16 && keeps_padding(lo, s))
        s->layout = lo->want[0] = lo->give[0] = MD_LAYOUT_NC16;
    return MD_OK;
}

typedef struct args {
    int64_t total, step;
} args;

static md_status plan(md_step *st, int width, md_arena *arena, md_error *err)
{
    enum {
        STEP = 1 << 13
    };
    const state *s = st->state;
    md_shape x = st->in_shape[0];
    args *a;

    MD_TRY(md_step__args(st, arena, (void *)&a, sizeof(*a), err));
    if (s->layout == MD_LAYOUT_NC16)
        x.dim[1] = md_div_up(x.dim[1], MD_BLOCK) * MD_BLOCK;
    a->total = md_shape_n(&x);
    st->n_chunks =
        md_step__chunks(a->total / 2, md_div_up(a->total, STEP), width);
    a->step = md_div_up(a->total, st->n_chunks);
    return MD_OK;
}

static void apply(const state *s, float *y, const float *x, int64_t n)
{
    if (s->is_act)
        s->kernel->act(y, x, (size_t)n, s->act, s->a, s->b);
    else
        s->kernel->run(y, x, (size_t)n, s->op, s->a, s->b);
}

static void apply_halves(const state *s, uint16_t *y, const uint16_t *x,
                         int64_t n)
{
    enum {
        BLOCK = 1024
    };
    float v[BLOCK];

    for (int64_t i = 0; i < n; i += BLOCK) {
        int64_t m = md_min_i64(n - i, BLOCK);

        s->widen(v, x + i, (size_t)m);
        apply(s, v, v, m);
        s->narrow(y + i, v, (size_t)m);
    }
}

static void run(const md_step *st, int64_t chunk, void *scratch)
{
    const state *s = st->state;
    const args *a = st->args;
    int64_t at = chunk * a->step;
    int64_t n = md_min_i64(a->total - at, a->step);

    (void)scratch;
    if (n <= 0)
        return;
    if (s->widen)
        apply_halves(s, (uint16_t *)st->out[0] + at,
                     (const uint16_t *)st->in[0] + at, n);
    else
        apply(s, (float *)st->out[0] + at, (const float *)st->in[0] + at, n);
}

static int inplace(const md_node *n)
{
    (void)n;
    return 0;
}

const md_fast md_fast_unary = { lower, plan, run, NULL, inplace };
