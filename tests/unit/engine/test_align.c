/*
 * Models loaded to be run: large constants lie at any address of the file, and
 * sessions give the same bits as over constants in proper places.
 */
#include "support/test.h"

#include <string.h>

#include "engine/session.h"
#include "formats/onnx.h"
#include "support/fail_alloc.h"
#include "support/net.h"

enum {
    SHIFTS = 8, /* of the file's bytes: all that an element's size can see */
    FILE_MAX = 4 << 20,
    N_MAX = 5000
};

/* Each has a constant of 64 KiB or more. */
static const char *const nets[] = {
    /* kernels that pack: dense, grouped by channel, stem, rows and columns */
    "x f32[N,32,6,6]; y = Conv(x, f32[64,32,3,3]~0.1); -> y",
    "x f32[N,2048,4,4]; y = Conv(x, f32[2048,1,3,3]~0.5) group=2048; -> y",
    "x f32[N,3,5,5]; y = Conv(x, f32[700,3,3,3]~0.2); -> y",
    "x f32[N,128]; y = MatMul(x, f32[128,130]~0.1); -> y",
    "x f32[N,128]; y = Gemm(x, f32[130,128]~0.1) transB=1 alpha=0.5; -> y",
    /* kernels that read it in every run, and none at all */
    "x f32[N,2,3,96]; y = MatMul(x, f32[2,96,96]~0.1); -> y",
    "x f64[N,96]; y = MatMul(x, f64[96,96]~0.1); -> y",
    "x f32[N,64,9]; y = Conv(x, f32[64,64,5]~0.1); -> y",
    /* bytes that are moved */
    "x i64[N,3]; y = Gather(f32[300,64]~1, x); -> y",
    "x i64[N,3]; y = Gather(f64[64,200]~1, x) axis=1; -> y",
    /* read by others too */
    "x f32[130,130]; w = f32[130,130]~0.1; a = MatMul(x, w); y = Add(a, w);"
    "-> y",
    "x f32[N,130]; w = f32[130,130]~0.1; a = MatMul(x, w); y = MatMul(a, w);"
    "-> y",
    "x f32[N,130]; w = f32[130,130]~0.1; y = MatMul(x, w); -> y, w",
    "x i64[N,3]; w = f32[130,130]~0.1; a = Gather(w, x); y = MatMul(a, w);"
    "-> y",
    /* computed with while loading */
    "x f32[N,100]; w = Transpose(f32[180,100]~0.1); y = MatMul(x, w); -> y",
    "x f32[N,32,6,6]; a = Conv(x, f32[64,32,3,3]~0.1)\n"
    "y = BatchNormalization(a, f32[64]~1, f32[64]~1, f32[64]~1, f32[64]{=2})\n"
    "-> y",
    "x f32[N,130]; w = MatMul(f32[130,130]~0.1, f32[130,130]~0.1);"
    "y = MatMul(x, w); -> y",
};

/* The model of a net, read from bytes that begin `shift` behind a cache line;
 * *n_unaligned counts the constants that this leaves unaligned. */
static md_model *load(unsigned char *bytes, size_t *size, const char *text,
                      size_t shift, const md_alloc *alloc,
                      uint32_t *n_unaligned)
{
    md_onnx_opts o = MD_ONNX_OPTS_INIT;
    md_error err = MD_ERROR_INIT;
    md_model *m = net_parse(text), *out = NULL;
    md_buf file;

    md_buf_init(&file, md_alloc_default(), FILE_MAX);
    assert_md_ok(md_onnx_write(m, &file, &err), &err);
    md_model_free(m);
    *size = file.size;
    memcpy(bytes + shift, file.data, file.size);
    md_buf_release(&file);
    o.keep = o.unaligned = true;
    assert_md_ok(md_onnx_parse(&out, bytes + shift, *size, &o, alloc, &err),
                 &err);
    for (uint32_t i = 0; i < out->graph->n_values; i++) {
        const md_tensor *t = out->graph->values[i].cdata;

        *n_unaligned += t && !md_tensor_is_aligned(t);
    }
    return out;
}

static void run(md_tensor *out, md_model *m, const md_tensor *in,
                bool reference)
{
    md_session_opts o = MD_SESSION_OPTS_INIT;
    md_error err = MD_ERROR_INIT;
    md_session *s = NULL;

    o.reference = reference;
    assert_md_ok(md_session_new(&s, m, &o, &err), &err);
    assert_md_ok(md_session_run(s, in, out, md_alloc_default(), &err), &err);
    md_session_free(s);
}

static void check_net(const char *text, unsigned char *bytes, bool reference)
{
    md_tensor in[NET_IO_MAX], want[NET_IO_MAX], got[NET_IO_MAX];
    md_model *plain = net_parse(text);
    uint32_t n_in = plain->graph->n_inputs, n_out = plain->graph->n_outputs;
    uint32_t n_unaligned = 0;
    size_t size;

    net_inputs(in, plain->graph, 2, 3);
    run(want, plain, in, reference);
    for (size_t shift = 0; shift < SHIFTS; shift++) {
        md_model *m =
            load(bytes, &size, text, shift, md_alloc_default(), &n_unaligned);

        run(got, m, in, reference);
        for (uint32_t i = 0; i < n_out; i++) {
            assert_true(md_shape_equal(&got[i].shape, &want[i].shape));
            if (memcmp(got[i].data, want[i].data, md_tensor_size(&want[i])) !=
                0)
                fail_msg("%s: shift %zu: output %u differs", text, shift, i);
        }
        net_release(got, n_out);
    }
    /* Three of four addresses at least, or this shows nothing. */
    if (n_unaligned < SHIFTS * 3 / 4)
        fail_msg("%s: %u unaligned constants", text, n_unaligned);
    net_release(in, n_in);
    net_release(want, n_out);
}

static void every_net(bool reference)
{
    unsigned char *bytes = md_malloc_aligned(md_alloc_default(), FILE_MAX);

    assert_non_null(bytes);
    for (size_t i = 0; i < MD_COUNT(nets); i++)
        check_net(nets[i], bytes, reference);
    md_free(md_alloc_default(), bytes);
}

static void test_align__same_bits_by_kernels(void **state)
{
    (void)state;
    every_net(false);
}

static void test_align__same_bits_by_definition(void **state)
{
    (void)state;
    every_net(true);
}

/* The session made in the end with no allocation failing is the only one;
 * nothing is lost by those before. */
static void fail_every(const char *text, unsigned char *bytes)
{
    uint32_t n_unaligned = 0;
    size_t size, shift = 0;
    fail_alloc fa;
    bool failed = true;

    while (n_unaligned == 0)
        md_model_free(load(bytes, &size, text, ++shift, md_alloc_default(),
                           &n_unaligned));
    fail_alloc_init(&fa);
    for (int64_t n = 0; failed; n++) {
        md_session_opts o = MD_SESSION_OPTS_INIT;
        md_error err = MD_ERROR_INIT;
        md_session *s = NULL;
        md_model *m = load(bytes, &size, text, shift, &fa.alloc, &n_unaligned);
        md_status st;

        assert_true(n < N_MAX);
        o.alloc = &fa.alloc;
        fail_alloc_arm(&fa, n);
        st = md_session_new(&s, m, &o, &err);
        failed = fail_alloc_disarm(&fa);
        if (failed) {
            assert_md_fails(st, MD_NOMEM, &err, "");
            md_model_free(m);
        } else {
            assert_md_ok(st, &err);
            md_session_free(s);
        }
        assert_int_equal(atomic_load(&fa.n_live), 0);
    }
}

static void test_align__out_of_memory(void **state)
{
    unsigned char *bytes = md_malloc_aligned(md_alloc_default(), FILE_MAX);

    (void)state;
    assert_non_null(bytes);
    for (size_t i = 0; i < MD_COUNT(nets); i++)
        fail_every(nets[i], bytes);
    md_free(md_alloc_default(), bytes);
}

/* Packed weights leave the file's constant where it is; what has no kernel
 * that packs takes a copy. */
static void test_align__only_what_is_read_is_copied(void **state)
{
    static const struct {
        const char *text;
        bool copied;
    } rows[] = {
        { "x f32[N,128]; y = MatMul(x, f32[128,130]~0.1); -> y", false },
        { "x i64[N,3]; y = Gather(f32[300,64]~1, x); -> y", false },
        { "x f64[N,96]; y = MatMul(x, f64[96,96]~0.1); -> y", false },
        { "x i32[N,130]; y = MatMul(x, i32[130,130]~9); -> y", true },
        { "x f32[N,128]; y = Add(x, f32[128,128]~0.1); -> y", true },
    };
    unsigned char *bytes = md_malloc_aligned(md_alloc_default(), FILE_MAX);

    (void)state;
    assert_non_null(bytes);
    for (size_t i = 0; i < MD_COUNT(rows); i++) {
        md_error err = MD_ERROR_INIT;
        md_session *s = NULL;
        uint32_t before = 0, after = 0;
        size_t size, shift = 0;
        md_model *m = NULL;

        while (before == 0) {
            md_model_free(m);
            m = load(bytes, &size, rows[i].text, shift++, md_alloc_default(),
                     &before);
        }
        assert_md_ok(md_session_new(&s, m, NULL, &err), &err);
        for (uint32_t k = 0; k < m->graph->n_values; k++) {
            const md_tensor *t = m->graph->values[k].cdata;

            after += t && !md_tensor_is_aligned(t);
        }
        assert_int_equal(after, rows[i].copied ? 0 : 1);
        md_session_free(s);
    }
    md_free(md_alloc_default(), bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_align__same_bits_by_kernels),
        cmocka_unit_test(test_align__same_bits_by_definition),
        cmocka_unit_test(test_align__out_of_memory),
        cmocka_unit_test(test_align__only_what_is_read_is_copied),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
