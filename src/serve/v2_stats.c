/* Triton's statistics over REST. */
#include "serve/server_impl.h"
#include "serve/v2.h"

static void put_count(md_json_writer *w, const char *name,
                      const _Atomic uint64_t *n)
{
    md_json_put_name(w, name);
    md_json_put_u64(w, atomic_load(n));
}

static void put_sum(md_json_writer *w, const char *name, const md_stat_sum *sum)
{
    md_json_put_name(w, name);
    md_json_put_object(w);
    put_count(w, "count", &sum->n);
    put_count(w, "ns", &sum->ns);
    md_json_put_end(w);
}

static void put_parts(md_json_writer *w, const md_stat_sum *input,
                      const md_stat_sum *infer, const md_stat_sum *output)
{
    put_sum(w, "compute_input", input);
    put_sum(w, "compute_infer", infer);
    put_sum(w, "compute_output", output);
}

static void put_batches(md_json_writer *w, const md_model_stats *st)
{
    md_json_put_name(w, "batch_stats");
    md_json_put_array(w);
    for (uint32_t i = 0; i < st->n_sizes; i++) {
        const md_stat_batch *b = &st->sizes[i];

        if (atomic_load(&b->infer.n) == 0)
            continue;
        md_json_put_object(w);
        md_json_put_name(w, "batch_size");
        md_json_put_u64(w, i);
        put_parts(w, &b->input, &b->infer, &b->output);
        md_json_put_end(w);
    }
    md_json_put_end(w);
}

static void put_model(md_json_writer *w, const md_serve_model *m,
                      const md_model_stats *st)
{
    md_json_put_object(w);
    md_json_put_name(w, "name");
    md_json_put_str(w, m->name);
    md_json_put_name(w, "version");
    md_json_put_str(w, m->version);
    md_json_put_name(w, "last_inference");
    md_json_put_u64(w, md_model_stats_last_ms(st));
    put_count(w, "inference_count", &st->rows);
    put_count(w, "execution_count", &st->executions);
    md_json_put_name(w, "inference_stats");
    md_json_put_object(w);
    put_sum(w, "success", &st->success);
    put_sum(w, "fail", &st->fail);
    put_sum(w, "queue", &st->part[MD_CALL_QUEUE]);
    put_parts(w, &st->part[MD_CALL_INPUT], &st->part[MD_CALL_INFER],
              &st->part[MD_CALL_OUTPUT]);
    put_sum(w, "cache_hit", &st->cache_hit);
    put_sum(w, "cache_miss", &st->cache_miss);
    md_json_put_end(w);
    put_batches(w, st);
    md_json_put_end(w);
}

static void put_row(void *ctx, const md_model_row *row)
{
    if (row->served)
        put_model(ctx, row->served->model, &row->served->stats);
}

md_status md_v2_stats_reply(md_call *call, md_error *err)
{
    md_json_writer w;

    MD_TRY(md_call_json(call, &w, err));
    md_json_put_object(&w);
    md_json_put_name(&w, "model_stats");
    md_json_put_array(&w);
    if (call->served)
        put_model(&w, call->model, &call->served->stats);
    else
        md_models_each(call->server->models, NULL, put_row, &w);
    md_json_put_end(&w);
    md_json_put_end(&w);
    return md_json_finish(&w, err);
}
