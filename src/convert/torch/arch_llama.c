/*
 * Decoders of text as Hugging Face stores them: Llama, Mistral, Qwen 2 and 3,
 * Gemma, Phi-3, and Phi, one step of a conversation at a time.
 *
 * Inputs and outputs are called as by Optimum: input_ids and position_ids
 * [batch, sequence], attention_mask [batch, past + sequence],
 * past_key_values.I.key and .value [batch, heads, past, width]; logits
 * [batch, sequence, words], present.I.key and .value.  Attention,
 * RotaryEmbedding and RMSNormalization are those of opset 23.
 */
#include <math.h>
#include <string.h>

#include "convert/torch/arch.h"

enum {
    LAYERS_MAX = 1024,
    WIDTH_MAX = 4096, /* of a head */
    OPSET = 23
};

typedef struct decoder {
    md_arch *a;
    md_emit *e;
    int64_t hidden, heads, kv_heads, width, turned;
    double eps;
    const char *act;
    bool gemma; /* norms' weights are behind 1, rows are scaled */
    bool phi; /* the first one: whole normalization, both parts side by side */
    md_value_id cos, sin, mask;
    md_tv table;          /* of the words */
    md_value_id *present; /* keys and values of each layer */
} decoder;

/* Settings of the rotation, which since transformers 5 are in a part of their
 * own. */
static const json_t *rope_setting(const md_arch *a, const char *key)
{
    static const char *const parts[] = { "rope_parameters", "rope_scaling" };

    for (size_t i = 0; i < MD_COUNT(parts); i++) {
        const json_t *v =
            json_object_get(json_object_get(a->config, parts[i]), key);

        if (v)
            return v;
    }
    return json_object_get(a->config, key);
}

static double rope_number(const md_arch *a, const char *key, double otherwise)
{
    const json_t *v = rope_setting(a, key);

    return json_is_number(v) ? json_number_value(v) : otherwise;
}

/* Llama 3's: slow turns are slowed down, quick ones stay, between them it is
 * something between. */
static double slowed(const md_arch *a, double f)
{
    const double two_pi = 6.283185307179586;
    double factor = rope_number(a, "factor", 8);
    double low = rope_number(a, "low_freq_factor", 1);
    double high = rope_number(a, "high_freq_factor", 4);
    double before = rope_number(a, "original_max_position_embeddings", 8192);
    double turns = before * f / two_pi;
    double part = (turns - low) / (high - low);

    if (turns < low)
        return f / factor;
    if (turns > high)
        return f;
    return (1 - part) * f / factor + part * f;
}

static bool fill_turns(decoder *d, float *to)
{
    double theta = rope_number(d->a, "rope_theta", 1e4);
    const char *type = json_string_value(rope_setting(d->a, "rope_type"));

    if (!type)
        type = json_string_value(rope_setting(d->a, "type"));
    for (int64_t i = 0; i < d->turned / 2; i++) {
        double f = pow(theta, -2.0 * (double)i / (double)d->turned);

        if (!type || strcmp(type, "default") == 0) {
            to[i] = (float)f;
        } else if (strcmp(type, "linear") == 0) {
            to[i] = (float)(f / rope_number(d->a, "factor", 1));
        } else if (strcmp(type, "llama3") == 0) {
            to[i] = (float)slowed(d->a, f);
        } else {
            md_emit_fail(d->e, MD_UNSUPPORTED,
                         "rope_type '%.40s', default, linear or llama3 "
                         "expected",
                         type);
            return false;
        }
    }
    return true;
}

/* cos and sin of positions times turns, [batch, sequence, turned / 2]. */
static void make_angles(decoder *d, md_value_id positions)
{
    md_shape shape = { 1, { d->turned / 2 } };
    md_tensor t = MD_TENSOR_INIT;
    md_value_id x;

    if (d->e->status != MD_OK ||
        !md_emit_ok(d->e, md_tensor_alloc(&t, MD_DTYPE_F32, &shape,
                                          d->e->model->alloc, d->e->err)))
        return;
    if (!fill_turns(d, t.data)) {
        md_tensor_release(&t);
        return;
    }
    x = md_emit_cast(d->e, positions, MD_DTYPE_F32);
    x = md_emit_op2(d->e, "Mul", md_emit_unsqueeze(d->e, x, -1),
                    md_emit_const(d->e, t));
    d->cos = md_emit_op1(d->e, "Cos", x);
    d->sin = md_emit_op1(d->e, "Sin", x);
}

static md_value_id range(md_emit *e, md_value_id from, md_value_id to)
{
    return md_emit_op(e, "Range",
                      (md_value_id[]){ from, to, md_emit_int(e, 1) }, 3, NULL);
}

/* Number of elements along axis 1, a scalar. */
static md_value_id length(md_emit *e, md_value_id x)
{
    x = md_emit_op(e, "Shape", &x, 1,
                   EMIT_ATTRS(EMIT_I("start", 1), EMIT_I("end", 2)));
    return md_emit_squeeze(e, x, 0);
}

/* What the row at a place sees: itself and what came before, as far as the
 * window reaches, where the mask given is not 0. */
static void make_mask(decoder *d, md_value_id ids, md_value_id given)
{
    const json_t *window = json_object_get(d->a->config, "sliding_window");
    md_emit *e = d->e;
    md_value_id total = length(e, given);
    md_value_id first = md_emit_op2(e, "Sub", total, length(e, ids));
    md_value_id row = md_emit_unsqueeze(e, range(e, first, total), 1);
    md_value_id column = range(e, md_emit_int(e, 0), total);
    md_value_id seen = md_emit_op2(e, "LessOrEqual", column, row);

    if (json_is_integer(window) &&
        strncmp(md_arch_text(d->a, "model_type", ""), "qwen", 4) != 0) {
        md_value_id last = md_emit_op2(
            e, "Sub", row, md_emit_int(e, json_integer_value(window)));

        seen = md_emit_op2(e, "And", seen,
                           md_emit_op2(e, "Greater", column, last));
    }
    given = md_emit_cast(e, given, MD_DTYPE_BOOL);
    given = md_emit_op2(e, "Unsqueeze", given,
                        md_emit_ints(e, (const int64_t[]){ 1, 2 }, 2));
    d->mask = md_emit_op2(e, "And", given, seen);
}

static md_value_id id_of(decoder *d, md_tv v)
{
    return md_tv_id(d->a->b, &v);
}

static md_value_id rms_norm(decoder *d, md_value_id x, const char *name)
{
    md_value_id w = id_of(d, md_arch_weight(d->a, "%s.weight", name));

    if (d->gemma)
        w = md_emit_op2(d->e, "Add", w, md_emit_float(d->e, 1));
    return md_emit_op(
        d->e, "RMSNormalization", (md_value_id[]){ x, w }, 2,
        EMIT_ATTRS(EMIT_I("axis", -1), EMIT_F("epsilon", (float)d->eps)));
}

static md_tv normalize(decoder *d, md_tv x, const char *name)
{
    if (d->phi)
        return md_arch_layer_norm(d->a, x, name, d->eps);
    md_arch_at(d->a, name);
    return md_tv_tensor(d->a->b, rms_norm(d, id_of(d, x), name));
}

/* Each head turned by its place, normalized before that where there is a norm
 * of it; [batch, sequence, heads * width] before and after. */
static md_value_id turn(decoder *d, md_value_id x, int64_t heads,
                        const char *norm)
{
    if (md_arch_has(d->a, "%s.weight", norm)) {
        x = md_emit_reshape(d->e, x, (int64_t[]){ 0, 0, heads, d->width }, 4);
        x = rms_norm(d, x, norm);
        x = md_emit_reshape(d->e, x, (int64_t[]){ 0, 0, heads * d->width }, 3);
    }
    return md_emit_op(
        d->e, "RotaryEmbedding", (md_value_id[]){ x, d->cos, d->sin }, 3,
        EMIT_ATTRS(EMIT_I("num_heads", heads),
                   EMIT_I("rotary_embedding_dim",
                          d->turned == d->width ? 0 : d->turned)));
}

/* Columns [from, to) of the last axis. */
static md_value_id columns(decoder *d, md_value_id x, int64_t from, int64_t to)
{
    return md_emit_op(
        d->e, "Slice",
        (md_value_id[]){ x, md_emit_ints(d->e, &from, 1),
                         md_emit_ints(d->e, &to, 1),
                         md_emit_ints(d->e, (int64_t[]){ 2 }, 1) },
        4, NULL);
}

/* Queries, keys and values of a layer, from one product or three. */
static void project(decoder *d, md_tv x, const char *at, md_value_id out[3])
{
    static const char *const names[] = { "q_proj", "k_proj", "v_proj" };
    int64_t q = d->heads * d->width, kv = d->kv_heads * d->width;
    md_value_id all;

    if (!md_arch_has(d->a, "%sself_attn.qkv_proj.weight", at)) {
        for (int i = 0; i < 3; i++)
            out[i] =
                id_of(d, md_arch_linear(d->a, x,
                                        md_arch_name(d->a, "%sself_attn.%s", at,
                                                     names[i])));
        return;
    }
    all =
        id_of(d, md_arch_linear(
                     d->a, x, md_arch_name(d->a, "%sself_attn.qkv_proj", at)));
    out[0] = columns(d, all, 0, q);
    out[1] = columns(d, all, q, q + kv);
    out[2] = columns(d, all, q + kv, q + 2 * kv);
}

static md_value_id past(decoder *d, int layer, const char *what)
{
    static const char *const symbols[] = { "batch", NULL, "past_sequence",
                                           NULL };
    int64_t sizes[] = { 0, d->kv_heads, 0, d->width };

    return id_of(d, md_arch_input(d->a,
                                  md_arch_name(d->a, "past_key_values.%d.%s",
                                               layer, what),
                                  MD_DTYPE_F32, 4, symbols, sizes));
}

static md_tv attend(decoder *d, md_tv x, int layer, const char *at)
{
    md_value_id in[6], out[3];
    const char *last =
        md_arch_has(d->a, "%sself_attn.dense.weight", at) ? "dense" : "o_proj";

    project(d, x, at, in);
    in[0] =
        turn(d, in[0], d->heads, md_arch_name(d->a, "%sself_attn.q_norm", at));
    in[1] = turn(d, in[1], d->kv_heads,
                 md_arch_name(d->a, "%sself_attn.k_norm", at));
    in[3] = d->mask;
    in[4] = past(d, layer, "key");
    in[5] = past(d, layer, "value");
    md_emit_op_n(d->e, out, 3, "Attention", in, 6,
                 EMIT_ATTRS(EMIT_I("q_num_heads", d->heads),
                            EMIT_I("kv_num_heads", d->kv_heads)));
    d->present[2 * (size_t)layer] = out[1];
    d->present[2 * (size_t)layer + 1] = out[2];
    return md_arch_linear(d->a, md_tv_tensor(d->a->b, out[0]),
                          md_arch_name(d->a, "%sself_attn.%s", at, last));
}

static md_tv products(decoder *d, md_tv x, const char *at)
{
    md_arch *a = d->a;
    md_tv gate, up;

    if (d->phi) {
        x = md_arch_linear(a, x, md_arch_name(a, "%smlp.fc1", at));
        x = md_arch_activate(a, x, d->act);
        return md_arch_linear(a, x, md_arch_name(a, "%smlp.fc2", at));
    }
    if (md_arch_has(a, "%smlp.gate_up_proj.weight", at)) {
        int64_t n = md_arch_size(a, 0, "%smlp.gate_up_proj.weight", at) / 2;
        md_value_id both = id_of(
            d, md_arch_linear(a, x, md_arch_name(a, "%smlp.gate_up_proj", at)));

        gate = md_tv_tensor(a->b, columns(d, both, 0, n));
        up = md_tv_tensor(a->b, columns(d, both, n, 2 * n));
    } else {
        gate = md_arch_linear(a, x, md_arch_name(a, "%smlp.gate_proj", at));
        up = md_arch_linear(a, x, md_arch_name(a, "%smlp.up_proj", at));
    }
    x = MD_ARCH_OP(a, "mul", md_arch_activate(a, gate, d->act), up);
    return md_arch_linear(a, x, md_arch_name(a, "%smlp.down_proj", at));
}

static md_tv layer(decoder *d, md_tv x, int i, const char *at)
{
    md_arch *a = d->a;
    md_tv y = normalize(d, x, md_arch_name(a, "%sinput_layernorm", at));

    if (d->phi) {
        x = MD_ARCH_OP(a, "add", x, attend(d, y, i, at));
        return MD_ARCH_OP(a, "add", x, products(d, y, at));
    }
    x = MD_ARCH_OP(a, "add", x, attend(d, y, i, at));
    y = normalize(d, x, md_arch_name(a, "%spost_attention_layernorm", at));
    return MD_ARCH_OP(a, "add", x, products(d, y, at));
}

/* What would change the result and is not done here. */
static bool is_refused(decoder *d)
{
    const md_arch *a = d->a;
    const char *why = NULL;

    if (d->heads < 1 || d->kv_heads < 1 || d->width < 1 ||
        d->heads % d->kv_heads != 0 || d->width > WIDTH_MAX || d->turned < 2 ||
        d->turned > d->width || d->turned % 2 != 0)
        why = "heads that do not fit; config.json beside the file expected";
    else if (md_arch_has(a, "layers.0.pre_feedforward_layernorm.weight"))
        why = "a Gemma later than the first";
    else if (json_is_true(json_object_get(a->config, "use_sliding_window")))
        why = "use_sliding_window";
    else if (json_is_true(json_object_get(a->config, "qk_layernorm")))
        why = "qk_layernorm";
    if (why)
        md_emit_fail(d->e, MD_UNSUPPORTED, "%s", why);
    return why != NULL;
}

static bool begin(decoder *d, md_arch *a)
{
    const char *type = md_arch_text(a, "model_type", "llama");

    *d = (decoder){ .a = a, .e = &a->b->e };
    d->hidden = md_arch_size(a, 1, "embed_tokens.weight");
    d->heads = md_arch_int(a, "num_attention_heads", 0);
    d->kv_heads = md_arch_int(a, "num_key_value_heads", d->heads);
    d->width =
        md_arch_int(a, "head_dim", d->heads > 0 ? d->hidden / d->heads : 0);
    d->turned = (int64_t)((double)d->width *
                          rope_number(a, "partial_rotary_factor", 1));
    d->gemma = strcmp(type, "gemma") == 0;
    d->phi = md_arch_has(a, "layers.0.mlp.fc1.weight");
    d->eps = d->phi ? md_arch_float(a, "layer_norm_eps", 1e-5)
                    : md_arch_float(a, "rms_norm_eps", 1e-6);
    /* Gemma's files say "gelu" and mean its approximation. */
    d->act = d->gemma
                 ? md_arch_text(a, "hidden_activation", "gelu_pytorch_tanh")
                 : md_arch_text(a, "hidden_act", "silu");
    d->present =
        md_emit_alloc(d->e, (size_t)2 * LAYERS_MAX, sizeof(*d->present));
    return d->present && !is_refused(d) &&
           md_emit_ok(d->e,
                      md_model_set_opset(d->e->model, "", OPSET, d->e->err));
}

/* The whole text's rows to words; the table of words is used once more where
 * there is no other. */
static md_tv to_words(decoder *d, md_tv x)
{
    md_arch *a = d->a;

    if (md_arch_has(a, "lm_head.weight"))
        return md_arch_linear(a, x, "lm_head");
    return MD_ARCH_OP(a, "linear", x, d->table);
}

static void emit(md_arch *a)
{
    static const char *const symbols[] = { "batch", "sequence" };
    static const char *const all[] = { "batch", "total_sequence" };
    decoder d;
    md_tv ids, x;
    int n = 0;

    if (!begin(&d, a))
        return;
    ids = md_arch_input(a, "input_ids", MD_DTYPE_I64, 2, symbols, NULL);
    make_mask(&d, id_of(&d, ids),
              id_of(&d, md_arch_input(a, "attention_mask", MD_DTYPE_I64, 2, all,
                                      NULL)));
    make_angles(&d, id_of(&d, md_arch_input(a, "position_ids", MD_DTYPE_I64, 2,
                                            symbols, NULL)));
    d.table = md_arch_weight(a, "embed_tokens.weight");
    x = MD_ARCH_OP(a, "embedding", d.table, ids);
    if (d.gemma)
        x = MD_ARCH_OP(a, "mul", x, md_tv_float(sqrt((double)d.hidden)));
    for (; n < LAYERS_MAX && d.e->status == MD_OK; n++) {
        const char *at = md_arch_name(a, "layers.%d.", n);

        if (!md_arch_has(a, "%sinput_layernorm.weight", at))
            break;
        x = layer(&d, x, n, at);
    }
    x = normalize(&d, x, d.phi ? "final_layernorm" : "norm");
    md_arch_output(a, to_words(&d, x), "logits");
    for (int i = 0; i < 2 * n; i++)
        md_arch_output(
            a, md_tv_tensor(a->b, d.present[i]),
            md_arch_name(a, "present.%d.%s", i / 2, i % 2 ? "value" : "key"));
}

static bool knows(const md_arch *a)
{
    return md_arch_has(a, "embed_tokens.weight") &&
           md_arch_has(a, "layers.0.input_layernorm.weight") &&
           (md_arch_has(a, "layers.0.self_attn.o_proj.weight") ||
            md_arch_has(a, "layers.0.self_attn.dense.weight"));
}

const md_arch_row md_arch_llama = {
    .name = "llama",
    .also = "mistral qwen gemma phi",
    .title = "Llama",
    .knows = knows,
    .prefix = { "model." },
    .emit = emit,
};
