/*
 * Small models written as text, one statement per line or between semicolons:
 *
 *   opset 13                         of ai.onnx; 21 unless it is said first
 *   x f32[N,3,8,8]                   an input; a name in the shape is a symbol
 *   w = f32[16,3,3,3]~0.3            a constant, as support/text.h has them
 *   y = Conv(x, w, _) pads=[1,1,1,1] a node; `_` is an absent input
 *   a, b = Split(y) axis=1
 *   z = com.microsoft.Gelu(b)
 *   -> a, z                          the outputs
 *
 * Nodes are named after their first output.  Faults end the test.
 */
#ifndef MD_TESTS_SUPPORT_NET_H
#define MD_TESTS_SUPPORT_NET_H

#include "engine/session.h"
#include "graph/graph.h"

enum {
    NET_IO_MAX = 12
};

md_model *net_parse(const char *text);

/* The same read from the bytes of an ONNX file that holds it, so that all of
 * its memory comes from `alloc`. */
md_model *net_load(const char *text, const md_alloc *alloc);

/* A session over net_parse(text); opts may be NULL. */
md_session *net_open(const char *text, const md_session_opts *opts);

/* Inputs for `g`: free dimensions are n, contents fixed by `seed`: floats
 * about normal, 8-bit integers over their range, others 0 or 1. */
void net_inputs(md_tensor *in, const md_graph *g, int64_t n, uint32_t seed);

void net_release(md_tensor *t, uint32_t n);

/* What the operators' definitions give for these inputs. */
void net_expect(md_tensor *want, const char *text, const md_tensor *in);

/* What explain prints, for the caller to free with md_free of the default
 * allocator. */
char *net_explain(const md_session *s);

/*
 * Run `text` by its definitions and by a session with `opts` (may be NULL) for
 * free dimensions n, and compare: |got - want| <= tolerance * (1 + |want|).
 * Integers must not differ by more than `step`.
 */
void net_check(const char *text, const md_session_opts *opts, int64_t n,
               double tolerance, double step);

/* A net, and words that explain's text for it must have and must not have,
 * separated by blanks: operators and what was fused ("+relu"). */
typedef struct net_row {
    const char *text;
    const char *has, *lacks;
} net_row;

/* Words of each row. */
void net_check_words(const net_row *rows, size_t n);

/* The same, and its results on a plain and on the best CPU: floats
 * within 1e-5, integers within `step`. */
void net_check_rows(const net_row *rows, size_t n, double step);

#endif
