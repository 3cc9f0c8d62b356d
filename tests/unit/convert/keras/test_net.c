/* Keras configs: which structure they become, and what is refused. */
#include "support/test.h"

#include <stdio.h>
#include <string.h>

#include "convert/keras/net.h"

#define KT(layer)                                                              \
    "{\"class_name\":\"__keras_tensor__\",\"config\":{\"shape\":[null,4],"     \
    "\"dtype\":\"float32\",\"keras_history\":[\"" layer "\",0,0]}}"
#define INPUT(name)                                                            \
    "{\"class_name\":\"InputLayer\",\"name\":\"" name                          \
    "\",\"config\":{\"batch_shape\":[null,4]},\"inbound_nodes\":[]}"

typedef struct fixture {
    md_keras_file file;
    md_arena arena;
    md_keras_net *net;
    md_error err;
} fixture;

static md_status read_net(fixture *f, int major, const char *text)
{
    json_error_t e;

    memset(f, 0, sizeof(*f));
    md_arena_init(&f->arena, md_alloc_default(), 0);
    f->file.major = major;
    f->file.model = json_loads(text, 0, &e);
    if (!f->file.model)
        fail_msg("%s at %d", e.text, e.column);
    return md_keras_net_read(&f->net, &f->file, &f->arena, &f->err);
}

static void end(fixture *f)
{
    md_keras_file_release(&f->file);
    md_arena_release(&f->arena);
}

static void test_net__sequential_is_a_chain(void **state)
{
    fixture f;

    (void)state;
    assert_md_ok(
        read_net(
            &f, 3,
            "{\"class_name\":\"Sequential\",\"config\":{\"name\":\"s\","
            "\"layers\":[" INPUT(
                "in") ","
                      "{\"class_name\":\"ReLU\",\"config\":{\"name\":\"r\"}},"
                      "{\"class_name\":\"Softmax\",\"config\":{\"name\":\"p\"}}]}}"),
        &f.err);
    assert_int_equal(f.net->n_layers, 3);
    assert_true(f.net->layers[0].is_input);
    assert_int_equal(f.net->layers[2].calls[0].n_in, 1);
    assert_int_equal(f.net->layers[2].calls[0].in[0].layer, 1);
    assert_int_equal(f.net->outputs[0].layer, 2);
    assert_int_equal(f.net->inputs[0].layer, 0);
    end(&f);
}

static void test_net__sequential_without_input_layer(void **state)
{
    fixture f;

    (void)state;
    assert_md_ok(
        read_net(&f, 2,
                 "{\"class_name\":\"Sequential\",\"config\":[{\"class_name\":"
                 "\"ReLU\",\"config\":{\"name\":\"r\",\"batch_input_shape\":"
                 "[null,3]}}]}"),
        &f.err);
    assert_int_equal(f.net->n_layers, 2);
    assert_true(f.net->layers[0].is_input);
    assert_string_equal(f.net->layers[0].name, "r_input");
    assert_non_null(
        json_object_get(f.net->layers[0].config, "batch_input_shape"));
    end(&f);
}

static void test_net__keras3_and_keras2_graphs_agree(void **state)
{
    static const char *const node[] = {
        "[{\"args\":[[" KT("a") "," KT("b") "]],\"kwargs\":{\"mask\":null}}]",
        "[[[\"a\",0,0,{}],[\"b\",0,0,{}]]]",
    };
    static const char *const ends[] = {
        "\"input_layers\":[[\"a\",0,0],[\"b\",0,0]],"
        "\"output_layers\":[\"sum\",0,0]",
        "\"input_layers\":[[\"a\",0,0],[\"b\",0,0]],"
        "\"output_layers\":[[\"sum\",0,0]]",
    };
    char text[2048];

    (void)state;
    for (int i = 0; i < 2; i++) {
        fixture f;

        snprintf(text, sizeof(text),
                 "{\"class_name\":\"Functional\",\"config\":{\"name\":\"m\","
                 "\"layers\":[{\"class_name\":\"Add\",\"name\":\"sum\","
                 "\"config\":{},\"inbound_nodes\":%s}," INPUT("a") "," INPUT(
                     "b") "],%s}}",
                 node[i], ends[i]);
        assert_md_ok(read_net(&f, 3 - i, text), &f.err);
        assert_int_equal(f.net->n_inputs, 2);
        assert_int_equal(f.net->inputs[1].layer, 2);
        assert_int_equal(f.net->n_outputs, 1);
        assert_int_equal(f.net->outputs[0].layer, 0);
        assert_int_equal(f.net->layers[0].calls[0].n_in, 2);
        assert_int_equal(f.net->layers[0].calls[0].in[1].layer, 2);
        end(&f);
    }
}

static void test_net__all_unsupported_layers_in_one_message(void **state)
{
    fixture f;

    (void)state;
    assert_md_fails(
        read_net(
            &f, 3,
            "{\"class_name\":\"Sequential\",\"config\":{\"name\":\"s\","
            "\"layers\":[" INPUT(
                "in") ","
                      "{\"class_name\":\"Mystery\",\"config\":{\"name\":\"m1\"}},"
                      "{\"class_name\":\"Mystery\",\"config\":{\"name\":\"m2\"}},"
                      "{\"class_name\":\"Dense\",\"config\":{\"name\":\"d\","
                      "\"activation\":\"wiggle\"}},"
                      "{\"class_name\":\"Conv2D\",\"config\":{\"name\":\"c\","
                      "\"data_format\":\"channels_first\"}},"
                      "{\"class_name\":\"Hypot\",\"module\":\"keras.src.ops.numpy\","
                      "\"config\":{\"name\":\"op\"}},"
                      "{\"class_name\":\"Lambda\",\"config\":{\"name\":\"l\"}}]}}"),
        MD_UNSUPPORTED, &f.err,
        "6 layers have no conversion: Mystery ('m1' and 1 more), Dense with "
        "activation \"wiggle\" ('d'), Conv2D with data_format "
        "\"channels_first\" ('c'), Hypot with keras.ops ('op'), Lambda ('l')");
    end(&f);
}

/* What stands for a whole model, or for the layers of a Functional. */
static void test_net__bad_structures(void **state)
{
    static const struct {
        const char *model;
        md_status status;
        const char *text;
    } cases[] = {
        { "{}", MD_UNSUPPORTED, "keeps no graph" },
        { "{\"class_name\":\"MyModel\",\"config\":{}}", MD_UNSUPPORTED,
          "'MyModel' keeps no graph" },
        { "{\"class_name\":\"Sequential\",\"config\":{\"layers\":[]}}",
          MD_CORRUPT, "has 0 layers" },
        { "{\"class_name\":\"Sequential\",\"config\":{\"layers\":[1,[]]}}",
          MD_CORRUPT, "lacks class_name" },
        { "{\"class_name\":\"Sequential\",\"config\":{\"layers\":["
          "{\"class_name\":\"ReLU\"}]}}",
          MD_CORRUPT, "lacks class_name, name or config" },
        { "{\"class_name\":\"Sequential\",\"config\":{\"layers\":[" INPUT(
              "a") "," INPUT("b") "]}}",
          MD_CORRUPT, "'b' of a Sequential is an InputLayer" },
        { "{\"class_name\":\"Functional\",\"config\":{\"layers\":[" INPUT(
              "a") "]}}",
          MD_CORRUPT, "has no input_layers" },
        { "{\"class_name\":\"Functional\",\"config\":{\"layers\":[" INPUT(
              "a") "],\"input_layers\":[\"b\",0,0]}}",
          MD_CORRUPT, "has no layer 'b'" },
        { "{\"class_name\":\"Functional\",\"config\":{\"layers\":[" INPUT(
              "a") "],\"input_layers\":[\"a\",0,1]}}",
          MD_CORRUPT, "tensor 1 of call 0" },
        { "{\"class_name\":\"Functional\",\"config\":{\"layers\":[" INPUT(
              "a") "],\"input_layers\":[\"a\",-1,0]}}",
          MD_CORRUPT, "call -1" },
        { "{\"class_name\":\"Functional\",\"config\":{\"layers\":["
          "{\"class_name\":\"ReLU\",\"name\":\"r\",\"config\":{},"
          "\"inbound_nodes\":[[[\"r\",0,0,{}]]]}],"
          "\"input_layers\":[\"r\",0,0]}}",
          MD_CORRUPT, "'r' is a ReLU, InputLayer expected" },
        { "{\"class_name\":\"Functional\",\"config\":{\"layers\":["
          "{\"class_name\":\"ReLU\",\"name\":\"r\",\"config\":{},"
          "\"inbound_nodes\":[{\"args\":[{\"class_name\":\"__keras_tensor__\"}"
          "]}]}]}}",
          MD_CORRUPT, "lacks its history" },
    };

    (void)state;
    for (size_t i = 0; i < MD_COUNT(cases); i++) {
        fixture f;

        assert_md_fails(read_net(&f, 3, cases[i].model), cases[i].status,
                        &f.err, cases[i].text);
        end(&f);
    }
}

static void test_net__nesting_is_limited(void **state)
{
    static const char open[] = "{\"class_name\":\"Sequential\",\"name\":\"s\","
                               "\"config\":{\"layers\":[";
    static char text[8192];
    size_t at = 0;
    fixture f;

    (void)state;
    for (int i = 0; i < 20; i++)
        at += (size_t)snprintf(text + at, sizeof(text) - at, "%s", open);
    at += (size_t)snprintf(text + at, sizeof(text) - at, INPUT("a"));
    for (int i = 0; i < 20; i++)
        at += (size_t)snprintf(text + at, sizeof(text) - at, "]}}");
    assert_md_fails(read_net(&f, 3, text), MD_TOO_LARGE, &f.err,
                    "nest deeper than 16");
    end(&f);
}

static void test_net__numbers_of_settings(void **state)
{
    md_keras_layer l = { .path = "x", .cls = "Conv2D" };
    json_t *c =
        json_loads("{\"one\":3,\"two\":[4,5],\"null\":null,"
                   "\"text\":\"a\",\"three\":[1,2,3],\"mixed\":[1,2.5]}",
                   0, NULL);
    md_error err = MD_ERROR_INIT;
    int64_t v[2];

    (void)state;
    l.config = c;
    assert_md_ok(md_keras_ints(v, 2, &l, "one", 0, &err), &err);
    assert_true(v[0] == 3 && v[1] == 3);
    assert_md_ok(md_keras_ints(v, 2, &l, "two", 0, &err), &err);
    assert_true(v[0] == 4 && v[1] == 5);
    assert_md_ok(md_keras_ints(v, 2, &l, "null", 7, &err), &err);
    assert_true(v[0] == 7 && v[1] == 7);
    assert_md_ok(md_keras_ints(v, 2, &l, "absent", 8, &err), &err);
    assert_true(v[1] == 8);
    assert_md_fails(md_keras_ints(v, 2, &l, "text", 0, &err), MD_CORRUPT, &err,
                    "layer 'x' (Conv2D): 'text' is not 2 numbers");
    assert_md_fails(md_keras_ints(v, 2, &l, "three", 0, &err), MD_CORRUPT, &err,
                    "'three'");
    assert_md_fails(md_keras_ints(v, 2, &l, "mixed", 0, &err), MD_CORRUPT, &err,
                    "'mixed'");
    json_decref(c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_net__sequential_is_a_chain),
        cmocka_unit_test(test_net__sequential_without_input_layer),
        cmocka_unit_test(test_net__keras3_and_keras2_graphs_agree),
        cmocka_unit_test(test_net__all_unsupported_layers_in_one_message),
        cmocka_unit_test(test_net__bad_structures),
        cmocka_unit_test(test_net__nesting_is_limited),
        cmocka_unit_test(test_net__numbers_of_settings),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
