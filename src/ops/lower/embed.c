/*
 * EmbedLayerNormalization (com.microsoft) of float32: the rows of a token are
 * added and, while the sum is in the cache, normalized.  That the tables have
 * the rows is looked at before each run.
 */
#include "ops/common/embed.h"

#include "kernels/binary_f32.h"
#include "kernels/norm_f32.h"
#include "ops/lower/common.h"

enum { /* outputs */
    OUT_Y,
    OUT_COUNTS,
    OUT_SUM
};

typedef struct state {
    const md_binary_f32_kernel *binary;
    const md_norm_f32_kernel *norm;
    float eps;
} state;

typedef struct args {
    int64_t tokens, n;
    int64_t step; /* tokens of a chunk */
} args;

static md_status lower(md_lower *lo, md_error *err)
{
    state *s;

    for (uint32_t i = MD_EMBED_WORDS; i <= MD_EMBED_BETA; i++) {
        if (lo->in[i] && !md_lower__is(lo, i, MD_DTYPE_F32, -1))
            return md_fail(err, MD_UNSUPPORTED, "needs float32");
    }
    MD_TRY(md_lower__state(lo, (void *)&s, sizeof(*s), err));
    s->eps = md_node_attr_f(lo->node, "epsilon", 1e-12f);
    s->binary = md_binary_f32_select(lo->cpu);
    s->norm = md_norm_f32_select(lo->cpu);
    lo->kernel = s->norm->name;
    return MD_OK;
}

static void *input(const md_step *st, uint32_t i)
{
    return i < st->node->n_in ? st->in[i] : NULL;
}

static void *output(const md_step *st, uint32_t i)
{
    return i < st->node->n_out && st->node->out[i] != MD_VALUE_NONE ? st->out[i]
                                                                    : NULL;
}

static md_embed_rows rows_of(const md_step *st)
{
    const int32_t *positions = input(st, MD_EMBED_POSITION_IDS);
    const int32_t *segments = input(st, MD_EMBED_SEGMENTS);

    return (md_embed_rows){
        .ids = st->in[MD_EMBED_IDS],
        .segments = segments,
        .positions = positions,
        .again = positions && st->in_shape[MD_EMBED_POSITION_IDS].dim[0] == 1,
        .length = st->in_shape[MD_EMBED_IDS].dim[1],
        .n_words = st->in_shape[MD_EMBED_WORDS].dim[0],
        .n_positions = st->in_shape[MD_EMBED_POSITIONS].dim[0],
        .n_segments = segments ? st->in_shape[MD_EMBED_SEGMENT_TABLE].dim[0] : 0
    };
}

static md_status check(const md_step *st, md_error *err)
{
    const args *a = st->args;
    const md_embed_rows r = rows_of(st);

    return md_embed__check_rows(&r, a->tokens, err);
}

static md_status plan(md_step *st, int width, md_arena *arena, md_error *err)
{
    enum {
        COST = 2 /* of an element, by 4: two or three sums and a row's norm */
    };
    args *a;

    MD_TRY(md_step__args(st, arena, (void *)&a, sizeof(*a), err));
    a->tokens = md_shape_n(&st->in_shape[MD_EMBED_IDS]);
    a->n = st->in_shape[MD_EMBED_GAMMA].dim[0];
    st->check = check;
    st->n_chunks = md_step__chunks(a->tokens * a->n / 4 * COST,
                                   md_max_i64(a->tokens, 1), width);
    a->step = md_div_up(a->tokens, st->n_chunks);
    st->scratch_size = (size_t)a->n * sizeof(float);
    return MD_OK;
}

/* sum = a + b, rows of the tables. */
static void add(const state *s, float *sum, const float *a, const float *b,
                int64_t n)
{
    static const md_binary_op op = { .op = MD_BINARY_ADD };

    s->binary->run(sum, a, b, (size_t)n, 1, 1, &op);
}

static void run_token(const md_step *st, const md_embed_rows *r, int64_t t,
                      float *scratch)
{
    const state *s = st->state;
    const int64_t n = ((const args *)st->args)->n;
    float *y = output(st, OUT_Y), *sum = output(st, OUT_SUM);

    sum = sum ? sum + t * n : y ? y + t * n : scratch;
    add(s, sum, (const float *)st->in[MD_EMBED_WORDS] + r->ids[t] * n,
        (const float *)st->in[MD_EMBED_POSITIONS] +
            md_embed__position(r, t) * n,
        n);
    if (r->segments)
        add(s, sum, sum,
            (const float *)st->in[MD_EMBED_SEGMENT_TABLE] + r->segments[t] * n,
            n);
    if (y)
        s->norm->run(&(md_norm_f32_args){ .y = y + t * n,
                                          .x = sum,
                                          .rows = 1,
                                          .n = n,
                                          .span = 1,
                                          .scale = st->in[MD_EMBED_GAMMA],
                                          .bias = st->in[MD_EMBED_BETA],
                                          .eps = s->eps,
                                          .kind = MD_NORM_LAYER });
}

static void run(const md_step *st, int64_t chunk, void *scratch)
{
    const args *a = st->args;
    const md_embed_rows r = rows_of(st);
    const int64_t end = md_min_i64((chunk + 1) * a->step, a->tokens);
    int32_t *counts = output(st, OUT_COUNTS);

    for (int64_t t = chunk * a->step; t < end && a->n > 0; t++)
        run_token(st, &r, t, scratch);
    if (counts && chunk == 0)
        md_embed__count(counts, input(st, MD_EMBED_MASK),
                        st->in_shape[MD_EMBED_IDS].dim[0], r.length);
}

const md_fast md_fast_embed = { lower, plan, run, NULL, NULL };
