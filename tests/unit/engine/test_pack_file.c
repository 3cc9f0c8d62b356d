#include "support/test.h"

#include <string.h>

#include "base/digest.h"
#include "engine/pack_file.h"
#include "support/temp.h"

enum {
    N_BLOCKS = 4,
    HEAD = 64,
    ENTRY = 40
};

static const md_pack_key key = { 11, 22, 33 };
static const size_t sizes[N_BLOCKS] = { 64, 5000, 128, (1 << 20) + 64 };

/* A file of blocks with numbers in them; the test frees the bytes. */
static md_buf make(void)
{
    static unsigned char data[(1 << 20) + 64];
    const void *from[N_BLOCKS];
    md_pack_block blocks[N_BLOCKS] = { { 0 } };
    char path[MD_TEMP_SIZE * 2];
    md_error err = MD_ERROR_INIT;
    md_file_writer w;
    md_temp dir;
    md_buf b;

    for (size_t i = 0; i < sizeof(data); i++)
        data[i] = (unsigned char)(i * 31 + i / 256);
    for (size_t i = 0; i < N_BLOCKS; i++) {
        from[i] = data;
        blocks[i] = (md_pack_block){ .node = i, .kernel = 7, .size = sizes[i] };
    }
    md_temp_make(&dir);
    md_temp_path(path, &dir, "file");
    assert_md_ok(md_file_writer_open(&w, path, md_alloc_default(), &err), &err);
    assert_md_ok(md_pack_file_write(&w, &key, blocks, from, N_BLOCKS, &err),
                 &err);
    assert_md_ok(md_file_writer_commit(&w, &err), &err);
    md_buf_init(&b, md_alloc_default(), 16 << 20);
    assert_md_ok(md_file_read(&b, path, &err), &err);
    md_temp_remove(&dir);
    return b;
}

static md_status read_all(const void *bytes, size_t size, md_error *err)
{
    md_pack_file f;

    MD_TRY(md_pack_file_read(&f, bytes, size, &key, err));
    return md_pack_file_check(&f, NULL, md_alloc_default(), err);
}

static void test_pack_file__what_was_written(void **state)
{
    md_error err = MD_ERROR_INIT;
    md_buf b = make();
    md_pack_file f;
    md_pool *pool;

    (void)state;
    assert_md_ok(md_pack_file_read(&f, b.data, b.size, &key, &err), &err);
    assert_int_equal(f.n_blocks, N_BLOCKS);
    for (uint32_t i = 0; i < f.n_blocks; i++) {
        const md_pack_block k = md_pack_file_block(&f, i);

        assert_int_equal(k.node, i);
        assert_int_equal(k.kernel, 7);
        assert_int_equal(k.size, sizes[i]);
        assert_int_equal(k.offset % (sizes[i] >= 4096 ? 4096 : 64), 0);
        assert_int_equal(f.bytes[k.offset + 3], 3 * 31);
    }
    assert_md_ok(md_pack_file_check(&f, NULL, md_alloc_default(), &err), &err);
    assert_md_ok(md_pool_new(&pool, 3, md_alloc_default(), &err), &err);
    assert_md_ok(md_pack_file_check(&f, pool, md_alloc_default(), &err), &err);
    md_pool_free(pool);
    md_buf_release(&b);
}

static bool in_block(const unsigned char *bytes, size_t at)
{
    for (size_t i = 0; i < N_BLOCKS; i++) {
        md_pack_block k;

        memcpy(&k, bytes + HEAD + i * ENTRY, sizeof(k));
        if (at >= k.offset && at < k.offset + k.size)
            return true;
    }
    return false;
}

/* A bit of each byte of head and list, and of some behind. */
static void test_pack_file__damage(void **state)
{
    md_error err = MD_ERROR_INIT;
    md_buf b = make();
    unsigned char *p = (unsigned char *)b.data;
    int n_between = 0;

    (void)state;
    for (size_t i = 0; i < b.size; i += i < 300 ? 1 : i < 9999 ? 97 : 9973) {
        const bool known = i < HEAD + N_BLOCKS * ENTRY || in_block(p, i);

        p[i] ^= (unsigned char)(1u << i % 8);
        n_between += !known;
        if (known && read_all(p, b.size, &err) == MD_OK)
            fail_msg("byte %zu: not seen", i);
        if (!known)
            assert_md_ok(read_all(p, b.size, &err), &err);
        p[i] ^= (unsigned char)(1u << i % 8);
    }
    assert_true(n_between > 0);
    assert_md_ok(read_all(p, b.size, &err), &err);
    md_buf_release(&b);
}

static void test_pack_file__cut_short_or_too_long(void **state)
{
    md_error err = MD_ERROR_INIT;
    md_buf b = make();

    (void)state;
    for (size_t n = 0; n < b.size; n += n < 300 ? 1 : 4096)
        assert_md_fails(read_all(b.data, n, &err), MD_CORRUPT, &err, "");
    assert_md_ok(md_buf_append(&b, "x", 1, &err), &err);
    assert_md_fails(read_all(b.data, b.size, &err), MD_CORRUPT, &err,
                    "bytes given");
    md_buf_release(&b);
}

static void test_pack_file__of_something_else(void **state)
{
    static const struct {
        md_pack_key key;
        const char *text;
    } rows[] = {
        { { 12, 22, 33 }, "another build" },
        { { 11, 23, 33 }, "files have changed" },
        { { 11, 22, 34 }, "another CPU or precision" },
    };
    md_error err = MD_ERROR_INIT;
    md_buf b = make();
    md_pack_file f;

    (void)state;
    for (size_t i = 0; i < MD_COUNT(rows); i++)
        assert_md_fails(
            md_pack_file_read(&f, b.data, b.size, &rows[i].key, &err),
            MD_MISMATCH, &err, rows[i].text);
    memset(b.data, 'x', 8);
    assert_md_fails(read_all(b.data, b.size, &err), MD_CORRUPT, &err,
                    "no file of packed weights");
    md_buf_release(&b);
}

/* Make the digests of head and list those of what is there. */
static void sign(unsigned char *p, uint32_t n)
{
    const uint64_t list = md_digest(0, p + HEAD, (size_t)n * ENTRY);
    uint64_t head;

    memcpy(p + 48, &list, 8);
    head = md_digest(0, p, 56);
    memcpy(p + 56, &head, 8);
}

/* Whatever the digests say, a block lies inside and behind the one before. */
static void test_pack_file__places(void **state)
{
    static const struct {
        uint64_t offset, size;
    } rows[] = {
        { 0, 64 },       { 64, 64 },
        { 8193, 64 },    { UINT64_MAX - 63, 128 },
        { 4 << 20, 64 }, { 8192, UINT64_MAX },
        { 8192, 0 },     { (uint64_t)1 << 63, (uint64_t)1 << 63 },
    };
    md_error err = MD_ERROR_INIT;
    md_buf b = make();
    unsigned char *p = (unsigned char *)b.data;
    const uint32_t many[] = { N_BLOCKS + 1, 1 << 20, UINT32_MAX };

    (void)state;
    for (size_t i = 0; i < MD_COUNT(rows); i++) {
        unsigned char entry[ENTRY];

        memcpy(entry, p + HEAD + ENTRY, ENTRY);
        memcpy(p + HEAD + ENTRY + 16, &rows[i], 16);
        sign(p, N_BLOCKS);
        assert_md_fails(read_all(p, b.size, &err), MD_CORRUPT, &err,
                        "block 1: ");
        memcpy(p + HEAD + ENTRY, entry, ENTRY);
    }
    for (size_t i = 0; i < MD_COUNT(many); i++) {
        memcpy(p + 12, &many[i], 4);
        sign(p, N_BLOCKS);
        assert_int_not_equal(read_all(p, b.size, &err), MD_OK);
    }
    md_buf_release(&b);
}

static void test_pack_file__knows_its_program(void **state)
{
    (void)state;
    assert_true(md_pack_program() != 0);
    assert_true(md_pack_program() == md_pack_program());
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pack_file__what_was_written),
        cmocka_unit_test(test_pack_file__damage),
        cmocka_unit_test(test_pack_file__cut_short_or_too_long),
        cmocka_unit_test(test_pack_file__of_something_else),
        cmocka_unit_test(test_pack_file__places),
        cmocka_unit_test(test_pack_file__knows_its_program),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
