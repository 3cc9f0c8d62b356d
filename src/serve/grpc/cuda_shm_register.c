/* Shared memory of the V2 protocol. */
#include "serve/grpc.h"

static md_status handle(md_call *c, md_pb request, md_pb_writer *w,
                        md_error *err)
{
    const char *name;
    const char *none;

    (void)w;
    MD_TRY(md_grpc_texts(c, request, &name, &none, err));
    return md_fail(err, MD_UNSUPPORTED,
                   "failed to register CUDA shared memory region '%.128s': "
                   "GPUs are not supported",
                   name);
}

const md_grpc_method md_grpc_method_cuda_shm_register = {
    .service = "inference.GRPCInferenceService",
    .name = "CudaSharedMemoryRegister",
    .api = MD_API_SHARED_MEMORY,
    .summary = "Refused: there is no GPU.",
    .handle = handle,
};
