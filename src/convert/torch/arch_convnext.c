/* ConvNeXt (Z. Liu et al., 2022) as torchvision and Hugging Face store it. */
#include "convert/torch/arch.h"

enum {
    STAGES_MAX = 8,
    BLOCKS_MAX = 256
};

static const double eps = 1e-6;

static md_tv turned(md_arch *a, md_tv x, bool last)
{
    static const int64_t orders[2][4] = { { 0, 3, 1, 2 }, { 0, 2, 3, 1 } };

    return MD_ARCH_OP(a, "permute", x, md_arch_ints(a, orders[last], 4));
}

/* Normalization of channels, which lie first. */
static md_tv normalize(md_arch *a, md_tv x, const char *name)
{
    return turned(a, md_arch_layer_norm(a, turned(a, x, true), name, eps),
                  false);
}

/* Names of a block's parts. */
typedef struct names {
    const char *conv, *norm, *up, *down, *scale;
} names;

static md_tv block(md_arch *a, md_tv x, const char *at, const names *n)
{
    const char *conv = md_arch_name(a, "%s%s", at, n->conv);
    int64_t kernel = md_arch_size(a, 2, "%s.weight", conv);
    int64_t width = md_arch_size(a, 0, "%s.weight", conv);
    md_tv y = turned(a, md_arch_conv(a, x, conv, 1, kernel / 2), true);

    y = md_arch_layer_norm(a, y, md_arch_name(a, "%s%s", at, n->norm), eps);
    y = md_arch_linear(a, y, md_arch_name(a, "%s%s", at, n->up));
    y = md_arch_activate(a, y, md_arch_text(a, "hidden_act", "gelu"));
    y = md_arch_linear(a, y, md_arch_name(a, "%s%s", at, n->down));
    if (md_arch_has(a, "%s%s", at, n->scale))
        y = MD_ARCH_OP(a, "mul", y,
                       MD_ARCH_OP(a, "reshape",
                                  md_arch_weight(a, "%s%s", at, n->scale),
                                  md_arch_ints(a, &width, 1)));
    return MD_ARCH_OP(a, "add", x, turned(a, y, false));
}

static md_tv blocks(md_arch *a, md_tv x, const char *folder, const names *n)
{
    for (int i = 0; i < BLOCKS_MAX; i++) {
        const char *at = md_arch_name(a, "%s%d.", folder, i);

        if (!md_arch_has(a, "%s%s.weight", at, n->conv))
            break;
        x = block(a, x, at, n);
    }
    return x;
}

static md_tv image(md_arch *a, const char *name, const char *conv)
{
    static const char *const symbols[] = { "batch", NULL, "height", "width" };
    int64_t sizes[] = { 0, md_arch_size(a, 1, "%s.weight", conv), 0, 0 };
    int64_t patch = md_arch_size(a, 2, "%s.weight", conv);
    md_tv x = md_arch_input(a, name, MD_DTYPE_F32, 4, symbols, sizes);

    return md_arch_conv(a, x, conv, patch, 0);
}

static void emit_torchvision(md_arch *a)
{
    static const names n = { "block.0", "block.2", "block.3", "block.5",
                             "layer_scale" };
    md_tv x = image(a, "image", "features.0.0");

    x = normalize(a, x, "features.0.1");
    for (int s = 1; s < 2 * STAGES_MAX; s += 2) {
        x = blocks(a, x, md_arch_name(a, "features.%d.", s), &n);
        if (!md_arch_has(a, "features.%d.1.weight", s + 1))
            break;
        x = normalize(a, x, md_arch_name(a, "features.%d.0", s + 1));
        x = md_arch_conv(a, x, md_arch_name(a, "features.%d.1", s + 1), 2, 0);
    }
    x = md_arch_layer_norm(a, md_arch_pool(a, x), "classifier.0", eps);
    md_arch_output(a, md_arch_linear(a, x, "classifier.2"), "output");
}

static void emit_hugging_face(md_arch *a)
{
    static const names n = { "dwconv", "layernorm", "pwconv1", "pwconv2",
                             "layer_scale_parameter" };
    double last = md_arch_float(a, "layer_norm_eps", 1e-12);
    md_tv x = image(a, "pixel_values", "embeddings.patch_embeddings");

    x = normalize(a, x, "embeddings.layernorm");
    for (int s = 0; s < STAGES_MAX; s++) {
        const char *at = md_arch_name(a, "encoder.stages.%d.", s);

        if (md_arch_has(a, "%sdownsampling_layer.1.weight", at)) {
            x = normalize(a, x, md_arch_name(a, "%sdownsampling_layer.0", at));
            x = md_arch_conv(
                a, x, md_arch_name(a, "%sdownsampling_layer.1", at), 2, 0);
        }
        x = blocks(a, x, md_arch_name(a, "%slayers.", at), &n);
    }
    md_arch_output(a, x, "last_hidden_state");
    x = md_arch_layer_norm(a, md_arch_pool(a, x), "layernorm", last);
    md_arch_output(a, x, "pooler_output");
    if (md_arch_has(a, "classifier.weight"))
        md_arch_output(a, md_arch_linear(a, x, "classifier"), "logits");
}

static bool is_hugging_face(const md_arch *a)
{
    return md_arch_has(a, "encoder.stages.0.layers.0.dwconv.weight");
}

static bool knows(const md_arch *a)
{
    return is_hugging_face(a) ||
           (md_arch_has(a, "features.1.0.block.5.weight") &&
            md_arch_has(a, "features.1.0.layer_scale"));
}

static void emit(md_arch *a)
{
    if (is_hugging_face(a))
        emit_hugging_face(a);
    else
        emit_torchvision(a);
}

const md_arch_row md_arch_convnext = {
    .name = "convnext",
    .title = "ConvNeXt",
    .knows = knows,
    .prefix = { "convnext.", "module." },
    .emit = emit,
};
