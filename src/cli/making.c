#include "cli/making.h"

#include "cli/model.h"
#include "cli/print.h"

static md_status tell(const void *result, const md_cli_making *how,
                      const md_args *a, md_error *err)
{
    const char *dst = md_args_text(a, "output", "");
    md_json_writer w;
    md_buf b;

    if (!md_args_has(a, "json")) {
        how->put_text(result, dst, a);
        return MD_OK;
    }
    md_cli_json_begin(&w, &b);
    md_cli_json_str(&w, "model", dst);
    how->put_json(result, a, &w);
    return md_cli_json_end(&w, &b, a->cli->out, err);
}

md_status md_cli_make(void *result, const md_cli_making *how, const md_args *a,
                      md_error *err)
{
    md_model *m = NULL;
    md_pool *pool = NULL;
    md_status s;

    MD_TRY(md_pool_new(&pool, (int)md_args_option_int(a, "threads"),
                       md_alloc_default(), err));
    s = how->open ? how->open(&m, a, pool, err)
                  : md_cli_model_load(&m, a->pos[0], MD_LOAD_TO_READ, a, err);
    if (s == MD_OK)
        s = how->make(result, m, a, pool, err);
    if (s == MD_OK)
        s = tell(result, how, a, err);
    md_model_free(m);
    md_pool_free(pool);
    return s;
}
