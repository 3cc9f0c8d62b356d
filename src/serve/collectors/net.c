/* What do connections do, and what goes wrong with them? */
#include "base/metrics.h"
#include "serve/server_impl.h"

typedef struct row {
    md_metric_kind kind;
    const char *name;
    const char *help;
    const _Atomic uint64_t *value;
} row;

static md_status collect(void *ctx, md_metrics_out *out, md_error *err)
{
    const md_http_stats *st = md_http_server_stats(((md_server *)ctx)->http);
    const row rows[] = {
        { MD_GAUGE, "modeld_net_connections", "Open connections.",
          &st->n_open },
        { MD_COUNTER, "modeld_net_accepted_total", "Connections accepted.",
          &st->accepted },
        { MD_COUNTER, "modeld_net_accept_failures_total",
          "Connections not accepted for want of descriptors or memory.",
          &st->accept_failures },
        { MD_COUNTER, "modeld_net_evicted_total",
          "Idle connections closed to make room for new ones.", &st->evicted },
        { MD_COUNTER, "modeld_net_requests_total",
          "Complete requests received.", &st->requests },
        { MD_COUNTER, "modeld_net_handshake_failures_total",
          "Handshakes of TLS that failed.", &st->handshake_failures },
        { MD_COUNTER, "modeld_net_rejected_total",
          "Requests that were malformed or over a limit.", &st->rejected },
        { MD_COUNTER, "modeld_net_timeouts_total",
          "Clients that were too slow to send or to read.", &st->timeouts },
        { MD_COUNTER, "modeld_net_floods_total",
          "HTTP/2 connections cut for frames that bring nothing.",
          &st->floods },
        { MD_COUNTER, "modeld_net_abandoned_total",
          "Clients that left before their answer was sent.", &st->abandoned },
        { MD_GAUGE, "modeld_net_buffered_bytes",
          "Memory of requests and replies of all connections.",
          &st->buffered_bytes },
        { MD_COUNTER, "modeld_net_received_bytes_total", "Bytes received.",
          &st->received_bytes },
        { MD_COUNTER, "modeld_net_sent_bytes_total", "Bytes sent.",
          &st->sent_bytes },
    };

    for (size_t i = 0; i < MD_COUNT(rows); i++) {
        MD_TRY(md_metrics_out_family(out, rows[i].kind, rows[i].name,
                                     rows[i].help, err));
        MD_TRY(md_metrics_out_sample(out, (double)atomic_load(rows[i].value),
                                     NULL, 0, err));
    }
    return MD_OK;
}

const md_collector md_collector_net = { .name = "net", .collect = collect };
