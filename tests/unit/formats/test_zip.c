#include "support/test.h"

#include <stdio.h>
#include <string.h>
#include <zlib.h>

#include "formats/zip.h"

/* One entry of an archive to be made. */
typedef struct item {
    const char *name;
    unsigned method;
    unsigned flags;
    size_t size; /* announced */
    const unsigned char *packed;
    size_t n_packed;
    uint32_t crc;
    bool zip64; /* sizes and place in the extra field */
} item;

static void put(md_buf *out, uint64_t v, unsigned size)
{
    md_error err = MD_ERROR_INIT;

    for (unsigned i = 0; i < size; i++)
        assert_md_ok(md_buf_putc(out, (char)(v >> (8 * i)), &err), &err);
}

static void put_bytes(md_buf *out, const void *p, size_t n)
{
    md_error err = MD_ERROR_INIT;

    assert_md_ok(md_buf_append(out, p, n, &err), &err);
}

static void put_local(md_buf *out, const item *e)
{
    put(out, 0x04034b50, 4);
    put(out, 20, 2);
    put(out, e->flags, 2);
    put(out, e->method, 2);
    put(out, 0, 4);
    put(out, e->crc, 4);
    put(out, e->n_packed, 4);
    put(out, e->size, 4);
    put(out, strlen(e->name), 2);
    put(out, 0, 2);
    put_bytes(out, e->name, strlen(e->name));
    put_bytes(out, e->packed, e->n_packed);
}

static void put_entry(md_buf *out, const item *e, size_t at)
{
    put(out, 0x02014b50, 4);
    put(out, 20, 2);
    put(out, 20, 2);
    put(out, e->flags, 2);
    put(out, e->method, 2);
    put(out, 0, 4);
    put(out, e->crc, 4);
    put(out, e->zip64 ? UINT32_MAX : e->n_packed, 4);
    put(out, e->zip64 ? UINT32_MAX : e->size, 4);
    put(out, strlen(e->name), 2);
    put(out, e->zip64 ? 4 + 4 + 28 : 0, 2);
    put(out, 0, 2);
    put(out, 0, 8);
    put(out, e->zip64 ? UINT32_MAX : at, 4);
    put_bytes(out, e->name, strlen(e->name));
    if (!e->zip64)
        return;
    put(out, 0x7777, 2); /* a field of somebody else's, then ours */
    put(out, 0, 2);
    put(out, 1, 2);
    put(out, 28, 2);
    put(out, e->size, 8);
    put(out, e->n_packed, 8);
    put(out, at, 8);
    put(out, 0, 4);
}

static void make(md_buf *out, const item *items, size_t n, const char *comment)
{
    size_t at[8];
    size_t from;
    size_t size;
    bool zip64 = n > 0 && items[0].zip64;

    md_buf_init(out, md_alloc_default(), 1 << 24);
    for (size_t i = 0; i < n; i++) {
        at[i] = out->size;
        put_local(out, &items[i]);
    }
    from = out->size;
    for (size_t i = 0; i < n; i++)
        put_entry(out, &items[i], at[i]);
    size = out->size - from;
    if (zip64) {
        size_t end64 = out->size;

        put(out, 0x06064b50, 4);
        put(out, 44, 8);
        put(out, 45, 2);
        put(out, 45, 2);
        put(out, 0, 8);
        put(out, n, 8);
        put(out, n, 8);
        put(out, size, 8);
        put(out, from, 8);
        put(out, 0x07064b50, 4);
        put(out, 0, 4);
        put(out, end64, 8);
        put(out, 1, 4);
    }
    put(out, 0x06054b50, 4);
    put(out, 0, 4);
    put(out, zip64 ? 0xffff : n, 2);
    put(out, zip64 ? 0xffff : n, 2);
    put(out, zip64 ? UINT32_MAX : size, 4);
    put(out, zip64 ? UINT32_MAX : from, 4);
    put(out, strlen(comment), 2);
    put_bytes(out, comment, strlen(comment));
}

/* Deflate `size` zeros into packed; the packed size. */
static size_t deflate_zeros(unsigned char *packed, size_t room, size_t size)
{
    static unsigned char zeros[1 << 16];
    z_stream zs = { .next_out = packed, .avail_out = (uInt)room };

    assert_int_equal(deflateInit2(&zs, 9, Z_DEFLATED, -15, 9, 0), Z_OK);
    while (size > 0) {
        size_t n = size < sizeof(zeros) ? size : sizeof(zeros);

        zs.next_in = zeros;
        zs.avail_in = (uInt)n;
        assert_int_equal(deflate(&zs, Z_NO_FLUSH), Z_OK);
        size -= n;
    }
    assert_int_equal(deflate(&zs, Z_FINISH), Z_STREAM_END);
    deflateEnd(&zs);
    return room - zs.avail_out;
}

static item stored(const char *name, const char *text)
{
    item e = { .name = name,
               .size = strlen(text),
               .packed = (const unsigned char *)text,
               .n_packed = strlen(text) };

    e.crc = (uint32_t)crc32(0, e.packed, (uInt)e.size);
    return e;
}

/* Open the archive and read its first entry. */
static md_status read_first(md_buf *out, const md_buf *file, size_t limit,
                            md_error *err)
{
    md_zip z;
    md_status s;

    md_buf_init(out, md_alloc_default(), 1 << 24);
    MD_TRY(md_zip_open(&z, file->data, file->size, limit, md_alloc_default(),
                       err));
    s = md_zip_read(&z, &z.entries[0], out, err);
    md_zip_release(&z);
    return s;
}

static void test_zip__reads_stored_and_deflated(void **state)
{
    static unsigned char packed[1000];
    static const unsigned char zeros[5000];
    md_error err = MD_ERROR_INIT;
    item items[2] = { stored("a", "hello"), { .name = "b", .method = 8 } };
    md_buf file;
    md_buf out;
    md_zip z;

    (void)state;
    items[1].packed = packed;
    items[1].n_packed = deflate_zeros(packed, sizeof(packed), sizeof(zeros));
    items[1].size = sizeof(zeros);
    items[1].crc = (uint32_t)crc32(0, zeros, sizeof(zeros));
    make(&file, items, 2, "a comment PK\x05\x06 that looks like an end");
    assert_md_ok(md_zip_open(&z, file.data, file.size, 1 << 20,
                             md_alloc_default(), &err),
                 &err);
    assert_int_equal(z.n_entries, 2);
    md_buf_init(&out, md_alloc_default(), 1 << 20);
    assert_md_ok(md_zip_read(&z, md_zip_find(&z, "a"), &out, &err), &err);
    assert_string_equal((char *)out.data, "hello");
    assert_md_ok(md_zip_read(&z, md_zip_find(&z, "b"), &out, &err), &err);
    assert_int_equal(out.size, 5 + sizeof(zeros));
    assert_null(md_zip_find(&z, "c"));
    md_buf_release(&out);
    md_zip_release(&z);
    md_buf_release(&file);
}

static void test_zip__reads_zip64(void **state)
{
    md_error err = MD_ERROR_INIT;
    item e = stored("a", "hello");
    md_buf file;
    md_buf out;

    (void)state;
    e.zip64 = true;
    make(&file, &e, 1, "");
    assert_md_ok(read_first(&out, &file, 100, &err), &err);
    assert_string_equal((char *)out.data, "hello");
    md_buf_release(&out);
    md_buf_release(&file);
}

static void test_zip__an_empty_archive_is_one(void **state)
{
    md_error err = MD_ERROR_INIT;
    md_buf file;
    md_zip z;

    (void)state;
    make(&file, NULL, 0, "");
    assert_md_ok(
        md_zip_open(&z, file.data, file.size, 0, md_alloc_default(), &err),
        &err);
    assert_int_equal(z.n_entries, 0);
    md_zip_release(&z);
    md_buf_release(&file);
}

static void test_zip__refuses_bad_entries(void **state)
{
    static unsigned char packed[100000];
    item good = stored("a", "hello");
    size_t n_packed = deflate_zeros(packed, sizeof(packed), 1 << 20);
    struct {
        item e;
        md_status status;
        const char *text;
    } cases[] = {
        { good, MD_UNSUPPORTED, "'a': encrypted" },
        { good, MD_UNSUPPORTED, "'a': method 12" },
        { good, MD_CORRUPT, "'a': checksum differs" },
        { good, MD_CORRUPT, "stored in 5 bytes, 6 announced" },
        /* 1 MiB of zeros that says it is less, and one that says more. */
        { good, MD_CORRUPT, "does not unpack to 1000 bytes" },
        { good, MD_CORRUPT, "does not unpack to 1048577 bytes" },
        { good, MD_CORRUPT, "100000 bytes announced, packed in 5" },
        { good, MD_TOO_LARGE, "more than 2097152 bytes" },
        { good, MD_CORRUPT, "does not unpack to 5 bytes" },
    };

    (void)state;
    cases[0].e.flags = 1;
    cases[1].e.method = 12;
    cases[2].e.crc++;
    cases[3].e.size = 6;
    for (unsigned i = 4; i < 6; i++) {
        cases[i].e.method = 8;
        cases[i].e.packed = packed;
        cases[i].e.n_packed = n_packed;
    }
    cases[4].e.size = 1000;
    cases[5].e.size = (1 << 20) + 1;
    cases[6].e.size = 100000;
    cases[7].e = cases[5].e;
    cases[7].e.size = 1 << 22;
    cases[7].e.n_packed = 50000;
    cases[8].e.method = 8;
    for (size_t i = 0; i < MD_COUNT(cases); i++) {
        md_error err = MD_ERROR_INIT;
        md_buf file;
        md_buf out;

        make(&file, &cases[i].e, 1, "");
        assert_md_fails(read_first(&out, &file, 2 << 20, &err), cases[i].status,
                        &err, cases[i].text);
        assert_int_equal(out.size, 0);
        md_buf_release(&out);
        md_buf_release(&file);
    }
}

static void test_zip__entries_may_not_share_bytes(void **state)
{
    md_error err = MD_ERROR_INIT;
    item items[2] = { stored("a", "0123456789012345678901234567890123456789"
                                  "0123456789012345678901234567890123456789"
                                  "0123456789012345678901234567890123456789"
                                  "0123456789012345678901234567890123456789"
                                  "0123456789012345678901234567890123456789"),
                      stored("b", "") };
    md_buf file;
    md_buf out;
    size_t second;

    (void)state;
    make(&file, items, 2, "");
    /* Let b be a as well. */
    second = file.size - 22 - 47;
    memcpy(file.data + second, file.data + second - 47, 46);
    assert_md_fails(read_first(&out, &file, 1 << 20, &err), MD_CORRUPT, &err,
                    "overlap at 'b'");
    md_buf_release(&file);
}

static void test_zip__refuses_bad_directories(void **state)
{
    /* Offsets from the end of a one-entry archive: end record 22 bytes. */
    static const struct {
        size_t back; /* from the end of the file */
        unsigned char byte;
        const char *text;
    } cases[] = {
        { 12, 2, "zip directory of 2 entries" },  /* number of entries */
        { 10, 255, "zip directory of 1" },        /* its size */
        { 6, 255, "zip directory of 1" },         /* its place */
        { 22 + 47, 'X', "ends early" },           /* signature */
        { 22 + 47 - 29, 255, "ends early" },      /* length of the name */
        { 22 + 47 - 42, 255, "'a': 5 bytes at" }, /* place of the entry */
        { 22 + 1, 0, "NUL in its name" },
    };

    (void)state;
    for (size_t i = 0; i < MD_COUNT(cases); i++) {
        md_error err = MD_ERROR_INIT;
        item e = stored("a", "hello");
        md_buf file;
        md_buf out;

        make(&file, &e, 1, "");
        file.data[file.size - cases[i].back] = cases[i].byte;
        assert_md_fails(read_first(&out, &file, 1 << 20, &err), MD_CORRUPT,
                        &err, cases[i].text);
        md_buf_release(&file);
    }
}

static void test_zip__refuses_bad_local_headers(void **state)
{
    md_error err = MD_ERROR_INIT;
    item e = stored("a", "hello");
    md_buf file;
    md_buf out;

    (void)state;
    make(&file, &e, 1, "");
    file.data[0] = 'X';
    assert_md_fails(read_first(&out, &file, 100, &err), MD_CORRUPT, &err,
                    "no header at 0");
    file.data[0] = 'P';
    file.data[27] = 255;
    assert_md_fails(read_first(&out, &file, 100, &err), MD_CORRUPT, &err,
                    "5 bytes announced, 0 left");
    file.data[27] = 0;
    file.data[30] = 'b';
    assert_md_fails(read_first(&out, &file, 100, &err), MD_CORRUPT, &err,
                    "zip entry 'a': its header at 0 has another name");
    /* "" and an extra byte: where the data lies stays the same. */
    file.data[26] = 0;
    file.data[28] = 1;
    assert_md_fails(read_first(&out, &file, 100, &err), MD_CORRUPT, &err,
                    "has another name");
    md_buf_release(&file);
}

static void test_zip__refuses_bad_zip64(void **state)
{
    md_error err = MD_ERROR_INIT;
    item e = stored("a", "hello");
    md_buf file;
    md_buf out;

    (void)state;
    e.zip64 = true;
    make(&file, &e, 1, "");
    file.data[file.size - 22 - 12] ^= 0xff; /* place of the end record */
    assert_md_fails(read_first(&out, &file, 100, &err), MD_CORRUPT, &err,
                    "zip64 end record");
    file.data[file.size - 22 - 12] ^= 0xff;
    /* The extra field says that it has 4 bytes. */
    file.data[file.size - 22 - 20 - 56 - 30] = 4;
    assert_md_fails(read_first(&out, &file, 100, &err), MD_CORRUPT, &err,
                    "zip64 field is too short");
    md_buf_release(&file);
}

/* Stored bytes lie in the archive; packed ones have to be unpacked. */
static void test_zip__maps_stored_bytes(void **state)
{
    md_error err = MD_ERROR_INIT;
    item items[2] = { stored("a", "hello"), { .name = "b", .method = 8 } };
    const unsigned char *p = NULL;
    md_buf file;
    md_zip z;

    (void)state;
    make(&file, items, 2, "");
    assert_md_ok(
        md_zip_open(&z, file.data, file.size, 100, md_alloc_default(), &err),
        &err);
    assert_md_ok(md_zip_map(&p, &z, md_zip_find(&z, "a"), &err), &err);
    assert_true(p > file.data && p < file.data + file.size);
    assert_memory_equal(p, "hello", 5);
    assert_md_fails(md_zip_map(&p, &z, md_zip_find(&z, "b"), &err),
                    MD_UNSUPPORTED, &err, "'b' is packed");
    file.data[p - file.data] ^= 1;
    assert_md_fails(md_zip_map(&p, &z, md_zip_find(&z, "a"), &err), MD_CORRUPT,
                    &err, "checksum differs");
    md_zip_release(&z);
    md_buf_release(&file);
}

static void test_zip__checks_names(void **state)
{
    static const struct {
        const char *a, *b, *says;
    } cases[] = {
        { "m/a", "m/b", NULL },
        { "m/a..b", "m/..c", NULL },
        { "m/a", "m/a", "'m/a' comes twice" },
        { "m/a", "/etc/x", "inside the archive" },
        { "..", "a", "inside the archive" },
        { "m/../../a", "b", "inside the archive" },
        { "a", "m/..", "inside the archive" },
        { "a", "m\\a", "inside the archive" },
        { "a", "c:b", "inside the archive" },
    };

    (void)state;
    for (size_t i = 0; i < MD_COUNT(cases); i++) {
        md_error err = MD_ERROR_INIT;
        item items[2] = { stored(cases[i].a, "1"), stored(cases[i].b, "2") };
        md_buf file;
        md_zip z;

        make(&file, items, 2, "");
        assert_md_ok(md_zip_open(&z, file.data, file.size, 100,
                                 md_alloc_default(), &err),
                     &err);
        if (cases[i].says)
            assert_md_fails(md_zip_check_names(&z, &err), MD_CORRUPT, &err,
                            cases[i].says);
        else
            assert_md_ok(md_zip_check_names(&z, &err), &err);
        md_zip_release(&z);
        md_buf_release(&file);
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_zip__reads_stored_and_deflated),
        cmocka_unit_test(test_zip__reads_zip64),
        cmocka_unit_test(test_zip__an_empty_archive_is_one),
        cmocka_unit_test(test_zip__refuses_bad_entries),
        cmocka_unit_test(test_zip__entries_may_not_share_bytes),
        cmocka_unit_test(test_zip__refuses_bad_directories),
        cmocka_unit_test(test_zip__refuses_bad_local_headers),
        cmocka_unit_test(test_zip__refuses_bad_zip64),
        cmocka_unit_test(test_zip__maps_stored_bytes),
        cmocka_unit_test(test_zip__checks_names),
    };

    return cmocka_run_group_tests_name("zip", tests, NULL, NULL);
}
