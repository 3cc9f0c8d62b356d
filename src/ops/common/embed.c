#include "ops/common/embed.h"

#include "ops/common/skip_norm.h"

enum { /* inputs */
    IN_IDS,
    IN_SEGMENTS,
    IN_WORDS, /* tables, then what they are scaled by */
    IN_POSITIONS,
    IN_SEGMENT_TABLE,
    IN_GAMMA,
    IN_BETA,
    IN_MASK,
    IN_POSITION_IDS, /* of codes: the scale of IN_WORDS, ... */
    IN_SCALES = IN_POSITION_IDS,
    IN_ZEROS = IN_SCALES + 5,
};

/* --- inference --------------------------------------------------------- */

static md_status check_ids(const md_infer *c, uint32_t i, bool may_be_one,
                           md_error *err)
{
    const md_type *ids = c->in[IN_IDS], *t;

    MD_TRY(md_infer__may(c, i, MD_T(I32), err));
    MD_TRY(md_infer__rank(c, i, 2, 2, err));
    if (!md_infer_has(c, i))
        return MD_OK;
    t = c->in[i];
    for (int d = 0; d < 2 && t->has_rank && ids->has_rank; d++) {
        if (d == 0 && may_be_one && md_dim_is_const(t->dim[0]) &&
            t->dim[0].k == 1)
            continue;
        MD_TRY(md_infer__same_dim(t->dim[d], ids->dim[d],
                                  "a dimension of ids or mask", err));
    }
    return MD_OK;
}

/* Tables have rows as long as gamma and beta. */
static md_status check_tables(const md_infer *c, const md_embed *f,
                              md_dim *width, md_error *err)
{
    uint32_t types = f->quantized ? MD_TYPES_Q8 : MD_T(F32) | MD_T(F16);

    MD_TRY(md_infer__fresh(c, width, err));
    for (uint32_t i = IN_WORDS; i <= IN_BETA; i++) {
        bool vector = i >= IN_GAMMA;
        md_dim d;

        if (i == IN_SEGMENT_TABLE && !md_infer_has(c, i))
            continue;
        MD_TRY(md_infer__need(c, i, types, err));
        MD_TRY(md_infer__same_dtype(c, IN_WORDS, i, err));
        MD_TRY(md_infer__rank(c, i, vector ? 1 : 2, vector ? 1 : 2, err));
        if (!c->in[i]->has_rank)
            continue;
        d = c->in[i]->dim[vector ? 0 : 1];
        MD_TRY(md_infer__same_dim(d, *width, "the width of a table", err));
        if (md_dim_is_const(d) || i == IN_WORDS)
            *width = d;
    }
    if (md_infer_has(c, IN_SEGMENT_TABLE) != md_infer_has(c, IN_SEGMENTS))
        return md_fail(err, MD_INVALID,
                       "segment ids and their table go together, one is "
                       "missing");
    return MD_OK;
}

static md_status check_scales(const md_infer *c, md_error *err)
{
    for (uint32_t k = 0; k < 5; k++) {
        bool segment = k + IN_WORDS == IN_SEGMENT_TABLE;

        if (segment && !md_infer_has(c, IN_SEGMENT_TABLE))
            continue;
        MD_TRY(md_infer__need(c, IN_SCALES + k, MD_T(F32), err));
        MD_TRY(md_infer__need(c, IN_ZEROS + k, MD_TYPES_Q8, err));
        MD_TRY(md_infer__same_dtype(c, IN_WORDS, IN_ZEROS + k, err));
        MD_TRY(
            md_infer__length(c->in[IN_SCALES + k], MD_DIM(1), "a scale", err));
        MD_TRY(md_infer__length(c->in[IN_ZEROS + k], MD_DIM(1), "a zero point",
                                err));
    }
    return MD_OK;
}

md_status md_embed__infer(const md_infer *c, const md_embed *f, md_error *err)
{
    const md_type *ids = c->in[IN_IDS];
    md_type y, n = { .dtype = MD_DTYPE_I32 };
    md_dim width;

    MD_TRY(md_infer__need(c, IN_IDS, MD_T(I32), err));
    MD_TRY(md_infer__rank(c, IN_IDS, 2, 2, err));
    MD_TRY(check_ids(c, IN_SEGMENTS, false, err));
    MD_TRY(check_ids(c, IN_MASK, false, err));
    if (!f->quantized)
        MD_TRY(check_ids(c, IN_POSITION_IDS, true, err));
    MD_TRY(check_tables(c, f, &width, err));
    if (f->quantized)
        MD_TRY(check_scales(c, err));
    y = (md_type){ .dtype = f->quantized ? MD_DTYPE_F32
                                         : md_infer__dtype(c, IN_WORDS) };
    if (ids->has_rank) {
        y.has_rank = n.has_rank = true;
        y.rank = 3;
        n.rank = 1;
        y.dim[0] = n.dim[0] = ids->dim[0];
        y.dim[1] = ids->dim[1];
        y.dim[2] = width;
    }
    md_infer__give(c, 0, &y);
    md_infer__give(c, 1, &n);
    md_infer__give(c, 2, &y);
    return MD_OK;
}

/* --- execution --------------------------------------------------------- */

static const md_tensor *input(const md_exec *x, uint32_t i)
{
    return md_exec_has(x, i) ? x->in[i] : NULL;
}

/* n elements of table i from `at` on, decoded where they are codes. */
static void load(const md_exec *x, const md_embed *f, double *out, uint32_t i,
                 int64_t at, int64_t n)
{
    double scale = 1.0, zero = 0.0;

    md_load_f64(out, x->in[i], at, n);
    if (!f->quantized)
        return;
    scale = md_tensor_get_f64(x->in[IN_SCALES + i - IN_WORDS], 0);
    zero = md_tensor_get_f64(x->in[IN_ZEROS + i - IN_WORDS], 0);
    for (int64_t k = 0; k < n; k++)
        out[k] = (out[k] - zero) * scale;
}

/* Row `id` of table i added to sum. */
static md_status add_row(const md_exec *x, const md_embed *f, double *sum,
                         double *row, uint32_t i, int64_t id, md_error *err)
{
    int64_t rows = x->in[i]->shape.dim[0], n = x->in[i]->shape.dim[1];

    if (id < 0 || id >= rows)
        return md_fail(err, MD_INVALID,
                       "an id is %lld, 0 to %lld expected by input %u",
                       (long long)id, (long long)rows - 1, (unsigned)i);
    load(x, f, row, i, id * n, n);
    for (int64_t k = 0; k < n; k++)
        sum[k] += row[k];
    return MD_OK;
}

static int64_t position_of(const md_exec *x, const md_embed *f, int64_t token)
{
    const int64_t *d = x->in[IN_IDS]->shape.dim;
    const md_tensor *p = f->quantized ? NULL : input(x, IN_POSITION_IDS);

    if (!p)
        return token % d[1];
    return md_tensor_get_i64(p, p->shape.dim[0] == 1 ? token % d[1] : token);
}

/* Words of each row: how many of its mask are 1. */
static void count_words(const md_exec *x, md_tensor *out)
{
    const md_tensor *mask = input(x, IN_MASK);
    int64_t n = x->in[IN_IDS]->shape.dim[1];

    for (int64_t b = 0; out && b < md_tensor_n(out); b++) {
        int64_t count = 0;

        for (int64_t i = 0; mask && i < n; i++)
            count += md_tensor_get_i64(mask, b * n + i) == 1;
        md_tensor_set_i64(out, b, count);
    }
}

static md_status compute(md_exec *x, const md_embed *f, md_tensor *const *out,
                         md_arena *ar, md_error *err)
{
    int64_t tokens = md_tensor_n(x->in[IN_IDS]);
    int64_t n = md_tensor_n(x->in[IN_GAMMA]);
    double epsilon = md_node_attr_f(x->node, "epsilon", 1e-12f), mean, inv;
    double *gamma, *beta, *sum, *row;

    MD_TRY(md_exec__scratch(&gamma, ar, n, sizeof(double), err));
    MD_TRY(md_exec__scratch(&beta, ar, n, sizeof(double), err));
    MD_TRY(md_exec__scratch(&sum, ar, n, sizeof(double), err));
    MD_TRY(md_exec__scratch(&row, ar, n, sizeof(double), err));
    load(x, f, gamma, IN_GAMMA, 0, n);
    load(x, f, beta, IN_BETA, 0, n);
    for (int64_t t = 0; t < tokens; t++) {
        for (int64_t k = 0; k < n; k++)
            sum[k] = 0.0;
        MD_TRY(add_row(x, f, sum, row, IN_WORDS,
                       md_tensor_get_i64(x->in[IN_IDS], t), err));
        MD_TRY(
            add_row(x, f, sum, row, IN_POSITIONS, position_of(x, f, t), err));
        if (input(x, IN_SEGMENTS))
            MD_TRY(add_row(x, f, sum, row, IN_SEGMENT_TABLE,
                           md_tensor_get_i64(x->in[IN_SEGMENTS], t), err));
        if (out[2])
            md_store_f64(out[2], t * n, sum, n);
        md_skip_norm__row(sum, n, gamma, beta, epsilon, false, &mean, &inv);
        if (out[0])
            md_store_f64(out[0], t * n, sum, n);
    }
    count_words(x, out[1]);
    return MD_OK;
}

md_status md_embed__run(md_exec *x, const md_embed *f, md_infer_fn *infer,
                        md_error *err)
{
    md_tensor *out[3];
    md_arena ar;
    md_status s;

    MD_TRY(md_exec__outputs(x, infer, out, 3, err));
    md_arena_init(&ar, x->alloc, 0);
    s = compute(x, f, out, &ar, err);
    md_arena_release(&ar);
    return s;
}
