/* md_alloc as libnghttp2 wants it. */
#ifndef MD_NET_HTTP2_MEM_H
#define MD_NET_HTTP2_MEM_H

#include <nghttp2/nghttp2.h>

#include "base/alloc.h"

/* alloc must outlive every session that uses mem. */
void md_http2__mem_init(nghttp2_mem *mem, const md_alloc *alloc);

#endif
