/*
 * Nets of inverted residual blocks as torchvision stores them: MobileNetV2
 * (M. Sandler et al., 2018), MobileNetV3 (A. Howard et al., 2019), EfficientNet
 * and EfficientNetV2 (M. Tan and Q. Le, 2019, 2021).
 *
 * Kernels, widths, groups and which parts a block has are those of the tensors;
 * strides and activations are those of the papers.
 */
#include <string.h>

#include "convert/torch/arch.h"

enum {
    BLOCKS_MAX = 64,
    PARTS_MAX = 6
};

/* What is the same in a whole net. */
typedef struct style {
    double eps;        /* of normalization */
    const char *gate;  /* after the second product of squeezing */
    const char *inner; /* between its two */
} style;

/* Convolution name.0, normalization name.1, activation (NULL: none). */
static md_tv conv_norm(md_arch *a, md_tv x, const char *conv, const char *norm,
                       int64_t stride, const char *act, double eps)
{
    int64_t kernel = md_arch_size(a, 2, "%s.weight", conv);

    x = md_arch_conv(a, x, conv, stride, kernel / 2);
    x = md_arch_batch_norm(a, x, norm, eps);
    return act ? md_arch_activate(a, x, act) : x;
}

/* x times what its channels' means are worth. */
static md_tv squeeze(md_arch *a, md_tv x, const char *name, const style *s)
{
    md_tv y = MD_ARCH_OP(a, "adaptive_avg_pool2d", x,
                         md_arch_ints(a, (int64_t[]){ 1, 1 }, 2));

    y = md_arch_conv(a, y, md_arch_name(a, "%s.fc1", name), 1, 0);
    y = md_arch_activate(a, y, s->inner);
    y = md_arch_conv(a, y, md_arch_name(a, "%s.fc2", name), 1, 0);
    return MD_ARCH_OP(a, "mul", x, MD_ARCH_OP(a, s->gate, y));
}

static int64_t channels(md_arch *a, md_tv x)
{
    md_tv n = MD_ARCH_OP(a, "size", x, md_tv_int(1));

    return n.computed ? -1 : n.v.i;
}

/* name.0, name.1, ...: convolutions, the last one without an activation unless
 * it is alone, and one that squeezes.  The first with a kernel strides. */
static md_tv block(md_arch *a, md_tv x, const char *name, int64_t stride,
                   const char *act, const style *s)
{
    int64_t left = stride;
    md_tv y = x;
    int n = 0;

    while (n < PARTS_MAX && (md_arch_has(a, "%s.%d.0.weight", name, n) ||
                             md_arch_has(a, "%s.%d.fc1.weight", name, n)))
        n++;
    for (int i = 0; i < n; i++) {
        const char *part = md_arch_name(a, "%s.%d", name, i);
        bool spatial = md_arch_size(a, 2, "%s.0.weight", part) > 1;

        if (md_arch_has(a, "%s.fc1.weight", part)) {
            y = squeeze(a, y, part, s);
            continue;
        }
        y = conv_norm(a, y, md_arch_name(a, "%s.0", part),
                      md_arch_name(a, "%s.1", part), spatial ? left : 1,
                      i + 1 < n || n == 1 ? act : NULL, s->eps);
        if (spatial)
            left = 1;
    }
    if (stride == 1 && channels(a, x) == channels(a, y))
        y = MD_ARCH_OP(a, "add", y, x);
    return y;
}

static md_tv image(md_arch *a)
{
    static const char *const symbols[] = { "batch", NULL, "height", "width" };
    int64_t sizes[] = { 0, md_arch_size(a, 1, "features.0.0.weight"), 0, 0 };

    return md_arch_input(a, "image", MD_DTYPE_F32, 4, symbols, sizes);
}

static md_tv end_conv(md_arch *a, md_tv x, int i, int64_t stride,
                      const char *act, double eps)
{
    return conv_norm(a, x, md_arch_name(a, "features.%d.0", i),
                     md_arch_name(a, "features.%d.1", i), stride, act, eps);
}

/* --- MobileNetV2 --- */

/* Its last convolution and normalization lie beside the others, not in a
 * folder of their own. */
static md_tv block_v2(md_arch *a, md_tv x, const char *name, int64_t stride)
{
    md_tv y = x;
    int n = 0;

    for (; md_arch_has(a, "%s.%d.0.weight", name, n); n++) {
        const char *part = md_arch_name(a, "%s.%d", name, n);
        bool spatial = md_arch_size(a, 2, "%s.0.weight", part) > 1;

        y = conv_norm(a, y, md_arch_name(a, "%s.0", part),
                      md_arch_name(a, "%s.1", part), spatial ? stride : 1,
                      "relu6", 1e-5);
    }
    y = conv_norm(a, y, md_arch_name(a, "%s.%d", name, n),
                  md_arch_name(a, "%s.%d", name, n + 1), 1, NULL, 1e-5);
    if (stride == 1 && channels(a, x) == channels(a, y))
        y = MD_ARCH_OP(a, "add", y, x);
    return y;
}

static void emit_v2(md_arch *a)
{
    /* 1, 2, 3, 4, 3, 3 and 1 blocks of a width */
    static const char strides[] = "12121121111112111";
    md_tv x = end_conv(a, image(a), 0, 2, "relu6", 1e-5);
    int last = (int)strlen(strides) + 1;

    for (int i = 1; i < last; i++)
        x = block_v2(a, x, md_arch_name(a, "features.%d.conv", i),
                     strides[i - 1] - '0');
    x = md_arch_pool(a, end_conv(a, x, last, 1, "relu6", 1e-5));
    md_arch_output(a, md_arch_linear(a, x, "classifier.1"), "output");
}

const md_arch_row md_arch_mobilenet_v2 = {
    .name = "mobilenet_v2",
    .title = "MobileNetV2",
    .mark = "features.1.conv.0.0.weight",
    .prefix = { "module." },
    .emit = emit_v2,
};

/* --- MobileNetV3 --- */

/* By block: its stride, and whether its activation is hard swish. */
static const char small_strides[] = "22121111211";
static const char small_swish[] = "00011111111";
static const char large_strides[] = "121211211111211";
static const char large_swish[] = "000000111111111";

static void emit_v3(md_arch *a)
{
    static const style s = { 1e-3, "hardsigmoid", "relu" };
    bool small = !md_arch_has(a, "features.13.block.0.0.weight");
    const char *strides = small ? small_strides : large_strides;
    const char *swish = small ? small_swish : large_swish;
    md_tv x = end_conv(a, image(a), 0, 2, "hardswish", s.eps);
    int last = (int)strlen(strides) + 1;

    for (int i = 1; i < last; i++)
        x = block(a, x, md_arch_name(a, "features.%d.block", i),
                  strides[i - 1] - '0',
                  swish[i - 1] == '1' ? "hardswish" : "relu", &s);
    x = md_arch_pool(a, end_conv(a, x, last, 1, "hardswish", s.eps));
    x = md_arch_linear(a, x, "classifier.0");
    x = md_arch_activate(a, x, "hardswish");
    md_arch_output(a, md_arch_linear(a, x, "classifier.3"), "output");
}

const md_arch_row md_arch_mobilenet_v3 = {
    .name = "mobilenet_v3",
    .title = "MobileNetV3",
    .mark = "features.1.block.0.0.weight",
    .prefix = { "module." },
    .emit = emit_v3,
};

/* --- EfficientNet --- */

/* B5 and larger, three blocks deep at the beginning, and the second version,
 * which begins with a whole convolution, have the larger one. */
static double eps_of(md_arch *a)
{
    bool fused = md_arch_size(a, 1, "features.1.0.block.0.0.weight") > 1;

    return fused || md_arch_has(a, "features.1.2.block.0.0.weight") ? 1e-3
                                                                    : 1e-5;
}

static void emit_efficient(md_arch *a)
{
    static const char strides[] = "1222121";
    style s = { eps_of(a), "sigmoid", "silu" };
    md_tv x = end_conv(a, image(a), 0, 2, "silu", s.eps);
    int stage = 1;

    for (; strides[stage - 1] &&
           md_arch_has(a, "features.%d.0.block.0.0.weight", stage);
         stage++) {
        for (int i = 0; i < BLOCKS_MAX; i++) {
            const char *name =
                md_arch_name(a, "features.%d.%d.block", stage, i);

            if (!md_arch_has(a, "%s.0.0.weight", name))
                break;
            x = block(a, x, name, i == 0 ? strides[stage - 1] - '0' : 1, "silu",
                      &s);
        }
    }
    x = md_arch_pool(a, end_conv(a, x, stage, 1, "silu", s.eps));
    md_arch_output(a, md_arch_linear(a, x, "classifier.1"), "output");
}

const md_arch_row md_arch_efficientnet = {
    .name = "efficientnet",
    .title = "EfficientNet",
    .mark = "features.1.0.block.0.0.weight",
    .prefix = { "module." },
    .emit = emit_efficient,
};
