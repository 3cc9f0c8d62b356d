#include "support/test.h"

#include <string.h>

#include "formats/pickle.h"
#include "support/fail_alloc.h"

static bool allow_some(const char *module, size_t n_module, const char *name,
                       size_t n_name)
{
    return n_module == 11 && memcmp(module, "collections", 11) == 0 &&
           n_name == 11 && memcmp(name, "OrderedDict", 11) == 0;
}

#define PARSE(p, text, arena, err)                                             \
    md_pickle_parse((p), (text), sizeof(text) - 1, allow_some, "plain things", \
                    (arena), (err))

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

static const md_pickle_node *root_of(const md_pickle *p)
{
    return &p->nodes[p->root];
}

static void test_pickle__plain_objects(void **state)
{
    /* {'a': [1, -2, 2.5], 'b': (True, None, 300)}, protocol 2 */
    static const char text[] = "\x80\x02}q\0(U\1aq\1]q\2(K\1J\xfe\xff\xff\xff"
                               "G\x40\x04\0\0\0\0\0\0eU\1bq\3\x88N"
                               "M\x2c\x01\x87q\4u.";
    md_error err = MD_ERROR_INIT;
    const md_pickle_node *a, *b;
    md_pickle p;

    (void)state;
    assert_md_ok(PARSE(&p, text, &arena, &err), &err);
    assert_int_equal(root_of(&p)->kind, MD_PICKLE_DICT);
    a = md_pickle_get(&p, root_of(&p), "a");
    b = md_pickle_get(&p, root_of(&p), "b");
    assert_non_null(a);
    assert_non_null(b);
    if (!a || !b)
        return;
    assert_int_equal(a->kind, MD_PICKLE_LIST);
    assert_int_equal(a->n, 3);
    assert_int_equal(md_pickle_item(&p, a, 1)->v.i, -2);
    assert_true(md_pickle_item(&p, a, 2)->v.f == 2.5);
    assert_int_equal(b->kind, MD_PICKLE_TUPLE);
    assert_int_equal(md_pickle_item(&p, b, 1)->kind, MD_PICKLE_NULL);
    assert_int_equal(md_pickle_item(&p, b, 2)->v.i, 300);
    assert_null(md_pickle_get(&p, root_of(&p), "c"));
}

/* A call is a node; what it is given as a dict lies behind its arguments. */
static void test_pickle__calls_nothing(void **state)
{
    static const char text[] = "\x80\x02"
                               "ccollections\nOrderedDict\n)R"
                               "U\1xK\5s.";
    md_error err = MD_ERROR_INIT;
    const md_pickle_node *x;
    md_pickle p;

    (void)state;
    assert_md_ok(PARSE(&p, text, &arena, &err), &err);
    assert_int_equal(root_of(&p)->kind, MD_PICKLE_CALL);
    assert_true(md_pickle_is_global(&p, md_pickle_item(&p, root_of(&p), 0),
                                    "collections", "OrderedDict"));
    x = md_pickle_get(&p, root_of(&p), "x");
    assert_non_null(x);
    if (x)
        assert_int_equal(x->v.i, 5);
}

static void test_pickle__names_each_refused_global(void **state)
{
    static const char text[] = "\x80\x02(cposix\nsystem\ncbuiltins\neval\n"
                               "ccollections\nOrderedDict\nt.";
    md_error err = MD_ERROR_INIT;
    md_pickle p;

    (void)state;
    assert_md_fails(PARSE(&p, text, &arena, &err), MD_UNSUPPORTED, &err,
                    "2 globals refused: 'posix.system', 'builtins.eval'; "
                    "expected plain things");
}

typedef struct bad {
    const char *text;
    size_t n;
    md_status status;
    const char *says;
} bad;

#define BAD(text, status, says)                                                \
    {                                                                          \
        text, sizeof(text) - 1, status, says                                   \
    }

static void test_pickle__refuses(void **state)
{
    static const bad cases[] = {
        BAD("", MD_CORRUPT, "no end"),
        BAD("N", MD_CORRUPT, "no end"),
        BAD(".", MD_CORRUPT, "empty stack"),
        BAD("\x80\x06N.", MD_UNSUPPORTED, "protocol 6, at most 5"),
        BAD("X\xff\xff\xff\x7f"
            "a.",
            MD_CORRUPT, "2147483647 bytes announced"),
        BAD("Nr\xff\xff\xff\xff.", MD_CORRUPT, "memo index 4294967295"),
        BAD("h\5.", MD_CORRUPT, "memo 5"),
        BAD("]q\0h\0a.", MD_CORRUPT, "an object in itself"),
        BAD("(K\1K\2d0K\1(K\1d.", MD_CORRUPT, "key without a value"),
        BAD("K\1K\2a.", MD_CORRUPT, "items for an object of another kind"),
        BAD("t.", MD_CORRUPT, "no mark"),
        BAD("c\xff", MD_CORRUPT, "line without an end"),
        BAD("I12x\n.", MD_CORRUPT, "not a number"),
        BAD("V\\u0041\n.", MD_UNSUPPORTED, "text with escapes"),
        BAD("\x82\1.", MD_UNSUPPORTED, "opcode 0x82"),
        BAD("K\1K\2\x93.", MD_CORRUPT, "names are no texts"),
    };

    (void)state;
    for (size_t i = 0; i < MD_COUNT(cases); i++) {
        md_error err = MD_ERROR_INIT;
        md_pickle p;

        assert_md_fails(md_pickle_parse(&p, cases[i].text, cases[i].n,
                                        allow_some, "", &arena, &err),
                        cases[i].status, &err, cases[i].says);
    }
}

/* Depth is that of the deepest way down, also where objects are shared. */
static void test_pickle__depth(void **state)
{
    char text[4 * MD_PICKLE_DEPTH_MAX + 64];
    md_error err = MD_ERROR_INIT;
    size_t n = 0;
    md_pickle p;

    (void)state;
    /* x = 200 tuples; then 200 tuples around (x, x) */
    text[n++] = ')';
    for (int i = 0; i < 200; i++)
        text[n++] = (char)0x85;
    memcpy(text + n, "q\0h\0\x86", 5);
    n += 5;
    text[n] = '.';
    assert_md_ok(md_pickle_parse(&p, text, n + 1, allow_some, "", &arena, &err),
                 &err);
    for (int i = 0; i < 200; i++)
        text[n++] = (char)0x85;
    text[n++] = '.';
    assert_md_fails(md_pickle_parse(&p, text, n, allow_some, "", &arena, &err),
                    MD_TOO_LARGE, &err, "deeper than 256");
}

static void test_pickle__out_of_memory(void **state)
{
    static const char text[] = "\x80\x02}q\0(U\1aq\1]q\2(K\1K\2eU\1b"
                               "ccollections\nOrderedDict\n)Ru.";
    bool failed = true;

    (void)state;
    for (int64_t n = 0; failed; n++) {
        md_error err = MD_ERROR_INIT;
        fail_alloc fa;
        md_arena ar;
        md_pickle p;
        md_status s;

        fail_alloc_init(&fa);
        fail_alloc_arm(&fa, n);
        md_arena_init(&ar, &fa.alloc, 0);
        s = PARSE(&p, text, &ar, &err);
        md_arena_release(&ar);
        failed = fail_alloc_disarm(&fa);
        assert_int_equal(atomic_load(&fa.n_live), 0);
        assert_int_equal(s, failed ? MD_NOMEM : MD_OK);
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pickle__plain_objects),
        cmocka_unit_test(test_pickle__calls_nothing),
        cmocka_unit_test(test_pickle__names_each_refused_global),
        cmocka_unit_test(test_pickle__refuses),
        cmocka_unit_test(test_pickle__depth),
        cmocka_unit_test(test_pickle__out_of_memory),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
