/* The result has the base's type; with integers on both
 * sides it is exact, wrapping, else a float's. */
#include <math.h>

#include "ops/common/elementwise.h"
#include "ops/grad.h"
#include "ops/lower.h"

/* x to the y by squaring, wrapping. */
static uint64_t raise_to(uint64_t x, uint64_t y)
{
    uint64_t r = 1;

    for (; y; y >>= 1) {
        if (y & 1)
            r *= x;
        x *= x;
    }
    return r;
}

/* A negative exponent truncates to 0 unless the base is 1 or -1. */
static int64_t power(int64_t x, int64_t y)
{
    if (y < 0)
        return x == 1 ? 1 : x == -1 ? (y % 2 ? -1 : 1) : 0;
    return (int64_t)raise_to((uint64_t)x, (uint64_t)y);
}

MD_ROW(row_f64, double, pow(x, y))
MD_ROW(row_i64, int64_t, power(x, y))
MD_ROW(row_u64, uint64_t, raise_to(x, y))

static const md_binary binary = {
    .types = MD_TYPES_NUMBER,
    .f = row_f64,
    .i = row_i64,
    .u = row_u64,
    .mixed = true,
};

static md_status infer(const md_infer *c, md_error *err)
{
    return md_binary__infer(c, &binary, err);
}

/* Squares of float64 are what most models of it ask for. */
static md_status run(md_exec *x, md_error *err)
{
    static const md_binary mul = { .op = MD_VBINARY_MUL };
    const md_tensor *a = x->in[0], *b = x->in[1];
    md_tensor *out;

    if (!a || !b || a->dtype != MD_DTYPE_F64 || md_tensor_n(b) != 1 ||
        md_tensor_get_f64(b, 0) != 2.0 || x->opset < 7)
        return md_binary__run(x, &binary, infer, err);
    MD_TRY(md_exec__outputs(x, infer, &out, 1, err));
    if (!out)
        return MD_OK;
    return md_binary__chain(x, out, a, &(md_link){ &mul, a }, 1, err);
}

static void grad(md_grad *g)
{
    md_part a = md_grad_in(g, 0), dy = md_grad_of(g, 0);
    md_part b = md_grad_cast(g, md_grad_in(g, 1), md_grad_type(g, a)->dtype);

    if (!md_grad_plain(g))
        return;
    if (md_grad_wants(g, 0)) {
        md_part less = md_grad_sub(g, b, md_grad_num(g, b, 1));

        md_grad_give_sum(
            g, 0,
            md_grad_mul(g, dy,
                        md_grad_mul(g, b, md_grad_2(g, "Pow", a, less))));
    }
    if (md_grad_wants(g, 1)) { /* log(a), which counts where a > 0 */
        md_part above = md_grad_2(g, "Greater", a, md_grad_num(g, a, 0));
        md_part log = md_grad_1(
            g, "Log", md_grad_where(g, above, a, md_grad_num(g, a, 1)));

        md_grad_give_sum(
            g, 1, md_grad_mul(g, dy, md_grad_mul(g, md_grad_out(g, 0), log)));
    }
}

const md_op md_op_pow = {
    .domain = "",
    .name = "Pow",
    .since = 1,
    .in_min = 2,
    .in_max = 2,
    .out_min = 1,
    .out_max = 1,
    .flags = MD_OP_INPLACE | MD_OP_SYMBOLIC,
    .infer = infer,
    .run = run,
    .fast = &md_fast_binary,
    .grad = grad,
};
