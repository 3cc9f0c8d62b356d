/* `modeld bench --trace FILE`: runs as a picture. */
#ifndef MD_CLI_TRACE_H
#define MD_CLI_TRACE_H

#include "cli/roof.h"
#include "engine/profile.h"

/*
 * Execute r, whose session's pool is `pool`, some times and write what
 * happened to `path` in the JSON form of Chrome's trace viewer, which Perfetto
 * reads ("Trace Event Format", complete events): a track per thread, a slice
 * per run, node and chunk, times from the first one on.  Steps whose chunks
 * are more than there is room for are told in *n_left_out.
 */
md_status md_trace_write(const char *path, md_run *r, md_pool *pool,
                         int64_t *n_left_out, md_error *err);

#endif
