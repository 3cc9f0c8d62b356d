/*
 * Methods of gRPC: one file each under serve/grpc/, one line each in
 * grpc.def; their messages are in serve/proto/.
 */
#ifndef MD_SERVE_GRPC_H
#define MD_SERVE_GRPC_H

#include "formats/pb.h"
#include "serve/call.h"
#include "serve/restrict.h"

/*
 * Read the request and put the reply, or return what went wrong, which ends
 * the call.  A stream's method is called for each message, and for the other
 * events of md_http_request_event with an empty request unless it holds one;
 * it ends by md_http_reply_end.
 */
typedef md_status md_grpc_fn(md_call *call, md_pb request, md_pb_writer *reply,
                             md_error *err);

struct md_grpc_method {
    const char *service; /* "inference.GRPCInferenceService" */
    const char *name;    /* "ModelInfer" */
    const char *summary;
    md_api api;    /* what it belongs to */
    bool streams;  /* the client's messages, or the server's */
    bool computes; /* messages run on a worker, behind the queue */
    bool loads;    /* they run on the loader's thread, one by one */
    md_grpc_fn *handle;
};

enum {
#define GRPC_METHOD(id) MD_GRPC_##id,
#include "serve/grpc.def"
#undef GRPC_METHOD
    MD_N_GRPCS
};

extern const md_grpc_method *const md_grpc_methods[MD_N_GRPCS];

/* "grpc_model_infer". */
const char *md_grpc_method_id(size_t i);

/* The method of a path "/service/name"; MD_UNSUPPORTED. */
md_status md_grpc_find(size_t *out, md_slice path, md_error *err);

/* Run the call's method and write its reply. */
md_status md_grpc_run(md_call *call, md_error *err);

/* The usual answers of a stream to what is no message: true when the event
 * was one.  At its half the call ends well, in a drain it is cut. */
bool md_grpc_stream_ends(md_call *call);

/* Send what is in w, once; after that nothing more is sent of this call. */
md_status md_grpc_send(md_call *call, md_pb_writer *w, md_error *err);

/* A string of the request, terminated, in the request's arena. */
md_status md_grpc_text(md_call *call, const char **out, const md_pb_field *f,
                       md_error *err);

/* Read an entry of a map of strings to messages: *value is an empty message
 * when there is none. */
md_status md_grpc_entry(md_call *call, const md_pb_field *entry,
                        const char **key, md_pb *value, md_error *err);

/* Read a request of two strings, fields 1 and 2, as many are; "" when they
 * are absent. */
md_status md_grpc_texts(md_call *call, md_pb request, const char **first,
                        const char **second, md_error *err);

/* The same, name and version, and find the model. */
md_status md_grpc_model(md_call *call, md_pb request, md_error *err);

#endif
