/* Shared memory of the V2 protocol. */
#include "serve/grpc.h"

static md_status handle(md_call *c, md_pb request, md_pb_writer *w,
                        md_error *err)
{
    (void)c;
    (void)request;
    (void)w;
    (void)err;
    return MD_OK;
}

const md_grpc_method md_grpc_method_cuda_shm_unregister = {
    .service = "inference.GRPCInferenceService",
    .name = "CudaSharedMemoryUnregister",
    .api = MD_API_SHARED_MEMORY,
    .summary = "Forgets nothing: there are no regions.",
    .handle = handle,
};
