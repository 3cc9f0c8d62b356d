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
    w->step = MD_BROADCAST_CHUNK;
}

int64_t md_broadcast_n(const md_broadcast *w)
{
    int64_t n = 1;

    for (int i = 0; i < w->rank; i++)
        n *= w->dims[i];
    return n;
}

int64_t md_broadcast_n_chunks(const md_broadcast *w)
{
    return md_div_up(md_broadcast_n(w), w->step);
}

void md_broadcast_share(md_broadcast *w, int width)
{
    enum {
        UNIT = 64 /* elements: whole vectors of every kernel */
    };
    const int64_t total = md_broadcast_n(w), n = md_broadcast_n_chunks(w);
    int64_t parts = n;

    if (n <= 1 || width <= 1)
        return;
    if (n > width)
        parts = md_div_up(n, width) * width;
    w->step = md_div_up(md_div_up(total, parts), UNIT) * UNIT;
}

/* Where the row of element `at` begins in a and b; index is that of the row. */
static void seek(const md_broadcast *w, int64_t at, int64_t *index,
                 md_broadcast_row *row)
{
    int64_t r = at / w->dims[w->rank - 1];

    row->a = 0;
    row->b = 0;
    for (int i = w->rank - 2; i >= 0; i--) {
        index[i] = r % w->dims[i];
        row->a += index[i] * w->a[i];
        row->b += index[i] * w->b[i];
        r /= w->dims[i];
    }
}

/* To the next row. */
static void step(const md_broadcast *w, int64_t *index, md_broadcast_row *row)
{
    for (int i = w->rank - 2; i >= 0; i--) {
        row->a += w->a[i];
        row->b += w->b[i];
        if (++index[i] < w->dims[i])
            return;
        row->a -= w->dims[i] * w->a[i];
        row->b -= w->dims[i] * w->b[i];
        index[i] = 0;
    }
}

void md_broadcast_range(const md_broadcast *w, int64_t from, int64_t to,
                        md_broadcast_fn *fn, void *ctx)
{
    const int last = w->rank - 1;
    const int64_t n = w->dims[last];
    const int a_step = (int)w->a[last], b_step = (int)w->b[last];
    int64_t index[MD_BROADCAST_RANK], skip;
    md_broadcast_row row;

    if (from >= to)
        return;
    skip = from % n; /* of the first row */
    seek(w, from, index, &row);
    while (from < to) {
        const int64_t m = md_min_i64(n - skip, to - from);
        const md_broadcast_row part = { .y = from,
                                        .a = row.a + skip * a_step,
                                        .b = row.b + skip * b_step,
                                        .n = (size_t)m,
                                        .a_step = a_step,
                                        .b_step = b_step };

        fn(ctx, &part);
        from += m;
        skip = 0;
        step(w, index, &row);
    }
}

void md_broadcast_walk(const md_broadcast *w, int64_t chunk,
                       md_broadcast_fn *fn, void *ctx)
{
    const int64_t from = chunk * w->step;

    assert(chunk >= 0 && chunk < md_broadcast_n_chunks(w));
    md_broadcast_range(w, from, md_min_i64(from + w->step, md_broadcast_n(w)),
                       fn, ctx);
}
