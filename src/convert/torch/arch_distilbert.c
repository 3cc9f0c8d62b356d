/* DistilBERT (V. Sanh et al., 2019) as Hugging Face stores it. */
#include "convert/torch/arch.h"

enum {
    LAYERS_MAX = 1024
};

static md_tv layer(md_arch *a, md_tv x, md_tv mask, const char *at,
                   int64_t heads)
{
    md_arch_layer l = { .at = at,
                        .q = "attention.q_lin",
                        .k = "attention.k_lin",
                        .v = "attention.v_lin",
                        .out = "attention.out_lin",
                        .norm1 = "sa_layer_norm",
                        .up = "ffn.lin1",
                        .down = "ffn.lin2",
                        .norm2 = "output_layer_norm",
                        .act = md_arch_text(a, "activation", "gelu"),
                        .heads = heads,
                        .eps = 1e-12,
                        .post = true };

    return md_arch_encode(a, x, mask, &l);
}

static md_tv embed(md_arch *a, md_tv ids)
{
    md_tv n = MD_ARCH_OP(a, "size", ids, md_tv_int(1));
    md_tv at =
        MD_ARCH_OP(a, "unsqueeze", MD_ARCH_OP(a, "arange", n), md_tv_int(0));
    md_tv x =
        MD_ARCH_OP(a, "embedding",
                   md_arch_weight(a, "embeddings.word_embeddings.weight"), ids);
    md_tv y = MD_ARCH_OP(
        a, "embedding",
        md_arch_weight(a, "embeddings.position_embeddings.weight"), at);

    return md_arch_layer_norm(a, MD_ARCH_OP(a, "add", x, y),
                              "embeddings.LayerNorm", 1e-12);
}

/* What the file has on top: of the whole text, of its tokens, of spans. */
static void add_heads(md_arch *a, md_tv x)
{
    if (md_arch_has(a, "pre_classifier.weight")) {
        md_tv y = md_arch_linear(a, md_arch_row_at(a, x, 0), "pre_classifier");

        y = MD_ARCH_OP(a, "relu", y);
        md_arch_output(a, md_arch_linear(a, y, "classifier"), "logits");
    } else if (md_arch_has(a, "classifier.weight")) {
        md_arch_output(a, md_arch_linear(a, x, "classifier"), "logits");
    } else if (md_arch_has(a, "qa_outputs.weight")) {
        md_arch_output(a, md_arch_linear(a, x, "qa_outputs"), "logits");
    }
}

static void emit(md_arch *a)
{
    static const char *const symbols[] = { "batch", "sequence" };
    int64_t width = md_arch_size(a, 1, "embeddings.word_embeddings.weight");
    int64_t heads = md_arch_heads(a, "n_heads", width);
    md_tv ids, mask, x;

    if (heads < 1)
        return;
    ids = md_arch_input(a, "input_ids", MD_DTYPE_I64, 2, symbols, NULL);
    mask = md_arch_input(a, "attention_mask", MD_DTYPE_I64, 2, symbols, NULL);
    mask = md_arch_key_mask(a, mask);
    x = embed(a, ids);
    for (int i = 0; i < LAYERS_MAX; i++) {
        const char *at = md_arch_name(a, "transformer.layer.%d.", i);

        if (!md_arch_has(a, "%sattention.q_lin.weight", at))
            break;
        x = layer(a, x, mask, at, heads);
    }
    md_arch_output(a, x, "last_hidden_state");
    add_heads(a, x);
}

const md_arch_row md_arch_distilbert = {
    .name = "distilbert",
    .title = "DistilBERT",
    .mark = "transformer.layer.0.attention.q_lin.weight",
    .prefix = { "distilbert." },
    .emit = emit,
};
