#include "serve/index.h"

#include <stdlib.h>
#include <string.h>

#include "serve/server_impl.h"

typedef struct listing {
    const char *const *names; /* on disk, sorted */
    bool *seen;               /* one for each */
    uint32_t n;
    bool ready;
    void (*fn)(void *ctx, const md_model_row *row);
    void *ctx;
} listing;

static int by_text(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static void take_row(void *ctx, const md_model_row *row)
{
    listing *ix = ctx;
    const char *const *at =
        ix->n ? bsearch((const void *)&row->name, (const void *)ix->names,
                        ix->n, sizeof(*ix->names), by_text)
              : NULL;

    if (at)
        ix->seen[at - ix->names] = true;
    if (!ix->ready || row->state == MD_MODEL_READY)
        ix->fn(ix->ctx, row);
}

md_status md_index_each(md_call *c, bool ready,
                        void (*fn)(void *ctx, const md_model_row *row),
                        void *ctx, md_error *err)
{
    listing ix = { .ready = ready, .fn = fn, .ctx = ctx };
    const char **names;

    MD_TRY(md_loader_names(c->server->loader, &names, &ix.n,
                           md_http_request_arena(c->http), err));
    MD_TRY(md_call_alloc(c, &ix.seen, ix.n, sizeof(*ix.seen), err));
    ix.names = names;
    md_models_each(c->server->models, NULL, take_row, &ix);
    for (uint32_t i = 0; !ready && i < ix.n; i++)
        if (!ix.seen[i])
            fn(ctx, &(md_model_row){
                        .name = names[i], .version = "", .reason = "" });
    return MD_OK;
}
