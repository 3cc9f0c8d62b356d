#include "serve/reflection.h"

#include <string.h>

#include "serve/proto.h"

/* What one message asks. */
typedef struct question {
    uint32_t number; /* the field; 0: none */
    const char *text;
    const char *host;
} question;

/* The containing_type of an ExtensionRequest. */
static md_status take_extension(md_call *c, const md_pb_field *field,
                                const char **out, md_error *err)
{
    md_pb_field f;
    md_pb in;

    *out = "";
    MD_TRY(md_pb_message(&in, field, err));
    for (;;) {
        MD_TRY(md_pb_next(&f, &in, err));
        if (f.number == 0)
            return MD_OK;
        if (f.number == MD_PB_ExtensionRequest_containing_type)
            MD_TRY(md_grpc_text(c, out, &f, err));
    }
}

static md_status take_question(md_call *c, md_pb request, question *q,
                               md_error *err)
{
    *q = (question){ .text = "" };
    for (;;) {
        md_pb_field f;

        MD_TRY(md_pb_next(&f, &request, err));
        switch (f.number) {
        case 0:
            return MD_OK;
        case MD_PB_ServerReflectionRequest_host:
            MD_TRY(md_grpc_text(c, &q->host, &f, err));
            break;
        case MD_PB_ServerReflectionRequest_file_containing_extension:
            q->number = f.number;
            MD_TRY(take_extension(c, &f, &q->text, err));
            break;
        case MD_PB_ServerReflectionRequest_file_by_filename:
        case MD_PB_ServerReflectionRequest_file_containing_symbol:
        case MD_PB_ServerReflectionRequest_all_extension_numbers_of_type:
        case MD_PB_ServerReflectionRequest_list_services:
            q->number = f.number;
            MD_TRY(md_grpc_text(c, &q->text, &f, err));
            break;
        default:
            break;
        }
    }
}

static void put_error(md_pb_writer *w, md_status s, const char *text)
{
    md_pb_mark m =
        md_pb_begin(w, MD_PB_ServerReflectionResponse_error_response);

    md_pb_put_int(w, MD_PB_ErrorResponse_error_code, md_status_grpc(s));
    md_pb_put_text(w, MD_PB_ErrorResponse_error_message, text);
    md_pb_end(w, m);
}

static void put_file(md_pb_writer *w, int file)
{
    md_pb_mark m;
    md_pb_mark bytes;

    if (file < 0) {
        put_error(w, MD_NOT_FOUND, "not found");
        return;
    }
    m = md_pb_begin(w, MD_PB_ServerReflectionResponse_file_descriptor_response);
    bytes = md_pb_begin(w, MD_PB_FileDescriptorResponse_file_descriptor_proto);
    md_proto_describe(w, file);
    md_pb_end(w, bytes);
    md_pb_end(w, m);
}

static void put_service(void *ctx, const char *name)
{
    md_pb_writer *w = ctx;
    md_pb_mark m = md_pb_begin(w, MD_PB_ListServiceResponse_service);

    md_pb_put_text(w, MD_PB_ServiceResponse_name, name);
    md_pb_end(w, m);
}

static void put_services(md_pb_writer *w)
{
    md_pb_mark m =
        md_pb_begin(w, MD_PB_ServerReflectionResponse_list_services_response);

    md_proto_each_service(put_service, w);
    md_pb_end(w, m);
}

/* Messages of proto3 have no extensions. */
static void put_extensions(md_pb_writer *w, const char *type)
{
    md_pb_mark m;

    if (md_proto_find_symbol((md_str){ type, strlen(type) }) < 0) {
        put_error(w, MD_NOT_FOUND, "not found");
        return;
    }
    m = md_pb_begin(
        w, MD_PB_ServerReflectionResponse_all_extension_numbers_response);
    md_pb_put_text(w, MD_PB_ExtensionNumberResponse_base_type_name, type);
    md_pb_end(w, m);
}

md_status md_reflection_handle(md_call *call, md_pb request, md_pb_writer *w,
                               md_error *err)
{
    question q;
    md_str text;

    if (md_grpc_stream_ends(call))
        return MD_OK;
    MD_TRY(take_question(call, request, &q, err));
    text = (md_str){ q.text, strlen(q.text) };
    if (q.host)
        md_pb_put_text(w, MD_PB_ServerReflectionResponse_valid_host, q.host);
    md_pb_put_bytes(w, MD_PB_ServerReflectionResponse_original_request,
                    request.p, md_pb_size(&request));
    switch (q.number) {
    case MD_PB_ServerReflectionRequest_file_by_filename:
        put_file(w, md_proto_find_file(text));
        break;
    case MD_PB_ServerReflectionRequest_file_containing_symbol:
        put_file(w, md_proto_find_symbol(text));
        break;
    case MD_PB_ServerReflectionRequest_file_containing_extension:
        put_error(w, MD_NOT_FOUND, "not found");
        break;
    case MD_PB_ServerReflectionRequest_all_extension_numbers_of_type:
        put_extensions(w, q.text);
        break;
    case MD_PB_ServerReflectionRequest_list_services:
        put_services(w);
        break;
    default:
        put_error(w, MD_INVALID, "no question given");
        break;
    }
    return MD_OK;
}
