/* Keras containers: damaged, oversized, incomplete. */
#include "support/test.h"

#include <stdio.h>
#include <string.h>
#include <zlib.h>

#include "base/file.h"
#include "convert/keras/file.h"
#include "support/h5_build.h"

/* A zip in memory from up to three members. */
typedef struct member {
    const char *name;
    const void *data;
    size_t size;
} member;

static void put16(md_buf *b, unsigned v)
{
    unsigned char p[] = { (unsigned char)v, (unsigned char)(v >> 8) };
    md_error err;

    assert_md_ok(md_buf_append(b, p, 2, &err), &err);
}

static void put32(md_buf *b, size_t v)
{
    put16(b, (unsigned)(v & 0xffff));
    put16(b, (unsigned)(v >> 16 & 0xffff));
}

/* What local and central headers share: versions to name length. */
static void put_common(md_buf *b, const member *m, size_t packed, bool deflate)
{
    put16(b, 20);
    put16(b, 0);
    put16(b, deflate ? 8 : 0);
    put32(b, 0);
    put32(b, crc32(0, m->data, (uInt)m->size));
    put32(b, packed);
    put32(b, m->size);
    put16(b, (unsigned)strlen(m->name));
    put16(b, 0);
}

static void put(md_buf *b, const void *p, size_t n)
{
    md_error err;

    assert_md_ok(md_buf_append(b, p, n, &err), &err);
}

/* Raw deflate of a member, as zip keeps it. */
static size_t pack(const member *m, unsigned char *out, size_t room)
{
    z_stream z = { 0 };

    assert_int_equal(
        deflateInit2(&z, 9, Z_DEFLATED, -15, 8, Z_DEFAULT_STRATEGY), Z_OK);
    z.next_in = (Bytef *)(uintptr_t)m->data;
    z.avail_in = (uInt)m->size;
    z.next_out = out;
    z.avail_out = (uInt)room;
    assert_int_equal(deflate(&z, Z_FINISH), Z_STREAM_END);
    deflateEnd(&z);
    return room - z.avail_out;
}

static void make_zip(md_buf *out, const member *m, size_t n, bool deflated)
{
    static unsigned char packed[1 << 20];
    size_t at[3] = { 0 };
    size_t size[3] = { 0 };
    size_t central;

    for (size_t i = 0; i < n; i++) {
        at[i] = out->size;
        size[i] = deflated ? pack(&m[i], packed, sizeof(packed)) : m[i].size;
        put(out, "PK\003\004", 4);
        put_common(out, &m[i], size[i], deflated);
        put(out, m[i].name, strlen(m[i].name));
        put(out, deflated ? packed : m[i].data, size[i]);
    }
    central = out->size;
    for (size_t i = 0; i < n; i++) {
        put(out, "PK\001\002", 4);
        put16(out, 20);
        put_common(out, &m[i], size[i], deflated);
        put16(out, 0);
        put32(out, 0);
        put32(out, 0);
        put32(out, at[i]);
        put(out, m[i].name, strlen(m[i].name));
    }
    put(out, "PK\005\006\0\0\0\0", 8);
    put16(out, (unsigned)n);
    put16(out, (unsigned)n);
    put32(out, out->size - 12 - central);
    put32(out, central);
    put16(out, 0);
}

static md_status open_bytes(const md_buf *b, const md_keras_limits *limits,
                            md_error *err)
{
    md_keras_file f;
    md_status s = md_keras_file_open(&f, b->data, b->size, NULL, limits,
                                     md_alloc_default(), err);

    if (s == MD_OK)
        md_keras_file_release(&f);
    return s;
}

static void make_weights(md_buf *out)
{
    static const float v[] = { 1, 2 };
    static const hsize_t dim = 2;
    hid_t file = h5_new();

    h5_floats(file, "layers/dense/vars/0", 1, &dim, v);
    h5_finish(file, out);
}

static void test_file__reads_zip_and_h5(void **state)
{
    static const char config[] = "{\"class_name\":\"Sequential\"}";
    static const char meta[] = "{\"keras_version\":\"2.15.0\"}";
    md_error err = MD_ERROR_INIT;
    md_buf weights;
    md_buf zip;
    md_keras_file f;
    keras_h5 k;

    (void)state;
    md_buf_init(&weights, md_alloc_default(), 1 << 20);
    md_buf_init(&zip, md_alloc_default(), 1 << 20);
    make_weights(&weights);
    for (int deflate = 0; deflate < 2; deflate++) {
        member m[] = { { "metadata.json", meta, sizeof(meta) - 1 },
                       { "config.json", config, sizeof(config) - 1 },
                       { "model.weights.h5", weights.data, weights.size } };

        make_zip(&zip, m, 3, deflate);
        assert_true(md_keras_probe(zip.data, zip.size));
        assert_md_ok(md_keras_file_open(&f, zip.data, zip.size, NULL, NULL,
                                        md_alloc_default(), &err),
                     &err);
        assert_int_equal(f.major, 2);
        assert_false(f.h5);
        assert_string_equal(f.version, "2.15.0");
        assert_non_null(md_hdf5_find(f.weights, "layers/dense/vars/0"));
        md_keras_file_release(&f);
        md_buf_reset(&zip);
    }
    keras_h5_begin(&k, "3.9.9", config);
    md_buf_reset(&weights);
    keras_h5_finish(&k, &weights);
    assert_true(md_keras_probe(weights.data, weights.size));
    assert_md_ok(md_keras_file_open(&f, weights.data, weights.size, NULL, NULL,
                                    md_alloc_default(), &err),
                 &err);
    assert_true(f.h5);
    assert_int_equal(f.major, 3);
    md_keras_file_release(&f);
    md_buf_release(&weights);
    md_buf_release(&zip);
}

static void test_file__incomplete_and_bad_members(void **state)
{
    static const char good[] = "{}";
    static const char list[] = "[1]";
    static const char cut[] = "{\"a\":";
    static const struct {
        const char *config, *meta, *weights;
        md_status status;
        const char *text;
    } cases[] = {
        { NULL, good, good, MD_CORRUPT, "no member 'config.json'" },
        { good, NULL, good, MD_CORRUPT, "no member 'metadata.json'" },
        { good, good, NULL, MD_UNSUPPORTED, "no 'model.weights.h5'" },
        { list, good, good, MD_CORRUPT, "config.json: JSON object expected" },
        { cut, good, good, MD_CORRUPT, "config.json: line 1" },
        { good, cut, good, MD_CORRUPT, "metadata.json: line 1" },
        { good, good, good, MD_CORRUPT, "without the signature" },
    };
    md_error err = MD_ERROR_INIT;
    md_buf zip;

    (void)state;
    md_buf_init(&zip, md_alloc_default(), 1 << 20);
    for (size_t i = 0; i < MD_COUNT(cases); i++) {
        const char *const names[] = { "config.json", "metadata.json",
                                      "model.weights.h5" };
        const char *const data[] = { cases[i].config, cases[i].meta,
                                     cases[i].weights };
        member m[3];
        size_t n = 0;

        for (size_t k = 0; k < 3; k++) {
            if (data[k])
                m[n++] = (member){ names[k], data[k], strlen(data[k]) };
        }
        make_zip(&zip, m, n, false);
        assert_md_fails(open_bytes(&zip, NULL, &err), cases[i].status, &err,
                        cases[i].text);
        md_buf_reset(&zip);
    }
    md_buf_release(&zip);
}

static void test_file__zip_bombs(void **state)
{
    static char spaces[4 << 20];
    md_keras_limits limits = MD_KERAS_LIMITS_INIT;
    member m[] = { { "config.json", spaces, sizeof(spaces) },
                   { "metadata.json", "{}", 2 } };
    md_error err = MD_ERROR_INIT;
    md_buf zip;

    (void)state;
    memset(spaces, ' ', sizeof(spaces));
    md_buf_init(&zip, md_alloc_default(), 8 << 20);
    make_zip(&zip, m, 2, true);
    assert_true(zip.size < 16384);
    limits.json_size = 1 << 20;
    assert_md_fails(open_bytes(&zip, &limits, &err), MD_TOO_LARGE, &err,
                    "'config.json' of 4194304 bytes, at most 1048576");
    /* Within the limit: blanks, so no JSON. */
    assert_md_fails(open_bytes(&zip, NULL, &err), MD_CORRUPT, &err,
                    "config.json");
    md_buf_release(&zip);
}

/* The size in the central directory says less, or more, than comes out. */
static void test_file__members_that_lie_about_their_size(void **state)
{
    static char text[2000];
    member m[] = { { "config.json", text, sizeof(text) } };
    md_error err = MD_ERROR_INIT;
    md_buf zip;

    (void)state;
    memset(text, 'x', sizeof(text));
    md_buf_init(&zip, md_alloc_default(), 1 << 20);
    for (int i = 0; i < 3; i++) {
        static const unsigned char size[][4] = { { 0x00, 0x01 },
                                                 { 0x00, 0x40 },
                                                 { 0xff, 0xff, 0xff, 0xf0 } };
        unsigned char *p;

        make_zip(&zip, m, 1, true);
        p = zip.data + zip.size - 22;
        while (memcmp(p, "PK\001\002", 4) != 0)
            p--;
        memcpy(p + 24, size[i], 4);
        assert_int_not_equal(open_bytes(&zip, NULL, &err), MD_OK);
        md_buf_reset(&zip);
    }
    md_buf_release(&zip);
}

static void test_file__h5_without_model(void **state)
{
    md_error err = MD_ERROR_INIT;
    md_buf file;
    keras_h5 k;

    (void)state;
    md_buf_init(&file, md_alloc_default(), 1 << 20);
    make_weights(&file);
    assert_md_fails(open_bytes(&file, NULL, &err), MD_UNSUPPORTED, &err,
                    "weights alone do not tell the model");
    md_buf_reset(&file);
    keras_h5_begin(&k, "3.0.0", "{\"class_name\"");
    keras_h5_finish(&k, &file);
    assert_md_fails(open_bytes(&file, NULL, &err), MD_CORRUPT, &err,
                    "model_config: line 1");
    md_buf_release(&file);
}

/* A real file cut at many lengths and with flipped bits: never a crash, and
 * almost always an error. */
static void test_file__damaged_real_file(void **state)
{
    md_error err = MD_ERROR_INIT;
    md_buf file;
    size_t whole;
    size_t n_ok = 0;

    (void)state;
    md_buf_init(&file, md_alloc_default(), 16 << 20);
    assert_md_ok(
        md_file_read(&file, MD_EXAMPLES_DIR "/fashion/fmnist_bn.keras", &err),
        &err);
    whole = file.size;
    for (size_t i = 0; i < 40; i++) {
        file.size = i < 20 ? i * 3 : whole * i / 40;
        assert_int_not_equal(open_bytes(&file, NULL, &err), MD_OK);
    }
    file.size = whole;
    for (size_t i = 0; i < 60; i++) {
        size_t at = i < 30 ? i * 5 : whole - 1 - (i - 30) * 17;

        file.data[at] ^= 0x21;
        n_ok += open_bytes(&file, NULL, &err) == MD_OK;
        file.data[at] ^= 0x21;
    }
    assert_true(n_ok < 50);
    assert_md_ok(open_bytes(&file, NULL, &err), &err);
    md_buf_release(&file);
}

static void test_file__probe(void **state)
{
    md_buf zip;
    member m = { "other.json", "{}", 2 };

    (void)state;
    assert_false(md_keras_probe("", 0));
    assert_false(md_keras_probe("PK\003\004", 4));
    assert_false(md_keras_probe("\010\011onnx", 6));
    md_buf_init(&zip, md_alloc_default(), 1 << 20);
    make_zip(&zip, &m, 1, false);
    assert_false(md_keras_probe(zip.data, zip.size));
    assert_false(md_keras_probe(zip.data, zip.size - 1));
    md_buf_release(&zip);
}

/* The list of members is missing, but what the file was is plain. */
static void test_file__cut_off(void **state)
{
    static const char *const names[] = { "config.json", "metadata.json",
                                         "model.weights.h5" };
    md_error err = MD_ERROR_INIT;

    (void)state;
    for (size_t i = 0; i < MD_COUNT(names); i++) {
        member m = { names[i], "{}", 2 };
        size_t head = 30 + strlen(names[i]);
        md_buf zip;

        md_buf_init(&zip, md_alloc_default(), 1 << 20);
        make_zip(&zip, &m, 1, false);
        assert_true(md_keras_probe(zip.data, zip.size - 1));
        assert_true(md_keras_probe(zip.data, head));
        assert_false(md_keras_probe(zip.data, head - 1));
        zip.size--;
        assert_md_fails(open_bytes(&zip, NULL, &err), MD_CORRUPT, &err,
                        "end record missing");
        md_buf_release(&zip);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_file__reads_zip_and_h5),
        cmocka_unit_test(test_file__incomplete_and_bad_members),
        cmocka_unit_test(test_file__zip_bombs),
        cmocka_unit_test(test_file__members_that_lie_about_their_size),
        cmocka_unit_test(test_file__h5_without_model),
        cmocka_unit_test(test_file__damaged_real_file),
        cmocka_unit_test(test_file__probe),
        cmocka_unit_test(test_file__cut_off),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
