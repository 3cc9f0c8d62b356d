/* Shared memory of the V2 protocol. */
#include "serve/grpc.h"
#include "serve/proto.h"
#include "serve/server_impl.h"

static md_status handle(md_call *c, md_pb request, md_pb_writer *w,
                        md_error *err)
{
    const char *name;
    const char *key;
    int64_t offset = 0;
    int64_t size = 0;

    (void)w;
    MD_TRY(md_grpc_texts(c, request, &name, &key, err));
    for (;;) {
        md_pb_field f;

        MD_TRY(md_pb_next(&f, &request, err));
        if (f.number == 0)
            break;
        if (f.number == MD_PB_SystemSharedMemoryRegisterRequest_offset)
            MD_TRY(md_pb_int(&offset, &f, err));
        else if (f.number == MD_PB_SystemSharedMemoryRegisterRequest_byte_size)
            MD_TRY(md_pb_int(&size, &f, err));
    }
    return md_shm_register(&c->server->shm, name, key, (uint64_t)offset,
                           (uint64_t)size, err);
}

const md_grpc_method md_grpc_method_shm_register = {
    .service = "inference.GRPCInferenceService",
    .name = "SystemSharedMemoryRegister",
    .api = MD_API_SHARED_MEMORY,
    .summary = "Registers bytes of a segment under a name.",
    .handle = handle,
};
