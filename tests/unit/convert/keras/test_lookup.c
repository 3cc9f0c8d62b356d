/* Vocabularies that cannot be looked up in, and images over time that a
 * ConvLSTM does not take; what they compute: tests/e2e/test_keras.py. */
#include "support/test.h"

#include <stdio.h>
#include <string.h>

#include "support/keras_net.h"

#define TEXT "\"dtype\":\"string\""
#define NUMBERS "\"dtype\":\"int64\""
#define WORDS "\"vocabulary\":[\"a\",\"b\"]"

static const struct {
    const char *shape, *type, *cls, *config, *text;
    md_status status;
} refused[] = {
    { "[null,2]", TEXT, "StringLookup", "", "without a vocabulary",
      MD_UNSUPPORTED },
    { "[null,2]", TEXT, "StringLookup", "\"vocabulary\":\"/etc/passwd\"",
      "vocabulary \"/etc/passwd\" has no conversion", MD_UNSUPPORTED },
    { "[null,2]", TEXT, "StringLookup", "\"vocabulary\":[]",
      "a vocabulary of 0 words", MD_CORRUPT },
    { "[null,2]", TEXT, "StringLookup", "\"vocabulary\":[\"a\",7]",
      "token 2 is no text", MD_CORRUPT },
    { "[null,2]", NUMBERS, "IntegerLookup", WORDS, "token 1 is no integer",
      MD_CORRUPT },
    { "[null,2]", NUMBERS, "StringLookup", WORDS,
      "numbers where it looks up text", MD_UNSUPPORTED },
    { "[null,2]", TEXT, "IntegerLookup", "\"vocabulary\":[1]",
      "text where it looks up numbers", MD_UNSUPPORTED },
    { "[null,2]", TEXT, "CategoryEncoding", "\"num_tokens\":3",
      "text where it looks up numbers", MD_UNSUPPORTED },
    { "[null,2]", TEXT, "StringLookup", WORDS ",\"num_oov_indices\":2",
      "what is unknown is told apart by FarmHash", MD_UNSUPPORTED },
    { "[null,2]", TEXT, "StringLookup", WORDS ",\"num_oov_indices\":-1",
      "num_oov_indices -1", MD_UNSUPPORTED },
    { "[null,2]", TEXT, "StringLookup", WORDS ",\"output_mode\":\"odd\"",
      "output_mode \"odd\"", MD_UNSUPPORTED },
    { "[null,2]", TEXT, "StringLookup", WORDS ",\"output_mode\":\"tf_idf\"",
      "0 idf_weights for 2 words", MD_CORRUPT },
    { "[null,2]", TEXT, "StringLookup",
      WORDS ",\"pad_to_max_tokens\":true,\"max_tokens\":2",
      "a vocabulary of 2 words, of at most 2", MD_CORRUPT },
    { "[null,2]", TEXT, "StringLookup", WORDS ",\"encoding\":\"latin-1\"",
      "encoding \"latin-1\"", MD_UNSUPPORTED },
    { "[null,2]", NUMBERS, "StringLookup",
      WORDS ",\"invert\":true,\"output_mode\":\"count\"",
      "output_mode \"count\"", MD_UNSUPPORTED },
    { "[null]", NUMBERS, "CategoryEncoding", "\"num_tokens\":3",
      "output_mode 'multi_hot' of an input of rank 1", MD_UNSUPPORTED },
    { "[null,2]", NUMBERS, "CategoryEncoding", "", "num_tokens 0",
      MD_UNSUPPORTED },
    { "[null,2]", NUMBERS, "Discretization", "", "it was never adapted",
      MD_UNSUPPORTED },
    { "[null,4,4]", NUMBERS, "ConvLSTM2D", "\"filters\":1,\"kernel_size\":1",
      "1 filters on a tensor of rank 3", MD_CORRUPT },
    { "[null,4,4,3]", NUMBERS, "ConvLSTM1D", "\"filters\":0,\"kernel_size\":1",
      "0 filters on a tensor of rank 4", MD_CORRUPT },
    { "[null,4,null,3]", NUMBERS, "ConvLSTM1D",
      "\"filters\":1,\"kernel_size\":1", "steps whose axis 2 is free",
      MD_UNSUPPORTED },
    { "[null,4,4,3]", NUMBERS, "ConvLSTM1D", "\"filters\":1,\"kernel_size\":1",
      "weight 0 is missing", MD_CORRUPT },
    { "[null,4,4,3]", NUMBERS, "ConvLSTM1D",
      "\"filters\":1,\"kernel_size\":1,\"stateful\":true", "stateful true",
      MD_UNSUPPORTED },
};

static void test_lookup__what_is_refused_is_named(void **state)
{
    (void)state;
    for (size_t i = 0; i < MD_COUNT(refused); i++) {
        char config[1024];
        md_error err = MD_ERROR_INIT;
        keras_net_def net = { .config = config };
        md_model *m = NULL;

        snprintf(config, sizeof(config),
                 "{\"class_name\":\"Sequential\",\"config\":{\"name\":\"s\","
                 "\"layers\":[{\"class_name\":\"InputLayer\",\"config\":{"
                 "\"name\":\"x\",\"batch_shape\":%s,%s}},"
                 "{\"class_name\":\"%s\",\"config\":{%s%s\"name\":\"r\"}}]}}",
                 refused[i].shape, refused[i].type, refused[i].cls,
                 refused[i].config, refused[i].config[0] ? "," : "");
        assert_md_fails(keras_net_convert(&m, &net, &err), refused[i].status,
                        &err, refused[i].text);
        assert_null(m);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lookup__what_is_refused_is_named),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
