#include <string.h>

#include "ops/common/util.h"
#include "ops/grad.h"

static md_status infer(const md_infer *c, md_error *err)
{
    MD_TRY(md_infer__need(c, 0, MD_TYPES_NUMBER | MD_T(BOOL), err));
    MD_TRY(md_infer__may(c, 1, MD_T(I64), err));
    MD_TRY(md_infer__rank(c, 0, 2, MD_RANK_MAX, err));
    if (md_infer_has(c, 1))
        MD_TRY(md_infer__length(c, c->in[1], MD_DIM(1), "k", err));
    md_infer__give(c, 0, c->in[0]);
    return MD_OK;
}

/* What is kept of a row: the columns [*from, *end). */
static void kept(int64_t *from, int64_t *end, bool upper, int64_t diagonal,
                 int64_t cols)
{
    int64_t at = upper ? diagonal : diagonal + 1;

    at = at < 0 ? 0 : at > cols ? cols : at;
    *from = upper ? at : 0;
    *end = upper ? cols : at;
}

typedef struct job {
    md_tensor *out;
    const md_tensor *in;
    bool upper;
    int64_t k;
} job;

/* Rows [from, to) of all matrices. */
static void copy_part(void *ctx, int64_t from, int64_t to)
{
    const job *j = ctx;
    const md_shape *s = &j->out->shape;
    int64_t rows = s->dim[s->rank - 2], cols = s->dim[s->rank - 1];
    size_t size = md_dtype_bits(j->out->dtype) / 8;

    for (int64_t row = from; row < to; row++) {
        char *y = (char *)j->out->data + (size_t)(row * cols) * size;
        const char *x = (const char *)j->in->data + (size_t)(row * cols) * size;
        int64_t first, end;

        kept(&first, &end, j->upper, row % rows + j->k, cols);
        memset(y, 0, (size_t)first * size);
        memcpy(y + (size_t)first * size, x + (size_t)first * size,
               (size_t)(end - first) * size);
        memset(y + (size_t)end * size, 0, (size_t)(cols - end) * size);
    }
}

static md_status compute(md_exec *x, md_tensor *out, md_arena *ar,
                         md_error *err)
{
    const md_shape *s = &out->shape;
    int64_t rows = s->dim[s->rank - 2], cols = s->dim[s->rank - 1];
    job j = { .out = out,
              .in = x->in[0],
              .upper = md_node_attr_i(x->node, "upper", 1) != 0,
              .k = md_exec_has(x, 1) ? md_tensor_get_i64(x->in[1], 0) : 0 };

    (void)ar;
    (void)err;
    j.k = j.k > cols ? cols : j.k < -rows ? -rows : j.k;
    md_exec__share(x, md_tensor_n(out) / cols, 5.0 + (double)cols / 2.0,
                   copy_part, &j);
    return MD_OK;
}

static md_status run(md_exec *x, md_error *err)
{
    return md_exec__single(x, infer, compute, err);
}

static void grad(md_grad *g)
{
    static const char *const keep[] = { "upper", NULL };

    md_grad_give(g, 0,
                 MD_GRAD_STEP(g, .op = "Trilu",
                              .in = { md_grad_of(g, 0), md_grad_in(g, 1) },
                              .n_in = 2, .keep = keep));
}

const md_op md_op_trilu = {
    .domain = "",
    .name = "Trilu",
    .since = 14,
    .in_min = 1,
    .in_max = 2,
    .out_min = 1,
    .out_max = 1,
    .flags = MD_OP_SYMBOLIC,
    .infer = infer,
    .run = run,
    .grad = grad,
};
