/* gRPC health checking: all services, and whether they serve. */
#include "serve/grpc.h"
#include "serve/health.h"
#include "serve/proto.h"

typedef struct list {
    md_call *call;
    md_pb_writer *w;
} list;

static void put(void *ctx, const char *service)
{
    const list *l = ctx;
    md_pb_mark entry = md_pb_begin(l->w, MD_PB_HealthListResponse_statuses);
    md_pb_mark value;

    md_pb_put_text(l->w, 1, service);
    value = md_pb_begin(l->w, 2);
    md_pb_put_int(l->w, MD_PB_HealthCheckResponse_status,
                  md_health_status(l->call, service));
    md_pb_end(l->w, value);
    md_pb_end(l->w, entry);
}

static md_status handle(md_call *c, md_pb request, md_pb_writer *w,
                        md_error *err)
{
    list l = { c, w };

    (void)request;
    (void)err;
    put(&l, "");
    md_proto_each_service(put, &l);
    return MD_OK;
}

const md_grpc_method md_grpc_method_health_list = {
    .service = "grpc.health.v1.Health",
    .name = "List",
    .api = MD_API_HEALTH,
    .summary = "All services, and whether they serve.",
    .handle = handle,
};
