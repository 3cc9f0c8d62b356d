/* IDX arrays, packed by gzip or not. */
#include "formats/gzip.h"
#include "formats/idx.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void parse(const uint8_t *data, size_t size)
{
    md_tensor t;

    if (md_idx_parse(&t, data, size, md_alloc_default(), NULL) == MD_OK)
        md_tensor_release(&t);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    md_buf bytes;

    if (!md_gzip_probe(data, size)) {
        parse(data, size);
        return 0;
    }
    md_buf_init(&bytes, md_alloc_default(), (size_t)16 << 20);
    if (md_gzip_read(&bytes, data, size, NULL) == MD_OK)
        parse(bytes.data, bytes.size);
    md_buf_release(&bytes);
    return 0;
}
