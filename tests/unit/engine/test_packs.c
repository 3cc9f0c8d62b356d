/*
 * Sessions whose weights are mapped from a file that an earlier one wrote: the
 * same bits as without, and whatever is wrong with the file costs packing.
 */
#include "support/test.h"

#include <dirent.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cpu.h"
#include "base/digest.h"
#include "base/file.h"
#include "base/log.h"
#include "engine/session.h"
#include "formats/format.h"
#include "formats/onnx.h"
#include "support/fail_alloc.h"
#include "support/net.h"
#include "support/temp.h"

enum {
    SETTLED_US = 80000, /* until a file's clock must have ticked */
    PATH_SIZE = MD_TEMP_SIZE * 2,
    N_MAX = 20000
};

#define LARGE "x f32[N,700]; y = MatMul(x, f32[700,800]~0.1); -> y"

/* All that packs by md_lower__pack, with a large product, so that it is worth a
 * file. */
static const char *const nets[] = {
    LARGE,
    "x f32[N,500]; y = Gemm(x, f32[600,500]~0.1, f32[600]~1) transB=1 "
    "alpha=0.5; -> y",
    "x f32[N,64,14,14]; y = Conv(x, f32[128,64,3,3]~0.1) pads=[1,1,1,1];"
    "z = Conv(y, f32[256,128,3,3]~0.1, f32[256]~1) strides=[2,2]; -> z",
    "x f32[N,3,9,9]; a = Conv(x, f32[64,3,3,3]~0.2); b = Relu(a);"
    "c = Conv(b, f32[64,1,3,3]~0.2) group=64;"
    "d = Conv(c, f32[4096,64,1,1]~0.1); -> d",
    "x f64[N,300]; y = MatMul(x, f64[300,500]~0.1); -> y",
    "x u8[N,900]; y = MatMulInteger(x, i8[900,700]~1, u8[]{3});"
    "z = MatMulInteger(x, u8[900,700]~1); -> y, z",
    "x u8[N,64,6,6]; y = QLinearConv(x, f32[]{0.02}, u8[]{3}, i8[256,64,9,9]~1,"
    " f32[]{0.01}, i8[]{0}, f32[]{0.3}, u8[]{100}, i32[256]~1)"
    " pads=[4,4,4,4]; -> y",
    "x u8[N,1100]; y = QLinearMatMul(x, f32[]{0.02}, u8[]{3}, i8[1100,1000]~1,"
    " f32[]{0.01}, i8[]{0}, f32[]{0.3}, u8[]{100}); -> y",
    "x f32[N,2048]; y = com.microsoft.MatMulNBits(x, u8[1024,64,16]~1,"
    " f32[65536]~1) K=2048 N=1024 bits=4 block_size=32; -> y",
    "x f32[N,2048]; y = com.microsoft.MatMulNBits(x, u8[1024,64,16]~1,"
    " f32[65536]~1, u8[32768]~1) K=2048 N=1024 bits=4 block_size=32; -> y",
    /* the same weights twice, and read as they are, too */
    "x f32[N,520]; w = f32[520,520]~0.1; a = MatMul(x, w); y = MatMul(a, w);"
    "-> y, w",
};

typedef struct fixture {
    md_temp dir;
    char model[PATH_SIZE], cache[PATH_SIZE];
    char log[4096]; /* of this test */
} fixture;

static void keep_log(void *ctx, const char *line, size_t n)
{
    fixture *f = ctx;
    const size_t have = strlen(f->log);

    if (have + n < sizeof(f->log))
        memcpy(f->log + have, line, n);
}

static int set_up(void **state)
{
    fixture *f = calloc(1, sizeof(*f));

    if (!f)
        return -1;
    md_temp_make(&f->dir);
    md_temp_path(f->model, &f->dir, "net.onnx");
    md_temp_path(f->cache, &f->dir, "cache/of/weights");
    md_log_set_sink(keep_log, f);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    fixture *f = *state;

    md_log_set_sink(NULL, NULL);
    md_temp_remove(&f->dir);
    free(f);
    return 0;
}

static void save(const fixture *f, const char *text)
{
    md_error err = MD_ERROR_INIT;
    md_model *m = net_parse(text);

    assert_md_ok(md_onnx_save(m, f->model, NULL, &err), &err);
    md_model_free(m);
    usleep(SETTLED_US);
}

static md_status try_open(md_session **out, const fixture *f, bool cached,
                          md_precision precision, const md_alloc *alloc,
                          md_error *err)
{
    md_session_opts o = MD_SESSION_OPTS_INIT;
    md_model *m = NULL;
    md_status s;

    o.alloc = alloc;
    o.precision = precision;
    o.weight_cache = cached ? f->cache : NULL;
    s = md_format_load_model(&m, f->model, MD_LOAD_TO_RUN,
                             alloc ? alloc : md_alloc_default(), err);
    if (s == MD_OK)
        s = md_session_new(out, m, &o, err);
    if (s != MD_OK)
        md_model_free(m);
    return s;
}

/* Open, see whether weights come from the file, run. */
static void run(md_tensor *out, const fixture *f, bool cached, bool mapped)
{
    md_error err = MD_ERROR_INIT;
    md_tensor in[NET_IO_MAX];
    md_session *s = NULL;
    md_model *m = NULL;

    assert_md_ok(try_open(&s, f, cached, MD_PRECISION_FP32, NULL, &err), &err);
    if ((md_session_packed(s).file != NULL) != mapped)
        fail_msg("mapped: %d expected; log: %s", mapped, f->log);
    assert_md_ok(md_onnx_load(&m, f->model, md_alloc_default(), &err), &err);
    net_inputs(in, m->graph, 2, 3);
    assert_md_ok(md_session_run(s, in, out, md_alloc_default(), &err), &err);
    net_release(in, m->graph->n_inputs);
    md_model_free(m);
    md_session_free(s);
}

static uint32_t n_outputs(const fixture *f)
{
    md_error err = MD_ERROR_INIT;
    md_model *m = NULL;
    uint32_t n;

    assert_md_ok(md_onnx_load(&m, f->model, md_alloc_default(), &err), &err);
    n = m->graph->n_outputs;
    md_model_free(m);
    return n;
}

/* Run with the cache: the bits of a run without it. */
static void check(const fixture *f, bool mapped)
{
    md_tensor want[NET_IO_MAX], got[NET_IO_MAX];
    const uint32_t n = n_outputs(f);

    run(want, f, false, false);
    run(got, f, true, mapped);
    for (uint32_t i = 0; i < n; i++) {
        assert_true(md_shape_equal(&got[i].shape, &want[i].shape));
        assert_memory_equal(got[i].data, want[i].data,
                            md_tensor_size(&want[i]));
    }
    net_release(want, n);
    net_release(got, n);
}

/* The only file of the cache into path; false when there is none. */
static bool find(char path[PATH_SIZE * 2], const fixture *f)
{
    DIR *d = opendir(f->cache);
    const struct dirent *e;
    int n = 0;

    while (d && (e = readdir(d))) {
        if (e->d_name[0] == '.')
            continue;
        n++;
        snprintf(path, PATH_SIZE * 2, "%s/%s", f->cache, e->d_name);
    }
    if (d)
        closedir(d);
    assert_true(n <= 1);
    return n == 1;
}

static void remove_cache(const fixture *f)
{
    char path[PATH_SIZE * 2];

    if (find(path, f))
        unlink(path);
}

static void test_packs__same_bits(void **state)
{
    const fixture *f = *state;
    char path[PATH_SIZE * 2];
    struct stat st;

    for (size_t i = 0; i < MD_COUNT(nets); i++) {
        save(f, nets[i]);
        check(f, false);
        if (!find(path, f))
            fail_msg("%s: no file: %s", nets[i], f->log);
        assert_int_equal(stat(path, &st), 0);
        assert_int_equal(st.st_mode & 07777, 0600);
        check(f, true);
        check(f, true);
        remove_cache(f);
    }
}

/* Every kernel level has a file of its own, and every precision. */
static void test_packs__masks_and_precisions(void **state)
{
    static const md_precision precisions[] = { MD_PRECISION_FP32,
                                               MD_PRECISION_STRICT };
    const fixture *f = *state;
    const char *const masks[] = { "none", "avx2", "all" };
    char seen[6][256] = { { 0 } };
    md_error err = MD_ERROR_INIT;
    uint32_t levels[3];
    size_t n = 0;

    save(f, nets[2]);
    for (size_t i = 0; i < MD_COUNT(masks); i++) {
        uint32_t mask;

        assert_md_ok(md_cpu_mask_parse(&mask, masks[i], &err), &err);
        md_cpu_set_mask(mask);
        levels[i] = md_cpu_flags();
        if (i > 0 && levels[i] == levels[i - 1])
            continue;
        for (size_t p = 0; p < MD_COUNT(precisions); p++) {
            for (int again = 0; again < 2; again++) {
                md_session *s = NULL;
                const char *file;

                assert_md_ok(try_open(&s, f, true, precisions[p], NULL, &err),
                             &err);
                file = md_session_packed(s).file;
                assert_int_equal(file != NULL, again);
                if (file)
                    snprintf(seen[n], sizeof(seen[n]), "%s",
                             strrchr(file, '/'));
                md_session_free(s);
            }
            for (size_t k = 0; k < n; k++)
                assert_string_not_equal(seen[k], seen[n]);
            n++;
        }
    }
    md_cpu_set_mask(MD_CPU_ALL);
}

/* A model that is another one, in the same place and of the same size. */
static void test_packs__changed_model(void **state)
{
    fixture *f = *state;
    md_error err = MD_ERROR_INIT;
    md_buf bytes;
    float *last;
    int fd;

    save(f, LARGE);
    check(f, false);
    check(f, true);
    md_buf_init(&bytes, md_alloc_default(), 16 << 20);
    assert_md_ok(md_file_read(&bytes, f->model, &err), &err);
    last = (float *)((unsigned char *)bytes.data + bytes.size / 2 / 4 * 4);
    *last += 1;
    /* written into, not replaced */
    fd = open(f->model, O_WRONLY);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, bytes.data, bytes.size), bytes.size);
    close(fd);
    md_buf_release(&bytes);
    usleep(SETTLED_US);
    check(f, false);
    assert_non_null(strstr(f->log, "stale"));
    check(f, true);
}

/* What was changed a moment ago may be changed again without a new time. */
static void test_packs__not_of_a_model_changed_just_now(void **state)
{
    const fixture *f = *state;
    md_error err = MD_ERROR_INIT;
    md_model *m = net_parse(LARGE);
    char path[PATH_SIZE * 2];
    md_session *s = NULL;
    struct timespec later[2];

    assert_md_ok(md_onnx_save(m, f->model, NULL, &err), &err);
    md_model_free(m);
    clock_gettime(CLOCK_REALTIME, &later[0]);
    later[1] = later[0];
    assert_int_equal(utimensat(AT_FDCWD, f->model, later, 0), 0);
    assert_md_ok(try_open(&s, f, true, MD_PRECISION_FP32, NULL, &err), &err);
    md_session_free(s);
    assert_false(find(path, f));
}

static void flip(const char *path, long at)
{
    FILE *file = fopen(path, "r+b");
    int c;

    assert_non_null(file);
    assert_int_equal(fseek(file, at, at < 0 ? SEEK_END : SEEK_SET), 0);
    c = fgetc(file);
    assert_true(c != EOF);
    assert_int_equal(fseek(file, -1, SEEK_CUR), 0);
    fputc(c ^ 0x10, file);
    fclose(file);
}

/* One byte of each kind; then it is written anew. */
static void test_packs__damage(void **state)
{
    static const long places[] = { 0,  9,  13, 17, 25, 33, 41,    50,
                                   60, 65, 73, 81, 89, 97, 70000, -1 };
    fixture *f = *state;
    char path[PATH_SIZE * 2];

    save(f, LARGE);
    check(f, false);
    assert_true(find(path, f));
    for (size_t i = 0; i < MD_COUNT(places); i++) {
        flip(path, places[i]);
        memset(f->log, 0, sizeof(f->log));
        check(f, false);
        assert_non_null(strstr(f->log, "packing again"));
        check(f, true);
    }
    assert_int_equal(truncate(path, 5000), 0);
    check(f, false);
    check(f, true);
    assert_int_equal(truncate(path, 0), 0);
    check(f, false);
    check(f, true);
}

/* Digests that are right over a list that is not: it was made by other code. */
static void test_packs__other_blocks(void **state)
{
    const fixture *f = *state;
    md_error err = MD_ERROR_INIT;
    char path[PATH_SIZE * 2];

    save(f, nets[2]);
    check(f, false);
    assert_true(find(path, f));
    for (size_t field = 0; field < 3; field++) {
        static const size_t at[] = { 8, 24, 40 };
        md_buf b;
        unsigned char *p;
        uint64_t list, head;
        uint32_t n;

        md_buf_init(&b, md_alloc_default(), 16 << 20);
        assert_md_ok(md_file_read(&b, path, &err), &err);
        p = (unsigned char *)b.data;
        memcpy(&n, p + 12, 4);
        assert_true(n >= 2);
        /* the kernel of the first, the size of the first, the second's node */
        if (field == 1)
            p[64 + at[field]] -= 64; /* digests of blocks come with it */
        else
            p[64 + at[field]] ^= 1;
        list = md_digest(0, p + 64, (size_t)n * 40);
        memcpy(p + 48, &list, 8);
        head = md_digest(0, p, 56);
        memcpy(p + 56, &head, 8);
        assert_md_ok(md_file_write_atomic(path, b.data, b.size, &err), &err);
        md_buf_release(&b);
        assert_int_equal(chmod(path, 0600), 0);
        check(f, false);
        check(f, true);
    }
}

static void test_packs__not_ours(void **state)
{
    fixture *f = *state;
    char path[PATH_SIZE * 2], moved[PATH_SIZE * 2 + 8];

    save(f, LARGE);
    check(f, false);
    assert_true(find(path, f));
    assert_int_equal(chmod(path, 0622), 0);
    check(f, false);
    assert_non_null(strstr(f->log, "others may write it"));
    check(f, true);
    snprintf(moved, sizeof(moved), "%s/x", f->dir.path);
    assert_int_equal(rename(path, moved), 0);
    assert_int_equal(symlink(moved, path), 0);
    check(f, false);
    assert_non_null(strstr(f->log, "symbolic link"));
}

/* Where nothing can be written there is no cache, and that is all. */
static void test_packs__no_place(void **state)
{
    fixture *f = *state;

    save(f, LARGE);
    md_temp_write(&f->dir, "file", "x", 1);
    md_temp_path(f->cache, &f->dir, "file/cache");
    check(f, false);
    check(f, false);
    assert_non_null(strstr(f->log, "not written"));
    snprintf(f->cache, sizeof(f->cache), "/proc/self");
    check(f, false);
    snprintf(f->cache, sizeof(f->cache), "/dev/full/x");
    check(f, false);
}

static void test_packs__small_ones_are_not_kept(void **state)
{
    const fixture *f = *state;
    char path[PATH_SIZE * 2];

    save(f, "x f32[N,70]; y = MatMul(x, f32[70,80]~0.1); -> y");
    check(f, false);
    assert_false(find(path, f));
}

/* Deleted and replaced while it is in use. */
static void test_packs__deleted_in_use(void **state)
{
    const fixture *f = *state;
    md_error err = MD_ERROR_INIT;
    char path[PATH_SIZE * 2];
    md_session *s = NULL;

    save(f, LARGE);
    check(f, false);
    assert_md_ok(try_open(&s, f, true, MD_PRECISION_FP32, NULL, &err), &err);
    assert_non_null(md_session_packed(s).file);
    assert_true(find(path, f));
    assert_int_equal(unlink(path), 0);
    check(f, false);
    check(f, true);
    md_session_free(s);
}

static void *open_and_run(void *ctx)
{
    const fixture *f = ctx;
    md_error err = MD_ERROR_INIT;

    for (int i = 0; i < 4; i++) {
        md_session *s = NULL;

        if (try_open(&s, f, true, MD_PRECISION_FP32, NULL, &err) != MD_OK)
            return ctx;
        md_session_free(s);
    }
    return NULL;
}

/* Several at once write the same file; each is right. */
static void test_packs__together(void **state)
{
    fixture *f = *state;
    pthread_t threads[4];

    md_log_set_sink(NULL, NULL); /* one at a time, but not one test's */
    save(f, LARGE);
    for (size_t i = 0; i < MD_COUNT(threads); i++)
        assert_int_equal(pthread_create(&threads[i], NULL, open_and_run, f), 0);
    for (size_t i = 0; i < MD_COUNT(threads); i++) {
        void *failed;

        assert_int_equal(pthread_join(threads[i], &failed), 0);
        assert_null(failed);
    }
    check(f, true);
}

/* With no file to read, and with one. */
static void test_packs__out_of_memory(void **state)
{
    const fixture *f = *state;
    fail_alloc fa;

    save(f, nets[2]);
    fail_alloc_init(&fa);
    for (int kept = 0; kept < 2; kept++) {
        bool failed = true;

        for (int64_t n = 0; failed; n++) {
            md_error err = MD_ERROR_INIT;
            md_session *s = NULL;
            md_status st;

            assert_true(n < N_MAX);
            if (!kept)
                remove_cache(f);
            fail_alloc_arm(&fa, n);
            st = try_open(&s, f, true, MD_PRECISION_FP32, &fa.alloc, &err);
            if (st == MD_OK)
                md_session_free(s); /* waits for the writer, who may fail */
            else
                assert_md_fails(st, MD_NOMEM, &err, "");
            failed = fail_alloc_disarm(&fa);
            assert_int_equal(atomic_load(&fa.n_live), 0);
        }
        check(f, true);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_packs__same_bits, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(test_packs__masks_and_precisions,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_packs__changed_model, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(
            test_packs__not_of_a_model_changed_just_now, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_packs__damage, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_packs__other_blocks, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(test_packs__not_ours, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(test_packs__no_place, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(test_packs__small_ones_are_not_kept,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_packs__deleted_in_use, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(test_packs__together, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(test_packs__out_of_memory, set_up,
                                        tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
