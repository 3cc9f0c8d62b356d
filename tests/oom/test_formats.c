/* Readers and writers with the n-th allocation failing, for every n. */
#include "support/test.h"

#include <stdio.h>
#include <string.h>

#include "formats/npy.h"
#include "formats/npz.h"
#include "formats/onnx.h"
#include "formats/tensor_pb.h"
#include "support/fail_alloc.h"
#include "support/onnx_sample.h"
#include "support/temp.h"

/* What a scenario works on. */
typedef struct input {
    md_buf onnx, npy, npz, pb;
    md_tensor tensor;
    md_temp dir;
    char path[MD_TEMP_SIZE * 2]; /* of the ONNX file */
} input;

static input in;

/* Does everything once; what it made is freed again. */
typedef md_status scenario(const md_alloc *alloc, md_error *err);

static void run(scenario *fn)
{
    bool failed = true;

    for (int64_t n = 0; failed; n++) {
        md_error err = MD_ERROR_INIT;
        fail_alloc fa;
        md_status s;

        fail_alloc_init(&fa);
        fail_alloc_arm(&fa, n);
        s = fn(&fa.alloc, &err);
        failed = fail_alloc_disarm(&fa);
        assert_int_equal(atomic_load(&fa.n_live), 0);
        if (failed)
            assert_md_fails(s, MD_NOMEM, &err, "");
        else
            assert_md_ok(s, &err);
        assert_true(failed || n > 0);
    }
}

static md_status load(const md_alloc *alloc, md_error *err)
{
    md_model *m = NULL;
    md_status s = md_onnx_load(&m, in.path, alloc, err);

    md_model_free(m);
    return s;
}

static md_status parse_and_write(const md_alloc *alloc, md_error *err)
{
    md_model *m = NULL;
    md_buf out;
    md_status s;

    md_buf_init(&out, alloc, 1 << 20);
    MD_GOTO(md_onnx_parse(&m, in.onnx.data, in.onnx.size, NULL, alloc, err));
    MD_GOTO(md_onnx_write(m, &out, err));
    assert_int_equal(out.size, in.onnx.size);
out:
    md_buf_release(&out);
    md_model_free(m);
    return s;
}

static md_status read_npy(const md_alloc *alloc, md_error *err)
{
    md_tensor t = MD_TENSOR_INIT;
    md_buf out;
    md_status s;

    md_buf_init(&out, alloc, 1 << 20);
    MD_GOTO(md_npy_parse(&t, in.npy.data, in.npy.size, alloc, err));
    MD_GOTO(md_npy_write(&t, &out, err));
    assert_int_equal(out.size, in.npy.size);
out:
    md_buf_release(&out);
    md_tensor_release(&t);
    return s;
}

static md_status read_npz(const md_alloc *alloc, md_error *err)
{
    static const char *const name = "words";
    md_tensor t = MD_TENSOR_INIT;
    md_npz *npz = NULL;
    md_buf out;
    md_status s;

    md_buf_init(&out, alloc, 1 << 20);
    MD_GOTO(md_npz_parse(&npz, in.npz.data, in.npz.size, 0, alloc, err));
    MD_GOTO(md_npz_read(&t, npz, 0, err));
    MD_GOTO(md_npz_write(&name, &t, 1, &out, err));
    assert_int_equal(out.size, in.npz.size);
out:
    md_buf_release(&out);
    md_tensor_release(&t);
    md_npz_free(npz);
    return s;
}

static md_status read_pb(const md_alloc *alloc, md_error *err)
{
    md_tensor t = MD_TENSOR_INIT;
    md_buf out;
    md_status s;

    md_buf_init(&out, alloc, 1 << 20);
    MD_GOTO(md_tensor_pb_parse(&t, in.pb.data, in.pb.size, alloc, err));
    MD_GOTO(md_tensor_pb_write(&t, "words", &out, err));
    assert_int_equal(out.size, in.pb.size);
out:
    md_buf_release(&out);
    md_tensor_release(&t);
    return s;
}

static void test_formats__every_allocation_may_fail(void **state)
{
    (void)state;
    run(load);
    run(parse_and_write);
    run(read_npy);
    run(read_npz);
    run(read_pb);
}

static int make_input(void **state)
{
    static const md_str words[] = { { "one", 3 }, { "two", 3 } };
    static const char *const name = "words";
    md_error err = MD_ERROR_INIT;
    md_model *sample = md_test_sample();

    (void)state;
    in.tensor = (md_tensor){ .dtype = MD_DTYPE_STRING,
                             .shape = { 1, { 2 } },
                             .data = (void *)words };
    md_buf_init(&in.onnx, md_alloc_default(), 1 << 20);
    md_buf_init(&in.npy, md_alloc_default(), 1 << 20);
    md_buf_init(&in.npz, md_alloc_default(), 1 << 20);
    md_buf_init(&in.pb, md_alloc_default(), 1 << 20);
    assert_md_ok(md_onnx_write(sample, &in.onnx, &err), &err);
    assert_md_ok(md_npy_write(&in.tensor, &in.npy, &err), &err);
    assert_md_ok(md_npz_write(&name, &in.tensor, 1, &in.npz, &err), &err);
    assert_md_ok(md_tensor_pb_write(&in.tensor, name, &in.pb, &err), &err);
    md_model_free(sample);
    md_temp_make(&in.dir);
    md_temp_write(&in.dir, "m.onnx", in.onnx.data, in.onnx.size);
    md_temp_path(in.path, &in.dir, "m.onnx");
    return 0;
}

static int free_input(void **state)
{
    (void)state;
    md_temp_remove(&in.dir);
    md_buf_release(&in.onnx);
    md_buf_release(&in.npy);
    md_buf_release(&in.npz);
    md_buf_release(&in.pb);
    return 0;
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_formats__every_allocation_may_fail),
    };

    return cmocka_run_group_tests_name("formats", tests, make_input,
                                       free_input);
}
