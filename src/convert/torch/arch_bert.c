/*
 * BERT (J. Devlin et al., 2018) and RoBERTa as Hugging Face stores them, and
 * sentence encoders made of them (1_Pooling beside the file).
 */
#include <stdio.h>
#include <string.h>

#include "convert/torch/arch.h"

enum {
    NAME_SIZE = 128,
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

/* [batch, rows, width] to [batch, heads, rows, width / heads] */
static md_tv heads_of(md_arch *a, md_tv x, int64_t heads)
{
    md_tv y = MD_ARCH_OP(a, "unflatten", x, md_tv_int(-1),
                         md_arch_ints(a, (int64_t[]){ heads, -1 }, 2));

    return MD_ARCH_OP(a, "transpose", y, md_tv_int(1), md_tv_int(2));
}

static md_tv part(md_arch *a, int64_t layer, const char *name, md_tv x)
{
    char full[NAME_SIZE];

    snprintf(full, sizeof(full), "encoder.layer.%lld.%s", (long long)layer,
             name);
    return md_arch_linear(a, x, full);
}

static md_tv normalize(md_arch *a, int64_t layer, const char *name, md_tv x,
                       double eps)
{
    char full[NAME_SIZE];

    snprintf(full, sizeof(full), "encoder.layer.%lld.%s", (long long)layer,
             name);
    return md_arch_layer_norm(a, x, full, eps);
}

static md_tv activate(md_arch *a, md_tv x)
{
    const char *act = md_arch_text(a, "hidden_act", "gelu");

    if (strcmp(act, "gelu") == 0)
        return MD_ARCH_OP(a, "gelu", x);
    if (strcmp(act, "gelu_new") == 0 || strcmp(act, "gelu_pytorch_tanh") == 0)
        return MD_ARCH_OP(a, "gelu", x, md_tv_text("tanh"));
    return MD_ARCH_OP(a, act, x);
}

static md_tv attend(md_arch *a, int64_t i, md_tv x, md_tv mask, int64_t heads)
{
    md_tv q = heads_of(a, part(a, i, "attention.self.query", x), heads);
    md_tv k = heads_of(a, part(a, i, "attention.self.key", x), heads);
    md_tv v = heads_of(a, part(a, i, "attention.self.value", x), heads);
    md_tv y = MD_ARCH_OP(a, "scaled_dot_product_attention", q, k, v, mask);

    y = MD_ARCH_OP(a, "transpose", y, md_tv_int(1), md_tv_int(2));
    y = MD_ARCH_OP(a, "flatten", y, md_tv_int(2));
    return part(a, i, "attention.output.dense", y);
}

static md_tv layer(md_arch *a, int64_t i, md_tv x, md_tv mask, int64_t heads)
{
    double eps = md_arch_float(a, "layer_norm_eps", 1e-12);
    md_tv y = MD_ARCH_OP(a, "add", attend(a, i, x, mask, heads), x);

    x = normalize(a, i, "attention.output.LayerNorm", y, eps);
    y = activate(a, part(a, i, "intermediate.dense", x));
    y = MD_ARCH_OP(a, "add", part(a, i, "output.dense", y), x);
    return normalize(a, i, "output.LayerNorm", y, eps);
}

/* Mean over the rows that count, or the first one; of length 1 where the
 * encoder says so. */
static md_tv pool(md_arch *a, md_tv x, md_tv mask)
{
    bool first =
        json_is_true(json_object_get(a->pooling, "pooling_mode_cls_token"));
    md_tv y, n;

    if (first) {
        y = MD_ARCH_OP(a, "select", x, md_tv_int(1), md_tv_int(0));
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
    if (!md_arch_has(a, "pooler.dense.weight")) {
        if (md_arch_has(a, "classifier.weight")) /* of tokens */
            md_arch_output(a, md_arch_linear(a, x, "classifier"), "logits");
        return;
    }
    y = MD_ARCH_OP(a, "select", x, md_tv_int(1), md_tv_int(0));
    y = MD_ARCH_OP(a, "tanh", md_arch_linear(a, y, "pooler.dense"));
    md_arch_output(a, y, "pooler_output");
    if (md_arch_has(a, "classifier.weight"))
        md_arch_output(a, md_arch_linear(a, y, "classifier"), "logits");
}

/* 0 where the mask is 1, else so little that nothing is left. */
static md_tv additive(md_arch *a, md_tv mask)
{
    md_tv m = MD_ARCH_OP(a, "eq", mask, md_tv_int(0));

    m = MD_ARCH_OP(a, "to", m, md_tv_int(6));
    m = MD_ARCH_OP(a, "mul", m, md_tv_float(-3.4028234663852886e38));
    return at(a, at(a, m, 1), 1);
}

static void emit(md_arch *a)
{
    static const char *const symbols[] = { "batch", "sequence" };
    int64_t width = md_arch_size(a, 1, "embeddings.word_embeddings.weight");
    int64_t heads =
        md_arch_int(a, "num_attention_heads", width % 64 == 0 ? width / 64 : 0);
    md_tv ids, mask, added, types, x;

    if (heads < 1 || width % heads != 0) {
        md_emit_fail(&a->b->e, MD_UNSUPPORTED,
                     "%lld heads of %lld: num_attention_heads of config.json, "
                     "beside the file, expected",
                     (long long)heads, (long long)width);
        return;
    }
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
    added = additive(a, mask);
    x = md_arch_layer_norm(a, x, "embeddings.LayerNorm",
                           md_arch_float(a, "layer_norm_eps", 1e-12));
    for (int64_t i = 0;
         i < LAYERS_MAX &&
         md_arch_has(a, "encoder.layer.%lld.attention.self.query.weight",
                     (long long)i);
         i++)
        x = layer(a, i, x, added, heads);
    md_arch_output(a, x, "last_hidden_state");
    add_heads(a, x, mask);
}

const md_arch_row md_arch_bert = {
    .name = "bert",
    .title = "BERT",
    .mark = "encoder.layer.0.attention.self.query.weight",
    .prefix = "bert.",
    .emit = emit,
};
