/* gRPC server reflection, v1. */
#include "serve/reflection.h"
#include "serve/grpc.h"

const md_grpc_method md_grpc_method_reflection = {
    .service = "grpc.reflection.v1.ServerReflection",
    .name = "ServerReflectionInfo",
    .summary = "Descriptions of services and messages.",
    .streams = true,
    .handle = md_reflection_handle,
};
