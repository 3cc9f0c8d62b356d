/*
 * ResNet (K. He et al., 2015), wide ones and ResNeXt as torchvision stores
 * them: depth, kind of block, widths and groups are those of the tensors.
 */
#include <stdio.h>

#include "convert/torch/arch.h"

enum {
    NAME_SIZE = 96,
    STAGES = 4,
    BLOCKS_MAX = 256
};

/* Convolution and normalization; stride and padding by the kernel's size. */
static md_tv conv_norm(md_arch *a, md_tv x, const char *conv, const char *norm,
                       int64_t stride)
{
    int64_t kernel = md_arch_size(a, 2, "%s.weight", conv);

    x = md_arch_conv(a, x, conv, stride, kernel / 2);
    return md_arch_batch_norm(a, x, norm, 1e-5);
}

static md_tv relu(md_arch *a, md_tv x)
{
    return MD_ARCH_OP(a, "relu", x);
}

/* Two convolutions of 3, or 1, 3 and 1: the one of 3 strides. */
static md_tv block(md_arch *a, md_tv x, const char *name, int64_t stride)
{
    bool bottleneck = md_arch_has(a, "%s.conv3.weight", name);
    md_tv y = x, shortcut = x;
    char conv[NAME_SIZE], norm[NAME_SIZE];

    for (int i = 1; i <= (bottleneck ? 3 : 2); i++) {
        snprintf(conv, sizeof(conv), "%.64s.conv%d", name, i);
        snprintf(norm, sizeof(norm), "%.64s.bn%d", name, i);
        y = conv_norm(a, y, conv, norm, i == (bottleneck ? 2 : 1) ? stride : 1);
        if (i < (bottleneck ? 3 : 2))
            y = relu(a, y);
    }
    if (md_arch_has(a, "%s.downsample.0.weight", name)) {
        snprintf(conv, sizeof(conv), "%.64s.downsample.0", name);
        snprintf(norm, sizeof(norm), "%.64s.downsample.1", name);
        shortcut = conv_norm(a, x, conv, norm, stride);
    }
    return relu(a, MD_ARCH_OP(a, "add", y, shortcut));
}

static void emit(md_arch *a)
{
    static const char *const symbols[] = { "batch", NULL, "height", "width" };
    int64_t sizes[4] = { 0, md_arch_size(a, 1, "conv1.weight"), 0, 0 };
    md_tv x = md_arch_input(a, "image", MD_DTYPE_F32, 4, symbols, sizes);

    x = relu(a, conv_norm(a, x, "conv1", "bn1", 2));
    x = MD_ARCH_OP(a, "max_pool2d", x, md_tv_int(3), md_tv_int(2),
                   md_tv_int(1));
    for (int s = 1; s <= STAGES; s++) {
        for (int i = 0; i < BLOCKS_MAX; i++) {
            char name[NAME_SIZE];

            snprintf(name, sizeof(name), "layer%d.%d", s, i);
            if (!md_arch_has(a, "%s.conv1.weight", name))
                break;
            x = block(a, x, name, s > 1 && i == 0 ? 2 : 1);
        }
    }
    x = md_arch_pool(a, x);
    md_arch_output(a, md_arch_linear(a, x, "fc"), "output");
}

const md_arch_row md_arch_resnet = {
    .name = "resnet",
    .title = "ResNet",
    .mark = "layer1.0.conv1.weight",
    .prefix = { "module." },
    .emit = emit,
};
