/*
 * Random numbers: MT19937 (M. Matsumoto, T. Nishimura, 1998), seeded with one
 * number and read as NumPy's RandomState does it, for the standard's reference
 * is written with that.  So a seed names the same numbers here, there, on
 * every machine and with any number of threads.
 *
 * log and exp are made of + - * / alone: a libm may round otherwise.
 */
#ifndef MD_OPS_COMMON_RANDOM_H
#define MD_OPS_COMMON_RANDOM_H

#include "ops/common/util.h"

enum {
    MD_RANDOM_WORDS = 624
};

typedef struct md_random {
    uint32_t word[MD_RANDOM_WORDS];
    int at;        /* of the next word */
    bool has_next; /* normal numbers come in pairs */
    double next;
} md_random;

void md_random__seed(md_random *r, uint32_t seed);

/* By the node's attribute `seed`, of which the integer part counts; afresh
 * without it. */
void md_random__start(md_random *r, const md_node *n);

/* In [0, 1), 53 bits. */
double md_random__uniform(md_random *r);

/* Mean 0, deviation 1. */
double md_random__normal(md_random *r);

double md_random__exp(double v); /* of v <= 0 */

/* RandomNormal, RandomUniform: the attributes shape and dtype. */
md_status md_random__infer_shape(const md_infer *c, md_error *err);

/* Input 0's shape; the element type is attribute dtype, one of `types`, or
 * else the input's. */
md_status md_random__infer_like(const md_infer *c, uint32_t types,
                                md_error *err);

/* All of output 0: `draw` gives numbers, each times `scale` plus `add`. */
md_status md_random__fill(md_exec *x, md_infer_fn *infer,
                          double (*draw)(md_random *), double scale, double add,
                          md_error *err);

/* RandomNormal and RandomNormalLike; RandomUniform and RandomUniformLike. */
md_status md_random__run_normal(md_exec *x, md_infer_fn *infer, md_error *err);
md_status md_random__run_uniform(md_exec *x, md_infer_fn *infer, md_error *err);

#endif
