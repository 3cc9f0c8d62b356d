/*
 * Runs of one session: the same bits however many threads share the work and
 * whatever ran before, and no allocation from the second run of a shape on.
 */
#include "support/test.h"

#include <string.h>

#include "base/cpu.h"
#include "support/fail_alloc.h"
#include "support/net.h"
#include "tensor/compare.h"

enum {
    WIDTH = 2
};

typedef struct net {
    const char *name, *text;
} net;

static const net nets[] = {
#define NET(name, text) { #name, text },
#include "support/nets.def"
#undef NET
    /* Enough work to share already for one row. */
    { "wide", "x f32[N,512]\n"
              "a = Gemm(x, f32[512,1024]~0.05, f32[1024]~1)\n"
              "b = LayerNormalization(a, f32[1024]~1)\n"
              "c = Gelu(b)\n"
              "d = Reshape(c, i64[3]{0 8 128})\n"
              "e = Transpose(d) perm=[0,2,1]\n"
              "f = MatMul(d, e)\n"
              "y = Softmax(f) axis=-1\n"
              "-> y" },
};

static const uint32_t levels[] = { MD_CPU_NONE, MD_CPU_AVX2,
                                   MD_CPU_AVX2 | MD_CPU_AVX512, MD_CPU_ALL };

static void fill(md_run *r, const md_session *s, const md_tensor *in)
{
    for (uint32_t i = 0; i < md_session_n_inputs(s); i++)
        memcpy(md_run_input(r, i)->data, in[i].data, md_tensor_size(&in[i]));
}

static md_run *acquire(md_session *s, const md_tensor *in)
{
    md_shape shapes[NET_IO_MAX];
    md_error err = MD_ERROR_INIT;
    md_run *r = NULL;

    for (uint32_t i = 0; i < md_session_n_inputs(s); i++)
        shapes[i] = in[i].shape;
    assert_md_ok(md_run_acquire(&r, s, shapes, &err), &err);
    return r;
}

/* Outputs of a run on `width` threads. */
static void run(md_tensor *out, md_session *s, const md_tensor *in, int width)
{
    md_error err = MD_ERROR_INIT;
    md_run *r = acquire(s, in);

    fill(r, s, in);
    assert_md_ok(md_run_execute(r, width, &err), &err);
    for (uint32_t i = 0; i < md_session_n_outputs(s); i++)
        assert_md_ok(md_tensor_copy(&out[i], md_run_output(r, i),
                                    md_alloc_default(), &err),
                     &err);
    md_run_release(r);
}

static void check_same(const net *n, const md_tensor *got,
                       const md_tensor *want, uint32_t n_out)
{
    for (uint32_t i = 0; i < n_out; i++) {
        if (!md_shape_equal(&got[i].shape, &want[i].shape) || !got[i].data ||
            !want[i].data ||
            memcmp(got[i].data, want[i].data, md_tensor_size(&want[i])) != 0)
            fail_msg("%s: output %u differs", n->name, i);
    }
}

/* One thread, two threads, one thread of a session planned for two, and again
 * after a run of another shape. */
static void check_widths(const net *n, md_pool *pool, int64_t batch)
{
    md_session_opts o = MD_SESSION_OPTS_INIT;
    md_session *one = net_open(n->text, NULL), *two;
    md_tensor in[NET_IO_MAX], other[NET_IO_MAX];
    md_tensor want[NET_IO_MAX] = { 0 }, got[NET_IO_MAX] = { 0 };
    uint32_t n_in = md_session_n_inputs(one);
    uint32_t n_out = md_session_n_outputs(one);

    o.pool = pool;
    two = net_open(n->text, &o);
    net_inputs(in, md_session_model(one)->graph, batch, 5);
    net_inputs(other, md_session_model(one)->graph, batch + 1, 6);
    run(want, one, in, 0);
    for (int width = WIDTH; width > 0; width--) {
        run(got, two, in, width);
        check_same(n, got, want, n_out);
        net_release(got, n_out);
        run(got, two, other, width);
        net_release(got, n_out);
    }
    net_release(want, n_out);
    net_release(in, n_in);
    net_release(other, n_in);
    md_session_free(one);
    md_session_free(two);
}

static void test_run__threads_give_the_same_bits(void **state)
{
    md_error err = MD_ERROR_INIT;
    md_pool *pool = NULL;

    (void)state;
    assert_md_ok(md_pool_new(&pool, WIDTH, md_alloc_default(), &err), &err);
    for (size_t l = 0; l < MD_COUNT(levels); l++) {
        md_cpu_set_mask(levels[l]);
        for (size_t i = 0; i < MD_COUNT(nets); i++) {
            check_widths(&nets[i], pool, 1);
            check_widths(&nets[i], pool, 33);
        }
        md_cpu_set_mask(MD_CPU_ALL);
    }
    md_pool_free(pool);
}

/* Results of every level are near the definitions. */
static void test_run__levels_are_near_the_definitions(void **state)
{
    (void)state;
    for (size_t l = 0; l < MD_COUNT(levels); l++) {
        md_cpu_set_mask(levels[l]);
        for (size_t i = 0; i < MD_COUNT(nets); i++) {
            net_check(nets[i].text, NULL, 1, 1e-5, 1);
            net_check(nets[i].text, NULL, 3, 1e-5, 1);
        }
        md_cpu_set_mask(MD_CPU_ALL);
    }
}

/* Of the process so far, all tags; the session's own allocator takes from
 * one of them. */
static uint64_t count_allocs(void)
{
    uint64_t n = 0;

    for (int t = 0; t < MD_MEM_N_TAGS; t++)
        n += md_mem_stat_get((md_mem_tag)t).n_allocs;
    return n;
}

static void test_run__allocates_nothing_again(void **state)
{
    (void)state;
    for (size_t i = 0; i < MD_COUNT(nets); i++) {
        md_session_opts o = MD_SESSION_OPTS_INIT;
        md_error err = MD_ERROR_INIT;
        md_tensor in[2][NET_IO_MAX];
        uint64_t before = 0;
        md_session *s;
        fail_alloc fa;

        fail_alloc_init(&fa);
        o.alloc = &fa.alloc;
        s = net_open(nets[i].text, &o);
        net_inputs(in[0], md_session_model(s)->graph, 1, 5);
        net_inputs(in[1], md_session_model(s)->graph, 4, 6);
        for (int k = 0; k < 10; k++) {
            md_run *r;

            if (k == 2)
                before = count_allocs();
            r = acquire(s, in[k % 2]);
            fill(r, s, in[k % 2]);
            assert_md_ok(md_run_execute(r, 0, &err), &err);
            md_run_release(r);
        }
        if (count_allocs() != before)
            fail_msg("%s: %d allocations in eight runs", nets[i].name,
                     (int)(count_allocs() - before));
        net_release(in[0], md_session_n_inputs(s));
        net_release(in[1], md_session_n_inputs(s));
        md_session_free(s);
        assert_int_equal(atomic_load(&fa.n_live), 0);
    }
}

/* Planned, dynamic and constant strings are those of this run, and their text
 * takes the memory of the runs before. */
static void test_run__makes_text_of_its_own(void **state)
{
    static const char text[] = "x f32[N,2]\n"
                               "a = Cast(x) to=8\n"
                               "b = Cast(a) to=1\n"
                               "c = Cast(i64[2]{5 -7}) to=8\n"
                               "i = NonZero(x)\n"
                               "d = Cast(i) to=8\n"
                               "-> a, b, c, d";
    md_session *s = net_open(text, NULL);
    md_tensor in[2][NET_IO_MAX], want[2][NET_IO_MAX];
    md_error err = MD_ERROR_INIT;

    (void)state;
    for (uint32_t k = 0; k < 2; k++) {
        net_inputs(in[k], md_session_model(s)->graph, 1 + 3 * k, 5 + k);
        net_expect(want[k], text, in[k]);
    }
    for (int k = 0; k < 6; k++) {
        uint64_t before = count_allocs();
        md_run *r = acquire(s, in[k % 2]);

        fill(r, s, in[k % 2]);
        assert_md_ok(md_run_execute(r, 0, &err), &err);
        if (k >= 2)
            assert_int_equal(count_allocs(), before);
        for (uint32_t o = 0; o < 4; o++)
            assert_md_ok(md_tensor_compare(NULL, md_run_output(r, o),
                                           &want[k % 2][o], 0, 0, &err),
                         &err);
        assert_md_ok(md_tensor_compare(NULL, md_run_output(r, 1), &in[k % 2][0],
                                       0, 0, &err),
                     &err);
        md_run_release(r);
    }
    for (uint32_t k = 0; k < 2; k++) {
        net_release(in[k], 1);
        net_release(want[k], 4);
    }
    md_session_free(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_run__threads_give_the_same_bits),
        cmocka_unit_test(test_run__levels_are_near_the_definitions),
        cmocka_unit_test(test_run__allocates_nothing_again),
        cmocka_unit_test(test_run__makes_text_of_its_own),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
