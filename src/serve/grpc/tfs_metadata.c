/* TensorFlow Serving: the signature of a model. */
#include "serve/grpc.h"
#include "serve/proto.h"
#include "serve/tfs_pb.h"

/* There is one thing to ask for. */
static md_status check_fields(md_pb request, md_error *err)
{
    uint32_t n = 0;

    for (;;) {
        md_pb_field f;

        MD_TRY(md_pb_next(&f, &request, err));
        if (f.number == 0)
            break;
        if (f.number != MD_PB_GetModelMetadataRequest_metadata_field)
            continue;
        n++;
        if (f.wire != MD_PB_LEN || !md_pb_text_equal(&f, "signature_def"))
            return md_fail(err, MD_INVALID,
                           "metadata_field: 'signature_def' expected");
    }
    return n ? MD_OK
             : md_fail(err, MD_INVALID,
                       "no metadata_field given, 'signature_def' expected");
}

/* Entries of map<string, TensorInfo>. */
static void put_ios(md_pb_writer *w, uint32_t number, const md_serve_io *ios,
                    uint32_t n)
{
    for (uint32_t i = 0; i < n; i++) {
        md_pb_mark entry = md_pb_begin(w, number);
        md_pb_mark info;

        md_pb_put_text(w, 1, ios[i].name);
        info = md_pb_begin(w, 2);
        md_pb_put_text(w, MD_PB_TensorInfo_name, ios[i].name);
        md_pb_put_int(w, MD_PB_TensorInfo_dtype, md_tfs_pb_dtype(ios[i].dtype));
        md_tfs_pb_put_shape(w, MD_PB_TensorInfo_tensor_shape, &ios[i].shape,
                            ios[i].has_rank);
        md_pb_end(w, info);
        md_pb_end(w, entry);
    }
}

/* The one entry of map<string, SignatureDef>. */
static void put_signature(md_pb_writer *w, const md_serve_model *m)
{
    md_pb_mark entry = md_pb_begin(w, MD_PB_SignatureDefMap_signature_def);
    md_pb_mark def;

    md_pb_put_text(w, 1, "serving_default");
    def = md_pb_begin(w, 2);
    put_ios(w, MD_PB_SignatureDef_inputs, m->inputs, m->n_inputs);
    put_ios(w, MD_PB_SignatureDef_outputs, m->outputs, m->n_outputs);
    md_pb_put_text(w, MD_PB_SignatureDef_method_name,
                   "tensorflow/serving/predict");
    md_pb_end(w, def);
    md_pb_end(w, entry);
}

static md_status handle(md_call *c, md_pb request, md_pb_writer *w,
                        md_error *err)
{
    md_pb_mark entry;
    md_pb_mark any;
    md_pb_mark map;

    MD_TRY(md_tfs_pb_model(c, request, err));
    MD_TRY(check_fields(request, err));
    md_tfs_pb_put_spec(w, MD_PB_GetModelMetadataResponse_model_spec, c);
    entry = md_pb_begin(w, MD_PB_GetModelMetadataResponse_metadata);
    md_pb_put_text(w, 1, "signature_def");
    any = md_pb_begin(w, 2);
    md_pb_put_text(w, MD_PB_Any_type_url,
                   "type.googleapis.com/tensorflow.serving.SignatureDefMap");
    map = md_pb_begin(w, MD_PB_Any_value);
    put_signature(w, c->model);
    md_pb_end(w, map);
    md_pb_end(w, any);
    md_pb_end(w, entry);
    return MD_OK;
}

const md_grpc_method md_grpc_method_tfs_metadata = {
    .service = "tensorflow.serving.PredictionService",
    .name = "GetModelMetadata",
    .api = MD_API_METADATA,
    .summary = "The signature of a model.",
    .handle = handle,
};
