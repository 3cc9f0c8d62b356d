/* NPY arrays: read, and written again. */
#include "formats/npy.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    md_tensor t;
    md_buf out;

    if (md_npy_parse(&t, data, size, md_alloc_default(), NULL) != MD_OK)
        return 0;
    md_buf_init(&out, md_alloc_default(), (size_t)64 << 20);
    (void)md_npy_write(&t, &out, NULL);
    md_buf_release(&out);
    md_tensor_release(&t);
    return 0;
}
