/* Loops of definitions, shared among threads. */
#include <assert.h>

#include "ops/common/util.h"

enum {
    PART_NS = 10000 /* starting and joining a part takes about a microsecond */
};

typedef struct share {
    md_part_fn *fn;
    void *ctx;
    int64_t n, part;
} share;

static void run_part(void *ctx, int64_t chunk, int worker)
{
    const share *s = ctx;
    int64_t from = chunk * s->part;

    (void)worker;
    s->fn(s->ctx, from, md_min_i64(from + s->part, s->n));
}

void md_exec__share(const md_exec *x, int64_t n, double cost, md_part_fn *fn,
                    void *ctx)
{
    share s = { fn, ctx, n, n };
    double part = PART_NS / cost;

    assert(cost > 0.0);
    if (n <= 0)
        return;
    if (part < (double)n)
        s.part = part < 1.0 ? 1 : (int64_t)part;
    md_pool_run(x->pool, x->width > 0 ? x->width : md_pool_width(x->pool),
                md_div_up(n, s.part), run_part, &s);
}
