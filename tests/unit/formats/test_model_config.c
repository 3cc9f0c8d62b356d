/* config.pbtxt and its JSON: what is read, and each refusal. */
#include "support/test.h"

#include <string.h>

#include "formats/model_config.h"
#include "support/fail_alloc.h"

static const char FULL[] =
    "# a comment\n"
    "name: \"net\" platform: 'onnxruntime_onnx'\n"
    "backend: \"onnx\" \"runtime\"\n"
    "default_model_filename: \"a.onnx\";\n"
    "max_batch_size: 8\n"
    "input [ { name: \"x\" data_type: TYPE_FP32 dims: [ 3, -1 ] },\n"
    "        { name: \"t\" data_type: TYPE_STRING dims: 1 dims: 2 } ]\n"
    "output < name: \"y\", data_type: TYPE_INT64; dims: [ ]\n"
    "         label_filename: \"labels.txt\" >\n"
    "version_policy { specific: { versions: [ 1, 3 ] } }\n"
    "instance_group [ { count: 2 kind: KIND_CPU }, { kind: KIND_CPU } ]\n"
    "optimization { graph { level: 1 } }\n"
    "parameters { key: \"k\" value { string_value: \"\\x41\\102\\n\" } }\n"
    "response_cache { enable: true }\n"
    "dynamic_batching {\n"
    "  preferred_batch_size: [ 4, 8 ] max_queue_delay_microseconds: 100\n"
    "  preserve_ordering: true priority_levels: 3 "
    "default_priority_level: 2\n"
    "  default_queue_policy { timeout_action: DELAY\n"
    "    default_timeout_microseconds: 7 allow_timeout_override: true\n"
    "    max_queue_size: 16 }\n"
    "  priority_queue_policy { key: 1 value { max_queue_size: 4 } }\n"
    "}";

static const char FULL_JSON[] =
    "{\"name\":\"net\",\"platform\":\"onnxruntime_onnx\","
    "\"backend\":\"onnxruntime\",\"default_model_filename\":\"a.onnx\","
    "\"max_batch_size\":8,\"input\":[{\"name\":\"x\",\"data_type\":"
    "\"TYPE_FP32\",\"dims\":[3,\"-1\"]},{\"name\":\"t\",\"data_type\":"
    "\"TYPE_STRING\",\"dims\":[\"1\",\"2\"]}],\"output\":[{\"name\":\"y\","
    "\"data_type\":\"TYPE_INT64\",\"dims\":[],\"label_filename\":"
    "\"labels.txt\"}],\"version_policy\":{\"specific\":{\"versions\":[1,"
    "3]}},\"instance_group\":[{\"count\":2,\"kind\":\"KIND_CPU\"},{}],"
    "\"optimization\":null,\"parameters\":{\"k\":{\"string_value\":\"v\"}},"
    "\"response_cache\":{\"enable\":true},\"dynamic_batching\":{"
    "\"preferred_batch_size\":[4,8],\"max_queue_delay_microseconds\":\"100\","
    "\"preserve_ordering\":true,\"priority_levels\":3,"
    "\"default_priority_level\":2,\"default_queue_policy\":{"
    "\"timeout_action\":\"DELAY\",\"default_timeout_microseconds\":\"7\","
    "\"allow_timeout_override\":true,\"max_queue_size\":16},"
    "\"priority_queue_policy\":{\"1\":{\"max_queue_size\":4}}}}";

static const char STEPS[] =
    "platform: 'ensemble' ensemble_scheduling { step [ { model_name: 'a'\n"
    "  model_version: 3 input_map { key: 'x' value: 't' }\n"
    "  input_map { key: 'key' value: 'u' } output_map { key: 'y' value: 'v' "
    "} },\n"
    "  { model_name: 'b' input_map { key: 'x' value: 'v' }\n"
    "    output_map { key: 'y' value: 'w' } } ] }";

static const char STEPS_JSON[] =
    "{\"platform\":\"ensemble\",\"ensemble_scheduling\":{\"step\":[{"
    "\"model_name\":\"a\",\"model_version\":\"3\",\"input_map\":{\"x\":\"t\","
    "\"key\":\"u\"},\"output_map\":{\"y\":\"v\"}},{\"model_name\":\"b\","
    "\"input_map\":{\"x\":\"v\"},\"output_map\":{\"y\":\"w\"}}]}}";

static void check_ios(const md_model_config *c)
{
    const md_config_io *io = md_config_find(&c->inputs, "x");

    assert_int_equal(c->inputs.n, 2);
    assert_non_null(io);
    if (!io)
        return;
    assert_int_equal(io->dtype, MD_DTYPE_F32);
    assert_int_equal(io->dims.n, 2);
    assert_int_equal(io->dims.v[0], 3);
    assert_int_equal(io->dims.v[1], -1);
    assert_int_equal(c->inputs.v[1].dtype, MD_DTYPE_STRING);
    assert_int_equal(c->inputs.v[1].dims.v[1], 2);
    assert_int_equal(c->outputs.n, 1);
    assert_int_equal(c->outputs.v[0].dims.n, 0);
    assert_string_equal(c->outputs.v[0].label_filename, "labels.txt");
    assert_null(md_config_find(&c->outputs, "x"));
}

static void check_batching(const md_config_batching *b)
{
    assert_true(b->on && b->preserve_ordering);
    assert_int_equal(b->preferred.n, 2);
    assert_int_equal(b->preferred.v[1], 8);
    assert_int_equal(b->delay_us, 100);
    assert_int_equal(b->n_levels, 3);
    assert_int_equal(b->default_level, 2);
    assert_int_equal(md_config_queue_of(b, 1)->size_max, 4);
    assert_false(md_config_queue_of(b, 1)->delay);
    assert_int_equal(md_config_queue_of(b, 2)->size_max, 16);
    assert_int_equal(b->queue.timeout_us, 7);
    assert_true(b->queue.delay && b->queue.allow_override);
}

static void check_full(const md_model_config *c)
{
    assert_string_equal(c->name, "net");
    assert_string_equal(c->platform, "onnxruntime_onnx");
    assert_string_equal(c->backend, "onnxruntime");
    assert_string_equal(c->default_model_filename, "a.onnx");
    assert_int_equal(c->max_batch_size, 8);
    assert_int_equal(c->which, MD_VERSIONS_SPECIFIC);
    assert_int_equal(c->versions.n, 2);
    assert_int_equal(c->versions.v[1], 3);
    assert_int_equal(c->n_instances, 3);
    assert_true(c->response_cache);
    check_ios(c);
    check_batching(&c->batching);
}

static void test_model_config__every_field(void **state)
{
    md_error err = MD_ERROR_INIT;
    md_model_config c;
    md_arena ar;

    (void)state;
    md_arena_init(&ar, md_alloc_default(), 0);
    assert_md_ok(md_model_config_parse(&c, FULL, strlen(FULL), &ar, &err),
                 &err);
    check_full(&c);
    assert_md_ok(
        md_model_config_from_json(&c, FULL_JSON, strlen(FULL_JSON), &ar, &err),
        &err);
    check_full(&c);
    md_arena_release(&ar);
}

static void check_steps(const md_model_config *c)
{
    const md_config_step *step = c->ensemble.v;

    assert_int_equal(c->ensemble.n, 2);
    assert_string_equal(step->model, "a");
    assert_int_equal(step->version, 3);
    assert_int_equal(step->inputs.n, 2);
    assert_string_equal(step->inputs.v[1].own, "key");
    assert_string_equal(step->inputs.v[1].tensor, "u");
    assert_string_equal(step->outputs.v[0].own, "y");
    assert_string_equal(step[1].model, "b");
    assert_int_equal(step[1].version, -1);
    assert_string_equal(step[1].inputs.v[0].tensor, "v");
}

static void test_model_config__steps(void **state)
{
    md_error err = MD_ERROR_INIT;
    md_model_config c;
    md_arena ar;

    (void)state;
    md_arena_init(&ar, md_alloc_default(), 0);
    assert_md_ok(md_model_config_parse(&c, STEPS, strlen(STEPS), &ar, &err),
                 &err);
    check_steps(&c);
    assert_md_ok(md_model_config_from_json(&c, STEPS_JSON, strlen(STEPS_JSON),
                                           &ar, &err),
                 &err);
    check_steps(&c);
    md_arena_release(&ar);
}

static void test_model_config__nothing_is_the_default(void **state)
{
    md_error err = MD_ERROR_INIT;
    md_model_config c;
    md_arena ar;

    (void)state;
    md_arena_init(&ar, md_alloc_default(), 0);
    assert_md_ok(md_model_config_parse(&c, " # x", 4, &ar, &err), &err);
    assert_null(c.name);
    assert_int_equal(c.which, MD_VERSIONS_LATEST);
    assert_int_equal(c.n_latest, 1);
    assert_int_equal(c.max_batch_size, 0);
    assert_false(c.batching.on);
    assert_md_ok(
        md_model_config_parse(&c, "version_policy{all{}}", 21, &ar, &err),
        &err);
    assert_int_equal(c.which, MD_VERSIONS_ALL);
    assert_md_ok(md_model_config_parse(&c,
                                       "version_policy{latest{num_versions:3}}",
                                       38, &ar, &err),
                 &err);
    assert_int_equal(c.n_latest, 3);
    md_arena_release(&ar);
}

static void test_model_config__refusals(void **state)
{
    static const struct {
        const char *text;
        md_status status;
        const char *why;
    } cases[] = {
        { "\nmax_batchsize: 4", MD_INVALID,
          "line 2: unknown field 'max_batchsize', nearest is "
          "'max_batch_size'" },
        { "qqqqqqqq: 4", MD_INVALID, "line 1: unknown field 'qqqqqqqq'" },
        { "max_batch_size: -1", MD_INVALID, "a number from 0 to" },
        { "max_batch_size: 1.5", MD_INVALID, "'1.5' given" },
        { "max_batch_size { }", MD_INVALID, "a message given" },
        { "max_batch_size: ", MD_INVALID, "end of text, expected a value" },
        { "max_batch_size [ 4 ]", MD_INVALID, "no ':' before the list" },
        { "max_batch_size", MD_INVALID, "end of text, expected ':' or '{'" },
        { "max_batch_size 4", MD_INVALID, "expected ':' or '{'" },
        { "name: net", MD_INVALID, "a string expected" },
        { "name: \"a", MD_INVALID, "closing quote" },
        { "name: \"a\n\"", MD_INVALID, "closing quote" },
        { "name: \"\\q\"", MD_INVALID, "an escape" },
        { "name: \"\\x\"", MD_INVALID, "an escape" },
        { "name: \"a\\0b\"", MD_INVALID, "a string expected" },
        { "input { dims: 1 }", MD_INVALID, "'input' has no name" },
        { "input { name: \"x\" } input { name: \"x\" }", MD_INVALID,
          "two fields 'input' are called 'x'" },
        { "input { name: \"x\" data_type: TYPE_FLOAT }", MD_INVALID,
          "TYPE_FP32" },
        { "input { name: \"x\" reshape { shape: [ ] } }", MD_UNSUPPORTED,
          "'reshape' is not supported" },
        { "input { name: \"x\" ", MD_INVALID, "the end of a message" },
        { "input { name: \"x\" >", MD_INVALID, "the name of a field" },
        { "input: [ { name: \"x\" } ", MD_INVALID, "',' or ']'" },
        { "default_model_filename: \"../../x.onnx\"", MD_INVALID,
          "without folders" },
        { "default_model_filename: \"..\"", MD_INVALID, "without folders" },
        { "output { name: \"y\" label_filename: \"/etc/passwd\" }", MD_INVALID,
          "without folders" },
        { "sequence_batching { }", MD_UNSUPPORTED, "'sequence_batching'" },
        { "model_transaction_policy { decoupled: true }", MD_UNSUPPORTED,
          "decoupled" },
        { "version_policy { latest { num_versions: 0 } }", MD_INVALID,
          "num_versions 0" },
        { "instance_group { count: 0 }", MD_INVALID, "0 instances" },
        { "instance_group { count: 100000 }", MD_INVALID, "1 to 1024" },
        { "max_batch_size: 2 dynamic_batching { preferred_batch_size: 4 }",
          MD_INVALID, "preferred_batch_size 4 given, at most" },
        { "dynamic_batching { preserve_ordering: maybe }", MD_INVALID,
          "true or false" },
        { "dynamic_batching { priority_levels: 2 }", MD_INVALID,
          "default_priority_level 0 given" },
        { "dynamic_batching { priority_levels: 2 default_priority_level: 3 }",
          MD_INVALID, "default_priority_level 3 given" },
        { "dynamic_batching { priority_queue_policy { key: 1 } }", MD_INVALID,
          "of level 1, there are 0 levels" },
        { "dynamic_batching { default_queue_policy { timeout_action: DROP } }",
          MD_INVALID, "REJECT or DELAY" },
        { "ensemble_scheduling { }", MD_INVALID, "has no step" },
        { "ensemble_scheduling { step { model_name: \"a\" model_version: -2 "
          "} }",
          MD_INVALID, "'model_version': '-2' given" },
        { "ensemble_scheduling { step { model_namespace: \"a\" } }",
          MD_UNSUPPORTED, "'model_namespace'" },
        { "ensemble_scheduling { step { input_map: 3 } }", MD_INVALID,
          "a message expected" },
        { "platform: \"ensemble\"", MD_INVALID, "no step" },
        { "[x.y/z.T] { }", MD_UNSUPPORTED, "extensions" },
        { "\x01", MD_INVALID, "'\\x01' given, expected the name" },
    };
    md_model_config c;
    md_arena ar;

    (void)state;
    md_arena_init(&ar, md_alloc_default(), 0);
    for (size_t i = 0; i < MD_COUNT(cases); i++) {
        md_error err = MD_ERROR_INIT;

        assert_md_fails(md_model_config_parse(&c, cases[i].text,
                                              strlen(cases[i].text), &ar, &err),
                        cases[i].status, &err, cases[i].why);
    }
    md_arena_release(&ar);
}

static void test_model_config__refusals_of_json(void **state)
{
    static const struct {
        const char *text;
        const char *why;
    } cases[] = {
        { "[]", "object" },
        { "{\"input\":[[1]]}", "array in an array" },
        { "{} x", "JSON at byte 3" },
        { "{\"max_batch_size\":\"a\"}", "'a' given" },
        { "{\"name\":5}", "a string expected" },
    };
    md_model_config c;
    md_arena ar;

    (void)state;
    md_arena_init(&ar, md_alloc_default(), 0);
    for (size_t i = 0; i < MD_COUNT(cases); i++) {
        md_error err = MD_ERROR_INIT;

        assert_md_fails(md_model_config_from_json(&c, cases[i].text,
                                                  strlen(cases[i].text), &ar,
                                                  &err),
                        MD_INVALID, &err, cases[i].why);
    }
    md_arena_release(&ar);
}

static void test_model_config__bounds(void **state)
{
    static char deep[7 * 40 + 1];
    static char big[(1 << 20) + 1];
    md_error err = MD_ERROR_INIT;
    md_model_config c;
    md_arena ar;

    (void)state;
    for (size_t i = 0; i < 40; i++)
        memcpy(deep + 7 * i, "input {", 7);
    memset(big, ' ', sizeof(big));
    md_arena_init(&ar, md_alloc_default(), 0);
    assert_md_fails(md_model_config_parse(&c, deep, 7 * (size_t)40, &ar, &err),
                    MD_TOO_LARGE, &err, "nested more than 32");
    assert_md_fails(md_model_config_parse(&c, big, sizeof(big), &ar, &err),
                    MD_TOO_LARGE, &err, "bytes of text");
    md_arena_release(&ar);
}

/* Read a text without memory for the n-th allocation, for every n. */
static void starve(const char *text)
{
    bool done = false;

    for (int i = 0; i < 1000 && !done; i++) {
        fail_alloc fa;
        md_error err = MD_ERROR_INIT;
        md_model_config c;
        md_arena ar;
        md_status s;

        fail_alloc_init(&fa);
        fail_alloc_arm(&fa, i);
        md_arena_init(&ar, &fa.alloc, 0);
        s = md_model_config_parse(&c, text, strlen(text), &ar, &err);
        done = s == MD_OK;
        if (!done)
            assert_int_equal(s, MD_NOMEM);
        md_arena_release(&ar);
        assert_int_equal(fa.n_live, 0);
    }
    assert_true(done);
}

static void test_model_config__out_of_memory(void **state)
{
    (void)state;
    starve(FULL);
    starve(STEPS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_model_config__every_field),
        cmocka_unit_test(test_model_config__steps),
        cmocka_unit_test(test_model_config__nothing_is_the_default),
        cmocka_unit_test(test_model_config__refusals),
        cmocka_unit_test(test_model_config__refusals_of_json),
        cmocka_unit_test(test_model_config__bounds),
        cmocka_unit_test(test_model_config__out_of_memory),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
