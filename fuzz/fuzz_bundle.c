/* A checkpoint from memory: the size of the index (two bytes), the index, what
 * its file of data is.  Every tensor of it is asked for. */
#include <stdint.h>
#include <string.h>

#include "formats/bundle.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    md_bundle b = { .folder = NULL, .prefix = "x" };
    md_tf_tensor t;
    md_arena ar;
    size_t n;

    if (size < 2)
        return 0;
    n = (size_t)data[0] | (size_t)data[1] << 8;
    data += 2;
    size -= 2;
    n = n < size ? n : size;
    md_arena_init(&ar, md_alloc_default(), (size_t)64 << 20);
    if (md_bundle_read(&b, data, n, &ar, NULL) == MD_OK) {
        b.shards[0] = (md_map){ .data = data + n, .size = size - n };
        for (uint32_t i = 0; i < b.table.n; i++)
            (void)md_bundle_get(&t, &b, b.table.entries[i].key, NULL);
    }
    md_arena_release(&ar);
    return 0;
}
