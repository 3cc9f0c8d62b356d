/* Window functions of signal processing: sums of cosines. */
#ifndef MD_OPS_COMMON_TAPER_H
#define MD_OPS_COMMON_TAPER_H

#include "ops/common/util.h"

/* a[0] - a[1] cos(x) + a[2] cos(2 x), x going round once over the window. */
md_status md_taper__infer(const md_infer *c, md_error *err);
md_status md_taper__compute(md_exec *x, md_tensor *out, const double a[3]);

/* An operator's functions, from its `static const double terms[3]`. */
#define MD_TAPER_FUNCTIONS                                                     \
    static md_status compute(md_exec *x, md_tensor *out, md_arena *ar,         \
                             md_error *err)                                    \
    {                                                                          \
        (void)ar;                                                              \
        (void)err;                                                             \
        return md_taper__compute(x, out, terms);                               \
    }                                                                          \
    static md_status run(md_exec *x, md_error *err)                            \
    {                                                                          \
        return md_exec__single(x, md_taper__infer, compute, err);              \
    }

#endif
