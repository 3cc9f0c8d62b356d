/*
 * The HTTP/1.1 core over any bytes.  The first byte is the size of the pieces
 * they come in; whole and in pieces, the same requests must come out.
 */
#include <stdint.h>
#include <stdlib.h>

#include "net/http1.h"

static const md_http1_limits LIMITS = { 256, 1024, 8, 4096 };

static void require(bool ok)
{
    if (!ok)
        abort();
}

static uint64_t mix(uint64_t hash, md_slice s)
{
    for (size_t i = 0; i < s.size; i++)
        hash = (hash ^ (unsigned char)s.data[i]) * 0x100000001b3u;
    return (hash ^ s.size) * 0x100000001b3u;
}

static uint64_t look(const md_http1 *h, uint64_t hash)
{
    hash = mix(hash, md_http1_method(h));
    hash = mix(hash, md_http1_path(h));
    hash = mix(hash, md_http1_query(h));
    hash = mix(hash, md_http1_host(h));
    hash = mix(hash, md_http1_body(h));
    for (uint32_t i = 0; i < h->n_fields; i++) {
        md_slice name;
        md_slice value;

        md_http1_field_at(h, i, &name, &value);
        hash = mix(mix(hash, name), value);
    }
    require(md_http1_body(h).size <= LIMITS.body_size_max);
    require(h->n_fields <= LIMITS.n_fields_max);
    return hash ^ (uint64_t)md_http1_keep_alive(h);
}

/* A number that stands for all requests and the error at the end. */
static uint64_t run(const uint8_t *data, size_t size, size_t step)
{
    uint64_t hash = 0xcbf29ce484222325u;
    md_http1 h;

    require(md_http1_init(&h, &LIMITS, md_alloc_default(), NULL) == MD_OK);
    for (size_t at = 0; at < size && h.event != MD_HTTP1_ERROR;) {
        size_t used = 0;
        size_t n = size - at < step ? size - at : step;
        md_http1_event e = md_http1_feed(&h, data + at, n, &used);

        at += used;
        while (e == MD_HTTP1_DONE || e == MD_HTTP1_HEAD) {
            if (e == MD_HTTP1_DONE) {
                hash = look(&h, hash);
                md_http1_next(&h);
            }
            e = md_http1_step(&h);
        }
    }
    if (h.event == MD_HTTP1_ERROR)
        hash = mix(hash, md_slice_of(h.error_text)) ^ (uint64_t)h.error_status;
    md_http1_release(&h);
    return hash;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    require(run(data + 1, size - 1, size) ==
            run(data + 1, size - 1, (size_t)data[0] + 1));
    return 0;
}
