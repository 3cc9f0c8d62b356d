/* An allocator whose n-th allocation fails; counts what is not freed. */
#ifndef MD_TESTS_SUPPORT_FAIL_ALLOC_H
#define MD_TESTS_SUPPORT_FAIL_ALLOC_H

#include <stdatomic.h>
#include <stdbool.h>

#include "base/alloc.h"

typedef struct fail_alloc {
    md_alloc alloc;
    _Atomic int64_t left;   /* allocations until one fails; < 0: none will */
    _Atomic int64_t n_live; /* blocks */
    _Atomic bool failed;    /* since it was armed */
} fail_alloc;

/* Fails nothing until it is armed. */
void fail_alloc_init(fail_alloc *f);

/* Let the n-th allocation from now on fail, n from 0. */
void fail_alloc_arm(fail_alloc *f, int64_t n);

/* Fail no more; did one fail? */
bool fail_alloc_disarm(fail_alloc *f);

#endif
