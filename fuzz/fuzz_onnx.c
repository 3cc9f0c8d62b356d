/* ONNX files from memory: read, verified, written again. */
#include "formats/onnx.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    md_onnx_opts opts = MD_ONNX_OPTS_INIT;
    md_model *m = NULL;
    md_buf out;

    opts.memory_limit = (size_t)256 << 20;
    opts.dense_limit = (size_t)1 << 20;
    opts.keep = true;
    (void)md_onnx_probe(data, size);
    if (md_onnx_parse(&m, data, size, &opts, md_alloc_default(), NULL) != MD_OK)
        return 0;
    md_buf_init(&out, md_alloc_default(), (size_t)64 << 20);
    (void)md_onnx_write(m, &out, NULL);
    md_buf_release(&out);
    md_model_free(m);
    return 0;
}
