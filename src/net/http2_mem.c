/* The library frees and grows blocks without telling their size, which
 * md_alloc's resize needs: each block has its size before it. */
#include "net/http2_mem.h"

#include <stddef.h>
#include <string.h>

#include "base/size.h"

enum {
    HEAD_SIZE = _Alignof(max_align_t)
};

_Static_assert(HEAD_SIZE >= sizeof(size_t), "the size fits before a block");

static void *give(char *block, size_t size)
{
    if (!block)
        return NULL;
    memcpy(block, &size, sizeof(size));
    return block + HEAD_SIZE;
}

static void *take(size_t size, void *ctx)
{
    size_t total;

    if (!md_add_size(&total, size, HEAD_SIZE))
        return NULL;
    return give(md_malloc(ctx, total), size);
}

static void let_go(void *p, void *ctx)
{
    if (p)
        md_free(ctx, (char *)p - HEAD_SIZE);
}

static void *take_zeroed(size_t n, size_t size, void *ctx)
{
    size_t total;
    void *p;

    if (!md_mul_size(&total, n, size))
        return NULL;
    p = take(total, ctx);
    if (p)
        memset(p, 0, total);
    return p;
}

static void *grow(void *p, size_t size, void *ctx)
{
    size_t total;
    size_t old;
    char *block;

    if (!p)
        return take(size, ctx);
    if (!md_add_size(&total, size, HEAD_SIZE))
        return NULL;
    block = (char *)p - HEAD_SIZE;
    memcpy(&old, block, sizeof(old));
    return give(md_resize(ctx, block, old + HEAD_SIZE, total), size);
}

void md_http2__mem_init(nghttp2_mem *mem, const md_alloc *alloc)
{
    /* handed back as a const one */
    *mem = (nghttp2_mem){ (void *)alloc, take, let_go, take_zeroed, grow };
}
