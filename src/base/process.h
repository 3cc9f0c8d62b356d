/* This process, as the kernel sees it. */
#ifndef MD_BASE_PROCESS_H
#define MD_BASE_PROCESS_H

#include <stdint.h>

/* Bytes of memory that are resident now; 0 when the kernel does not tell. */
uint64_t md_process_rss(void);

#endif
