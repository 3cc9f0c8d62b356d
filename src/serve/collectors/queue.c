/* How full is the queue, and how many may wait? */
#include "base/metrics.h"
#include "serve/server_impl.h"

static md_status collect(void *ctx, md_metrics_out *out, md_error *err)
{
    md_server *s = ctx;
    const struct {
        const char *name;
        const char *help;
        double value;
    } rows[] = {
        { "modeld_serve_queue_depth", "Calls that wait for a worker.",
          md_queue_depth(s->queue) },
        { "modeld_serve_queue_limit", "Calls that may wait.",
          md_queue_limit(s->queue) },
        { "modeld_serve_workers", "Threads that compute.", s->n_workers },
        { "modeld_serve_models", "Versions of models that are served.",
          md_models_n_ready(s->models) },
    };

    for (size_t i = 0; i < MD_COUNT(rows); i++) {
        MD_TRY(md_metrics_out_family(out, MD_GAUGE, rows[i].name, rows[i].help,
                                     err));
        MD_TRY(md_metrics_out_sample(out, rows[i].value, NULL, 0, err));
    }
    return MD_OK;
}

const md_collector md_collector_queue = { .name = "queue", .collect = collect };
