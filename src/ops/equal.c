#include <string.h>

#include "ops/common/data.h"
#include "ops/common/elementwise.h"

static const md_binary binary = {
    .types = MD_TYPES_NUMBER | MD_T(BOOL) | MD_T(STRING),
    .op = MD_VBINARY_EQ,
    .result = MD_DTYPE_BOOL,
};

static bool same_string(md_str a, md_str b)
{
    return a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0);
}

static void compare_strings(md_tensor *out, const md_tensor *const *in)
{
    const md_str *a = in[0]->data;
    const md_str *b = in[1]->data;
    bool *o = out->data;
    md_rows r;

    md_rows__begin(&r, &out->shape, 2, in);
    while (md_rows__next(&r)) {
        for (int64_t i = 0; i < r.n; i++)
            o[r.row * r.n + i] = same_string(a[r.at[0] + i * r.step[0]],
                                             b[r.at[1] + i * r.step[1]]);
    }
}

static md_status infer(const md_infer *c, md_error *err)
{
    return md_binary__infer(c, &binary, err);
}

static md_status run(md_exec *x, md_error *err)
{
    md_tensor *out;

    if (!md_exec_has(x, 0) || x->in[0]->dtype != MD_DTYPE_STRING)
        return md_binary__run(x, &binary, infer, err);
    MD_TRY(md_exec__outputs(x, infer, &out, 1, err));
    if (out)
        compare_strings(out, x->in);
    return MD_OK;
}

const md_op md_op_equal = {
    .domain = "",
    .name = "Equal",
    .since = 1,
    .in_min = 2,
    .in_max = 2,
    .out_min = 1,
    .out_max = 1,
    .flags = MD_OP_SYMBOLIC,
    .infer = infer,
    .run = run,
    .data = md_data__equal,
};
