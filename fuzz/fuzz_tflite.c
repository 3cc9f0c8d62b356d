/* TensorFlow Lite files from memory: read, converted, freed. */
#include <stdint.h>

#include "base/arena.h"
#include "convert/convert.h"
#include "formats/tflite.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    md_convert_opts opts = MD_CONVERT_OPTS_INIT;
    md_model *m = NULL;
    md_tflite file;
    md_arena ar;

    /* What is read before anything is converted, for every signature. */
    md_arena_init(&ar, md_alloc_default(), (size_t)64 << 20);
    (void)md_tflite_read(&file, data, size, &ar, NULL);
    md_arena_release(&ar);
    opts.no_self_check = true;
    if (!md_tflite_probe(data, size) ||
        md_convert_bytes(&m, data, size, "fuzz", &opts, NULL,
                         md_alloc_default(), NULL) != MD_OK)
        return 0;
    md_model_free(m);
    return 0;
}
