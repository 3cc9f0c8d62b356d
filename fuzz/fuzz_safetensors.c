/* safetensors: the header, and every byte of what it says is a tensor. */
#include <stdint.h>

#include "base/hash.h"
#include "formats/safetensors.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    md_safetensors st;
    md_arena ar;

    (void)md_safetensors_probe(data, size);
    md_arena_init(&ar, md_alloc_default(), (size_t)16 << 20);
    if (md_safetensors_read(&st, data, size, &ar, NULL) == MD_OK) {
        for (uint32_t i = 0; i < st.n; i++) {
            const md_tensor *t = &st.tensors[i].t;

            if (t->data) /* every byte is there to be read */
                (void)md_hash(t->data, md_tensor_size(t));
        }
    }
    md_arena_release(&ar);
    return 0;
}
