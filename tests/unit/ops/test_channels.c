/*
 * What is computed for all channels of a place together, against the same
 * operator a channel at a time.
 */
#include "support/test.h"

#include <math.h>

#include "base/attr.h"
#include "support/net.h"

#define SPLIT "a, b, c, d, e = Split(x) axis=1 num_outputs=5; "
#define EACH(op, rest)                                                         \
    "y = " op "(x, " rest "; ya = " op "(a, " rest "; yb = " op "(b, " rest    \
    "; yc = " op "(c, " rest "; yd = " op "(d, " rest "; ye = " op "(e, " rest \
    "; z = Concat(ya, yb, yc, yd, ye) axis=1; -> y, z"
#define ROIS                                                                   \
    "f32[4,4]{0 0 5 6 1.5 2 3 3.5 -3 -2 9 20 4 4 1 1}, i64[4]{0 1 1 0}) "      \
    "output_height=3 output_width=2 "
#define DEFORM(x, offset, mask, rest)                                          \
    "DeformConv(" x ", w, " offset ", v, " mask ") " rest

/* Outputs 0 and 1 are the same. */
static const char *const nets[] = {
    "x f32[N,5,6,7]; g f32[N,9,8,2]; " SPLIT EACH("GridSample", "g)"),
    "x f32[N,5,6,7]; g f32[N,9,8,2]; " SPLIT EACH(
        "GridSample", "g) mode=\"cubic\" padding_mode=\"reflection\""),
    "x f32[N,5,6,7]; g f32[N,9,8,2]; " SPLIT EACH(
        "GridSample", "g) mode=\"nearest\" padding_mode=\"border\""),
    "x f32[N,5,3,4,5]; g f32[N,4,5,6,3]; " SPLIT EACH("GridSample",
                                                      "g) align_corners=1"),
    "x f32[2,5,6,7]; " SPLIT EACH("RoiAlign", ROIS),
    "x f32[2,5,6,7]; " SPLIT EACH("RoiAlign", ROIS "sampling_ratio=2"),
    "x f32[2,5,6,7]; " SPLIT EACH("RoiAlign", ROIS "sampling_ratio=3 "
                                                   "mode=\"max\""),
    "x f32[2,5,6,7]; " SPLIT EACH(
        "RoiAlign", ROIS "mode=\"max\" spatial_scale=0.5 sampling_ratio=1"),
    /* an offset for each channel is one for each few of them */
    "x f32[N,4,7,8]; o f32[N,12,5,7]; m f32[N,6,5,7]; "
    "w = f32[6,4,3,2]~1; v = f32[6]~1; "
    "y = " DEFORM(
        "x", "o", "m",
        "") "; "
            "oo = Concat(o, o, o, o) axis=1; mm = Concat(m, m, m, m) axis=1; "
            "z = " DEFORM("x", "oo", "mm", "offset_group=4") "; -> y, z",
    "x f32[N,8,7,8]; o f32[N,12,5,7]; p f32[N,12,5,7]; "
    "w = f32[6,8,3,2]~1; v = f32[6]~1; op = Concat(o, p) axis=1; "
    "y = " DEFORM(
        "x", "op", "_",
        "offset_group=2") "; "
                          "oo = Concat(o, o, o, o, p, p, p, p) axis=1; "
                          "z = " DEFORM("x", "oo", "_",
                                        "offset_group=8") "; -> y, z",
    "x f32[N,8,7,8]; o f32[N,12,13,17]; "
    "w = f32[6,4,3,2]~1; v = f32[6]~1; "
    "y = " DEFORM(
        "x", "o", "_",
        "group=2 pads=[4,5,4,5]") "; "
                                  "oo = Concat(o, o, o, o, o, o, o, o) axis=1; "
                                  "z = " DEFORM(
                                      "x", "oo", "_",
                                      "group=2 pads=[4,5,4,5] offset_group=8") "; -> y, z",
};

static void check_same(const char *text)
{
    md_model *m = net_parse(text);
    md_tensor in[NET_IO_MAX], out[2] = { 0 };

    net_inputs(in, m->graph, 2, 3);
    net_expect(out, text, in);
    assert_true(md_shape_equal(&out[0].shape, &out[1].shape));
    for (int64_t i = 0; i < md_tensor_n(&out[0]); i++) {
        const float a = ((const float *)out[0].data)[i];
        const float b = ((const float *)out[1].data)[i];

        /* sums of up to 48 products of about normal numbers, in float */
        if (!(fabsf(a - b) <= 2e-5f * (1 + fabsf(b))))
            fail_msg("[%d]: %.9g, %.9g by channel, of\n%s", (int)i, (double)a,
                     (double)b, text);
    }
    net_release(in, m->graph->n_inputs);
    net_release(out, 2);
    md_model_free(m);
}

static void test_channels__together_as_alone(void **state)
{
    (void)state;
    for (size_t i = 0; i < MD_COUNT(nets); i++) {
        check_same(nets[i]);
        /* and on this CPU's level */
        net_check(nets[i], NULL, 2, 2e-5, 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_channels__together_as_alone),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
