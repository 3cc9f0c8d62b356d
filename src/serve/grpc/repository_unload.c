/* Triton's model repository: unload a model. */
#include "serve/grpc.h"
#include "serve/proto.h"
#include "serve/server_impl.h"

static md_status handle(md_call *c, md_pb request, md_pb_writer *w,
                        md_error *err)
{
    const char *name;
    const char *repository;

    (void)w;
    MD_TRY(md_grpc_texts(c, request, &repository, &name, err));
    return md_loader_unload(c->server->loader, name, err);
}

const md_grpc_method md_grpc_method_repository_unload = {
    .service = "inference.GRPCInferenceService",
    .name = "RepositoryModelUnload",
    .summary = "Unload all versions of a model; requests that it has are "
               "answered.",
    .loads = true,
    .handle = handle,
};
