/* Triton's statistics of one model, or of all when no name is given. */
#include <string.h>

#include "serve/grpc.h"
#include "serve/proto.h"
#include "serve/server_impl.h"

static void put_count(md_pb_writer *w, uint32_t number,
                      const _Atomic uint64_t *n)
{
    md_pb_put_int(w, number, (int64_t)atomic_load(n));
}

static void put_sum(md_pb_writer *w, uint32_t number, const md_stat_sum *sum)
{
    md_pb_mark m = md_pb_begin(w, number);

    put_count(w, MD_PB_StatisticDuration_count, &sum->n);
    put_count(w, MD_PB_StatisticDuration_ns, &sum->ns);
    md_pb_end(w, m);
}

static void put_batches(md_pb_writer *w, const md_model_stats *st)
{
    for (uint32_t i = 0; i < st->n_sizes; i++) {
        const md_stat_batch *b = &st->sizes[i];
        md_pb_mark m;

        if (atomic_load(&b->infer.n) == 0)
            continue;
        m = md_pb_begin(w, MD_PB_ModelStatistics_batch_stats);
        md_pb_put_int(w, MD_PB_InferBatchStatistics_batch_size, i);
        put_sum(w, MD_PB_InferBatchStatistics_compute_input, &b->input);
        put_sum(w, MD_PB_InferBatchStatistics_compute_infer, &b->infer);
        put_sum(w, MD_PB_InferBatchStatistics_compute_output, &b->output);
        md_pb_end(w, m);
    }
}

static void put_model(md_pb_writer *w, const md_serve_model *model,
                      const md_model_stats *st)
{
    md_pb_mark m = md_pb_begin(w, MD_PB_ModelStatisticsResponse_model_stats);
    md_pb_mark stats;

    md_pb_put_text(w, MD_PB_ModelStatistics_name, model->name);
    md_pb_put_text(w, MD_PB_ModelStatistics_version, model->version);
    md_pb_put_int(w, MD_PB_ModelStatistics_last_inference,
                  (int64_t)md_model_stats_last_ms(st));
    put_count(w, MD_PB_ModelStatistics_inference_count, &st->rows);
    put_count(w, MD_PB_ModelStatistics_execution_count, &st->executions);
    stats = md_pb_begin(w, MD_PB_ModelStatistics_inference_stats);
    put_sum(w, MD_PB_InferStatistics_success, &st->success);
    put_sum(w, MD_PB_InferStatistics_fail, &st->fail);
    put_sum(w, MD_PB_InferStatistics_queue, &st->part[MD_CALL_QUEUE]);
    put_sum(w, MD_PB_InferStatistics_compute_input, &st->part[MD_CALL_INPUT]);
    put_sum(w, MD_PB_InferStatistics_compute_infer, &st->part[MD_CALL_INFER]);
    put_sum(w, MD_PB_InferStatistics_compute_output, &st->part[MD_CALL_OUTPUT]);
    put_sum(w, MD_PB_InferStatistics_cache_hit, &st->cache_hit);
    put_sum(w, MD_PB_InferStatistics_cache_miss, &st->cache_miss);
    md_pb_end(w, stats);
    put_batches(w, st);
    md_pb_end(w, m);
}

static void put_row(void *ctx, const md_model_row *row)
{
    if (row->served)
        put_model(ctx, row->served->model, &row->served->stats);
}

static md_status handle(md_call *c, md_pb request, md_pb_writer *w,
                        md_error *err)
{
    const char *name;
    const char *version;

    MD_TRY(md_grpc_texts(c, request, &name, &version, err));
    if (*name) {
        MD_TRY(md_call_find_model(c, name, version, err));
        put_model(w, c->model, &c->served->stats);
    } else {
        md_models_each(c->server->models, NULL, put_row, w);
    }
    return MD_OK;
}

const md_grpc_method md_grpc_method_model_statistics = {
    .service = "inference.GRPCInferenceService",
    .name = "ModelStatistics",
    .api = MD_API_STATISTICS,
    .summary = "What the models have done since the start.",
    .handle = handle,
};
