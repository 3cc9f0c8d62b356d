/* The text of TorchScript programs, and what is said of inputs. */
#include "support/test.h"

#include <stdio.h>
#include <string.h>

#include "convert/torch/input_spec.h"
#include "convert/torch/script.h"

static md_arena arena;

static int setup(void **state)
{
    (void)state;
    md_arena_init(&arena, md_alloc_default(), 64 << 20);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    md_arena_release(&arena);
    return 0;
}

static md_status parse(md_script_module *m, const char *text, md_error *err)
{
    return md_script_parse(m, "__torch__", text, strlen(text), &arena, err);
}

static void test_script__statements(void **state)
{
    static const char text[] =
        "op_version_set = 1\n"
        "class M(Module):\n"
        "  __parameters__ = [\"w\", ]\n"
        "  w : Tensor\n"
        "  k : Final[int] = -3\n"
        "  def forward(self: __torch__.M,\n"
        "    x: Tensor,\n"
        "    n: int=2) -> Tuple[Tensor, int]:\n"
        "    a, b, = (self).f(x, )\n"
        "    if bool(n):\n"
        "      c = torch.add(a, b, alpha=-1.5e-3)  # a comment\n"
        "    else:\n"
        "      pass\n"
        "      c = a\n"
        "    for _0 in range(n):\n"
        "      while True:\n"
        "        c0 = (c)[0]\n"
        "    self.w = c\n"
        "    return (c, {\"k\": n}, \"it\\'s \\x41\")\n"
        "def g() -> NoneType:\n"
        "  return None\n";
    md_error err = MD_ERROR_INIT;
    const md_script_function *f;
    const md_script_stmt *s;
    md_script_module m;

    (void)state;
    assert_md_ok(parse(&m, text, &err), &err);
    assert_int_equal(m.n_classes, 1);
    assert_int_equal(m.n_functions, 1);
    assert_string_equal(m.classes[0]->name, "__torch__.M");
    f = md_script_method(m.classes[0], "forward");
    assert_non_null(f);
    if (!f)
        return;
    assert_int_equal(f->n_params, 3);
    assert_int_equal(f->params[2].otherwise->i, 2);
    assert_int_equal(f->body->n, 5);
    s = f->body->s;
    assert_int_equal(s[0].kind, MD_SCRIPT_ASSIGN);
    assert_int_equal(s[0].n_targets, 2);
    assert_int_equal(s[1].kind, MD_SCRIPT_IF);
    assert_int_equal(s[1].otherwise->n, 2);
    assert_string_equal(s[1].body->s[0].value->names[2], "alpha");
    assert_int_equal(s[2].kind, MD_SCRIPT_FOR);
    assert_int_equal(s[2].body->s[0].kind, MD_SCRIPT_WHILE);
    assert_int_equal(s[3].targets[0]->kind, MD_SCRIPT_ATTR);
    assert_int_equal(s[4].value->kind, MD_SCRIPT_TUPLE);
    assert_string_equal(s[4].value->args[2]->text, "it's A");
    assert_int_equal(m.classes[0]->n_constants, 2);
}

static void test_script__refuses(void **state)
{
    static const struct {
        const char *text, *says;
    } cases[] = {
        { "def f(x):\n  return \"abc\n", "line 2: a text without its end" },
        { "def f(x):\n  return $\n", "a character that no program has" },
        { "def f(x, x):\n  return x\n", "two parameters of one name" },
        { "def f(x):\n  1 = x\n", "cannot be assigned to" },
        { "def f(x):\n  for i in x:\n    y = x\n",
          "something else than range" },
        { "def f(x):\n    y = x\n  z = x\n", "indentation" },
        { "def f(x)\n  y = x\n", "':' expected" },
        { "def f(x):\nreturn x\n", "an indented block expected" },
        { "class M(Module:\n  x : int\n", "')' expected" },
        { "def f(x):\n  return 1.5.5\n", "a number that is none" },
        { "def f(x):\n  return 2j\n", "a complex number" },
        { "def f(x):\n  return \"\\q\"\n", "an escape" },
    };

    (void)state;
    for (size_t i = 0; i < MD_COUNT(cases); i++) {
        md_error err = MD_ERROR_INIT;
        md_script_module m;
        md_status s = parse(&m, cases[i].text, &err);

        assert_int_not_equal(s, MD_OK);
        assert_md_fails(s, err.status, &err, cases[i].says);
    }
}

/* Nesting costs no stack beyond a bound. */
static void test_script__depth(void **state)
{
    static char text[20000];
    md_error err = MD_ERROR_INIT;
    md_script_module m;
    size_t n;

    (void)state;
    n = (size_t)snprintf(text, sizeof(text), "def f(x):\n  return ");
    memset(text + n, '(', sizeof(text) - n - 1);
    assert_md_fails(parse(&m, text, &err), MD_TOO_LARGE, &err, "too deep");
    memset(text + n, '-', sizeof(text) - n - 1);
    assert_md_fails(parse(&m, text, &err), MD_TOO_LARGE, &err, "too deep");
}

static void test_input_spec__reads(void **state)
{
    md_error err = MD_ERROR_INIT;
    const md_input_spec *s;
    md_input_specs x;

    (void)state;
    assert_md_ok(md_input_specs_read(
                     &x, "x=float32[batch, 3,?]; n=16000;on=true;y=int64[]",
                     &arena, &err),
                 &err);
    assert_int_equal(x.n, 4);
    s = md_input_specs_find(&x, "x");
    assert_non_null(s);
    if (!s)
        return;
    assert_int_equal(s->rank, 3);
    assert_string_equal(s->symbol[0], "batch");
    assert_int_equal(s->dim[1], 3);
    assert_int_equal(s->dim[2], -1);
    assert_null(s->symbol[2]);
    assert_true(md_input_specs_find(&x, "n")->value == 16000);
    assert_true(md_input_specs_find(&x, "on")->value == 1);
    assert_int_equal(md_input_specs_find(&x, "y")->rank, 0);
    assert_null(md_input_specs_find(&x, "z"));
    assert_md_ok(md_input_specs_read(&x, NULL, &arena, &err), &err);
    assert_int_equal(x.n, 0);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_script__statements),
        cmocka_unit_test(test_script__refuses),
        cmocka_unit_test(test_script__depth),
        cmocka_unit_test(test_input_spec__reads),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
