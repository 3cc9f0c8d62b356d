/* The encoder of Whisper (A. Radford et al., 2022) as Hugging Face stores it.
 */
#include "convert/torch/arch.h"

enum {
    LAYERS_MAX = 1024
};

static md_tv conv(md_arch *a, md_tv x, const char *name, int64_t stride)
{
    md_arch_at(a, name);
    x = MD_ARCH_OP(a, "conv1d", x, md_arch_weight(a, "%s.weight", name),
                   md_arch_weight(a, "%s.bias", name), md_tv_int(stride),
                   md_tv_int(1));
    return md_arch_activate(a, x, "gelu");
}

static void emit(md_arch *a)
{
    static const char *const symbols[] = { "batch", NULL, NULL };
    int64_t rows = md_arch_size(a, 0, "encoder.embed_positions.weight");
    int64_t width = md_arch_size(a, 1, "encoder.embed_positions.weight");
    int64_t sizes[] = { 0, md_arch_size(a, 1, "encoder.conv1.weight"),
                        2 * rows };
    md_arch_layer l = {
        .norm1 = "self_attn_layer_norm",
        .norm2 = "final_layer_norm",
        .q = "self_attn.q_proj",
        .k = "self_attn.k_proj",
        .v = "self_attn.v_proj",
        .out = "self_attn.out_proj",
        .up = "fc1",
        .down = "fc2",
        .act = md_arch_text(a, "activation_function", "gelu"),
        .heads = md_arch_heads(a, "encoder_attention_heads", width),
        .eps = 1e-5,
    };
    md_tv x;

    if (l.heads < 1)
        return;
    x = md_arch_input(a, "input_features", MD_DTYPE_F32, 3, symbols, sizes);
    x = conv(a, x, "encoder.conv1", 1);
    x = conv(a, x, "encoder.conv2", 2);
    x = MD_ARCH_OP(a, "transpose", x, md_tv_int(1), md_tv_int(2));
    x = MD_ARCH_OP(a, "add", x,
                   md_arch_weight(a, "encoder.embed_positions.weight"));
    for (int i = 0; i < LAYERS_MAX; i++) {
        l.at = md_arch_name(a, "encoder.layers.%d.", i);
        if (!md_arch_has(a, "%sfc1.weight", l.at))
            break;
        x = md_arch_encode(a, x, md_tv_none(), &l);
    }
    md_arch_output(a, md_arch_layer_norm(a, x, "encoder.layer_norm", l.eps),
                   "last_hidden_state");
}

static bool knows(const md_arch *a)
{
    return md_arch_has(a, "encoder.conv2.weight") &&
           md_arch_has(a, "encoder.embed_positions.weight");
}

const md_arch_row md_arch_whisper = {
    .name = "whisper",
    .title = "the encoder of Whisper",
    .knows = knows,
    .prefix = { "model." },
    .emit = emit,
};
