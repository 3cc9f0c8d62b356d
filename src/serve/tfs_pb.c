#include "serve/tfs_pb.h"

#include <stdio.h>
#include <string.h>

#include "base/num.h"
#include "serve/grpc.h"
#include "serve/proto.h"

/* ---- the model of a request ---- */

typedef struct spec {
    const char *name;
    bool has_version;
    int64_t version;
    const char *label;
    const char *signature;
} spec;

/* An Int64Value. */
static md_status take_version(spec *s, const md_pb_field *field, md_error *err)
{
    md_pb_field f;
    md_pb in;

    s->has_version = true;
    s->version = 0;
    MD_TRY(md_pb_message(&in, field, err));
    for (;;) {
        MD_TRY(md_pb_next(&f, &in, err));
        if (f.number == 0)
            return MD_OK;
        if (f.number == MD_PB_Int64Value_value)
            MD_TRY(md_pb_int(&s->version, &f, err));
    }
}

static md_status take_spec_field(md_call *call, spec *s, const md_pb_field *f,
                                 md_error *err)
{
    switch (f->number) {
    case MD_PB_ModelSpec_name:
        return md_grpc_text(call, &s->name, f, err);
    case MD_PB_ModelSpec_version:
        return take_version(s, f, err);
    case MD_PB_ModelSpec_version_label:
        return md_grpc_text(call, &s->label, f, err);
    case MD_PB_ModelSpec_signature_name:
        return md_grpc_text(call, &s->signature, f, err);
    default:
        return MD_OK;
    }
}

md_status md_tfs_pb_spec(md_call *call, md_pb in, md_error *err)
{
    spec s = { .name = "", .label = "", .signature = "" };
    char version[24] = "";
    md_pb_field f;

    for (;;) {
        MD_TRY(md_pb_next(&f, &in, err));
        if (f.number == 0)
            break;
        MD_TRY(take_spec_field(call, &s, &f, err));
    }
    if (!*s.name)
        return md_fail(err, MD_INVALID, "model_spec has no name");
    if (*s.label)
        return md_fail(err, MD_NOT_FOUND,
                       "model '%.128s' has no version with the label '%.60s'",
                       s.name, s.label);
    if (s.has_version)
        (void)snprintf(version, sizeof(version), "%lld", (long long)s.version);
    MD_TRY(md_call_find_model(call, s.name, version, err));
    return md_tfs_check_signature(s.signature, strlen(s.signature), err);
}

md_status md_tfs_pb_model(md_call *call, md_pb request, md_error *err)
{
    md_pb spec_bytes = md_pb_init(NULL, 0);
    md_pb_field f;

    for (;;) {
        MD_TRY(md_pb_next(&f, &request, err));
        if (f.number == 0)
            return md_tfs_pb_spec(call, spec_bytes, err);
        if (f.number == 1)
            MD_TRY(md_pb_message(&spec_bytes, &f, err));
    }
}

int64_t md_tfs_pb_version(const md_serve_model *m)
{
    const unsigned char *p = (const unsigned char *)m->version;
    const unsigned char *after = p;
    int64_t n = 0;

    return md_num_i64(&n, &after, p, p + strlen(m->version)) == MD_NUM_OK ? n
                                                                          : 0;
}

void md_tfs_pb_put_spec(md_pb_writer *w, uint32_t number, const md_call *call)
{
    md_pb_mark spec_mark = md_pb_begin(w, number);
    md_pb_mark version;

    md_pb_put_text(w, MD_PB_ModelSpec_name, call->model->name);
    version = md_pb_begin(w, MD_PB_ModelSpec_version);
    md_pb_put_int(w, MD_PB_Int64Value_value, md_tfs_pb_version(call->model));
    md_pb_end(w, version);
    md_pb_put_text(w, MD_PB_ModelSpec_signature_name, "serving_default");
    md_pb_end(w, spec_mark);
}

int md_tfs_pb_dtype(md_dtype t)
{
    return md_proto_value(MD_PROTO_tensorflow, "", md_tfs_dtype(t));
}
