/* gRPC server reflection: one handler for both of its versions
 * (github.com/grpc/grpc, doc/server-reflection.md). */
#ifndef MD_SERVE_REFLECTION_H
#define MD_SERVE_REFLECTION_H

#include "serve/grpc.h"

md_status md_reflection_handle(md_call *call, md_pb request, md_pb_writer *w,
                               md_error *err);

#endif
