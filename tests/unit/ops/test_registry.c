#include "support/test.h"

#include <stdio.h>
#include <string.h>

#include "ops/op.h"

extern const md_op md_op_concat, md_op_conv, md_op_gelu, md_op_ms_gelu;

static void test_registry__finds_by_domain_name_and_opset(void **state)
{
    (void)state;
    assert_ptr_equal(md_op_find("", "Conv", 13), &md_op_conv);
    assert_ptr_equal(md_op_find("ai.onnx", "Conv", 13), &md_op_conv);
    assert_ptr_equal(md_op_find("", "Gelu", 20), &md_op_gelu);
    assert_ptr_equal(md_op_find("com.microsoft", "Gelu", 1), &md_op_ms_gelu);
    assert_null(md_op_find("", "Gelu", 19)); /* not yet */
    assert_non_null(md_op_find("", "Upsample", 9));
    assert_null(md_op_find("", "Upsample", 10)); /* no more */
    assert_null(md_op_find("", "conv", 13));
    assert_null(md_op_find("", "", 13));
    assert_null(md_op_find("org.example", "Conv", 13));
}

static void test_registry__rows_are_complete(void **state)
{
    const md_op *const *list = md_op_list();

    (void)state;
    assert_non_null(list[0]);
    for (size_t i = 0; list[i]; i++) {
        const md_op *op = list[i];

        assert_non_null(op->infer);
        assert_non_null(op->run);
        assert_true(op->since >= 1);
        assert_true(op->until == 0 || op->until >= op->since);
        assert_true(op->in_max < 0 || op->in_max >= op->in_min);
        assert_true(op->out_max < 0 || op->out_max >= op->out_min);
        assert_ptr_equal(md_op_find(op->domain, op->name, op->since), op);
    }
}

/* No two rows claim one version of one operator. */
static void test_registry__versions_do_not_overlap(void **state)
{
    const md_op *const *list = md_op_list();

    (void)state;
    for (size_t i = 0; list[i]; i++) {
        for (size_t k = i + 1; list[k]; k++) {
            bool same = strcmp(list[i]->name, list[k]->name) == 0 &&
                        strcmp(list[i]->domain, list[k]->domain) == 0;

            if (same)
                assert_true(
                    (list[i]->until && list[i]->until < list[k]->since) ||
                    (list[k]->until && list[k]->until < list[i]->since));
        }
    }
}

static void test_registry__checks_counts(void **state)
{
    md_error err = MD_ERROR_INIT;
    md_value_id in[4] = { 0, 1, 2, 3 };
    md_node n = { .op = "Conv", .in = in, .n_in = 2, .n_out = 1 };

    (void)state;
    assert_md_ok(md_op_check(&md_op_conv, &n, 13, &err), &err);
    n.n_in = 4;
    assert_md_fails(md_op_check(&md_op_conv, &n, 13, &err), MD_INVALID, &err,
                    "Conv has 4 inputs, 2 to 3 expected");
    n.n_in = 2;
    n.n_out = 0;
    assert_md_fails(md_op_check(&md_op_conv, &n, 13, &err), MD_INVALID, &err,
                    "Conv has 0 outputs");
    n.n_in = 0;
    assert_md_fails(md_op_check(&md_op_concat, &n, 13, &err), MD_INVALID, &err,
                    "at least 1 expected");
}

static void test_registry__checks_what_is_needed(void **state)
{
    const md_op *op = md_op_find("com.microsoft", "QLinearAdd", 1);
    md_error err = MD_ERROR_INIT;
    md_value_id in[7] = { 0, 1, MD_VALUE_NONE, 2, 3, MD_VALUE_NONE, 4 };
    md_node n = { .op = "QLinearAdd", .in = in, .n_in = 7, .n_out = 1 };

    (void)state;
    assert_non_null(op);
    assert_int_equal(md_op_missing(op, &n), -1);
    assert_md_ok(md_op_check(op, &n, 13, &err), &err);
    in[3] = MD_VALUE_NONE;
    assert_int_equal(md_op_missing(op, &n), 3);
    assert_md_fails(md_op_check(op, &n, 13, &err), MD_INVALID, &err,
                    "input 3 of QLinearAdd is missing");
}

/* Every row of attrs.def, with each other type in its place. */
static void test_registry__checks_types_of_attributes(void **state)
{
    static const struct {
        const char *op, *name;
        md_attr_type type;
        int opset;
    } rows[] = {
#define ATTR(name, type) { "Any", #name, MD_ATTR_##type, 13 },
#define ATTR_OF(op, name, type, until)                                         \
    { #op, #name, MD_ATTR_##type, until ? until : 13 },
#define FLAG(name) ATTR(name, INT)
#include "ops/attrs.def"
#undef FLAG
#undef ATTR
#undef ATTR_OF
    };

    (void)state;
    for (size_t i = 0; i < MD_COUNT(rows); i++) {
        for (int t = MD_ATTR_FLOAT; t <= MD_ATTR_TYPE_PROTOS; t++) {
            md_attr a = { .name = rows[i].name, .type = (md_attr_type)t };
            md_node n = { .op = rows[i].op, .attr = &a, .n_attr = 1 };
            md_error err = MD_ERROR_INIT;
            char want[128];

            if (a.type == rows[i].type) {
                assert_md_ok(md_op_check_attrs(&n, rows[i].opset, &err), &err);
                continue;
            }
            snprintf(want, sizeof(want),
                     "attribute '%s' has type %s, %s expected", a.name,
                     md_attr_type_name(a.type),
                     md_attr_type_name(rows[i].type));
            assert_md_fails(md_op_check_attrs(&n, rows[i].opset, &err),
                            MD_INVALID, &err, want);
        }
    }
}

/* Every flag of attrs.def, with what it may be and what not. */
static void test_registry__checks_flags(void **state)
{
    static const char *const flags[] = {
#define ATTR(name, type)
#define ATTR_OF(op, name, type, until)
#define FLAG(name) #name,
#include "ops/attrs.def"
#undef ATTR
#undef ATTR_OF
#undef FLAG
    };
    static const int64_t values[] = { 0, 1, 2, -1, INT64_MAX, INT64_MIN };

    (void)state;
    for (size_t i = 0; i < MD_COUNT(flags); i++) {
        for (size_t k = 0; k < MD_COUNT(values); k++) {
            md_attr a = { .name = flags[i],
                          .type = MD_ATTR_INT,
                          .v.i = values[k] };
            md_node n = { .op = "Any", .attr = &a, .n_attr = 1 };
            md_error err = MD_ERROR_INIT;
            char want[128];

            if (k < 2) {
                assert_md_ok(md_op_check_attrs(&n, 13, &err), &err);
                continue;
            }
            snprintf(want, sizeof(want),
                     "attribute '%s' is %lld, 0 or 1 expected", flags[i],
                     (long long)values[k]);
            assert_md_fails(md_op_check_attrs(&n, 13, &err), MD_INVALID, &err,
                            want);
        }
    }
}

static void test_registry__knows_where_the_standard_differs(void **state)
{
    md_attr a = { .name = "value", .type = MD_ATTR_FLOAT };
    md_node n = { .op = "Pad", .attr = &a, .n_attr = 1 };
    md_error err = MD_ERROR_INIT;

    (void)state;
    assert_md_ok(md_op_check_attrs(&n, 13, &err), &err);
    n.op = "Constant";
    assert_md_fails(md_op_check_attrs(&n, 13, &err), MD_INVALID, &err,
                    "attribute 'value' has type FLOAT, TENSOR expected");
    n.op = "Cast"; /* the name of a type, then its number */
    a = (md_attr){ .name = "to", .type = MD_ATTR_STRING };
    assert_md_ok(md_op_check_attrs(&n, 5, &err), &err);
    assert_md_fails(md_op_check_attrs(&n, 6, &err), MD_INVALID, &err,
                    "attribute 'to' has type STRING, INT expected");
    a.name = "valu"; /* no attribute of the standard */
    assert_md_ok(md_op_check_attrs(&n, 13, &err), &err);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_registry__finds_by_domain_name_and_opset),
        cmocka_unit_test(test_registry__rows_are_complete),
        cmocka_unit_test(test_registry__versions_do_not_overlap),
        cmocka_unit_test(test_registry__checks_counts),
        cmocka_unit_test(test_registry__checks_what_is_needed),
        cmocka_unit_test(test_registry__checks_types_of_attributes),
        cmocka_unit_test(test_registry__checks_flags),
        cmocka_unit_test(test_registry__knows_where_the_standard_differs),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
