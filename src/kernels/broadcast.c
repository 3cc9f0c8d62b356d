#include "kernels/broadcast.h"

#include <assert.h>

#include "base/size.h"

void md_broadcast_init(md_broadcast *w, int rank, const int64_t *dims,
                       const int64_t *a, const int64_t *b)
{
    int last = -1;

    assert(rank <= MD_BROADCAST_RANK);
    for (int i = 0; i < rank; i++) {
        if (dims[i] == 1)
            continue;
        if (last >= 0 && w->a[last] == a[i] * dims[i] &&
            w->b[last] == b[i] * dims[i]) {
            w->dims[last] *= dims[i];
        } else {
            last++;
            w->dims[last] = dims[i];
        }
        w->a[last] = a[i];
        w->b[last] = b[i];
    }
    if (last < 0) {
        last = 0;
        w->dims[0] = 1;
        w->a[0] = w->b[0] = 0;
    }
    assert(w->a[last] == 0 || w->a[last] == 1);
    assert(w->b[last] == 0 || w->b[last] == 1);
    w->rank = last + 1;
}

static int64_t n_rows(const md_broadcast *w)
{
    int64_t n = 1;

    for (int i = 0; i < w->rank - 1; i++)
        n *= w->dims[i];
    return n;
}

/* Rows of one chunk: several short ones, or a part of a long one. */
static int64_t rows_per_chunk(const md_broadcast *w)
{
    return md_max_i64(1,
                      MD_BROADCAST_CHUNK / md_max_i64(1, w->dims[w->rank - 1]));
}

static int64_t parts_per_row(const md_broadcast *w)
{
    return md_div_up(w->dims[w->rank - 1], MD_BROADCAST_CHUNK);
}

int64_t md_broadcast_n_chunks(const md_broadcast *w)
{
    return md_div_up(n_rows(w), rows_per_chunk(w)) * parts_per_row(w);
}

/* Offsets of row r. */
static void seek(const md_broadcast *w, int64_t r, md_broadcast_row *row)
{
    row->y = r * w->dims[w->rank - 1];
    row->a = 0;
    row->b = 0;
    for (int i = w->rank - 2; i >= 0; i--) {
        const int64_t at = r % w->dims[i];

        row->a += at * w->a[i];
        row->b += at * w->b[i];
        r /= w->dims[i];
    }
}

void md_broadcast_walk(const md_broadcast *w, int64_t chunk,
                       md_broadcast_fn *fn, void *ctx)
{
    const int last = w->rank - 1;
    const int64_t parts = parts_per_row(w);
    const int64_t first = chunk / parts * rows_per_chunk(w);
    const int64_t end = md_min_i64(first + rows_per_chunk(w), n_rows(w));
    const int64_t from = chunk % parts * MD_BROADCAST_CHUNK;
    md_broadcast_row row = {
        .n = (size_t)md_min_i64(MD_BROADCAST_CHUNK, w->dims[last] - from),
        .a_step = (int)w->a[last],
        .b_step = (int)w->b[last],
    };

    assert(chunk >= 0 && chunk < md_broadcast_n_chunks(w));
    for (int64_t r = first; r < end; r++) {
        seek(w, r, &row);
        row.y += from;
        row.a += from * row.a_step;
        row.b += from * row.b_step;
        fn(ctx, &row);
    }
}
