/*
 * The PROXY header over any bytes: it asks for more and never for less, never
 * for more than its limit, and what it says does not depend on pieces.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "net/proxy.h"

static void require(bool ok)
{
    if (!ok)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    md_status s = MD_OK;
    md_proxy p;
    size_t need = 0;
    size_t last = 0;

    for (size_t n = 1; n <= size && s == MD_OK; n++) {
        s = md_proxy_parse(&p, &need, data, n, NULL);
        require(need >= last);
        if (s == MD_OK && n >= need)
            break;
        last = need;
    }
    if (s == MD_OK && size >= need && size > 0) {
        require(need >= MD_PROXY_HEAD_SIZE && need <= MD_PROXY_SIZE_MAX);
        require(p.source_size <= sizeof(p.source));
    }
    return 0;
}
