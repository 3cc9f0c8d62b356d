/* Numbers that nobody can foretell, from the kernel. */
#ifndef MD_BASE_ENTROPY_H
#define MD_BASE_ENTROPY_H

#include <stddef.h>

/* n bytes, n at most 256.  Never blocks: on a machine that has just booted
 * they come from its clocks. */
void md_entropy(void *p, size_t n);

#endif
