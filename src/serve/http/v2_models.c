/* The names of the models, the default one first. */
#include "serve/route.h"
#include "serve/server_impl.h"

typedef struct names {
    md_json_writer w;
    const char *last; /* whose versions come now */
} names;

static void put_name(void *ctx, const md_model_row *row)
{
    names *l = ctx;

    if (row->served && row->name != l->last)
        md_json_put_str(&l->w, row->name);
    l->last = row->served ? row->name : l->last;
}

static md_status handle(md_call *c, md_error *err)
{
    names l = { .last = NULL };

    MD_TRY(md_call_json(c, &l.w, err));
    md_json_put_object(&l.w);
    md_json_put_name(&l.w, "models");
    md_json_put_array(&l.w);
    md_models_each(c->server->models, NULL, put_name, &l);
    md_json_put_end(&l.w);
    md_json_put_end(&l.w);
    return md_json_finish(&l.w, err);
}

const md_route md_route_v2_models = {
    .method = "GET",
    .paths = { "/v2/models", NULL },
    .summary = "Names of the models, the default one first.",
    .tag = "v2",
    .api = MD_API_METADATA,
    .reply_type = "application/json",
    .reply_schema = "{\"type\":\"object\",\"required\":[\"models\"],"
                    "\"properties\":{\"models\":{\"type\":\"array\",\"items\":"
                    "{\"type\":\"string\"}}}}",
    .handle = handle,
};
