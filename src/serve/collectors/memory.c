/* Which part of the program holds how much memory? */
#include "base/metrics.h"
#include "serve/server_impl.h"

static md_status family(md_metrics_out *out, md_metric_kind kind,
                        const char *name, const char *help,
                        double (*value)(const md_mem_stat *), md_error *err)
{
    MD_TRY(md_metrics_out_family(out, kind, name, help, err));
    for (int tag = 0; tag < MD_MEM_N_TAGS; tag++) {
        const md_mem_stat st = md_mem_stat_get((md_mem_tag)tag);
        const char *labels[] = { "part", st.name };

        MD_TRY(md_metrics_out_sample(out, value(&st), labels, 1, err));
    }
    return MD_OK;
}

static double bytes(const md_mem_stat *st)
{
    return (double)st->bytes;
}

static double bytes_max(const md_mem_stat *st)
{
    return (double)st->bytes_max;
}

static double n_allocs(const md_mem_stat *st)
{
    return (double)st->n_allocs;
}

static md_status collect(void *ctx, md_metrics_out *out, md_error *err)
{
    (void)ctx;
    MD_TRY(family(out, MD_GAUGE, "modeld_memory_bytes",
                  "Memory allocated now, by part of the program.", bytes, err));
    MD_TRY(family(out, MD_GAUGE, "modeld_memory_highest_bytes",
                  "The most memory that was ever allocated.", bytes_max, err));
    return family(out, MD_COUNTER, "modeld_memory_allocations_total",
                  "Allocations made.", n_allocs, err);
}

const md_collector md_collector_memory = { .name = "memory",
                                           .collect = collect };
