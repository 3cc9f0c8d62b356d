#include "serve/model_stats.h"

#include "base/clock.h"
#include "base/size.h"

/* n times so long. */
static void add_n(md_stat_sum *sum, uint32_t n, int64_t ns)
{
    atomic_fetch_add_explicit(&sum->n, n, memory_order_relaxed);
    atomic_fetch_add_explicit(&sum->ns, n * (uint64_t)ns, memory_order_relaxed);
}

static void add(md_stat_sum *sum, int64_t ns)
{
    add_n(sum, 1, ns);
}

void md_model_stats_add(md_model_stats *st, const md_call *c, bool success)
{
    atomic_store_explicit(&st->last_ns, c->marked_ns, memory_order_relaxed);
    if (!success) {
        add(&st->fail, c->marked_ns - c->start_ns);
        return;
    }
    add(&st->success, c->marked_ns - c->start_ns);
    for (int i = 0; i < MD_CALL_N_PARTS; i++)
        add(&st->part[i], c->part_ns[i]);
    if (c->cached)
        return;
    if (!c->parked)
        md_model_stats_ran(st, md_max_i64(c->rows, 1),
                           c->part_ns[MD_CALL_INPUT], c->part_ns[MD_CALL_INFER],
                           c->part_ns[MD_CALL_OUTPUT]);
    atomic_fetch_add_explicit(&st->rows, (uint64_t)md_max_i64(c->rows, 1),
                              memory_order_relaxed);
}

void md_model_stats_step(md_model_stats *st, uint32_t n_calls, int64_t rows,
                         int64_t infer_ns, bool success)
{
    atomic_store_explicit(&st->last_ns, md_clock_ns(), memory_order_relaxed);
    if (!success) {
        add_n(&st->fail, n_calls, infer_ns);
        return;
    }
    add_n(&st->success, n_calls, infer_ns);
    for (int i = 0; i < MD_CALL_N_PARTS; i++)
        add_n(&st->part[i], n_calls, i == MD_CALL_INFER ? infer_ns : 0);
    md_model_stats_ran(st, rows, 0, infer_ns, 0);
    atomic_fetch_add_explicit(&st->rows, (uint64_t)rows, memory_order_relaxed);
}

void md_model_stats_looked_up(md_model_stats *st, bool hit, int64_t ns)
{
    add(hit ? &st->cache_hit : &st->cache_miss, ns);
}

md_status md_model_stats_init(md_model_stats *st, int64_t max_batch,
                              const md_alloc *alloc, md_error *err)
{
    st->n_sizes = (uint32_t)md_min_i64(max_batch, MD_STAT_SIZES_MAX) + 1;
    st->sizes = md_calloc(alloc, st->n_sizes, sizeof(*st->sizes));
    return st->sizes ? MD_OK : md_fail_nomem(err, sizeof(*st->sizes));
}

void md_model_stats_release(md_model_stats *st, const md_alloc *alloc)
{
    md_free(alloc, st->sizes);
    st->sizes = NULL;
    st->n_sizes = 0;
}

void md_model_stats_ran(md_model_stats *st, int64_t rows, int64_t input_ns,
                        int64_t infer_ns, int64_t output_ns)
{
    atomic_fetch_add_explicit(&st->executions, 1, memory_order_relaxed);
    if (rows < 0 || rows >= (int64_t)st->n_sizes)
        return;
    add(&st->sizes[rows].input, input_ns);
    add(&st->sizes[rows].infer, infer_ns);
    add(&st->sizes[rows].output, output_ns);
}

uint64_t md_model_stats_last_ms(const md_model_stats *st)
{
    const int64_t last = atomic_load(&st->last_ns);

    if (last == 0)
        return 0;
    return (uint64_t)(md_clock_wall_ns() - (md_clock_ns() - last)) / 1000000;
}
