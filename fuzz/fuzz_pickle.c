/*
 * Pickles from both sides: interpreted as the child does, and, when the input
 * begins with 'R', its rest as records that the parent takes from a child that
 * it does not trust.
 */
#include <stdint.h>
#include <string.h>

#include "convert/torch/unpickle.h"

enum {
    SIZE_LIMIT = 16 << 20
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char bytes[64]; /* of the pickle that records are said to be of */

static void take(const void *of, size_t n_of, const void *records, size_t n)
{
    md_arena ar;
    md_pickle p;

    md_arena_init(&ar, md_alloc_default(), SIZE_LIMIT);
    if (md_torch_pickle_take(&p, of, n_of, records, n, &ar, NULL) == MD_OK) {
        const md_pickle_node *root = &p.nodes[p.root];

        (void)md_pickle_get(&p, root, "state_dict");
        (void)md_pickle_text(&p, root, &ar);
    }
    md_arena_release(&ar);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    md_buf b;

    if (size > 0 && data[0] == 'R') {
        take(bytes, sizeof(bytes), data + 1, size - 1);
        return 0;
    }
    md_buf_init(&b, md_alloc_default(), SIZE_LIMIT);
    if (md_torch_pickle_records(&b, data, size, md_alloc_default(), NULL) ==
        MD_OK)
        take(data, size, b.data, b.size);
    md_buf_release(&b);
    return 0;
}
