/* NPZ archives: every array read. */
#include "formats/npz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    md_npz *npz = NULL;

    if (md_npz_parse(&npz, data, size, (size_t)16 << 20, md_alloc_default(),
                     NULL) != MD_OK)
        return 0;
    for (uint32_t i = 0; i < md_npz_count(npz); i++) {
        md_tensor t;

        if (md_npz_read(&t, npz, i, NULL) == MD_OK)
            md_tensor_release(&t);
    }
    md_npz_free(npz);
    return 0;
}
