/* Triton's model repository: models do not change while the server runs. */
#include "serve/grpc.h"
#include "serve/proto.h"

static md_status handle(md_call *c, md_pb request, md_pb_writer *w,
                        md_error *err)
{
    const char *name;
    const char *repository;

    (void)w;
    MD_TRY(md_grpc_texts(c, request, &repository, &name, err));
    return md_fail(err, MD_UNSUPPORTED,
                   "cannot load '%.128s': models are those that the server "
                   "was started with",
                   name);
}

const md_grpc_method md_grpc_method_repository_load = {
    .service = "inference.GRPCInferenceService",
    .name = "RepositoryModelLoad",
    .summary = "Refused: models are those that the server was started with.",
    .handle = handle,
};
