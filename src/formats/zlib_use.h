/* What readers of deflated bytes share: zlib on our allocators and sizes. */
#ifndef MD_FORMATS_ZLIB_USE_H
#define MD_FORMATS_ZLIB_USE_H

#include <limits.h>
#include <zlib.h>

#include "base/alloc.h"
#include "base/size.h"

/* For z_stream.zalloc and zfree, whose opaque is the allocator. */
static inline void *md_zlib__alloc(void *ctx, unsigned n, unsigned size)
{
    size_t total;

    return md_mul_size(&total, n, size) ? md_malloc(ctx, total) : NULL;
}

static inline void md_zlib__free(void *ctx, void *p)
{
    md_free(ctx, p);
}

/* zlib counts in unsigned int: hand it pieces. */
static inline unsigned md_zlib__piece(size_t n)
{
    return n > UINT_MAX ? UINT_MAX : (unsigned)n;
}

#endif
