/* How much do cached responses take, and how often are they asked for? */
#include "base/metrics.h"
#include "serve/server_impl.h"

static md_status collect(void *ctx, md_metrics_out *out, md_error *err)
{
    const md_server *s = ctx;
    const md_cache_stats *st;

    if (!s->cache)
        return MD_OK;
    st = md_cache_stats_get(s->cache);
    {
        const struct {
            md_metric_kind kind;
            const char *name;
            const char *help;
            const _Atomic uint64_t *value;
        } rows[] = {
            { MD_GAUGE, "modeld_serve_cache_bytes",
              "Memory of cached responses.", &st->bytes },
            { MD_GAUGE, "modeld_serve_cache_entries", "Cached responses.",
              &st->entries },
            { MD_COUNTER, "modeld_serve_cache_hits_total",
              "Requests that were answered from the cache.", &st->hits },
            { MD_COUNTER, "modeld_serve_cache_misses_total",
              "Requests that were looked for in the cache and not found.",
              &st->misses },
            { MD_COUNTER, "modeld_serve_cache_evictions_total",
              "Cached responses that made room for others.", &st->evictions },
        };

        for (size_t i = 0; i < MD_COUNT(rows); i++) {
            MD_TRY(md_metrics_out_family(out, rows[i].kind, rows[i].name,
                                         rows[i].help, err));
            MD_TRY(md_metrics_out_sample(
                out, (double)atomic_load(rows[i].value), NULL, 0, err));
        }
    }
    return MD_OK;
}

const md_collector md_collector_cache = { .name = "cache", .collect = collect };
