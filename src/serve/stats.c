#include "serve/stats.h"

#include <stdio.h>

enum family {
#define METRIC(kind, id, name, help, labels, bounds) FAMILY_##id,
#include "serve/metrics.def"
#undef METRIC
    N_FAMILIES
};

#define COLLECTOR(id) extern const md_collector md_collector_##id;
#include "serve/collectors.def"
#undef COLLECTOR

static const md_collector *const COLLECTORS[] = {
#define COLLECTOR(id) &md_collector_##id,
#include "serve/collectors.def"
#undef COLLECTOR
};

/* From 64 us, which a small net takes, by factors of two to one second. */
static const double SECONDS[] = {
    0.000064, 0.000128, 0.000256, 0.000512, 0.001024,
    0.002048, 0.004096, 0.008192, 0.016384, 0.032768,
    0.065536, 0.131072, 0.262144, 0.524288, 1.048576,
};

/* Of a batch. */
static const double ROWS[] = { 1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024 };

#define BOUNDS_none NULL, 0
#define BOUNDS_seconds SECONDS, MD_COUNT(SECONDS)
#define BOUNDS_rows ROWS, MD_COUNT(ROWS)

static const md_metric_row FAMILIES[] = {
#define METRIC(kind, id, name, help, labels, bounds)                           \
    { kind, name, help, labels, BOUNDS_##bounds },
#include "serve/metrics.def"
#undef METRIC
};

md_status md_stats_init(md_stats *st, md_server *s, const md_alloc *alloc,
                        md_error *err)
{
    MD_TRY(md_metrics_new(&st->metrics, alloc, err));
    MD_TRY(md_metrics_add(st->metrics, FAMILIES, N_FAMILIES, &st->first, err));
    for (size_t i = 0; i < MD_COUNT(COLLECTORS); i++)
        MD_TRY(md_metrics_add_collector(st->metrics, COLLECTORS[i], s, err));
    return MD_OK;
}

void md_stats_release(md_stats *st)
{
    md_metrics_free(st->metrics);
    st->metrics = NULL;
}

static md_metric *get(md_stats *st, enum family f, const char *const *values)
{
    return md_metrics_get(st->metrics, st->first + (uint32_t)f, values);
}

void md_stats_answered(md_stats *st, const md_call *c, int status)
{
    const char *route = md_call_kind(c);
    char code[8];
    const char *by_code[] = { route, code };

    (void)snprintf(code, sizeof(code), "%d", status);
    md_metric_inc(get(st, FAMILY_requests, by_code));
    if (c->model && md_call_computes(c)) {
        const char *by_model[] = { c->model->name, route };

        md_metric_observe(get(st, FAMILY_duration, by_model),
                          (double)(c->marked_ns - c->start_ns) * 1e-9);
    }
}

void md_stats_dequeued(md_stats *st, const md_call *c)
{
    md_metric_observe(get(st, FAMILY_queued, NULL),
                      (double)c->queued_ns * 1e-9);
}

void md_stats_rejected(md_stats *st, const char *reason)
{
    const char *values[] = { reason };

    md_metric_inc(get(st, FAMILY_rejects, values));
}

void md_stats_busy(md_stats *st, int by)
{
    md_metric_add(get(st, FAMILY_busy, NULL), by);
}

void md_stats_ran(md_stats *st, const md_serve_model *m, int64_t rows)
{
    const char *values[] = { m->name };

    md_metric_observe(get(st, FAMILY_batch, values), (double)rows);
}
