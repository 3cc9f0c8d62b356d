/* Triton's statistics of one model. */
#include "serve/route.h"
#include "serve/v2.h"

static md_status handle(md_call *c, md_error *err)
{
    MD_TRY(md_call_model(c, err));
    return md_v2_stats_reply(c, err);
}

const md_route md_route_v2_model_stats = {
    .method = "GET",
    .paths = { "/v2/models/{model}/stats",
               "/v2/models/{model}/versions/{version}/stats" },
    .summary = "What a model has done since the start: calls, and the time of "
               "their parts.",
    .tag = "v2",
    .api = MD_API_STATISTICS,
    .reply_type = "application/json",
    .reply_schema = MD_V2_STATS_SCHEMA,
    .handle = handle,
};
