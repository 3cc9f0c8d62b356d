#include <assert.h>
#include <string.h>

#include "ops/common/data.h"
#include "ops/common/elementwise.h"
#include "ops/grad.h"

/* Types of whole bytes. */
#define TYPES                                                                  \
    (MD_TYPES_NUMBER | MD_T(BOOL) | MD_T(STRING) | MD_T(C64) | MD_T(C128))

static md_status infer(const md_infer *c, md_error *err)
{
    md_type t = { 0 };

    MD_TRY(md_infer__need(c, 0, MD_T(BOOL), err));
    MD_TRY(md_infer__need(c, 1, TYPES, err));
    MD_TRY(md_infer__need(c, 2, TYPES, err));
    MD_TRY(md_infer__same_dtype(c, 1, 2, err));
    MD_TRY(md_infer__broadcast(c, &t, c->in[0], c->in[1], err));
    MD_TRY(md_infer__broadcast(c, &t, &t, c->in[2], err));
    t.dtype = c->in[1]->dtype ? c->in[1]->dtype : c->in[2]->dtype;
    md_infer__give(c, 0, &t);
    return MD_OK;
}

/* A row of elements of `size` bytes from a where c holds, else from b. */
static void pick_row(char *to, const md_rows *r, const uint8_t *c,
                     const char *a, const char *b, int64_t size)
{
    int64_t step_c = r->step[0];
    int64_t step_a = r->step[1] * size, step_b = r->step[2] * size;

    /* With a size known to the compiler the copy is a load and a store. */
#define PICK(constant)                                                         \
    case constant:                                                             \
        for (int64_t i = 0; i < r->n; i++)                                     \
            memcpy(to + i * (constant),                                        \
                   c[i * step_c] ? a + i * step_a : b + i * step_b, constant); \
        break;
    switch (size) {
        PICK(1)
        PICK(2)
        PICK(4)
        PICK(8)
        PICK(16)
    default:
        assert(false); /* no type has elements of another size */
    }
#undef PICK
}

typedef struct job {
    md_tensor *out;
    const md_tensor *const *in;
} job;

static void pick_rows(void *ctx, int64_t from, int64_t to)
{
    const job *j = ctx;
    int64_t size = md_dtype_bits(j->out->dtype) / 8;
    md_rows r;

    md_rows__begin(&r, &j->out->shape, 3, j->in);
    md_rows__seek(&r, from);
    while (r.row + 1 < to && md_rows__next(&r))
        pick_row((char *)j->out->data + r.row * r.n * size, &r,
                 (const uint8_t *)j->in[0]->data + r.at[0],
                 (const char *)j->in[1]->data + r.at[1] * size,
                 (const char *)j->in[2]->data + r.at[2] * size, size);
}

static md_status compute(md_exec *x, md_tensor *out, md_arena *ar,
                         md_error *err)
{
    int rank = out->shape.rank;
    int64_t n = rank > 0 ? out->shape.dim[rank - 1] : 1;

    (void)ar;
    (void)err;
    md_exec__share(x, md_tensor_n(out) / n, 10.0 + (double)n, pick_rows,
                   &(job){ out, x->in });
    return MD_OK;
}

static md_status run(md_exec *x, md_error *err)
{
    return md_exec__single(x, infer, compute, err);
}

static void grad(md_grad *g)
{
    md_part which = md_grad_in(g, 0), dy = md_grad_of(g, 0);
    md_part zero = md_grad_num(g, dy, 0);

    if (md_grad_wants(g, 1))
        md_grad_give_sum(g, 1, md_grad_where(g, which, dy, zero));
    if (md_grad_wants(g, 2))
        md_grad_give_sum(g, 2, md_grad_where(g, which, zero, dy));
}

const md_op md_op_where = {
    .domain = "",
    .name = "Where",
    .since = 9,
    .in_min = 3,
    .in_max = 3,
    .out_min = 1,
    .out_max = 1,
    .flags = MD_OP_SYMBOLIC,
    .infer = infer,
    .run = run,
    .data = md_data__moves_1_2,
    .grad = grad,
};
