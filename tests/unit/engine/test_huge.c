/*
 * Windows that reach over billions of pixels, as a model file may ask for
 * while its tensors stay small: their copies do not fit into any memory, and
 * their sizes not into 64 bits.  That is an answer, also on the second try.
 */
#include "support/test.h"

#include "base/cpu.h"
#include "support/net.h"

/* A window of 4 x 4 taps that covers 2^32 x 2^32 pixels, and one output. */
#define HUGE                                                                   \
    "dilations=[1431655765,1431655765] "                                       \
    "pads=[2147483647,2147483647,2147483644,2147483644]; -> y"
#define CODES(ic, w)                                                           \
    "x u8[N," #ic ",5,5]; y = QLinearConv(x, f32[]{0.02}, u8[]{3}, i8[" w      \
    ",4,4]~100, f32[]{0.01}, i8[]{0}, f32[]{0.05}, u8[]{100}) "

static const char *const nets[] = {
    CODES(4, "6,4") HUGE,
    CODES(24, "6,24") HUGE,
    CODES(4, "4,1") "group=4 " HUGE,
    "x f32[N,4,5,5]; y = Conv(x, f32[6,4,4,4]~1) " HUGE,
    "x f32[N,24,5,5]; y = Conv(x, f32[6,24,4,4]~1) " HUGE,
};

static void test_huge__windows_are_refused(void **state)
{
    static const uint32_t masks[] = { MD_CPU_NONE, MD_CPU_AVX2, MD_CPU_ALL };

    (void)state;
    for (size_t i = 0; i < MD_COUNT(nets) * MD_COUNT(masks); i++) {
        md_tensor in[NET_IO_MAX], out[NET_IO_MAX];
        md_session *s;

        md_cpu_set_mask(masks[i % MD_COUNT(masks)]);
        s = net_open(nets[i / MD_COUNT(masks)], NULL);
        net_inputs(in, md_session_model(s)->graph, 1, 3);
        for (int again = 0; again < 2; again++) {
            md_error err = MD_ERROR_INIT;

            assert_md_fails(
                md_session_run(s, in, out, md_alloc_default(), &err), MD_NOMEM,
                &err, "out of memory");
        }
        net_release(in, 1);
        md_session_free(s);
        md_cpu_set_mask(MD_CPU_ALL);
    }
}

/* Where nothing is copied such a window is like any other. */
static void test_huge__windows_that_need_no_copy(void **state)
{
    (void)state;
    net_check("x f32[N,16,5,5]; y = Conv(x, f32[16,1,4,4]~1, f32[16]~1) "
              "group=16 " HUGE,
              NULL, 2, 1e-5, 0);
    net_check("x f32[N,16,5,5]; y = Conv(x, f32[16,1,1,1]~1) group=16 "
              "strides=[2147483647,2147483647] "
              "pads=[2147483647,2147483647,0,0]; -> y",
              NULL, 2, 1e-5, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_huge__windows_are_refused),
        cmocka_unit_test(test_huge__windows_that_need_no_copy),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
