/* Shared memory of the V2 protocol. */
#include "serve/grpc.h"
#include "serve/proto.h"
#include "serve/server_impl.h"

/* An entry of map<string, RegionStatus>. */
static void put_region(void *ctx, const md_shm_status *st)
{
    md_pb_writer *w = ctx;
    md_pb_mark entry =
        md_pb_begin(w, MD_PB_SystemSharedMemoryStatusResponse_regions);
    md_pb_mark value;

    md_pb_put_text(w, 1, st->name);
    value = md_pb_begin(w, 2);
    md_pb_put_text(w, MD_PB_RegionStatus_name, st->name);
    md_pb_put_text(w, MD_PB_RegionStatus_key, st->key);
    md_pb_put_int(w, MD_PB_RegionStatus_offset, (int64_t)st->offset);
    md_pb_put_int(w, MD_PB_RegionStatus_byte_size, (int64_t)st->size);
    md_pb_end(w, value);
    md_pb_end(w, entry);
}

static md_status handle(md_call *c, md_pb request, md_pb_writer *w,
                        md_error *err)
{
    const char *name;
    const char *none;

    MD_TRY(md_grpc_texts(c, request, &name, &none, err));
    return md_shm_each(&c->server->shm, name, put_region, w, err);
}

const md_grpc_method md_grpc_method_shm_status = {
    .service = "inference.GRPCInferenceService",
    .name = "SystemSharedMemoryStatus",
    .api = MD_API_SHARED_MEMORY,
    .summary = "The registered regions, or the named one.",
    .handle = handle,
};
