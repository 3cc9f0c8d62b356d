/* Triton's model repository: unload a model. */
#include <string.h>

#include "serve/grpc.h"
#include "serve/proto.h"
#include "serve/server_impl.h"

/* An entry of the map of parameters; others than unload_dependents are passed
 * over. */
static md_status take_parameter(md_call *c, const md_pb_field *field,
                                bool *with_steps, md_error *err)
{
    const char *key;
    md_pb_field f;
    md_pb value;

    MD_TRY(md_grpc_entry(c, field, &key, &value, err));
    MD_TRY(md_pb_next(&f, &value, err));
    if (strcmp(key, "unload_dependents") == 0)
        *with_steps = f.number == MD_PB_ModelRepositoryParameter_bool_param &&
                      f.value != 0;
    return MD_OK;
}

static md_status handle(md_call *c, md_pb request, md_pb_writer *w,
                        md_error *err)
{
    bool with_steps = false;
    const char *name = "";

    (void)w;
    for (;;) {
        md_pb_field f;

        MD_TRY(md_pb_next(&f, &request, err));
        if (f.number == 0)
            break;
        if (f.number == MD_PB_RepositoryModelUnloadRequest_model_name)
            MD_TRY(md_grpc_text(c, &name, &f, err));
        else if (f.number == MD_PB_RepositoryModelUnloadRequest_parameters)
            MD_TRY(take_parameter(c, &f, &with_steps, err));
    }
    return md_loader_unload(c->server->loader, name, with_steps, err);
}

const md_grpc_method md_grpc_method_repository_unload = {
    .service = "inference.GRPCInferenceService",
    .name = "RepositoryModelUnload",
    .api = MD_API_MODEL_REPOSITORY,
    .summary = "Unload all versions of a model; requests that it has are "
               "answered.",
    .loads = true,
    .handle = handle,
};
