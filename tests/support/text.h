/*
 * Reading test cases: words, numbers, tensors and attributes as text.
 *
 *   f32[2,3]{1 2 3 4 5 6}   elements; {a..}: a, a+1, ...; {=a}: all a
 *   i8[4]~100               random: floats about normal with this deviation,
 *                           integers between -100 and 100 (unsigned: 0 and
 *                           100), the same in every run
 *   seq(f32[1]{1} f32[2]{1 2})  a sequence; seq(f32): an empty one
 *   opt(f32[1]{1}) opt(seq(f32))  an optional; opt(f32): an empty one
 *   axis=1 alpha=1.0 mode="linear" pads=[1,1] scales=[1.0,2.0] value=i8[1]{5}
 *   activations=["Relu","Tanh"]
 *
 * The first fault is kept and reading goes on anyhow: callers look at the end.
 */
#ifndef MD_TESTS_SUPPORT_TEXT_H
#define MD_TESTS_SUPPORT_TEXT_H

#include <stdbool.h>

#include "graph/graph.h"

enum {
    TEXT_WORD = 64
};

typedef struct text_reader {
    const char *p;
    const char *fault; /* NULL: none yet */
    uint32_t n_random; /* tensors so far: each has its own seed */
} text_reader;

/* Skip blanks and line ends. */
void text_space(text_reader *t);

/* Take c if it comes next, blanks before it skipped. */
bool text_take(text_reader *t, char c);

/* Letters, digits and '_' into word. */
void text_word(text_reader *t, char word[TEXT_WORD]);
double text_number(text_reader *t);

/* "f32" and so on; MD_DTYPE_NONE for any other name. */
md_dtype text_type(const char *name);

/* "[2,3]{...}" behind its type's name, or "(...)" behind a container's; out is
 * the caller's to release. */
void text_tensor(text_reader *t, const char *type, md_tensor *out);

/* "=value" behind the name of an attribute, to be added to node n. */
void text_attr(text_reader *t, md_graph *g, md_node *n, const char *name);

#endif
