/* gRPC server reflection, v1alpha. */
#include "serve/grpc.h"
#include "serve/reflection.h"

const md_grpc_method md_grpc_method_reflection_v1alpha = {
    .service = "grpc.reflection.v1alpha.ServerReflection",
    .name = "ServerReflectionInfo",
    .summary = "The same, for older clients.",
    .streams = true,
    .handle = md_reflection_handle,
};
