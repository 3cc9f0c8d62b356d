/* Strings joined element by element, with broadcasting. */
#include <string.h>

#include "ops/common/elementwise.h"

static md_status infer(const md_infer *c, md_error *err)
{
    md_type t = { .dtype = MD_DTYPE_STRING };

    MD_TRY(md_infer__need(c, 0, MD_T(STRING), err));
    MD_TRY(md_infer__need(c, 1, MD_T(STRING), err));
    MD_TRY(md_infer__broadcast(c, &t, c->in[0], c->in[1], err));
    md_infer__give(c, 0, &t);
    return MD_OK;
}

/* Where one part is empty the result is the other one's bytes. */
static md_status join(md_str *out, md_str a, md_str b, md_arena *text,
                      md_error *err)
{
    size_t n;
    char *p;

    *out = a.n ? a : b;
    if (!a.n || !b.n)
        return MD_OK;
    if (!md_add_size(&n, a.n, b.n))
        return md_fail_nomem(err, SIZE_MAX);
    p = md_arena_alloc(text, n);
    if (!p)
        return md_fail_nomem(err, n);
    memcpy(p, a.p, a.n);
    memcpy(p + a.n, b.p, b.n);
    *out = (md_str){ p, n };
    return MD_OK;
}

static md_status compute(md_exec *x, md_tensor *out, md_arena *ar,
                         md_error *err)
{
    md_str *z = out->data;
    md_rows r;

    (void)ar;
    md_rows__begin(&r, &out->shape, 2, x->in);
    while (md_rows__next(&r)) {
        const md_str *a = (const md_str *)x->in[0]->data + r.at[0];
        const md_str *b = (const md_str *)x->in[1]->data + r.at[1];

        for (int64_t i = 0; i < r.n; i++)
            MD_TRY(join(&z[r.row * r.n + i], a[i * r.step[0]], b[i * r.step[1]],
                        x->text, err));
    }
    return MD_OK;
}

static md_status run(md_exec *x, md_error *err)
{
    return md_exec__single(x, infer, compute, err);
}

const md_op md_op_string_concat = {
    .domain = "",
    .name = "StringConcat",
    .since = 20,
    .in_min = 2,
    .in_max = 2,
    .out_min = 1,
    .out_max = 1,
    .infer = infer,
    .run = run,
};
