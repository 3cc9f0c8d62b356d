/* A file of packed weights from memory.  Its digests are made right first, so
 * that what is behind them is reached; the last byte says which. */
#include <stdint.h>
#include <string.h>

#include "base/digest.h"
#include "engine/pack_file.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum {
    HEAD_SIZE = 64,
    ENTRY_SIZE = 40,
    LIST_AT = 48, /* its digest */
    HEAD_AT = 56
};

static void sign(unsigned char *p, size_t size, bool list)
{
    uint64_t digest = size;
    uint32_t n;

    memcpy(p + 16, &digest, sizeof(digest)); /* of the file */
    memcpy(&n, p + 12, sizeof(n));
    if (list && n <= (size - HEAD_SIZE) / ENTRY_SIZE) {
        digest = md_digest(0, p + HEAD_SIZE, (size_t)n * ENTRY_SIZE);
        memcpy(p + LIST_AT, &digest, sizeof(digest));
    }
    digest = md_digest(0, p, HEAD_AT);
    memcpy(p + HEAD_AT, &digest, sizeof(digest));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const md_alloc *alloc = md_alloc_default();
    md_pack_key key = { 1, 2, 3 };
    md_pack_file f;
    unsigned char *p;

    if (size == 0)
        return 0;
    p = md_malloc_aligned(alloc, size);
    if (!p)
        return 0;
    memcpy(p, data, size);
    if (data[size - 1] & 1 && size >= HEAD_SIZE)
        sign(p, size, data[size - 1] & 2);
    if (data[size - 1] & 4 && size >= HEAD_SIZE)
        memcpy(&key, p + 24, sizeof(key));
    if (md_pack_file_read(&f, p, size, &key, NULL) == MD_OK) {
        for (uint32_t i = 0; i < f.n_blocks; i++) {
            const md_pack_block b = md_pack_file_block(&f, i);

            if (b.offset > size || b.size > size - b.offset)
                __builtin_trap();
        }
        (void)md_pack_file_check(&f, NULL, alloc, NULL);
    }
    md_free(alloc, p);
    return 0;
}
