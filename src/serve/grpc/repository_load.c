/* Triton's model repository: load a model, or what has changed of it. */
#include <string.h>

#include "serve/grpc.h"
#include "serve/proto.h"
#include "serve/server_impl.h"

/* The one parameter that is known, "config"; an entry of a map. */
static md_status take_parameter(md_call *c, const md_pb_field *field,
                                const char **config, md_error *err)
{
    const char *key;
    const char *text = NULL;
    md_pb value;

    MD_TRY(md_grpc_entry(c, field, &key, &value, err));
    for (;;) {
        md_pb_field f;

        MD_TRY(md_pb_next(&f, &value, err));
        if (f.number == 0)
            break;
        if (f.number == MD_PB_ModelRepositoryParameter_string_param)
            MD_TRY(md_grpc_text(c, &text, &f, err));
    }
    if (strcmp(key, "config") != 0 || !text)
        return md_fail(err, MD_INVALID,
                       "unknown load parameter '%.64s', 'config' with a "
                       "string expected",
                       key);
    *config = text;
    return MD_OK;
}

static md_status handle(md_call *c, md_pb request, md_pb_writer *w,
                        md_error *err)
{
    const char *config = NULL;
    const char *name = "";

    (void)w;
    for (;;) {
        md_pb_field f;

        MD_TRY(md_pb_next(&f, &request, err));
        if (f.number == 0)
            break;
        if (f.number == MD_PB_RepositoryModelLoadRequest_model_name)
            MD_TRY(md_grpc_text(c, &name, &f, err));
        else if (f.number == MD_PB_RepositoryModelLoadRequest_parameters)
            MD_TRY(take_parameter(c, &f, &config, err));
    }
    return md_loader_load(c->server->loader, name, config, err);
}

const md_grpc_method md_grpc_method_repository_load = {
    .service = "inference.GRPCInferenceService",
    .name = "RepositoryModelLoad",
    .api = MD_API_MODEL_REPOSITORY,
    .summary = "Load a model of the repository, or what has changed of it; "
               "the parameter config is a configuration in JSON.",
    .loads = true,
    .handle = handle,
};
