/* Shared memory of the V2 protocol. */
#include "serve/grpc.h"
#include "serve/server_impl.h"

static md_status handle(md_call *c, md_pb request, md_pb_writer *w,
                        md_error *err)
{
    const char *name;
    const char *none;

    (void)w;
    MD_TRY(md_grpc_texts(c, request, &name, &none, err));
    return md_shm_unregister(&c->server->shm, name, err);
}

const md_grpc_method md_grpc_method_shm_unregister = {
    .service = "inference.GRPCInferenceService",
    .name = "SystemSharedMemoryUnregister",
    .api = MD_API_SHARED_MEMORY,
    .summary = "Forgets the named region, or all of them.",
    .handle = handle,
};
