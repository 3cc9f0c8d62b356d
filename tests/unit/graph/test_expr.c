#include "support/test.h"

#include <string.h>

#include "graph/expr.h"

static md_model *model;

static md_dim symbol(const char *name)
{
    md_error err = MD_ERROR_INIT;
    md_dim d = { .scale = 1 };

    assert_md_ok(md_model_symbol(&d.sym, model, name, &err), &err);
    return d;
}

static md_dim derive(md_expr_kind kind, md_dim a, md_dim b)
{
    md_error err = MD_ERROR_INIT;
    md_dim d;

    assert_md_ok(md_dim_derive(&d, model, kind, a, b, &err), &err);
    return d;
}

static md_dim times(md_dim a, md_dim b)
{
    return derive(MD_EXPR_MUL, a, b);
}

static md_dim plus(md_dim a, md_dim b)
{
    return derive(MD_EXPR_ADD, a, b);
}

static int start(void **state)
{
    md_error err = MD_ERROR_INIT;

    (void)state;
    assert_md_ok(md_model_new(&model, md_alloc_default(), 0, &err), &err);
    return 0;
}

static int end(void **state)
{
    (void)state;
    md_model_free(model);
    return 0;
}

/* What comes out the same way is equal, whatever the order. */
static void test_expr__normal_forms(void **state)
{
    md_dim b, s, n, h;

    start(state);
    b = symbol("b");
    s = symbol("s");
    n = symbol("n");
    h = MD_DIM(12);
    assert_true(md_dim_equal(times(times(b, s), n), times(n, times(s, b))));
    assert_true(md_dim_equal(plus(plus(b, s), n), plus(plus(n, b), s)));
    assert_true(md_dim_equal(plus(plus(b, s), times(b, MD_DIM(-1))), s));
    assert_true(md_dim_equal(plus(s, times(s, MD_DIM(-1))), MD_DIM(0)));
    assert_true(md_dim_equal(
        derive(MD_EXPR_EXACT, times(times(b, h), s), times(s, MD_DIM(4))),
        times(b, MD_DIM(3))));
    assert_true(md_dim_equal(derive(MD_EXPR_DIV, times(s, h), MD_DIM(4)),
                             times(s, MD_DIM(3))));
    assert_true(md_dim_equal(derive(MD_EXPR_MIN, plus(s, MD_DIM(2)), s), s));
    assert_true(md_dim_equal(derive(MD_EXPR_MAX, s, MD_DIM(0)), s));
    assert_true(
        md_dim_equal(derive(MD_EXPR_WRAP, MD_DIM(-1), s), plus(s, MD_DIM(-1))));
    assert_true(md_dim_equal(derive(MD_EXPR_BROADCAST, s, MD_DIM(1)), s));
    assert_true(md_dim_equal(derive(MD_EXPR_BROADCAST, h, s), MD_DIM(12)));
    /* positions cut to 512 and added to s of them */
    assert_true(md_dim_equal(
        derive(MD_EXPR_BROADCAST, s, derive(MD_EXPR_MIN, s, MD_DIM(512))), s));
    assert_false(md_dim_equal(times(b, s), times(b, n)));
    end(state);
}

static void test_expr__text(void **state)
{
    char buf[80];
    md_dim b, s;

    start(state);
    b = symbol("b");
    s = symbol("s");
    assert_string_equal(
        md_dim_format(buf, sizeof(buf), model,
                      plus(times(times(b, s), MD_DIM(2)), MD_DIM(1))),
        "2*b*s+1");
    assert_string_equal(
        md_dim_format(buf, sizeof(buf), model,
                      derive(MD_EXPR_DIV, plus(s, MD_DIM(1)), MD_DIM(2))),
        "floor((s+1)/2)");
    assert_string_equal(md_dim_format(buf, 6, model, times(b, s)), "b*s");
    end(state);
}

typedef struct row {
    md_expr_kind kind;
    int64_t a, b, want; /* want -1: no value */
} row;

/* Numbers put for symbols give what numbers give. */
static void test_expr__values(void **state)
{
    static const row rows[] = {
        { MD_EXPR_ADD, 5, 2, 7 },        { MD_EXPR_MUL, 5, 2, 10 },
        { MD_EXPR_DIV, 5, 2, 2 },        { MD_EXPR_DIV, 5, 0, -1 },
        { MD_EXPR_MOD, 5, 3, 2 },        { MD_EXPR_MOD, 5, 0, -1 },
        { MD_EXPR_MIN, 5, 2, 2 },        { MD_EXPR_MAX, 5, 2, 5 },
        { MD_EXPR_BROADCAST, 5, 1, 5 },  { MD_EXPR_BROADCAST, 1, 0, 0 },
        { MD_EXPR_BROADCAST, 5, 2, -1 }, { MD_EXPR_EXACT, 6, 2, 3 },
        { MD_EXPR_EXACT, 5, 2, -1 },     { MD_EXPR_EXACT, 5, 0, -1 },
        { MD_EXPR_AT_LEAST, 5, 5, 5 },   { MD_EXPR_AT_LEAST, 4, 5, -1 },
        { MD_EXPR_EQUAL, 4, 4, 4 },      { MD_EXPR_EQUAL, 4, 5, -1 },
        { MD_EXPR_WRAP, 4, 9, 4 },       { MD_EXPR_MUL, INT64_MAX, 2, -1 },
    };

    for (size_t i = 0; i < MD_COUNT(rows); i++) {
        const row *r = &rows[i];
        md_error err = MD_ERROR_INIT;
        md_dim a, b, d, constant;
        md_sym sym[16] = { 0 };
        int64_t v = 0;
        bool known;
        md_status s;

        start(state);
        a = symbol("a");
        b = symbol("b");
        d = derive(r->kind, a, b);
        assert_true(model->n_symbols <= MD_COUNT(sym));
        assert_false(md_dim_value(&v, d, sym));
        sym[a.sym] = (md_sym){ r->a, MD_SYM_KNOWN };
        sym[b.sym] = (md_sym){ r->b, MD_SYM_KNOWN };
        known = md_model_solve(model, sym);
        assert_int_equal(known, r->want >= 0);
        if (known)
            assert_true(md_dim_value(&v, d, sym));
        s = md_dim_derive(&constant, model, r->kind, MD_DIM(r->a), MD_DIM(r->b),
                          &err);
        assert_int_equal(s == MD_OK, r->want >= 0);
        if (known) {
            assert_int_equal(v, r->want);
            assert_int_equal(constant.k, r->want);
        }
        end(state);
    }
}

/* A size that nobody gives leaves open what depends on it, and nothing else. */
static void test_expr__open(void **state)
{
    md_sym sym[16] = { 0 };
    md_dim a, b, ab, a2;
    int64_t v;

    start(state);
    a = symbol("a");
    b = symbol("b");
    ab = times(a, b);
    a2 = times(a, a);
    sym[a.sym] = (md_sym){ 3, MD_SYM_KNOWN };
    assert_true(md_model_solve(model, sym));
    assert_false(md_dim_value(&v, ab, sym));
    assert_true(md_dim_value(&v, a2, sym));
    assert_int_equal(v, 9);
    end(state);
}

/* Long sums and products are still found again. */
static void test_expr__many(void **state)
{
    md_dim sum = MD_DIM(0), again = MD_DIM(0), d[40];

    start(state);
    for (int i = 0; i < 40; i++)
        d[i] = symbol(NULL);
    for (int i = 0; i < 40; i++)
        sum = plus(sum, d[i]);
    for (int i = 0; i < 40; i++)
        again = plus(again, d[i]);
    assert_true(md_dim_equal(sum, again));
    end(state);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_expr__normal_forms),
        cmocka_unit_test(test_expr__text),
        cmocka_unit_test(test_expr__values),
        cmocka_unit_test(test_expr__open),
        cmocka_unit_test(test_expr__many),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
