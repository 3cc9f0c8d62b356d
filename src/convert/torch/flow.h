/*
 * Branches and loops that only the data decides: If and Loop.
 *
 * What a branch or a body does besides giving its results (tensors written in
 * place, attributes of the module, lists that grow) is noted, undone, and
 * becomes results of the node too.
 */
#ifndef MD_CONVERT_TORCH_FLOW_H
#define MD_CONVERT_TORCH_FLOW_H

#include "convert/torch/build.h"

/* Run branch `which` (0 then, 1 else) in the scope at hand: n results. */
typedef void md_torch_branch_fn(md_torch *b, void *ctx, int which, md_tv *out,
                                uint32_t n);

/* out, n of them, is what the branch that cond chooses gives.  Where results
 * cannot be one (None and a tensor), they are LOST. */
void md_torch_if(md_torch *b, const md_tv *cond, md_torch_branch_fn *run,
                 void *ctx, md_tv *out, uint32_t n);

/* One turn: i is its number, vars come in and go out; the result is whether to
 * go on (NONE: as long as the trips last). */
typedef md_tv md_torch_body_fn(md_torch *b, void *ctx, md_tv i, md_tv *vars,
                               uint32_t n);

/* Run the body `trips` times (NONE: no bound), while the condition holds,
 * first `cond` (NONE: true). */
void md_torch_loop(md_torch *b, const md_tv *trips, const md_tv *cond,
                   md_torch_body_fn *run, void *ctx, md_tv *vars, uint32_t n);

#endif
