/*
 * Which settings a layer may have: what its emitter reads, in the form that
 * it reads, and what only training or shape checks look at.  Anything else
 * could change what the layer computes, so it stands in the way.
 */
#include "convert/keras/settings.h"

#include <string.h>

#include "convert/keras/layer.h"

/* Without effect on inference, whatever they are and on any layer. */
static const char *const harmless[] = {
    "activity_regularizer",
    "autocast",
    "batch_input_shape",
    "batch_shape",
    "build_input_shape",
    "flash_attention", /* how it is computed, not what */
    "fused",
    "implementation",
    "input_dtype",
    "input_shape",
    "l1",
    "l2",
    "lora_alpha", /* merged into the kernel when it is saved */
    "lora_rank",
    "momentum",
    "name",
    "noise_shape",
    "rate",
    "renorm_clipping",
    "renorm_momentum",
    "seed",
    "sparse",
    "stddev",
    "synchronized",
    "trainable",
};

static const char *const harmless_end[] = {
    "_constraint",
    "_initializer",
    "_regularizer",
};

/* What each emitter reads. */
static const struct {
    md_keras_emit_fn *emit;
    const char *keys;
} reads[] = {
    { md_keras_emit_activation, "activation" },
    { md_keras_emit_attention,
      "attention_axes dropout head_dim key_dim num_heads num_key_value_heads "
      "num_query_heads output_shape use_bias use_gate value_dim" },
    { md_keras_emit_batch_norm, "axis center epsilon renorm scale" },
    { md_keras_emit_bidirectional, "backward_layer layer merge_mode" },
    { md_keras_emit_category_encoding, "max_tokens num_tokens output_mode" },
    { md_keras_emit_center_crop, "data_format height width" },
    { md_keras_emit_concatenate, "axis" },
    { md_keras_emit_conv, "activation data_format dilation_rate filters groups "
                          "kernel_size padding strides use_bias" },
    { md_keras_emit_conv_lstm,
      "activation data_format dilation_rate dropout filters go_backwards "
      "kernel_size padding recurrent_activation recurrent_dropout "
      "return_sequences return_state stateful strides unit_forget_bias unroll "
      "use_bias zero_output_for_mask" },
    { md_keras_emit_conv_transpose,
      "activation data_format dilation_rate filters groups kernel_size "
      "output_padding padding strides use_bias" },
    { md_keras_emit_cropping, "cropping data_format" },
    { md_keras_emit_dense, "activation quantization_config units use_bias" },
    { md_keras_emit_depthwise,
      "activation data_format depth_multiplier dilation_rate groups "
      "kernel_size padding strides use_bias" },
    { md_keras_emit_discretization,
      "bin_boundaries epsilon num_bins output_mode" },
    { md_keras_emit_dot, "axes normalize" },
    { md_keras_emit_dot_attention, "dropout score_mode use_scale" },
    { md_keras_emit_elu, "alpha" },
    { md_keras_emit_embedding, "input_dim input_length mask_zero output_dim "
                               "quantization_config" },
    { md_keras_emit_flatten, "data_format" },
    { md_keras_emit_global_pool, "data_format keepdims" },
    { md_keras_emit_group_norm, "axis center epsilon groups scale" },
    { md_keras_emit_identity, "data_format" },
    { md_keras_emit_layer_norm, "axis center epsilon rms_scaling scale" },
    { md_keras_emit_leaky_relu, "alpha negative_slope" },
    { md_keras_emit_lookup,
      "encoding has_input_vocabulary idf_weights invert mask_token max_tokens "
      "max_values num_oov_indices oov_method oov_token output_mode "
      "pad_to_max_tokens vocabulary vocabulary_dtype vocabulary_size" },
    { md_keras_emit_masking, "mask_value" },
    { md_keras_emit_normalization, "axis invert mean variance" },
    { md_keras_emit_permute, "dims" },
    { md_keras_emit_pool, "data_format padding pool_size strides" },
    { md_keras_emit_prelu, "shared_axes" },
    { md_keras_emit_recurrent,
      "activation dropout go_backwards recurrent_activation recurrent_dropout "
      "reset_after return_sequences return_state stateful time_major "
      "unit_forget_bias units unroll use_bias zero_output_for_mask" },
    { md_keras_emit_relu, "max_value negative_slope threshold" },
    { md_keras_emit_repeat_vector, "n" },
    { md_keras_emit_rescaling, "offset scale" },
    { md_keras_emit_reshape, "target_shape" },
    { md_keras_emit_resizing,
      "antialias crop_to_aspect_ratio data_format fill_mode fill_value height "
      "interpolation pad_to_aspect_ratio width" },
    { md_keras_emit_separable,
      "activation data_format depth_multiplier dilation_rate filters groups "
      "kernel_size padding strides use_bias" },
    { md_keras_emit_softmax, "axis" },
    { md_keras_emit_thresholded_relu, "theta" },
    { md_keras_emit_time_distributed, "layer" },
    { md_keras_emit_unit_norm, "axis" },
    { md_keras_emit_up_sampling, "data_format interpolation size" },
    { md_keras_emit_zero_padding, "data_format padding" },
};

static bool is_bool(const json_t *v)
{
    return json_is_boolean(v) || json_is_integer(v);
}

static bool is_false(const json_t *v)
{
    return is_bool(v) && !json_is_true(v) && json_integer_value(v) == 0;
}

static bool is_null(const json_t *v)
{
    (void)v;
    return false; /* null is fine before a form is asked for */
}

static bool is_integer(const json_t *v)
{
    return json_is_integer(v);
}

static bool is_number(const json_t *v)
{
    return json_is_number(v);
}

static bool is_layer(const json_t *v)
{
    return json_is_object(v) && json_object_get(v, "class_name");
}

static bool is_text(const json_t *v)
{
    return json_is_string(v);
}

static bool is_utf8(const json_t *v)
{
    return json_is_string(v) && strcmp(json_string_value(v), "utf-8") == 0;
}

static bool is_last(const json_t *v)
{
    return json_is_string(v) &&
           strcmp(json_string_value(v), "channels_last") == 0;
}

static bool is_activation(const json_t *v)
{
    const char *name = md_keras_function_name(v);

    return name && md_keras_knows_activation(name);
}

/*
 * The form of a setting; the lists of numbers, which the emitters take apart
 * themselves, are missing.  null is as good as absent.
 */
static const struct {
    const char *key;
    bool (*fits)(const json_t *v);
    md_keras_emit_fn *emit; /* only for this one; NULL: for all */
} forms[] = {
    { "activation", is_activation, NULL },
    { "alpha", is_number, NULL },
    { "antialias", is_bool, NULL },
    { "axis", is_integer, md_keras_emit_concatenate },
    { "center", is_bool, NULL },
    { "crop_to_aspect_ratio", is_bool, NULL },
    { "data_format", is_last, NULL },
    { "depth_multiplier", is_integer, NULL },
    { "encoding", is_utf8, NULL },
    { "epsilon", is_number, NULL },
    { "filters", is_integer, NULL },
    { "go_backwards", is_bool, NULL },
    { "groups", is_integer, NULL },
    { "head_dim", is_integer, NULL },
    { "height", is_integer, NULL },
    { "input_dim", is_integer, NULL },
    { "interpolation", is_text, NULL },
    { "invert", is_bool, NULL },
    { "keepdims", is_bool, NULL },
    { "key_dim", is_integer, NULL },
    { "layer", is_layer, NULL },
    { "mask_value", is_number, NULL },
    { "mask_zero", is_bool, NULL },
    { "max_value", is_number, NULL },
    { "merge_mode", is_text, NULL },
    { "n", is_integer, NULL },
    { "negative_slope", is_number, NULL },
    { "normalize", is_bool, NULL },
    { "num_heads", is_integer, NULL },
    { "num_key_value_heads", is_integer, NULL },
    { "num_query_heads", is_integer, NULL },
    { "output_dim", is_integer, NULL },
    { "output_mode", is_text, NULL },
    { "pad_to_aspect_ratio", is_bool, NULL },
    { "padding", is_text, md_keras_emit_conv },
    { "padding", is_text, md_keras_emit_conv_lstm },
    { "padding", is_text, md_keras_emit_conv_transpose },
    { "padding", is_text, md_keras_emit_depthwise },
    { "padding", is_text, md_keras_emit_pool },
    { "padding", is_text, md_keras_emit_separable },
    { "quantization_config", is_null, NULL },
    { "renorm", is_false, NULL },
    { "recurrent_activation", is_activation, NULL },
    { "reset_after", is_bool, NULL },
    { "return_sequences", is_bool, NULL },
    { "return_state", is_bool, NULL },
    { "rms_scaling", is_bool, NULL },
    { "scale", is_bool, md_keras_emit_batch_norm },
    { "scale", is_bool, md_keras_emit_group_norm },
    { "scale", is_bool, md_keras_emit_layer_norm },
    { "score_mode", is_text, NULL },
    { "stateful", is_false, NULL },
    { "theta", is_number, NULL },
    { "threshold", is_number, NULL },
    { "time_major", is_false, NULL },
    { "units", is_integer, NULL },
    { "use_bias", is_bool, NULL },
    { "use_gate", is_false, NULL },
    { "use_scale", is_bool, NULL },
    { "value_dim", is_integer, NULL },
    { "width", is_integer, NULL },
};

static bool ends_with(const char *text, const char *end)
{
    size_t n = strlen(text);
    size_t k = strlen(end);

    return n >= k && strcmp(text + n - k, end) == 0;
}

static bool is_harmless(const char *key)
{
    for (size_t i = 0; i < MD_COUNT(harmless); i++) {
        if (strcmp(harmless[i], key) == 0)
            return true;
    }
    for (size_t i = 0; i < MD_COUNT(harmless_end); i++) {
        if (ends_with(key, harmless_end[i]))
            return true;
    }
    return false;
}

bool md_keras_is_word_of(const char *keys, const char *key)
{
    size_t n = strlen(key);

    for (const char *p = keys; (p = strstr(p, key)) != NULL; p += n) {
        if ((p == keys || p[-1] == ' ') && (p[n] == ' ' || !p[n]))
            return true;
    }
    return false;
}

static bool is_read(const md_keras_row *row, const char *key)
{
    for (size_t i = 0; i < MD_COUNT(reads); i++) {
        if (reads[i].emit == row->emit)
            return md_keras_is_word_of(reads[i].keys, key);
    }
    return false;
}

static bool has_form(const md_keras_row *row, const char *key, const json_t *v)
{
    for (size_t i = 0; i < MD_COUNT(forms); i++) {
        if (strcmp(forms[i].key, key) == 0 &&
            (!forms[i].emit || forms[i].emit == row->emit))
            return json_is_null(v) || forms[i].fits(v);
    }
    return true;
}

/* Floats of any width are computed in float32; integers would round, but of
 * layers that make them. */
static bool is_policy(const md_keras_row *row, const json_t *v)
{
    const char *name;

    if (json_is_null(v))
        return true;
    /* Policies without a name of their own are those of quantized layers. */
    if (json_is_object(v))
        v = json_object_get(json_object_get(v, "config"), "name");
    name = json_string_value(v);
    if (name &&
        (row->emit == md_keras_emit_lookup ||
         row->emit == md_keras_emit_category_encoding) &&
        (strcmp(name, "string") == 0 ||
         md_dtype_is_integer(md_dtype_parse(name))))
        return true;
    return name &&
           (strcmp(name, "float16") == 0 || strcmp(name, "bfloat16") == 0 ||
            strcmp(name, "float32") == 0 || strcmp(name, "float64") == 0 ||
            strcmp(name, "mixed_float16") == 0 ||
            strcmp(name, "mixed_bfloat16") == 0);
}

bool md_keras_setting_fits(const md_keras_row *row, const char *key,
                           const json_t *v)
{
    if (strcmp(key, "dtype") == 0)
        return is_policy(row, v);
    if (is_read(row, key))
        return has_form(row, key, v);
    return is_harmless(key) || json_is_null(v);
}
