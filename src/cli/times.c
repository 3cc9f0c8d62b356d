#include "cli/times.h"

#include <stdlib.h>
#include <string.h>

static int by_value(const void *a, const void *b)
{
    int64_t x, y;

    memcpy(&x, a, sizeof(x));
    memcpy(&y, b, sizeof(y));
    return (x > y) - (x < y);
}

void md_times_sort(int64_t *ns, int64_t n)
{
    qsort(ns, (size_t)n, sizeof(*ns), by_value);
}

int64_t md_times_quantile(const int64_t *sorted, int64_t n, double share)
{
    return sorted[(int64_t)((double)(n - 1) * share)];
}
