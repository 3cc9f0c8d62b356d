#include "ops/common/gelu.h"

#include <math.h>

static double by_erf(double x, const double *p)
{
    (void)p;
    return 0.5 * x * (1.0 + erf(x * 0.70710678118654752440));
}

/* sqrt(2 / pi) */
static double by_tanh(double x, const double *p)
{
    (void)p;
    return 0.5 * x *
           (1.0 + tanh(0.79788456080286535588 * (x + 0.044715 * x * x * x)));
}

const md_unary md_gelu__erf = { .types = MD_TYPES_FLOAT, .f = by_erf };
const md_unary md_gelu__tanh = { .types = MD_TYPES_FLOAT, .f = by_tanh };
