/* Element types by opset version: what the standard allows is taken, what it
 * does not is refused. */
#include "support/test.h"

#include <stdio.h>
#include <string.h>

#include "base/size.h"
#include "ops/op.h"

enum {
    INPUTS_MAX = 16,
    NEWEST = 28
};

/* What the standard allows and no definition here takes: text has no sums and
 * no values between and no zero, float8 products no rule of rounding. */
static bool is_gap(const char *op, md_dtype type)
{
    static const struct {
        const char *op;
        md_dtype type;
    } gaps[] = {
        { "Col2Im", MD_DTYPE_BOOL },
        { "Col2Im", MD_DTYPE_STRING },
        { "GridSample", MD_DTYPE_STRING },
        { "NonZero", MD_DTYPE_STRING },
        { "QLinearMatMul", MD_DTYPE_F8E4M3FN },
        { "QLinearMatMul", MD_DTYPE_F8E4M3FNUZ },
        { "QLinearMatMul", MD_DTYPE_F8E5M2 },
        { "QLinearMatMul", MD_DTYPE_F8E5M2FNUZ },
        { "Resize", MD_DTYPE_BOOL },
        { "Resize", MD_DTYPE_STRING },
        { "Trilu", MD_DTYPE_STRING },
        { "Upsample", MD_DTYPE_STRING },
    };

    for (size_t i = 0; i < MD_COUNT(gaps); i++) {
        if (strcmp(gaps[i].op, op) == 0 && gaps[i].type == type)
            return true;
    }
    return false;
}

/* Inference of inputs of which only the type of input i is known. */
static md_status infer_with(const md_op *op, int64_t opset, uint32_t i,
                            md_dtype type, md_error *err)
{
    md_value_id ids[INPUTS_MAX] = { 0 };
    const md_type *in[INPUTS_MAX];
    const md_tensor *cin[INPUTS_MAX] = { NULL };
    md_type types[INPUTS_MAX] = { 0 }, out[INPUTS_MAX] = { 0 };
    uint32_t n =
        op->in_max < 0 ? (uint32_t)op->in_min + 2 : (uint32_t)op->in_max;
    md_node node = { .domain = "",
                     .op = op->name,
                     .in = ids,
                     .out = ids,
                     .n_in = n,
                     .n_out = (uint32_t)md_max_i64(op->out_min, 1) };
    md_infer c = { .node = &node, .opset = opset, .in = in, .cin = cin };

    c.out = out;
    for (uint32_t k = 0; k < n; k++)
        in[k] = &types[k];
    types[i].dtype = type;
    return md_op_infer(op, &c, err);
}

/* The message that only the type of input i can cause. */
static bool is_refused(const md_op *op, int64_t opset, uint32_t i,
                       md_dtype type)
{
    md_error err = MD_ERROR_INIT;
    char want[128];

    snprintf(want, sizeof(want), "input %u has element type %s, which",
             (unsigned)i, md_dtype_name(type));
    return infer_with(op, opset, i, type, &err) != MD_OK &&
           strstr(err.msg, want) != NULL;
}

static int count_faults(const md_op *op, int64_t opset, uint32_t i)
{
    uint32_t types = md_op_types(op->name, opset, i);
    int n_faults = 0;

    for (int t = 1; t < MD_DTYPE_N; t++) {
        bool allowed = types >> t & 1;

        if (!types || !md_dtype_is_valid(t) || t == MD_DTYPE_C64 ||
            t == MD_DTYPE_C128 || is_gap(op->name, (md_dtype)t) ||
            is_refused(op, opset, i, (md_dtype)t) != allowed)
            continue;
        print_error("%s-%d: input %u of %s is %s\n", op->name, (int)opset,
                    (unsigned)i, md_dtype_name((md_dtype)t),
                    allowed ? "refused" : "taken");
        n_faults++;
    }
    return n_faults;
}

static void test_types__as_the_standard_says(void **state)
{
    int n_faults = 0;

    (void)state;
    for (const md_op *const *op = md_op_list(); *op; op++) {
        int last = (*op)->until ? (*op)->until : NEWEST;
        uint32_t n = (*op)->in_max < 0 ? (uint32_t)(*op)->in_min + 2
                                       : (uint32_t)(*op)->in_max;

        for (int v = (*op)->since; !(*op)->domain[0] && v <= last; v++) {
            for (uint32_t i = 0; i < n; i++)
                n_faults += count_faults(*op, v, i);
        }
    }
    assert_int_equal(n_faults, 0);
}

static void test_types__are_named(void **state)
{
    md_error err = MD_ERROR_INIT;

    (void)state;
    assert_md_fails(
        infer_with(md_op_find("", "Clip", 13), 7, 0, MD_DTYPE_I16, &err),
        MD_INVALID, &err,
        "input 0 has element type int16, which Clip does not take "
        "in opset 7, float32, float16, float64 expected");
    assert_md_fails(
        infer_with(md_op_find("", "Equal", 13), 13, 0, MD_DTYPE_STRING, &err),
        MD_INVALID, &err, "uint32, uint64, ... expected");
}

static void test_types__of_more_inputs_than_the_standard_lists(void **state)
{
    (void)state;
    assert_int_equal(md_op_types("Sum", 13, 40), md_op_types("Sum", 13, 0));
    assert_int_equal(md_op_types("Clip", 12, 2), md_op_types("Clip", 12, 1));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_types__as_the_standard_says),
        cmocka_unit_test(test_types__are_named),
        cmocka_unit_test(test_types__of_more_inputs_than_the_standard_lists),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
