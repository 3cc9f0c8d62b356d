/* Settings of layers: which are read, which do not matter, what is refused. */
#include "support/test.h"

#include <stdio.h>
#include <string.h>

#include "convert/keras/layer.h"
#include "convert/keras/settings.h"
#include "support/keras_net.h"

static bool fits(const char *cls, const char *key, const char *value)
{
    const md_keras_row *row = md_keras_row_find(cls);
    json_t *v = json_loads(value, JSON_DECODE_ANY, NULL);
    bool yes;

    if (!row || !v)
        fail_msg("%s %s %s", cls, key, value);
    yes = md_keras_setting_fits(row, key, v);
    json_decref(v);
    return yes;
}

static void test_settings__forms(void **state)
{
    static const struct {
        const char *cls, *key, *value;
        bool fits;
    } cases[] = {
        /* Forms that Keras 2 and 3 write. */
        { "Dense", "units", "3", true },
        { "Dense", "use_bias", "false", true },
        { "Dense", "use_bias", "1", true },
        { "Dense", "activation", "null", true },
        { "Dense", "activation", "\"relu\"", true },
        { "Dense", "activation",
          "{\"class_name\":\"function\",\"config\":\"relu\"}", true },
        { "Dense", "kernel_initializer", "{\"class_name\":\"Zeros\"}", true },
        { "Dense", "bias_constraint", "{\"class_name\":\"NonNeg\"}", true },
        { "Dense", "lora_rank", "4", true },
        { "Dense", "quantization_config", "null", true },
        { "Conv2D", "data_format", "\"channels_last\"", true },
        { "Conv2D", "data_format", "null", true },
        { "Conv2D", "padding", "\"same\"", true },
        { "ZeroPadding2D", "padding", "[[1,1],[2,2]]", true },
        { "Dropout", "rate", "0.5", true },
        { "Embedding", "mask_zero", "0", true },
        { "Embedding", "mask_zero", "true", true },
        { "BatchNormalization", "momentum", "0.99", true },
        { "Rescaling", "scale", "[1,2]", true },
        /* An unknown setting that is not given. */
        { "Dense", "invented_later", "null", true },
        /* Forms that nobody reads. */
        { "Dense", "invented_later", "false", false },
        { "Dense", "units", "3.0", false },
        { "Dense", "units", "\"3\"", false },
        { "Dense", "use_bias", "\"no\"", false },
        { "Dense", "activation", "{\"class_name\":\"LeakyReLU\"}", false },
        { "Dense", "activation", "\"glu\"", false },
        { "Dense", "quantization_config", "{}", false },
        { "Conv2D", "data_format", "\"channels_first\"", false },
        { "Conv2D", "data_format", "1", false },
        { "Conv2D", "padding", "[1,1]", false },
        { "AveragePooling1D", "padding", "[1]", false },
        { "Embedding", "mask_zero", "\"true\"", false },
        { "LSTM", "stateful", "true", false },
        { "LSTM", "recurrent_activation", "\"glu\"", false },
        { "MultiHeadAttention", "use_gate", "true", false },
        { "TimeDistributed", "layer", "\"Dense\"", false },
        { "BatchNormalization", "renorm", "true", false },
        { "BatchNormalization", "scale", "[1,2]", false },
        { "LayerNormalization", "epsilon", "\"1e-3\"", false },
        { "Concatenate", "axis", "[1]", false },
        { "LeakyReLU", "alpha", "{\"class_name\":\"__numpy__\",\"config\":0.1}",
          false },
        { "ReLU", "max_value", "[6]", false },
        { "RepeatVector", "n", "2.5", false },
        /* Settings of other layers. */
        { "Dense", "strides", "1", false },
        { "Add", "axis", "1", false },
        { "MaxPooling2D", "dilation_rate", "[2,2]", false },
        { "GlobalMaxPooling1D", "pool_size", "2", false },
        { "ReLU", "alpha", "0.2", false },
    };

    (void)state;
    for (size_t i = 0; i < MD_COUNT(cases); i++) {
        if (fits(cases[i].cls, cases[i].key, cases[i].value) != cases[i].fits)
            fail_msg("%s: %s %s: %d expected", cases[i].cls, cases[i].key,
                     cases[i].value, cases[i].fits);
    }
}

/* Everything is computed in float32; integers and codes would be rounded. */
static void test_settings__types(void **state)
{
    static const struct {
        const char *value;
        bool fits;
    } cases[] = {
        { "null", true },
        { "\"float32\"", true },
        { "\"float16\"", true },
        { "\"bfloat16\"", true },
        { "\"float64\"", true },
        { "\"mixed_float16\"", true },
        { "{\"class_name\":\"DTypePolicy\",\"config\":{\"name\":"
          "\"mixed_bfloat16\"}}",
          true },
        { "\"int32\"", false },
        { "\"float8_e4m3fn\"", false },
        { "3", false },
        { "{\"class_name\":\"QuantizedDTypePolicy\",\"config\":{\"name\":"
          "\"int8_from_float32\"}}",
          false },
        { "{\"class_name\":\"QuantizedDTypePolicy\",\"config\":{\"mode\":"
          "\"int8\",\"source_name\":\"float32\"}}",
          false },
        { "{}", false },
    };

    (void)state;
    for (size_t i = 0; i < MD_COUNT(cases); i++) {
        if (fits("Rescaling", "dtype", cases[i].value) != cases[i].fits)
            fail_msg("%s: %d expected", cases[i].value, cases[i].fits);
    }
}

/* Each row of layers.def reads something or nothing, and never what is not
 * there: a new emitter must tell its settings. */
static void test_settings__every_layer_may_have_a_name(void **state)
{
    static const char *const all[] = {
#define LAYER(cls, emit, min, max) #cls,
#include "convert/keras/layers.def"
#undef LAYER
    };

    (void)state;
    for (size_t i = 0; i < MD_COUNT(all); i++) {
        assert_true(fits(all[i], "name", "\"x\""));
        assert_true(fits(all[i], "trainable", "true"));
        assert_false(fits(all[i], "no_such_setting", "1"));
    }
}

static void refused(const char *layers, const char *text)
{
    static const int64_t dim[] = { 1, 4 };
    md_error err = MD_ERROR_INIT;
    keras_net_def net = { .version = "3.5.0" };
    md_model *m = NULL;
    char config[2048];

    net.config = keras_sequential(config, sizeof(config), 2, dim, layers);
    assert_md_fails(keras_net_convert(&m, &net, &err), MD_UNSUPPORTED, &err,
                    text);
    assert_null(m);
}

/* Layer, option and value stand in the text, all of them in one. */
static void test_settings__what_is_refused_is_named(void **state)
{
    (void)state;
    refused("{\"class_name\":\"Dense\",\"config\":{\"name\":\"d\",\"units\":1,"
            "\"sparsity\":0.5,\"use_bias\":\"no\"}},"
            "{\"class_name\":\"ReLU\",\"config\":{\"name\":\"r\","
            "\"max_value\":[6]}}",
            "2 layers have no conversion: Dense with sparsity 0.5 ('d'), Dense "
            "with use_bias \"no\" ('d'), ReLU with max_value [6] ('r')");
    refused("{\"class_name\":\"Dense\",\"config\":{\"name\":\"d\",\"activation"
            "\":{\"class_name\":\"LeakyReLU\",\"config\":{\"alpha\":0.1}}}}",
            "Dense with activation \"LeakyReLU\" ('d')");
    refused("{\"class_name\":\"Dense\",\"config\":{\"name\":\"d\",\"activation"
            "\":{\"class_name\":\"function\",\"config\":\"mine>act\"}}}",
            "Dense with activation \"mine>act\" ('d')");
    refused("{\"class_name\":\"Dropout\",\"config\":{\"name\":\"d\",\"odd\":\""
            "0123456789012345678901234567890123456789 and more\"}}",
            "odd \"012345678901234567890123456789012345678... ('d')");
}

/* A class of someone else may have a name that Keras has too. */
static void test_settings__custom_classes_are_refused(void **state)
{
    static const struct {
        const char *origin, *text;
    } cases[] = {
        { "\"module\":null,\"registered_name\":\"mine>ReLU\"",
          "ReLU with registered_name \"mine>ReLU\" ('r')" },
        { "\"module\":\"__main__\",\"registered_name\":\"ReLU\"",
          "ReLU with module \"__main__\" ('r')" },
        { "\"module\":\"keras_cv.layers\"",
          "ReLU with module \"keras_cv.layers\" ('r')" },
        { "\"module\":\"keras.layers\",\"registered_name\":null", NULL },
        { "\"module\":\"keras.src.layers.activations.relu\"", NULL },
        { "\"module\":\"tensorflow.python.keras.layers\"", NULL },
        { "\"module\":\"tf_keras.layers\"", NULL },
        { "\"module\":\"keras\"", NULL },
    };
    static const int64_t dim[] = { 1, 4 };

    (void)state;
    for (size_t i = 0; i < MD_COUNT(cases); i++) {
        char layer[256];
        char config[1024];
        md_error err = MD_ERROR_INIT;
        keras_net_def net = { .version = "3.5.0" };
        md_model *m = NULL;

        snprintf(layer, sizeof(layer),
                 "{\"class_name\":\"ReLU\",\"config\":{\"name\":\"r\"},%s}",
                 cases[i].origin);
        if (cases[i].text) {
            refused(layer, cases[i].text);
            continue;
        }
        net.config = keras_sequential(config, sizeof(config), 2, dim, layer);
        assert_md_ok(keras_net_convert(&m, &net, &err), &err);
        md_model_free(m);
    }
}

/* Inputs that are more than a dense tensor. */
static void test_settings__inputs(void **state)
{
    static const struct {
        const char *setting, *text;
    } cases[] = {
        { "\"ragged\":true", "InputLayer with ragged true ('x')" },
        { "\"optional\":true", "InputLayer with optional true ('x')" },
        { "\"ragged\":\"no\"", "InputLayer with ragged \"no\" ('x')" },
        { "\"optional\":[]", "InputLayer with optional [] ('x')" },
        { "\"ragged\":false,\"optional\":null,\"sparse\":true", NULL },
        { "\"dtype\":\"text\"", "input 'x' has dtype \"text\", a type of "
                                "numbers or string expected" },
        { "\"dtype\":32",
          "input 'x' has dtype 32, a type of numbers or string expected" },
        { "\"dtype\":{\"config\":{}}", "input 'x' has dtype {\"config\":{}}" },
        { "\"dtype\":null", NULL },
        { "\"dtype\":{\"config\":{\"name\":\"float16\"}}", NULL },
    };

    (void)state;
    for (size_t i = 0; i < MD_COUNT(cases); i++) {
        char config[1024];
        md_error err = MD_ERROR_INIT;
        keras_net_def net = { .config = config };
        md_model *m = NULL;
        md_status s;

        snprintf(config, sizeof(config),
                 "{\"class_name\":\"Sequential\",\"config\":{\"name\":\"s\","
                 "\"layers\":[{\"class_name\":\"InputLayer\",\"config\":{"
                 "\"name\":\"x\",\"batch_shape\":[null,2],%s}},"
                 "{\"class_name\":\"ReLU\",\"config\":{\"name\":\"r\"}}]}}",
                 cases[i].setting);
        s = keras_net_convert(&m, &net, &err);
        if (cases[i].text)
            assert_md_fails(s, MD_UNSUPPORTED, &err, cases[i].text);
        else
            assert_md_ok(s, &err);
        md_model_free(m);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_settings__forms),
        cmocka_unit_test(test_settings__types),
        cmocka_unit_test(test_settings__every_layer_may_have_a_name),
        cmocka_unit_test(test_settings__what_is_refused_is_named),
        cmocka_unit_test(test_settings__custom_classes_are_refused),
        cmocka_unit_test(test_settings__inputs),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
