/* Triton's model repository: which models are there? */
#include "serve/grpc.h"
#include "serve/index.h"
#include "serve/proto.h"

static void put(md_pb_writer *w, uint32_t number, const char *text)
{
    if (*text)
        md_pb_put_text(w, number, text);
}

static void put_row(void *ctx, const md_model_row *row)
{
    md_pb_writer *w = ctx;
    md_pb_mark m = md_pb_begin(w, MD_PB_RepositoryIndexResponse_models);

    /* Names and reasons are the table's, which may change: copied. */
    put(w, MD_PB_ModelIndex_name, row->name);
    put(w, MD_PB_ModelIndex_version, row->version);
    put(w, MD_PB_ModelIndex_state, md_model_state_name(row->state));
    put(w, MD_PB_ModelIndex_reason, row->reason);
    md_pb_end(w, m);
}

static md_status handle(md_call *c, md_pb request, md_pb_writer *w,
                        md_error *err)
{
    int64_t ready = 0;

    for (;;) {
        md_pb_field f;

        MD_TRY(md_pb_next(&f, &request, err));
        if (f.number == 0)
            break;
        if (f.number == MD_PB_RepositoryIndexRequest_ready)
            MD_TRY(md_pb_int(&ready, &f, err));
    }
    return md_index_each(c, ready != 0, put_row, w, err);
}

const md_grpc_method md_grpc_method_repository_index = {
    .service = "inference.GRPCInferenceService",
    .name = "RepositoryIndex",
    .api = MD_API_MODEL_REPOSITORY,
    .summary = "The models, with the state of each version and the reason why "
               "it is not READY, or not replaced.",
    .computes = true, /* it reads the disk */
    .handle = handle,
};
