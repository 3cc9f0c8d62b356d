/*
 * Operator cases as lines of text:
 *
 *   Add-14 f32[2]{1 2} f32[1]{10} -> f32[2]{11 12}
 *   Clip-13 f32[2]{-1 7} _ f32[]{6} -> f32[2]{-1 6}
 *   Gather-13 axis=1 f32[1,2]{1 2} i64[1]{5} -> INVALID index 5
 *
 * Operator (domain in front, joined by a dot) and opset; attributes as
 * name=value, where 1 is an int, 1.0 a float, "s" a string, [..] a list of
 * these and i8[1]{5} a tensor; inputs, `_` for an absent one; then the outputs (`_`: not wanted) or
 * a status and a part of the message.  {..}: the elements; {a..}: a, a+1, ...;
 * {=a}: all a.  A string may be "quoted".  Between brackets ~x after -> is a tolerance: f32[1]{1}~1e-4.
 * A result of -0 is expected where it is written so; 0 takes either.
 */
#ifndef MD_TESTS_SUPPORT_OPEVAL_H
#define MD_TESTS_SUPPORT_OPEVAL_H

#include <stdbool.h>

#include "graph/graph.h"

/* Run one line; false after printing what is wrong with it.  Besides the
 * values it checks that inference without contents, and with every dimension
 * symbolic, does not contradict the result. */
bool opeval_line(const char *line, const char *file, int line_no);

/* The same with the n-th allocation failing, for every n: each time MD_NOMEM
 * (or the line's refusal, where that comes first) and no memory left behind;
 * then what the line says. */
bool opeval_line_starved(const char *line, const char *file, int line_no);

/*
 * Inference of node n that must not contradict the tensors in `out`: static
 * types without contents, then all dimensions symbolic.  Prints and returns
 * false when it does.
 */
bool opeval_infer_agrees(md_model *m, const md_node *n, int64_t opset,
                         const md_tensor *const *in, const md_tensor *out);

/*
 * With a symbol of its own for each dimension (but for the inputs whose
 * contents steer the operator) inference demands nothing that does not hold
 * where there is a result, `out`.  For operators whose inference is exact on
 * symbols it gives the shapes in `out` once the symbols have their sizes, and
 * (out NULL) does not let pass what inference with sizes refuses.
 */
bool opeval_symbols_agree(md_model *m, const md_node *n, int64_t opset,
                          const md_tensor *const *in, const md_tensor *out);

#endif
