/*
 * Running code that reads hostile bytes in a process of its own.
 *
 * The child shares nothing writable with its parent but two pipes: one for
 * its result, one for its status.  It has no other descriptor, can open none,
 * may not make a system call outside a short list, and has limits on memory,
 * time and output (docs/adr/0012).  Whatever happens to it, the parent goes on
 * with a status.
 */
#ifndef MD_CONVERT_CHILD_H
#define MD_CONVERT_CHILD_H

#include "base/buf.h"

typedef struct md_child_limits {
    size_t memory;      /* bytes beyond what the parent has mapped */
    unsigned cpu_s;     /* processor time */
    int64_t timeout_ms; /* wall clock */
} md_child_limits;

#define MD_CHILD_LIMITS_INIT                                                   \
    {                                                                          \
        .memory = (size_t)4 << 30, .cpu_s = 60, .timeout_ms = 120000           \
    }

/* Where the child writes its result. */
typedef struct md_child_out {
    int fd;
    size_t size; /* written so far */
} md_child_out;

/* Write all of it; the parent refuses what exceeds its buffer's limit. */
md_status md_child_write(md_child_out *out, const void *data, size_t size,
                         md_error *err);

typedef struct md_child_job {
    const char *name; /* for error texts: "hdf5" */
    /* In the child, before it gives up its rights: whatever a library opens
     * when it starts.  May be NULL. */
    md_status (*prepare)(void *ctx, md_error *err);
    /* In the child, confined.  Its status and text become the caller's. */
    md_status (*run)(void *ctx, md_child_out *out, md_error *err);
    void *ctx;
} md_child_job;

/*
 * Run the job and append what it writes to *out, within out's limit.
 *
 * Fails with what the job returned; MD_CORRUPT when the child crashed, ran out
 * of processor time or made a forbidden call (its input did that to it);
 * MD_TIMEOUT; MD_TOO_LARGE over out's limit; MD_UNAVAILABLE when the system
 * cannot fork or confine.
 */
md_status md_child_run(md_buf *out, const md_child_job *job,
                       const md_child_limits *limits, md_error *err);

#endif
