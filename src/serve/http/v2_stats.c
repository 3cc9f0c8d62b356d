/* Triton's statistics of one model, or of all of them. */
#include "serve/route.h"
#include "serve/v2.h"

static md_status handle(md_call *c, md_error *err)
{
    return md_v2_stats_reply(c, err);
}

const md_route md_route_v2_stats = {
    .method = "GET",
    .paths = { "/v2/models/stats", NULL },
    .summary = "What the models have done since the start: calls, and the time "
               "of their parts.",
    .tag = "v2",
    .api = MD_API_STATISTICS,
    .reply_type = "application/json",
    .reply_schema = MD_V2_STATS_SCHEMA,
    .handle = handle,
};
