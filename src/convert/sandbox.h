/*
 * Giving up rights: seccomp, Landlock and resource limits for a process that
 * needs nothing but memory and descriptors it already has.
 */
#ifndef MD_CONVERT_SANDBOX_H
#define MD_CONVERT_SANDBOX_H

#include <stddef.h>

#include "base/error.h"

typedef struct md_sandbox {
    int fd[2];      /* the only descriptors that stay open, for writing */
    size_t memory;  /* bytes that may be mapped beyond what is mapped now */
    unsigned cpu_s; /* seconds of processor time */
} md_sandbox;

/*
 * Confine the calling process for ever.  All descriptors but fd[] are closed.
 *
 * Seccomp is required: MD_UNAVAILABLE without it, and the process must then
 * exit.  Landlock is used where the kernel has it; it adds a second wall
 * against opening files, which seccomp refuses already.
 *
 * In a sanitizer build (the compiler says so) descriptor 2 stays open and
 * writable for reports, and the address space, of which sanitizers reserve
 * terabytes, is not limited.
 */
md_status md_sandbox_enter(const md_sandbox *box, md_error *err);

#endif
