/* HDF5: what is read, and what hostile files get. */
#include "support/test.h"

#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "convert/hdf5.h"
#include "convert/hdf5_lib.h"
#include "convert/hdf5_record.h"
#include "support/h5_build.h"

typedef struct fixture {
    md_buf file;
    md_hdf5 *h;
    md_error err;
} fixture;

static void begin(fixture *f)
{
    memset(f, 0, sizeof(*f));
    md_buf_init(&f->file, md_alloc_default(), (size_t)64 << 20);
}

static void end(fixture *f)
{
    md_hdf5_free(f->h);
    md_buf_release(&f->file);
}

static md_status read_file(fixture *f)
{
    md_hdf5_free(f->h);
    f->h = NULL;
    return md_hdf5_read(&f->h, f->file.data, f->file.size, NULL,
                        md_alloc_default(), &f->err);
}

/* The same for a file that libhdf5 wrote a moment ago; its reader may then
 * run in this process too, and must say the same. */
static md_status read_written(fixture *f)
{
    md_hdf5_opts opts = MD_HDF5_OPTS_INIT;
    int sink = open("/dev/null", O_WRONLY);
    md_child_out out = { .fd = sink };
    md_error err = MD_ERROR_INIT;
    md_status here;
    md_status s;

    assert_true(sink >= 0);
    here = md_hdf5_walk(f->file.data, f->file.size, &opts, &out, &err);
    close(sink);
    s = read_file(f);
    assert_int_equal(here, s);
    if (s != MD_OK)
        assert_non_null(strstr(f->err.msg, err.msg));
    return s;
}

static void test_hdf5__reads_groups_data_and_attributes(void **state)
{
    static const float v[] = { 1, 2, 3, 4, 5, 6 };
    static const hsize_t dims[] = { 2, 3 };
    static const char *const names[] = { "one", "twenty" };
    const md_hdf5_data *d;
    const md_hdf5_attr *a;
    hid_t file = h5_new();
    fixture f;

    (void)state;
    begin(&f);
    h5_floats(file, "a/b/values", 2, dims, v);
    h5_floats_packed(file, "a/packed", 2, dims, v);
    h5_text(file, "/", "config", "{\"x\":1}");
    h5_texts(file, "a/b", "names", 2, names);
    h5_finish(file, &f.file);
    assert_md_ok(read_written(&f), &f.err);
    assert_true(md_hdf5_has_group(f.h, ""));
    assert_true(md_hdf5_has_group(f.h, "a/b"));
    assert_false(md_hdf5_has_group(f.h, "a/c"));
    d = md_hdf5_find(f.h, "a/b/values");
    assert_non_null(d);
    assert_int_equal(d->t.dtype, MD_DTYPE_F32);
    assert_int_equal(d->t.shape.rank, 2);
    assert_int_equal(d->t.shape.dim[1], 3);
    assert_memory_equal(d->t.data, v, sizeof(v));
    d = md_hdf5_find(f.h, "a/packed");
    assert_non_null(d);
    assert_memory_equal(d->t.data, v, sizeof(v));
    assert_null(md_hdf5_find(f.h, "a/b"));
    a = md_hdf5_attr_find(f.h, "", "config");
    assert_non_null(a);
    assert_int_equal(a->n, 1);
    assert_memory_equal(a->text[0].p, "{\"x\":1}", 7);
    a = md_hdf5_attr_find(f.h, "a/b", "names");
    assert_int_equal(a->n, 2);
    assert_int_equal(a->text[1].n, 6);
    assert_null(md_hdf5_attr_find(f.h, "a", "names"));
    end(&f);
}

static void add_number(hid_t file, const char *name, hid_t type, hid_t memory,
                       const void *value)
{
    hid_t space = H5Screate(H5S_SCALAR);
    hid_t d = H5Dcreate2(file, name, type, space, H5P_DEFAULT, H5P_DEFAULT,
                         H5P_DEFAULT);

    assert_true(H5Dwrite(d, memory, H5S_ALL, H5S_ALL, H5P_DEFAULT, value) >= 0);
    H5Dclose(d);
    H5Sclose(space);
}

static void test_hdf5__number_types(void **state)
{
    static const int64_t big = -5;
    static const double pi = 3.25;
    static const char text[4] = "abc";
    hid_t file = h5_new();
    hid_t string = H5Tcopy(H5T_C_S1);
    fixture f;

    (void)state;
    begin(&f);
    H5Tset_size(string, sizeof(text));
    add_number(file, "i64be", H5T_STD_I64BE, H5T_NATIVE_INT64, &big);
    add_number(file, "i8", H5T_STD_I8LE, H5T_NATIVE_INT64, &big);
    add_number(file, "f64", H5T_IEEE_F64BE, H5T_NATIVE_DOUBLE, &pi);
    add_number(file, "text", string, string, text);
    H5Tclose(string);
    h5_finish(file, &f.file);
    assert_md_ok(read_written(&f), &f.err);
    assert_int_equal(md_tensor_get_i64(&md_hdf5_find(f.h, "i64be")->t, 0), -5);
    assert_int_equal(md_hdf5_find(f.h, "i8")->t.dtype, MD_DTYPE_I8);
    assert_true(md_tensor_get_f64(&md_hdf5_find(f.h, "f64")->t, 0) == 3.25);
    /* There, but not read. */
    assert_int_equal(md_hdf5_find(f.h, "text")->t.dtype, MD_DTYPE_NONE);
    end(&f);
}

static void test_hdf5__skips_what_is_not_wanted(void **state)
{
    static const char *const skip[] = { "optimizer", NULL };
    md_hdf5_opts opts = MD_HDF5_OPTS_INIT;
    static const float v = 1;
    static const hsize_t dim = 1;
    hid_t file = h5_new();
    fixture f;

    (void)state;
    begin(&f);
    h5_floats(file, "optimizer/state", 1, &dim, &v);
    h5_floats(file, "layers/optimizer/state", 1, &dim, &v);
    h5_finish(file, &f.file);
    opts.skip = skip;
    assert_md_ok(md_hdf5_read(&f.h, f.file.data, f.file.size, &opts,
                              md_alloc_default(), &f.err),
                 &f.err);
    assert_null(md_hdf5_find(f.h, "optimizer/state"));
    assert_non_null(md_hdf5_find(f.h, "layers/optimizer/state"));
    end(&f);
}

static void test_hdf5__links_are_refused(void **state)
{
    static const char *const text[] = { "'x': soft link", "'x': external link",
                                        "'x': soft link" };
    fixture f;

    (void)state;
    for (int i = 0; i < 3; i++) {
        hid_t file = h5_new();

        begin(&f);
        if (i == 0)
            H5Lcreate_soft("/nowhere", file, "x", H5P_DEFAULT, H5P_DEFAULT);
        else if (i == 1)
            H5Lcreate_external("/etc/passwd", "/", file, "x", H5P_DEFAULT,
                               H5P_DEFAULT);
        else /* a loop */
            H5Lcreate_soft("/x", file, "x", H5P_DEFAULT, H5P_DEFAULT);
        h5_finish(file, &f.file);
        assert_md_fails(read_written(&f), MD_DENIED, &f.err, text[i]);
        end(&f);
    }
}

static void test_hdf5__hard_link_cycle_ends(void **state)
{
    hid_t file = h5_new();
    fixture f;

    (void)state;
    begin(&f);
    h5_group(file, "a");
    assert_true(
        H5Lcreate_hard(file, "/", file, "a/up", H5P_DEFAULT, H5P_DEFAULT) >= 0);
    h5_finish(file, &f.file);
    assert_md_fails(read_written(&f), MD_CORRUPT, &f.err,
                    "nest deeper than 32");
    end(&f);
}

/* Every group links twice to the next: 2^30 paths. */
static void test_hdf5__hard_links_do_not_multiply(void **state)
{
    hid_t file = h5_new();
    char path[180] = "";
    fixture f;

    (void)state;
    begin(&f);
    for (int i = 0; i < 30; i++) {
        char first[180];
        char second[180];

        snprintf(first, sizeof(first), "%.150s/a", path);
        snprintf(second, sizeof(second), "%.150s/b", path);
        h5_group(file, first);
        assert_true(H5Lcreate_hard(file, first, file, second, H5P_DEFAULT,
                                   H5P_DEFAULT) >= 0);
        snprintf(path, sizeof(path), "%s", first);
    }
    h5_finish(file, &f.file);
    assert_md_fails(read_written(&f), MD_TOO_LARGE, &f.err, "more than 200000");
    end(&f);
}

static void add_dataset(hid_t file, hid_t create, int rank, const hsize_t *dims)
{
    hid_t space = H5Screate_simple(rank, dims, NULL);
    hid_t d = H5Dcreate2(file, "x", H5T_IEEE_F32LE, space, H5P_DEFAULT, create,
                         H5P_DEFAULT);

    assert_true(d >= 0);
    H5Dclose(d);
    H5Sclose(space);
    H5Pclose(create);
}

static void test_hdf5__data_elsewhere_is_refused(void **state)
{
    static const hsize_t dim = 4;
    hid_t file = h5_new();
    hid_t create = H5Pcreate(H5P_DATASET_CREATE);
    hid_t space;
    fixture f;

    (void)state;
    begin(&f);
    H5Pset_external(create, "/etc/passwd", 0, 16);
    add_dataset(file, create, 1, &dim);
    h5_finish(file, &f.file);
    assert_md_fails(read_written(&f), MD_DENIED, &f.err,
                    "'x': external storage");
    end(&f);

    begin(&f);
    file = h5_new();
    create = H5Pcreate(H5P_DATASET_CREATE);
    space = H5Screate_simple(1, &dim, NULL);
    assert_true(H5Pset_virtual(create, space, "/etc/passwd", "y", space) >= 0);
    H5Sclose(space);
    add_dataset(file, create, 1, &dim);
    h5_finish(file, &f.file);
    assert_md_fails(read_written(&f), MD_DENIED, &f.err,
                    "'x': virtual dataset");
    end(&f);
}

static void test_hdf5__other_filters_are_refused(void **state)
{
    static const hsize_t dim = 4;
    hid_t file = h5_new();
    hid_t create = H5Pcreate(H5P_DATASET_CREATE);
    fixture f;

    (void)state;
    begin(&f);
    H5Pset_chunk(create, 1, &dim);
    H5Pset_fletcher32(create);
    add_dataset(file, create, 1, &dim);
    h5_finish(file, &f.file);
    assert_md_fails(read_written(&f), MD_UNSUPPORTED, &f.err, "'x': filter 3");
    end(&f);
}

static void test_hdf5__declared_sizes_are_checked_first(void **state)
{
    static const struct {
        hsize_t dims[3];
        int rank;
        md_status status;
        const char *text;
    } cases[] = {
        { { 1 << 20 }, 1, MD_CORRUPT, "declares 4194304 bytes and stores 0" },
        { { 1 << 16, 1 << 16 }, 2, MD_TOO_LARGE, "dataset of 17179869184" },
        { { 1ull << 40, 1ull << 10, 1 }, 3, MD_TOO_LARGE, "dataset of" },
    };
    fixture f;

    (void)state;
    for (size_t i = 0; i < MD_COUNT(cases); i++) {
        hid_t file = h5_new();

        begin(&f);
        add_dataset(file, H5Pcreate(H5P_DATASET_CREATE), cases[i].rank,
                    cases[i].dims);
        h5_finish(file, &f.file);
        assert_md_fails(read_written(&f), cases[i].status, &f.err,
                        cases[i].text);
        end(&f);
    }
}

static void test_hdf5__rank_is_limited(void **state)
{
    static const hsize_t dims[] = { 1, 1, 1, 1, 1, 1, 1, 1, 1 };
    hid_t file = h5_new();
    fixture f;

    (void)state;
    begin(&f);
    add_dataset(file, H5Pcreate(H5P_DATASET_CREATE), 9, dims);
    h5_finish(file, &f.file);
    assert_md_fails(read_written(&f), MD_UNSUPPORTED, &f.err, "rank 9");
    end(&f);
}

static void test_hdf5__total_is_limited(void **state)
{
    md_hdf5_opts opts = MD_HDF5_OPTS_INIT;
    static float v[4096];
    static const hsize_t dim = 4096;
    hid_t file = h5_new();
    fixture f;

    (void)state;
    begin(&f);
    h5_floats(file, "a", 1, &dim, v);
    h5_floats(file, "b", 1, &dim, v);
    h5_finish(file, &f.file);
    opts.size_limit = 20000;
    assert_md_fails(md_hdf5_read(&f.h, f.file.data, f.file.size, &opts,
                                 md_alloc_default(), &f.err),
                    MD_TOO_LARGE, &f.err, "exceed the limit of 20000 bytes");
    end(&f);
}

static void make_sample(fixture *f)
{
    static const float v[] = { 1, 2, 3, 4, 5, 6 };
    static const hsize_t dims[] = { 2, 3 };
    static const char *const names[] = { "one", "twenty" };
    hid_t file = h5_new();

    h5_floats(file, "a/values", 2, dims, v);
    h5_floats_packed(file, "b/packed", 2, dims, v);
    h5_text(file, "/", "config", "{}");
    h5_texts(file, "a", "names", 2, names);
    h5_finish(file, &f->file);
}

/* A status of the kinds that a damaged file may give. */
static bool is_answer(md_status s)
{
    return s == MD_OK || s == MD_CORRUPT || s == MD_DENIED ||
           s == MD_UNSUPPORTED || s == MD_TOO_LARGE || s == MD_NOMEM;
}

static void test_hdf5__truncated_files(void **state)
{
    size_t whole;
    fixture f;

    (void)state;
    begin(&f);
    make_sample(&f);
    whole = f.file.size;
    for (size_t n = 0; n < whole; n += n < 128 ? 7 : whole / 40) {
        f.file.size = n;
        assert_md_fails(read_file(&f), MD_CORRUPT, &f.err, "hdf5: ");
    }
    end(&f);
}

static void test_hdf5__bit_flips(void **state)
{
    fixture f;

    (void)state;
    begin(&f);
    make_sample(&f);
    /* The superblock and the first headers. */
    for (size_t i = 8; i < 700 && i < f.file.size; i += 13) {
        f.file.data[i] ^= (unsigned char)(1u << i % 8);
        assert_true(is_answer(read_file(&f)));
        f.file.data[i] ^= (unsigned char)(1u << i % 8);
    }
    assert_md_ok(read_file(&f), &f.err);
    end(&f);
}

/* Records as the child would write them. */
static void put(md_buf *b, const void *data, size_t size)
{
    md_error err;

    assert_md_ok(md_buf_append(b, data, size, &err), &err);
}

static void put_head(md_buf *b, unsigned kind, unsigned dtype, unsigned rank,
                     const char *path)
{
    md_hdf5_head head = { .magic = MD_HDF5_MAGIC,
                          .kind = (uint8_t)kind,
                          .dtype = (uint8_t)dtype,
                          .rank = (uint8_t)rank,
                          .path_size = (uint32_t)strlen(path) + 1 };

    put(b, &head, sizeof(head));
    put(b, path, strlen(path) + 1);
    while (b->size % MD_HDF5_ALIGN)
        put(b, "", 1);
}

static md_status parse(md_buf *b, md_error *err)
{
    md_hdf5 *h = NULL;
    md_status s = md_hdf5_parse(&h, b, md_alloc_default(), err);

    md_hdf5_free(h);
    return s;
}

static void put_data(md_buf *b, int64_t dim, uint64_t size, const char *path)
{
    static const char zero[64];

    put_head(b, MD_HDF5_DATA, MD_DTYPE_F32, 1, path);
    put(b, &dim, sizeof(dim));
    put(b, &size, sizeof(size));
    put(b, zero, size < sizeof(zero) ? (size_t)size : 0);
    while (b->size % MD_HDF5_ALIGN)
        put(b, "", 1);
}

static void test_hdf5__parse_believes_nothing(void **state)
{
    static const char *const text[] = {
        "end of data", "no record",    "end of data", "unknown kind",
        "contradicts", "comes twice",  "end of data", "bytes after the end",
        "rank",        "unknown type", "overflow",    "too many texts",
    };
    md_error err = MD_ERROR_INIT;
    uint32_t n = 1000000;
    uint32_t two = 2;
    md_buf b;

    (void)state;
    for (size_t i = 0; i < MD_COUNT(text); i++) {
        md_buf_init(&b, md_alloc_default(), 4096);
        switch (i) {
        case 0:
            break;
        case 1:
            put(&b, "0123456789abcdef", 16);
            break;
        case 2:
            put_head(&b, MD_HDF5_GROUP, 0, 0, "");
            break;
        case 3:
            put_head(&b, 9, 0, 0, "a");
            break;
        case 4:
            put_data(&b, 3, 8, "a");
            break;
        case 5:
            put_data(&b, 2, 8, "a");
            put_data(&b, 2, 8, "a");
            put_head(&b, MD_HDF5_END, 0, 0, "");
            break;
        case 6:
            put_data(&b, 1 << 20, 4 << 20, "a");
            break;
        case 7:
            put_head(&b, MD_HDF5_END, 0, 0, "");
            put(&b, "x", 1);
            break;
        case 8:
            put_head(&b, MD_HDF5_DATA, MD_DTYPE_F32, 9, "a");
            break;
        case 9:
            put_head(&b, MD_HDF5_DATA, MD_DTYPE_STRING, 0, "a");
            put(&b, "\0\0\0\0\0\0\0", 8);
            break;
        case 10:
            put_data(&b, INT64_MAX, 8, "a");
            break;
        default:
            put_head(&b, MD_HDF5_ATTR, 0, 0, "a");
            put(&b, &two, sizeof(two));
            put(&b, "k", 2);
            put(&b, &n, sizeof(n));
            break;
        }
        if (i == 10)
            assert_int_not_equal(parse(&b, &err), MD_OK);
        else
            assert_md_fails(parse(&b, &err), MD_CORRUPT, &err, text[i]);
    }
}

static void test_hdf5__not_hdf5_at_all(void **state)
{
    md_error err = MD_ERROR_INIT;
    md_hdf5 *h = NULL;

    (void)state;
    assert_md_fails(
        md_hdf5_read(&h, "hello", 5, NULL, md_alloc_default(), &err),
        MD_CORRUPT, &err, "5 bytes without the signature");
    assert_md_fails(md_hdf5_read(&h, "\211HDF\r\n\032\n", 8, NULL,
                                 md_alloc_default(), &err),
                    MD_CORRUPT, &err, "not a readable HDF5 file");
    assert_null(h);
}

/* What libhdf5 says of a file that it cannot even open reaches the user. */
static void test_hdf5__the_reason_is_told(void **state)
{
    static const struct {
        size_t at; /* byte of the superblock that changes */
        unsigned char to;
        const char *reason;
    } cases[] = {
        { 8, 99, "'/': not a readable HDF5 file: bad superblock version" },
        { 13, 7, "not a readable HDF5 file: bad byte number in an address" },
        { 14, 3, "not a readable HDF5 file: bad byte number for object size" },
    };
    const hsize_t dim = 4;
    const float data[4] = { 1, 2, 3, 4 };
    hid_t file = h5_new();
    md_buf bytes;

    (void)state;
    h5_floats(file, "x", 1, &dim, data);
    md_buf_init(&bytes, md_alloc_default(), 1 << 20);
    h5_finish(file, &bytes);
    for (size_t i = 0; i < MD_COUNT(cases); i++) {
        md_error err = MD_ERROR_INIT;
        md_hdf5 *h = NULL;
        unsigned char was = bytes.data[cases[i].at];

        bytes.data[cases[i].at] = cases[i].to;
        assert_md_fails(md_hdf5_read(&h, bytes.data, bytes.size, NULL,
                                     md_alloc_default(), &err),
                        MD_CORRUPT, &err, cases[i].reason);
        assert_null(strstr(err.msg, "unknown reason"));
        bytes.data[cases[i].at] = was;
    }
    md_buf_release(&bytes);
}

/* Five seconds and three per megabyte, up to what the options allow. */
static void test_hdf5__processor_time_follows_the_file(void **state)
{
    static const struct {
        size_t size;
        unsigned most, want;
    } cases[] = {
        { 0, 60, 5 },         { (1 << 20) - 1, 60, 5 },
        { 1 << 20, 60, 8 },   { 18 << 20, 60, 59 },
        { 19 << 20, 60, 60 }, { 0, 3, 3 },
        { SIZE_MAX, 60, 60 }, { SIZE_MAX, UINT_MAX, UINT_MAX },
    };

    (void)state;
    for (size_t i = 0; i < MD_COUNT(cases); i++)
        assert_int_equal(md_hdf5_cpu_s(cases[i].size, cases[i].most),
                         cases[i].want);
}

static void test_hdf5__a_missing_library_is_named(void **state)
{
    md_hdf5_lib lib;
    md_error err = MD_ERROR_INIT;

    (void)state;
    assert_int_equal(md_hdf5_lib_load(&lib, "libhdf5_none.so.1", &err),
                     MD_UNAVAILABLE);
    assert_non_null(strstr(err.msg, "libhdf5_none.so.1: cannot open"));
    assert_non_null(strstr(err.msg, "apt-get install"));
    assert_int_equal(md_hdf5_lib_load(&lib, "libc.so.6", &err), MD_UNAVAILABLE);
    assert_non_null(strstr(err.msg, "H5open"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_hdf5__reads_groups_data_and_attributes),
        cmocka_unit_test(test_hdf5__number_types),
        cmocka_unit_test(test_hdf5__skips_what_is_not_wanted),
        cmocka_unit_test(test_hdf5__links_are_refused),
        cmocka_unit_test(test_hdf5__hard_link_cycle_ends),
        cmocka_unit_test(test_hdf5__hard_links_do_not_multiply),
        cmocka_unit_test(test_hdf5__data_elsewhere_is_refused),
        cmocka_unit_test(test_hdf5__other_filters_are_refused),
        cmocka_unit_test(test_hdf5__declared_sizes_are_checked_first),
        cmocka_unit_test(test_hdf5__rank_is_limited),
        cmocka_unit_test(test_hdf5__total_is_limited),
        cmocka_unit_test(test_hdf5__truncated_files),
        cmocka_unit_test(test_hdf5__bit_flips),
        cmocka_unit_test(test_hdf5__parse_believes_nothing),
        cmocka_unit_test(test_hdf5__not_hdf5_at_all),
        cmocka_unit_test(test_hdf5__the_reason_is_told),
        cmocka_unit_test(test_hdf5__a_missing_library_is_named),
        cmocka_unit_test(test_hdf5__processor_time_follows_the_file),
    };

    if (md_hdf5_prepare(NULL, NULL) != MD_OK)
        return 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
