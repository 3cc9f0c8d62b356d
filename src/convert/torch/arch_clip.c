/*
 * CLIP (A. Radford et al., 2021) as Hugging Face stores it: the encoder of
 * texts, that of pictures, or both and how alike they are.
 */
#include "convert/torch/arch.h"

enum {
    LAYERS_MAX = 1024
};

static const md_arch_layer names = { .norm1 = "layer_norm1",
                                     .norm2 = "layer_norm2",
                                     .q = "self_attn.q_proj",
                                     .k = "self_attn.k_proj",
                                     .v = "self_attn.v_proj",
                                     .out = "self_attn.out_proj",
                                     .up = "mlp.fc1",
                                     .down = "mlp.fc2" };

/* The settings of one encoder: those of the whole file, or a part of it. */
static json_t *settings(const md_arch *a, const char *part)
{
    json_t *own = json_object_get(a->config, part);

    return json_is_object(own) ? own : a->config;
}

static md_tv encode(md_arch *a, md_tv x, md_tv mask, const char *model,
                    int64_t width)
{
    md_arch_layer l = names;

    l.heads = md_arch_heads(a, "num_attention_heads", width);
    l.eps = md_arch_float(a, "layer_norm_eps", 1e-5);
    l.act = md_arch_text(a, "hidden_act", "quick_gelu");
    for (int i = 0; l.heads > 0 && i < LAYERS_MAX; i++) {
        l.at = md_arch_name(a, "%s.encoder.layers.%d.", model, i);
        if (!md_arch_has(a, "%slayer_norm1.weight", l.at))
            break;
        x = md_arch_encode(a, x, mask, &l);
    }
    return x;
}

/* 0 on and below the diagonal of [n, n], -inf above it, and what is added
 * where the mask says so. */
static md_tv causal(md_arch *a, md_tv ids, md_tv mask)
{
    md_tv n = MD_ARCH_OP(a, "size", ids, md_tv_int(1));
    md_tv at = MD_ARCH_OP(a, "arange", n);
    md_tv later =
        MD_ARCH_OP(a, "gt", MD_ARCH_OP(a, "unsqueeze", at, md_tv_int(0)),
                   MD_ARCH_OP(a, "unsqueeze", at, md_tv_int(1)));
    md_tv hidden = MD_ARCH_OP(a, "eq", mask, md_tv_int(0));

    hidden = MD_ARCH_OP(a, "unsqueeze", hidden, md_tv_int(1));
    hidden = MD_ARCH_OP(a, "unsqueeze", hidden, md_tv_int(1));
    hidden = MD_ARCH_OP(a, "logical_or", hidden, later);
    hidden = MD_ARCH_OP(a, "to", hidden, md_tv_int(6)); /* float32 */
    return MD_ARCH_OP(a, "mul", hidden, md_tv_float(-3.4028234663852886e38));
}

/* The row of the token that ends the text; files of OpenAI's days say that it
 * is 2, and mean the largest. */
static md_tv row_of_end(md_arch *a, md_tv x, md_tv ids, int64_t width)
{
    int64_t end = md_arch_int(a, "eos_token_id", 49407);
    md_tv at = ids;

    if (end != 2)
        at = MD_ARCH_OP(a, "to", MD_ARCH_OP(a, "eq", ids, md_tv_int(end)),
                        md_tv_int(3)); /* int32 */
    at = MD_ARCH_OP(a, "argmax", at, md_tv_int(1), md_tv_bool(true));
    at = MD_ARCH_OP(a, "unsqueeze", at, md_tv_int(-1));
    at = MD_ARCH_OP(a, "expand", at,
                    md_arch_ints(a, (int64_t[]){ -1, -1, width }, 3));
    x = MD_ARCH_OP(a, "gather", x, md_tv_int(1), at);
    return MD_ARCH_OP(a, "squeeze", x, md_tv_int(1));
}

static md_tv emit_text(md_arch *a, bool alone)
{
    static const char *const symbols[] = { "batch", "sequence" };
    const char *m = "text_model";
    int64_t width =
        md_arch_size(a, 1, "%s.embeddings.token_embedding.weight", m);
    md_tv ids = md_arch_input(a, "input_ids", MD_DTYPE_I64, 2, symbols, NULL);
    md_tv mask =
        md_arch_input(a, "attention_mask", MD_DTYPE_I64, 2, symbols, NULL);
    md_tv n = MD_ARCH_OP(a, "size", ids, md_tv_int(1));
    md_tv x = MD_ARCH_OP(
        a, "embedding",
        md_arch_weight(a, "%s.embeddings.token_embedding.weight", m), ids);
    md_tv y = MD_ARCH_OP(
        a, "embedding",
        md_arch_weight(a, "%s.embeddings.position_embedding.weight", m),
        MD_ARCH_OP(a, "arange", n));

    x = encode(a, MD_ARCH_OP(a, "add", x, y), causal(a, ids, mask), m, width);
    x = md_arch_layer_norm(a, x, "text_model.final_layer_norm",
                           md_arch_float(a, "layer_norm_eps", 1e-5));
    if (alone)
        md_arch_output(a, x, "last_hidden_state");
    x = row_of_end(a, x, ids, width);
    if (md_arch_has(a, "text_projection.weight"))
        return md_arch_linear(a, x, "text_projection");
    md_arch_output(a, x, "pooler_output");
    return md_tv_none();
}

static md_tv embed_picture(md_arch *a, int64_t width)
{
    static const char *const symbols[] = { "batch", NULL, NULL, NULL };
    const char *patches = "vision_model.embeddings.patch_embedding";
    int64_t patch = md_arch_size(a, 2, "%s.weight", patches);
    int64_t side = md_arch_int(a, "image_size", 224);
    int64_t sizes[] = { 0, md_arch_size(a, 1, "%s.weight", patches), side,
                        side };
    md_tv x = md_arch_input(a, "pixel_values", MD_DTYPE_F32, 4, symbols, sizes);
    md_tv token = md_arch_weight(a, "vision_model.embeddings.class_embedding");
    md_tv parts = md_tv_list(a->b, MD_TV_LIST, 2);

    x = md_arch_conv(a, x, patches, patch, 0);
    x = MD_ARCH_OP(a, "flatten", x, md_tv_int(2));
    x = MD_ARCH_OP(a, "transpose", x, md_tv_int(1), md_tv_int(2));
    if (parts.kind != MD_TV_LIST)
        return x;
    token = MD_ARCH_OP(a, "reshape", token,
                       md_arch_ints(a, (int64_t[]){ 1, 1, width }, 3));
    md_tv_append(a->b, parts.v.list, md_arch_for_each(a, token, x));
    md_tv_append(a->b, parts.v.list, x);
    x = MD_ARCH_OP(a, "cat", parts, md_tv_int(1));
    return MD_ARCH_OP(
        a, "add", x,
        md_arch_weight(a, "vision_model.embeddings.position_embedding.weight"));
}

static md_tv emit_picture(md_arch *a, bool alone)
{
    const char *m = "vision_model";
    double eps = md_arch_float(a, "layer_norm_eps", 1e-5);
    int64_t width = md_arch_size(a, 0, "%s.embeddings.class_embedding", m);
    md_tv x = embed_picture(a, width);

    x = md_arch_layer_norm(a, x, "vision_model.pre_layrnorm", eps);
    x = encode(a, x, md_tv_none(), m, width);
    if (alone)
        md_arch_output(a, x, "last_hidden_state");
    x = md_arch_layer_norm(a, md_arch_row_at(a, x, 0),
                           "vision_model.post_layernorm", eps);
    if (md_arch_has(a, "visual_projection.weight"))
        return md_arch_linear(a, x, "visual_projection");
    md_arch_output(a, x, "pooler_output");
    return md_tv_none();
}

static md_tv to_length_1(md_arch *a, md_tv x)
{
    int64_t axis = -1;
    md_tv n = MD_ARCH_OP(a, "linalg_vector_norm", x, md_tv_int(2),
                         md_arch_ints(a, &axis, 1), md_tv_bool(true));

    return MD_ARCH_OP(a, "div", x, n);
}

static void emit_both(md_arch *a, md_tv text, md_tv picture)
{
    md_tv scale = MD_ARCH_OP(a, "exp", md_arch_weight(a, "logit_scale"));
    md_tv y;

    text = to_length_1(a, text);
    picture = to_length_1(a, picture);
    y = MD_ARCH_OP(
        a, "matmul", picture,
        MD_ARCH_OP(a, "transpose", text, md_tv_int(0), md_tv_int(1)));
    y = MD_ARCH_OP(a, "mul", y, scale);
    md_arch_output(a, y, "logits_per_image");
    md_arch_output(a, MD_ARCH_OP(a, "transpose", y, md_tv_int(0), md_tv_int(1)),
                   "logits_per_text");
    md_arch_output(a, text, "text_embeds");
    md_arch_output(a, picture, "image_embeds");
}

static void emit(md_arch *a)
{
    bool has_text =
        md_arch_has(a, "text_model.embeddings.token_embedding.weight");
    bool has_picture =
        md_arch_has(a, "vision_model.embeddings.patch_embedding.weight");
    bool both = has_text && has_picture && md_arch_has(a, "logit_scale");
    json_t *whole = a->config;
    md_tv text = md_tv_none(), picture = md_tv_none();

    if (has_text) {
        a->config = settings(a, "text_config");
        text = emit_text(a, !both);
        a->config = whole;
    }
    if (has_picture) {
        a->config = settings(a, "vision_config");
        picture = emit_picture(a, !both);
        a->config = whole;
    }
    if (both) {
        emit_both(a, text, picture);
        return;
    }
    if (text.kind == MD_TV_TENSOR)
        md_arch_output(a, text, "text_embeds");
    if (picture.kind == MD_TV_TENSOR)
        md_arch_output(a, picture, "image_embeds");
}

static bool knows(const md_arch *a)
{
    return md_arch_has(a, "text_model.encoder.layers.0.layer_norm1.weight") ||
           md_arch_has(a, "vision_model.encoder.layers.0.layer_norm1.weight");
}

const md_arch_row md_arch_clip = {
    .name = "clip",
    .title = "CLIP",
    .knows = knows,
    .emit = emit,
};
