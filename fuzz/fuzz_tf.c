/* TensorFlow's graphs from memory: read, converted, freed. */
#include <stdint.h>

#include "convert/convert.h"
#include "convert/tf/tfjs.h"
#include "formats/tf.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    md_convert_opts opts = MD_CONVERT_OPTS_INIT;
    md_model *m = NULL;
    md_tf_meta meta;
    md_arena ar;

    /* As each kind of file, whatever it begins with. */
    md_arena_init(&ar, md_alloc_default(), (size_t)64 << 20);
    (void)md_tf_read_saved(&meta, md_pb_init(data, size), &ar, NULL);
    (void)md_tf_read_meta(&meta, md_pb_init(data, size), &ar, NULL);
    (void)md_tf_read_graph(&meta.graph, md_pb_init(data, size), &ar, NULL);
    md_arena_release(&ar);
    opts.no_self_check = true;
    if ((md_tf_probe_graph(data, size) || md_tf_probe_saved(data, size) ||
         md_tf_probe_meta(data, size) || md_tfjs_probe(data, size)) &&
        md_convert_bytes(&m, data, size, "fuzz", &opts, NULL,
                         md_alloc_default(), NULL) == MD_OK)
        md_model_free(m);
    return 0;
}
