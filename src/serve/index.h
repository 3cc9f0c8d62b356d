/* The index of the model repository (Triton's
 * protocol/extension_model_repository.md), for REST and gRPC. */
#ifndef MD_SERVE_INDEX_H
#define MD_SERVE_INDEX_H

#include "serve/models.h"

/*
 * Call fn for every version in service or in trouble, and for every model on
 * disk that was never loaded; only for those that are ready when `ready`.
 * Reads the disk, so not on the event loop.
 */
md_status md_index_each(md_call *c, bool ready,
                        void (*fn)(void *ctx, const md_model_row *row),
                        void *ctx, md_error *err);

#endif
