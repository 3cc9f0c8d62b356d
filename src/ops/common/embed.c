#include "ops/common/embed.h"

#include <assert.h>

#include "ops/common/skip_norm.h"

/* --- inference --------------------------------------------------------- */

static md_status check_ids(const md_infer *c, uint32_t i, bool may_be_one,
                           md_error *err)
{
    const md_type *ids = c->in[MD_EMBED_IDS], *t;

    MD_TRY(md_infer__may(c, i, MD_T(I32), err));
    MD_TRY(md_infer__rank(c, i, 2, 2, err));
    if (!md_infer_has(c, i))
        return MD_OK;
    t = c->in[i];
    for (int d = 0; d < 2 && t->has_rank && ids->has_rank; d++) {
        if (d == 0 && may_be_one)
            MD_TRY(md_infer__spreads(c, t->dim[0], ids->dim[0], err));
        else
            MD_TRY(md_infer__must_equal(c, t->dim[d], ids->dim[d],
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
    for (uint32_t i = MD_EMBED_WORDS; i <= MD_EMBED_BETA; i++) {
        bool vector = i >= MD_EMBED_GAMMA;
        md_dim d;

        if (i == MD_EMBED_SEGMENT_TABLE && !md_infer_has(c, i))
            continue;
        MD_TRY(md_infer__need(c, i, types, err));
        MD_TRY(md_infer__same_dtype(c, MD_EMBED_WORDS, i, err));
        MD_TRY(md_infer__rank(c, i, vector ? 1 : 2, vector ? 1 : 2, err));
        if (!c->in[i]->has_rank)
            continue;
        d = c->in[i]->dim[vector ? 0 : 1];
        MD_TRY(md_infer__must_equal(c, d, *width, "the width of a table", err));
        if (md_dim_is_const(d) || i == MD_EMBED_WORDS)
            *width = d;
    }
    if (md_infer_has(c, MD_EMBED_SEGMENT_TABLE) !=
        md_infer_has(c, MD_EMBED_SEGMENTS))
        return md_fail(err, MD_INVALID,
                       "segment ids and their table go together, one is "
                       "missing");
    return MD_OK;
}

static md_status check_scales(const md_infer *c, md_error *err)
{
    for (uint32_t k = 0; k < 5; k++) {
        bool segment = k + MD_EMBED_WORDS == MD_EMBED_SEGMENT_TABLE;

        if (segment && !md_infer_has(c, MD_EMBED_SEGMENT_TABLE))
            continue;
        MD_TRY(md_infer__need(c, MD_EMBED_SCALES + k, MD_T(F32), err));
        MD_TRY(md_infer__need(c, MD_EMBED_ZEROS + k, MD_TYPES_Q8, err));
        MD_TRY(
            md_infer__same_dtype(c, MD_EMBED_WORDS, MD_EMBED_ZEROS + k, err));
        MD_TRY(md_infer__length(c, c->in[MD_EMBED_SCALES + k], MD_DIM(1),
                                "a scale", err));
        MD_TRY(md_infer__length(c, c->in[MD_EMBED_ZEROS + k], MD_DIM(1),
                                "a zero point", err));
    }
    return MD_OK;
}

md_status md_embed__infer(const md_infer *c, const md_embed *f, md_error *err)
{
    const md_type *ids = c->in[MD_EMBED_IDS];
    md_type y, n = { .dtype = MD_DTYPE_I32 };
    md_dim width;

    MD_TRY(md_infer__need(c, MD_EMBED_IDS, MD_T(I32), err));
    MD_TRY(md_infer__rank(c, MD_EMBED_IDS, 2, 2, err));
    MD_TRY(check_ids(c, MD_EMBED_SEGMENTS, false, err));
    MD_TRY(check_ids(c, MD_EMBED_MASK, false, err));
    if (!f->quantized)
        MD_TRY(check_ids(c, MD_EMBED_POSITION_IDS, true, err));
    MD_TRY(check_tables(c, f, &width, err));
    if (f->quantized)
        MD_TRY(check_scales(c, err));
    y = (md_type){ .dtype = f->quantized ? MD_DTYPE_F32
                                         : md_infer__dtype(c, MD_EMBED_WORDS) };
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
    scale = md_tensor_get_f64(x->in[MD_EMBED_SCALES + i - MD_EMBED_WORDS], 0);
    zero = md_tensor_get_f64(x->in[MD_EMBED_ZEROS + i - MD_EMBED_WORDS], 0);
    for (int64_t k = 0; k < n; k++)
        out[k] = (out[k] - zero) * scale;
}

static md_status check_row(int64_t id, int64_t rows, int input, md_error *err)
{
    if (id >= 0 && id < rows)
        return MD_OK;
    return md_fail(err, MD_INVALID,
                   "an id is %lld, 0 to %lld expected by input %d",
                   (long long)id, (long long)rows - 1, input);
}

md_status md_embed__check_rows(const md_embed_rows *r, int64_t n, md_error *err)
{
    assert(r->ids || n == 0);
    for (int64_t t = 0; t < n; t++) {
        MD_TRY(check_row(r->ids[t], r->n_words, MD_EMBED_WORDS, err));
        MD_TRY(check_row(md_embed__position(r, t), r->n_positions,
                         MD_EMBED_POSITIONS, err));
        if (r->segments)
            MD_TRY(check_row(r->segments[t], r->n_segments,
                             MD_EMBED_SEGMENT_TABLE, err));
    }
    return MD_OK;
}

void md_embed__count(int32_t *out, const int32_t *mask, int64_t rows, int64_t n)
{
    for (int64_t b = 0; b < rows; b++) {
        out[b] = 0;
        for (int64_t i = 0; mask && i < n; i++)
            out[b] += mask[b * n + i] == 1;
    }
}

/* Row `id` of table i added to sum. */
static void add_row(const md_exec *x, const md_embed *f, double *sum,
                    double *row, uint32_t i, int64_t id)
{
    int64_t n = x->in[i]->shape.dim[1];

    load(x, f, row, i, id * n, n);
    for (int64_t k = 0; k < n; k++)
        sum[k] += row[k];
}

static const int32_t *ints(const md_exec *x, uint32_t i)
{
    const md_tensor *t = input(x, i);

    return t ? t->data : NULL;
}

static md_embed_rows rows_of(const md_exec *x, const md_embed *f)
{
    const md_tensor *p = f->quantized ? NULL : input(x, MD_EMBED_POSITION_IDS);
    const md_tensor *s = input(x, MD_EMBED_SEGMENT_TABLE);

    return (md_embed_rows){ .ids = ints(x, MD_EMBED_IDS),
                            .segments = ints(x, MD_EMBED_SEGMENTS),
                            .positions = p ? p->data : NULL,
                            .again = p && p->shape.dim[0] == 1,
                            .length = x->in[MD_EMBED_IDS]->shape.dim[1],
                            .n_words = x->in[MD_EMBED_WORDS]->shape.dim[0],
                            .n_positions =
                                x->in[MD_EMBED_POSITIONS]->shape.dim[0],
                            .n_segments = s ? s->shape.dim[0] : 0 };
}

static md_status compute(md_exec *x, const md_embed *f, md_tensor *const *out,
                         md_arena *ar, md_error *err)
{
    int64_t tokens = md_tensor_n(x->in[MD_EMBED_IDS]);
    int64_t n = md_tensor_n(x->in[MD_EMBED_GAMMA]);
    double epsilon = md_node_attr_f(x->node, "epsilon", 1e-12f), mean, inv;
    double *gamma, *beta, *sum, *row;
    const md_embed_rows r = rows_of(x, f);

    MD_TRY(md_exec__scratch(&gamma, ar, n, sizeof(double), err));
    MD_TRY(md_exec__scratch(&beta, ar, n, sizeof(double), err));
    MD_TRY(md_exec__scratch(&sum, ar, n, sizeof(double), err));
    MD_TRY(md_exec__scratch(&row, ar, n, sizeof(double), err));
    load(x, f, gamma, MD_EMBED_GAMMA, 0, n);
    load(x, f, beta, MD_EMBED_BETA, 0, n);
    MD_TRY(md_embed__check_rows(&r, tokens, err));
    assert(r.ids || tokens == 0);
    for (int64_t t = 0; t < tokens; t++) {
        for (int64_t k = 0; k < n; k++)
            sum[k] = 0.0;
        add_row(x, f, sum, row, MD_EMBED_WORDS, r.ids[t]);
        add_row(x, f, sum, row, MD_EMBED_POSITIONS, md_embed__position(&r, t));
        if (r.segments)
            add_row(x, f, sum, row, MD_EMBED_SEGMENT_TABLE, r.segments[t]);
        if (out[2])
            md_store_f64(out[2], t * n, sum, n);
        md_skip_norm__row(sum, n, gamma, beta, epsilon, false, &mean, &inv);
        if (out[0])
            md_store_f64(out[0], t * n, sum, n);
    }
    if (out[1])
        md_embed__count(out[1]->data, ints(x, MD_EMBED_MASK),
                        md_tensor_n(out[1]), r.length);
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
