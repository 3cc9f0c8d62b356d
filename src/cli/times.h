/* Times of many runs. */
#ifndef MD_CLI_TIMES_H
#define MD_CLI_TIMES_H

#include <stdint.h>

/* Sort n nanoseconds, smallest first. */
void md_times_sort(int64_t *ns, int64_t n);

/* The one that `share` of n sorted ones are below; n > 0. */
int64_t md_times_quantile(const int64_t *sorted, int64_t n, double share);

#endif
