/*
 * ViT and DeiT (A. Dosovitskiy et al., 2020) as Hugging Face (before and since
 * transformers 5), torchvision and timm store them.
 */
#include <string.h>

#include "convert/torch/arch.h"

enum {
    LAYERS_MAX = 1024
};

/* What one library calls the tensors. */
typedef struct dialect {
    const char *first; /* a tensor of the first layer */
    const char *image, *output;
    const char *patch, *token, *places, *norm, *head;
    const char *layer; /* folder of the layers, "layer." */
    double eps;
    md_arch_layer names;
} dialect;

/* clang-format off */
static const dialect dialects[] = {
    { "layers.0.attention.q_proj.weight", "pixel_values", "logits",
      "embeddings.patch_embeddings.projection", "embeddings.cls_token",
      "embeddings.position_embeddings", "layernorm", "classifier",
      "layers.", 1e-12,
      { .norm1 = "layernorm_before", .norm2 = "layernorm_after",
        .q = "attention.q_proj", .k = "attention.k_proj",
        .v = "attention.v_proj", .out = "attention.o_proj",
        .up = "mlp.fc1", .down = "mlp.fc2" } },
    { "encoder.layer.0.attention.attention.query.weight", "pixel_values",
      "logits", "embeddings.patch_embeddings.projection",
      "embeddings.cls_token", "embeddings.position_embeddings", "layernorm",
      "classifier", "encoder.layer.", 1e-12,
      { .norm1 = "layernorm_before", .norm2 = "layernorm_after",
        .q = "attention.attention.query", .k = "attention.attention.key",
        .v = "attention.attention.value", .out = "attention.output.dense",
        .up = "intermediate.dense", .down = "output.dense" } },
    { "encoder.layers.encoder_layer_0.ln_1.weight", "image", "output",
      "conv_proj", "class_token", "encoder.pos_embedding", "encoder.ln",
      "heads.head", "encoder.layers.encoder_layer_", 1e-6,
      { .norm1 = "ln_1", .norm2 = "ln_2",
        .qkv_weight = "self_attention.in_proj_weight",
        .qkv_bias = "self_attention.in_proj_bias",
        .out = "self_attention.out_proj",
        .up = "mlp.0", .down = "mlp.3" } },
    { "blocks.0.attn.qkv.weight", "image", "output", "patch_embed.proj",
      "cls_token", "pos_embed", "norm", "head", "blocks.", 1e-6,
      { .norm1 = "norm1", .norm2 = "norm2", .qkv_weight = "attn.qkv.weight",
        .qkv_bias = "attn.qkv.bias", .out = "attn.proj",
        .up = "mlp.fc1", .down = "mlp.fc2" } },
};
/* clang-format on */

static const dialect *find_dialect(const md_arch *a)
{
    for (size_t i = 0; i < MD_COUNT(dialects); i++) {
        if (md_arch_has(a, "%s", dialects[i].first))
            return &dialects[i];
    }
    return &dialects[0];
}

/* Heads without a config.json: those of the published sizes. */
static int64_t usual_heads(int64_t width)
{
    return width == 1280 ? 16 : width == 1408 ? 16 : 0;
}

/* The side of the picture: places are those of its patches and one more. */
static int64_t side_of(md_arch *a, const dialect *d, int64_t patch)
{
    int64_t n = md_arch_size(a, 1, "%s", d->places) - 1;
    int64_t side = 1;

    while (side * side < n)
        side++;
    if (side * side == n)
        return side * patch;
    md_emit_fail(&a->b->e, MD_UNSUPPORTED,
                 "%lld places, those of a square and one more expected",
                 (long long)n + 1);
    return 0;
}

static md_tv embed(md_arch *a, const dialect *d, md_tv x)
{
    int64_t patch = md_arch_size(a, 2, "%s.weight", d->patch);
    md_tv parts = md_tv_list(a->b, MD_TV_LIST, 2);
    md_tv rows;

    x = md_arch_conv(a, x, d->patch, patch, 0);
    x = MD_ARCH_OP(a, "flatten", x, md_tv_int(2));
    x = MD_ARCH_OP(a, "transpose", x, md_tv_int(1), md_tv_int(2));
    rows = md_arch_for_each(a, md_arch_weight(a, "%s", d->token), x);
    if (parts.kind != MD_TV_LIST)
        return x;
    md_tv_append(a->b, parts.v.list, rows);
    md_tv_append(a->b, parts.v.list, x);
    x = MD_ARCH_OP(a, "cat", parts, md_tv_int(1));
    return MD_ARCH_OP(a, "add", x, md_arch_weight(a, "%s", d->places));
}

static void emit(md_arch *a)
{
    static const char *const symbols[] = { "batch", NULL, NULL, NULL };
    const dialect *d = find_dialect(a);
    int64_t width = md_arch_size(a, 0, "%s.weight", d->patch);
    int64_t patch = md_arch_size(a, 2, "%s.weight", d->patch);
    int64_t heads = a->config ? 0 : usual_heads(width);
    int64_t side = side_of(a, d, patch);
    int64_t sizes[] = { 0, md_arch_size(a, 1, "%s.weight", d->patch), side,
                        side };
    double eps = md_arch_float(a, "layer_norm_eps", d->eps);
    md_arch_layer l = d->names;
    md_tv x;

    if (heads < 1)
        heads = md_arch_heads(a, "num_attention_heads", width);
    if (heads < 1 || side < 1)
        return;
    l.heads = heads;
    l.eps = eps;
    l.act = md_arch_text(a, "hidden_act", "gelu");
    if (!md_arch_has(a, "%s0.%s.weight", d->layer, l.up)) { /* old ones */
        l.up = "mlp.linear_1";
        l.down = "mlp.linear_2";
    }
    x = md_arch_input(a, d->image, MD_DTYPE_F32, 4, symbols, sizes);
    x = embed(a, d, x);
    for (int i = 0; i < LAYERS_MAX; i++) {
        l.at = md_arch_name(a, "%s%d.", d->layer, i);
        if (!md_arch_has(a, "%s%s.weight", l.at, l.norm1))
            break;
        x = md_arch_encode(a, x, md_tv_none(), &l);
    }
    x = md_arch_layer_norm(a, x, d->norm, eps);
    if (!md_arch_has(a, "%s.weight", d->head) ||
        strcmp(d->output, "logits") == 0)
        md_arch_output(a, x, "last_hidden_state");
    if (md_arch_has(a, "%s.weight", d->head))
        md_arch_output(a, md_arch_linear(a, md_arch_row_at(a, x, 0), d->head),
                       d->output);
    if (md_arch_has(a, "pooler.dense.weight"))
        md_arch_output(a,
                       MD_ARCH_OP(a, "tanh",
                                  md_arch_linear(a, md_arch_row_at(a, x, 0),
                                                 "pooler.dense")),
                       "pooler_output");
}

static bool knows(const md_arch *a)
{
    return md_arch_has(a, "%s", find_dialect(a)->first);
}

const md_arch_row md_arch_vit = {
    .name = "vit",
    .also = "deit",
    .title = "ViT",
    .knows = knows,
    .prefix = { "vit.", "deit." },
    .emit = emit,
};
