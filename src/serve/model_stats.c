#include "serve/model_stats.h"

#include "base/clock.h"

static void add(md_stat_sum *sum, int64_t ns)
{
    atomic_fetch_add_explicit(&sum->n, 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&sum->ns, (uint64_t)ns, memory_order_relaxed);
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
}

uint64_t md_model_stats_last_ms(const md_model_stats *st)
{
    const int64_t last = atomic_load(&st->last_ns);

    if (last == 0)
        return 0;
    return (uint64_t)(md_clock_wall_ns() - (md_clock_ns() - last)) / 1000000;
}
