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

md_status md_causal__dilation(const md_node *n, int64_t *out, md_error *err)
{
    *out = md_node_attr_i(n, "dilation", 1);
    if (*out < 1 || *out > INT32_MAX)
        return md_fail(err, MD_INVALID, "dilation is %lld, at least 1 expected",
                       (long long)*out);
    return MD_OK;
}

double md_causal__silu(double x)
{
    return x / (1.0 + exp(-x));
}
