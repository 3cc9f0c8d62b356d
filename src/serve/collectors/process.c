/* Which build is this, and since when does it run? */
#include "base/metrics.h"
#include "serve/server_impl.h"

static md_status collect(void *ctx, md_metrics_out *out, md_error *err)
{
    const md_server *s = ctx;
    const char *labels[] = { "version", MODELD_VERSION };

    MD_TRY(md_metrics_out_family(out, MD_GAUGE, "modeld_build_info",
                                 "Always 1; the labels tell the build.", err));
    MD_TRY(md_metrics_out_sample(out, 1, labels, 1, err));
    MD_TRY(md_metrics_out_family(out, MD_GAUGE, "process_start_time_seconds",
                                 "Start of the server, seconds since 1970.",
                                 err));
    return md_metrics_out_sample(out, (double)s->start_wall_ns * 1e-9, NULL, 0,
                                 err);
}

const md_collector md_collector_process = { .name = "process",
                                            .collect = collect };
