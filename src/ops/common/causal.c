#include "ops/common/causal.h"

#include <math.h>
#include <string.h>

md_status md_causal__activation(const md_node *n, bool *silu, md_error *err)
{
    const char *a = md_node_attr_s(n, "activation", "none");

    *silu = strcmp(a, "silu") == 0 || strcmp(a, "swish") == 0;
    if (*silu || strcmp(a, "none") == 0)
        return MD_OK;
    return md_fail(err, MD_INVALID,
                   "activation is '%s', none, silu or swish expected", a);
}

double md_causal__silu(double x)
{
    return x / (1.0 + exp(-x));
}
