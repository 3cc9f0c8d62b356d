/* Loops that are recurrent networks, see fuse.c. */
#ifndef MD_CONVERT_TFLITE_FUSE_H
#define MD_CONVERT_TFLITE_FUSE_H

#include "convert/tflite/build.h"

/* A Loop that is about to be made. */
typedef struct md_tfl_loop {
    const md_graph *body;    /* inputs: trip, condition, states; outputs:
                              * condition, states, what is collected */
    const md_value_id *from; /* the states before, by state */
    md_value_id *to;         /* the results: states, then what is collected */
    uint32_t n_states, n_collected;
} md_tfl_loop;

/* Does it run once for each element of x along axis 0?  That is: does it go on
 * while counters are below that number. */
bool md_tfl_loop_runs(md_tfl_build *b, const md_tfl_loop *l, md_value_id x);

/* Make one operator in its place, and its results; false: it is none. */
bool md_tfl_fuse_loop(md_tfl_build *b, const md_tfl_loop *l);

#endif
