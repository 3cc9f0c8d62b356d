#include "serve/health.h"

#include <string.h>

#include "serve/grpc.h"
#include "serve/proto.h"
#include "serve/server_impl.h"

static void compare(void *ctx, const char *name)
{
    const char **service = ctx;

    if (*service && strcmp(*service, name) == 0)
        *service = NULL; /* found */
}

static bool is_model(md_call *call, const char *service)
{
    static const char prefix[] = "model/";
    const size_t n = sizeof(prefix) - 1;
    const char *slash;
    const char *name;

    if (strncmp(service, prefix, n) != 0)
        return false;
    service += n;
    slash = strchr(service, '/');
    name =
        md_arena_strndup(md_http_request_arena(call->http), service,
                         slash ? (size_t)(slash - service) : strlen(service));
    return name && md_call_find_model(call, name, slash ? slash + 1 : NULL,
                                      NULL) == MD_OK;
}

int md_health_status(md_call *call, const char *service)
{
    const char *wanted = service;

    md_proto_each_service(compare, &wanted);
    if (*service && wanted && !is_model(call, service))
        return MD_PB_SERVICE_UNKNOWN;
    return atomic_load(&call->server->draining) ? MD_PB_NOT_SERVING
                                                : MD_PB_SERVING;
}

md_status md_health_read(md_call *call, md_pb request, int *status,
                         md_error *err)
{
    const char *service;
    const char *none;

    MD_TRY(md_grpc_texts(call, request, &service, &none, err));
    *status = md_health_status(call, service);
    return MD_OK;
}
