/* Triton's model repository: which models are there? */
#include "serve/grpc.h"
#include "serve/proto.h"
#include "serve/server_impl.h"

static md_status handle(md_call *c, md_pb request, md_pb_writer *w,
                        md_error *err)
{
    const md_server *s = c->server;

    (void)request; /* all are ready, and there is one repository */
    (void)err;
    for (uint32_t i = 0; i < s->n_models; i++) {
        md_pb_mark m = md_pb_begin(w, MD_PB_RepositoryIndexResponse_models);

        md_pb_put_text(w, MD_PB_ModelIndex_name, s->models[i]->name);
        md_pb_put_text(w, MD_PB_ModelIndex_version, s->models[i]->version);
        md_pb_put_text(w, MD_PB_ModelIndex_state, "READY");
        md_pb_end(w, m);
    }
    return MD_OK;
}

const md_grpc_method md_grpc_method_repository_index = {
    .service = "inference.GRPCInferenceService",
    .name = "RepositoryIndex",
    .summary = "The models; all are READY.",
    .handle = handle,
};
