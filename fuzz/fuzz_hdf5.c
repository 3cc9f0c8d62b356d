/*
 * HDF5 from both sides: bytes as a file for the confined child, whatever
 * libhdf5 makes of them, and as the records that the parent takes from a
 * child it does not trust.
 */
#include "convert/hdf5.h"

enum {
    SIZE_LIMIT = 4 << 20,
    CPU_S = 1 /* libhdf5 can be sent into loops: its child must end */
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void use(md_hdf5 *h)
{
    md_hdf5_find(h, "model_weights/dense/kernel");
    md_hdf5_attr_find(h, "", "model_config");
    md_hdf5_has_group(h, "layers");
    md_hdf5_free(h);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    md_hdf5_opts opts = MD_HDF5_OPTS_INIT;
    md_hdf5 *h = NULL;
    md_buf b;

    opts.size_limit = SIZE_LIMIT;
    opts.limits.cpu_s = CPU_S;
    if (md_hdf5_probe(data, size)) {
        if (md_hdf5_read(&h, data, size, &opts, md_alloc_default(), NULL) ==
            MD_OK)
            use(h);
        return 0;
    }
    md_buf_init(&b, md_alloc_default(), SIZE_LIMIT);
    if (md_buf_append(&b, data, size, NULL) != MD_OK) {
        md_buf_release(&b);
        return 0;
    }
    if (md_hdf5_parse(&h, &b, md_alloc_default(), NULL) == MD_OK)
        use(h);
    return 0;
}
