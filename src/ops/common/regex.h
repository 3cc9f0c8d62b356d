/*
 * Regular expressions in RE2's syntax, matched against whole texts or looked for
 * in them by PCRE2.
 *
 * What RE2 has not is refused: references back, looking around, possessive and
 * atomic groups, recursion, verbs.  Time and memory have bounds: backtracking is
 * given a number of steps, and where these do not suffice all alternatives are
 * followed side by side in a fixed workspace.
 */
#ifndef MD_OPS_COMMON_REGEX_H
#define MD_OPS_COMMON_REGEX_H

#include <stdbool.h>

#include "base/alloc.h"
#include "tensor/dtype.h"

typedef struct md_regex md_regex;

/* MD_INVALID tells where the pattern is wrong, or what of it is not RE2's. */
md_status md_regex_new(md_regex **out, md_str pattern, const md_alloc *alloc,
                       md_error *err);
void md_regex_free(md_regex *re); /* NULL is allowed */

/* Whether all of the text matches; text that is not UTF-8 does not.
 * MD_TOO_LARGE when the bounds do not suffice. */
md_status md_regex_full_match(bool *out, md_regex *re, md_str text,
                              md_error *err);

/* The first place at or behind `from` that matches, and of what matches there
 * the longest: [*begin, *end), false when there is none.  As above; a text that
 * is not UTF-8 is MD_INVALID. */
md_status md_regex_search(bool *out, size_t *begin, size_t *end, md_regex *re,
                          md_str text, size_t from, md_error *err);

#endif
