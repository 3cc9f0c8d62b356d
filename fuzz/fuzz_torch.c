/*
 * Files of PyTorch, converted.  Bytes that are no archive are taken for a part
 * of one, in a sound envelope: "{" for the JSON of a .pt2 program, else for
 * the code of a TorchScript module.
 */
#include <stdint.h>
#include <string.h>
#include <zlib.h>

#include "base/buf.h"
#include "convert/convert.h"
#include "convert/torch/file.h"

enum {
    SIZE_LIMIT = 32 << 20
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

typedef struct member {
    const char *name;
    const void *data;
    size_t size, at;
} member;

static void put(md_buf *b, uint64_t v, unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        (void)md_buf_putc(b, (char)(v >> (8 * i)), NULL);
}

/* What a local header and a directory's record have in common. */
static void put_facts(md_buf *b, const member *m)
{
    put(b, 20, 2);
    put(b, 0, 4);
    put(b, 0, 4);
    put(b, crc32(0, m->data, (unsigned)m->size), 4);
    put(b, m->size, 4);
    put(b, m->size, 4);
    put(b, strlen(m->name), 2);
    put(b, 0, 2);
}

static void put_archive(md_buf *b, member *m, unsigned n)
{
    size_t begin;

    for (unsigned i = 0; i < n; i++) {
        m[i].at = b->size;
        put(b, 0x04034b50, 4);
        put_facts(b, &m[i]);
        (void)md_buf_puts(b, m[i].name, NULL);
        (void)md_buf_append(b, m[i].data, m[i].size, NULL);
    }
    begin = b->size;
    for (unsigned i = 0; i < n; i++) {
        put(b, 0x02014b50, 4);
        put(b, 20, 2);
        put_facts(b, &m[i]);
        put(b, 0, 2);
        put(b, 0, 8);
        put(b, m[i].at, 4);
        (void)md_buf_puts(b, m[i].name, NULL);
    }
    put(b, 0x06054b50, 4);
    put(b, 0, 4);
    put(b, n, 2);
    put(b, n, 2);
    put(b, b->size - 12 - begin, 4);
    put(b, begin, 4);
    put(b, 0, 2);
}

static void wrap(md_buf *b, const uint8_t *data, size_t size)
{
    /* __torch__.M, without attributes */
    static const char object[] = "\x80\x02"
                                 "c__torch__\nM\n)\x81}b.";
    member program[] = { { "m/archive_format", "pt2", 3, 0 },
                         { "m/models/model.json", data, size, 0 } };
    member script[] = { { "m/data.pkl", object, sizeof(object) - 1, 0 },
                        { "m/code/__torch__.py", data, size, 0 },
                        { "m/constants.pkl", "\x80\x02).", 4, 0 } };

    if (size > 0 && data[0] == '{')
        put_archive(b, program, 2);
    else
        put_archive(b, script, 3);
}

static void convert(const void *bytes, size_t size)
{
    md_convert_opts opts = MD_CONVERT_OPTS_INIT;
    md_model *m = NULL;

    opts.no_self_check = true;
    opts.how.inputs = "x=float32[2,3];n=int64[]";
    if (md_torch_kind_of(bytes, size) != MD_TORCH_NONE &&
        md_convert_bytes(&m, bytes, size, "fuzz", &opts, NULL,
                         md_alloc_default(), NULL) == MD_OK)
        md_model_free(m);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    md_buf b;

    if (md_torch_kind_of(data, size) != MD_TORCH_NONE) {
        convert(data, size);
        return 0;
    }
    md_buf_init(&b, md_alloc_default(), SIZE_LIMIT);
    wrap(&b, data, size);
    convert(b.data, b.size);
    md_buf_release(&b);
    return 0;
}
