/*
 * BERT (J. Devlin et al., 2018) and RoBERTa as Hugging Face stores them, and
 * sentence encoders made of them (1_Pooling beside the file).
 */
#include <string.h>

#include "convert/torch/arch.h"

enum {
    LAYERS_MAX = 1024
};

static md_tv at(md_arch *a, md_tv x, int64_t dim)
{
    return MD_ARCH_OP(a, "unsqueeze", x, md_tv_int(dim));
}

static bool is_roberta(const md_arch *a)
{
    return strstr(md_arch_text(a, "model_type", ""), "roberta") != NULL;
}

/* 0, 1, ... of [1, rows]; RoBERTa counts what is not padding, from behind the
 * padding's own place. */
static md_tv positions(md_arch *a, md_tv ids)
{
    int64_t padding = md_arch_int(a, "pad_token_id", 1);
    md_tv size, mask;

    if (!is_roberta(a)) {
        size = MD_ARCH_OP(a, "size", ids, md_tv_int(1));
        return at(a, MD_ARCH_OP(a, "arange", size), 0);
    }
    mask = MD_ARCH_OP(a, "ne", ids, md_tv_int(padding));
    mask = MD_ARCH_OP(a, "to", mask, md_tv_int(4)); /* int64 */
    size = MD_ARCH_OP(a, "cumsum", mask, md_tv_int(1));
    return MD_ARCH_OP(a, "add", MD_ARCH_OP(a, "mul", size, mask),
                      md_tv_int(padding));
}

static md_tv embed(md_arch *a, const char *name, md_tv ids)
{
    return MD_ARCH_OP(
        a, "embedding",
        md_arch_weight(a, "embeddings.%s_embeddings.weight", name), ids);
}

static md_tv layer(md_arch *a, md_tv x, md_tv mask, int64_t i, int64_t heads)
{
    md_arch_layer l = {
        .at = md_arch_name(a, "encoder.layer.%lld.", (long long)i),
        .q = "attention.self.query",
        .k = "attention.self.key",
        .v = "attention.self.value",
        .out = "attention.output.dense",
        .norm1 = "attention.output.LayerNorm",
        .up = "intermediate.dense",
        .down = "output.dense",
        .norm2 = "output.LayerNorm",
        .act = md_arch_text(a, "hidden_act", "gelu"),
        .heads = heads,
        .eps = md_arch_float(a, "layer_norm_eps", 1e-12),
        .post = true,
    };

    return md_arch_encode(a, x, mask, &l);
}

/* Mean over the rows that count, or the first one; of length 1 where the
 * encoder says so. */
static md_tv pool(md_arch *a, md_tv x, md_tv mask)
{
    bool first =
        json_is_true(json_object_get(a->pooling, "pooling_mode_cls_token"));
    md_tv y, n;

    if (first) {
        y = md_arch_row_at(a, x, 0);
    } else {
        md_tv m = at(a, MD_ARCH_OP(a, "to", mask, md_tv_int(6)), 2);
        int64_t axis = 1;

        y = MD_ARCH_OP(a, "mul", x, m);
        y = MD_ARCH_OP(a, "sum", y, md_arch_ints(a, &axis, 1));
        n = MD_ARCH_OP(a, "sum", m, md_arch_ints(a, &axis, 1));
        n = MD_ARCH_OP(a, "clamp_min", n, md_tv_float(1e-9));
        y = MD_ARCH_OP(a, "div", y, n);
    }
    if (a->normalizes) {
        int64_t axis = 1;

        n = MD_ARCH_OP(a, "linalg_vector_norm", y, md_tv_int(2),
                       md_arch_ints(a, &axis, 1), md_tv_bool(true));
        n = MD_ARCH_OP(a, "clamp_min", n, md_tv_float(1e-12));
        y = MD_ARCH_OP(a, "div", y, n);
    }
    return y;
}

/* What the file has on top. */
static void add_heads(md_arch *a, md_tv x, md_tv mask)
{
    md_tv y;

    if (a->pooling) {
        md_arch_output(a, pool(a, x, mask), "sentence_embedding");
        return;
    }
    if (md_arch_has(a, "qa_outputs.weight"))
        md_arch_output(a, md_arch_linear(a, x, "qa_outputs"), "logits");
    if (md_arch_has(a, "classifier.dense.weight")) { /* RoBERTa's */
        y = md_arch_linear(a, md_arch_row_at(a, x, 0), "classifier.dense");
        y = md_arch_linear(a, MD_ARCH_OP(a, "tanh", y), "classifier.out_proj");
        md_arch_output(a, y, "logits");
    }
    if (!md_arch_has(a, "pooler.dense.weight")) {
        if (md_arch_has(a, "classifier.weight")) /* of tokens */
            md_arch_output(a, md_arch_linear(a, x, "classifier"), "logits");
        return;
    }
    y = md_arch_row_at(a, x, 0);
    y = MD_ARCH_OP(a, "tanh", md_arch_linear(a, y, "pooler.dense"));
    md_arch_output(a, y, "pooler_output");
    if (md_arch_has(a, "classifier.weight"))
        md_arch_output(a, md_arch_linear(a, y, "classifier"), "logits");
}

static void emit(md_arch *a)
{
    static const char *const symbols[] = { "batch", "sequence" };
    int64_t width = md_arch_size(a, 1, "embeddings.word_embeddings.weight");
    int64_t heads = md_arch_heads(a, "num_attention_heads", width);
    md_tv ids, mask, added, types, x;

    if (heads < 1)
        return;
    ids = md_arch_input(a, "input_ids", MD_DTYPE_I64, 2, symbols, NULL);
    mask = md_arch_input(a, "attention_mask", MD_DTYPE_I64, 2, symbols, NULL);
    x = MD_ARCH_OP(a, "add", embed(a, "word", ids),
                   embed(a, "position", positions(a, ids)));
    if (!is_roberta(a)) {
        types =
            md_arch_input(a, "token_type_ids", MD_DTYPE_I64, 2, symbols, NULL);
        x = MD_ARCH_OP(a, "add", x, embed(a, "token_type", types));
    } else {
        x = MD_ARCH_OP(a, "add", x,
                       MD_ARCH_OP(a, "select",
                                  md_arch_weight(a, "embeddings.token_type_"
                                                    "embeddings.weight"),
                                  md_tv_int(0), md_tv_int(0)));
    }
    added = md_arch_key_mask(a, mask);
    x = md_arch_layer_norm(a, x, "embeddings.LayerNorm",
                           md_arch_float(a, "layer_norm_eps", 1e-12));
    for (int64_t i = 0;
         i < LAYERS_MAX &&
         md_arch_has(a, "encoder.layer.%lld.attention.self.query.weight",
                     (long long)i);
         i++)
        x = layer(a, x, added, i, heads);
    md_arch_output(a, x, "last_hidden_state");
    add_heads(a, x, mask);
}

const md_arch_row md_arch_bert = {
    .name = "bert",
    .also = "roberta",
    .title = "BERT",
    .mark = "encoder.layer.0.attention.self.query.weight",
    .prefix = { "bert.", "roberta." },
    .emit = emit,
};
