/*
 * The messages and services that modeld speaks over gRPC, from the lists of
 * serve/proto/: numbers of fields for those who read and write them, and
 * their descriptions for server reflection.
 */
#ifndef MD_SERVE_PROTO_H
#define MD_SERVE_PROTO_H

#include "formats/pb.h"
#include "tensor/dtype.h"

/* MD_PB_ModelInferRequest_id and the like; values of enums by their name. */
enum {
#define P_PACKAGE
#define P_KEEP
#define P_FIELD(message, name, number, how, type)                              \
    MD_PB_##message##_##name = (number),
#define P_SUB(message, name, number, how, type)                                \
    MD_PB_##message##_##name = (number),
#define P_CODE(message, name, number, type) MD_PB_##message##_##name = (number),
#define P_VALUE(name, number) MD_PB_##name = (number),
#include "serve/proto/any.def"
#include "serve/proto/health.def"
#include "serve/proto/inference.def"
#include "serve/proto/model_config.def"
#include "serve/proto/reflection.def"
#include "serve/proto/tensorflow.def"
#include "serve/proto/tfs.def"
#include "serve/proto/wrappers.def"
#undef P_KEEP
#include "serve/proto/end.def"
#undef P_PACKAGE
};

enum {
#define PROTO(list, file, package, import) MD_PROTO_##list,
#include "serve/proto/files.def"
#undef PROTO
    MD_N_PROTOS
};

/* Index by file name, or -1. */
int md_proto_find_file(md_str name);

/* Index of the file with this message, enum, field, service or method, by its
 * full name, or -1. */
int md_proto_find_symbol(md_str name);

/* Write its FileDescriptorProto. */
void md_proto_describe(md_pb_writer *w, int file);

/* Call fn with the full name of each service. */
void md_proto_each_service(void (*fn)(void *ctx, const char *name), void *ctx);

/* Number of an enum's value, or 0: "TYPE_FP32". */
int md_proto_value(int file, const char *prefix, const char *name);

#endif
