#include "cli/roof.h"

#include <string.h>

#include "base/clock.h"
#include "base/size.h"
#include "kernels/peak_f32.h"

enum {
    PEAK_ROUNDS = 500000, /* about a millisecond */
    PEAK_CHUNKS = 4,      /* for each thread: one may wake late */
    N_TRIES = 5,
    SIZE_MIN = 64 << 10,
    BLOCK_SIZE = SIZE_MIN << 2 * (MD_ROOF_SIZES - 1),
    MOVED = 16 << 20 /* bytes at least in a try: long beside waking */
};

static void peak_chunk(void *ctx, int64_t chunk, int worker)
{
    float x[MD_PEAK_N] = { 0 };
    int64_t *macs = ctx;
    int64_t n = md_peak_f32_select(md_cpu_flags())->run(x, PEAK_ROUNDS);

    (void)worker;
    if (chunk == 0)
        *macs = n;
}

void md_roof_measure_macs(md_roof *r, md_pool *pool)
{
    const int width = md_pool_width(pool);
    int64_t n = (int64_t)width * PEAK_CHUNKS;

    for (int i = 0; i < N_TRIES; i++) {
        int64_t macs = 0, start = md_clock_ns();
        double rate;

        md_pool_run(pool, width, n, peak_chunk, &macs);
        rate = (double)(macs * n) * 1e9 / (double)(md_clock_ns() - start);
        r->macs = rate > r->macs ? rate : r->macs;
    }
}

/* A block of which each chunk moves a part several times. */
typedef struct move {
    unsigned char *block;
    size_t part;
    int64_t times;
    bool copies; /* one half to the other; else it is read */
} move;

static void move_part(void *ctx, int64_t chunk, int worker)
{
    const move *m = ctx;
    unsigned char *p = m->block + m->part * (size_t)chunk;
    const void *volatile found;

    (void)worker;
    for (int64_t i = 0; i < m->times; i++) {
        /* The C library's search is as fast as reading is. */
        if (m->copies)
            memcpy(p, p + m->part / 2, m->part / 2);
        else
            found = memchr(p, 1, m->part);
    }
    (void)found;
}

static double measure_size(move *m, md_pool *pool, size_t size)
{
    const int width = md_pool_width(pool);
    double best = 0;

    m->part = size / (size_t)width / 2 * 2;
    m->times = (int64_t)md_max_i64(1, MOVED / (int64_t)size);
    for (int i = 0; i < 2 * N_TRIES; i++) {
        int64_t start = md_clock_ns();
        double rate;

        m->copies = i % 2 == 0;
        md_pool_run(pool, width, width, move_part, m);
        rate = (double)size * (double)m->times * 1e9 /
               (double)(md_clock_ns() - start);
        best = rate > best ? rate : best;
    }
    return best;
}

md_status md_roof_measure_bytes(md_roof *r, md_pool *pool, md_error *err)
{
    const md_alloc *alloc = md_alloc_default();
    move m = { .block = md_malloc_aligned(alloc, BLOCK_SIZE) };

    if (!m.block)
        return md_fail_nomem(err, BLOCK_SIZE);
    memset(m.block, 0, BLOCK_SIZE);
    for (int i = 0; i < MD_ROOF_SIZES; i++)
        r->bytes[i] = measure_size(&m, pool, (size_t)SIZE_MIN << 2 * i);
    md_free(alloc, m.block);
    return MD_OK;
}

double md_roof_ns(const md_roof *r, int64_t macs, int64_t bytes)
{
    const double compute_ns = (double)macs * 1e9 / r->macs;
    double move_ns;
    int i = 0;

    while (i < MD_ROOF_SIZES - 1 && bytes > (int64_t)SIZE_MIN << 2 * i)
        i++;
    move_ns = (double)bytes * 1e9 / r->bytes[i];
    return compute_ns > move_ns ? compute_ns : move_ns;
}
