/* Inputs beside each other, each cut or filled with 0 to its number of
 * columns. */
#include "ops/common/ml.h"

/* Columns of input i in the output. */
static md_dim width(const md_infer *c, uint32_t i, md_dim cols)
{
    uint32_t n;
    const int64_t *dims = md_node_attr_is(c->node, "inputdimensions", &n);

    return n ? MD_DIM(dims[i]) : cols;
}

static md_status check_widths(const md_node *n, md_error *err)
{
    uint32_t count;
    const int64_t *dims = md_node_attr_is(n, "inputdimensions", &count);

    if (count)
        MD_TRY(md_ml__length(n, "inputdimensions", n->n_in, err));
    for (uint32_t i = 0; i < count; i++) {
        if (dims[i] < 0)
            return md_fail(err, MD_INVALID, "inputdimensions has the size %lld",
                           (long long)dims[i]);
    }
    return MD_OK;
}

static md_status infer(const md_infer *c, md_error *err)
{
    md_type t = { .dtype = MD_DTYPE_F32, .has_rank = true, .rank = 2 };

    MD_TRY(check_widths(c->node, err));
    t.dim[1] = MD_DIM(0);
    for (uint32_t i = 0; i < c->node->n_in; i++) {
        md_dim rows, cols;

        MD_TRY(md_infer__need(c, i, MD_TYPES_FEATURE, err));
        MD_TRY(md_infer__same_dtype(c, 0, i, err));
        MD_TRY(md_ml__table(c, i, &rows, &cols, err));
        if (i)
            MD_TRY(md_infer__must_equal(c, rows, t.dim[0],
                                        "the number of rows of an input", err));
        if (i == 0 || md_dim_is_const(rows))
            t.dim[0] = rows;
        MD_TRY(md_dim__add(c, &t.dim[1], t.dim[1], width(c, i, cols), err));
    }
    md_infer__give(c, 0, &t);
    return MD_OK;
}

/* Input i into the columns from `at` on; returns the next column. */
static int64_t place(const md_exec *x, md_tensor *out, uint32_t i, int64_t at)
{
    const md_tensor *in = x->in[i];
    uint32_t n;
    const int64_t *dims = md_node_attr_is(x->node, "inputdimensions", &n);
    int64_t have = in->shape.dim[in->shape.rank - 1];
    int64_t want = n ? dims[i] : have;
    int64_t rows = out->shape.dim[0], cols = out->shape.dim[1];
    int64_t both = have < want ? have : want;
    float *y = out->data;

    for (int64_t r = 0; r < rows; r++)
        md_load_f32(y + r * cols + at, in, r * have, both);
    return at + want;
}

static md_status compute(md_exec *x, md_tensor *out, md_arena *ar,
                         md_error *err)
{
    int64_t at = 0;

    (void)ar;
    (void)err;
    md_exec__zero(out);
    for (uint32_t i = 0; i < x->node->n_in; i++)
        at = place(x, out, i, at);
    return MD_OK;
}

static md_status run(md_exec *x, md_error *err)
{
    return md_exec__single(x, infer, compute, err);
}

const md_op md_op_ml_feature_vectorizer = {
    .domain = "ai.onnx.ml",
    .name = "FeatureVectorizer",
    .since = 1,
    .in_min = 1,
    .in_max = -1,
    .out_min = 1,
    .out_max = 1,
    .infer = infer,
    .run = run,
};
